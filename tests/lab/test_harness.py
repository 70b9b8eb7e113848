"""The harness itself: machines are apart, wires join them, nothing outlives its maker."""
import os
import subprocess
import sys

import pytest

from net import LAB, PORT, eventually
from shim import Shim


@pytest.fixture
def two(net):
    """a eth0 1.2.3.1 ---- 1.2.3.4 eth0 b"""
    a, b = net.machine("a"), net.machine("b")
    net.wire(a, b, ["1.2.3.1/24", "fd00:1::1/64"], ["1.2.3.4/24", "fd00:1::4/64"])
    return a, b


def test_machine_has_its_own_files_names_and_processes(two):
    a, b = two
    assert a.run("hostname").stdout == "a\n"
    a.sh("echo x >/etc/resolv.conf; mkdir /run/veld /var/lib/veld; touch /run/veld/veld.sock")
    assert "192.0.2.53" in b.read("/etc/resolv.conf")
    assert b.run("ls", "/run/veld", check=False).returncode != 0
    assert b.run("ls", "/var/lib").stdout == ""
    assert not os.path.exists("/run/veld/veld.sock")
    assert a.run("ps", "-e", "-o", "comm=").stdout.split() == ["machine", "sleep", "ps"]


@pytest.mark.parametrize("target", ["1.2.3.4", "fd00:1::4"])
def test_wire_carries(two, target):
    a, b = two
    assert a.pings(target, count=2, interval=0.1) == 2
    sink = b.spawn_traffic("sink", target, 9000)
    sent = a.traffic("source", target, 9000, 3_000_000, "small").stdout
    assert sink.finish().split("\n")[1:] == sent.split("\n")
    b.spawn_traffic("udp-echo", target, 9001)
    assert a.traffic("udp-ask", target, 9001, 1, 1000, 5000).stdout == "3\n"


def test_snapshot_tells_what_changed(two):
    a, _ = two
    before = a.snapshot()
    assert a.snapshot() == before
    a.sh("ip link add dummy0 type bridge; ip route add 10.9.0.0/16 via 1.2.3.4;"
         "echo 1 >/proc/sys/net/ipv4/ip_forward; echo nameserver 127.0.0.9 >>/etc/resolv.conf;"
         "mkdir /run/veld; touch /run/veld/x; nft add table inet t")
    a.spawn("sleep", 100)
    new = "\n".join(set(a.snapshot()) - set(before))
    for what in ("link dummy0", "route 10.9.0.0/16", "forward 1", "resolver nameserver 127.0.0.9",
                 "file /run/veld/x", "nft table inet t"):
        assert what in new
    assert a.snapshot().count("process sleep") == before.count("process sleep") + 1


def test_machine_ends_with_its_maker(tmp_path):
    """Even when the maker is killed, with something running inside."""
    script = ("import sys; sys.path.insert(0, sys.argv[1])\n"
              "from net import Net\nimport time\n"
              "m = Net().machine('short')\nm.spawn('sleep', '1000')\n"
              "print(m.init, m.dir.parent, flush=True)\ntime.sleep(60)")
    maker = subprocess.Popen([sys.executable, "-c", script, LAB], stdout=subprocess.PIPE, text=True)
    init, folder = maker.stdout.readline().split()
    namespace = os.readlink(f"/proc/{init}/ns/net")
    maker.kill()
    maker.wait()
    subprocess.run(["rm", "-r", folder], check=True)

    def inside():
        out = subprocess.run(["lsns", "-t", "net", "-n", "-o", "NS"], capture_output=True, text=True)
        return namespace.strip("net:[]") in out.stdout.split()
    eventually(lambda: not inside(), "the machine's namespace is gone")


def test_shim_loses_duplicates_reorders_and_repeats(net):
    """a ---- middle (shim) ---- b"""
    a, middle, b = net.machine("a"), net.machine("middle"), net.machine("b")
    net.wire(a, middle, ["1.2.3.1/24"], ["1.2.3.2/24"])
    net.wire(middle, b, ["1.2.4.2/24"], ["1.2.4.4/24"])
    shim = Shim(middle, ("1.2.3.2", PORT), ("1.2.4.4", PORT))
    b.spawn_traffic("udp-echo", "1.2.4.4", PORT)
    assert a.traffic("udp-ask", "1.2.3.2", PORT, 1, 1400, 9000).stdout == "3\n"
    assert shim("stats")["in"] == dict(passed=3, lost=0, duplicated=0, reordered=0, corrupted=0)
    shim("set", "loss", 100)
    assert a.traffic("udp-ask", "1.2.3.2", PORT, 10).stdout == "0\n"
    shim("set", "loss", 0)
    shim("set", "duplicate", 100)
    shim("set", "reorder", 100)
    assert a.traffic("udp-ask", "1.2.3.2", PORT, 10).stdout == "1\n"
    stats = shim("stats")
    assert stats["in"] == dict(passed=4, lost=1, duplicated=1, reordered=1, corrupted=0)
    shim("set", "duplicate", 0)
    shim("set", "reorder", 0)
    shim("forget")
    counter = b.spawn_traffic("count", "1.2.4.4", PORT + 1)
    other = Shim(middle, ("1.2.3.2", PORT + 1), ("1.2.4.4", PORT + 1))
    a.traffic("fire", "1.2.3.2", PORT + 1, input="c4000001\nc1\n")
    assert other("again", "in")["types"] == {"0xc4": 1, "0xc1": 1}
    assert other("again", "in", "flip-body")["sent"] == 2
    eventually(lambda: other("stats")["in"]["passed"] == 2, "both passed")
    counter.stop()
    assert counter.out() == "ready\n6\n"
    shim.close()
    other.close()
