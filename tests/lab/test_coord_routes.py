"""Subnets behind members. coord.py draws the topology; behind the second machine:

    second eth1 192.168.77.1 ----- eth0 192.168.77.9 lan
"""
import re

import pytest

from coord import Coord
from net import VELD, eventually

LAN = "192.168.77.0/24"


@pytest.fixture
def mesh(net, request):
    mesh = Coord(net, ["first", "second", "third"])
    mesh.lan = net.machine("lan")
    net.wire(mesh["second"], mesh.lan, ["192.168.77.1/24"], ["192.168.77.9/24"])
    mesh.lan.sh("ip route add default via 192.168.77.1")
    mesh.clean[mesh["second"]] = mesh["second"].snapshot()
    mesh.first()
    yield mesh
    if getattr(request.node, "failed", False):
        mesh.tell()
    mesh.stop()


def join_with_routes(mesh, name, routes):
    token = mesh.token("--routes", routes)
    mesh[name].veld("join", token, "--routes", routes)


def refused(mesh, name):
    return {(r["route"], r["reason"]) for r in mesh[name].status()["refused_routes"]}


def test_a_subnet_behind_a_member(mesh):
    join_with_routes(mesh, "second", LAN)
    mesh.sees("first", "second", routes=[LAN])
    mesh.reaches("first", "192.168.77.9")
    mesh.join("third")
    mesh.reaches("third", "192.168.77.9")
    # Taken back, and given again, while all run.
    mesh["second"].veld("set", "--routes", "")
    mesh.sees("first", "second", routes=[])
    mesh.loses("first", "192.168.77.9")
    mesh["second"].veld("set", "--routes", LAN)
    mesh.sees("first", "second", routes=[LAN])
    mesh.reaches("first", "192.168.77.9")
    # Who accepts none uses none, and says so.
    mesh["first"].veld("set", "--accept-routes", "no")
    mesh.sees("first", "second", routes=[])
    assert refused(mesh, "first") == {(LAN, "not_accepted")}
    mesh.loses("first", "192.168.77.9")
    mesh["first"].veld("set", "--accept-routes", "yes")
    mesh.reaches("first", "192.168.77.9")


def test_what_a_membership_does_not_allow_is_not_offered(mesh):
    mesh["second"].veld("join", mesh.token())
    asks = mesh["second"].spawn(VELD, "set", "--routes", LAN)  # and waits for an approval
    code = eventually(lambda: re.search(r"veld approve (\S{4}-\S{4})", asks.out() + asks.err()),
                      "it asks")[1]
    mesh.sees("first", "second", routes=[])
    assert mesh["first"].pings("192.168.77.9", wait=1) == 0
    mesh["first"].veld("approve", code, "--routes", LAN)
    assert asks.wait(20) == 0, asks.err()
    mesh.sees("first", "second", routes=[LAN])
    mesh.reaches("first", "192.168.77.9")


def test_an_approval_that_nobody_waits_for_any_more_is_taken_up(mesh):
    mesh["second"].veld("join", mesh.token())
    asks = mesh["second"].spawn(VELD, "set", "--routes", LAN)
    code = eventually(lambda: re.search(r"veld approve (\S{4}-\S{4})", asks.out() + asks.err()),
                      "it asks")[1]
    asks.kill()
    health = lambda: " ".join(mesh["second"].status()["health"])
    waits = lambda: (f"{LAN} is not offered yet" in health()
                     and f"veld approve {code} --routes {LAN}" in health())
    eventually(waits, health, 20)
    mesh["first"].veld("approve", code, "--routes", LAN)
    mesh.sees("first", "second", routes=[LAN], timeout=25)
    mesh.reaches("first", "192.168.77.9")
    mesh.healthy("second")
    assert not mesh["second"].sh("ls /var/lib/veld/networks/mynet/request", check=False).stdout
    # And it is in effect at the next start.
    mesh.down("second")
    mesh.up("second")
    mesh.sees("first", "second", routes=[LAN])


def test_a_request_that_is_withdrawn_is_waited_for_no_more(mesh):
    mesh["second"].veld("join", mesh.token())
    asks = mesh["second"].spawn(VELD, "set", "--routes", LAN)
    eventually(lambda: "veld approve" in asks.out() + asks.err(), "it asks")
    asks.kill()
    health = lambda: " ".join(mesh["second"].status()["health"])
    eventually(lambda: f"{LAN} is not offered yet" in health(), health, 20)
    assert "is withdrawn" in mesh["second"].veld("set", "--routes", "none").stdout
    assert "is not offered yet" not in health(), "at once"
    mesh.healthy("second")


def test_no_route_that_takes_this_machines_own_traffic(mesh):
    """All of them allowed by the owner, and still: not one that leads to the server, to this
    machine's own networks, or to another member."""
    bad = {"203.0.113.0/24": "own_lan", "192.168.99.0/24": "own_lan"}
    mesh["third"].sh("ip link add other type bridge && ip link set other up && "
                     "ip addr add 192.168.99.5/24 dev other")
    mesh.clean[mesh["third"]] = mesh["third"].snapshot()
    mesh.join("third")
    join_with_routes(mesh, "second", ",".join([LAN, *bad]))
    mesh.sees("third", "second", routes=[LAN])
    eventually(lambda: refused(mesh, "third") == set(bad.items()),
               lambda: f"all are refused: {refused(mesh, 'third')}")
    assert mesh["third"].pings("192.168.99.5") == 1
    mesh.connected("third")
    # The first machine has no such network, so there it is a route like others.
    mesh.sees("first", "second", routes=[LAN, "192.168.99.0/24"])
    # A network that it joins later is its own from then on.
    mesh["first"].sh("ip link add other type bridge && ip link set other up && "
                     "ip addr add 192.168.99.7/24 dev other")
    mesh.sees("first", "second", routes=[LAN])
    mesh["first"].sh("ip link del other")
    mesh.sees("first", "second", routes=[LAN, "192.168.99.0/24"])


def test_the_same_subnet_behind_two(mesh):
    """One of them has it, the same one on every machine; the other when that one goes."""
    join_with_routes(mesh, "second", LAN)
    join_with_routes(mesh, "third", LAN)
    taken = {r["taken_by"] for r in eventually(lambda: mesh["first"].status()["refused_routes"],
                                               "one is refused")}
    assert len(taken) == 1
    winner = taken.pop()
    other = "third" if winner == "second" else "second"
    mesh.sees("first", winner, routes=[LAN])
    mesh.sees("first", other, routes=[])
    mesh[winner].veld("leave", "--yes")
    mesh.sees("first", other, routes=[LAN])
