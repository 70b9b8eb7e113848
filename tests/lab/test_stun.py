"""What a machine behind a NAT learns of itself from STUN servers.

    machine-a 192.168.5.2 ---- 192.168.5.1 box 8.8.1.1 ---- 8.8.1.2, 8.8.1.3 server
"""
import json
import os
import sys

import pytest
from nat import Internet
from net import PORT, Net, eventually, toml
from pair import Pair

SERVER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "stun_server.py")


@pytest.fixture
def behind():
    with Net() as net:
        a, box, server = net.machine("machine-a"), net.machine("box"), net.machine("server")
        net.wire(a, box, ["192.168.5.2/24"], ["192.168.5.1/24"])
        net.wire(box, server, ["8.8.1.1/24"], ["8.8.1.2/24", "8.8.1.3/24"])
        a.run("ip", "route", "add", "default", "via", "192.168.5.1")
        box.sh("echo 1 > /proc/sys/net/ipv4/ip_forward")
        yield net, a, box, server


def masquerade(box, how="", what=""):
    box.run("nft", "add table ip nat; add chain ip nat out { type nat hook postrouting "
            f"priority srcnat; }}; add rule ip nat out ip saddr 192.168.5.0/24 {what} masquerade "
            f"{how}")


def start(a, server, lies=("", "")):
    for address, lie in zip(("8.8.1.2", "8.8.1.3"), lies):
        process = server.spawn(sys.executable, SERVER, address, *([lie] if lie else []))
        eventually(lambda: "ready" in process.out(), "the STUN server is ready")
    a.keygen()
    a.start(toml(vpn_ip=["10.0.0.1/24"], name="machine-a",
                 stun_servers=["8.8.1.2:3478", "8.8.1.3:3478"]))


def reach(a):
    return a.status()["reach"]


def test_a_machine_behind_a_nat_knows_where_it_is_seen(behind):
    _, a, box, server = behind
    masquerade(box)
    start(a, server)
    eventually(lambda: reach(a)["ipv4"]["answered"] == 2, "both answer")
    seen = reach(a)
    assert seen["ipv4"]["mapped"].startswith("8.8.1.1:"), seen
    assert seen["ipv4"]["mapping"] == "same" and seen["ipv4"]["behind_nat"], seen
    assert seen["candidates"] == [seen["ipv4"]["mapped"], "192.168.5.2:51820"]


def test_a_mapping_that_varies_is_told(behind):
    _, a, box, server = behind
    masquerade(box, "random,fully-random")
    start(a, server)
    eventually(lambda: reach(a)["ipv4"]["answered"] == 2, "both answer")
    assert reach(a)["ipv4"]["mapping"] == "varies", reach(a)


@pytest.mark.parametrize("lie", ["id", "source", "malformed", "loopback", "mute"])
def test_no_lie_is_taken(behind, lie):
    _, a, box, server = behind
    masquerade(box)
    start(a, server, ("", lie))
    eventually(lambda: reach(a)["ipv4"]["answered"] >= 1, "the honest one answers")
    assert reach(a)["ipv4"]["mapped"].startswith("8.8.1.1:"), reach(a)
    assert "6.6.6.6" not in str(reach(a)) and "127.0.0.1" not in str(reach(a)["candidates"])


def test_a_flood_of_answers_that_nobody_asked_for_changes_nothing(behind):
    _, a, box, server = behind
    masquerade(box)
    start(a, server, ("flood", "flood"))
    eventually(lambda: reach(a)["ipv4"]["answered"] >= 1, "they answer")
    assert reach(a)["ipv4"]["mapped"].startswith("8.8.1.1:"), reach(a)


def test_an_address_change_is_looked_into(behind):
    _, a, box, server = behind
    masquerade(box)
    start(a, server)
    eventually(lambda: reach(a)["ipv4"]["answered"] == 2, "both answer")
    a.run("ip", "address", "add", "192.168.5.9/24", "dev", "eth0")
    eventually(lambda: "192.168.5.9:51820" in reach(a)["candidates"], "the new address is told")
    a.run("ip", "address", "del", "192.168.5.9/24", "dev", "eth0")
    eventually(lambda: "192.168.5.9:51820" not in reach(a)["candidates"], "it is gone")


def test_silence_of_all_servers_is_said_with_what_to_do(behind):
    _, a, box, server = behind
    masquerade(box)
    start(a, server, ("mute", "mute"))
    eventually(lambda: any("UDP seems blocked" in line for line in a.status()["health"]),
               "status says so", 25)


def test_netcheck_tells_it_to_people_and_to_programs(behind):
    _, a, box, server = behind
    masquerade(box)
    start(a, server)
    told = a.veld("netcheck").stdout
    assert "8.8.1.1:" in told and "behind a NAT" in told, told
    known = json.loads(a.veld("netcheck", "--json").stdout)
    assert known["version"] == 1 and known["udp"] is True
    assert [s["answered"] for s in known["stun_servers"]] == [True, True]
    assert known["hairpin"] is False and "Hairpinning:           no" in told, told
    assert known["coord"] is None
    box.run("nft", "add chain ip nat no { type filter hook forward priority 0; policy drop; }")
    blocked = a.veld("netcheck", check=False)
    assert blocked.returncode == 1 and "firewall" in blocked.stdout, blocked.stdout
    a.stop()
    stopped = a.veld("netcheck", check=False)
    assert stopped.returncode == 1 and "veld up" in stopped.stderr, stopped.stderr


@pytest.mark.parametrize("kind, hairpins", [("hairpin", True), ("full cone", False)])
def test_netcheck_tells_whether_the_nat_hairpins(net, kind, hairpins):
    internet = Internet(net)
    a, = internet.nat(kind, "machine-a")
    process = internet.public("stun", 2).spawn(sys.executable, SERVER, "203.0.113.2")
    eventually(lambda: "ready" in process.out(), "the STUN server is ready")
    a.keygen()
    a.start(toml(vpn_ip=["10.0.0.1/24"], name="machine-a", stun_servers=["203.0.113.2:3478"]))
    eventually(lambda: reach(a)["ipv4"]["answered"] == 1, "it is known where it is seen")
    assert json.loads(a.veld("netcheck", "--json").stdout)["hairpin"] is hairpins
    assert f"Hairpinning:           {'yes' if hairpins else 'no'}" in a.veld("netcheck").stdout


def test_a_mapping_that_ended_is_asked_for_anew_when_a_peer_is_sought(behind):
    _, a, box, server = behind
    masquerade(box)
    server.spawn(sys.executable, SERVER, "8.8.1.2")
    key = server.keygen()
    peer = dict(name="gone", pubkey=key, endpoint="8.8.1.99:51820", vpn_ip="10.0.0.9")
    a.keygen()
    a.start(toml(vpn_ip=["10.0.0.1/24"], name="machine-a", stun_servers=["8.8.1.2:3478"],
                 peers=[peer]))
    eventually(lambda: reach(a)["ipv4"]["answered"] == 1, "it is known where it is seen")
    before = reach(a)["ipv4"]["mapped"]
    box.run("nft", "flush ruleset")
    masquerade(box, "to :40000-40100", "meta l4proto udp")
    box.run("conntrack", "-F")
    # The peer is called at the start, and again every 5 s; else it would be asked after 300 s.
    eventually(lambda: reach(a)["ipv4"]["mapped"] not in (before, "-"), "asked anew", 30)
    assert 40000 <= int(reach(a)["ipv4"]["mapped"].rsplit(":", 1)[1]) <= 40100


# ---- Who is answered ----

REQUEST = "0001002c2112a442" + "07" * 12 + "80220028" + "20" * 40  # with a name, as long as ours
SHORT = "000100002112a442" + "07" * 12


def test_peers_ask_a_machine_with_a_public_address_and_strangers_do_not(net):
    """machine-a 192.168.9.1, 8.8.1.1 ---- machine-b 192.168.9.2 and, on another wire, a stranger."""
    pair, stranger = Pair(net, wired=False), net.machine("stranger")
    net.wire(pair.a, pair.b, ["192.168.9.1/24"], ["192.168.9.2/24"])
    net.wire(pair.a, stranger, ["192.168.8.1/24"], ["192.168.8.2/24"])
    pair.a.start(pair.config(pair.a, [pair.entry(pair.b, endpoint="192.168.9.2:51820")]))
    pair.b.start(pair.config(pair.b, [pair.entry(pair.a, endpoint="192.168.9.1:51820")]))

    def asks(machine, of, request=REQUEST):
        return machine.traffic("fire", of, PORT, input=request + "\n").stdout.split()

    pair.connected()
    assert asks(pair.b, "192.168.9.1") == [], "a has no public address"
    pair.a.sh("ip addr add 8.8.1.1/24 dev eth0")
    answers = eventually(lambda: asks(pair.b, "192.168.9.1"), "a peer is answered")
    assert [a[:4] for a in answers] == ["0101"] and len(answers[0]) <= len(REQUEST)
    assert asks(pair.b, "192.168.9.1", SHORT) == [], "never with more than was asked"
    assert asks(stranger, "192.168.8.1") == []
    assert asks(pair.b, "192.168.9.1") != []
    for machine in (pair.a, pair.b):
        machine.stop()
