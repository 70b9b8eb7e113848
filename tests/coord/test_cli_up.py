"""veld up --network: the first machine makes the network, others ask to be let in."""
import os
import re
import signal
import subprocess
import time

import grpc
import pytest

from client import Key, Network, network_id, pb, refusal, trust
from trusting import join_code, prefix
from veld_cli import approve, code_of, fingerprint, wait_for_code


@pytest.fixture
def server(shared):
    return shared


def make(machine, server, name="first"):
    """The machine that made the network; `said` is what it said."""
    m = machine(name)
    m.login(server)
    m.said = m.up()
    return m


# ---- The first machine ----


def test_the_first_machine_makes_the_network(server, machine, mynet):
    m = make(machine, server)
    assert f"network {mynet} was made, and this machine owns it" in m.said
    membership = m.membership()
    owner = m.owner()
    assert membership.network_id == network_id(owner.public)
    assert membership.flags == trust.FLAG_ADMIN | trust.FLAG_RELAY and membership.name == "first"
    assert membership.member == m.key().public
    for name in ("owner", "membership", "network", "coord.json", "settings.json", "lease"):
        assert m.file(name).stat().st_mode & 0o777 == 0o600, name
    assert m.file("").stat().st_mode & 0o777 == 0o700
    lease = m.file("lease").read_text().strip()
    assert lease.startswith("10.100.") and lease in m.said
    with server.client() as client:
        signed = client.lookup(Key(), name=mynet)
    assert signed.SerializeToString() == m.file("network").read_bytes()


def test_it_prints_the_next_machines_commands(server, machine, mynet):
    said = make(machine, server).said
    assert "veld token create" in said and "sudo veld join TOKEN" in said
    assert (f"sudo veld login --coord {server.address} --fingerprint {server.fingerprint}" in said)
    assert f"sudo veld up --network {mynet} --fingerprint {fingerprint(said)}" in said


def test_the_daemon_is_started_in_the_network(server, machine, mynet):
    m = make(machine, server)
    assert m.daemon_args() == [f"--network {mynet} --state-dir {m.state} --socket {m.socket}"]
    m.up("--engine", "poll")
    assert m.daemon_args()[1].endswith("--engine poll")


def test_a_member_needs_no_server(start, machine):
    server = start()
    m = make(machine, server)
    server.stop()
    began = time.monotonic()
    m.up()
    assert time.monotonic() - began < 5
    assert len(m.daemon_args()) == 2


def test_it_returns_when_what_is_typed_next_finds_the_others(server, machine, mynet):
    m = make(machine, server)
    m.api.status = {**m.status(), "coord": {"state": "connecting"}, "settled": True}
    with m.start("up", "--network", mynet, root=True) as process:
        for state, settled in (("connecting", True), ("connected", False)):
            m.api.status = {**m.status(), "coord": {"state": state}, "settled": settled}
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(1)
        m.api.status = {**m.status(), "coord": {"state": "connected"}, "settled": True}
        assert process.wait(5) == 0


def test_nor_is_a_server_waited_for_that_is_away(server, machine, mynet):
    m = make(machine, server)
    m.api.status = {**m.status(), "coord": {"state": "waiting"}, "settled": True}
    began = time.monotonic()
    m.veld("up", "--network", mynet, root=True)
    assert time.monotonic() - began < 3


def test_the_only_network_needs_no_name(server, machine, mynet):
    m = make(machine, server)
    m.veld("up", root=True)
    m.down()
    assert m.daemon_args()[1].startswith(f"--network {mynet} ")


def test_already_up(server, machine, mynet):
    m = make(machine, server)
    m.veld("up", "--network", mynet, root=True)
    assert "already up" in m.veld("up", "--network", mynet.upper(), root=True).stdout
    assert f"already up with network {mynet}" in m.fails("up", "--network", "other", root=True)
    assert "veld set --routes 10.0.0.0/8" in m.fails("up", "--network", mynet, "--routes",
                                                      "10.0.0.0/8", root=True)
    assert len(m.daemon_args()) == 2


def test_not_logged_in(machine, mynet):
    m = machine("a")
    line = m.fails("up", "--network", mynet, root=True)
    assert "veld login --coord HOST:PORT" in line
    assert not (m.state / "networks").exists()


def test_what_up_was_told_is_kept(server, machine, mynet):
    m = make(machine, server)
    m.up("--accept-routes", "no", "--listen", ":5000", "--interface", "v7", "--mtu", "1300")
    m.up()
    said = m.veld("set").stdout
    assert re.search(r"accept-routes +no\n", said) and re.search(r"listen +\[::\]:5000\n", said)
    assert re.search(r"interface +v7\n", said) and re.search(r"mtu +1300\n", said)
    assert "--mtu: " in m.fails("up", "--network", mynet, "--mtu", "5", root=True,
                                    code=2)
    assert f"this machine is first in network {mynet}" in m.fails(
        "up", "--network", mynet, "--name", "other", root=True)


@pytest.mark.parametrize("option, value", [
    ("--engine", "foo"), ("--fingerprint", "SHA256:x"), ("--fingerprint", "-".join(["000g"] * 8)),
    ("--mtu", "5"), ("--listen", "here"), ("--name", "a_b"), ("--interface", "lo"),
    ("--routes", "10.0.0.0"), ("--accept-routes", "perhaps")])
def test_a_bad_form_is_noticed_before_anything_is_made(server, machine, mynet, option, value):
    m = machine("first")
    m.login(server)
    line = m.fails("up", "--network", mynet, option, value, root=True, code=2)
    assert value in line
    assert not (m.state / "networks").exists() and not m.daemon_args()
    if option != "--fingerprint":
        assert value in m.fails("join", "veld1x", option, value, code=2)


def test_it_goes_on_where_it_was_stopped(server, machine):
    """Between the owner's key on the disk and the membership, at any point."""
    m = make(machine, server)
    before = m.membership().network_id
    for missing in (["membership"], ["membership", "lease"],
                    ["membership", "lease", "settings.json", "coord.json"]):
        for name in missing:
            m.file(name).unlink()
        m.up()
        assert m.membership().network_id == before


def test_the_servers_database_is_lost(start, machine, ca):
    """Its owner's machine, not yet a member, brings the network back under the same id."""
    server = start("--tls-cert", ca / "server.pem", "--tls-key", ca / "server.key")
    m = make(machine, server)
    before = m.membership().network_id
    m.file("membership").unlink()
    server.stop()
    (server.folder / "peers.db").unlink()
    server.start()
    m.up()
    assert m.membership().network_id == before


def test_a_membership_that_has_ended_is_asked_for_anew(server, machine, mynet):
    """Of the owner's machine at once; under the name it had."""
    m = make(machine, server)
    net = Network(mynet, owner=m.owner())
    chain = net.chain(m.key(), "old-name", serial=m.membership().serial + 1, not_before=100,
                      not_after=int(time.time()) - 5)
    m.file("membership").write_bytes(chain.SerializeToString())
    m.serve()
    m.veld("up", "--network", mynet, root=True)
    m.down()
    assert m.membership().name == "old-name" and m.membership().not_after == 0
    chain = net.chain(m.key(), "first", not_before=int(time.time()) + 5000)
    m.file("membership").write_bytes(chain.SerializeToString())
    assert "clock is right" in m.fails("up", "--network", mynet, root=True)


def test_a_membership_that_was_revoked_needs_another_key(server, machine, mynet):
    m = make(machine, server)
    net = Network(mynet, owner=m.owner())
    m.file("revocations").write_bytes(net.revocations([m.key().public]).SerializeToString())
    line = m.fails("up", "--network", mynet, root=True)
    assert "was revoked" in line and f"move {m.state}/identity away" in line


# ---- By approval ----


def test_by_approval(server, machine, mynet):
    first, second = make(machine, server), machine("second")
    second.login(server)
    status, said, answer = approve(first, second)
    assert status == 0, said
    assert fingerprint(said) == fingerprint(answer) == fingerprint(first.said)
    assert code_of(said) == join_code(first.membership().network_id, second.key().public)
    membership = second.membership()
    assert membership.name == "second" and membership.flags == 0 and not membership.routes
    assert not second.file("request").exists()
    assert f"this machine is second in network {mynet}: 10.100." in said
    assert second.daemon_args()[0].startswith(f"--network {mynet} ")


def test_it_is_fine_to_stop_waiting(server, machine, mynet):
    first, second = make(machine, server), machine("second")
    second.login(server)
    second.serve()
    codes, requests = [], []
    for _ in range(2):
        process = second.start("up", "--network", mynet, "--name", "second", root=True)
        codes.append(wait_for_code(process)[0])
        requests.append(second.file("request").read_bytes())
        process.send_signal(signal.SIGINT)
        assert process.wait(10) != 0
        time.sleep(1.1)  # a new request would be of another second
    assert codes[0] == codes[1] and requests[0] == requests[1]
    assert "1 waiting" in first.veld("approve").stdout
    first.veld("approve", codes[0])
    # The name is remembered: nothing else need be typed again.
    second.veld("up", "--network", mynet, root=True)
    assert second.membership().name == "second"


def test_the_server_may_be_away_while_one_waits(start, machine, mynet):
    server = start()
    first, second = make(machine, server), machine("second")
    second.login(server)
    second.serve()
    process = second.start("up", "--network", mynet, "--name", "second", root=True)
    code, _ = wait_for_code(process)
    server.stop()
    time.sleep(4)
    server.start()
    first.veld("approve", code)
    said = process.stdout.read()
    assert process.wait() == 0, said
    assert "trying again" in said


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_what_the_daemon_says_has_a_line_of_its_own(server, machine, mynet):
    m = make(machine, server)
    (m.bin / "veld-daemon").write_text("#!/bin/sh\nsleep 4\necho it fails >&2\nexit 3\n")
    with m.terminal("up", "--network", mynet) as terminal:
        assert terminal.wait() == 1
    assert "waiting for veld-daemon\nit fails\n" in terminal.said


def test_an_error_has_a_line_of_its_own(start, machine):
    server = start()
    first, second = make(machine, server), machine("second")
    second.login(server)
    approve(first, second)
    with second.terminal("set", "--routes", "10.5.0.0/16") as terminal:
        terminal.read_until("waiting for approval..")
        server.stop()
        said = terminal.read_until("trying again")
    line = next(line for line in said.splitlines() if "trying again" in line)
    assert line.startswith("veld: ")


def test_refused(server, machine, mynet):
    first, second = make(machine, server), machine("second")
    second.login(server)
    process = second.start("up", "--network", mynet, "--name", "second", root=True)
    code, _ = wait_for_code(process)
    assert "refused: second" in first.veld("approve", code, "--refuse").stdout
    assert process.wait(15) == 1
    assert "was refused" in process.stdout.read()
    assert not second.file("request").exists()
    assert not second.file("membership").exists()
    time.sleep(1.1)  # requests are told apart by their second
    assert approve(first, second)[0] == 0, "it may ask anew"


def test_a_name_that_is_taken(server, machine, mynet):
    first, second = make(machine, server), machine("second")
    second.login(server)
    line = second.fails("up", "--network", mynet, "--name", "first", root=True)
    assert "first is taken" in line and line.count("--name") == 1


def test_routes_are_not_granted_unless_named(server, machine):
    first, second, third = make(machine, server), machine("second"), machine("third")
    for m in (second, third):
        m.login(server)
    _, _, answer = approve(first, second, up=["--routes", "10.5.0.0/16"])
    assert "It asked to offer 10.5.0.0/16, which it may not" in answer
    assert not second.membership().routes
    _, _, answer = approve(first, third, "--routes", "10.6.0.0/16", up=["--routes", "10.6.0.0/16"])
    assert "may offer  10.6.0.0/16" in answer and "may not" not in answer
    assert [r.length for r in third.membership().routes] == [16]


def test_asking_for_more_routes(server, machine):
    first, second = make(machine, server), machine("second")
    second.login(server)
    approve(first, second)
    with server.client() as client:
        second.publish(client)
        before = second.membership().serial
        time.sleep(1.1)
        process = second.start("set", "--routes", "10.5.0.0/16")
        code, asked = wait_for_code(process)
        full = f"veld approve {code} --routes 10.5.0.0/16"
        assert "asked to offer 10.5.0.0/16" in asked and full in asked
        assert "be let into" not in asked
        line = first.fails("approve", code)
        assert "asks for more than it may" in line and full in line
        assert f"second and all it asks for with: {full}" in first.veld("approve").stdout
        first.veld("approve", code, "--routes", "10.5.0.0/16")
        said = process.stdout.read()
        assert process.wait() == 0, said
        assert [r.length for r in second.membership().routes] == [16]
        assert second.membership().serial > before
        second.publish(client)
    # Fewer need no asking; nor does the owner's own machine.
    second.veld("set", "--routes", "10.5.1.0/24")
    first.up("--routes", "10.9.0.0/16")
    assert [r.length for r in first.membership().routes] == [16]
    assert first.membership().flags == trust.FLAG_ADMIN | trust.FLAG_RELAY


def test_routes_that_wait_for_approval_are_shown_as_such(server, machine):
    first, second = make(machine, server), machine("second")
    second.login(server)
    approve(first, second)
    assert "approval" not in second.veld("set").stdout
    process = second.start("set", "--routes", "10.5.0.0/16")
    code, _ = wait_for_code(process)
    process.kill()
    process.wait()
    process.stdout.close()
    said = second.veld("set").stdout
    assert f"waiting for approval {code};" in said and f"approve {code} --routes 10.5.0.0/16" in said
    second.veld("set", "--accept-routes", "no")
    assert second.file("request").exists(), "it still waits"
    request = second.file("request").read_bytes()
    second.file("request").unlink()
    assert "not all allowed; ask with: veld set --routes 10.5.0.0/16\n" in second.veld("set").stdout
    second.file("request").write_bytes(request)
    assert "is withdrawn" in second.veld("set", "--routes", "none").stdout
    assert not second.file("request").exists()
    assert "approval" not in second.veld("set", "--routes", "none").stdout


def test_what_to_do_where_nobody_can_approve(server, machine, mynet):
    make(machine, server)
    second = machine("second")
    second.login(server)
    process = second.start("up", "--network", mynet, "--name", "second", root=True)
    wait_for_code(process)
    said = "".join(process.stdout.readline() for _ in range(3))
    process.kill()
    process.wait()
    process.stdout.close()
    assert "nobody can approve" in said and "choose another" in said


def test_an_answer_to_what_was_asked_before_is_none(machine, liar, mynet):
    """A server that says "approved" with the membership one has is not believed to have asked."""
    net, m = Network(mynet), machine("a")
    chains = []

    def approved(_):
        chains.append(net.chain(m.key(), "a", serial=5) if len(chains) < 2 else net.chain(
            m.key(), "a", serial=6, routes=[prefix("10.5.0.0/16")]))
        return pb.RequestJoinReply(state=pb.RequestJoinReply.STATE_APPROVED, chain=chains[-1])

    server = liar(LookupNetwork=lambda _: pb.LookupNetworkReply(network=net.signed),
                  RequestJoin=approved, RegisterMember=lambda _: pb.RegisterReply(ipv4=b"\nd\1\1"))
    m.login(server)
    m.up()
    m.veld("set", "--routes", "10.5.0.0/16")
    assert len(chains) == 3 and m.membership().serial == 6


def test_an_admin_approves_and_makes_no_admins(server, machine, mynet):
    first, second, third, fourth = make(machine, server), *map(machine, ("second", "third", "fourth"))
    for m in (second, third, fourth):
        m.login(server)
    assert approve(first, second, "--admin")[0] == 0
    assert second.membership().flags == trust.FLAG_ADMIN
    with server.client() as client:
        second.publish(client)
    assert approve(second, third, "--relay")[0] == 0
    assert third.membership().flags == trust.FLAG_RELAY, "which an admin may grant"
    assert f"only the owner of network {mynet} and its admins" in third.fails("approve")
    process = fourth.start("up", "--network", mynet, "--name", "fourth", root=True)
    code, _ = wait_for_code(process)
    assert f"only the owner of network {mynet} can make" in second.fails("approve", code, "--admin")
    process.kill()
    process.wait()


# ---- A server that lies ----


def test_a_member_gets_no_more_than_it_asks_for(server, machine, liar, mynet):
    """Not the wider routes of a membership of old that the server shows; and they are told first."""
    first = make(machine, server)
    net = Network(mynet, owner=first.owner())
    old = net.member("second", routes=[prefix("10.6.0.0/16"), prefix("10.7.0.0/16")],
                     flags=trust.FLAG_RELAY)
    wish = old.key.sign("veld join request v1", trust.JoinRequest(
        network_id=net.id, member=old.key.public, name="second", created=int(time.time()),
        routes=[prefix("10.6.1.0/24")]))
    peer = pb.Member(revision=1, peer=trust.PeerRecord(
        chain=old.chain, record=old.record(bytes([10, 100, 0, 9]))))
    answers = []

    def answered(request):
        answers.append(pb.AnswerJoinRequest.FromString(request))
        return pb.AnswerJoinReply()

    liar = liar(ListJoins=lambda _: pb.ListJoinsReply(requests=[wish]), AnswerJoin=answered,
                GetRevocations=lambda _: pb.GetRevocationsReply(),
                ListPeers=lambda _: pb.ListPeersReply(members=[peer], revision=1))
    first.veld("login", "--coord", liar.address, "--fingerprint", liar.fingerprint)
    first.file("coord.json").write_bytes((first.state / "coord.json").read_bytes())
    said = first.veld("approve", join_code(net.id, old.key.public)).stdout
    granted = trust.Membership.FromString(answers[0].chain.membership.body)
    assert list(granted.routes) == [prefix("10.6.1.0/24")] and granted.serial > old.serial
    assert granted.flags == 0
    told = ("second is a member already\n  routes     10.6.1.0/24; until now: 10.6.0.0/16, 10.7.0.0/16\n"
            "  may relay  no; until now: yes\n")
    assert told in said and said.index(told) < said.index("granted: second")


def signed_network(name, owner=None):
    return Network(name, owner=owner)


def test_another_network_under_a_known_name(server, machine, liar, mynet):
    """Pinned at first use: whoever says otherwise is told of, and nothing changes."""
    m = make(machine, server)
    known = m.membership().network_id
    m.file("membership").unlink()
    other = Network(mynet)
    liar = liar(LookupNetwork=lambda _: pb.LookupNetworkReply(network=other.signed))
    m.file("coord.json").unlink()
    m.veld("login", "--coord", liar.address, "--fingerprint", liar.fingerprint)
    line = m.fails("up", "--network", mynet, root=True)
    assert f"network {mynet} is another one than before" in line and f"veld leave {mynet}" in line
    assert trust.Network.FromString(trust.Signed.FromString(
        m.file("network").read_bytes()).body).owner == m.owner().public
    assert network_id(m.owner().public) == known
    assert "RequestJoin" not in liar.calls


@pytest.mark.parametrize("what", ["another name", "a wrong signature", "rubbish"])
def test_a_network_that_does_not_prove(machine, liar, what, mynet):
    net = Network("other" if what == "another name" else mynet)
    signed = net.signed
    if what == "a wrong signature":
        signed.signature = bytes(64)
    if what == "rubbish":
        signed = trust.Signed(body=b"\xff\xff", signer=bytes(32), signature=bytes(64))
    server, m = liar(LookupNetwork=lambda _: pb.LookupNetworkReply(network=signed)), machine("a")
    m.login(server)
    m.fails("up", "--network", mynet, root=True)
    assert not (m.state / "networks" / mynet / "network").exists()
    assert "RequestJoin" not in server.calls


def test_the_networks_fingerprint_can_be_asked_for(machine, liar, mynet):
    net, m = Network(mynet), machine("a")
    server = liar(LookupNetwork=lambda _: pb.LookupNetworkReply(network=net.signed),
                  RequestJoin=lambda _: grpc.StatusCode.PERMISSION_DENIED)
    m.login(server)
    wrong = "-".join(["0000"] * 8)
    line = m.fails("up", "--network", mynet, "--fingerprint", wrong, root=True)
    assert wrong in line and net.id.hex()[:4] in line
    assert not (m.state / "networks" / mynet / "network").exists()
    right = "-".join(net.id.hex()[i:i + 4] for i in range(0, 32, 4))
    assert "RequestJoin" not in server.calls
    m.fails("up", "--network", mynet, "--fingerprint", right.upper(), root=True)
    assert "RequestJoin" in server.calls


def test_no_network_is_made_where_one_is_expected(server, machine):
    m = machine("a")
    m.login(server)
    line = m.fails("up", "--network", "mynte", "--fingerprint", "-".join(["0000"] * 8), root=True)
    assert "knows no network mynte" in line
    assert not (m.state / "networks").exists()


@pytest.mark.parametrize("what", ["another member's", "another network's", "by a stranger", "rubbish"])
def test_a_membership_that_does_not_prove(machine, liar, what, mynet):
    net, m = Network(mynet), machine("a")

    def approved(_):
        owner = {"by a stranger": Network(mynet, owner=Key())}.get(what, net)
        if what == "another network's":
            owner = Network("other")
        key = Key() if what == "another member's" else m.key()
        chain = owner.chain(key, "a", network_id=owner.id if what == "another network's" else net.id)
        if what == "rubbish":
            chain.membership.signature = b"x"
        return pb.RequestJoinReply(state=pb.RequestJoinReply.STATE_APPROVED, chain=chain)

    server = liar(LookupNetwork=lambda _: pb.LookupNetworkReply(network=net.signed),
                  RequestJoin=approved)
    m.login(server)
    line = m.fails("up", "--network", mynet, "--name", "a", root=True)
    assert "does not prove" in line
    assert not m.file("membership").exists()
    assert "RegisterMember" not in server.calls


def test_a_refusal_that_is_not_the_owners_changes_nothing(machine, liar, mynet):
    """Denying is all that a server can do; what is asked again is a new request."""
    net, m = Network(mynet), machine("a")
    server = liar(LookupNetwork=lambda _: pb.LookupNetworkReply(network=net.signed),
                  RequestJoin=lambda _: grpc.StatusCode.PERMISSION_DENIED)
    m.login(server)
    m.fails("up", "--network", mynet, "--name", "a", root=True)
    assert not m.file("membership").exists()


def test_leaving_the_network_makes_room_for_another(server, machine, mynet):
    first, second = make(machine, server), machine("second")
    second.login(server)
    approve(first, second)
    before = second.key().public
    assert f"left network {mynet}" in second.veld("leave", "--yes").stdout
    assert not (second.state / "networks" / mynet).exists()
    with server.client() as client:
        with refusal("PERMISSION_DENIED"):
            client.call("ListPeers", pb.ListPeersRequest(
                network_id=first.membership().network_id), Key(second.key().seed))
    time.sleep(1.1)
    assert approve(first, second)[0] == 0
    assert second.key().public == before
