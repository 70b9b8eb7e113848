"""Members that no direct path joins, and volunteers who relay for them. nat_mesh.py draws them.

    a     port-restricted      \\
    b     symmetric             no pair of these is direct
    c, d  no UDP but to first  /
    first, r                   public; both relay
"""
import json
import re
import signal
import time

import pytest

from nat_mesh import NatMesh
from net import Net, eventually

MEMBERS = [("port-restricted", "a"), ("symmetric", "b"), ("blocked", "c"), ("blocked", "d"),
           ("public", "r")]
RELAYS = ("first", "r")
MARK = b"for-two-only...."  # as long as ping's pattern


class RelayMesh(NatMesh):
    def join(self, *names):
        for name in names:
            self[name].veld("join", self.token(*(["--relay"] if name in RELAYS else [])))

    def begin(self):
        super().begin()
        for name in RELAYS:
            self[name].veld("set", "--relay", "yes")
        for name in self.machines:
            eventually(lambda: self.relays_known(name) >= set(RELAYS) - {name},
                       lambda: f"{name} knows who relays: {self.relays_known(name)}", 20)
        return self

    def relays_known(self, name):
        return {p["name"] for p in self[name].status()["peers"] if p["relays"]}

    def path(self, name, peer):
        return self.peer(name, peer)["path"]

    def relay_of(self, name, peer):
        return self.peer(name, peer)["relay"]

    def is_relayed(self, a, b):
        return all(self.path(*pair) == "relay" for pair in ((a, b), (b, a)))


class Stream:
    """Pings every `interval`; which of them were answered, and when."""

    def __init__(self, machine, target, interval=0.05):
        self.ping = machine.spawn("ping", "-n", "-D", "-i", interval, target)
        eventually(lambda: "time=" in self.ping.out(), "pings are answered")

    def end(self):
        """(sequence numbers missing in between, the longest time without an answer)"""
        self.ping.stop(signal.SIGINT)
        answers = [(float(t), int(n)) for t, n in
                   re.findall(r"^\[([\d.]+)\].* icmp_seq=(\d+) .*time=", self.ping.out(), re.M)]
        numbers, times = {n for _, n in answers}, [t for t, _ in answers]
        return (set(range(min(numbers), max(numbers))) - numbers,
                max(b - a for a, b in zip(times, times[1:])))


@pytest.fixture(scope="module")
def mesh():
    with Net() as net:
        mesh = RelayMesh(net, MEMBERS)
        try:
            yield mesh.begin()
        except BaseException:
            mesh.tell()
            raise
        mesh.stop()


def test_who_cannot_be_reached_has_homes_that_others_know(mesh):
    for name in "a", "b":
        homes = eventually(lambda: mesh[name].status()["reach"]["homes"], f"{name} has homes", 10)
        assert set(homes) <= set(RELAYS)
    assert not mesh["r"].status()["reach"]["homes"], "it can be reached"


@pytest.mark.parametrize("a,b", [("a", "b"), ("c", "d"), ("b", "c")])
def test_a_pair_that_cannot_be_direct_is_relayed(mesh, a, b):
    took = mesh.first_byte(a, b, 10)
    assert took is not None, f"{mesh.peer(a, b)} {mesh.peer(b, a)}"
    print(f"{a} to {b}: first answer after {took * 1000:.0f} ms")
    assert took <= 1.5
    assert mesh.is_relayed(a, b)


def test_the_relay_is_named_wherever_a_path_is(mesh):
    mesh.reaches("a", mesh.address("b"))
    relay = mesh.relay_of("a", "b")
    assert relay in RELAYS
    assert re.search(rf"\bb\b.*active; relay {relay}\b", mesh["a"].veld("status").stdout)
    dump = mesh["a"].veld("peers", "--dump").stdout
    assert f"relay:{relay}" in next(line for line in dump.splitlines() if "\tb\t" in line)
    assert f"via relay {relay} in" in mesh["a"].veld("ping", "-c", "1", "b").stdout


def test_netcheck_lists_relays_the_nearest_first(mesh):
    seen = json.loads(mesh["a"].veld("netcheck", "--json").stdout)["relays"]
    assert {r["name"] for r in seen} == set(RELAYS)
    assert [r["rtt_us"] for r in seen] == sorted(r["rtt_us"] for r in seen)
    assert all(r["home"] for r in seen)
    text = mesh["a"].veld("netcheck").stdout
    assert re.search(r"^Relays: +\w+ answers in [\d.]+ms, a home of this machine$", text, re.M), text


def test_a_relay_sees_only_ciphertext(mesh):
    mesh.reaches("a", mesh.address("b"))
    relay = mesh[mesh.relay_of("a", "b")]
    capture = relay.spawn_traffic("capture", "eth0", 51820)
    before = relay.status()["relaying"]["datagrams"]
    mesh["a"].run("ping", "-c", "20", "-i", "0.05", "-p", MARK.hex(), mesh.address("b"))
    assert relay.status()["relaying"]["datagrams"] >= before + 40
    outer = relay.addresses("eth0")[0].split("/")[0]
    mesh.server.traffic("fire", outer, 51820, input=MARK.hex())
    capture.stop()
    lines = capture.out().split()[1:]
    assert len(lines) >= 40
    assert [line for line in lines if MARK.hex() in line] == [MARK.hex()], "but what was not sealed"


def test_another_relay_takes_over_when_one_dies(mesh):
    mesh.reaches("a", mesh.address("b"))
    eventually(lambda: mesh.is_relayed("a", "b"), "both are relayed")
    dead = mesh.relay_of("a", "b")
    stream = Stream(mesh["a"], mesh.address("b"))
    time.sleep(1)
    mesh[dead].sh("pkill -STOP -x veld-daemon")
    try:
        time.sleep(8)
        missing, gap = stream.end()
        print(f"{len(missing)} pings lost, {gap:.2f} s without an answer")
        assert gap < 5
        assert mesh.relay_of("a", "b") != dead
    finally:
        mesh[dead].sh("pkill -CONT -x veld-daemon")


def test_a_direct_path_is_taken_without_losing_a_packet(mesh):
    """The boxes of c and d let UDP through from now on."""
    mesh.reaches("c", mesh.address("d"))
    assert mesh.is_relayed("c", "d")
    before = mesh["c"].status()["reach"]["circuits"]
    stream = Stream(mesh["c"], mesh.address("d"), 0.02)
    time.sleep(0.5)
    for name in "c", "d":
        mesh.box[name].machine.run("nft", "-f", "-", input="""
            flush chain ip firewall forward
            add rule ip firewall forward iifname "eth0" ct state new ct status ! dnat drop""")
    for name, other in ("c", "d"), ("d", "c"):
        mesh[name].veld("ping", other, check=False)
    eventually(lambda: mesh.path("c", "d") == "direct" == mesh.path("d", "c"),
               lambda: f"they meet: {mesh.peer('c', 'd')} {mesh.peer('d', 'c')}", 15)
    time.sleep(0.5)
    missing, gap = stream.end()
    assert not missing, f"{len(missing)} lost, {gap:.2f} s"
    eventually(lambda: mesh["c"].status()["reach"]["circuits"] < before,
               "circuits are given back", 45)


def test_homes_lead_to_a_member_while_the_server_is_away(mesh):
    mesh.restart()
    for name in "a", "b":
        eventually(lambda: mesh[name].status()["reach"]["homes"], f"{name} has homes", 20)
    time.sleep(4)  # their records say so
    mesh.process.stop()
    try:
        assert mesh.first_byte("a", "b", 10) is not None, f"{mesh.peer('a', 'b')}"
        assert mesh.is_relayed("a", "b")
    finally:
        mesh.serve()
        mesh.connected()


def test_who_stops_relaying_is_left_at_once(mesh):
    mesh.reaches("a", mesh.address("b"))
    left = mesh.relay_of("a", "b")
    stream = Stream(mesh["a"], mesh.address("b"))
    time.sleep(0.5)
    mesh[left].veld("set", "--relay", "no")
    time.sleep(4)
    _, gap = stream.end()
    assert gap < 3
    assert mesh.relay_of("a", "b") != left
    mesh[left].veld("set", "--relay", "yes")


def test_a_pair_whose_only_relay_stops_goes_on_by_the_next_one_there_is(mesh):
    for name in RELAYS:
        mesh[name].veld("set", "--relay", "no")
    mesh.loses("a", mesh.address("b"), 10)
    eventually(lambda: mesh.peer("a", "b")["state"] != "active", lambda: mesh.peer("a", "b"), 10)
    mesh["r"].veld("set", "--relay", "yes")
    mesh.reaches("a", mesh.address("b"), 12)
    assert mesh.relay_of("a", "b") == "r"
    mesh["first"].veld("set", "--relay", "yes")
