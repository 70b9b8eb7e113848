"""Addresses change, daemons restart and crash, wires and interfaces go down.

    machine-a                                    machine-b
      eth0 1.2.3.1, fd00:1::1  ----------  eth0 1.2.3.4, fd00:1::4
"""
import time

import pytest

from net import LAB, PORT, eventually
from pair import INNER, Pair, endpoint


@pytest.mark.parametrize("mover", ["a", "b"])
def test_roaming_in_mid_transfer(pair, mover):
    """The mover's address changes; TCP inside goes on, and the other learns the new address."""
    pair.start().connected()
    machine = getattr(pair, mover)
    sink = pair.b.spawn_traffic("sink", "10.0.0.2", 9000)
    source = pair.a.spawn("/usr/bin/python3", "-u", LAB / "traffic.py", "source", "10.0.0.2", 9000,
                          30_000_000, "small", 0.05)
    eventually(lambda: pair.b.peer("machine-a")["rx_bytes"] > 1_000_000, "under way")
    old, new = (("1.2.3.1", "1.2.3.9") if mover == "a" else ("1.2.3.4", "1.2.3.8"))
    machine.sh(f"ip addr del {old}/24 dev eth0; ip addr add {new}/24 dev eth0")
    other = pair.other(machine)
    eventually(lambda: other.peer(machine.name)["endpoint"] == f"{new}:51820",
               "the new address is learnt", 10)
    assert source.running(), "the transfer was to be under way still"
    assert sink.finish(60).splitlines()[1] == source.finish().strip()
    machine.sh(f"ip addr del {new}/24 dev eth0; ip addr add {old}/24 dev eth0")


def first_answer(machine, target="10.0.0.2"):
    """Seconds until a ping is answered."""
    start = time.monotonic()
    eventually(lambda: machine.run("ping", "-c1", "-W0.2", "-q", target, check=False)
               .returncode == 0, "traffic again", 10, 0.02)
    return time.monotonic() - start


@pytest.mark.parametrize("how", ["stop", "kill"])
@pytest.mark.parametrize("which", ["a", "b"])
@pytest.mark.parametrize("speaker", ["a", "b"])
def test_traffic_within_a_second_of_a_restart(pair, which, how, speaker):
    pair.start().connected()
    machine = getattr(pair, which)
    machine.stop() if how == "stop" else machine.daemon.kill()
    machine.start()
    if speaker == "a":
        took = first_answer(pair.a, "10.0.0.2")
    else:
        took = first_answer(pair.b, "10.0.0.1")
    assert took < 1.0
    assert pair.a.pings("fd0a::2") == 1


def test_stream_survives_a_restart_of_the_daemon(pair):
    """Sessions go, the inner connection stays: its packets wait for the next session."""
    pair.start().connected()
    sink = pair.b.spawn_traffic("sink", "10.0.0.2", 9000)
    source = pair.a.spawn("/usr/bin/python3", "-u", LAB / "traffic.py", "source", "10.0.0.2", 9000,
                          30_000_000, "small", 0.05)
    eventually(lambda: pair.b.peer("machine-a")["rx_bytes"] > 1_000_000, "under way")
    pair.b.daemon.kill()
    pair.b.start()
    assert sink.finish(60).splitlines()[1] == source.finish().strip()


def test_crash_in_mid_transfer_leaves_nothing(pair):
    """pair's end checks it: after the next start and stop all is as before."""
    pair.start(a=pair.config(pair.a, routes=["192.168.9.0/24"])).connected()
    sink = pair.b.spawn_traffic("sink", "10.0.0.2", 9000)
    source = pair.a.spawn("/usr/bin/python3", LAB / "traffic.py", "source", "10.0.0.2", 9000, 10**10)
    eventually(lambda: pair.b.peer("machine-a")["rx_bytes"] > 1_000_000, "under way")
    pair.a.daemon.kill()
    eventually(lambda: not pair.a.has_interface(), "the interface goes with the process")
    source.kill()
    sink.kill()
    pair.a.start()
    pair.connected()
    pair.a.stop()
    pair.b.stop()


def test_sigterm_stops_it_cleanly(up):
    for machine in (up.a, up.b):
        assert machine.daemon.stop() == 0
        assert not machine.has_interface()


def test_goodbye_is_heard(up):
    """After b says goodbye a does not think it is there for minutes."""
    up.connected()
    up.b.stop()
    eventually(lambda: up.a.peer("machine-b")["state"] != "active", "a knows", 2)


def test_wire_that_goes_away_is_survived(up):
    up.connected()
    up.a.sh("ip link set eth0 down")
    assert up.a.pings("10.0.0.2", wait=1) == 0
    assert up.a.daemon.running()
    up.a.sh("ip link set eth0 up; ip -6 addr replace fd00:1::1/64 dev eth0 nodad")
    assert first_answer(up.a) < 5


def test_interface_set_down_is_survived(up):
    up.connected()
    up.a.sh("ip link set veld0 down")
    up.b.pings("10.0.0.1", count=3, interval=0.1, wait=1)
    assert up.a.daemon.running()
    up.a.sh("ip link set veld0 up")
    assert first_answer(up.b, "10.0.0.1") < 5


def test_rekey_on_request(up):
    """New keys at once, by name or for all, without a lost packet; never fresh ones again."""
    up.connected()
    assert up.b.veld("rekey", "nobody", check=False).returncode == 1
    pings = up.a.spawn("ping", "-i", "0.02", "-c", "120", "-W", "1", "-q", "10.0.0.2")
    for asks, argument in ((up.a, "machine-b"), (up.b, "10.0.0.1"), (up.b, None)):
        time.sleep(1.1)
        before = asks.status()["counters"]["handshakes_completed"]
        done = asks.veld("rekey", *filter(None, [argument]))
        assert done.stdout.startswith("new keys with machine-"), done.stdout
        assert asks.status()["counters"]["handshakes_completed"] != before
    again = up.b.veld("rekey", check=False)
    assert again.returncode == 1 and "less than" in again.stderr
    assert "120 received" in pings.finish()


def test_rekey_without_an_answer_fails_in_time(up):
    """The old session stays until its time, and so what it carries when b is back."""
    up.connected()
    up.b.sh("nft 'add table ip t; add chain ip t c { type filter hook input priority 0; };"
            f" add rule ip t c udp dport {PORT} drop'")
    time.sleep(1)
    done = up.a.veld("rekey", check=False)
    assert done.returncode == 1 and "no answer within 10 s" in done.stderr
    up.b.sh("nft delete table ip t")
    assert up.a.pings("10.0.0.2", count=2, wait=1) == 2
