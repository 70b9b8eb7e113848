"""A member that wants others to be hit by what alice sends: every second it signs another record,
and it calls as often as it may, each time from other addresses. hostile_world.py says who is there.

    alice 203.0.113.11 ------- victim 203.0.113.200, .101, .102, ...       eve has no machine
"""
import itertools
import json
import time

import pytest

pytest.importorskip("grpc")

from hostile_coord import pb, trust  # noqa: E402
from hostile_world import World  # noqa: E402
from net import PORT, Net, eventually  # noqa: E402
from trusting import endpoint  # noqa: E402

SECONDS = 8
INSIDE = "10.100.77.77"
NO_ADDRESS = ["127.0.0.1", "224.0.0.1", "255.255.255.255", "0.0.0.0"]
FILTERED = [f"{a}:{PORT}" for a in ("203.0.113.255", "203.0.113.11", INSIDE)]
# docs/NAT.md: an initiation goes to at most 14 addresses, every 5 s, and for new ones eight times
# more in an attempt of 90 s.
ADDRESSES, RETRY_S, HURRIES = 14, 5, 8
SENT = """
table ip sent {
    set to {
        type ipv4_addr . inet_service
        flags dynamic
        counter
    }
    chain out {
        type filter hook output priority 0
        udp sport 51820 add @to { ip daddr . udp dport counter }
    }
}
"""


@pytest.fixture
def world():
    with Net() as net:
        world = World(net, ["alice"])
        world.enter("alice")
        world.connected("alice")
        victim = world.attach("victim", "203.0.113.200")
        victim.sh("for i in $(seq 101 199); do ip addr add 203.0.113.$i/24 dev eth0; done")
        yield world
        world.stop()
        world.liar.close()


def sent(alice):
    """How many datagrams left for each address and port."""
    listed = json.loads(alice.run("nft", "-j", "list", "set", "ip", "sent", "to").stdout)
    return {"{}:{}".format(*e["elem"]["val"]["concat"]): e["elem"]["counter"]["packets"]
            for e in listed["nftables"][1]["set"].get("elem", [])}


def test_a_member_that_names_others_all_the_time(world):
    alice, key = world["alice"], world.key("alice")
    eve = world.network.member("eve", not_before=int(time.time()) - 1000)
    numbers = itertools.count()

    def victims():
        return [f"203.0.113.{101 + next(numbers) % 99}:{1024 + next(numbers) % 60000}" for _ in range(8)]

    def tell_record(endpoints):
        record = eve.record(world.liar.lease(eve.key.public), endpoints=endpoints)
        world.liar.tell(key, members=[pb.Member(peer=trust.PeerRecord(
            chain=eve.chain, record=record), online=True)])

    def call(endpoints):
        message = trust.Signal(sequence=time.time_ns(),
                               call=trust.Call(endpoints=[endpoint(e) for e in endpoints]))
        world.liar.tell(key, signals=[pb.Signal(**{"from": eve.key.public},
                                                sealed=eve.seal(key, message))])

    alice.run("nft", "-f", "-", input=SENT)
    nowhere = [[f"{a}:{PORT}"] for a in NO_ADDRESS]
    with world.refuses("alice", malformed=1 + len(nowhere)):
        for endpoints in [victims() + victims()[:1], *nowhere]:
            tell_record(endpoints)
    tell_record(FILTERED)
    eventually(lambda: eve.key.public in world.peers("alice"), "eve is a member")
    with world.refuses("alice", signal_forged=1 + len(nowhere)):
        for endpoints in [victims() + victims()[:1], *nowhere]:
            call(endpoints)
    call(FILTERED)
    began, true = time.monotonic(), set()
    while time.monotonic() - began < SECONDS:
        for tell in (tell_record, call, call, call, call):
            true |= set(named := victims())
            tell(named)
            time.sleep(0.2)
    took, to = time.monotonic() - began, sent(alice)
    alice.run("nft", "delete", "table", "ip", "sent")
    asks = f"203.0.113.1:{50051}"  # STUN
    assert set(to) - {asks} <= true, "nothing to what cannot be a peer's address"
    hits = sum(n for at, n in to.items() if at != asks)
    assert 0 < hits <= ADDRESSES * (took / RETRY_S + 1 + HURRIES), hits
