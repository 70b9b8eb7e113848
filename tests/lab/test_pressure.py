"""One thing is stuck: a full socket, an interface that takes nothing, a control thread that does
not come. What does not need it goes on, what is lost is counted, and all of it recovers.

    machine-a                                    machine-b
      eth0 1.2.3.1  --------------------------  eth0 1.2.3.4
      veld0 10.0.0.1                             veld0 10.0.0.2
"""
import ctypes
import os
import socket
import sys
import time
from contextlib import contextmanager

import pytest

from net import BUILD, LAB, PORT, eventually

pytestmark = pytest.mark.alone

PIDFD_OPEN, PIDFD_GETFD = 434, 438
PTRACE_DETACH, PTRACE_SEIZE, PTRACE_INTERRUPT, WALL = 17, 0x4206, 0x4207, 0x40000000
libc = ctypes.CDLL(None, use_errno=True)


def one_worker(pair):
    return pair.start(*(pair.config(m, workers=1) for m in (pair.a, pair.b))).connected()


def checked(result):
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


def host_pid(machine):
    """The daemon's process as we count."""
    inside = str(machine.status()["pid"])
    for folder in os.listdir("/proc"):
        try:
            lines = open(f"/proc/{folder}/status").read().splitlines() if folder.isdigit() else []
        except OSError:
            continue
        row = next((line.split() for line in lines if line.startswith("NSpid:")), [])
        if row[-1:] == [inside] and lines[0].split()[1] == "veld-daemon" and \
                os.readlink(f"/proc/{folder}/ns/net") == \
                os.readlink(f"/proc/{machine.init}/ns/net"):
            return int(folder)
    raise AssertionError(f"no daemon of {machine.name}")


def udp_sockets(machine):
    """The daemon's own sockets for the tunnel's datagrams, in our hands as well."""
    pid = host_pid(machine)
    pidfd = checked(libc.syscall(PIDFD_OPEN, pid, 0))
    found = []
    for fd in os.listdir(f"/proc/{pid}/fd"):
        if not os.readlink(f"/proc/{pid}/fd/{fd}").startswith("socket:"):
            continue
        s = socket.socket(fileno=checked(libc.syscall(PIDFD_GETFD, pidfd, int(fd), 0)))
        if s.type == socket.SOCK_DGRAM and s.family == socket.AF_INET and \
                s.getsockname()[0] == "0.0.0.0":
            found.append(s)
        else:
            s.close()
    os.close(pidfd)
    assert found
    return found


@contextmanager
def stopped_control(machine):
    """The control thread alone stands still; the workers run."""
    pid = host_pid(machine)  # the first thread is control
    checked(libc.ptrace(PTRACE_SEIZE, pid, 0, 0))
    checked(libc.ptrace(PTRACE_INTERRUPT, pid, 0, 0))
    os.waitpid(pid, WALL)
    try:
        yield
    finally:
        checked(libc.ptrace(PTRACE_DETACH, pid, 0, 0))


def received(process):
    process.stop()
    return list(map(int, process.out().splitlines()[-1].split()))


@pytest.mark.both_engines
def test_a_blocked_socket_stalls_nothing_that_comes_in(pair):
    """a's datagrams wait in a slow device until its socket is full. What b sends still arrives."""
    one_worker(pair)
    if pair.a.sh("tc qdisc add dev eth0 root tbf rate 4mbit burst 128k limit 64m",
                 check=False).returncode:
        pytest.skip("this kernel has no tbf")
    for s in udp_sockets(pair.a):
        s.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 17)
        s.close()
    out = pair.a.spawn(sys.executable, LAB / "traffic.py", "pace", "10.0.0.2", 7001, 20000, 3,
                       1300)
    eventually(lambda: pair.a.drops("udp_queue_full") > 0, "the socket is full")
    sink = pair.a.spawn_traffic("numbers", "10.0.0.1", 7000)
    sent = int(pair.b.traffic("pace", "10.0.0.1", 7000, 2000, 1.5, 500).stdout)
    full = pair.a.drops("udp_queue_full")
    out.finish()
    n, first, last, disorder = received(sink)
    assert n == sent and disorder == 0, (n, sent, disorder)
    drops = pair.a.status()["drops"]
    assert full > 100 and {r for r, n in drops.items() if n} == {"udp_queue_full"}, drops
    pair.a.sh("tc qdisc del dev eth0 root")
    eventually(lambda: pair.a.pings("10.0.0.2", wait=1), "it recovers")
    full = pair.a.drops("udp_queue_full")
    assert pair.a.pings("10.0.0.2", count=20, interval=0.01) == 20
    assert pair.a.drops("udp_queue_full") == full


@pytest.mark.both_engines
def test_an_interface_that_takes_nothing(pair):
    """b's interface is down: what comes is counted there; sessions and the way back live on."""
    one_worker(pair)
    pair.b.sh("ip link set veld0 down")
    sent = int(pair.a.traffic("pace", "10.0.0.2", 7000, 1000, 0.5, 500).stdout)
    eventually(lambda: pair.b.drops("tun_error") >= sent, "each one is counted", 3)
    assert pair.b.veld("ping", "machine-a").returncode == 0, "the tunnel itself is not stuck"
    said = [line for line in pair.b.daemon.err().splitlines() if "to the interface failed" in line]
    assert 1 <= len(said) <= 10, "told, but not for each"
    pair.b.sh("ip link set veld0 up")
    before = pair.b.drops("tun_error")
    eventually(lambda: pair.a.pings("10.0.0.2", wait=1), "it recovers")
    assert pair.a.pings("10.0.0.2", count=20, interval=0.01) == 20
    assert pair.b.drops("tun_error") <= before + 1


@pytest.mark.both_engines
def test_a_control_thread_that_does_not_come(pair):
    """Handshakes fill their queue, then are dropped and counted. Data knows nothing."""
    one_worker(pair)
    with stopped_control(pair.b):
        flood = pair.a.spawn(BUILD / "bench/bench-flood", "1.2.3.4", PORT, pair.keys[pair.b],
                             1, "good", 10_000)
        assert pair.a.pings("10.0.0.2", count=50, interval=0.02) == 50
        sent = int(flood.finish().split()[-1])
    dropped = eventually(lambda: pair.b.drops("control_queue_full"), "the rest is counted")
    assert sent / 2 < dropped < sent
    time.sleep(1)
    assert "new keys" in pair.a.veld("rekey").stdout, "and then it comes"
    assert pair.a.pings("10.0.0.2", count=10, interval=0.02) == 10


@pytest.mark.both_engines
def test_more_waits_for_a_session_than_is_kept(pair):
    """64 a peer, the newest; they leave in order as soon as there is a session."""
    pair.note()
    pair.a.start(pair.config(pair.a, workers=1))
    sent = int(pair.a.traffic("pace", "10.0.0.2", 7000, 1000, 0.3, 500).stdout)
    assert sent > 128
    assert pair.a.drops("hold_full") == sent - 64
    sink = pair.b.spawn_traffic("numbers", "0.0.0.0", 7000)
    pair.b.start(pair.config(pair.b, workers=1))
    pair.a.veld("ping", "machine-b")  # no packet of the interface's, which would wait as well
    eventually(lambda: pair.b.status()["counters"]["packets_to_tun"] >= 64, "what waited came")
    n, first, last, disorder = received(sink)
    assert (n, first, last, disorder) == (64, sent - 64, sent - 1, 0)
    assert pair.a.drops("hold_full") == sent - 64 and pair.a.drops("hold_timeout") == 0
