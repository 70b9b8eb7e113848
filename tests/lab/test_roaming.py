"""A machine moves, or what is between it and its peer forgets it: sessions and streams go on.

    two wires                               a NAT
    machine-a            machine-b          machine-a -- 192.168.1.0/24 -- box -- 1.2.3.0/24 -- machine-b
      eth0 1.2.3.1 ------- eth0 1.2.3.4       1.2.3.4 is known to machine-a; machine-b knows
      eth1 1.2.4.1 ------- eth1 1.2.4.4       no address of its peer
                          (route to both)
Each gap is that between two answers to a ping that leaves every 20 ms.
"""
import re
import signal
import time

import pytest

from net import LAB, PORT, eventually
from pair import Pair

EVERY_S = 0.02
ASLEEP_S = 3  # longer than it takes the other to miss it


class Pings:
    """A ping all the time; how long it was without an answer."""

    def __init__(self, machine, target):
        self.process = machine.spawn("ping", "-n", "-D", "-i", EVERY_S, "-W", "1", target)
        eventually(lambda: len(self.times()) > 5, "pings are answered")

    def times(self):
        return [float(t) for t in re.findall(r"^\[([0-9.]+)\].*time=", self.process.out(), re.M)]

    def more(self, n, timeout=15):
        """Wait until so many more have been answered."""
        before = len(self.times())
        eventually(lambda: len(self.times()) >= before + n, "pings are answered again", timeout)

    def gap(self):
        """The longest time without an answer."""
        self.process.stop(signal.SIGINT)
        times = self.times()
        return max(b - a for a, b in zip(times, times[1:]))


def session(machine, peer):
    """By what a new handshake shows."""
    return machine.peer(peer)["last_handshake"]


@pytest.mark.parametrize("way, within_s", [("default", 0.5), ("1.2.9.9/32", 0.6)],
                         ids=["same-endpoint", "other-endpoint"])
def test_from_one_interface_to_another(pair, way, within_s):
    """As from Wi-Fi to mobile: the interface in use goes, another one comes. b's endpoint is
    1.2.3.4 by then; with a route to 1.2.9.9 alone that is out of reach."""
    pair.net.wire(pair.a, pair.b, ["1.2.4.1/24"], ["1.2.4.4/24"])
    # No address of IPv6 goes with the link, and tells of it.
    pair.a.sh("ip link set eth1 down; echo 1 | tee /proc/sys/net/ipv6/conf/eth[01]/disable_ipv6")
    eventually(lambda: "linkdown" in pair.b.run("ip", "route").stdout, "b sees that it is down")
    pair.b.sh("ip addr add 1.2.9.9/32 dev lo")
    pair.a.sh(f"ip route add {way} via 1.2.3.4 dev eth0")
    pair.start(a=pair.config(pair.a, [pair.entry(pair.b, endpoint=f"1.2.9.9:{PORT}")]))
    pair.connected()
    before = session(pair.a, "machine-b")
    pings = Pings(pair.a, "10.0.0.2")
    pings.more(60)  # a path is asked for because it is in use
    pair.a.sh("ip link set eth0 down; ip link set eth1 up;"
              f"ip route replace {way} via 1.2.4.4 dev eth1")
    eventually(lambda: pair.b.peer("machine-a")["endpoint"] == f"1.2.4.1:{PORT}",
               "the new address is learnt", 10)
    pings.more(20)
    gap = pings.gap()
    assert gap < within_s
    assert session(pair.a, "machine-b") == before, "the session was kept"
    pair.a.sh("ip link set eth1 down; ip link set eth0 up;"
              f"ip route replace {way} via 1.2.3.4 dev eth0")


NAT = """
flush ruleset
table ip nat {{
    chain out {{
        type nat hook postrouting priority 100
        oifname "eth1" ip protocol udp masquerade to :{ports}
    }}
}}
table ip firewall {{
    chain forward {{
        type filter hook forward priority 0
        iifname "eth1" ct state new drop
    }}
}}
"""


@pytest.fixture
def behind(net):
    """machine-a behind a box whose mappings can be made to change."""
    pair = Pair(net, wired=False)
    box = net.machine("box")
    net.wire(pair.a, box, ["192.168.1.2/24"], ["192.168.1.1/24"])
    net.wire(box, pair.b, ["1.2.3.1/24"], ["1.2.3.4/24"])
    pair.a.sh("ip route add default via 192.168.1.1")
    box.sh("echo 1 >/proc/sys/net/ipv4/ip_forward")
    box.run("nft", "-f", "-", input=NAT.format(ports="40000-40099"))
    pair.b.start(pair.config(pair.b, [pair.entry(pair.a, endpoint=None)]))
    pair.a.start(pair.config(pair.a))
    pair.connected()
    yield pair, box
    for machine in (pair.a, pair.b):
        machine.stop()


def rebind(box):
    """The box forgets whom it had mapped where, and maps to other ports."""
    box.run("nft", "-f", "-", input=NAT.format(ports="50000-50099"))
    box.sh("conntrack -F 2>/dev/null")


def outer_port(pair):
    return int(pair.b.peer("machine-a")["endpoint"].rsplit(":", 1)[1])


@pytest.mark.parametrize("speaker", ["a", "b"])
def test_a_nat_that_maps_anew(behind, speaker):
    """Who is behind it goes on; who is before it learns the new mapping once a says anything."""
    pair, box = behind
    before = session(pair.b, "machine-a")
    assert outer_port(pair) in range(40000, 40100)
    machine, target = (pair.a, "10.0.0.2") if speaker == "a" else (pair.b, "10.0.0.1")
    pings = Pings(machine, target)
    rebind(box)
    eventually(lambda: outer_port(pair) in range(50000, 50100), "the new mapping is learnt", 20)
    pings.more(20)
    gap = pings.gap()
    assert gap < (1 if speaker == "a" else 16)
    if speaker == "a":
        assert session(pair.b, "machine-a") == before, "the session was kept"


def test_a_stream_through_a_nat_that_maps_anew(behind):
    pair, box = behind
    sink = pair.b.spawn_traffic("sink", "10.0.0.2", 9000)
    source = pair.a.spawn("/usr/bin/python3", "-u", LAB / "traffic.py", "source", "10.0.0.2", 9000,
                          10_000_000, "small", 0.05)
    eventually(lambda: pair.b.peer("machine-a")["rx_bytes"] > 1_000_000, "under way")
    rebind(box)
    eventually(lambda: outer_port(pair) in range(50000, 50100), "the new mapping is learnt", 20)
    assert sink.finish(60).splitlines()[1] == source.finish().strip()


def test_a_machine_that_sleeps(pair):
    """Stopped in mid-transfer, as in a suspend, and moved meanwhile."""
    pair.start().connected()
    pings = Pings(pair.b, "10.0.0.1")
    pair.a.daemon.send_signal(signal.SIGSTOP)
    pair.a.sh("ip addr del 1.2.3.1/24 dev eth0; ip addr add 1.2.3.9/24 dev eth0")
    time.sleep(ASLEEP_S)
    pair.a.daemon.send_signal(signal.SIGCONT)
    pair.a.daemon.popen.send_signal(signal.SIGCONT)  # nsenter stops with what it runs
    pings.more(20)
    gap = pings.gap()
    assert gap < ASLEEP_S + 3
    assert pair.b.peer("machine-a")["endpoint"] == f"1.2.3.9:{PORT}"
    pair.a.sh("ip addr del 1.2.3.9/24 dev eth0; ip addr add 1.2.3.1/24 dev eth0")
