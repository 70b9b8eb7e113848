"""LAN mode: machines of one LAN, without a server, with a secret or by the user's word."""
import base64
import hashlib
import sys
import time

import pytest
from nacl.signing import SigningKey

import mdns
from net import DAEMON, LAB, VELD, Net, eventually, toml
from pair import remains

SECRET = base64.b64encode(bytes(range(32))).decode() + "\n"
OTHER = base64.b64encode(bytes(32 * [9])).decode() + "\n"


class Lan:
    """Machines at a switch; none is started."""

    def __init__(self, net: Net, names):
        self.net, self.switch = net, net.machine("switch")
        self.switch.sh("ip link add br0 type bridge mcast_snooping 0; ip link set br0 up")
        self.machines, self.keys, self.clean = {}, {}, {}
        for name in names:
            self.plug(name)

    def plug(self, name):
        machine = self.net.machine(name)
        port, n = f"eth{self.switch.wires}", len(self.net.machines)
        self.net.wire(machine, self.switch, [f"192.0.2.{n}/24", f"fd00:1::{n}/64"])
        self.switch.run("ip", "link", "set", port, "master", "br0")
        machine.switch_port = port
        self.machines[name] = machine
        self.keys[name] = machine.keygen()
        self.clean[name] = machine.snapshot()
        return machine

    def config(self, machine, secret=None, **changes):
        if secret:
            path = machine.dir / "secret"
            path.write_text(secret)
            path.chmod(0o600)
            changes["network_secret_file"] = str(path)
        return toml(**({"name": machine.name, "mdns": {"enabled": True}} | changes))

    def start(self, secret=None, **changes):
        for machine in self.machines.values():
            machine.start(self.config(machine, secret, **changes))
        return list(self.machines.values())

    def stop(self):
        for machine in self.machines.values():
            if machine.daemon and machine.daemon.running():
                machine.stop()
            machine.daemon = None
        for name, before in self.clean.items():
            machine = self.machines[name]
            eventually(lambda: not remains(machine, before),
                       lambda: f"{name} is as before: {remains(machine, before)}", 3)


@pytest.fixture
def lan(net):
    assert VELD.exists() and DAEMON.exists(), f"no {DAEMON}: run tools/build"
    made = []

    def make(*names):
        made.append(Lan(net, names))
        return made[0]

    yield make
    for lan in made:
        lan.stop()


def derived(machine, lan):
    """The name of a machine that has told none."""
    key = base64.b64decode(lan.keys[machine.name])
    digits = hashlib.sha256(key).hexdigest()
    return "k" + "-".join(digits[i:i + 4] for i in range(0, 20, 4))


def keys_of_nobody(n):
    """Public keys that are usable, in base64."""
    return [base64.b64encode(bytes(SigningKey.generate().verify_key)).decode() for _ in range(n)]


def names(machine):
    return {p["name"] for p in machine.status()["peers"]}


def pending(machine):
    return {p["name"] for p in machine.status()["lan"]["pending"]}


def reaches(a, name, timeout=20):
    eventually(lambda: a.pings(name, wait=1), f"{a.name} reaches {name}", timeout)


def health(machine):
    return "\n".join(machine.status()["health"])


def accept(a, b, lan):
    eventually(lambda: derived(b, lan) in pending(a), f"{a.name} finds {b.name}", 20)
    return a.veld("trust", "accept", derived(b, lan)).stdout


# ---- With a secret ----

def test_one_secret_is_all(lan):
    lan = lan("anna", "bert", "carl")
    machines = lan.start(SECRET)
    for a in machines:
        others = {m.name for m in machines} - {a.name}
        eventually(lambda: names(a) == others, lambda: f"{a.name} knows {others}: {names(a)}", 20)
        for b in others:
            reaches(a, f"{b}.veld")
            for address in a.peer(b)["addresses"]:
                reaches(a, address)
            assert len(a.peer(b)["addresses"]) == 2
    assert machines[0].status()["lan"]["secret"] is True
    assert not health(machines[0]), health(machines[0])


def test_another_secret_is_nobody(lan):
    lan = lan("anna", "bert", "eve")
    a, b, eve = lan.machines.values()
    a.start(lan.config(a, SECRET))
    b.start(lan.config(b, SECRET))
    eve.start(lan.config(eve, OTHER))
    reaches(a, "bert.veld")
    for machine in (a, b):
        eventually(lambda: machine.status()["lan"]["found"] >= 1, "eve is found", 20)
        assert names(machine) == {"anna", "bert"} - {machine.name}
        assert machine.status()["lan"]["members"] == 1
        assert machine.status()["lan"]["pending"] == []
    assert names(eve) == set()
    eventually(lambda: eve.drops("handshake_failed") >= 4, "eve is called, and cannot read it", 20)
    for machine in (a, b, eve):  # which would be known only from an answer to be read
        assert "does it have the same network secret" not in machine.daemon.err()
    assert eve.status()["counters"]["handshakes_completed"] == 0
    eventually(lambda: "has this network's secret" in health(eve), "eve is told why", 30)
    assert not health(a), health(a)
    assert a.status()["counters"]["handshakes_completed"] >= 1
    out = a.veld("status").stdout + a.veld("trust", "list").stdout
    assert "eve" not in out and derived(eve, lan) not in out


def test_a_name_is_one_machine_s(lan):
    lan = lan("anna", "bert", "carl")
    a, b, c = lan.machines.values()
    a.start(lan.config(a, SECRET))
    b.start(lan.config(b, SECRET, name="twin"))
    reaches(a, "twin.veld")
    c.start(lan.config(c, SECRET, name="twin"))
    eventually(lambda: names(a) == {"twin", derived(c, lan)}, lambda: names(a), 20)
    assert a.peer("twin")["pubkey"] == lan.keys["bert"]
    eventually(lambda: "calls itself twin" in health(a), "it is said", 5)
    assert lan.keys["carl"] in health(a)
    reaches(a, f"{derived(c, lan)}.veld")
    # The user says that it is right.
    a.veld("trust", "accept", lan.keys["carl"])
    eventually(lambda: a.peer("twin")["pubkey"] == lan.keys["carl"], "accepted", 5)
    # The other is gone for good.
    b.stop()
    assert derived(b, lan) in health(a)
    a.veld("trust", "forget", derived(b, lan))
    assert names(a) == {"twin"} and not health(a), health(a)


def test_an_address_is_one_machine_s(lan):
    lan = lan("anna", "bert", "carl")
    a, b, c = lan.machines.values()
    a.start(lan.config(a, SECRET, vpn_ip="10.7.0.1/24"))
    b.start(lan.config(b, SECRET, vpn_ip="10.7.0.2/24"))
    reaches(a, "10.7.0.2")
    c.start(lan.config(c, SECRET, vpn_ip="10.7.0.2/24"))
    eventually(lambda: "carl has the address 10.7.0.2, which is that of bert" in health(a),
               lambda: health(a), 20)
    assert [len(a.peer(n)["addresses"]) for n in ("bert", "carl")] == [2, 1]
    reaches(a, a.peer("carl")["addresses"][0])
    reaches(a, "10.7.0.2")
    # And from an address that it does not hold nothing is taken.
    eventually(lambda: "10.7.0.1" in c.peer("anna")["addresses"], "carl can send to it", 5)
    before = a.drops("bad_inner_source")
    c.run("ping", "-c1", "-W1", "-I", "10.7.0.2", "10.7.0.1", check=False)
    assert a.drops("bad_inner_source") > before, a.status()["drops"]


def test_addresses_of_the_config_beside_its_own(lan):
    lan = lan("anna", "bert")
    a, b = lan.machines.values()
    a.start(lan.config(a, SECRET, vpn_ip=["10.7.0.1/24", "fd0a::1/64"]))
    b.start(lan.config(b, SECRET, vpn_ip="fd0a::2/64"))
    eventually(lambda: names(a) == {"bert"}, "they meet", 20)
    (ipv6,) = a.peer("bert")["addresses"]
    reaches(a, ipv6)
    assert len(b.peer("anna")["addresses"]) == 1, "b has no network of 10.7.0.1"
    assert "in none of this machine's networks" in health(b)


def test_peers_of_the_config_beside_it(lan):
    """What it says of them counts; they have the same secret, and are on the LAN or not."""
    lan = lan("anna", "bert", "carl")
    a, b, c = lan.machines.values()
    entry = dict(name="printer", pubkey=lan.keys["bert"], vpn_ip="10.7.0.9")
    a.start(lan.config(a, SECRET, vpn_ip="10.7.0.1/24", peers=[entry]))
    other = dict(name="anna", pubkey=lan.keys["anna"], vpn_ip="10.7.0.1")
    b.start(lan.config(b, SECRET, vpn_ip="10.7.0.9/24", peers=[other]))
    c.start(lan.config(c, SECRET, name="printer", vpn_ip="10.7.0.9/24"))
    reaches(a, "printer.veld")
    eventually(lambda: names(a) == {"printer", derived(c, lan)}, lambda: names(a), 20)
    assert a.peer("printer")["pubkey"] == lan.keys["bert"]
    assert a.peer("printer")["addresses"] == ["10.7.0.9"]
    eventually(lambda: "[[peers]] in this machine's config" in health(a), lambda: health(a), 10)
    reaches(a, f"{derived(c, lan)}.veld")


def test_whoever_announces_hundreds_keeps_nobody_out(lan):
    lan = lan("anna", "bert", "mallory")
    a, b, mallory = lan.machines.values()
    a.start(lan.config(a, SECRET))
    fakes = [mdns.device(f"fake{n}", key, [f"192.0.2.{100 + n % 100}"]).hex() + "\n"
             for n, key in enumerate(keys_of_nobody(300))]
    for n in range(0, len(fakes), 50):  # no more at once than are looked at
        mallory.run(sys.executable, LAB / "mdns.py", "say", "eth0", input="".join(fakes[n:n + 50]))
        time.sleep(0.7)
    # More than are called at a time.
    eventually(lambda: a.status()["lan"]["found"] >= 200, lambda: a.status()["lan"], 30)
    b.start(lan.config(b, SECRET))
    reaches(a, "bert.veld", 30)
    assert names(a) == {"bert"}


def test_nobody_elsewhere_is_called(lan):
    """A device that names an address behind the router: it would have us knock at a stranger's."""
    lan = lan("anna", "mallory")
    a, mallory = lan.machines.values()
    a.sh("ip route add default via 192.0.2.3")  # mallory
    a.start(lan.config(a, SECRET))
    capture = mallory.spawn_traffic("forwarded", "eth0", 51820)
    elsewhere, here = keys_of_nobody(2)
    mallory.run(sys.executable, LAB / "mdns.py", "say", "eth0",
                input="\n".join(mdns.device(f"fake{n}", key, [at]).hex() for n, (key, at) in
                                enumerate([(elsewhere, "198.51.100.7"), (here, "192.0.2.77"),
                                           (here, "192.0.2.3")])))
    eventually(lambda: "192.0.2.3" in capture.out(), lambda: f"one is called: {capture.out()}", 20)
    time.sleep(1)
    capture.stop()
    a.sh("ip route del default")
    assert "198.51.100.7" not in capture.out()


def test_who_goes_is_called_no_more(lan):
    lan = lan("anna", "mallory")
    a, mallory = lan.machines.values()
    a.start(lan.config(a, SECRET))
    (key,) = keys_of_nobody(1)
    for ttl, found in ((120, 1), (0, 0)):
        fake = mdns.device("fake", key, ["192.0.2.99"], ttl=ttl).hex() + "\n"
        mallory.run(sys.executable, LAB / "mdns.py", "say", "eth0", input=fake)
        eventually(lambda: a.status()["lan"]["found"] == found, f"{found} found", 20)


def test_the_twin_of_a_key_keeps_nobody_out(lan):
    """Two Ed25519 keys that differ in their sign share one X25519 key."""
    lan = lan("anna", "bert", "mallory")
    a, b, mallory = lan.machines.values()
    a.start(lan.config(a, SECRET))
    twin = bytearray(base64.b64decode(lan.keys["bert"]))
    twin[31] ^= 0x80
    fake = mdns.device("twin", base64.b64encode(twin).decode(), ["192.0.2.99"]).hex() + "\n"
    mallory.run(sys.executable, LAB / "mdns.py", "say", "eth0", input=fake)
    eventually(lambda: a.status()["lan"]["found"] == 1, "the twin is found", 20)
    b.start(lan.config(b, SECRET))
    reaches(a, "bert.veld", 15)
    assert a.peer("bert")["pubkey"] == lan.keys["bert"]


# ---- Without one ----

def test_both_accept(lan):
    lan = lan("anna", "bert")
    a, b = lan.start()
    accept(a, b, lan)
    eventually(lambda: names(a) == {derived(b, lan)}, "a peer here", 5)
    assert derived(b, lan) not in pending(a)
    out = b.veld("status").stdout
    assert derived(a, lan) in out and "trust accept" in out, out
    listed = b.veld("trust", "list").stdout
    assert lan.keys["anna"] in listed, listed
    assert not a.pings(f"{derived(b, lan)}.veld", wait=2), "one side is not enough"
    assert b.status()["counters"]["initiations_answered"] == 0
    eventually(lambda: f"trust accept {derived(a, lan)}" in health(a), lambda: health(a), 30)
    accept(b, a, lan)
    reaches(a, "bert.veld")
    reaches(b, "anna.veld")
    assert pending(a) == pending(b) == set()


def test_trust_survives_a_restart(lan):
    lan = lan("anna", "bert")
    a, b = lan.start()
    accept(a, b, lan), accept(b, a, lan)
    reaches(a, "bert.veld")
    for machine in (a, b):
        machine.stop()
    for machine in (a, b):
        machine.start()
    assert names(a) == {"bert"}
    reaches(a, "bert.veld")
    # A broken file is never "nobody is trusted".
    a.stop()
    pins = next(a.inside("var/lib/veld/lan").glob("pins-*.json"))
    text = pins.read_text()
    pins.write_text(text[:-9])
    failed = a.run(DAEMON, "--config", a.dir / "config.toml", "--foreground", check=False)
    assert failed.returncode == 1 and "restore it from a backup" in failed.stderr, failed.stderr
    pins.write_text(text)


def test_what_was_accepted_is_on_the_disk(lan):
    lan = lan("anna", "bert")
    a, b = lan.start()
    accept(a, b, lan)
    a.daemon.kill()
    a.start()
    assert names(a) == {derived(b, lan)}


def test_accepted_before_they_met(lan):
    lan = lan("anna", "bert")
    a, b = lan.machines.values()
    for machine, other in ((a, b), (b, a)):
        machine.start(lan.config(machine))
        machine.veld("trust", "accept", lan.keys[other.name])
        machine.stop()
    for machine in (a, b):  # nobody waits for anybody
        machine.start()
    eventually(lambda: names(a) == {"bert"} and names(b) == {"anna"}, lambda: names(a), 20)


def test_forgotten_is_pending_again(lan):
    lan = lan("anna", "bert")
    a, b = lan.start()
    accept(a, b, lan), accept(b, a, lan)
    reaches(a, "bert.veld")
    a.veld("trust", "forget", "bert")
    assert names(a) == set()
    assert derived(b, lan) in pending(a)
    assert not b.pings("anna.veld", wait=1)
    accept(a, b, lan)
    reaches(a, "bert.veld")


def test_a_pinned_name_with_another_key_is_blocked(lan):
    lan = lan("anna", "bert", "eve")
    a, b, eve = lan.machines.values()
    a.start(lan.config(a))
    b.start(lan.config(b))
    accept(a, b, lan), accept(b, a, lan)
    reaches(a, "bert.veld")
    b.stop()
    eve.start(lan.config(eve, name="bert"))
    accept(a, eve, lan), accept(eve, a, lan)
    eventually(lambda: a.peer(derived(eve, lan))["state"].startswith("blocked"),
               lambda: a.status()["peers"], 20)
    assert "calls itself bert" in health(a)
    assert lan.keys["eve"] in a.veld("trust", "list").stdout
    assert not eve.pings("anna.veld", wait=1)
    assert a.peer("bert")["pubkey"] == lan.keys["bert"]
    a.veld("trust", "accept", "bert")
    reaches(a, "bert.veld", 30)
    assert a.peer("bert")["pubkey"] == lan.keys["eve"]


def test_what_cannot_be_accepted(lan):
    lan = lan("anna", "bert")
    a, b = lan.start()
    failed = a.veld("trust", "accept", "nobody", check=False)
    assert failed.returncode == 1 and "trust list" in failed.stderr
    # A whole key needs not be found.
    eventually(lambda: pending(a), "found", 20)
    a.veld("trust", "accept", lan.keys["bert"])
    again = a.veld("trust", "accept", lan.keys["bert"], check=False)
    assert again.returncode == 1 and "already" in again.stderr


# ---- veld up --lan ----

def ups(lan, machine, *options):
    return machine.veld("up", "--lan", *options).stdout


def downs(machine):
    machine.veld("down")
    eventually(lambda: not machine.has_interface(), "the interface is gone", 5)


def test_one_line_and_a_secret(lan):
    lan = lan("anna", "bert")
    a, b = lan.machines.values()
    file = a.dir / "lan.secret"
    out = ups(lan, a, "--secret-file", file)
    assert f"made {file}" in out and f"veld up --lan --secret-file {file}" in out, out
    assert file.stat().st_mode & 0o777 == 0o600
    copy = b.dir / "lan.secret"
    copy.write_bytes(file.read_bytes())
    copy.chmod(0o644)
    failed = b.veld("up", "--lan", "--secret-file", copy, check=False)
    assert failed.returncode == 1 and "chmod" in failed.stderr, failed.stderr
    copy.chmod(0o600)
    out = ups(lan, b, "--secret-file", copy, "--name", "Bertha")
    assert "members found so far: 1" in out, out
    reaches(a, "bertha.veld")
    secret = file.read_text().strip()
    for machine in (a, b):
        argv = machine.sh("cat /proc/[0-9]*/cmdline | tr '\\0' ' '").stdout
        assert "veld-daemon" in argv and secret not in argv
    # Down, and up again by what was told.
    downs(b)
    b.veld("up")
    reaches(a, "bertha.veld")
    assert b.status()["lan"]["secret"] is True
    out = b.veld("up", "--lan").stdout
    assert "already up" in out and "secret-file" in out, out
    failed = b.veld("up", "--lan", "--name", "other", check=False)
    assert failed.returncode == 1 and "veld down" in failed.stderr, failed.stderr
    # What is not said again stays.
    downs(b)
    ups(lan, b, "--name", "bert", "--listen", ":5555")
    reaches(a, "bert.veld")
    assert b.status()["lan"]["secret"] is True and b.status()["listen"] == "[::]:5555"
    for machine in (a, b):
        downs(machine)


def test_one_line_and_nothing_else(lan):
    lan = lan("anna", "bert")
    a, b = lan.machines.values()
    out = ups(lan, a)
    assert "on each other machine: sudo veld up --lan" in out, out
    out = ups(lan, b)
    assert lan.keys["anna"] in out and "veld trust accept NAME" in out, out
    accept(a, b, lan), accept(b, a, lan)
    reaches(a, "bert.veld")
    for machine in (a, b):
        downs(machine)


@pytest.mark.parametrize("options, says", [
    (["--network", "mynet"], "--network does not go together with --lan"),
    (["--routes", "192.168.7.0/24"], "--routes does not go together"),
    (["--config", "x.toml"], "not both"),
    (["--name", "a b"], "no name for a machine"),
    (["--mtu", "7"], "--mtu"),
    (["--listen", "here"], "--listen"),
])
def test_wrong_options(lan, options, says):
    lan = lan("anna")
    a = lan.machines["anna"]
    failed = a.veld("up", "--lan", *options, check=False)
    assert failed.returncode == 2 and says in failed.stderr, failed.stderr
    assert not a.inside("var/lib/veld/lan.toml").exists()
