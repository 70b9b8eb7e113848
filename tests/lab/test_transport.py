"""What the tunnel carries: TCP and UDP, IPv4 and IPv6, inside and outside.

    machine-a                                    machine-b
      eth0 1.2.3.1, fd00:1::1  ----------  eth0 1.2.3.4, fd00:1::4
      veld0 10.0.0.1, fd0a::1              veld0 10.0.0.2, fd0a::2
"""
import json

import pytest

from net import DAEMON, VELD, Net
from pair import INNER, Pair

pytestmark = pytest.mark.both_engines


@pytest.fixture(scope="module", params=[4, 6], ids=["outer-v4", "outer-v6"])
def carried(request, engine):
    """One pair for all tests here: they change nothing."""
    assert VELD.exists() and DAEMON.exists(), f"no {DAEMON}: run tools/build"
    with Net() as net:
        pair = Pair(net, outer=request.param)
        pair.start().connected()
        yield pair
        pair.stop()


inner = pytest.mark.parametrize("inner", [4, 6], ids=["inner-v4", "inner-v6"])


@inner
@pytest.mark.parametrize("size", [0, 56, 1300, 1392, 8000, 60000])
def test_ping(carried, inner, size):
    """Beyond the MTU (1420) the inner stack makes fragments."""
    assert carried.a.pings(INNER[inner][1], count=3, size=size, interval=0.05) == 3


@inner
@pytest.mark.parametrize("pieces", ["large", "small"])
@pytest.mark.parametrize("way", ["out", "back"])
def test_tcp_arrives_as_sent(carried, inner, pieces, way):
    sender, receiver = (carried.a, carried.b) if way == "out" else (carried.b, carried.a)
    address = INNER[inner][carried.number(receiver)]
    sink = receiver.spawn_traffic("sink", address, 9000)
    size = 50_000_000 if pieces == "large" else 5_000_000
    sent = sender.traffic("source", address, 9000, size, pieces, timeout=60).stdout
    assert sink.finish().splitlines()[1] == sent.strip()


@inner
def test_udp_arrives_as_sent(carried, inner):
    address = INNER[inner][1]
    echo = carried.b.spawn_traffic("udp-echo", address, 9001)
    sizes = [0, 1, 1000, 1372, 1392, 1393, 5000, 60000]
    assert carried.a.traffic("udp-ask", address, 9001, *sizes).stdout == f"{len(sizes)}\n"
    echo.kill()


def iperf(pair, target, *options):
    server = pair.b.spawn("iperf3", "-s", "-1", "--forceflush")
    pair.b.sh(f"for i in $(seq 100); do ss -Hltn 'sport = 5201' | grep -q . && exit; "
              "sleep 0.02; done; exit 1")
    done = pair.a.run("iperf3", "-c", target, "-J", "-t", 1, *options, check=False)
    server.kill()
    report = json.loads(done.stdout)
    assert "error" not in report, report["error"]
    return report["end"]


@inner
@pytest.mark.parametrize("options", [[], ["-R"], ["--bidir"], ["-P", "4"]],
                         ids=["out", "back", "both", "four"])
def test_iperf_tcp(carried, inner, options):
    end = iperf(carried, INNER[inner][1], *options)
    assert end["sum_received"]["bytes"] > 10_000_000
    if options == ["--bidir"]:
        assert end["sum_received_bidir_reverse"]["bytes"] > 10_000_000


def full_buffers(machine):
    """Datagrams the kernel dropped because their reader, iperf3, was too slow for them."""
    v4 = [line.split() for line in machine.read("/proc/net/snmp").splitlines()
          if line.startswith("Udp:")]
    v6 = dict(line.split() for line in machine.read("/proc/net/snmp6").splitlines())
    return int(dict(zip(*v4))["RcvbufErrors"]) + int(v6["Udp6RcvbufErrors"])


@inner
@pytest.mark.parametrize("length", [16, 1000, 1372])
def test_iperf_udp(carried, inner, length):
    """20 Mbit/s are lost by no machine that runs this, but to a busy machine's iperf3."""
    before = full_buffers(carried.b)
    end = iperf(carried, INNER[inner][1], "-u", "-b", "20M" if length > 16 else "2M", "-l", length)
    assert end["sum"]["packets"] > 1000
    lost = end["sum"]["lost_packets"] - (full_buffers(carried.b) - before)
    assert lost < end["sum"]["packets"] / 100


def test_nothing_was_dropped_as_bad(carried):
    """Runs after the traffic above: no datagram of ours was taken for a forgery."""
    for m in (carried.a, carried.b):
        drops = m.status()["drops"]
        bad = ("runt", "unknown_type", "bad_version", "bad_header", "oversized", "bad_lane",
               "replayed", "bad_tag", "bad_inner_packet", "bad_inner_source",
               "bad_control_message", "bad_tun_packet")
        assert {reason: drops[reason] for reason in bad if drops[reason]} == {}
