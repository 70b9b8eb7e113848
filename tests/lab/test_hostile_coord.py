"""A coord server that lies: hostile_world.py says who is there. Nothing of it is believed, what is
refused shows in the status, and mallory reads nothing that is not meant for it.
"""
import base64
import os
import time

import pytest

grpc = pytest.importorskip("grpc")

from coord import NETWORK, SERVER_IP  # noqa: E402
from hostile_coord import Liar, Tap, pb, trust  # noqa: E402
from hostile_world import MALLORY_IP, SAY, World, signed, with_membership  # noqa: E402
from net import PORT, Net, eventually  # noqa: E402
from trusting import ADMIN, RELAY, Member, Network, endpoint, prefix  # noqa: E402


@pytest.fixture(scope="module")
def world():
    with Net() as net:
        world = World(net)
        for name in ("alice", "bob", "carol"):
            world.enter(name, "--accept-routes", "yes")
        world.enter("mallory")
        eventually(lambda: set(world.liar.watches) == {k.public for k in world.keys.values()},
                   "all are connected")
        calls = world.mallory.spawn("ping", "-i", "0.5", world.ip("alice"))
        world.reaches("alice", world.ip("bob"))
        yield world
        calls.stop()
        world.stop()
        world.liar.close()


@pytest.fixture(autouse=True)
def honest(world, request):
    """Each test begins with everybody told the truth, and ends so."""
    yield
    world.liar.be_honest()
    if getattr(request.node, "failed", False):
        world.tell()
    for name in world.machines:
        world.liar.resync(world.key(name))


def test_honest(world):
    with world.kept_from_mallory():
        pass


# ---- Keys ----


def test_a_key_that_the_server_swaps(world):
    """bob's record with mallory's key in it, in each way that could be thought of."""
    bob, mallory = world.member("bob"), world.keys["mallory"]
    owner, ipv4 = world.network.owner, world.liar.leases[bob.key.public]
    purpose = "veld membership v1"
    swapped = trust.Membership.FromString(bob.chain.membership.body)
    swapped.member = mallory.public
    body = swapped.SerializeToString()

    kept = bob.chain.membership.signature
    chains = [
        with_membership(bob.chain, trust.Signed(body=body, signer=bob.chain.membership.signer,
                                                signature=kept)),
        with_membership(bob.chain, mallory.sign(purpose, body)),
        with_membership(bob.chain, signed(mallory, owner.public, purpose, body)),
        with_membership(bob.chain, signed(mallory, bob.chain.membership.signer, purpose, body)),
        trust.Chain(membership=signed(mallory, owner.public, purpose, body)),
    ]
    lies = [trust.PeerRecord(chain=chain, record=Member(world.network, mallory, "bob",
                                                        chain).record(ipv4)) for chain in chains]
    fields = dict(network_id=world.network.id, member=bob.key.public, name="bob", ipv4=ipv4,
                  endpoints=[endpoint(f"{MALLORY_IP}:{PORT}")], sequence=bob.sequence + 10**15,
                  serial=bob.serial)
    for record in (mallory.sign("veld record v1", trust.Record(**fields)),
                   signed(mallory, bob.key.public, "veld record v1", trust.Record(**fields)),
                   mallory.sign("veld record v1", trust.Record(**fields | {"member": mallory.public}))):
        lies.append(trust.PeerRecord(chain=bob.chain, record=record))

    with world.kept_from_mallory(), world.refuses("alice", forged=len(lies)):
        world.liar.tell(world.key("alice"), members=[pb.Member(peer=p, online=True) for p in lies])
    assert mallory.public not in world.peers("alice")
    assert world.peers("alice")[bob.key.public]["endpoint"] == f"203.0.113.12:{PORT}"


def test_a_key_that_the_owner_signed_for_a_name_that_was_anothers(world):
    """The owner once let mallory's device in as bob. alice has met the true one, and knows better,
    after a restart too."""
    mallory, bob = world.keys["mallory"], world.key("bob")
    false = world.network.member("bob", mallory)
    lie = pb.Member(online=True, peer=trust.PeerRecord(
        chain=false.chain, record=false.record(world.liar.leases[bob],
                                               endpoints=[f"{MALLORY_IP}:{PORT}"])))

    def instead_of_bob(to, event):
        members = [m for m in event.members if m.peer != world.liar.records[bob]]
        del event.members[:]
        event.members.extend([*members, lie])
        return event

    world.liar.twist = instead_of_bob
    with world.kept_from_mallory(), world.refuses("alice"):
        world.liar.tell(world.key("alice"), members=[lie], removed=[bob])
        blocked_is_shown(world, mallory.public, "blocked: key changed", "veld trust accept bob")
    world["alice"].veld("down")
    wrong = Tap(world.mallory)
    world["alice"].veld("up", "--network", NETWORK)
    blocked_is_shown(world, mallory.public, "blocked: key changed", "veld trust accept bob")
    assert world["alice"].pings("bob.veld", wait=1) == world["alice"].pings(world.ip("bob"), wait=1) == 0
    wrong.close()
    assert wrong.datagrams(PORT, "in") == []
    world.liar.be_honest()
    world.liar.resync(world.key("alice"))
    world.reaches("alice", "bob.veld")


def blocked_is_shown(world, key, state, advice):
    alice = world["alice"]
    eventually(lambda: world.peers("alice").get(key, {}).get("state") == state,
               lambda: f"{state}: {world.peers('alice').get(key)}")
    shown = alice.veld("status").stdout
    assert state in shown
    assert any(advice in line for line in alice.status()["health"]), alice.status()["health"]
    assert advice in shown


# ---- Members ----


def test_a_member_that_nobody_let_in(world):
    """mallory under a name of its own, let in by whoever must not."""
    key, net = world.keys["mallory"], world.network
    other, owner_of_nothing = Network(NETWORK), Network(NETWORK)
    owner_of_nothing.id = net.id
    carol, admin, by_owner = world.member("carol"), net.admin("admin"), net.member("nobody")
    admin_by_admin = net.member("admin2", by=admin, flags=ADMIN)
    token, by_carol = net.token(), net.token(by=carol)
    routed = prefix("192.168.7.0/24")
    forged = [
        other.chain(key, "eve"),
        owner_of_nothing.chain(key, "eve"),
        owner_of_nothing.chain(key, "eve", by=owner_of_nothing.admin("admin")),
        owner_of_nothing.chain(key, "eve", by=owner_of_nothing.token()),
        net.chain(key, "eve", by=carol),
        net.chain(key, "eve", by=by_carol),
        net.chain(key, "eve", by=by_owner),
        net.chain(key, "eve", by=net.token(by=by_owner)),
        net.chain(key, "eve", by=admin_by_admin),
        net.chain(key, "eve", by=admin, flags=ADMIN),
        net.chain(key, "eve", by=token, flags=RELAY),
        net.chain(key, "eve", by=token, routes=[routed]),
        with_membership(net.chain(key, "eve", by=token),
                        key.sign("veld membership v1", net.membership(key, "eve"))),
        trust.Chain(membership=key.sign("veld membership v1", net.membership(key, "eve"))),
        trust.Chain(membership=net.owner.sign("veld record v1", net.membership(key, "eve"))),
        trust.Chain(membership=net.owner.sign("veld membership v1", net.membership(key, "Eve."))),
    ]
    now = int(time.time())
    expired = [net.chain(key, "eve", not_before=1, not_after=2),
               net.chain(key, "eve", not_before=now + 3600),
               net.chain(key, "eve", by=token, not_before=now + 2 * 86400)]
    ip = b"\x0a\x64\x00\x63"
    lies = [trust.PeerRecord(chain=c, record=Member(net, key, "eve", c).record(
        ip, endpoints=[f"{MALLORY_IP}:{PORT}"])) for c in forged + expired]
    with world.kept_from_mallory(), world.refuses("alice", forged=len(forged) - 1, malformed=1,
                                                  expired=len(expired)):
        world.liar.tell(world.key("alice"), members=[pb.Member(peer=p, online=True) for p in lies])
        assert world["alice"].run("ping", "-c1", "-W1", "10.100.0.99", check=False).returncode
    assert key.public not in world.peers("alice")
    assert world["alice"].drops("unknown_peer") > 0


def test_members_of_another_network(world):
    """Of the same name, with the same people, and a server that has both."""
    other = Network(NETWORK)
    members = [other.member(name, world.keys[name]) for name in ("bob", "carol", "mallory")]
    members.append(other.member("eve"))
    lies = [trust.PeerRecord(chain=m.chain, record=m.record(
        world.liar.leases.get(m.key.public, b"\x0a\x64\x00\x63"),
        endpoints=[f"{MALLORY_IP}:{PORT}"])) for m in members]
    # A record of one network, and a membership of the other.
    for m, chain in ((world.member("bob"), members[0].chain),
                     (members[0], world.member("bob").chain)):
        m.serial = trust.Membership.FromString(chain.membership.body).serial
        lies.append(trust.PeerRecord(chain=chain, record=m.record(
            world.liar.leases[m.key.public], endpoints=[f"{MALLORY_IP}:{PORT}"],
            sequence=m.sequence + 10**15)))
    # The owner of this one signs, and says that it is about the other.
    spoken = world.network.chain(members[2].key, "eve", network_id=other.id)
    eve = Member(other, members[2].key, "eve", spoken)
    lies.append(trust.PeerRecord(chain=spoken, record=eve.record(b"\x0a\x64\x00\x63")))
    with world.kept_from_mallory(), world.refuses("alice", forged=len(lies), bad_revocations=1):
        world.liar.tell(world.key("alice"), members=[pb.Member(peer=p, online=True) for p in lies],
                        revocations=other.revocations([world.key("bob")]))
    assert set(world.peers("alice")) == {world.key("bob"), world.key("carol")}
    assert world["alice"].status()["network"]["revoked"] == 0


# ---- Old news ----


def test_an_old_record(world):
    """What bob signed when he was where mallory is now; and from before his membership changed."""
    bob = world.member("bob")
    ipv4 = world.liar.leases[bob.key.public]
    old = [bob.record(ipv4, endpoints=[f"{MALLORY_IP}:{PORT}"], sequence=bob.sequence - back)
           for back in (1, 10**9)]
    lies = [trust.PeerRecord(chain=bob.chain, record=r) for r in old]
    earlier = world.network.member("bob", bob.key, serial=bob.serial - 1)
    lies.append(trust.PeerRecord(chain=earlier.chain, record=earlier.record(
        ipv4, endpoints=[f"{MALLORY_IP}:{PORT}"], sequence=bob.sequence + 10**15)))
    with world.kept_from_mallory(), world.refuses("alice", replayed=len(lies)):
        world.liar.tell(world.key("alice"), members=[pb.Member(peer=p, online=True) for p in lies])


def test_an_old_record_after_the_new_one_was_taken_away(world):
    """alice does not talk to carol, and forgets her when the server says so; but not how far she was."""
    carol = world.member("carol")
    old = carol.record(world.liar.leases[carol.key.public], endpoints=[f"{MALLORY_IP}:{PORT}"],
                       sequence=carol.sequence - 1)
    lie = pb.Member(peer=trust.PeerRecord(chain=carol.chain, record=old), online=True)
    with world.refuses("alice", replayed=1):
        world.liar.tell(world.key("alice"), removed=[carol.key.public])
        eventually(lambda: carol.key.public not in world.peers("alice"), "carol is gone")
        world.liar.tell(world.key("alice"), members=[lie])
    assert carol.key.public not in world.peers("alice")
    world.liar.resync(world.key("alice"))
    world.reaches("alice", "carol.veld")


# ---- Names and addresses ----


def test_an_address_that_the_server_gives_to_another(world):
    """mallory is a member now, and the server leases it what is bob's, carol's, or alice's own."""
    mallory, key = world.keys["mallory"], world.keys["mallory"].public
    world.a_stranger("dave")
    states = {"bob": "blocked: key changed",
              "dave": "blocked: its address is another member's",
              "alice": "blocked: it claims this machine's own name or address"}
    with world.kept_from_mallory(), world.refuses("alice"):
        for whose, state in states.items():
            true = world.network.member("eve", mallory)
            lie = trust.PeerRecord(chain=true.chain, record=true.record(
                world.liar.leases[world.key(whose)], endpoints=[f"{MALLORY_IP}:{PORT}"]))
            world.liar.tell(world.key("alice"), members=[pb.Member(peer=lie, online=True)])
            blocked_is_shown(world, key, state, "eve")
    world.liar.tell(world.key("alice"), removed=[key])
    eventually(lambda: key not in world.peers("alice"), "eve is gone")


def test_a_name_that_the_server_moves(world):
    """carol's records speak of bob: with her own membership, and with his; by his name, and his key."""
    carol, bob = world.member("carol"), world.member("bob")
    ipv4 = world.liar.leases[carol.key.public]
    lies = [trust.PeerRecord(chain=chain, record=carol.record(ipv4, name="bob", sequence=2**62,
                                                              serial=serial))
            for chain, serial in ((carol.chain, carol.serial), (bob.chain, bob.serial))]
    lies.append(trust.PeerRecord(chain=carol.chain, record=carol.record(
        ipv4, member=bob.key.public, sequence=2**62)))
    with world.refuses("alice", forged=len(lies)):
        world.liar.tell(world.key("alice"), members=[pb.Member(peer=p, online=True) for p in lies])
    assert world.peers("alice")[carol.key.public]["name"] == "carol"
    assert world.peers("alice")[bob.key.public]["name"] == "bob"


@pytest.mark.parametrize("whose", ["bob", "frank", "nobody", "outside"])
def test_an_address_that_is_not_alices(world, whose):
    """alice registers, and is told that it has an address that is pinned to another, or another's,
    or the network's last one, or somewhere else."""
    ipv4 = {"nobody": b"\x0a\x64\xff\xff", "outside": b"\x08\x08\x08\x08"}.get(whose)
    if whose == "frank":
        world.a_stranger("frank")
    if whose == "bob":  # nobody lists him now: the pin is all that alice has
        world.liar.opening = lambda to: world.liar.event(reset=True)
        world.liar.tell(world.key("alice"), reset=True)
        world.restart("alice")
    ipv4 = ipv4 or world.liar.leases[world.key(whose)]
    before = world["alice"].status()
    world.liar.answers["RegisterMember"] = lambda caller, request, honest: \
        pb.RegisterReply(ipv4=ipv4)
    world.restart("alice")
    now = world["alice"].status()
    assert now["coord"]["refused"]["bad_lease"] > 0
    assert any("has sent what nobody signed who may" in line for line in now["health"])
    assert now["network"]["lease"] == before["network"]["lease"] == world.ip("alice")
    assert now["interface"]["addresses"] == before["interface"]["addresses"]
    assert world["alice"].read(f"/var/lib/veld/networks/{NETWORK}/lease").strip() == world.ip("alice")
    world.liar.be_honest()
    world.liar.resync(world.key("alice"))
    world.reaches("alice", world.ip("bob"))


def test_another_address_for_alice_ends_no_session(world):
    """An address that nobody has is the server's to give, and in effect from the next start on."""
    alice, records = world["alice"], []

    def another(caller, request, honest):
        records.append(trust.Record.FromString(request.record.body))
        return pb.RegisterReply(ipv4=b"\x0a\x64\x63\x09")

    world.liar.answers["RegisterMember"] = another
    world.restart("alice")
    assert alice.status()["network"]["lease"] == "10.100.99.9"
    assert any("10.100.99.9, which takes effect with: veld down" in line
               for line in alice.status()["health"])
    assert {r.ipv4 for r in records} == {world.liar.leases[world.key("alice")]}
    world.reaches("alice", world.ip("bob"))
    world.liar.be_honest()
    world.liar.watches[world.key("alice")].end()
    eventually(lambda: alice.status()["network"]["lease"] == world.ip("alice"), "its own again", 8)


# ---- Signals ----


def call(sequence=None, at=f"{MALLORY_IP}:{PORT}"):
    return trust.Signal(sequence=sequence or time.time_ns(), call=trust.Call(endpoints=[endpoint(at)]))


def test_signals(world):
    """That bob wants to talk, at mallory's address: nobody but bob can say so, and once."""
    alice, bob, carol = (world.key(n) for n in ("alice", "bob", "carol"))
    as_bob, as_carol = world.member("bob"), world.member("carol")
    mallory = Member(world.network, world.keys["mallory"], "eve", as_bob.chain)
    elsewhere = Member(Network(NETWORK), world.keys["bob"], "bob", as_bob.chain)
    true = as_bob.seal(alice, call(at=f"203.0.113.12:{PORT}"))
    spoilt = bytearray(as_bob.seal(alice, call()))
    spoilt[-1] ^= 1
    forged = [(bob, mallory.seal(alice, call())),    # mallory as bob
              (carol, as_bob.seal(alice, call())),   # bob's as carol's
              (bob, as_bob.seal(carol, call())),     # bob's to carol
              (carol, world.member("alice").seal(carol, call())),  # alice's own, sent back
              (bob, elsewhere.seal(alice, call())),  # of another network
              (bob, bytes(spoilt)), (bob, b""), (bob, b"\0" * 40)]
    stale = [(carol, as_carol.seal(alice, call(time.time_ns() - 200 * 10**9))),
             (carol, as_carol.seal(alice, call(time.time_ns() + 200 * 10**9)))]
    stranger = [(mallory.key.public, mallory.seal(alice, call()))]

    def tell(signals):
        world.liar.tell(alice, signals=[pb.Signal(**{"from": who}, sealed=what)
                                        for who, what in signals])

    with world.kept_from_mallory():
        with world.refuses("alice", signal_forged=len(forged), signal_stale=len(stale),
                           signal_from_stranger=len(stranger)):
            tell(forged + stale + stranger)
        with world.refuses("alice"):
            tell([(bob, true)])
            time.sleep(0.2)
        with world.refuses("alice", signal_replayed=3):
            tell([(bob, true)])
            tell([(bob, true), (bob, as_bob.seal(alice, call(1)))])
    assert world.peers("alice")[bob]["endpoint"] == f"203.0.113.12:{PORT}"


def test_more_signals_than_anybody_means(world):
    """A thousand that are true, at once: what is not looked into is counted, and nobody is called for it.
    What the tests before sent counts, too."""
    alice, bob = world.key("alice"), world.key("bob")
    as_bob, before = world.member("bob"), world["alice"].status()["coord"]["refused"]
    began = time.monotonic()
    for part in range(4):
        world.liar.tell(alice, signals=[pb.Signal(**{"from": bob}, sealed=as_bob.seal(
            alice, call(at=f"203.0.113.12:{PORT}"))) for _ in range(250)])
    world.liar.tell(alice, signals=[pb.Signal(**{"from": bob}, sealed=b"x" * 3000)])

    def counted():
        now = world["alice"].status()["coord"]["refused"]
        assert now["signal_forged"] == before["signal_forged"]
        return (now["signal_limit"] - before["signal_limit"], now["malformed"] - before["malformed"])
    eventually(lambda: counted()[1] == 1, "the last of it was looked at")
    looked_into = 1000 - counted()[0]
    assert 1 <= looked_into <= 16 + 4 * (time.monotonic() - began + 1)


# ---- What is withheld ----


def test_everybody_is_taken_away(world):
    """Who talks goes on talking, whatever the server lists; who does not is forgotten, and pins are
    not. Who is said to be away is reached."""
    world.reaches("alice", world.ip("bob"))
    session = world.peers("alice")[world.key("bob")]["last_handshake"]
    stranger = world.a_stranger("erin")
    with world.refuses("alice"):
        world.liar.tell(world.key("alice"), reset=True)
        eventually(lambda: stranger not in world.peers("alice"), "erin is forgotten")
        world.liar.tell(world.key("alice"), removed=[world.key("alice"), world.key("bob")])
        assert world["alice"].pings(world.ip("bob"), count=5, interval=0.1) == 5
        gone = [world.liar.member(world.key(n), online=False) for n in ("bob", "carol")]
        world.liar.tell(world.key("alice"), members=gone)
        world.sees("alice", "carol", online=False)
        world.reaches("alice", "carol.veld")
    assert world.peers("alice")[world.key("bob")]["last_handshake"] == session
    assert "bob" in world["alice"].veld("trust", "list").stdout


def test_another_server_in_between(world):
    """At the same address, with another certificate: it hears of nothing but TLS."""
    liar = world.liar
    liar.pause()
    between = Liar(world.server, SERVER_IP, world.network, name="between")
    try:
        eventually(lambda: "certificate" in (world["alice"].status()["coord"]["last_error"] or ""),
                   lambda: f"it is told: {world['alice'].status()['coord']}", 10)
        assert any("certificate" in line for line in world["alice"].status()["health"])
        assert world["alice"].pings(world.ip("bob"), count=2, interval=0.1) == 2
        time.sleep(1)
        assert between.calls == []
    finally:
        between.close()
        liar.resume()
    eventually(lambda: world["alice"].status()["coord"]["state"] == "connected", "it is back", 20)


@pytest.mark.parametrize("event", [b"\xff" * 100, b"\x22\x00" * 500_000, b"\x22\x7f"],
                         ids=["noise", "half a million empty members", "cut off"])
def test_what_is_no_event(world, event):
    with world.refuses("alice", malformed=1):
        world.liar.pour(world.key("alice"), [event])
        eventually(lambda: "no event of a watch" in (world["alice"].status()["coord"]["last_error"]
                                                     or ""), "the watch is ended")
    assert world["alice"].pings(world.ip("bob")) == 1
    world.restart("alice")


def test_the_cache_is_believed_no_more_than_the_server(world):
    """Whoever can write what alice knew in her last run adds nobody, and changes nobody."""
    alice, spy = world["alice"], Network(NETWORK).member("spy")
    before = set(world.peers("alice"))
    alice.veld("down")
    cache = alice.inside(f"var/lib/veld/networks/{NETWORK}/members")
    raw = cache.read_bytes()
    event = pb.WatchEvent.FromString(raw[4:4 + int.from_bytes(raw[:4], "big")])
    assert len(event.members) == len(before)
    event.members.add(peer=trust.PeerRecord(chain=spy.chain, record=spy.record(b"\x0a\x64\x01\x01")))
    event.members[0].peer.record.signature = bytes(64)
    spoilt = event.SerializeToString()
    cache.write_bytes(len(spoilt).to_bytes(4, "big") + spoilt)
    alice.veld("up", "--network", NETWORK)
    eventually(lambda: alice.status()["coord"]["refused"]["forged"] == 2, "both are refused")
    world.connected("alice")
    eventually(lambda: set(world.peers("alice")) == before, "the server told of all again")
    assert world.liar.asked_from[world.key("alice")] == 0
    assert not any("nobody signed who may" in line for line in alice.status()["health"]), \
        "it is not the server's fault"


def test_what_the_server_says_is_no_terminals_business(world):
    evil = "\x1b[2J\x1b]0;title\x07 all is well\r\n\u202ehealth: fine\u0000"
    world.liar.answers["RegisterMember"] = lambda *_: (grpc.StatusCode.PERMISSION_DENIED, evil)
    world.restart("alice", connected=False)
    eventually(lambda: "all is well" in (world["alice"].status()["coord"]["last_error"] or ""),
               lambda: f"it is told: {world['alice'].status()['coord']}", 10)
    shown = world["alice"].veld("status").stdout
    assert "all is well" in shown
    for text in (shown, world.log("alice")):
        assert all(c.isprintable() or c == "\n" for c in text), text
    world.reaches("alice", world.ip("bob"))
    world.liar.be_honest()
    world.restart("alice")


# ---- Routes ----


def test_routes_that_nobody_meant(world):
    """mallory is let in as a gateway, with more routes than anybody should have."""
    key, net, alice = world.keys["mallory"], world.network, world["alice"]
    good = ["198.51.100.0/24"]
    lans = ["203.0.113.0/24", "203.0.113.0/26", "203.0.112.0/22", "192.168.1.0/24", "192.168.0.0/16",
            "192.168.1.128/25"]
    gateway = net.member("gateway", key, routes=[prefix(r) for r in good + lans])
    ipv4 = world.liar.lease(b"gateway")

    def record(routes, chain=gateway.chain):
        member = Member(net, key, "gateway", chain)
        return trust.PeerRecord(chain=chain, record=member.record(
            ipv4, endpoints=[f"{MALLORY_IP}:{PORT}"], routes=[prefix(r) for r in routes]))

    any_route = net.chain(key, "gateway", routes=[prefix("0.0.0.0/0"), prefix("::/0")])
    inside = net.chain(key, "gateway", routes=[prefix("10.100.0.0/24")])
    malformed = [record(["0.0.0.0/0"]), record(["0.0.0.0/1", "128.0.0.0/1"]), record(["::/0"]),
                 record(["2000::/3"]), record([], any_route), record(["127.0.0.0/8"])]
    forged = [record(["192.0.2.0/24"]), record(["198.51.0.0/16"]), record(["10.100.0.0/24"], inside),
              # The server's own addition to what mallory signed.
              trust.PeerRecord(chain=gateway.chain, record=trust.Signed(
                  body=record(lans).record.body, signer=key.public,
                  signature=record(good).record.signature))]
    with world.refuses("alice", malformed=len(malformed), forged=len(forged)):
        world.liar.tell(world.key("alice"), members=[pb.Member(peer=p, online=True)
                                                     for p in malformed + forged])
    with world.refuses("alice"):
        world.liar.tell(world.key("alice"), members=[pb.Member(peer=record(good + lans), online=True)])
        eventually(lambda: len(alice.status()["refused_routes"]) == len(lans),
                   lambda: f"refused: {alice.status()['refused_routes']}")
    assert {r["route"]: r["reason"] for r in alice.status()["refused_routes"]} == dict.fromkeys(
        lans, "own_lan")
    eventually(lambda: "198.51.100.0/24" in alice.run("ip", "route", "show", "dev", "veld0").stdout,
               "the one that is meant")
    routes = alice.run("ip", "route", "show", "dev", "veld0").stdout.splitlines()
    assert {line.split()[0] for line in routes} == {"198.51.100.0/24", "10.100.0.0/16"}

    # What goes where: mallory gets what is sent to its own network, and nothing else.
    marker = os.urandom(16).hex()
    wrong = Tap(world.mallory)
    targets = ["192.168.1.77", "192.168.1.200", "192.168.44.1", "203.0.113.200", "203.0.112.9",
               "8.8.8.8", world.ip("bob"), "198.51.100.7"]
    alice.run("/usr/bin/python3", "-c", SAY, marker, *targets)
    eventually(lambda: wrong.has(f"{marker} 198.51.100.7".encode()), "what is meant arrives", 10)
    time.sleep(0.3)
    wrong.close()
    for target in targets[:-1]:
        assert not wrong.has(f"{marker} {target};".encode()), target


def test_a_relay_that_nobody_meant(world):
    """mallory is let in, offers to relay, and names whom it is found through."""
    key, net, alice = world.keys["mallory"], world.network, world["alice"]
    ipv4 = world.liar.lease(b"middle")
    plain, relay = net.chain(key, "middle"), net.chain(key, "middle", flags=RELAY)

    def record(chain, **fields):
        member = Member(net, key, "middle", chain)
        return trust.PeerRecord(chain=chain, record=member.record(
            ipv4, endpoints=[f"{MALLORY_IP}:{PORT}"], **fields))

    others = [world.key("alice"), world.key("bob"), world.key("carol")]
    malformed = [record(relay, relays=[key.public]), record(relay, relays=others[:1] * 2),
                 record(relay, relays=others), record(relay, relays=[b"\xff" * 31])]
    forged = [record(plain, relay=True),
              # Allowed, and not by whom a token is from.
              record(net.chain(key, "middle", by=net.token(), flags=RELAY), relay=True)]
    with world.refuses("alice", malformed=len(malformed), forged=len(forged)):
        world.liar.tell(world.key("alice"), members=[pb.Member(peer=p, online=True)
                                                     for p in malformed + forged])
    seen = lambda: (world.peers("alice").get(key.public) or {}).get("relays")
    with world.refuses("alice"):
        world.liar.tell(world.key("alice"), members=[pb.Member(peer=record(plain), online=True)])
        eventually(lambda: seen() is False, lambda: f"a member, and no relay: {alice.status()['peers']}")
        world.liar.tell(world.key("alice"), members=[pb.Member(
            peer=record(relay, relay=True, relays=others[1:]), online=True)])
        eventually(seen, lambda: f"a relay: {alice.status()['peers']}")
        # Its last call counts before its record, and a later record before the call.
        middle = Member(net, key, "middle", relay)

        def is_found_through(keys):
            shown = lambda: {base64.b64decode(k) for k in world.peers("alice")[key.public]["homes"]}
            eventually(lambda: shown() == set(keys), lambda: f"{shown()}, not {keys}")

        is_found_through(others[1:])
        said = trust.Signal(sequence=time.time_ns(), call=trust.Call(relays=others[2:]))
        world.liar.tell(world.key("alice"), signals=[pb.Signal(
            **{"from": key.public}, sealed=middle.seal(world.key("alice"), said))])
        is_found_through(others[2:])
        world.liar.tell(world.key("alice"), members=[pb.Member(
            peer=record(relay, relays=others[1:2]), online=True)])
        is_found_through(others[1:2])


# ---- Revocations ----


def test_a_list_of_revocations_that_nobody_signed_who_may(world):
    """Not one of them makes alice turn from bob."""
    net, bob = world.network, world.key("bob")
    admin, carol, mallory = net.admin("admin"), world.member("carol"), world.keys["mallory"]
    by_nobody = Network(NETWORK)
    by_nobody.id = net.id
    true, elsewhere = net.revocations([bob]), Network(NETWORK)
    elsewhere.owner = net.owner  # who signs here what is about the other
    spoilt = trust.RevocationList()
    spoilt.CopyFrom(true)
    spoilt.list.signature = bytes(64)
    signed_by_another = trust.RevocationList(list=signed(mallory, net.owner.public,
                                                         "veld revocations v1", true.list.body))
    as_a_membership = trust.RevocationList(list=net.owner.sign("veld membership v1", true.list.body))
    false_admin = by_nobody.admin("admin2")
    lies = [by_nobody.revocations([bob]), Network(NETWORK).revocations([bob]), spoilt,
            signed_by_another, as_a_membership, net.revocations([bob], by=carol),
            net.revocations([bob], by=false_admin),
            net.revocations([bob], by=admin, owner_list=by_nobody.revocations([])),
            elsewhere.revocations([bob]), net.revocations([bob], epoch=0), net.revocations([bob], epoch=1 << 32)]
    with world.refuses("alice", bad_revocations=len(lies)):
        for lie in lies:
            world.liar.tell(world.key("alice"), revocations=lie)
    assert world["alice"].status()["network"]["revocation_epoch"] == 0
    assert world["alice"].pings(world.ip("bob")) == 1


def test_a_revocation_that_the_server_withholds(world):
    """The owner revokes carol, and the server tells nobody but bob. alice has it from bob."""
    alice, carol, lists = world["alice"], world.key("carol"), []
    for name in ("bob", "carol"):
        world.reaches("alice", world.ip(name))
    revoked = world.network.revocations([carol], epoch=2)
    world.liar.answers["PublishRevocations"] = lambda caller, request, honest: \
        lists.append(request.revocations) or honest
    world.liar.tell(world.key("bob"), revocations=revoked)
    began = time.monotonic()
    eventually(lambda: alice.status()["network"]["revoked"] == 1, "alice knows")
    eventually(lambda: carol not in world.peers("alice"), "and is done with carol")
    assert time.monotonic() - began < 5

    wrong, marker = Tap(world["carol"]), os.urandom(16).hex()
    alice.run("/usr/bin/python3", "-c", SAY, marker, world.ip("carol"))
    assert world["carol"].pings(world.ip("alice"), count=2, interval=0.2, wait=1) == 0
    wrong.close()
    assert not wrong.has(marker.encode()), "what alice says does not come to carol"

    # Nor is she believed to be a member again; not after a restart either.
    earlier = world.network.revocations([], epoch=1)
    lie = dict(members=[world.liar.member(carol, online=True)], revocations=earlier)
    with world.refuses("alice", revoked=1, replayed=1):
        world.liar.tell(world.key("alice"), **lie)
    world["bob"].veld("down")  # nobody tells her again
    world.restart("alice")
    assert alice.status()["network"]["revocation_epoch"] == 2 << 32
    assert carol not in world.peers("alice")
    assert alice.status()["coord"]["refused"]["revoked"] > 0, "the server lists her still"
    world["bob"].veld("up", "--network", NETWORK)
    world.reaches("alice", world.ip("bob"))
