"""veld token and veld join: letting machines in by a secret."""
import base64
import os
import re
import socket
import subprocess
import threading
import time

import pytest

from client import Key, Network, pb, refusal, trust
from veld_cli import namespace


@pytest.fixture
def first(shared, machine):
    m = machine("first")
    m.login(shared)
    m.up()
    return m


def token(owner, *args):
    return owner.veld("token", "create", *args).stdout.strip()


def decoded(text):
    """The TokenText and the Token in it."""
    raw = text.removeprefix("veld1")
    message = trust.TokenText.FromString(base64.urlsafe_b64decode(raw + "=" * (-len(raw) % 4)))
    return message, trust.Token.FromString(message.token.body)


# ---- token create ----


def test_one_line_on_standard_output_and_nothing_else(first, shared):
    done = first.veld("token", "create")
    assert re.fullmatch(r"veld1[A-Za-z0-9_-]+\n", done.stdout)
    text, made = decoded(done.stdout.strip())
    assert text.coord == shared.address and text.network == first.network
    assert made.uses == 1 and made.expires - made.created == 86400
    assert not made.routes and made.flags == 0
    assert made.token_key == Key(text.seed).public
    assert "means another machine itself" in done.stderr, "its server is on loopback"


def test_limits(first):
    text, made = decoded(token(first, "--uses", "5", "--expires", "7d", "--routes",
                               "192.168.1.0/24,fd01::/64", "--coord", "coord.example.org"))
    assert made.uses == 5 and made.expires - made.created == 7 * 86400
    assert [r.length for r in made.routes] == [24, 64]
    assert text.coord == "coord.example.org:50051"
    assert "itself" not in first.veld("token", "create", "--coord", "192.0.2.1:5").stderr
    _, made = decoded(token(first, "--uses", "unlimited", "--expires", "never"))
    assert made.uses == 0 and made.expires == 0


def test_a_bad_form_of_the_server(first):
    assert "is not HOST or HOST:PORT" in first.fails("token", "create", "--coord", "a b", code=2)


def lose_server(m):
    """What it knows of the server leads nowhere."""
    path = m.file("coord.json")
    path.write_text(path.read_text().replace('"address": "127.0.0.1:', '"address": "127.0.0.2:'))


def test_it_needs_no_server(first):
    """It is signed here; nothing of it is sent anywhere."""
    lose_server(first)
    assert token(first).startswith("veld1")


def test_the_secret_is_kept_nowhere(first):
    text, _ = decoded(token(first))
    seed = text.seed
    forms = [seed, seed.hex().encode(), base64.b64encode(seed), base64.urlsafe_b64encode(seed)]
    for path in first.state.rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            assert not any(form.rstrip(b"=") in data for form in forms), path


def test_a_token_that_cannot_be_shown_is_an_error(first):
    with open("/dev/full", "w") as full:
        done = subprocess.run(first.argv("token", "create"), env=first.env(), stdout=full,
                              stderr=subprocess.PIPE, text=True)
    assert done.returncode == 1 and "cannot write the token" in done.stderr


def test_who_may_not(first, machine):
    second = machine("second")
    second.veld("join", token(first), "--no-up", "--name", "second")
    line = second.fails("token", "create")
    assert "only the owner of network" in line and "veld owner export" in line


# ---- join ----


def test_join(first, machine):
    second = machine("second")
    second.serve()
    done = second.veld("join", token(first), "--name", "second", root=True)
    assert re.search(rf"this machine is second in network {first.network}: 10\.100\.", done.stdout)
    assert second.daemon_args()[0].startswith(f"--network {first.network} ")
    assert second.membership().network_id == first.membership().network_id
    assert second.membership().flags == 0
    for path in second.file("").iterdir():
        assert path.stat().st_mode & 0o777 == 0o600, path
    assert "already" in second.veld("join", token(first), "--no-up", "--name", "second").stdout
    assert "joined: nobody" in first.veld("token", "list").stdout


def test_a_members_options_are_not_lost(first, machine):
    second = machine("second")
    said = second.veld("join", token(first), "--no-up", "--name", "second").stdout
    assert f"veld up --network {first.network}\n" in said
    text = token(first)
    line = second.fails("join", text, "--no-up", "--name", "other")
    assert f"is second in network {first.network} already" in line
    line = second.fails("join", text, "--no-up", "--routes", "10.5.0.0/16")
    assert "veld set --routes 10.5.0.0/16" in line
    assert "mtu           1420" in second.veld("set").stdout
    second.veld("join", text, "--no-up", "--mtu", "1300")
    assert "mtu           1300" in second.veld("set").stdout


def test_it_is_logged_in_then(first, machine, shared):
    second = machine("second")
    second.veld("join", token(first), "--no-up")
    assert shared.address in second.veld("login").stdout


@pytest.mark.parametrize("how", ["file", "stdin"])
def test_other_ways_to_give_a_token(first, machine, tmp_path, how):
    second, text = machine("second"), token(first)
    if how == "file":
        path = tmp_path / "token"
        path.write_text(text + "\n")
        second.veld("join", "--token-file", path, "--no-up")
    else:
        second.veld("join", "-", "--no-up", stdin=text + "\n")
    assert second.is_member()


def test_a_token_is_used_up(first, machine):
    text = token(first)
    machine("second").veld("join", text, "--no-up", "--name", "second")
    third = machine("third")
    line = third.fails("join", text, "--no-up", "--name", "third")
    assert "used up (1 of 1)" in line
    assert not third.is_member()
    assert not third.file("").exists()
    assert "no network is known" in third.fails("set")


def test_a_name_that_is_taken_uses_nothing_up(first, machine):
    second, text = machine("second"), token(first)
    line = second.fails("join", text, "--no-up", "--name", "first")
    assert "first is taken" in line and line.count("--name") == 1
    assert first.veld("pubkey", first.state / "identity").stdout.strip() in line
    assert "veld revoke NAME on the owner's" in line
    second.veld("join", text, "--no-up", "--name", "second")


def test_one_of_many_wins(first, machine):
    """Eight at once with a token for one."""
    text = token(first)
    machines = [machine(f"m{i}") for i in range(8)]
    processes = [m.start("join", text, "--no-up", "--name", m.name) for m in machines]
    assert sorted(p.wait() for p in processes) == [0] + [1] * 7
    assert [m.is_member() for m in machines].count(True) == 1
    for p in processes:
        p.stdout.close()


@pytest.mark.parametrize("spoil, says", [
    (lambda t: t[:-1], "was cut off"), (lambda t: t[:60], "60 characters"),
    (lambda t: "x" + t, "is no join token"), (lambda t: t + "A", "changed on its way"),
    (lambda t: t.replace("veld1", "veld2"), "is no join token"),
    (lambda t: "", "standard input was empty"), (lambda t: " \n", "standard input was empty"),
    (lambda t: t[:200] + ("B" if t[200] == "A" else "A") + t[201:], "changed on its way")])
def test_what_is_no_token(first, machine, spoil, says):
    second = machine("second")
    text = token(first)
    assert spoil(text) != text
    assert says in second.fails("join", "-", "--no-up", stdin=spoil(text))
    assert not second.state.exists()


def test_a_token_may_be_folded(first, machine):
    second, text = machine("second"), token(first)
    folded = "\n".join(text[i:i + 60] for i in range(0, len(text), 60))
    second.veld("join", "-", "--no-up", stdin=folded + "\n")
    assert second.is_member()


def test_no_argument_is_shown_where_there_are_too_many(first, machine):
    second, text = machine("second"), token(first)
    done = second.run("join", text, text, "--no-up")
    assert done.returncode == 2 and "no more than 1 argument" in done.stderr
    assert text not in done.stdout + done.stderr


def test_expired(first, machine):
    second, text = machine("second"), token(first, "--expires", "1s")
    time.sleep(2.1)
    assert "has expired" in second.fails("join", text, "--no-up")


def test_anew_after_a_membership_that_ended(first, machine):
    """Its serial is greater, also in the same second, or where it was given by a clock that was ahead."""
    m = machine("m")
    m.veld("join", token(first), "--name", "m", "--no-up", root=True)
    last = m.membership().serial + 5000
    net = Network(m.network, owner=first.owner())
    chain = net.chain(m.key(), "m", serial=last, not_before=100, not_after=int(time.time()) - 5)
    m.file("membership").write_bytes(chain.SerializeToString())
    m.veld("join", token(first), "--name", "m", "--no-up", root=True)
    assert m.membership().serial == last + 1 and m.membership().not_after == 0


def test_routes_within_what_the_token_allows(first, machine):
    text = token(first, "--routes", "10.5.0.0/16", "--uses", "2")
    second, third = machine("second"), machine("third")
    line = second.fails("join", text, "--no-up", "--routes", "10.6.0.0/16")
    assert "it allows: 10.5.0.0/16" in line
    second.veld("join", text, "--no-up", "--name", "second", "--routes", "10.5.1.0/24")
    assert [r.length for r in second.membership().routes] == [16]
    assert "veld set --routes 10.5.0.0/16" in third.veld("join", text, "--no-up", "--name",
                                                          "third").stdout


def test_nothing_is_used_up_where_it_cannot_come_up(first, machine):
    second, text = machine("second"), token(first)
    second.serve()
    os.symlink(second.bin / "veld-daemon.api", second.socket)
    assert "already up" in second.fails("join", text, root=True)
    second.down()
    second.veld("join", text, "--no-up")


def test_what_it_is_started_with_names_no_token(first, machine):
    second, text = machine("second"), token(first)
    second.serve()
    second.veld("join", text, root=True)
    for path in second.bin.glob("veld-daemon.*"):
        if path.is_file():
            assert text not in path.read_text()
    assert str(second.bin / "veld") in (second.bin / "veld-daemon.parents").read_text()


def test_the_command_line_shows_it_no_longer(first, machine):
    """While it waits for a server that never answers, `ps` is looked at."""
    second, text = machine("second"), token(first)
    listener = socket.create_server(("127.0.0.1", 0))
    message, _ = decoded(text)
    message.coord = "127.0.0.1:%d" % listener.getsockname()[1]
    raw = base64.urlsafe_b64encode(message.SerializeToString()).decode().rstrip("=")
    process = second.start("join", "veld1" + raw, "--no-up")
    connection, _ = listener.accept()  # the token was read: it knows where to connect
    with open(f"/proc/{process.pid}/cmdline", "rb") as f:
        shown = f.read()
    assert b"join" in shown and b"veld1" not in shown
    with open(f"/proc/{process.pid}/environ", "rb") as f:
        assert raw.encode() not in f.read()
    connection.close()
    listener.close()
    assert process.wait(20) == 1
    process.stdout.close()


# ---- Who is in between ----


def test_another_certificate_than_the_tokens(first, machine, liar):
    """Nothing is sent to a server that is not the one."""
    second, text = machine("second"), token(first)
    server = liar()
    message, _ = decoded(text)
    message.coord = server.address
    raw = base64.urlsafe_b64encode(message.SerializeToString()).decode().rstrip("=")
    line = second.fails("join", "veld1" + raw, "--no-up")
    assert "shows another certificate than the token says" in line
    assert server.fingerprint in line
    assert server.calls == [] and not second.is_member()


def test_another_network_than_the_tokens(machine, liar, mynet):
    """A server that has a network of its own under the name."""
    right, wrong, m = Network(mynet), Network(mynet), machine("a")
    server = liar(LookupNetwork=lambda _: pb.LookupNetworkReply(network=wrong.signed))
    text = right.token(coord=server.address, certificate=server.certificate).text
    line = m.fails("join", text, "--no-up")
    assert "has another network under the name" in line
    assert not m.file("network").exists() and "RegisterMember" not in server.calls


@pytest.mark.parametrize("ipv4", [b"\x08\x08\x08\x08", b"\nd\xff\xff", b"\nd\0\0"])
def test_an_address_that_no_member_may_have(machine, liar, mynet, ipv4):
    net, m = Network(mynet), machine("a")
    server = liar(LookupNetwork=lambda _: pb.LookupNetworkReply(network=net.signed),
                  RegisterMember=lambda _: pb.RegisterReply(ipv4=ipv4))
    text = net.token(coord=server.address, certificate=server.certificate).text
    line = m.fails("join", text, "--no-up")
    assert "is no address that members of" in line and "10.100.0.0/16" in line
    assert not m.is_member() and not m.file("lease").exists()


def test_a_network_known_under_another_id(first, machine, shared):
    other = Network(first.network)
    text = other.token(coord=shared.address, certificate=b"\1" * 32).text
    line = first.fails("join", text, "--no-up")
    assert "is another one here" in line and f"veld leave {first.network}" in line


def test_a_token_that_names_no_certificate(machine, start, ca):
    """By the CA that is named, of a server that has its certificate from one."""
    server = start("--tls-cert", ca / "server.pem", "--tls-key", ca / "server.key")
    owner, m = machine("owner"), machine("a")
    owner.veld("login", "--coord", "localhost:" + server.address.rsplit(":", 1)[1], "--ca",
               ca / "ca.pem")
    owner.up()
    text = token(owner)
    assert not decoded(text)[0].certificate
    m.fails("join", text, "--no-up")  # the system's CAs do not vouch for it
    assert not m.is_member()
    m.veld("join", text, "--no-up", "--ca", ca / "ca.pem")
    assert m.is_member()


# ---- token list and revoke ----


def ids(first):
    return re.findall(r"^([0-9a-f]{8}) ", first.veld("token", "list").stdout, re.M)


def test_list(first, machine, coord):
    assert "no tokens of network" in first.veld("token", "list").stderr
    one, two = token(first, "--routes", "10.0.0.0/8"), token(first, "--uses", "unlimited",
                                                             "--expires", "never")
    second = machine("second")
    second.veld("join", one, "--no-up", "--name", "second")
    first.publish(coord)
    second.publish(coord)
    rows = first.veld("token", "list").stdout.splitlines()
    assert len(rows) == 2
    assert decoded(one)[1].token_key.hex()[:8] in rows[0]
    assert re.search(r"expires in (23h 59m|1d 0h) +1 use +joined: second +routes: 10\.0\.0\.0/8$", rows[0])
    assert decoded(two)[1].token_key.hex()[:8] in rows[1]
    assert re.search(r"never expires +any number of uses +joined: nobody$", rows[1])


def test_list_without_a_server(first):
    token(first)
    lose_server(first)
    done = first.veld("token", "list")
    assert "joined: -" in done.stdout and "who joined by which is not known" in done.stderr


def test_revoked_tokens_let_nobody_in_and_whom_they_let_in_stays(first, machine, coord):
    text = token(first, "--uses", "3")
    second, third = machine("second"), machine("third")
    second.veld("join", text, "--no-up", "--name", "second")
    first.publish(coord)
    second.publish(coord)
    (one,) = ids(first)
    assert "the 1 it let in stay" in first.veld("token", "revoke", one).stdout
    line = third.fails("join", text, "--no-up", "--name", "third")
    assert "this join token was revoked; ask for a new one" in line
    assert not third.is_member()
    second.publish(coord)
    assert "revoked" in first.veld("token", "list").stdout
    assert "revoked already" in first.fails("token", "revoke", one)
    token(first)
    (two,) = set(ids(first)) - {one}
    assert "nobody had joined by it" in first.veld("token", "revoke", two).stdout
    assert "no token made here has the id" in first.fails("token", "revoke", "ffffffff")


def test_tokens_made_at_once_are_all_kept(first):
    threads = [threading.Thread(target=lambda: token(first)) for _ in range(6)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert len(set(ids(first))) == 6


def test_an_admins_token(first, machine, coord, shared):
    second, third = machine("second"), machine("third")
    owner = first.owner()
    net = Network(first.network, owner=owner)
    second.veld("join", token(first), "--no-up", "--name", "second")
    chain = net.chain(second.key(), "second", flags=trust.FLAG_ADMIN)
    second.file("membership").write_bytes(chain.SerializeToString())
    with refusal("PERMISSION_DENIED"):
        coord.joins(net, second.key())
    second.publish(coord)
    third.veld("join", token(second), "--no-up", "--name", "third")
    assert third.chain().admin.signer == owner.public
    assert namespace() is not None
