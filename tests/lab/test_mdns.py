"""Peers find each other on a LAN by mDNS, beside other responders and whatever strangers send."""
import random
import re
import shutil
import socket
import sys
import time

import mdns
import pytest
from coord import Coord
from lan import Lan, cpu_s, processes_called, rss_kib
from nat_mesh import NatMesh
from net import DAEMON, LAB, PORT, eventually
from pair import INNER


@pytest.fixture
def lan(net):
    lan = Lan(net)
    yield lan
    lan.stop()


def test_a_pair_that_knows_no_endpoint_finds_itself(lan):
    lan.start()
    began = time.monotonic()
    assert lan.a.peer("machine-b")["endpoint"] == "-" == lan.b.peer("machine-a")["endpoint"]
    lan.found(lan.a)
    known = time.monotonic()
    out = lan.a.run("ping", "-c1", "-W2", "10.0.0.2").stdout
    first_ms = float(re.search(r"time=([\d.]+) ms", out)[1])
    print(f"known {known - began:.2f} s after both daemons' start; first ping {first_ms:.1f} ms")
    assert first_ms < 300
    peer = lan.a.peer("machine-b")
    assert peer["path"] == "direct", peer
    assert peer["endpoint"] in ("1.2.3.4:51820", "[fd00:1::4]:51820"), peer


def test_link_local_addresses_suffice(net):
    lan = Lan(net, four=False)
    lan.start()
    lan.found(lan.a)
    lan.found(lan.b)
    assert lan.a.pings("10.0.0.2") == 1
    assert re.fullmatch(r"\[fe80::.*%eth0\]:51820", endpoint(lan)), endpoint(lan)
    lan.stop()


def test_another_address_is_found(lan):
    """Of who has no session yet, so that only mDNS tells."""
    lan.start()
    lan.found(lan.a)
    lan.b.sh("ip addr del 1.2.3.4/24 dev eth0; ip addr add 1.2.3.7/24 dev eth0")
    eventually(lambda: endpoint(lan) == "1.2.3.7:51820", lambda: f"a follows: {endpoint(lan)}", 10)
    lan.b.sh("ip addr del 1.2.3.7/24 dev eth0; ip addr add 1.2.3.4/24 dev eth0")
    eventually(lambda: endpoint(lan) == "1.2.3.4:51820", lambda: f"a follows: {endpoint(lan)}", 10)
    lan.b.stop()
    eventually(lambda: "machine-b: no longer found" in lan.a.daemon.err(), "b says goodbye", 10)


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


@pytest.mark.parametrize("listen, told", [("0.0.0.0:51820", "1.2.3.4"),
                                          ("[fd00:1::4]:51820", "fd00:1::4")])
def test_addresses_that_it_does_not_listen_on_are_not_announced(lan, listen, told):
    heard = lan.hear()
    lan.b.start(lan.config(lan.b, listen_addr=listen))
    time.sleep(2)
    announced = [m for m in heard() if m[2] & 0x80]
    for address in "1.2.3.4", "fd00:1::4":
        rdata = mdns.address("x", address)[-(16 if ":" in address else 4):]
        assert any(rdata in m for m in announced) == (address == told), address
    assert not [m for m in announced if b"\x00\x10\xfe\x80" in m]


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


def test_aliases_of_what_is_asked_for(lan):
    """Avahi 0.8 by itself ends by them."""
    helpers = begun(lan)
    loop = mdns.record(mdns.SERVICE, mdns.CNAME, mdns.name(mdns.SERVICE))
    short = mdns.record(mdns.SERVICE, mdns.CNAME, mdns.name("x.local"), ttl=1)
    for aliases in ([loop], [short], [short], [], [short]):
        lan.say(mdns.message(aliases))
        time.sleep(1)
    survives(lan, helpers)


def test_a_helper_that_ends_is_started_again(lan):
    helpers = begun(lan)
    lan.a.run("kill", "-SEGV", helpers[0][0])
    eventually(lambda: "veld-mdns ended (signal 11)" in lan.a.daemon.err(), "its end is told")
    assert lan.a.pings("10.0.0.2", count=5, interval=0.05) == 5
    eventually(lambda: lan.a.daemon.err().count(": found on the LAN at ") == 2,
               "b is found again", 10)
    assert len(processes_called(lan.a, "veld-mdns")) == 1


@pytest.mark.parametrize("comes", ["during the flood", "after it"])
def test_made_up_devices_a_thousand_a_second(lan, comes):
    """Who comes then is found, though all tables are full; CPU and memory stay bounded."""
    lan.a.start(lan.config(lan.a))
    helper, = processes_called(lan.a, "veld-mdns")
    before = {pid: cpu_s(lan.a, pid) for pid in (helper, lan.a.daemon.pid)}
    daemon_kib = rss_kib(lan.a, lan.a.daemon.pid)
    flood = lan.flood(1000, 5)
    if comes == "during the flood":
        lan.b.start(lan.config(lan.b))
    sent = int(flood.finish().split()[-1])
    assert sent > 4000, sent
    used = {pid: cpu_s(lan.a, pid) - before[pid] for pid in before}
    ended = time.monotonic()
    if comes == "after it":
        lan.b.start(lan.config(lan.b))
    lan.found(lan.a, timeout=60)
    lan.found(lan.b, timeout=60)
    print(f"{sent} made-up devices in 5 s: both found {time.monotonic() - ended:.1f} s after the "
          f"end; CPU of veld-mdns {used[helper]:.2f} s, of veld-daemon "
          f"{used[lan.a.daemon.pid]:.2f} s; VmRSS {rss_kib(lan.a, helper)} KiB, the daemon's "
          f"{daemon_kib} -> {rss_kib(lan.a, lan.a.daemon.pid)} KiB")
    assert lan.a.pings("10.0.0.2", count=5, interval=0.05) == 5
    assert "a message is not looked at: one too many" in lan.a.daemon.err()
    assert rss_kib(lan.a, helper) < 24 << 10
    assert rss_kib(lan.a, lan.a.daemon.pid) < daemon_kib + (4 << 10)
    assert used[helper] < 3 and used[lan.a.daemon.pid] < 1
    assert processes_called(lan.a, "veld-mdns") == [helper]


def test_pings_go_on_in_a_flood(lan):
    helpers = begun(lan)
    flood = lan.flood(1000, 5)
    assert lan.a.pings("10.0.0.2", count=80, interval=0.05) >= 79
    flood.finish()
    survives(lan, helpers)


def endpoint(lan):
    return lan.a.peer("machine-b")["endpoint"]


def test_forged_addresses_of_a_known_peer_are_candidates_and_no_more(lan):
    helpers = begun(lan)
    at, key = endpoint(lan), lan.keys[lan.b]
    sessions = lan.a.peer("machine-b")["last_handshake"]
    lan.say(*(mdns.device(f"forged-{n}", key, [f"1.2.3.{n}"]) for n in range(100, 150)))
    time.sleep(1)
    survives(lan, helpers)
    assert endpoint(lan) == at and lan.a.peer("machine-b")["last_handshake"] == sessions
    # And who begins anew still finds the peer, whose own announcement has its share.
    lan.a.stop()
    lan.a.start()
    lan.say(*(mdns.device(f"forged-{n}", key, [f"1.2.3.{n}"]) for n in range(100, 150)))
    eventually(lambda: lan.a.pings("10.0.0.2", wait=1), "a ping through the tunnel", 15)


def test_addresses_that_are_nobodys(lan):
    """Loopback, multicast, broadcast, inside the tunnel, our own, and fifty of them."""
    bad = ["127.0.0.1", "0.0.0.0", "224.0.0.251", "255.255.255.255", "1.2.3.255", "10.0.0.2",
           "1.2.3.1", "::1", "ff02::fb", "fd0a::2", "::", "fd00:1::1"]
    heard = lan.stranger.spawn(sys.executable, LAB / "traffic.py", "capture", "eth0", PORT)
    lan.a.start(lan.config(lan.a))
    time.sleep(1)
    lan.say(mdns.device("bad", lan.keys[lan.b], bad))
    time.sleep(1)
    assert ": found on the LAN at " not in lan.a.daemon.err()
    many = [f"1.2.3.{n}" for n in range(66, 116)]
    lan.stranger.sh("".join(f"ip addr add {a}/32 dev eth0;" for a in many[1:]))
    lan.say(mdns.device("many", lan.keys[lan.b], many))
    lan.found(lan.a)
    assert not lan.a.pings("10.0.0.2", wait=1)
    time.sleep(2)
    # Initiations to eight of the stranger's addresses are all that this costs.
    assert 1 <= len(heard.out().splitlines()) - 1 <= 8, heard.out()
    lan.b.start(lan.config(lan.b))
    eventually(lambda: lan.a.pings("10.0.0.2", wait=1), "a ping through the tunnel", 15)


def labels_of(heard, key):
    """By which names a key is announced, in order."""
    labels = []
    for m in heard():
        label = re.search(rb"veld-[0-9a-f]{16}", m)
        if m[2] & 0x80 and key.encode() in m and label and label[0] not in labels:
            labels.append(label[0])
    return labels


def test_a_name_that_somebody_else_claims(lan):
    heard = lan.hear()
    helpers = begun(lan)
    key = lan.keys[lan.b]
    for n in range(1, 3):
        eventually(lambda: len(labels_of(heard, key)) == n, lambda: labels_of(heard, key), 10)
        label = labels_of(heard, key)[-1].decode()
        lan.say(*[mdns.device(label, mdns.made_up(n), ["1.2.3.99"])] * 500)  # for a second
    eventually(lambda: len(labels_of(heard, key)) == 3, lambda: labels_of(heard, key), 10)
    survives(lan, helpers)
    lan.a.stop()
    lan.a.start()
    lan.found(lan.a)


# ---- Beside others ----

def test_beside_avahi_daemon(lan):
    daemons = []
    for machine in (lan.a, lan.stranger):
        conf = machine.dir / "avahi.conf"
        conf.write_text("[server]\nenable-dbus=no\nallow-interfaces=eth0\n"
                        "[publish]\npublish-workstation=yes\n")
        daemons.append(machine.spawn("avahi-daemon", "-f", conf, "--no-drop-root", "--no-chroot",
                                     "--no-rlimits"))
    heard = lan.hear()
    eventually(lambda: "Server startup complete" in daemons[0].err() + daemons[0].out(),
               "avahi-daemon runs", 10)
    lan.start()
    lan.found(lan.a)
    lan.found(lan.b)
    assert lan.a.pings("10.0.0.2") == 1
    time.sleep(3)
    for daemon in daemons:
        said = daemon.err() + daemon.out()
        assert daemon.running() and "conflict" not in said.lower(), said
        assert "withdrawing" not in said.lower(), said
    assert any(b"_workstation" in m for m in heard()), "it goes on as before"
    lan.stop()
    lan.clean = {}
    for daemon in daemons:
        daemon.stop()


def test_members_behind_one_box_prefer_the_lan(net):
    mesh = NatMesh(net, [("port-restricted", "a", "b")], stun=True)
    mesh.begin()
    # Before there is a session it is the first of the candidates that is shown.
    for name, other in ("a", "b"), ("b", "a"):
        eventually(lambda: mesh.peer(name, other)["endpoint"].startswith("203.0.113."),
                   lambda: f"{name} knows where STUN sees {other}: {mesh.peer(name, other)}", 10)
    for name in "a", "b":
        said = mesh[name].veld("set", "--mdns", "yes").stdout
        assert re.search(r"mdns +yes", said) and "next start on: sudo veld down" in said, said
        mesh.down(name)
        mesh.up(name)
    inner = {"a": "192.168.1.2:51820", "b": "192.168.1.3:51820"}
    for name, other in ("a", "b"), ("b", "a"):
        mesh.sees(name, other, state="idle", endpoint=inner[other])
    mesh.reaches("a", mesh.address("b"))
    at = mesh.sees("a", "b", state="active", path="direct")["endpoint"]
    assert at == inner["b"] or at.startswith("[fe80::"), at
    assert re.search(r"mdns +no", mesh["b"].veld("set", "--mdns", "no").stdout)
    mesh.down("b")
    mesh.up("b")
    assert not processes_called(mesh["b"], "veld-mdns")
    mesh.stop()


def test_a_member_that_was_found_before_it_was_one(net):
    mesh = Coord(net, ["first", "later"])
    mesh.first("--listen", ":51820")
    mesh["first"].veld("set", "--mdns", "yes")
    mesh.down("first")
    mesh.up("first")
    key = mesh["later"].keygen()
    time.sleep(1)
    mesh["later"].run(sys.executable, LAB / "mdns.py", "say", "eth0", input=mdns.device(
        "before", key, ["203.0.113.99"], ttl=4500).hex() + "\n")
    time.sleep(1)
    mesh.join("later")
    mesh.sees("first", "later", state="idle", endpoint="203.0.113.99:51820")
    mesh.reaches("first", mesh.address("later"))  # by its record
    mesh.stop()


def test_without_the_helper_it_says_so(pair):
    alone = pair.a.dir / "veld-daemon"
    shutil.copy(DAEMON, alone)
    config = pair.a.write_config(pair.config(pair.a, mdns={"enabled": True}))
    done = pair.a.run(alone, "--config", config, "--foreground", check=False)
    assert done.returncode == 1 and f"{pair.a.dir}/veld-mdns cannot be run" in done.stderr, done
    assert not pair.a.has_interface()
