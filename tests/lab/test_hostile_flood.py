"""A coord server that has more to say than anybody listens to."""
import re
import threading
import time
from contextlib import contextmanager

import pytest

pytest.importorskip("grpc")

from coord import NETWORK  # noqa: E402
from hostile_coord import pb, trust  # noqa: E402
from hostile_world import World  # noqa: E402
from net import eventually  # noqa: E402
from trusting import Network  # noqa: E402

KEPT = 16384  # members of a network, in one machine


@pytest.fixture
def flooded(net):
    world = World(net, ["alice", "bob"])
    for name in ("alice", "bob"):
        world.enter(name)
    world.connected()
    world.reaches("alice", world.ip("bob"))
    yield world
    world.liar.be_honest()
    world.stop()
    world.liar.close()


@contextmanager
def answers_meanwhile(world, command, memory_kb):
    """alice's daemon answers at once, she talks to bob, and takes no more memory than that."""
    alice, ended, slow, seen = world["alice"], threading.Event(), [], []
    stat = alice.inside(f"proc/{alice.status()['pid']}/status")

    def resident():
        return int(re.search(r"VmRSS:\s+(\d+)", stat.read_text())[1])

    def look():
        while not ended.wait(0.05):
            began = time.monotonic()
            alice.veld(*command)
            slow.append(time.monotonic() - began)
            seen.append(resident())

    before, thread = resident(), threading.Thread(target=look)
    thread.start()
    yield
    answered = alice.pings(world.ip("bob"), count=10, interval=0.05, wait=1)
    ended.set()
    thread.join()
    assert answered >= 9, "who talks goes on talking"
    slow.sort()
    assert len(slow) > 3 and slow[-1] < 3 and slow[len(slow) * 19 // 20] < 1, \
        f"answers take {slow[-1]} s"
    assert max(seen) - before < memory_kb, f"{before} kB of memory became {max(seen)}"


@pytest.mark.alone
def test_a_million_records_that_nobody_signed(flooded):
    """As much as there is, each time that alice comes back: she hears a thousand, and pauses."""
    alice, key, other = flooded["alice"], flooded.key("alice"), Network(NETWORK)
    spam = other.member("spam")
    lie = pb.Member(peer=trust.PeerRecord(chain=spam.chain, record=spam.record(b"\x0a\x64\x01\x01")))
    event = pb.WatchEvent(members=[lie] * 1500, revision=2**40).SerializeToString()
    assert len(event) < 1 << 20
    flooded.liar.opening = lambda to: [event] * 700 if to == key else flooded.liar.everything(to)
    before, watches = alice.status()["coord"], flooded.liar.calls.count("Watch")
    with answers_meanwhile(flooded, ["status"], 64 << 10):
        flooded.liar.pour(key, [event] * 700)
        eventually(lambda: alice.status()["coord"]["refused"]["forged"] > 3000, "it is refused", 20)
        time.sleep(4)
    now = alice.status()
    assert flooded.liar.calls.count("Watch") - watches <= 5, "the pauses grow"
    assert now["coord"]["refused"]["forged"] < before["refused"]["forged"] + 5 * 10_000
    assert now["coord"]["revision"] == before["revision"]
    assert now["network"]["members"] == 2, "with itself"
    assert any("sends too much that does not verify" in line for line in now["health"])


@pytest.mark.alone
def test_more_members_than_are_kept(flooded):
    """The server has a friend with a token for any number of uses: more members that hold than
    fit, then the same again and again, then a million times that they come or go."""
    alice, key, net = flooded["alice"], flooded.key("alice"), flooded.network
    token, events, keys = net.token(uses=0), [], []
    for first in range(0, KEPT + 616, 1000):
        event = pb.WatchEvent(synced=True, revision=2**40)
        for i in range(first, first + 1000):
            m = net.member(f"m{i}", by=token)
            keys.append(m.key.public)
            event.members.add(online=True, peer=trust.PeerRecord(
                chain=m.chain, record=m.record((0x0a640400 + i).to_bytes(4, "big"))))
        events.append(event.SerializeToString())
    with answers_meanwhile(flooded, ["ping", "bob"], 200 << 10):
        flooded.liar.pour(key, events * 60)
        eventually(lambda: alice.status()["coord"]["refused"]["too_many"] > 616,
                   lambda: f"they come: {alice.status()['coord']}", 60, 1)
        time.sleep(2)
        flooded.liar.pour(key, presence(keys) * 60)
        time.sleep(2)
        flooded.liar.pour(key, presence(keys)[:1])
        eventually(lambda: alice.status()["network"]["online"] == 2, "all but alice and bob went")
    assert alice.status()["network"]["members"] == KEPT + 1, "with itself"


def presence(keys):
    """Everybody goes, and is back."""
    return [pb.WatchEvent(synced=True, revision=2**40, presence=[
        pb.Presence(member=k, online=online) for k in keys]).SerializeToString()
            for online in (False, True)]
