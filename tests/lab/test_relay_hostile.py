"""What strangers, members and a bad network can do to those who relay and are relayed.

    a  192.0.2.1 ---- 192.0.2.2        198.51.100.2 ---- 198.51.100.1  b
                                  r
                              203.0.113.2 ---- 203.0.113.66  mallory

No route leads from a to b. With a bad network, a machine with a shim is between a and r.
"""
import contextlib
import random
import signal
import time

import pytest

from net import PORT, Net, eventually, toml
from shim import Shim

RELAYED = 0xC5
HEADER_SIZE = 16


class World:
    """Machines that know each other by config files, and not all of them where they are."""

    def __init__(self, net, *names):
        self.names = names
        self.m = {name: net.machine(name) for name in names}
        self.key = {name: machine.keygen() for name, machine in self.m.items()}

    def __getitem__(self, name):
        return self.m[name]

    def inner(self, name):
        return f"10.0.0.{self.names.index(name) + 1}"

    def start(self, name, relays, endpoints=None, without="", **keys):
        peers = [dict(name=other, pubkey=self.key[other], vpn_ip=self.inner(other),
                      endpoint=(endpoints or {}).get(other), relay=other in relays)
                 for other in self.names if other != name and other not in without]
        self[name].start(toml(peers, listen_addr=f"0.0.0.0:{PORT}", name=name,
                              vpn_ip=self.inner(name) + "/24", relay=name in relays, **keys))

    def reaches(self, a, b):
        eventually(lambda: self[a].pings(self.inner(b), wait=1), f"{a} reaches {b}", 15)

    def is_relayed(self):
        return all(self[one].peer(other)["path"] == "relay" for one, other in ("ab", "ba"))

    def relaying(self, name="r"):
        return self[name].status()["relaying"]

    def transfer(self, size, timeout=90):
        """By TCP from a to b, whole; how long it took."""
        sink = self["b"].spawn_traffic("sink", self.inner("b"), 9000)
        begun = time.monotonic()
        sent = self["a"].traffic("source", self.inner("b"), 9000, size, timeout=timeout).stdout
        took = time.monotonic() - begun
        assert sink.finish().splitlines()[1] == sent.strip()
        return took


@contextlib.contextmanager
def two_and_a_relay(bad_network=False, **keys):
    with Net() as net, contextlib.ExitStack() as stack:
        world = World(net, "a", "b", "r", "absent")
        if bad_network:
            between = net.machine("between")
            net.wire(world["a"], between, ["192.0.2.1/24"], ["192.0.2.2/24"])
            net.wire(between, world["r"], ["192.0.3.1/24"], ["192.0.3.2/24"])
            world.shim = Shim(between, ("192.0.2.2", PORT), ("192.0.3.2", PORT))
            stack.callback(world.shim.close)
        else:
            net.wire(world["a"], world["r"], ["192.0.2.1/24"], ["192.0.2.2/24"])
        net.wire(world["b"], world["r"], ["198.51.100.1/24"], ["198.51.100.2/24"])
        world.mallory = net.machine("mallory")
        net.wire(world["r"], world.mallory, ["203.0.113.2/24"], ["203.0.113.66/24"])
        world.start("r", "r", **keys)
        world.start("a", "r", {"r": f"192.0.2.2:{PORT}"})
        world.start("b", "r", {"r": f"198.51.100.2:{PORT}"})
        world.reaches("a", "r")
        world.reaches("b", "r")
        world.reaches("a", "b")
        assert world.is_relayed()
        yield world


@pytest.fixture(scope="module")
def world(engine):
    with two_and_a_relay() as made:
        yield made


def relayed_by_a(world):
    """A datagram that a sends b, as r gets it."""
    capture = world["r"].spawn_traffic("capture", "eth0", PORT)
    world.reaches("a", "b")
    try:
        return bytes.fromhex(eventually(
            lambda: [line for line in capture.out().split() if line.startswith("c5")],
            "r is asked to relay")[0])
    finally:
        capture.stop()


def counted(machine, reason, n, before):
    eventually(lambda: machine.drops(reason) == before + n,
               lambda: f"{machine.drops(reason) - before} {reason}, not {n}")


SEND_AS = """
import socket, sys
source, target, port = sys.argv[1], sys.argv[2], int(sys.argv[3])
s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
for line in sys.stdin:
    payload = bytes.fromhex(line)
    udp = b"".join(n.to_bytes(2, "big") for n in (port, port, 8 + len(payload), 0)) + payload
    ip = bytes((0x45, 0)) + (20 + len(udp)).to_bytes(2, "big") + bytes((0, 0, 0, 0, 64, 17, 0, 0))
    s.sendto(ip + socket.inet_aton(source) + socket.inet_aton(target) + udp, (target, 0))
"""


def send_as_a(world, datagrams):
    """From the very port of the daemon of a."""
    world["a"].run("/usr/bin/python3", "-c", SEND_AS, "192.0.2.1", "192.0.2.2", PORT,
                   input="".join(d.hex() + "\n" for d in datagrams))


# ---- Strangers ----

@pytest.mark.both_engines
def test_strangers_cannot_send_through_it(world):
    r, right = world["r"], relayed_by_a(world)
    source, circuit = r.drops("bad_relay_source"), r.drops("unknown_circuit")
    before = world.relaying()["datagrams"]
    chance = random.Random(1)
    number = int.from_bytes(right[4:8], "big")
    guesses = [n for n in (chance.getrandbits(32) for _ in range(300)) if n >> 12 != number >> 12]
    guesses += [number ^ 1 << bit for bit in range(32)]
    fired = [right] * 50 + [right[:4] + n.to_bytes(4, "big") + right[8:] for n in guesses]
    for machine, at in (world.mallory, "203.0.113.2"), (world["b"], "198.51.100.2"):
        assert machine.traffic("fire", at, PORT, input="".join(d.hex() + "\n" for d in fired)
                               ).stdout == "", "never an answer"
    # A guess can be the number of the other direction, which is not theirs either.
    eventually(lambda: r.drops("bad_relay_source") - source + r.drops("unknown_circuit") - circuit
               == 2 * len(fired), "all are counted")
    assert 0 <= r.drops("bad_relay_source") - source - 100 <= 2
    assert world.relaying()["datagrams"] - before < 50, "what a and b say beside"
    world.reaches("a", "b")


# ---- Members ----

@pytest.mark.both_engines
def test_nothing_that_is_relayed_is_relayed_again(world):
    r, right = world["r"], relayed_by_a(world)
    before, relayed = r.drops("bad_relayed_type"), world.relaying()["datagrams"]
    inside = [right,                                         # one more header
              bytes((RELAYED,)) + right[1:4] + bytes(28),    # to nowhere
              bytes((0x00, 0x01)) + bytes(46),               # STUN
              bytes((0xC6, 0, 0, 1)) + bytes(44)]
    send_as_a(world, [right[:HEADER_SIZE] + d for d in inside * 25])
    counted(r, "bad_relayed_type", len(inside) * 25, before)
    assert world.relaying()["datagrams"] - relayed < 50, "what a and b say beside"
    # The same way with what may be relayed arrives, so that the silence above means something.
    replayed = world["b"].drops("replayed")
    send_as_a(world, [right])
    counted(world["b"], "replayed", 1, replayed)


def traffic_of(machine):
    """Bytes received and sent by all its wires."""
    numbers = machine.sh("for i in /sys/class/net/eth*; do "
                         "cat $i/statistics/rx_bytes $i/statistics/tx_bytes; done").stdout.split()
    return sum(map(int, numbers[::2])), sum(map(int, numbers[1::2]))


@pytest.mark.both_engines
def test_no_more_comes_out_than_goes_in(world):
    before = traffic_of(world["r"])
    world.transfer(3_000_000)
    received, sent = (now - was for now, was in zip(traffic_of(world["r"]), before))
    assert received > 3_000_000
    assert sent <= 1.01 * received, f"{sent} for {received}"
    assert world.is_relayed()


@pytest.mark.both_engines
def test_it_has_nothing_of_what_passes_on_its_interface(world):
    """What the tunnel of b gives out, that of r does not."""
    at = {name: world[name].spawn_traffic("capture", "veld0", 9100) for name in "br"}
    world["a"].traffic("fire", world.inner("b"), 9100, input=b"for b only".hex() + "\n")
    eventually(lambda: b"for b only".hex() in at["b"].out(), "b gets it")
    for capture in at.values():
        capture.stop()
    assert at["r"].out() == "ready\n"


def test_a_circuit_that_is_asked_for_and_never_used_ends():
    with two_and_a_relay() as world:
        eventually(lambda: not world["a"].pings(world.inner("absent"), wait=1) and
                   world.relaying()["half_open"] == 1, "a asks", 10)
        world["a"].daemon.kill()
        time.sleep(20)
        assert world.relaying()["half_open"] == 1
        eventually(lambda: world.relaying()["half_open"] == 0, "it ends", 15)


def test_two_relays_in_a_row_are_no_path_and_no_loop():
    """a - r - s - b: who reaches a relay by another one does not ask it to relay."""
    with Net() as net:
        world = World(net, "a", "b", "r", "s")
        for n, (one, other) in enumerate(("ar", "rs", "sb")):
            net.wire(world[one], world[other], [f"192.0.{n}.1/24"], [f"192.0.{n}.2/24"])
        world.start("r", "rs", {"s": f"192.0.1.2:{PORT}"})
        world.start("s", "rs", {"r": f"192.0.1.1:{PORT}"})
        world.start("a", "rs", {"r": f"192.0.0.2:{PORT}"})
        world.start("b", "rs", {"s": f"192.0.2.1:{PORT}"})
        for pair in "ar", "rs", "sb":
            world.reaches(*pair)
        world.reaches("a", "s")
        assert world["a"].peer("s")["path"] == "relay"
        assert world["a"].pings(world.inner("b"), count=8, wait=1) == 0
        assert world["a"].peer("b")["path"] == "-"
        assert world["s"].peer("a")["path"] == "relay"
        assert all(world.relaying(name)["circuits"] <= 1 for name in "rs"), "a to s, r to b"
        passed = [world.relaying(name)["datagrams"] for name in "rs"]
        before = [traffic_of(world[name])[1] for name in "rs"]
        ping = world["a"].spawn("ping", "-i", "0.2", world.inner("b"))
        time.sleep(4)
        ping.stop(signal.SIGINT)
        after = [traffic_of(world[name])[1] for name in "rs"]
        assert all(b - a < 30_000 for a, b in zip(before, after)), f"{before} {after}"
        assert all(world.relaying(name)["datagrams"] - n < 50 for name, n in zip("rs", passed))


def test_a_farther_relay_is_asked_when_the_nearest_refuse():
    """r, s and t do not know b; a shim before u delays."""
    with Net() as net, contextlib.ExitStack() as stack:
        world = World(net, *"abrstu")
        at = {"u": f"192.0.3.2:{PORT}"}
        for n, relay in enumerate("rst"):
            net.wire(world["a"], world[relay], [f"192.0.{n}.1/24"], [f"192.0.{n}.2/24"])
            at[relay] = f"192.0.{n}.2:{PORT}"
        between = net.machine("between")
        net.wire(world["a"], between, ["192.0.3.1/24"], ["192.0.3.2/24"])
        net.wire(between, world["u"], ["192.0.4.1/24"], ["192.0.4.2/24"])
        shim = Shim(between, ("192.0.3.2", PORT), ("192.0.4.2", PORT))
        stack.callback(shim.close)
        shim("set", "delay", 20)
        net.wire(world["b"], world["u"], ["198.51.100.1/24"], ["198.51.100.2/24"])
        for relay in "rstu":
            world.start(relay, "rstu", without="" if relay == "u" else "b")
        world.start("a", "rstu", at)
        world.start("b", "u", {"u": f"198.51.100.2:{PORT}"})
        world.reaches("b", "u")
        for relay in "rstu":
            world.reaches("a", relay)
        world.reaches("a", "b")
        assert world["a"].peer("b")["relay"] == "u"


def test_relays_do_not_ask_each_other_for_whom_they_call_for_others():
    """One request would make all of a network's relays call an absent member."""
    with Net() as net:
        world = World(net, "a", "r", "s", "absent")
        for n, (one, other) in enumerate(("ar", "rs", "as")):
            net.wire(world[one], world[other], [f"192.0.{n}.1/24"], [f"192.0.{n}.2/24"])
        world.start("r", "rs", {"s": f"192.0.1.2:{PORT}"})
        world.start("s", "rs", {"r": f"192.0.1.1:{PORT}"})
        world.start("a", "rs", {"r": f"192.0.0.2:{PORT}", "s": f"192.0.2.2:{PORT}"})
        for pair in "ar", "rs", "as":
            world.reaches(*pair)
        ping = world["a"].spawn("ping", world.inner("absent"))
        eventually(lambda: all(world.relaying(name)["half_open"] for name in "rs"), "both are asked")
        time.sleep(2)
        ping.stop(signal.SIGINT)
        assert [world.relaying(name)["half_open"] for name in "rs"] == [1, 1], "a's"
        assert [world[name].status()["reach"]["circuits"] for name in "rs"] == [0, 0]


# ---- A bad network ----

@pytest.fixture(scope="module")
def bad():
    with two_and_a_relay(bad_network=True) as made:
        yield made


@pytest.mark.parametrize("settings", [
    dict(loss=5), dict(reorder=5), dict(duplicate=5), dict(corrupt=2), dict(delay=20, jitter=20),
    dict(loss=3, reorder=5, duplicate=5, corrupt=1, delay=2),
], ids=lambda s: "-".join(f"{k}{v}" for k, v in s.items()))
def test_tcp_survives_a_relay_that_is_bad(bad, settings):
    before = bad.shim("stats")["in"]
    for key, value in settings.items():
        bad.shim("set", key, value)
    try:
        bad.transfer(1_000_000)
    finally:
        for key in settings:
            bad.shim("set", key, 0)
    after = bad.shim("stats")["in"]
    for key, name in dict(loss="lost", reorder="reordered", duplicate="duplicated",
                          corrupt="corrupted").items():
        assert key not in settings or after[name] > before[name]
    assert bad.is_relayed()


@pytest.mark.alone
def test_no_more_than_its_rate_passes():
    with two_and_a_relay(relay_rate=20) as world:  # Mbit/s
        took = world.transfer(10_000_000)
        assert 3.5 < took < 8, f"10 MB in {took:.1f} s: more than the rate, or half of it"
        assert world["r"].drops("relay_rate_limited") > 0
