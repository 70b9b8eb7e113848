"""Who may relay for others: whom the network's owner or an admin said so of. coord.py draws the
topology."""
import re

import pytest

from coord import Coord
from net import VELD, eventually


@pytest.fixture
def mesh(net, request):
    mesh = Coord(net, ["first", "second", "third"])
    mesh.first()
    yield mesh
    if getattr(request.node, "failed", False):
        mesh.tell()
    mesh.stop()


def relays(mesh, at):
    return {p["name"] for p in mesh[at].status()["peers"] if p["relays"]}


def sees_relays(mesh, at, names, timeout=10):
    eventually(lambda: relays(mesh, at) == names,
               lambda: f"{at} sees {relays(mesh, at)}, not {names}", timeout)


def asks(mesh, name):
    command = mesh[name].spawn(VELD, "set", "--relay", "yes")
    said = lambda: command.out() + command.err()
    return command, eventually(lambda: re.search(r"veld approve (\S{4}-\S{4}) --relay", said()),
                               said)[1]


def test_the_owners_machine_relays_when_it_says_so(mesh):
    mesh.join("second")
    assert relays(mesh, "second") == set()
    assert "in effect now" in mesh["first"].veld("set", "--relay", "yes").stdout
    sees_relays(mesh, "second", {"first"})
    assert "; a relay  " in mesh["second"].veld("peers").stdout
    mesh["first"].veld("set", "--relay", "no")
    sees_relays(mesh, "second", set())


def test_a_member_relays_when_it_was_approved(mesh):
    mesh["second"].veld("join", mesh.token())
    command, code = asks(mesh, "second")
    listed = mesh["first"].veld("approve").stdout
    assert "would relay" in listed and f"veld approve {code} --relay" in listed
    # Without a word about it nothing is granted, and nothing is lost.
    plain = mesh["first"].veld("approve", code, check=False)
    assert plain.returncode == 1 and f"veld approve {code} --relay" in plain.stderr
    assert relays(mesh, "first") == set()
    said = mesh["first"].veld("approve", "second", "--relay").stdout  # by its name
    assert re.search(r"second is a member already\n  may relay +yes; until now: no\n", said)
    assert command.wait(20) == 0, command.err()
    sees_relays(mesh, "first", {"second"})
    mesh.healthy("second")
    named = mesh["first"].veld("approve", "second", "--relay", check=False)
    assert named.returncode == 1 and "asks for nothing more" in named.stderr


def test_an_approval_to_relay_that_nobody_waits_for_is_taken_up(mesh):
    mesh["second"].veld("join", mesh.token())
    command, code = asks(mesh, "second")
    command.kill()
    health = lambda: " ".join(mesh["second"].status()["health"])
    eventually(lambda: "does not relay yet" in health(), health, 20)
    mesh["first"].veld("approve", code, "--relay")
    sees_relays(mesh, "first", {"second"}, 25)
    mesh.healthy("second")


def test_a_token_grants_relaying_when_it_says_so(mesh):
    mesh["second"].veld("join", mesh.token("--relay"))
    assert relays(mesh, "first") == set(), "it may, and does not"
    assert "in effect now" in mesh["second"].veld("set", "--relay", "yes").stdout
    sees_relays(mesh, "first", {"second"})
    assert "relay" in mesh["first"].veld("token", "list").stdout
    mesh["second"].veld("set", "--relay-rate", "20")
    assert "20 Mbit/s" in mesh["second"].veld("set").stdout
    refused = mesh["second"].veld("set", "--relay-rate", "0", check=False)
    assert refused.returncode == 2 and "--relay-rate" in refused.stderr
