"""A hostile coord server (hostile.py): whatever it says, it adds nobody, swaps no key, moves no
name or address, and takes no session down. coord.py draws the topology; the members talk
to the liar, and it to a real server beside it.
"""
import base64
import json
import sys
import time

import pytest

from coord import NETWORK, STATE, Coord
from net import LAB, eventually

sys.path.insert(0, str(LAB.parent / "coord"))
grpc = pytest.importorskip("grpc")

from trusting import Key, Member, Network, endpoint, trust  # noqa: E402
from veld_pb import coord as pb  # noqa: E402


class Liar(Coord):
    """The members' server is hostile.py; the real one listens beside it, for that one alone."""

    def __init__(self, net, names):
        self.folder = net.dir / "hostile"
        self.folder.mkdir()
        (self.folder / "commands").touch()
        self.liar, self.commands = None, 0
        super().__init__(net, names, own_certificate=True)

    def serve(self):
        super().serve("127.0.0.1:50052")
        self.liar = self.server.spawn(
            "/usr/bin/python3", LAB / "hostile.py", "0.0.0.0:50051", "127.0.0.1:50052",
            "/var/lib/coord.crt", "/var/lib/coord.key", self.folder)
        eventually(lambda: "listening" in self.liar.out(), lambda: f"it listens: {self.liar.err()}", 20)

    def stop(self):
        super().stop()
        self.liar.kill()

    def does(self, **command):
        """What it does from now on, or once; returns when that is done."""
        with open(self.folder / "commands", "a") as out:
            out.write(json.dumps(command) + "\n")
        self.commands += 1
        done = self.folder / "done"
        eventually(lambda: done.exists() and done.read_text() == str(self.commands), "it obeys")

    def tells(self, event, to=None):
        to = {"to": to.hex()} if to else {}
        self.does(inject=event.SerializeToString().hex(), **to)

    def registered(self, key):
        """The last RegisterRequest of this member."""
        lines = (self.folder / "registered").read_text().splitlines()
        requests = [pb.RegisterRequest.FromString(bytes.fromhex(line)) for line in lines]
        return [r for r in requests if r.record.signer == key][-1]


def secret(machine, path):
    """The key in a file of a machine's state directory."""
    return Key(base64.b64decode(machine.read(f"{STATE}/{path}")))


@pytest.fixture
def mesh(net, request):
    mesh = Liar(net, ["first", "second", "third"])
    mesh.first()
    mesh.join("second", "third")
    mesh.connected()
    for name, other in (("first", "third"), ("second", "third"), ("third", "second")):
        mesh.sees(name, other, online=True)
    mesh.reaches("first", "second.veld")  # pinned by each other
    mesh.keys = {name: secret(machine, "identity") for name, machine in mesh.machines.items()}
    mesh.network = Network(NETWORK, owner=secret(mesh["first"], f"networks/{NETWORK}/owner"))
    yield mesh
    if getattr(request.node, "failed", False):
        mesh.tell()
        print(mesh.liar.err()[-3000:])
    mesh.stop()


def refused(mesh, name, reason):
    return mesh[name].status()["coord"]["refused"][reason]


def tells_what_is_refused(mesh, event, reason, name="first"):
    """It tells this event, which is refused for this reason, and nothing else changes for it."""
    before = refused(mesh, name, reason)
    peers = {p["name"]: (p["pubkey"], p["addresses"], p["routes"]) for p in mesh[name].status()["peers"]}
    mesh.tells(event)
    eventually(lambda: refused(mesh, name, reason) > before,
               lambda: f"refused as {reason}: {mesh[name].status()['coord']['refused']}")
    assert {p["name"]: (p["pubkey"], p["addresses"], p["routes"])
            for p in mesh[name].status()["peers"]} == peers


def member_event(record, chain, online=True):
    event = pb.WatchEvent(revision=time.time_ns() // 1000, synced=True)
    event.members.add(peer=trust.PeerRecord(record=record, chain=chain), online=online)
    return event


def address(mesh, name):
    return bytes(int(x) for x in mesh.address(name).split("."))


def untouched(mesh):
    """The two that talk go on, and everything is listed as it was."""
    assert mesh["first"].pings("second.veld", 2, interval=0.2) == 2
    assert {p["name"] for p in mesh["first"].status()["peers"]} == {"second", "third"}


def test_a_swapped_key_an_injected_member_another_network(mesh):
    attacker = Key()
    real = mesh.registered(mesh.keys["second"].public)
    serial = trust.Membership.FromString(real.chain.membership.body).serial
    # The second's chain, and a record that the attacker signed, with the second's key or its own.
    for key in (mesh.keys["second"].public, attacker.public):
        body = trust.Record(network_id=mesh.network.id, member=key, name="second",
                            ipv4=address(mesh, "second"), endpoints=[endpoint("203.0.113.13:51820")],
                            sequence=time.time_ns(), serial=serial)
        record = attacker.sign("veld record v1", body)
        tells_what_is_refused(mesh, member_event(record, real.chain), "forged")
    # A member whom nobody let in, and one of another network.
    for owner in (attacker, Key()):
        other = Network(NETWORK, owner=owner)
        m = other.member("second" if owner is attacker else "fourth")
        m.network = mesh.network
        tells_what_is_refused(mesh, member_event(m.record(address(mesh, "second")), m.chain), "forged")
        m.network = other
        tells_what_is_refused(mesh, member_event(m.record(address(mesh, "second")), m.chain), "forged")
    untouched(mesh)


def test_an_old_record(mesh):
    old = mesh.registered(mesh.keys["second"].public)
    second = mesh["second"]
    second.sh("ip addr del 203.0.113.12/24 dev eth0; ip addr add 203.0.113.112/24 dev eth0")
    mesh.sees("first", "second", endpoint="203.0.113.112:51820")
    tells_what_is_refused(mesh, member_event(old.record, old.chain), "replayed")
    # Taken away and shown again.
    gone = pb.WatchEvent(removed=[mesh.keys["third"].public], synced=True)
    old = mesh.registered(mesh.keys["third"].public)
    mesh.tells(gone)
    mesh.misses("first", "third")
    mesh["third"].sh("ip addr del 203.0.113.13/24 dev eth0; ip addr add 203.0.113.113/24 dev eth0")
    mesh.sees("first", "third")
    mesh.tells(gone)
    mesh.misses("first", "third")
    before = refused(mesh, "first", "replayed")
    mesh.tells(member_event(old.record, old.chain))
    eventually(lambda: refused(mesh, "first", "replayed") > before, "it is refused")
    assert not mesh.peer("first", "third")
    for name, is_, was in (("second", 112, 12), ("third", 113, 13)):
        mesh.down(name)
        mesh[name].sh(f"ip addr del 203.0.113.{is_}/24 dev eth0; ip addr add 203.0.113.{was}/24 dev eth0")


@pytest.mark.parametrize("what", ["name", "address"])
def test_a_member_of_its_own_is_given_anothers_name_or_address(mesh, what):
    """The worst: the liar has let a friend in by a real token. It takes nothing of others."""
    name = "second" if what == "name" else "fourth"
    ipv4 = address(mesh, "second") if what == "address" else b"\x0a\x64\xfe\xfe"
    friend = mesh.network.member(name, not_before=1, serial=1)
    mesh.tells(member_event(friend.record(ipv4, endpoints=["203.0.113.13:51820"]), friend.chain))
    key = base64.b64encode(friend.key.public).decode()
    # The first has pinned the second; the third has never talked to it, but knew it before.
    for at, state in (("first", "blocked: key changed"),
                      ("third", f"blocked: its {what} is another member's")):
        eventually(lambda: any(p["pubkey"] == key and p["state"] == state
                               for p in mesh[at].status()["peers"]),
                   lambda: f"{at} blocks it: {mesh[at].status()['peers']}")
        assert any(name in line for line in mesh[at].status()["health"])
    assert mesh["first"].pings("second.veld", 2, interval=0.2) == 2
    assert mesh["third"].pings(mesh.address("second"), wait=1) == 1
    peer = next(p for p in mesh["first"].status()["peers"] if p["pubkey"] == key)
    assert peer["tx_bytes"] == 0 and peer["attempts"] == 0


def test_revocations_that_are_withheld(mesh):
    mesh.reaches("second", "third.veld")
    mesh.reaches("first", "third.veld")
    mesh.does(withhold=["revocations", "removed"])
    mesh["first"].veld("revoke", "third", "--yes")
    for name in ("first", "second"):
        mesh.misses(name, "third", timeout=5)
    assert mesh["second"].pings(mesh.address("third"), wait=1) == 0
    untouched_pair = mesh["first"].pings("second.veld", 2, interval=0.2)
    assert untouched_pair == 2


def test_forged_revocations(mesh):
    attacker = Network(NETWORK)
    third = mesh.keys["third"].public
    lists = [attacker.revocations([third], epoch=5 << 32)]
    attacker.id = mesh.network.id
    lists.append(attacker.revocations([third], epoch=5 << 32))
    member = Member(mesh.network, mesh.keys["second"], "second",
                    mesh.registered(mesh.keys["second"].public).chain)
    lists.append(mesh.network.revocations([third], epoch=5 << 32 | 1, by=member))
    for one in lists:
        tells_what_is_refused(mesh, pb.WatchEvent(revocations=one, synced=True), "bad_revocations")
    mesh.reaches("first", "third.veld")


def test_signals(mesh):
    """Forged, replayed, old, of strangers, of another pair: refused, and answered with nothing."""
    second = Member(mesh.network, mesh.keys["second"], "second", trust.Chain())
    second.serial, first = 0, mesh.keys["first"].public
    third = Member(mesh.network, mesh.keys["third"], "third", trust.Chain())

    def call(sequence):
        return trust.Signal(sequence=sequence,
                            call=trust.Call(endpoints=[endpoint("203.0.113.12:51820")]))

    def signal(sender, sealed):
        event = pb.WatchEvent(synced=True)
        event.signals.add(**{"from": sender, "sealed": sealed})
        return event

    now = time.time_ns()
    good = second.seal(first, call(now))
    before = mesh.handshakes("first")
    tells_what_is_refused(mesh, signal(second.key.public, b"x" * 100), "signal_forged")
    tells_what_is_refused(mesh, signal(third.key.public, good), "signal_forged")
    tells_what_is_refused(mesh, signal(second.key.public, second.seal(third.key.public, call(now))),
                          "signal_forged")
    tells_what_is_refused(mesh, signal(Key().public, good), "signal_from_stranger")
    tells_what_is_refused(
        mesh, signal(second.key.public, second.seal(first, call(now - 600 * 10**9))), "signal_stale")
    tells_what_is_refused(
        mesh, signal(second.key.public, second.seal(first, call(now + 600 * 10**9))), "signal_stale")
    mesh.tells(signal(second.key.public, good), to=first)
    tells_what_is_refused(mesh, signal(second.key.public, good), "signal_replayed")
    assert mesh.handshakes("first") == before
    # A real one makes the first call the third, which it has never talked to.
    mesh.tells(signal(third.key.public, third.seal(first, call(time.time_ns()))), to=first)
    mesh.sees("first", "third", state="active")
    untouched(mesh)


def resident_kb(machine):
    return int(machine.sh("grep VmRSS /proc/$(pidof veld-daemon)/status | tr -dc 0-9").stdout)


def test_a_million_records(mesh):
    """Forged ones by the hundred thousand: the watch is ended, and the machine goes on."""
    other = Network(NETWORK)
    event = pb.WatchEvent(synced=True)
    m = other.member("spam")
    record = m.record(b"\x0a\x64\x01\x01")
    for _ in range(1500):
        event.members.add(peer=trust.PeerRecord(record=record, chain=m.chain), online=True)
    assert len(event.SerializeToString()) < 1 << 20
    before = resident_kb(mesh["first"])
    connections = mesh["first"].status()["coord"]["connections"]
    mesh.does(flood=event.SerializeToString().hex(), count=700,
              to=mesh.keys["first"].public.hex())
    eventually(lambda: refused(mesh, "first", "forged") > 1000, "they are refused", 20)
    eventually(lambda: mesh["first"].status()["coord"]["state"] != "connected"
               or mesh["first"].status()["coord"]["connections"] > connections,
               "the watch is ended", 20)
    assert mesh["first"].pings("second.veld", 5, interval=0.2) == 5
    assert resident_kb(mesh["first"]) < before + 100_000
    untouched(mesh)
    mesh.connected("first", timeout=30)


def test_what_is_no_event(mesh):
    for event in (b"\xff" * 100, b"\x22\x00" * 500_000, b"\x22\x7f"):
        before = refused(mesh, "first", "malformed")
        mesh.does(inject=event.hex(), to=mesh.keys["first"].public.hex())
        eventually(lambda: refused(mesh, "first", "malformed") > before, "it is refused")
        untouched(mesh)
        mesh.connected("first", timeout=30)
    mesh.sees("first", "third", online=True)


def test_everybody_is_said_to_be_gone(mesh):
    """Removed, reset to nothing, and offline: who talks goes on talking, and who is known is
    reached."""
    everybody = [key.public for key in mesh.keys.values()]
    mesh.tells(pb.WatchEvent(reset=True, synced=True, revision=1 << 62))
    mesh.tells(pb.WatchEvent(removed=everybody, synced=True))
    mesh.misses("first", "third")
    time.sleep(3)
    assert mesh["first"].pings("second.veld", 3, interval=0.2) == 3
    assert mesh["first"].pings("second.veld") == 1
    # After a restart of the daemon the real server's word counts again, or the cache's.
    mesh.does(offline=True)
    for name in mesh.machines:
        mesh.down(name)
        mesh.up(name)
    mesh.connected()
    mesh.reaches("second", "third.veld")
    assert mesh.peer("second", "third")["online"] is False


def test_nothing_is_sent_to_the_wrong_party(mesh):
    """A friend of the liar's, under another's name, address and all, is sent not one datagram."""
    def received():
        lines = mesh["third"].read("/proc/net/snmp").splitlines()
        names, values = (line.split()[1:] for line in lines if line.startswith("Udp:"))
        udp = dict(zip(names, map(int, values)))
        return udp["InDatagrams"] + udp["NoPorts"]

    friend = mesh.network.member("second", not_before=1, serial=1)
    record = friend.record(address(mesh, "second"), endpoints=["203.0.113.13:51820"])
    before = received()
    mesh.tells(member_event(record, friend.chain), to=mesh.keys["first"].public)
    key = base64.b64encode(friend.key.public).decode()
    eventually(lambda: any(p["pubkey"] == key for p in mesh["first"].status()["peers"]), "it is known")
    assert mesh["first"].pings("second.veld", 3, interval=0.2) == 3
    assert mesh["first"].pings(mesh.address("second"), 3, interval=0.2) == 3
    assert received() == before


def test_the_cache_is_not_believed(mesh):
    """Whoever can write the cache of the members adds nobody either."""
    mesh.down("first")
    cache = mesh["first"].inside(f"{STATE}/networks/{NETWORK}/members".lstrip("/"))
    raw = cache.read_bytes()
    size = int.from_bytes(raw[:4], "big")
    event = pb.WatchEvent.FromString(raw[4:4 + size])
    attacker = Network(NETWORK)
    spy = attacker.member("spy")
    event.members.add(peer=trust.PeerRecord(record=spy.record(b"\x0a\x64\x01\x01"), chain=spy.chain))
    event.members[0].peer.record.signature = b"\1" * 64
    new = event.SerializeToString()
    cache.write_bytes(len(new).to_bytes(4, "big") + new)
    mesh.up("first")
    eventually(lambda: refused(mesh, "first", "forged") == 2, "both are refused")
    mesh.connected("first")
    for name in ("second", "third"):  # and the server told of all of them again
        mesh.sees("first", name)
    assert not mesh.peer("first", "spy")
