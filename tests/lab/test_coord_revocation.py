"""Members that are put out. coord.py draws the topology."""
import time

import pytest

from coord import NETWORK, STATE, Coord
from net import eventually

SOON = 5  # seconds, in which a session with a revoked member ends


@pytest.fixture
def mesh(net, request):
    mesh = Coord(net, ["first", "second", "third"], own_certificate=True)
    mesh.first()
    mesh.join("second", "third")
    mesh.connected()
    mesh.sees("second", "third", online=True)
    mesh.reaches("first", "third.veld")
    mesh.reaches("second", "third.veld")
    mesh.reaches("first", "second.veld")
    yield mesh
    if getattr(request.node, "failed", False):
        mesh.tell()
    mesh.stop()


def test_sessions_end_soon(mesh):
    address = mesh.address("third")
    began = time.monotonic()
    mesh["first"].veld("revoke", "third", "--yes")
    for name in ("first", "second"):
        mesh.misses(name, "third", timeout=SOON)
        assert mesh[name].pings(address, wait=1) == 0
    assert time.monotonic() - began < SOON + 2
    # It is told, by a list that proves itself, and whom it knew does not answer.
    eventually(lambda: any("was revoked from mynet" in line for line in mesh["third"].status()["health"]),
               "the revoked machine says so", 30)
    status = mesh["third"].status()
    assert status["health"][0].startswith("REVOKED: ")
    assert not any("the coord server" in line or "does not answer" in line for line in status["health"])
    assert {peer["state"] for peer in status["peers"]} == {"blocked: this machine was revoked"}
    assert "try:" not in mesh.up("third")
    assert mesh["third"].pings("second.veld", wait=1) == 0
    # The others go on, also after a restart; the revoked one does not start again.
    assert mesh["first"].pings("second.veld", wait=1) == 1
    mesh.down("second")
    mesh.up("second")
    assert mesh["second"].status()["network"]["revoked"] == 1
    assert not mesh.peer("second", "third")
    mesh.down("third")
    assert "revoked" in mesh["third"].veld("up", "--network", NETWORK, check=False).stderr
    assert not mesh["third"].has_interface()


def test_members_hear_of_it_from_each_other(mesh):
    """The server tells nobody: it is gone once it has told the first."""
    mesh.process.kill()
    eventually(lambda: mesh["second"].status()["coord"]["state"] != "connected", "it is missed")
    # A server of its own for the owner alone: the same, but where nobody else reaches it.
    for other in ("second", "third"):
        mesh.server.sh(f"ip route add blackhole {mesh.outer(other)}/32")
    mesh.serve()
    mesh.connected("first", timeout=30)
    mesh["first"].veld("revoke", "third", "--yes")
    mesh.misses("first", "third", timeout=SOON)
    assert mesh["second"].status()["coord"]["state"] != "connected"
    mesh.misses("second", "third", timeout=SOON)
    assert mesh["second"].status()["network"]["revoked"] == 1
    for other in ("second", "third"):
        mesh.server.sh(f"ip route del blackhole {mesh.outer(other)}/32")


def test_a_server_that_lost_the_list_gets_it_back(mesh):
    mesh["first"].veld("revoke", "third", "--yes")
    mesh.misses("second", "third", timeout=SOON)
    mesh.down("third")
    mesh.process.kill()
    mesh.server.sh("rm -r /var/lib/coord")
    mesh.serve()
    mesh.connected("first", "second", timeout=30)
    eventually(lambda: "act=revoke" in mesh.process.err(), "the server has the list again", 40)


def trusted(mesh, name):
    """What it says of each pinned key."""
    return {line.split()[1]: line for line in mesh[name].veld("trust", "list").stdout.splitlines()}


def test_a_revoked_machine_returns_with_another_key(mesh):
    """The owner's revocation of the key releases what was pinned to it, in whatever order it is heard."""
    old = mesh["third"].veld("pubkey").stdout.strip()
    mesh["first"].veld("revoke", "third", "--yes")
    for name in ("first", "second"):
        mesh.misses(name, "third", timeout=SOON)
        assert "revoked" in trusted(mesh, name)[old]
    mesh.down("third")
    mesh["third"].sh(f"rm -r {STATE}")
    mesh.down("second")  # learns of the new one at its start, with the list from its disk
    mesh["third"].veld("join", mesh.token(), "--name", "third")
    new = mesh["third"].veld("pubkey").stdout.strip()
    assert new != old
    mesh.reaches("first", "third.veld")
    mesh.up("second")
    mesh.reaches("second", "third.veld")
    for name in ("first", "second"):
        assert "another key" in mesh.log(name)
        assert "revoked" not in trusted(mesh, name)[new] and old not in trusted(mesh, name)
        mesh.healthy(name)
