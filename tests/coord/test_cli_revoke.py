"""veld revoke, owner, leave and trust: who is put out, and what becomes of the keys."""
import shutil
import subprocess
import time

import pytest

from client import Key, Network, pb, refusal, trust
from veld_cli import approve, fingerprint


@pytest.fixture
def first(shared, machine):
    m = machine("first")
    m.login(shared)
    m.said = m.up()
    return m


@pytest.fixture
def join(first, machine, coord):
    """join("second") is a machine that joined by a token, and is listed; so is the first."""
    first.publish(coord)

    def one(name, owner=first):
        m = machine(name)
        m.veld("join", owner.veld("token", "create").stdout.strip(), "--no-up", "--name", name)
        m.publish(coord)
        return m

    return one


def revoked(coord, m):
    """The keys of the list that the server has."""
    reply = coord.call("GetRevocations", pb.GetRevocationsRequest(
        network_id=m.membership().network_id), m.key())
    return {r.key: list(r.kept) for r in
            trust.Revocations.FromString(reply.revocations.list.body).revoked}


def is_out(coord, m):
    with refusal("PERMISSION_DENIED"):
        m.publish(coord)
    return True


# ---- revoke ----


def test_by_name(first, join, coord):
    second, third = join("second"), join("third")
    said = first.veld("revoke", "second", "--yes").stdout
    assert f"second is put out of network {first.network}" in said
    assert revoked(coord, first) == {second.key().public: []}
    assert first.file("revocations").stat().st_mode & 0o777 == 0o600
    assert is_out(coord, second)
    third.publish(coord)
    assert 'has no member "second"' in first.fails("revoke", "second", "--yes")


def test_what_a_revoked_machine_is_told(first, join, machine):
    """Another token is of no use to it; and what it leaves need not be revoked again."""
    second = join("second")
    first.veld("revoke", "second", "--yes")
    done = second.veld("leave", "--yes")
    assert "nothing to give up" in done.stderr and "veld revoke" not in done.stderr
    text = first.veld("token", "create").stdout.strip()
    line = second.fails("join", text, "--no-up", "--name", "second")
    assert "this machine's key was revoked" in line and "identity" in line
    (second.state / "identity").unlink()
    second.veld("join", text, "--no-up", "--name", "second")


def test_by_key(first, join, coord):
    second = join("second")
    text = second.veld("pubkey", second.state / "identity").stdout.strip()
    first.veld("revoke", text, "--yes")
    assert is_out(coord, second)
    assert "revoked already" in first.fails("revoke", text, "--yes")


def test_one_that_never_came_up(first, machine, coord):
    second = machine("second")
    second.veld("join", first.veld("token", "create").stdout.strip(), "--no-up", "--name", "second")
    first.publish(coord)
    assert "public key alone" in first.fails("revoke", "second", "--yes")
    text = second.veld("pubkey", second.state / "identity").stdout.strip()
    first.veld("revoke", text, "--yes")
    assert is_out(coord, second)


def test_without_a_server_nothing_is_revoked(first, join):
    join("second")
    assert 'has no member "";' in first.fails("revoke", "", "--yes")
    path = first.file("coord.json")
    path.write_text(path.read_text().replace('"address": "127.0.0.1:', '"address": "127.0.0.2:'))
    assert "veld: nothing was revoked: " in first.fails("revoke", "second", "--yes")
    assert not first.file("revocations").exists()


def test_it_asks(first, join):
    join("second")
    assert "--yes" in first.fails("revoke", "second")
    with first.terminal("revoke", "second") as terminal:
        terminal.read_until("out of network")
        terminal.read_until("[y/N] ")
        terminal.type("n\n")
        assert terminal.wait() == 1 and "nothing was revoked" in terminal.said
    with first.terminal("revoke", "second") as terminal:
        terminal.read_until("[y/N] ")
        terminal.type("y\n")
        assert terminal.wait() == 0, terminal.said


def test_not_oneself_and_not_by_anybody(first, join):
    second = join("second")
    assert "that is this machine" in first.fails("revoke", "first", "--yes")
    assert "only the owner of network" in second.fails("revoke", "first", "--yes")


def test_whom_a_revoked_admin_let_in_stays(first, join, machine, coord, shared):
    second, third = machine("second"), machine("third")
    second.login(shared)
    assert approve(first, second, "--admin")[0] == 0
    second.publish(coord)
    third.login(shared)
    assert approve(second, third)[0] == 0
    third.publish(coord)
    fourth = join("fourth", owner=second)
    said = first.veld("revoke", "second", "--yes").stdout
    assert "the 2 that it let in stay" in said
    kept = revoked(coord, first)[second.key().public]
    assert sorted(kept) == sorted([third.key().public, fourth.key().public])
    assert is_out(coord, second)
    third.publish(coord)
    fourth.publish(coord)


def test_an_admin_puts_out_members_and_no_admins(first, machine, join, coord, shared):
    second, third = machine("second"), join("third")
    second.login(shared)
    assert approve(first, second, "--admin")[0] == 0
    second.publish(coord)
    assert "only the owner of network" in second.fails("revoke", "first", "--yes")
    second.veld("revoke", "third", "--yes")
    assert is_out(coord, third)
    # The owner's next list holds it, and what an admin did can be done by the owner.
    first.veld("revoke", "second", "--yes")
    assert is_out(coord, second) and is_out(coord, third)


def test_what_an_admin_revoked_while_the_owner_was_asked_stays(first, machine, join, coord,
                                                               shared):
    second, third, fourth = machine("second"), join("third"), join("fourth")
    second.login(shared)
    assert approve(first, second, "--admin")[0] == 0
    second.publish(coord)
    with first.terminal("revoke", "third") as terminal:
        terminal.read_until("[y/N] ")
        second.veld("revoke", "fourth", "--yes")
        terminal.type("y\n")
        assert terminal.wait() == 0, terminal.said
    assert set(revoked(coord, first)) == {third.key().public, fourth.key().public}
    assert is_out(coord, fourth)


def test_two_at_once(first, join, coord):
    """Whoever comes second takes in the list of the first."""
    names = ["second", "third", "fourth", "fifth"]
    machines = [join(name) for name in names]
    processes = [first.start("revoke", name, "--yes") for name in names]
    for p in processes:
        assert p.wait() == 0, p.stdout.read()
        p.stdout.close()
    assert set(revoked(coord, first)) == {m.key().public for m in machines}


def test_a_running_daemon_is_told(first, join):
    join("second")
    api = first.serve()
    first.veld("up", "--network", first.network, root=True)
    api.replies["/v1/network/reload"] = (200, {})
    first.veld("revoke", "second", "--yes")
    assert ("/v1/network/reload", {}) in api.posts


def test_a_list_that_does_not_prove_is_not_taken(first, liar, mynet):
    """A server that would put somebody out itself."""
    stranger = Network(mynet)
    forged = stranger.revocations([Key().public])
    server = liar(GetRevocations=lambda _: pb.GetRevocationsReply(revocations=forged))
    first.veld("login", "--coord", server.address, "--fingerprint", server.fingerprint)
    shutil.copy(first.state / "coord.json", first.file("coord.json"))
    line = first.fails("revoke", "second", "--yes")
    assert "does not prove" in line and not first.file("revocations").exists()
    assert "PublishRevocations" not in server.calls


# ---- owner ----


def test_export_and_import(first, machine, tmp_path, join):
    second, key = join("second"), tmp_path / "key"
    said = first.veld("owner", "export", first.network, key).stdout
    assert key.stat().st_mode & 0o777 == 0o600 and "keep it offline" in said
    assert key.read_text() == first.file("owner").read_text()
    assert "never overwritten" in first.fails("owner", "export", first.network, key)
    assert "is not on this machine" in second.fails("owner", "export", first.network,
                                                    tmp_path / "other")
    second.veld("owner", "import", key)
    assert second.file("owner").stat().st_mode & 0o777 == 0o600
    second.veld("owner", "import", key)  # again is fine
    assert second.veld("token", "create").stdout.startswith("veld1")


def test_import_on_a_machine_that_knows_nothing(first, machine, tmp_path, shared):
    fresh, key = machine("fresh"), tmp_path / "key"
    first.veld("owner", "export", first.network, key)
    assert "name the network" in fresh.fails("owner", "import", key)
    assert "log in first" in fresh.fails("owner", "import", key, first.network)
    fresh.login(shared)
    fresh.veld("owner", "import", key, first.network)
    assert fresh.veld("token", "create").stdout.startswith("veld1")
    assert "0 waiting" in fresh.veld("approve").stdout
    # It is let in by the key, asking nobody.
    assert "this machine is fresh" in fresh.up()
    assert fresh.membership().flags == trust.FLAG_ADMIN | trust.FLAG_RELAY


def test_what_is_not_the_owners_key_is_not_taken(first, machine, tmp_path, join):
    second, key = join("second"), tmp_path / "key"
    second.veld("keygen", key)
    assert "is this the owner's key" in second.fails("owner", "import", key)
    assert "is not the key of the owner" in second.fails("owner", "import", key, first.network)
    first.veld("owner", "export", first.network, tmp_path / "real")
    (tmp_path / "real").chmod(0o644)
    assert "chmod 600" in second.fails("owner", "import", tmp_path / "real")
    assert not second.file("owner").exists()


def test_a_server_that_hands_out_another_network(first, machine, liar, tmp_path, mynet):
    fresh, key = machine("fresh"), tmp_path / "key"
    first.veld("owner", "export", first.network, key)
    server = liar(LookupNetwork=lambda _: pb.LookupNetworkReply(network=Network(mynet).signed))
    fresh.login(server)
    assert "is not the key of the owner" in fresh.fails("owner", "import", key, first.network)
    assert not fresh.file("network").exists()


# ---- leave ----


def test_leave(first, join, coord):
    second = join("second")
    key = second.key()
    network_id = second.membership().network_id
    assert "--yes" in second.fails("leave")
    assert f"left network {first.network}" in second.veld("leave", "--yes").stdout
    assert not second.file("").exists()
    with refusal("PERMISSION_DENIED"):
        coord.call("ListPeers", pb.ListPeersRequest(network_id=network_id), key)
    assert "is not known" in second.fails("leave", first.network, "--yes")


def test_an_owner_is_warned(first):
    assert f"veld owner export {first.network} FILE" in first.fails("leave")
    with first.terminal("leave") as terminal:
        said = terminal.read_until("[y/N] ")
        assert "the\nname stays taken" in said and "nobody can be\nlet in" in said
        assert "owner's key" in said and f"veld owner export {first.network} FILE" in said
        terminal.type("n\n")
        assert terminal.wait() == 1
    assert first.file("owner").exists()


def test_leave_without_a_server(first, join):
    second = join("second")
    path = second.file("coord.json")
    path.write_text(path.read_text().replace('"address": "127.0.0.1:', '"address": "127.0.0.2:'))
    done = second.veld("leave", "--yes")
    assert "the coord server was not told" in done.stderr
    assert not second.file("").exists()


def test_leave_ends_a_request_too(first, machine, shared):
    second = machine("second")
    second.login(shared)
    process = second.start("up", "--network", first.network, "--name", "second", root=True)
    while not second.file("request").exists():
        assert process.poll() is None
        time.sleep(0.02)
    process.kill()
    process.wait()
    process.stdout.close()
    second.veld("leave", "--yes")
    assert not second.file("").exists()


# ---- trust ----


def test_trust(first):
    api = first.serve()
    first.veld("up", "--network", first.network, root=True)
    api.gets["/v1/trust"] = {"pins": [
        {"name": "second", "pubkey": "KEY2", "addresses": ["10.100.0.2", "fd00::2"],
         "since": int(time.time()) - 100},
        {"name": "third", "pubkey": "KEY3", "addresses": [], "since": 0, "blocked": "key changed"}]}
    rows = first.veld("trust", "list").stdout.splitlines()
    assert rows[0].split()[:3] == ["second", "KEY2", "10.100.0.2,fd00::2"]
    assert rows[1].endswith("blocked: key changed")
    api.replies["/v1/trust/accept"] = (200, {"pubkey": "NEW"})
    assert "third" in first.veld("trust", "accept", "third").stdout
    api.replies["/v1/trust/forget"] = (404, {"error": "no pin of fourth"})
    assert "no pin of fourth" in first.fails("trust", "forget", "fourth")
    assert ("/v1/trust/accept", {"name": "third"}) in api.posts
    assert ("/v1/trust/forget", {"name": "fourth"}) in api.posts


# ---- set ----


def test_set_tells_the_daemon(first):
    api = first.serve()
    assert "from the next start on" in first.veld("set", "--accept-routes", "no").stdout
    first.veld("up", "--network", first.network, root=True)
    assert "sudo veld down" in first.veld("set", "--accept-routes", "yes").stdout
    api.replies["/v1/network/reload"] = (200, {})
    assert "in effect now" in first.veld("set", "--accept-routes", "no").stdout
    assert "accept-routes no" in first.veld("set").stdout
    assert "--accept-routes: " in first.fails("set", "--accept-routes", "perhaps", code=2)
    assert "no prefix length" in first.fails("set", "--routes", "192.168.7.0", code=2)


def test_another_interface_is_not_taken(first):
    """One that is there and that Veld did not make, in a network namespace where it is."""
    there = ["unshare", "-rn", "sh", "-c", 'ip link add eth7 type veth peer name eth8 && exec "$@"', "-"]
    done = subprocess.run([*there, *first.argv("set", "--interface", "eth7")], env=first.env(),
                          capture_output=True, text=True, timeout=30)
    assert done.returncode == 2 and "eth7 is another interface" in done.stderr
    done = subprocess.run([*there, *first.argv("set", "--interface", "eth9")], env=first.env(),
                          capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr


def test_the_same_fingerprint_everywhere(first):
    assert fingerprint(first.said) == fingerprint(first.veld("approve").stdout)
