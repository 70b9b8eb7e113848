"""A network behind a machine.

    machine-a  ------------------  machine-b  ------------------  host
      eth0 1.2.3.1     1.2.3.4 eth0      eth1 192.168.7.1    192.168.7.9 eth0
      veld0 10.0.0.1   10.0.0.2 veld0         fd07::1        fd07::9
"""
import time

import pytest

from net import eventually
from pair import INNER

LAN4, LAN6 = "192.168.7.0/24", "fd07::/64"
FORWARD = "cat /proc/sys/net/ipv4/ip_forward /proc/sys/net/ipv6/conf/all/forwarding"


@pytest.fixture
def lan(pair):
    """The pair and a host behind b, whose way back is by b."""
    host = pair.net.machine("host")
    pair.net.wire(pair.b, host, ["192.168.7.1/24", "fd07::1/64"],
                  ["192.168.7.9/24", "fd07::9/64"])
    host.sh("ip route add default via 192.168.7.1; ip -6 route add default via fd07::1")
    return pair, host


def start(pair, routes=(LAN4, LAN6), offered=(LAN4, LAN6), **changes):
    return pair.start(
        a=pair.config(pair.a, peers=[pair.entry(pair.b, routes=list(routes))], **changes),
        b=pair.config(pair.b, routes=list(offered)))


def test_host_behind_b_is_reached(lan):
    pair, host = lan
    start(pair)
    assert pair.a.pings("192.168.7.9") == 1
    assert pair.a.pings("fd07::9") == 1
    assert host.pings("10.0.0.1") == 1, "and back"
    sink = host.spawn_traffic("sink", "192.168.7.9", 9000)
    sent = pair.a.traffic("source", "192.168.7.9", 9000, 20_000_000).stdout
    assert sink.finish().splitlines()[1] == sent.strip()


def test_forwarding_is_turned_on_said_and_undone(lan):
    pair, _ = lan
    assert pair.b.sh(FORWARD).stdout.split() == ["0", "0"]
    start(pair)
    assert pair.b.sh(FORWARD).stdout.split() == ["1", "1"]
    assert "forwarding" in pair.b.daemon.err()
    assert pair.a.sh(FORWARD).stdout.split() == ["0", "0"], "a offers nothing"
    pair.b.stop()
    assert pair.b.sh(FORWARD).stdout.split() == ["0", "0"]


def test_forwarding_that_was_on_stays_on(lan):
    pair, _ = lan
    pair.b.sh("echo 1 >/proc/sys/net/ipv4/ip_forward")
    start(pair, offered=[LAN4])
    pair.b.stop()
    assert pair.b.sh(FORWARD).stdout.split() == ["1", "0"]


def test_forwarding_is_undone_after_a_crash(lan):
    pair, _ = lan
    start(pair)
    pair.b.daemon.kill()
    pair.b.start()
    pair.b.stop()
    assert pair.b.sh(FORWARD).stdout.split() == ["0", "0"]


def test_routes_not_accepted_are_not_set(lan):
    pair, _ = lan
    start(pair, accept_routes=False)
    assert pair.a.pings("10.0.0.2") == 1
    assert "192.168.7.0" not in pair.a.run("ip", "route").stdout


def test_longest_prefix_wins(pair):
    """
        machine-a ---- machine-b   10.0.0.2, routes 192.168.0.0/16
                \\____ machine-c   10.0.0.3, routes 192.168.7.0/24
    """
    c = pair.net.machine("machine-c")
    pair.net.wire(pair.a, c, ["1.2.4.1/24"], ["1.2.4.3/24"])
    c_entry = dict(name="machine-c", pubkey=c.keygen(), endpoint="1.2.4.3:51820",
                   vpn_ip="10.0.0.3", routes=[LAN4])
    for machine in (pair.b, c):  # both have the same host behind them
        machine.sh("ip addr add 192.168.7.9/32 dev lo; ip addr add 192.168.8.9/32 dev lo")
    pair.start(
        a=pair.config(pair.a, peers=[pair.entry(pair.b, routes=["192.168.0.0/16"]), c_entry]))
    a_entry = pair.entry(pair.a, endpoint="1.2.4.1:51820")
    c.start(pair.config(pair.b, peers=[a_entry], vpn_ip="10.0.0.3/24", name="machine-c"))

    def received(name):
        return pair.a.peer(name)["rx_packets"]
    pair.connected()
    for target, through in (("192.168.7.9", "machine-c"), ("192.168.8.9", "machine-b")):
        before = received(through)
        assert pair.a.pings(target, count=3, interval=0.1) == 3
        assert received(through) >= before + 3


def test_a_source_outside_the_routes_is_dropped(lan):
    """b offers what a has not configured for it: a drops it and counts it."""
    pair, host = lan
    start(pair, routes=[LAN6])
    pair.connected()
    host.pings("10.0.0.1", wait=1)
    eventually(lambda: pair.a.drops("bad_inner_source") > 0, "counted")
    assert host.pings(INNER[6][0]) == 1


@pytest.mark.parametrize("size", [56, 1390])
def test_an_endpoint_inside_the_tunnel_makes_no_loop(pair, size):
    """b's routes cover b's own endpoint, and nothing nearer leads there."""
    a, b = pair.a, pair.b
    pair.note()
    a.sh("ip route del 1.2.3.0/24 dev eth0; ip route add default dev eth0")
    pair.clean[a] = a.snapshot()
    a.start(pair.config(a, [pair.entry(b, routes=["1.2.0.0/16"])]))
    b.start(pair.config(b))
    a.pings("10.0.0.2", size=size, wait=1)
    eventually(lambda: a.drops("routing_loop") > 0, "counted")
    before = a.status()["counters"]["packets_from_tun"]
    time.sleep(1)
    assert a.status()["counters"]["packets_from_tun"] - before < 20, "they go round no more"
