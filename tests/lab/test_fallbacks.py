"""What a kernel or a device refuses, and what Veld does instead: it goes on, slower, and says
so once.

    machine-a                                    machine-b
      eth0 1.2.3.1, fd00:1::1  ----------  eth0 1.2.3.4, fd00:1::4
      veld0 10.0.0.1, fd0a::1              veld0 10.0.0.2, fd0a::2
"""
import os

import pytest

from net import eventually
from pair import INNER

BAD = ("runt", "bad_header", "replayed", "bad_tag", "bad_inner_packet", "bad_inner_source",
       "bad_tun_packet", "udp_error", "tun_error")


SIZE = 8_000_000


def carries(pair, size=SIZE):
    """TCP arrives as sent, and UDP of any size; nothing is dropped as bad."""
    for sender, receiver, family in ((pair.a, pair.b, 4), (pair.b, pair.a, 6)):
        address = INNER[family][pair.number(receiver)]
        sink = receiver.spawn_traffic("sink", address, 9000)
        sent = sender.traffic("source", address, 9000, size, timeout=60).stdout
        assert sink.finish().splitlines()[1] == sent.strip()
        echo = receiver.spawn_traffic("udp-echo", address, 9001)
        assert sender.traffic("udp-ask", address, 9001, 1, 1372, 9000).stdout == "3\n"
        echo.kill()
        sink = receiver.spawn_traffic("numbers", address, 9002)
        sent = sender.traffic("segments", address, 9002, 10, 40, 1000).stdout.strip()
        sink.stop()
        assert sink.out().splitlines()[-1] == f"{sent} 0 {int(sent) - 1} 0"
    for m in (pair.a, pair.b):
        drops = m.status()["drops"]
        assert {reason: drops[reason] for reason in BAD if drops[reason]} == {}, m.name


def one_worker(pair):
    return pair.start(*(pair.config(m, workers=1) for m in (pair.a, pair.b))).connected()


def told(machine, text):
    """How many lines of the daemon's log have it."""
    return sum(text in line for line in machine.daemon.err().splitlines())


NO_OFFLOAD = "UDP segmentation offload does not work"


# Until then UDP_SEGMENT gives EIO on a device without checksum offload; since then the kernel
# computes the checksums itself.
SEGMENTS_ANYWHERE = tuple(map(int, os.uname().release.split(".")[:2])) >= (6, 11)


@pytest.mark.parametrize("workers", [1, 2])
def test_device_without_checksum_offload(pair, workers):
    """On EIO, each socket sends one by one from then on, that run included, and says so once."""
    pair.a.sh("ethtool -K eth0 tx-checksum-ip-generic off")
    pair.start(*(pair.config(m, workers=workers) for m in (pair.a, pair.b))).connected()
    assert pair.a.status()["dataplane"]["udp_segment"], "not tried yet"
    carries(pair)
    assert pair.a.status()["dataplane"]["udp_segment"] == SEGMENTS_ANYWHERE
    said = [line.split("worker ")[1] for line in pair.a.daemon.err().splitlines()
            if NO_OFFLOAD in line]
    assert bool(said) != SEGMENTS_ANYWHERE and len(said) <= 2 * workers, said
    assert told(pair.b, NO_OFFLOAD) == 0 and pair.b.status()["dataplane"]["udp_segment"]
    assert bool(said) == any("offload" in line for line in pair.a.status()["health"])


@pytest.mark.both_engines
def test_device_without_segmentation_offload(pair):
    """The kernel cuts in software: real datagrams on the wire, UDP_SEGMENT still in use."""
    for m in (pair.a, pair.b):
        m.sh("ethtool -K eth0 tx-udp-segmentation off")
    one_worker(pair)
    before = pair.b.status()["counters"]["datagrams_received"]
    carries(pair)
    after = pair.b.status()["counters"]["datagrams_received"]
    assert after - before > SIZE / 1420
    for m in (pair.a, pair.b):
        assert m.status()["dataplane"]["udp_segment"] and told(m, NO_OFFLOAD) == 0


@pytest.mark.parametrize("gro", ["off", "on"])
def test_receiver_with_and_without_gro(pair, gro):
    """Without tx-udp-segmentation the receiver gets single datagrams; GRO may join them."""
    for m in (pair.a, pair.b):
        m.sh(f"ethtool -K eth0 tx-udp-segmentation off gro {gro}; "
             f"ethtool -K eth0 rx-udp-gro-forwarding {gro}")
    one_worker(pair)
    carries(pair)


@pytest.mark.parametrize("device", ["gso-off", "everything-off"])
def test_device_without_any_gso(pair, device):
    features = "gso off" if device == "gso-off" else "gso off tso off gro off sg off tx off rx off"
    for m in (pair.a, pair.b):
        m.sh(f"ethtool -K eth0 {features}")
    one_worker(pair)
    carries(pair)


@pytest.mark.both_engines
def test_outer_mtu_below_a_segment(pair):
    """A run of datagrams longer than the device takes is refused as one (EINVAL, EMSGSIZE)."""
    for m in (pair.a, pair.b):
        m.sh("ip link set eth0 mtu 1280")
    one_worker(pair)
    for m, other in ((pair.a, 1), (pair.b, 0)):  # until the kernels know what the tunnel takes
        for family in (4, 6):
            eventually(lambda: m.pings(INNER[family][other], size=1392, wait=1), "a long ping", 10)
    carries(pair, size=3_000_000)
    assert told(pair.a, NO_OFFLOAD) == 0, "the device is not to blame"


# ---- Older kernels ----

def older(pair, a, b=()):
    pair.note()
    pair.a.start(pair.config(pair.a, workers=1), refuse=a)
    pair.b.start(pair.config(pair.b, workers=1), refuse=b)
    return pair.connected()


@pytest.mark.parametrize("rule, offload", [("uso", "csum tso4 tso6"), ("tso", "csum")])
def test_tun_with_fewer_offloads(pair, rule, offload):
    """One side's TUN takes less; what the other joins is what its own takes."""
    older(pair, [rule])
    assert pair.a.status()["dataplane"]["offload"] == offload
    assert "uso" in pair.b.status()["dataplane"]["offload"]
    carries(pair)


@pytest.mark.both_engines
@pytest.mark.parametrize("rules", [["udp-segment"], ["udp-gro"], ["udp-segment", "udp-gro"],
                                   ["tso", "udp-segment", "udp-gro"]], ids="+".join)
def test_sockets_without_offload(pair, rules):
    older(pair, rules)
    dataplane = pair.a.status()["dataplane"]
    assert dataplane["udp_segment"] == ("udp-segment" not in rules)
    assert dataplane["udp_gro"] == ("udp-gro" not in rules)
    assert any("offload" in line for line in pair.a.status()["health"])
    assert not any("offload" in line for line in pair.b.status()["health"])
    carries(pair)
    assert told(pair.a, NO_OFFLOAD) == 0, "known from the start, and told by status"
