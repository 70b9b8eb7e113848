"""What a member learns of where it may be reached, others learn by the coord server.

    server 203.0.113.1 ---- bridge ---- box-a 203.0.113.101 ---- a 192.168.1.2
                              |
                            box-b 203.0.113.102 ---- b 192.168.2.2

Each box maps its member's port to another, whatever the destination, and lets in answers only.
"""
import json

import pytest
from coord import NETWORK, Coord
from nat import ruleset
from net import Net, eventually

HOMES = {"a": 1, "b": 2}
SEEN = {"a": "203.0.113.101:40001", "b": "203.0.113.102:40002"}


class Homes(Coord):
    def attach(self, name, address):
        if name not in HOMES:
            return super().attach(name, address)
        n, (outer, port) = HOMES[name], SEEN[name].split(":")
        box = super().attach(f"box-{name}", outer)
        machine = self.net.machine(name)
        self.net.wire(machine, box, [f"192.168.{n}.2/24"], [f"192.168.{n}.1/24"])
        machine.run("ip", "route", "add", "default", "via", f"192.168.{n}.1")
        box.sh("echo 1 > /proc/sys/net/ipv4/ip_forward")
        plain = 'oifname "eth0" masquerade'
        rules = ruleset("port-restricted", 120)
        assert plain in rules
        box.run("nft", "-f", "-", input=rules.replace(
            plain, f'oifname "eth0" udp sport 51820 masquerade to :{port}\n{plain}'))
        return machine


def joined(kind):
    with Net() as net:
        mesh = kind(net, ["a", "b"])
        try:
            mesh.first()
            mesh.join("b")
            mesh.connected()
            yield mesh
        except BaseException:
            mesh.tell()
            raise
        mesh.stop()


@pytest.fixture
def homes():
    yield from joined(Homes)


@pytest.fixture
def neighbours():
    """Both on the bridge itself."""
    yield from joined(Coord)


def reach(mesh, name):
    return mesh[name].status()["reach"]


def test_members_behind_nats_meet_by_what_the_coord_server_saw(homes):
    for name, other in ("a", "b"), ("b", "a"):
        eventually(lambda: reach(homes, name)["ipv4"]["mapped"] == SEEN[name],
                   lambda: f"{name} is told where it is seen: {reach(homes, name)}")
        seen = reach(homes, name)
        assert seen["ipv4"]["behind_nat"] and seen["candidates"][0] == SEEN[name], seen
        homes.sees(other, name, state="idle", endpoint=SEEN[name])  # as its record has it
    homes.reaches("a", homes.address("b"))
    assert homes.sees("a", "b", state="active", path="direct")["endpoint"] == SEEN["b"]
    assert homes.sees("b", "a", state="active", path="direct")["endpoint"] == SEEN["a"]


def test_another_address_of_a_member_is_told_to_the_others(neighbours):
    """By its record: the two have no session."""
    old, new = neighbours.outer("a"), "203.0.113.77"
    a = neighbours["a"]
    neighbours.sees("b", "a", state="idle", endpoint=f"{old}:51820")
    a.sh(f"ip addr del {old}/24 dev eth0; ip addr add {new}/24 dev eth0")
    neighbours.sees("b", "a", state="idle", endpoint=f"{new}:51820")
    neighbours.connected("a")
    neighbours.reaches("b", neighbours.address("a"))
    assert neighbours.peer("b", "a")["endpoint"] == f"{new}:51820"
    told = a.veld("netcheck").stdout
    assert "Coord server:          203.0.113.1:50051 answers in " in told, told
    assert "Relays:                none\n" in told, told
    a.sh(f"ip addr del {new}/24 dev eth0; ip addr add {old}/24 dev eth0")


def test_stun_servers_of_a_config_file_are_asked_in_a_network_too(neighbours):
    b = neighbours["b"]
    told = b.veld("netcheck").stdout
    assert "stun_servers, beside [coord]" in told, told
    neighbours.down("b")
    names = ["203.0.113.1:3478", "203.0.113.2:3478"]
    b.sh("mkdir -p /etc/veld; cat > /etc/veld/config.toml",
         input=f'stun_servers = {names}\n[coord]\nnetwork = "{NETWORK}"\n'.replace("'", '"'))
    try:
        b.veld("up")
        asked = json.loads(b.veld("netcheck", "--json", check=False).stdout)["stun_servers"]
        assert [s["address"] for s in asked] == names, asked
    finally:
        b.sh("rm -r /etc/veld")
