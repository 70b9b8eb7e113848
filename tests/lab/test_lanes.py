"""Lanes: workers, steering, and ports of their own.

    machine-a, two workers                       machine-b, two workers
      eth0 1.2.3.1  --------------------------  eth0 1.2.3.4
      veld0 10.0.0.1                             veld0 10.0.0.2
"""
import collections
import contextlib

import pytest

from net import PORT, eventually
from shim import Shim

UDP = 7000


@pytest.fixture
def lanes(pair):
    """Two workers a side, connected; flows on both lanes of a to b, which go on."""
    pair.start(*(pair.config(m, workers=2) for m in (pair.a, pair.b))).connected()
    return pair


@contextlib.contextmanager
def flows(pair, count=24, answer="udp-echo"):
    """Flows from a to b and back, a datagram every 50 ms each; over two queues they spread."""
    echo = pair.b.spawn_traffic(answer, "10.0.0.2", UDP)
    chat = pair.a.spawn_traffic("chat", "10.0.0.2", UDP, count, 30)
    try:
        yield chat
    finally:
        chat.stop()
        echo.stop()


def seen(machine, seconds=0.5):
    """Data datagrams that come in to a machine: how many of each (source port, lane)."""
    counts = collections.Counter()
    for line in machine.traffic("lanes", "eth0", seconds).stdout.splitlines():
        source, target, lane, count = map(int, line.split())
        assert target == PORT, "nothing is sent to a lane's own port"
        counts[source, lane] += count
    return counts


def ports(machine, lane):
    return {port for port, of in seen(machine) if of == lane}


def own_port(machine, worker=1):
    return machine.status()["workers"][worker]["own_port"]


def moved(machine):
    """Whether the log tells of a peer that moved."""
    return "moved to" in machine.daemon.err()


@pytest.mark.both_engines
def test_each_lane_has_its_worker_and_its_port(lanes):
    """Both workers send and receive; lane 1 leaves by its own port once that is proved."""
    with flows(lanes) as chat:
        eventually(lambda: lanes.a.peer("machine-b")["lane_ports"] == 1 and
                   lanes.b.peer("machine-a")["lane_ports"] == 1, "ports are proved both ways")
        for here, there in ((lanes.a, lanes.b), (lanes.b, lanes.a)):
            port = own_port(there)
            assert port not in (0, PORT) and own_port(there, 0) == 0
            assert set(seen(here)) == {(PORT, 0), (port, 1)}
        before = [m.status() for m in (lanes.a, lanes.b)]
        eventually(lambda: lanes.a.status()["counters"]["datagrams_received"] >
                   before[0]["counters"]["datagrams_received"] + 200, "more traffic")
        for machine, was in zip((lanes.a, lanes.b), before):
            now = machine.status()
            assert now["dataplane"]["lanes_steered"]
            for key in ("datagrams_received", "packets_from_tun", "packets_to_tun"):
                grown = [n[key] - w[key] for n, w in zip(now["workers"], was["workers"])]
                assert min(grown) > 20, f"{machine.name}: both workers have their share of {key}"
            assert not moved(machine), "a lane's port is no new address"
            assert sum(now["drops"].values()) < 10, now["drops"]
        assert chat.stop() == 0


def test_flows_stay_with_their_worker(lanes):
    """One flow uses one worker on each side: answers come back to the queue that asked."""
    with flows(lanes, count=1) as chat:
        eventually(lambda: lanes.b.peer("machine-a")["rx_packets"] > 20, "under way")
        before = [m.status() for m in (lanes.a, lanes.b)]
        eventually(lambda: lanes.b.peer("machine-a")["rx_packets"] > 60, "more of it")
        for machine, was in zip((lanes.a, lanes.b), before):
            now = machine.status()
            carried = [n["packets_from_tun"] - w["packets_from_tun"] +
                       n["packets_to_tun"] - w["packets_to_tun"]
                       for n, w in zip(now["workers"], was["workers"])]
            assert max(carried) > 60 and min(carried) < 10, f"{machine.name}: {carried}"


@pytest.mark.parametrize("a, b", [(1, 3), (64, 3)])
def test_sides_need_not_have_the_same_number(pair, a, b):
    """The fewest workers are the number of lanes; those beyond share one."""
    pair.start(pair.config(pair.a, workers=a), pair.config(pair.b, workers=b)).connected()
    assert len(pair.a.status()["workers"]) == a
    with flows(pair, count=48) as chat:
        if min(a, b) > 1:
            eventually(lambda: pair.a.peer("machine-b")["lane_ports"] >= 1 and
                       pair.b.peer("machine-a")["lane_ports"] >= 1, "ports are proved")
        assert {lane for _, lane in seen(pair.b, 1)} == set(range(min(a, b)))
        assert {port for port, lane in seen(pair.b) if lane == 0} == {PORT}
        assert chat.stop() == 0


FIREWALL = f"""
table inet guard {{
    chain input {{
        type filter hook input priority 0; policy accept;
        iifname eth0 ct state established accept
        iifname eth0 udp dport {PORT} udp sport {PORT} accept
        iifname eth0 udp dport {PORT} counter drop
    }}
}}
"""


def test_a_firewall_that_takes_only_what_it_knows(lanes):
    """b takes datagrams from a's main port alone: all lanes leave by it, nothing is lost."""
    lanes.b.run("nft", "-f", "-", input=FIREWALL)
    with flows(lanes) as chat:
        eventually(lambda: lanes.b.peer("machine-a")["lane_ports"] == 1, "b's port is taken by a")
        eventually(lambda: "packets 3 " in lanes.b.run("nft", "list", "ruleset").stdout,
                   "three pings from a's lane port are refused", 6)
        assert lanes.a.peer("machine-b")["lane_ports"] == 0
        assert set(seen(lanes.b)) == {(PORT, 0), (PORT, 1)}
        assert chat.stop() == 0
    lanes.b.sh("nft flush ruleset")


def test_a_port_that_is_no_longer_taken(lanes):
    """A firewall rises in mid-traffic: lane 1 returns to the main port by itself."""
    with flows(lanes) as chat:
        eventually(lambda: lanes.a.peer("machine-b")["lane_ports"] == 1, "the port is proved")
        lanes.b.run("nft", "-f", "-", input=FIREWALL.replace("ct state established accept", ""))
        eventually(lambda: lanes.a.peer("machine-b")["lane_ports"] == 0, "the main port again", 12)
        assert ports(lanes.b, 1) == {PORT}
    lanes.b.sh("nft flush ruleset")


def test_roaming_with_lane_ports(lanes):
    """a's address changes under traffic on both lanes: b follows it, and ports are proved anew."""
    with flows(lanes) as chat:
        eventually(lambda: lanes.a.peer("machine-b")["lane_ports"] == 1 and
                   lanes.b.peer("machine-a")["lane_ports"] == 1, "ports are proved both ways")
        lanes.a.sh("ip addr del 1.2.3.1/24 dev eth0; ip addr add 1.2.3.9/24 dev eth0")
        eventually(lambda: lanes.b.peer("machine-a")["endpoint"] == f"1.2.3.9:{PORT}", "b follows")
        eventually(lambda: lanes.a.peer("machine-b")["lane_ports"] == 1 and
                   lanes.b.peer("machine-a")["lane_ports"] == 1, "and again")
        assert lanes.a.pings("10.0.0.2", 3, interval=0.1) == 3
        assert own_port(lanes.a) not in {int(p["endpoint"].rsplit(":", 1)[1])
                                         for p in lanes.b.status()["peers"]}
    lanes.a.sh("ip addr del 1.2.3.9/24 dev eth0; ip addr add 1.2.3.1/24 dev eth0")


def test_a_relay_that_answers_who_spoke_last(pair):
    """a's datagrams pass a relay that sends b's to whichever port of a spoke last: one is used.

        machine-a  1.2.3.1 --- relay on a, 1.2.3.1:4500 --- 1.2.3.4  machine-b
    """
    pair.note()
    relay = Shim(pair.a, ("1.2.3.1", 4500), ("1.2.3.4", PORT))
    pair.a.start(pair.config(pair.a, workers=2,
                             peers=[pair.entry(pair.b, endpoint="1.2.3.1:4500")]))
    pair.b.start(pair.config(pair.b, workers=2, peers=[pair.entry(pair.a, endpoint=None)]))
    pair.connected()
    with flows(pair):
        eventually(lambda: "wrong port" in pair.a.daemon.err(), "a learns of it")
        assert pair.a.peer("machine-b")["lane_ports"] == 0
    with flows(pair) as chat:  # longer than a round
        eventually(lambda: seen(pair.b, 4), "traffic")
        assert pair.a.peer("machine-b")["lane_ports"] == 0
        assert chat.stop() == 0, chat.out()
    relay.close()


# Rewrites each datagram by itself, without remembering connections.
NAT = f"""
table ip nat {{
    chain out {{
        type filter hook output priority 0;
        ip saddr 1.2.3.1 udp dport {PORT} ip saddr set 1.2.3.7
    }}
    chain in {{
        type filter hook prerouting priority -300;
        ip daddr 1.2.3.7 ip daddr set 1.2.3.1
    }}
}}
"""


def test_a_move_shows_when_all_traffic_is_on_lane_1(lanes):
    """One flow, one way, on lane 1; a's NAT gives a another address, which a cannot know."""
    lanes.a.sh("ip addr add 1.2.3.7/24 dev eth0")  # long before: a change of address is told at once
    for _ in range(20):  # until there is a flow that the kernel put on queue 1
        with flows(lanes, count=1, answer="count"):
            eventually(lambda: seen(lanes.b, 0.2), "traffic")
            if not ports(lanes.b, 1):
                continue
            lanes.a.run("nft", "-f", "-", input=NAT)
            eventually(lambda: lanes.b.peer("machine-a")["endpoint"].startswith("1.2.3.7:"),
                       "b learns it from lane 0")
            break
    else:
        pytest.fail("no flow of 20 on lane 1")
    lanes.a.sh("nft flush ruleset; ip addr del 1.2.3.7/24 dev eth0")
