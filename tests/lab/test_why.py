"""Why a peer is not reached: said where it is looked for. nat_mesh.py draws the members."""
import re

import pytest

from nat_mesh import NatMesh
from net import Net, eventually

MEMBERS = [("no udp", "mute"), ("ipv6", "six"), ("symmetric", "moody"), ("port-restricted", "home"),
           ("public", "away")]


@pytest.fixture(scope="module")
def mesh():
    with Net() as net:
        mesh = NatMesh(net, MEMBERS)
        try:
            yield mesh.begin()
        except BaseException:
            mesh.tell()
            raise
        mesh.stop()


def expect(mesh, name, peer, reason, words, command):
    """In the status, its column, health (which names one of them), and veld ping."""
    ping = mesh[name].spawn("ping", "-i", "0.2", mesh.address(peer))
    try:
        why = lambda: (mesh.peer(name, peer)["why"] or {}).get("reason")
        eventually(lambda: why() == reason, lambda: f"{reason}: {mesh.peer(name, peer)}", 30)
        line = next(l for l in mesh[name].veld("status").stdout.splitlines() if f"  {peer}  " in l)
        assert re.search(words, line), line
        health = mesh[name].status()["health"]
        assert any(" is not reached" in h and "veld " in h for h in health), health
    finally:
        ping.kill()
    asked = mesh[name].veld("ping", "-c", "1", peer, check=False)
    assert asked.returncode == 1
    assert asked.stderr.startswith(f"veld: no answer from {peer} within 5 s: "), asked.stderr
    assert re.search(words, asked.stderr) and command in asked.stderr, asked.stderr


def test_udp_blocked(mesh):
    expect(mesh, "mute", "home", "udp_blocked", "UDP blocked", "veld netcheck")


def test_no_common_candidate(mesh):
    expect(mesh, "home", "six", "no_common_candidate", "no common candidate",
           "veld set --relay yes")


def test_no_relay(mesh):
    expect(mesh, "home", "moody", "no_relay", "no direct path, no relay in the network",
           "veld set --relay yes")


def test_offline(mesh):
    mesh.down("away")
    mesh.sees("home", "away", 30, state="offline")
    line = next(l for l in mesh["home"].veld("status").stdout.splitlines() if "  away  " in l)
    assert re.search(r"  offline since \d\d:\d\d  ", line), line
    address = next(a for a in mesh.peer("home", "away")["addresses"] if "." in a)
    mesh["home"].pings(address, wait=1)
    asked = mesh["home"].veld("ping", "-c", "1", "away", check=False)
    assert asked.returncode == 1
    assert re.search(r"no answer from away within 5 s: peer offline since \d\d:\d\d; "
                     "start it there: sudo veld up", asked.stderr), asked.stderr
