"""Which engine carries the packets: chosen, told, exchanged, and gone when it stops.

    machine-a                                    machine-b
      eth0 1.2.3.1, fd00:1::1  ----------  eth0 1.2.3.4, fd00:1::4
      veld0 10.0.0.1, fd0a::1              veld0 10.0.0.2, fd0a::2
"""
import errno
import sys

import pytest

from net import DAEMON, LAB, PORT, eventually

IO_URING_SETUP = 425  # on every architecture
FORBIDDEN = [sys.executable, LAB / "forbid.py", IO_URING_SETUP, errno.EPERM]


@pytest.fixture(autouse=True)
def by_nobody_s_choice(monkeypatch):
    """Here the tests choose, whatever the run is by."""
    monkeypatch.delenv("VELD_ENGINE", raising=False)


def has_io_uring(machine):
    done = machine.run(DAEMON, "--config", "config.toml", "--engine", "io_uring", check=False)
    if done.returncode == 0:
        machine.veld("down")
    return done.returncode == 0


def engine(machine):
    return machine.status()["dataplane"]["engine"]


def test_the_option_wins_over_the_config(pair):
    a = pair.a
    pair.note()
    a.write_config(pair.config(a, engine="poll"))
    a.veld("up", "--config", "config.toml")
    assert engine(a) == "poll"
    assert "by poll (recvmmsg, sendmmsg)" in a.veld("status").stdout
    again = a.veld("up", "--config", "config.toml", "--engine", "io_uring", check=False)
    assert again.returncode == 1 and "already up with the engine poll" in again.stderr
    assert a.veld("up", "--config", "config.toml", "--engine", "poll").returncode == 0
    a.veld("down")
    if not has_io_uring(a):
        pytest.skip("no io_uring here")
    a.veld("up", "--config", "config.toml", "--engine", "auto")
    assert engine(a) == "io_uring"
    a.veld("down")
    a.veld("up", "--config", "config.toml", env={"VELD_ENGINE": "io_uring"})
    assert engine(a) == "io_uring"
    a.veld("down")


def test_engines_talk_to_each_other(pair):
    pair.start(pair.config(pair.a, engine="poll"), pair.config(pair.b)).connected()
    for sender, receiver, address in ((pair.a, pair.b, "10.0.0.2"), (pair.b, pair.a, "10.0.0.1")):
        sink = receiver.spawn_traffic("sink", address, 9000)
        sent = sender.traffic("source", address, 9000, 5_000_000).stdout
        assert sink.finish().splitlines()[1] == sent.strip()


def test_io_uring_forbidden(pair):
    """auto says so in one line, and works; asked for by name, it is one line and nothing is left."""
    a, b = pair.a, pair.b
    pair.note()
    a.write_config(pair.config(a))
    b.start(pair.config(b))
    a.daemon = a.spawn(*FORBIDDEN, DAEMON, "--config", "config.toml", "--foreground")
    eventually(lambda: a.daemon.out() or not a.daemon.running(), "a is up")
    assert a.daemon.running(), a.daemon.err()
    assert engine(a) == "poll"
    lines = [line for line in a.daemon.err().splitlines() if "io_uring" in line]
    assert len(lines) == 1 and "kernel.io_uring_disabled" in lines[0], a.daemon.err()
    pair.connected()
    a.stop()
    before = a.snapshot()
    done = a.run(*FORBIDDEN, DAEMON, "--config", "config.toml", "--engine", "io_uring", check=False)
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert "--engine poll" in done.stderr
    assert a.snapshot() == before


@pytest.mark.both_engines
def test_one_line_says_what_is_used(pair, engine):
    pair.start(pair.config(pair.a, engine=engine), pair.config(pair.b))
    used = pair.a.status()["dataplane"]
    assert engine in ("auto", used["engine"])
    lines = [line for line in pair.a.daemon.err().splitlines() if " by " + used["engine"] in line]
    assert len(lines) == 1, pair.a.daemon.err()
    for word in (used["engine_features"], used["aead"], used["offload"]):
        assert word in lines[0]


BIND = """
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("0.0.0.0", %d))
""" % PORT


@pytest.mark.both_engines
def test_port_and_interface_are_free_when_the_daemon_is_gone(pair, engine):
    a = pair.a
    pair.start(pair.config(a, engine=engine), pair.config(pair.b))
    for _ in range(5):
        pair.connected()
        a.stop()
        assert not a.has_interface()
        a.run(sys.executable, "-c", BIND)
        a.start()


@pytest.mark.both_engines
@pytest.mark.parametrize("refusal", ["no checksum offload", "a path smaller than the datagrams"])
def test_what_the_wire_refuses_is_sent_otherwise(pair, engine, refusal):
    """UDP_SEGMENT fails with EIO on the one (before Linux 6.11), with EINVAL or EMSGSIZE on the
    other: then datagrams leave singly, and all arrives."""
    a, b = pair.a, pair.b
    if refusal == "no checksum offload":
        a.run("ethtool", "-K", "eth0", "tx", "off")
    else:
        a.sh("ip link set eth0 mtu 1400")
        b.sh("ip link set eth0 mtu 1400")
    pair.start(pair.config(a, engine=engine), pair.config(b, engine=engine)).connected()
    sink = b.spawn_traffic("sink", "10.0.0.2", 9000)
    sent = a.traffic("source", "10.0.0.2", 9000, 5_000_000, "large").stdout
    assert sink.finish().splitlines()[1] == sent.strip()
    drops = a.status()["drops"]
    assert drops["udp_error"] == 0, {k: v for k, v in drops.items() if v}
    told = "UDP segmentation offload does not work" in a.daemon.err()
    assert not told or refusal == "no checksum offload"
    assert a.status()["dataplane"]["udp_segment"] != told
