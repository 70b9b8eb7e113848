"""The NAT boxes themselves: each is what it is called. nat.py draws them."""
import json
import sys

import pytest

from nat import KINDS, Internet
from net import LAB, eventually

PROBE = LAB / "nat_probe.py"
SERVER, OTHER = "203.0.113.2", "203.0.113.3"
FREE, ADDRESS, BOTH = "endpoint-independent", "address", "address and port"
BEHAVIOUR = {"public": (FREE, FREE), "routed": (FREE, FREE), "full cone": (FREE, FREE),
             "address-restricted": (FREE, ADDRESS), "port-restricted": (FREE, BOTH), "port-changing": (FREE, BOTH),
             "symmetric": (BOTH, BOTH), "double": (FREE, BOTH), "hairpin": (FREE, FREE),
             "blocked": (None, None), "no udp": (None, None)}
KEEPS_NO_PORT = {"port-changing", "symmetric"}


@pytest.fixture
def internet(net):
    """With a server for probes at two addresses."""
    internet = Internet(net)
    server = internet.public("probed", 2)
    server.sh("ip addr add 203.0.113.3/24 dev eth0")
    ready = server.spawn(sys.executable, PROBE, "serve", SERVER, OTHER)
    eventually(ready.out, "the probe's server is ready")
    internet.server = server
    return internet


def probe(machine, *argv):
    return json.loads(machine.run(sys.executable, PROBE, *argv).stdout)


@pytest.mark.parametrize("kind", BEHAVIOUR)
def test_a_box_is_of_its_kind(internet, kind):
    mapping, filtering = BEHAVIOUR[kind]
    found = probe(internet.member(kind, "m", udp_to=["192.0.2.1"]), "classify", SERVER, OTHER)
    assert (found["mapping"], found["filtering"]) == (mapping, filtering)
    assert found["keeps_ports"] == (None if mapping is None else kind not in KEEPS_NO_PORT)


def test_every_kind_is_tried():
    assert set(KINDS) ^ set(BEHAVIOUR) == {"ipv6", "hairpin", "no udp", "routed"}


def test_ipv6_only_has_no_way_by_ipv4(internet):
    m = internet.member("ipv6", "m")
    assert m.pings("2001:db8::2") == 1
    assert m.run("ping", "-c1", SERVER, check=False).returncode != 0


@pytest.mark.parametrize("kind", ["full cone", "address-restricted", "port-restricted",
                                  "port-changing"])
def test_a_mapping_ends_after_its_time(internet, kind):
    m = internet.nat(kind, "m", timeout=2)[0]
    assert probe(m, "lifetime", SERVER, 1)
    assert not probe(m, "lifetime", SERVER, 3.5)


def test_a_box_that_forgets_lets_nothing_in(internet):
    m = internet.nat("full cone", "m")[0]
    assert probe(m, "lifetime", SERVER, 0.5)
    waiting = m.spawn(sys.executable, PROBE, "lifetime", SERVER, 1.5)
    box = internet.boxes[-1]
    listing = ["nft", "list", "map", "ip", "nat", "owner"]
    eventually(lambda: box.machine.run(*listing).stdout.count("expires") > 1,
               "the question went out")
    box.forget()
    assert waiting.finish() == "false\n"


def test_what_comes_early_takes_no_port_of_a_mapping(internet):
    """A datagram to a port that is not mapped yet, and the mapping after it: the same port."""
    m = internet.nat("port-restricted", "m")[0]
    outer = internet.boxes[-1].outer()
    probe(internet.server, "unasked", SERVER, outer, 40000)
    assert probe(m, "classify", SERVER, OTHER, 40000)["keeps_ports"]


def test_blocked_lets_udp_to_whom_it_may(internet):
    m = internet.nat("blocked", "m", udp_to=[SERVER])[0]
    assert probe(m, "lifetime", SERVER, 0)
    assert not probe(m, "lifetime", OTHER, 0)


def test_two_behind_one_box(internet):
    """They reach each other by their inner addresses, and not by the box's outer one."""
    a, b = internet.nat("port-restricted", "a", "b")
    assert a.pings("192.168.1.3") == 1
    assert probe(a, "lifetime", SERVER, 0) and probe(b, "lifetime", SERVER, 0)
    assert not probe(a, "hairpin", SERVER)


@pytest.mark.parametrize("kind", ["full cone", "hairpin"])
def test_two_inside_have_a_port_each(internet, kind):
    """Of the same inner port; what comes unasked for either reaches it."""
    for m in internet.nat(kind, "a", "b"):
        assert probe(m, "classify", SERVER, OTHER, 40000)["filtering"] == FREE


def test_a_box_that_turns_back(internet):
    """To those who do not see each other: by the mapping of one, from the mapping of the other."""
    a, b = internet.nat("hairpin", "a", "b")
    assert a.pings("192.168.1.3", wait=1) == 0
    waiting = b.spawn(sys.executable, PROBE, "hear", SERVER, 40000)
    mapped = eventually(waiting.out, "b knows its mapping")
    probe(a, "say", SERVER, 40000, *json.loads(mapped))
    heard = json.loads(waiting.finish().splitlines()[1])
    assert heard[0] == internet.boxes[-1].outer() and heard[1] != 40000, heard
