"""Attacks with what was seen on the wire, with floods, and by a peer.

    machine-a  ----  machine-b  ----  mallory
      1.2.3.1     1.2.3.4   192.0.2.4   192.0.2.66
"""
import ipaddress
import random
import signal
import struct
import time

import pytest

from net import BUILD, DAEMON, PORT, eventually
from pair import INNER, OUTER


# What leaves the machine that runs all of the lab something to answer with; bench/flood has more.
KNOCKS_PER_S = 30_000


@pytest.fixture
def mallory(pair):
    mallory = pair.net.machine("mallory")
    pair.net.wire(pair.b, mallory, ["192.0.2.4/24"], ["192.0.2.66/24"])
    return mallory


@pytest.fixture
def seen(pair, mallory):
    """All that a sends to b: an initiation, a confirmation, some pings; b and a know each other."""
    pair.note()
    capture = pair.b.spawn_traffic("capture", "eth0", PORT)
    pair.b.start(pair.config(pair.b))  # first, so that it gets each initiation of a
    pair.a.start(pair.config(pair.a))
    assert pair.a.pings("10.0.0.2", count=5, interval=0.05) >= 4
    capture.stop()
    lines = capture.out().split()[1:]
    assert [line for line in lines if line.startswith("c1")] and len(lines) > 5
    return lines


def fire(mallory, lines):
    return mallory.traffic("fire", "192.0.2.4", PORT, input="\n".join(lines) + "\n").stdout.split()


@pytest.mark.both_engines
def test_what_was_seen_sent_again_from_elsewhere(pair, mallory, seen):
    """Neither the endpoint moves, nor is anything answered, nor does the tunnel notice."""
    before, peer = pair.b.status()["drops"], pair.b.peer("machine-a")
    assert fire(mallory, seen) == []
    now = pair.b.status()["drops"]
    initiations = sum(line.startswith("c1") for line in seen)
    assert now["stale_initiation"] - before["stale_initiation"] == initiations
    data = sum(line.startswith("c4") for line in seen)
    assert now["replayed"] - before["replayed"] == data
    after = pair.b.peer("machine-a")
    assert after["endpoint"] == peer["endpoint"] == f"{OUTER[4][0]}:{PORT}"
    assert (after["rx_packets"], after["last_handshake"]) == \
        (peer["rx_packets"], peer["last_handshake"])
    assert pair.a.pings("10.0.0.2", count=3, interval=0.05, wait=1) == 3


def test_what_was_seen_sent_again_after_a_restart(pair, mallory, seen):
    """b has forgotten a's timestamps: it answers once, not at length, and believes nothing."""
    pair.a.daemon.kill()
    pair.b.daemon.kill()
    pair.b.start()
    answers = fire(mallory, seen)
    initiations = sum(line.startswith("c1") for line in seen)
    assert len(answers) <= initiations, "no more answers than questions"
    assert all(len(answer) // 2 <= 104 for answer in answers), "and none longer"
    assert pair.b.drops("unknown_index") >= sum(line.startswith("c4") for line in seen)
    peer = pair.b.peer("machine-a")
    assert peer["rx_packets"] == 0 and peer["endpoint"] == f"{OUTER[4][0]}:{PORT}"
    pair.a.start()
    began = time.monotonic()
    eventually(lambda: pair.a.pings("10.0.0.2", wait=1), "a is let in", 5)
    assert time.monotonic() - began < 3
    assert pair.b.peer("machine-a")["endpoint"] == f"{OUTER[4][0]}:{PORT}"


@pytest.fixture
def knock(pair, mallory):
    """knock(SECONDS, "good" or "bad"): initiations to b from 20,000 false addresses."""
    pair.b.sh("ip route add default via 192.0.2.66")
    mallory.sh("ip route add blackhole 198.18.0.0/15")
    pair.start().connected()

    def start(seconds, mac1):
        flood = mallory.spawn(BUILD / "bench/bench-flood", "192.0.2.4", PORT, pair.keys[pair.b],
                              seconds, mac1, KNOCKS_PER_S)
        eventually(lambda: "ready" in flood.out(), "the flood begins")
        return flood
    return start


@pytest.mark.alone
def test_a_peer_connects_while_strangers_knock(pair, knock):
    """Initiations with a right mac1: cookies tell them from a's."""
    flood = knock(10, "good")
    answered = pair.a.pings("10.0.0.2", count=20, interval=0.05, wait=1)
    assert answered >= 17, f"{answered} of 20: the established session hardly notices"
    pair.a.stop()
    pair.a.start()
    eventually(lambda: pair.a.pings("10.0.0.2", wait=1), "a new handshake", 8)
    assert flood.running(), "and that during the flood"
    counters = pair.b.status()["counters"]
    assert counters["cookies_sent"] > 0, "b was under load"
    # Each is answered by one cookie reply at most, which is shorter.
    assert counters["cookies_sent"] <= counters["datagrams_received"]
    assert pair.b.drops("cookie_required") > counters["cookies_sent"], "most end in the worker"
    assert int(flood.finish().split()[-1]) > 10_000
    assert pair.a.pings("10.0.0.2", count=5, interval=0.05) == 5


@pytest.mark.alone
def test_a_flood_of_bad_mac1_is_counted_and_no_more(pair, knock):
    flood = knock(2, "bad")
    answered = pair.a.pings("10.0.0.2", count=20, interval=0.05, wait=1)
    assert answered >= 17, f"{answered} of 20: the established session hardly notices"
    sent = int(flood.finish().split()[-1])
    status = pair.b.status()
    assert sent > 10_000 and sent / 20 < status["drops"]["bad_mac1"] <= sent
    assert status["counters"]["cookies_sent"] == 0, "nobody is asked for a cookie on their account"
    assert status["drops"]["control_queue_full"] == 0


@pytest.mark.both_engines
def test_killed_at_any_moment_leaves_nothing(pair):
    """20 times at a random moment of its start or of its run; pair's end checks what is left."""
    pair.start().connected()
    chance = random.Random(7)
    config = pair.a.dir / "config.toml"
    pair.a.daemon.kill()
    for _ in range(20):
        daemon = pair.a.spawn(DAEMON, "--config", config, "--foreground")
        time.sleep(chance.choice([0, 0.005, 0.02, 0.05, 0.2]) * chance.random() * 2)
        daemon.send_signal(signal.SIGKILL)
        daemon.wait()
        assert "ERROR" not in daemon.err() and "damaged" not in daemon.err(), daemon.err()
    pair.a.start()
    pair.connected()


def ip_packet(source, target, *, fragment=0, identification=1):
    """UDP to port 9 with 16 bytes of payload; `fragment`: the IPv4 flags and offset."""
    source, target = ipaddress.ip_address(source), ipaddress.ip_address(target)
    udp = struct.pack("!HHHH", 9, 9, 24, 0) + b"x" * 16
    if source.version == 6:
        return (struct.pack("!IHBB", 6 << 28, len(udp), 17, 64) + source.packed + target.packed +
                udp).hex()
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(udp), identification, fragment, 64, 17, 0) + \
        source.packed + target.packed
    total = sum(struct.unpack("!10H", head))
    total = (total & 0xffff) + (total >> 16)
    total = (total & 0xffff) + (total >> 16)
    return (head[:10] + struct.pack("!H", total ^ 0xffff) + head[12:] + udp).hex()


FALSE4 = ["10.0.0.99", "10.0.0.2", "224.0.0.1", "255.255.255.255", "127.0.0.1", "0.0.0.0",
          "1.2.3.1"]
FALSE6 = ["fd0a::99", "fd0a::2", "ff02::1", "::1", "::", "fe80::1", "::10.0.0.1"]


@pytest.mark.both_engines
def test_a_peer_speaks_as_anybody(up):
    """Raw packets out of a's tunnel, whole and in fragments, from addresses that are not a's."""
    up.connected()
    lines = [ip_packet(source, INNER[4][1], fragment=fragment)
             for source in FALSE4 for fragment in (0, 0x2000, 0x0001, 0x2001)]
    lines += [ip_packet(source, INNER[6][1]) for source in FALSE6]
    counters, before = up.b.status()["counters"], up.b.drops("bad_inner_source")
    up.a.traffic("inject", "veld0", input="\n".join(lines) + "\n")
    eventually(lambda: up.b.drops("bad_inner_source") - before == len(lines), "each is counted")
    assert up.b.status()["counters"]["packets_to_tun"] == counters["packets_to_tun"]
    # The same from the true addresses is let in, so the silence above means something.
    up.a.traffic("inject", "veld0", input="\n".join(
        ip_packet(INNER[v][0], INNER[v][1]) for v in (4, 6)) + "\n")
    eventually(lambda: up.b.status()["counters"]["packets_to_tun"] >=
               counters["packets_to_tun"] + 2, "true ones arrive")


def test_link_local_endpoints(pair):
    """Both reach each other by addresses that mean something on eth0 only."""
    def link_local(machine):
        out = machine.sh("ip -6 -o addr show dev eth0 scope link").stdout
        return f"[{out.split()[3].split('/')[0]}%eth0]:{PORT}"
    for machine in (pair.a, pair.b):
        eventually(lambda: "fe80" in machine.sh("ip -6 -o addr show dev eth0 scope link").stdout,
                   "a link-local address")
    a, b = pair.a, pair.b
    pair.start(pair.config(a, [pair.entry(b, endpoint=link_local(b))], listen_addr="[::]:51820"),
               pair.config(b, [pair.entry(a, endpoint=link_local(a))], listen_addr="[::]:51820"))
    pair.connected()
    assert b.pings("fd0a::1") == 1
    assert b.peer("machine-a")["endpoint"] == link_local(a)
    eventually(lambda: "%eth0" in a.run(
        "cat", "/var/lib/veld/endpoints.json", check=False).stdout, "remembered")
    a.daemon.kill()  # by what it remembers on disk, scope and all
    a.start(pair.config(a, [pair.entry(b, endpoint=None)], listen_addr="[::]:51820"))
    pair.connected(10)
