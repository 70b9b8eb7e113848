"""Port mappings, by UPnP and NAT-PMP: a real miniupnpd (router.py), and routers that lie
(fake_router.py).

    member 192.168.1.2 ---- 192.168.1.1 box 203.0.113.N, 8.8.1.7 ---- the internet of nat.py
"""
import os
import sys
import time

import pytest

from nat import Internet
from nat_mesh import NatMesh
from net import BUILD, DAEMON, PORT, eventually, toml
from router import OUTSIDE, Router, reaches_outside
from test_units import setting

FAKE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "fake_router.py")
VICTIM = "203.0.113.200"
COUNTER = """table ip asked {
    counter asked {}
    chain input {
        type filter hook input priority -10
        iifname eth1 meta l4proto { udp, tcp } counter name asked
    }
}"""


@pytest.fixture
def home(net):
    """A member behind a box that lets nobody in."""
    internet = Internet(net)
    a, = internet.nat("port-restricted", "machine-a")
    a.keygen()
    return a, internet.boxes[-1], internet


def start(a, **keys):
    return a.start(toml(vpn_ip=["10.0.0.1/24"], name="machine-a", **keys))


def mapping(a):
    return a.status()["reach"]["port_mapping"]


def is_mapped(a, timeout=12):
    return eventually(lambda: mapping(a)["mapped"], lambda: f"it is mapped: {mapping(a)}", timeout)


def has_failed(a, word, timeout=25):
    eventually(lambda: word in (mapping(a)["reason"] or ""), lambda: f"{word}: {mapping(a)}", timeout)


def fake(box, mode, *other):
    process = box.machine.spawn(sys.executable, FAKE, mode, *other)
    eventually(lambda: "ready" in process.out(), "the fake router is ready")
    return process


# ---- What it is for ----

@pytest.mark.parametrize("protocol", ["natpmp", "upnp"])
def test_a_mapped_machine_is_reached_from_behind_a_symmetric_nat(net, protocol):
    """Which port-restricted NATs do not allow by themselves: test_nat.py."""
    mesh = NatMesh(net, [("port-restricted", "mapped"), ("symmetric", "caller")])
    router = Router(mesh.box["mapped"], protocol).start()
    reaches_outside(mesh.box["caller"].machine)
    mesh.begin()
    assert is_mapped(mesh["mapped"]) == f"{OUTSIDE}:51820"
    assert mapping(mesh["mapped"])["method"] == protocol
    assert len(router.mappings()) == 1
    assert mesh.first_byte("caller", "mapped", 10) is not None
    assert mesh.peer("caller", "mapped")["path"] == "direct"
    mesh.down("mapped")
    assert router.mappings() == []
    mesh.stop()


def test_settings_turn_it_off_and_on_while_it_runs(net):
    mesh = NatMesh(net, [("port-restricted", "mapped")])
    router = Router(mesh.box["mapped"], "natpmp").start()
    mesh.begin()
    is_mapped(mesh["mapped"])
    assert "in effect now" in mesh["mapped"].veld("set", "--port-mapping", "no").stdout
    eventually(lambda: router.mappings() == [], "it is given back")
    assert "turned off" in mapping(mesh["mapped"])["reason"]
    mesh["mapped"].veld("set", "--port-mapping", "yes")
    is_mapped(mesh["mapped"])
    mesh.stop()


# ---- A real router ----

@pytest.mark.parametrize("protocol", ["natpmp", "upnp"])
def test_what_a_systemd_unit_allows_is_enough(home, protocol):
    a, box, _ = home
    Router(box, protocol).start()
    allowed = ",".join("+" + word.removeprefix("CAP_").lower()
                       for word in setting("veld.service", "CapabilityBoundingSet"))
    a.write_config(toml(vpn_ip=["10.0.0.1/24"], name="machine-a"))
    a.daemon = a.spawn("setpriv", "--bounding-set", f"-all,{allowed}", "--inh-caps", "-all",
                       "--no-new-privs", DAEMON, "--config", "config.toml", "--foreground")
    eventually(lambda: a.daemon.out() or not a.daemon.running(), "the daemon is up")
    is_mapped(a)


@pytest.mark.parametrize("protocol, name", [("natpmp", "NAT-PMP"), ("upnp", "UPnP")])
def test_netcheck_tells_it(home, protocol, name):
    a, box, _ = home
    router = Router(box, protocol).start()
    start(a)
    at = is_mapped(a)
    assert f"Port mapping:          {name} {at}\n" in a.veld("netcheck").stdout
    assert a.status()["reach"]["candidates"][0] == at
    a.stop()
    assert router.mappings() == []


@pytest.mark.parametrize("protocol", ["natpmp", "upnp"])
def test_a_port_that_another_has_is_not_taken_from_it(net, protocol):
    internet = Internet(net)
    a, other = internet.nat("port-restricted", "machine-a", "other")
    a.keygen()
    router = Router(internet.boxes[-1], protocol).start()
    other.run(BUILD / "veld-portmap", "map", "192.168.1.1", "192.168.1.3", PORT, PORT)
    start(a)
    at = is_mapped(a)
    assert at.startswith(f"{OUTSIDE}:") and not at.endswith(f":{PORT}")
    assert len(router.mappings()) == 2
    a.stop()
    assert len(router.mappings()) == 1 and "192.168.1.3:51820" in router.mappings()[0]


def test_another_address_is_mapped_anew(home):
    a, box, _ = home
    router = Router(box, "natpmp").start()
    start(a)
    is_mapped(a)
    a.sh("ip addr del 192.168.1.2/24 dev eth0; ip addr add 192.168.1.9/24 dev eth0;"
         "ip route replace default via 192.168.1.1")
    # The router keeps the port for the address that was, until that lease is over.
    eventually(lambda: mapping(a)["mapped"] == f"{OUTSIDE}:{PORT + 1}", lambda: str(mapping(a)), 12)
    assert any(f"192.168.1.9:{PORT}" in line for line in router.mappings())


def test_a_router_that_was_left_is_not_spoken_to(home):
    """Its address is anybody's, from the next network on."""
    a, box, _ = home
    router = Router(box, "natpmp").start()
    start(a)
    is_mapped(a)
    heard = router.process.err().count("request received")
    a.sh("ip addr add 10.9.9.2/24 dev eth0; ip route replace default via 10.9.9.1")
    has_failed(a, "10.9.9.1 answers neither")
    a.stop()
    assert heard == router.process.err().count("request received") == 2


# ---- Nobody is asked without need ----

def asked(box):
    return int(box.machine.run("nft", "list counter ip asked asked").stdout.split("packets ")[1]
               .split()[0])


@pytest.mark.parametrize("why", ["off", "public", "elsewhere", "auto"])
def test_no_datagram_goes_to_the_router_without_need(home, why):
    a, box, _ = home
    Router(box, "natpmp", "upnp").start()
    box.machine.run("nft", "-f", "-", input=COUNTER)
    if why == "public":
        a.sh("ip addr add 8.8.2.2/32 dev eth0")
    if why == "elsewhere":
        a.sh("ip addr add 192.168.1.77/24 dev eth0")
    start(a, port_mapping=None if why == "public" else "off" if why == "off" else "auto",
          listen_addr="192.168.1.77:51820" if why == "elsewhere" else None)
    if why == "auto":
        is_mapped(a)
        assert asked(box) > 0
        return
    word = {"off": "turned off", "public": "public address", "elsewhere": "listens elsewhere"}[why]
    assert word in mapping(a)["reason"]
    time.sleep(3)
    a.stop()
    assert asked(box) == 0


def test_a_machine_without_a_gateway_asks_once_there_is_one(home):
    a, box, _ = home
    Router(box, "natpmp").start()
    a.sh("ip route del default")
    start(a)
    assert "no default gateway" in mapping(a)["reason"]
    a.sh("ip route add default via 192.168.1.1; ip addr add 192.168.1.8/24 dev eth0")
    is_mapped(a)


# ---- Leases ----

def test_a_lease_is_renewed_at_its_half_and_a_router_that_forgot_is_asked_anew(home):
    a, box, _ = home
    process = fake(box, "lease", "1")
    start(a)
    assert is_mapped(a) == f"{OUTSIDE}:40001"
    first = process.out().count("natpmp 1")
    eventually(lambda: process.out().count("natpmp 1") > first, "renewed within 10 s", 13)
    process.kill()
    fake(box, "lease", "2")
    eventually(lambda: mapping(a)["mapped"] == f"{OUTSIDE}:40002", lambda: str(mapping(a)), 25)


def test_a_mapping_ends_with_its_lease_when_the_router_is_silent(home):
    a, box, _ = home
    process = fake(box, "lease", "1")
    start(a)
    at = is_mapped(a)
    process.kill()
    eventually(lambda: not mapping(a)["mapped"], "it is over", 25)
    assert at not in a.status()["reach"]["candidates"]
    has_failed(a, "answers neither")


def test_a_router_that_knows_no_leases_is_asked_to_remove_it(home):
    a, box, _ = home
    process = fake(box, "permanent")
    start(a)
    assert is_mapped(a) == f"{OUTSIDE}:{PORT}"
    assert f"soap AddPortMapping {PORT} 0" in process.out()
    a.stop()
    assert f"soap DeletePortMapping {PORT}" in process.out()


# ---- Routers that lie ----

def listen_at(internet):
    """Somebody who shall hear nothing: a process whose output is whom it heard."""
    victim = internet.public("victim", 200)
    listener = victim.spawn(sys.executable, "-c", """if True:
        import socket
        s = socket.create_server(("203.0.113.200", 5000)); print("ready", flush=True)
        while True: print("heard", s.accept()[1], flush=True)""")
    eventually(lambda: "ready" in listener.out(), "it listens")
    return listener


@pytest.mark.parametrize("mode", ["elsewhere", "control", "moved"])
def test_no_other_host_is_spoken_to(home, mode):
    a, box, internet = home
    listener = listen_at(internet)
    process = fake(box, mode, VICTIM)
    a.run("python3", "-c", f"import socket; socket.create_connection(('{VICTIM}', 5000)).close()")
    eventually(lambda: listener.out().count("heard") == 1, "it can be reached")
    start(a)
    has_failed(a, "answers neither")
    assert "ssdp" in process.out() and ("http GET" in process.out()) == (mode != "elsewhere")
    assert listener.out().count("heard") == 1


def test_a_name_is_not_looked_up(home):
    a, box, _ = home
    process = fake(box, "name")
    a.sh("echo '192.168.1.1 router.test' >>/etc/hosts")
    start(a)
    has_failed(a, "answers neither")
    assert "ssdp" in process.out() and "http" not in process.out()


@pytest.mark.parametrize("mode, word", [("private", "double NAT"), ("port", "refuses"),
                                        ("short", "neither"), ("noise", "neither"),
                                        ("deep", "neither"), ("taken", "refuses"),
                                        ("unplugged", "not connected")])
def test_what_is_no_mapping_is_not_taken_for_one(home, mode, word):
    a, box, _ = home
    process = fake(box, mode)
    start(a)
    before = a.status()["reach"]["candidates"]
    eventually(lambda: "being asked" not in (mapping(a)["reason"] or ""), "it was answered", 25)
    assert word in mapping(a)["reason"], mapping(a)
    assert a.status()["reach"]["candidates"] == before == ["192.168.1.2:51820"]
    if mode == "private":
        eventually(lambda: process.out().count("natpmp 1") == 2, "it is given back")


def helper(a):
    """What /proc says of veld-portmap: {"VmHWM": "1000 kB", ...}; None: it does not run."""
    pid = a.run("pgrep", "-x", "veld-portmap", check=False).stdout.strip()
    status = a.run("cat", f"/proc/{pid}/status", check=False).stdout if pid else ""
    return dict(line.split(":\t", 1) for line in status.splitlines()) or None


@pytest.mark.parametrize("mode", ["endless", "slow"])
def test_a_description_without_end_costs_a_helper_its_time(home, mode):
    a, box, _ = home
    process = fake(box, mode)
    start(a)
    eventually(lambda: "http GET" in process.out(), "it is read", 10)
    sizes, began = [], time.monotonic()
    while status := helper(a):
        sizes.append(int(status.get("VmHWM", "0 kB").split()[0]))
        assert time.monotonic() - began < 25
    assert 0 < max(sizes) < 70_000
    has_failed(a, "answers neither")
    assert a.status()["health"] == []
    pid = a.daemon.pid
    rss = int(a.sh(f"grep VmHWM /proc/{pid}/status").stdout.split()[1])
    assert rss < 100_000, "the daemon read none of it"
    a.stop()


def test_a_stop_while_a_router_is_slow_is_quick(home):
    a, box, _ = home
    process = fake(box, "slow")
    start(a)
    eventually(lambda: "http GET" in process.out(), "it is read", 10)
    status = helper(a)
    assert {status[key].strip("\t0") for key in ("CapEff", "CapPrm", "CapInh", "CapAmb")} == {""}
    assert status["NoNewPrivs"] == "1"
    began = time.monotonic()
    a.stop()
    assert time.monotonic() - began < 3
    assert "veld-portmap" not in a.processes()
