"""A peer that names addresses which are not its own: what alice sends where, and how often.

    mallory 1.2.3.4 ------ 1.2.3.1 alice 192.168.7.1/24 ------ victim 192.168.7.2, .10, .11, ...
    10.0.0.2                       10.0.0.1, and a route through the tunnel: 172.20.0.0/16

mallory is a peer of alice, with a true daemon. It gets the addresses that it names as its own.
"""
import itertools
import re
import time

import pytest

from net import PORT, Net, eventually
from pair import Pair

VICTIM = "192.168.7.10"
NAMED = {
    "a broadcast address": "192.168.7.255",
    "alice's own": "192.168.7.1",
    "inside the network": "10.0.0.77",
    "behind a route into the tunnel": "172.20.0.9",
    "of a family that alice has not": "fd00:7::9",
}
VICTIMS = 6
SECONDS = 8
# docs/PROTOCOL.md: a search is five rounds, and does not begin within 5 s of the last one.
ROUNDS, GAP_S = 5, 5
COUNTER = """
table ip count {
    chain came {
        type filter hook input priority 0
        udp sport 51820 counter
    }
}
"""


def name_addresses(mallory, addresses):
    """From now on these are mallory's, beside the one on the wire."""
    mallory.sh("ip addr flush dev lies; " + "".join(
        f"ip addr add {a} dev lies {'nodad' if ':' in a else ''};" for a in addresses))


def asked(alice):
    """Where alice has sent messages to by themselves, as her log says."""
    return set(re.findall(r"send message: peer \d+, session \w+, to (\S+)", alice.daemon.err()))


@pytest.fixture(scope="module")
def alice():
    with Net() as net:
        pair = Pair(net, wired=False)
        alice, mallory = pair.a, pair.b
        victim, gateway = net.machine("victim"), net.machine("gateway")
        net.wire(alice, mallory, ["1.2.3.1/24"], ["1.2.3.4/24"])
        net.wire(alice, victim, ["192.168.7.1/24"], ["192.168.7.2/24"])
        victim.sh("for i in $(seq 10 80); do ip addr add 192.168.7.$i/24 dev eth0; done")
        victim.run("nft", "-f", "-", input=COUNTER)
        mallory.sh("ip link add lies type bridge && ip link set lies up")
        name_addresses(mallory, [VICTIM, *NAMED.values()])
        routed = dict(name="gateway", pubkey=gateway.keygen(), vpn_ip=["10.0.0.3"],
                      routes=["172.20.0.0/16"])
        alice.start(pair.config(alice, [pair.entry(mallory, endpoint=None), routed]),
                    options=["--log-level", "debug"])
        # mallory's network is not alice's: what is inside hers seems to be outside.
        mallory.start(pair.config(mallory, listen_addr=f"[::]:{PORT}",
                                  vpn_ip=["10.0.0.2/32", "fd0a::2/128"]))
        eventually(lambda: mallory.pings("10.0.0.1", wait=1), "they talk")
        alice.mallory, alice.victim = mallory, victim
        yield alice
        net.tell()
        for machine in (alice, mallory):
            machine.stop()


def test_what_a_peer_names_is_asked_where_it_may_be(alice):
    """One of six: the others are not looked at, whatever the search is about."""
    said = alice.mallory.status()["reach"]["candidates"]
    assert len(said) == 2 + len(NAMED), said
    eventually(lambda: f"{VICTIM}:{PORT}" in asked(alice), "what may be mallory's is asked", 8)
    for why, address in NAMED.items():
        at = f"[{address}]:{PORT}" if ":" in address else f"{address}:{PORT}"
        assert at in said and at not in asked(alice), why
    assert alice.peer("machine-b")["endpoint"] == f"1.2.3.4:{PORT}"


def test_other_addresses_every_second(alice):
    """A victim hears no more of it than one search in five seconds has to say."""
    chain = ["nft", "list", "chain", "ip", "count", "came"]

    def came():
        return int(re.search(r"packets (\d+)", alice.victim.run(*chain).stdout)[1])

    before, began, numbers = came(), time.monotonic(), itertools.count(11)
    while time.monotonic() - began < SECONDS:
        name_addresses(alice.mallory, [f"192.168.7.{next(numbers)}" for _ in range(VICTIMS)])
        time.sleep(1)
    took = time.monotonic() - began
    more = came() - before
    assert 0 < more <= (took / GAP_S + 1) * ROUNDS * VICTIMS, more
    assert len([a for a in asked(alice) if a.startswith("192.168.7.")]) > 2 * VICTIMS, \
        "several of its lists were taken"
