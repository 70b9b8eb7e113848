"""A network that loses, reorders, duplicates, and an attacker on the way.

    machine-a  ------------------  middle  ------------------  machine-b
      eth0 1.2.3.1    1.2.3.2 eth0     eth1 1.2.4.2    1.2.4.4 eth0
                         shim: 1.2.3.2:51820 -> 1.2.4.4:51820

a knows b as 1.2.3.2; b learns a's address from the handshake.
"""
import time

import pytest

from net import DAEMON, PORT, VELD, Net, eventually
from pair import Pair
from shim import Shim


@pytest.fixture
def path():
    assert VELD.exists() and DAEMON.exists(), f"no {DAEMON}: run tools/build"
    with Net() as net:
        pair = Pair(net, wired=False)
        middle = net.machine("middle")
        net.wire(pair.a, middle, ["1.2.3.1/24"], ["1.2.3.2/24"])
        net.wire(middle, pair.b, ["1.2.4.2/24"], ["1.2.4.4/24"])
        shim = Shim(middle, ("1.2.3.2", PORT), ("1.2.4.4", PORT))
        pair.note()
        pair.a.start(pair.config(pair.a, peers=[pair.entry(pair.b, endpoint="1.2.3.2:51820")]))
        pair.b.start(pair.config(pair.b, peers=[pair.entry(pair.a, endpoint=None)]))
        pair.connected()
        yield pair, shim
        pair.stop()
        shim.close()


def transfer(pair, size, timeout=60):
    sink = pair.b.spawn_traffic("sink", "10.0.0.2", 9000)
    sent = pair.a.traffic("source", "10.0.0.2", 9000, size, timeout=timeout).stdout
    assert sink.finish().splitlines()[1] == sent.strip()


@pytest.mark.parametrize("settings", [
    dict(loss=5), dict(reorder=5), dict(duplicate=5), dict(loss=5, reorder=5, duplicate=5, delay=2),
], ids=lambda s: "-".join(f"{k}{v}" for k, v in s.items()))
def test_tcp_survives(path, settings):
    pair, shim = path
    for key, value in settings.items():
        shim("set", key, value)
    transfer(pair, 2_000_000)
    stats = shim("stats")["in"]
    for key in settings.keys() - {"delay"}:
        assert stats[{"loss": "lost", "reorder": "reordered", "duplicate": "duplicated"}[key]] > 0
    if "duplicate" in settings:
        eventually(lambda: pair.b.drops("replayed") > 0, "a duplicate is counted as replayed")
    assert pair.b.drops("bad_tag") == 0


def sent_by_b(shim):
    """Of Veld's own types; a STUN request is answered as often as it comes."""
    return {kind: n for kind, n in shim("types")["out"].items() if kind.startswith("0xc")}


def quiet(shim, seconds=2.5):
    """Wait until neither has had anything of its own to say for so long: what each tells the
    other at first (candidates, STUN, ports of lanes) comes up to 2 s after the handshake."""
    def passed():
        return [direction["passed"] for direction in shim("stats").values()]

    def unchanged():
        before = passed()
        time.sleep(seconds)
        return passed() == before
    eventually(unchanged, "nobody talks", 20)


def test_replayed_datagrams_are_dropped(path):
    """Real datagrams once more, from the same address: data, and the handshake's."""
    pair, shim = path
    pair.a.pings("10.0.0.2", count=5, interval=0.05)
    quiet(shim)
    received = pair.b.peer("machine-a")["rx_packets"]
    drops = pair.b.status()["drops"]
    out = sent_by_b(shim)
    again = shim("again", "in")
    assert again["types"]["0xc1"] >= 1 and again["types"]["0xc4"] >= 6
    eventually(lambda: pair.b.drops("replayed") - drops["replayed"] == again["types"]["0xc4"],
               "each replayed data datagram is counted")
    assert pair.b.drops("stale_initiation") - drops["stale_initiation"] == again["types"]["0xc1"]
    assert pair.b.peer("machine-a")["rx_packets"] == received, "none is delivered"
    assert sent_by_b(shim) == out, "none is answered"
    pair.connected()


# how the attacker alters real datagrams -> reasons for data, of which one per lane width
ALTERED = [("flip-body", {"bad_tag"}), ("flip-counter", {"bad_tag", "replayed"}),
           ("flip-lane", {"bad_tag", "bad_lane", "replayed"}), ("truncate", {"bad_tag", "runt"}),
           ("extend", {"bad_tag"})]


@pytest.mark.parametrize("how, reasons", ALTERED)
def test_altered_datagrams_are_dropped(path, how, reasons):
    pair, shim = path
    # Kept back from b, so that no altered one is dropped as a mere replay.
    shim("set", "loss", 100)
    shim("forget")
    pair.a.pings("10.0.0.2", count=5, interval=0.05, wait=1)
    received = pair.b.peer("machine-a")["rx_packets"]
    before = pair.b.status()["drops"]
    sent = shim("again", "in", how)["types"].get("0xc4", 0)
    assert sent >= 5

    def counted():
        now = pair.b.status()["drops"]
        return sum(now[r] - before[r] for r in reasons)
    eventually(lambda: counted() >= sent, lambda: f"{sent} altered datagrams counted: {counted()}")
    assert pair.b.peer("machine-a")["rx_packets"] == received, "none is delivered"
    # The window did not move for a forgery: the true ones are still welcome.
    shim("set", "loss", 0)
    shim("again", "in")
    eventually(lambda: pair.b.peer("machine-a")["rx_packets"] >= received + 5, "true ones arrive")
    # The first answer may be lost: the shim sends it to the port of a lane, when that spoke last.
    pair.connected()
