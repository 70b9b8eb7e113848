"""Members behind NATs, every pair of kinds: who reaches whom directly. nat_mesh.py draws them."""
import itertools

import pytest

from nat import KINDS
from nat_mesh import NatMesh, direct
from net import Net

# One member a kind, and a second of those whose own kind is of interest.
MEMBERS = [(kind, kind.replace(" ", "-")) for kind in KINDS] + [
    ("symmetric", "symmetric-2"), ("port-restricted", "port-restricted-2", "neighbour")]
KIND = {name: kind for kind, *names in MEMBERS for name in names}
PAIRS = [pair for pair in itertools.combinations(KIND, 2) if "neighbour" not in pair]
DIRECT = [pair for pair in PAIRS if direct(*(KIND[name] for name in pair))]


@pytest.fixture(scope="module")
def mesh():
    with Net() as net:
        mesh = NatMesh(net, MEMBERS).begin()
        yield mesh
        mesh.stop()


@pytest.mark.parametrize("a,b", DIRECT)
def test_a_pair_is_direct(mesh, a, b):
    took = mesh.first_byte(a, b, 5)
    assert took is not None, f"{a} does not reach {b}: {mesh.peer(a, b)} {mesh.peer(b, a)}"
    assert took <= 3
    assert mesh.peer(a, b)["path"] == "direct"


def test_neighbours_use_their_own_network(mesh):
    """Two behind one box that turns nothing back: by their inner addresses."""
    assert mesh.first_byte("port-restricted-2", "neighbour", 5) is not None
    assert mesh.peer("port-restricted-2", "neighbour")["endpoint"].startswith("192.168.1.3:")


@pytest.mark.parametrize("a,b", [("symmetric", "symmetric-2"), ("port-restricted", "symmetric"),
                                 ("blocked", "public")])
def test_a_pair_that_cannot_be_direct(mesh, a, b):
    """Nothing gets through, it is not said to be connected, and others are reached as before."""
    assert mesh.first_byte(a, b, 3) is None
    assert mesh.peer(a, b)["state"] != "active"
    assert mesh.first_byte(a, "first", 5) is not None
