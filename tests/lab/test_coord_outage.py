"""The coord server away, restarted, or without its database. coord.py draws the topology."""
import signal
import time

import pytest

from coord import NETWORK, Coord
from net import eventually


@pytest.fixture
def mesh(net, request):
    mesh = Coord(net, ["first", "second", "third"], own_certificate=True)
    mesh.first()
    mesh.join("second", "third")
    mesh.connected()
    for name in mesh.machines:
        for other in mesh.machines:
            if other != name:
                mesh.sees(name, other, online=True)
    yield mesh
    if getattr(request.node, "failed", False):
        mesh.tell()
    mesh.stop()


def health(mesh, name):
    return " ".join(mesh[name].status()["health"])


def test_nothing_that_is_known_needs_the_server(mesh):
    mesh.reaches("first", "second.veld")
    mesh.process.kill()
    eventually(lambda: "cannot be reached" in health(mesh, "first"), "status says so", 10)
    assert mesh["first"].status()["coord"]["state"] in ("waiting", "connecting")
    assert mesh["first"].pings("second.veld", 3, interval=0.2) == 3
    assert mesh["first"].status()["network"]["online"] == 2, "itself, and whom it has a session with"
    mesh.reaches("third", "second.veld")  # these two never talked before
    assert "203.0.113.1:50051" in health(mesh, "first")
    # A machine that starts meanwhile knows its peers, by name and by address.
    mesh.down("third")
    mesh.up("third")
    mesh.reaches("third", "first.veld")
    mesh.reaches("first", mesh.address("third", 6))
    # And when all of them have been away.
    for name in mesh.machines:
        mesh.down(name)
    for name in mesh.machines:
        mesh.up(name)
    mesh.reaches("second", "third.veld")


def test_the_server_comes_back(mesh):
    mesh.reaches("first", "second.veld")
    before = mesh["first"].status()["coord"]["connections"]
    mesh.process.kill()
    eventually(lambda: mesh["first"].status()["coord"]["state"] != "connected", "it is missed")
    mesh.serve()
    mesh.connected(timeout=5)
    assert mesh["first"].status()["coord"]["connections"] == before + 1
    assert mesh["first"].pings("second.veld", 2, interval=0.2) == 2
    for name in mesh.machines:
        for other in mesh.machines:
            if other != name:
                mesh.sees(name, other, online=True)
        eventually(lambda: not mesh[name].status()["health"], f"{name} is well again")


def test_a_lost_database_is_made_whole_by_the_members(mesh):
    addresses = {name: mesh.address(name) for name in mesh.machines}
    mesh.reaches("first", "second.veld")
    mesh.process.kill()
    mesh.server.sh("rm -r /var/lib/coord")
    mesh.serve()
    assert mesh["first"].pings("second.veld", 2, interval=0.2) == 2
    mesh.connected(timeout=30)
    for name in mesh.machines:
        assert mesh[name].status()["network"]["lease"] == addresses[name]
        for other in mesh.machines:
            if other != name:
                mesh.sees(name, other, online=True)
    mesh.reaches("third", "second.veld")
    mesh.down("third")
    mesh.up("third")
    assert mesh.address("third") == addresses["third"]


def test_a_machine_that_moves_says_where_it_is(mesh):
    """The others hear of its new address from the server, before it says anything itself."""
    second = mesh["second"]
    second.sh("ip addr del 203.0.113.12/24 dev eth0; ip addr add 203.0.113.112/24 dev eth0")
    mesh.reaches("first", "second.veld")
    assert mesh.sees("first", "second")["endpoint"] == "203.0.113.112:51820"
    mesh.connected("second")
    assert second.status()["coord"]["connections"] == 2
    mesh.down("second")
    second.sh("ip addr del 203.0.113.112/24 dev eth0; ip addr add 203.0.113.12/24 dev eth0")


def test_a_server_that_hangs_holds_nobody_up(mesh):
    mesh.signal_server(signal.SIGSTOP)
    try:
        started = time.monotonic()
        mesh.down("third")
        assert time.monotonic() - started < 4
        mesh.up("third")
        mesh.reaches("third", "first.veld")
        mesh.down("third")
    finally:
        mesh.signal_server(signal.SIGCONT)
    mesh.up("third")
    mesh.connected("third", timeout=60)


def test_a_wrong_certificate_is_not_talked_to(mesh):
    mesh.process.kill()
    mesh.make_certificate()
    mesh.serve()
    eventually(lambda: "certificate" in health(mesh, "first"), "status says so", 20)
    assert mesh["first"].status()["coord"]["state"] != "connected"
    mesh.reaches("first", "second.veld")
    assert "audit" not in mesh.process.err()
    assert NETWORK not in mesh.process.err()
