"""Members behind NATs, every pair of kinds: who reaches whom directly, and who by a relay once there
is one. nat_mesh.py draws them."""
import itertools

import pytest

from nat import KINDS
from nat_mesh import NatMesh, direct
from net import Net, eventually


def named(kind, number=1):
    return kind.replace(" ", "-") + (f"-{number}" if number > 1 else "")


# Of each kind two members, behind a box each.
MEMBERS = [(kind, named(kind, n)) for kind in KINDS for n in (1, 2)
           if (kind, n) not in (("public", 2), ("port-restricted", 2), ("blocked", 2))] + [
    ("port-restricted", "port-restricted-2", "neighbour"), ("hairpin", "guest", "guest-2"),
    ("no udp", "no-udp")]
PAIRS = [(a, b, named(a), named(b, 2) if a == b != "public" else "first" if a == b else named(b))
         for a, b in itertools.combinations_with_replacement(KINDS, 2) if (a, b) != ("blocked",) * 2]
DIRECT = [names for a, b, *names in PAIRS if direct(a, b)]
RELAYED = [names for a, b, *names in PAIRS if not direct(a, b)]


@pytest.fixture(scope="module")
def mesh():
    with Net() as net:
        mesh = NatMesh(net, MEMBERS).begin()
        yield mesh
        mesh.stop()


@pytest.mark.parametrize("a,b", DIRECT)
def test_a_pair_is_direct(mesh, a, b):
    assert mesh.first_byte(a, b) is not None, \
        f"{a} does not reach {b}: {mesh.peer(a, b)} {mesh.peer(b, a)}"
    assert mesh.peer(a, b)["path"] == "direct"


def test_neighbours_use_their_own_network(mesh):
    """Two behind one box that turns nothing back: by their inner addresses."""
    assert mesh.first_byte("port-restricted-2", "neighbour") is not None
    assert mesh.peer("port-restricted-2", "neighbour")["endpoint"].startswith("192.168.1.3:")


def test_neighbours_who_cannot_see_each_other_meet_by_their_box(mesh):
    assert mesh.first_byte("guest", "guest-2") is not None
    at = {name: mesh.peer(name, other)["endpoint"].split(":") for name, other in
          (("guest", "guest-2"), ("guest-2", "guest"))}
    box = mesh.box["guest"].outer()
    assert [host for host, _ in at.values()] == [box, box]
    assert len({port for _, port in at.values()}) == 2, at


@pytest.mark.parametrize("a,b", [("symmetric", "symmetric-2"), ("port-changing", "symmetric"),
                                 ("blocked", "public"), ("ipv6", "full-cone")])
def test_a_pair_that_cannot_be_direct(mesh, a, b):
    """Nothing gets through, it is not said to be connected, and who can be reached is, as before."""
    assert mesh.first_byte(a, b, 3) is None
    assert mesh.peer(a, b)["state"] != "active"
    assert mesh.first_byte(a, "first") is not None


def test_no_udp_at_all(mesh):
    """Who can say nothing by UDP is a member all the same, and is told why nobody is reached."""
    assert mesh["no-udp"].status()["coord"]["state"] == "connected"
    assert mesh.first_byte("no-udp", "first", 3) is None
    told = mesh["no-udp"].veld("netcheck", check=False).stdout
    assert "no answer: see that the firewall lets UDP out" in told, told


@pytest.fixture(scope="module")
def relayed(mesh):
    """From here on "first" relays."""
    mesh.relay()
    return mesh


@pytest.mark.parametrize("a,b", RELAYED)
def test_a_pair_meets_by_a_relay(relayed, a, b):
    assert relayed.first_byte(a, b) is not None, \
        f"{a} does not reach {b}: {relayed.peer(a, b)} {relayed.peer(b, a)}"
    for one, other in ((a, b), (b, a)):
        assert relayed.path(one, other) == "relay"
        assert relayed.peer(one, other)["relay"] == "first"


def test_no_relay_reaches_who_has_no_udp(relayed):
    assert relayed.first_byte("no-udp", "public", 3) is None


def test_direct_paths_are_taken_all_the_same(relayed):
    """With no session left, and a relay there from the first moment on."""
    relayed.restart()
    for a, b in (("public", "symmetric"), ("port-restricted", "double"), ("port-changing", "port-changing-2")):
        assert relayed.first_byte(a, b) is not None
        eventually(lambda: relayed.path(a, b) == "direct", f"{a} and {b} have a direct path")
