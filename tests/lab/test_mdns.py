"""Peers find each other on a LAN by mDNS, beside other responders and whatever strangers send."""
import random
import re
import socket
import time

import mdns
import pytest
from lan import Lan, processes_called
from net import eventually
from pair import INNER


@pytest.fixture
def lan(net):
    lan = Lan(net)
    yield lan
    lan.stop()


def test_a_pair_that_knows_no_endpoint_finds_itself(lan):
    began = time.monotonic()
    lan.start()
    for machine in (lan.a, lan.b):
        assert machine.peer(lan.other(machine).name)["endpoint"] == "-"
    eventually(lambda: lan.a.pings("10.0.0.2", wait=1), "a ping through the tunnel", 10, 0.01)
    print(f"first ping answered {time.monotonic() - began:.2f} s after both daemons' start")
    peer = lan.a.peer("machine-b")
    assert peer["path"] == "direct" and "1.2.3.4" in peer["endpoint"] or \
        "fd00:1::4" in peer["endpoint"], peer
    assert len(processes_called(lan.a, "veld-mdns")) == 1


# ---- What is announced ----

def names_in(lan, heard):
    """What none of it may hold."""
    words = []
    for machine in (lan.a, lan.b):
        words += [machine.name, "veld0", "10.0.0.1", "10.0.0.2", "fd0a", "root", "linux", "x86"]
    return [w for w in words for m in heard if w.encode() in m.lower()]


def test_announcements_hold_the_key_and_the_port_and_nothing_of_the_machine(lan):
    heard = lan.hear()
    lan.start()
    lan.found(lan.a)
    lan.found(lan.b)
    assert lan.a.pings("10.0.0.2") == 1
    lan.stop()
    time.sleep(0.3)  # the goodbyes
    messages = heard()
    assert len(messages) > 10
    for machine in (lan.a, lan.b):
        assert any(mdns.strings("v=1", f"p={lan.keys[machine]}") in m for m in messages) or \
            any(mdns.strings(f"p={lan.keys[machine]}", "v=1") in m for m in messages)
    assert not names_in(lan, messages)
    inner = [socket.inet_pton(f, a) for f, family in ((socket.AF_INET, 4), (socket.AF_INET6, 6))
             for a in INNER[family]]
    assert not [m for m in messages if any(i in m for i in inner)]
    labels = set(re.findall(rb"veld-[0-9a-f]{16}", b"".join(messages)))
    assert len(labels) == 2, labels
    assert not any(b"_workstation" in m for m in messages)


# ---- Strangers ----

def survives(lan, helpers):
    """The tunnel and both helpers go on."""
    assert lan.a.pings("10.0.0.2", count=5, interval=0.05) == 5
    assert [processes_called(m, "veld-mdns") for m in (lan.a, lan.b)] == helpers


def begun(lan):
    lan.start()
    lan.found(lan.a)
    lan.found(lan.b)
    assert lan.a.pings("10.0.0.2") == 1
    return [processes_called(m, "veld-mdns") for m in (lan.a, lan.b)]


def malformed():
    good = mdns.device("veld-0123456789abcdef", mdns.made_up(7), ["1.2.3.9", "fd00:1::9"])
    for n in range(len(good)):
        yield good[:n]
    head = mdns.message(counts=(0, 1, 0, 0))
    for pointer in (b"\xc0\x0c", b"\xc0\x0d\xc0\x0c", b"\x01a\xc0\x0c", b"\xff\xff", b"\x80",
                    b"\x3f" + bytes(10)):
        yield head + pointer + bytes(20)
    yield mdns.message(counts=(65535,) * 4)
    yield good[:4] + b"\xff\xff" * 4 + good[12:]
    yield good + bytes(8900 - len(good))
    for kind in (mdns.A, mdns.AAAA, mdns.SRV, mdns.TXT, mdns.PTR, mdns.CNAME, 13, 41, 47):
        for data in (b"", b"\0", b"\xc0\x0c", b"\xff" * 3, b"\xff" * 300):
            yield mdns.message([mdns.record(mdns.SERVICE, kind, data)])
    for seed in range(300):
        chance = random.Random(seed)
        spoiled = bytearray(good)
        for _ in range(chance.randint(1, 8)):
            spoiled[chance.randrange(len(spoiled))] = chance.randrange(256)
        yield bytes(spoiled)


def test_malformed_messages(lan):
    helpers = begun(lan)
    lan.say(*malformed())
    survives(lan, helpers)


def test_a_helper_that_is_crashed_costs_the_tunnel_nothing(lan):
    """By aliases of what is asked for, twice: Avahi 0.8 ends by an assertion."""
    helpers = begun(lan)
    alias = mdns.message([mdns.record(mdns.SERVICE, mdns.CNAME, mdns.name("x.local"), ttl=1)])
    for _ in range(3):
        lan.say(alias)
        time.sleep(2)
    print(helpers, [processes_called(m, "veld-mdns") for m in (lan.a, lan.b)])
    survives(lan, helpers)
