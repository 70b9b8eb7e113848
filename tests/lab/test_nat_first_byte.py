"""How long the first packet into an idle tunnel waits for its answer. nat_mesh.py draws the members.

bench/nat/veld-table measures every pair of kinds; here are one of each path, and the most it may take.
"""
import time

import pytest

from nat_mesh import NatMesh
from net import Net, eventually

pytestmark = pytest.mark.alone

LAN_S = KNOWN_S = 0.3
RELAY_S, DIRECT_S = 1.5, 3


@pytest.fixture(scope="module")
def mesh():
    with Net() as net:
        mesh = NatMesh(net, [("port-restricted", "a", "neighbour"), ("port-restricted", "b"),
                             ("symmetric", "c"), ("symmetric", "d"), ("public", "e")]).begin()
        mesh.relay()
        mesh.restart()
        yield mesh
        mesh.stop()


@pytest.mark.parametrize("a,b,path,most_s", [
    ("a", "e", "direct", KNOWN_S), ("a", "neighbour", "direct", LAN_S),
    ("a", "b", "direct", DIRECT_S), ("c", "d", "relay", RELAY_S)])
def test_first_byte(mesh, a, b, path, most_s):
    began, took = time.monotonic(), mesh.first_byte(a, b)
    assert took is not None, mesh.peer(a, b)
    print(f"{a} to {b}, {path}: {took * 1000:.0f} ms")
    assert took <= most_s
    eventually(lambda: mesh.path(a, b) == path, lambda: f"{path}: {mesh.peer(a, b)}",
               began + DIRECT_S - time.monotonic())
