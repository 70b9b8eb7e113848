"""What time does to paths through NATs: mappings that end soon, nothing to say for a minute, the
coord server gone. nat_mesh.py draws the members; each is behind a box of its own.
"""
import re
import time

import pytest

from nat_mesh import OWNER, NatMesh
from net import Net, eventually

IDLE_S = 60
SETTLED_S = 12  # what peers tell each other at first has been told
COUNTER = """
table ip count {
    chain sent {
        type filter hook forward priority -300
        iifname "eth1" meta l4proto udp counter
    }
}
"""


@pytest.fixture
def joined():
    """Makes a mesh of these homes."""
    with Net() as net:
        made = []

        def join(*homes, **options):
            made.append(NatMesh(net, homes, **options).begin())
            return made[-1]

        try:
            yield join
        except BaseException:
            for mesh in made:
                mesh.tell()
            raise
        for mesh in made:
            mesh.stop()


def session(mesh, a, b):
    """By what a new handshake shows."""
    return mesh.peer(a, b)["last_handshake"]


def reached(mesh, a, b):
    took = mesh.first_byte(a, b)
    assert took is not None, f"{a} does not reach {b}: {mesh.peer(a, b)} {mesh.peer(b, a)}"


def test_who_talks_every_five_seconds_through_boxes_that_forget_after_two(joined):
    """One connection, with both NATs closed each time that something is said. It is lost, and so is
    what is sent again at first; then the path is found dead and the peer called, who opens its NAT."""
    mesh = joined(("port-restricted", "a"), ("port-restricted", "b"), ("port-changing", "c"),
                  ("address-restricted", "d"), timeout=2)
    pairs, talks = (("a", "b"), ("c", "d")), []
    for a, b in pairs:
        reached(mesh, a, b)
        mesh[b].spawn_traffic("tcp-echo", mesh.address(b), 9000)
    before = [session(mesh, *pair) for pair in pairs]
    for a, b in pairs:
        talks.append(mesh[a].spawn_traffic("talk", mesh.address(b), 9000, 5, 5))
    for talk in talks:
        assert len(talk.finish(60).split()) == 5
    assert [session(mesh, *pair) for pair in pairs] == before, "the sessions were kept"


def test_nothing_to_say(joined):
    """A session with nothing in it: at most a datagram every 15 s; and none for who has no session."""
    mesh = joined(*[("port-restricted", name) for name in ("a", "b", "c")])
    reached(mesh, "a", "b")
    time.sleep(SETTLED_S)
    boxes = {name: mesh.box[name].machine for name in ("a", "b", "c")}
    for box in boxes.values():
        box.run("nft", "-f", "-", input=COUNTER)
    time.sleep(IDLE_S)
    sent = {name: int(re.search(r"packets (\d+)", box.run("nft", "list", "table", "ip", "count").stdout)[1])
            for name, box in boxes.items()}
    assert sent["c"] == 0
    assert max(sent.values()) <= IDLE_S / 15, sent
    assert session(mesh, "a", "b") and mesh.peer("a", "b")["state"] == "active"
    reached(mesh, "c", "a")
    assert "packets 0" not in boxes["c"].run("nft", "list", "table", "ip", "count").stdout


def test_without_the_coord_server(joined):
    mesh = joined(("port-restricted", "a"), ("port-restricted", "b"), ("port-changing", "c"),
                  ("full cone", "d"))
    for a, b in (("a", "b"), ("c", OWNER)):
        reached(mesh, a, b)
    before = {pair: session(mesh, *pair) for pair in (("a", "b"), ("c", OWNER))}
    mesh.process.kill()
    eventually(lambda: mesh["a"].status()["coord"]["state"] != "connected", "it is missed", 10)

    # Who has a session keeps it, and says where it is by it.
    assert mesh["b"].pings(mesh.address("a"), 3, interval=0.2) == 3
    was = mesh.peer(OWNER, "c")["endpoint"]
    for name in ("a", "c"):
        mesh.box[name].forget()
    reached(mesh, "a", "b")  # by a mapping at the same port
    reached(mesh, "c", OWNER)
    assert mesh.peer(OWNER, "c")["endpoint"] != was, "at another port"
    assert {pair: session(mesh, *pair) for pair in before} == before

    # Of two behind NATs who have none, neither can tell the other that it calls.
    for open_to_all in (OWNER, "d"):
        reached(mesh, "b", open_to_all)
    assert mesh.first_byte("c", "b", 4) is None
    mesh.serve()
    mesh.connected(timeout=30)
    reached(mesh, "c", "b")
