"""Paths that take less than the interface promises, and routers that mark congestion.

    machine-a  ----------  router  ----------  machine-b
      1.2.3.1    1.2.3.2     1.2.4.2             1.2.4.4
    fd00:1::1   fd00:1::2   fd00:2::2           fd00:2::4

The router tells nobody what it drops for its size: it lets no ICMP error out.
"""
import re
import sys

import pytest

from net import LAB, PORT, eventually
from pair import INNER, Pair, endpoint

OVERHEAD = {4: 60, 6: 80}  # IP, UDP, Veld
SILENT = """
table inet silent {
  chain out {
    type filter hook output priority 0
    icmp type destination-unreachable drop
    icmpv6 type packet-too-big drop
  }
}
"""

# Receives UDP at ADDRESS PORT and prints the ECN field of each datagram.
ECN_SINK = """
import socket, sys
v6 = ":" in sys.argv[1]
s = socket.socket(socket.AF_INET6 if v6 else socket.AF_INET, socket.SOCK_DGRAM)
s.bind((sys.argv[1], int(sys.argv[2])))
level, option = (socket.IPPROTO_IPV6, socket.IPV6_RECVTCLASS) if v6 \\
    else (socket.IPPROTO_IP, socket.IP_RECVTOS)
s.setsockopt(level, option, 1)
print("ready", flush=True)
while True:
    data, control, _, _ = s.recvmsg(2000, 200)
    print(data.decode(), control[0][2][0] & 3 if control else "-", flush=True)
"""

# Sends "0" to "3" to ADDRESS PORT, each with that ECN field.
ECN_SOURCE = """
import socket, sys
v6 = ":" in sys.argv[1]
s = socket.socket(socket.AF_INET6 if v6 else socket.AF_INET, socket.SOCK_DGRAM)
level, option = (socket.IPPROTO_IPV6, socket.IPV6_TCLASS) if v6 \\
    else (socket.IPPROTO_IP, socket.IP_TOS)
for ecn in range(4):
    s.setsockopt(level, option, 0xb8 | ecn)
    s.sendto(str(ecn).encode(), (sys.argv[1], int(sys.argv[2])))
"""


def routed(net, outer, mtu, **keys):
    """The topology above, both daemons up and connected; the second wire has this MTU."""
    pair = Pair(net, outer=outer, wired=False)
    pair.router = net.machine("router")
    net.wire(pair.a, pair.router, ["1.2.3.1/24", "fd00:1::1/64"], ["1.2.3.2/24", "fd00:1::2/64"])
    net.wire(pair.router, pair.b, ["1.2.4.2/24", "fd00:2::2/64"], ["1.2.4.4/24", "fd00:2::4/64"],
             mtu=mtu)
    pair.router.sh("echo 1 >/proc/sys/net/ipv4/ip_forward;"
                   "echo 1 >/proc/sys/net/ipv6/conf/all/forwarding")
    pair.router.run("nft", "-f", "-", input=SILENT)
    pair.a.sh("ip route add default via 1.2.3.2; ip -6 route add default via fd00:1::2")
    pair.b.sh("ip route add default via 1.2.4.2; ip -6 route add default via fd00:2::2")
    b_address = {4: "1.2.4.4", 6: "fd00:2::4"}[outer]
    pair.start(a=pair.config(pair.a, peers=[pair.entry(pair.b, endpoint=endpoint(b_address))],
                             **keys), b=pair.config(pair.b, **keys))
    return pair.connected()


def mtu_is(machine, mtu, timeout=5.0):
    peer = {"machine-a": "machine-b", "machine-b": "machine-a"}[machine.name]
    eventually(lambda: machine.peer(peer)["mtu"] == mtu,
               lambda: f"{machine.name} finds {mtu}, and not {machine.peer(peer)['mtu']}", timeout)


def transfer(pair, receiver, inner, size=2_000_000):
    address = INNER[inner][pair.number(receiver)]
    sink = receiver.spawn_traffic("sink", address, 9000)
    sent = pair.other(receiver).traffic("source", address, 9000, size).stdout
    assert sink.finish().splitlines()[1] == sent.strip()


@pytest.mark.parametrize("outer", [4, 6])
def test_a_usual_path_is_used_in_full_at_once(net, outer):
    pair = Pair(net, outer=outer).start().connected()
    for machine in (pair.a, pair.b):
        mtu_is(machine, 1420, 0.5)
        peer = pair.other(machine).name
        assert f", mtu {machine.peer(peer)['mtu']}" in machine.veld("status").stdout
    done = pair.a.run("ping", "-M", "do", "-c1", "-W2", "-s", 1392, "10.0.0.2")
    assert "1 received" in done.stdout
    assert pair.a.drops("too_big") == 0
    pair.stop()


@pytest.mark.parametrize("outer,mtu", [(4, 1280), (6, 1280), (4, 1400), (6, 1300)])
def test_a_path_that_drops_in_silence(net, outer, mtu):
    pair = routed(net, outer, mtu)
    takes = mtu - OVERHEAD[outer]
    for machine in (pair.a, pair.b):
        mtu_is(machine, takes)
    # Large packets: the sender is told, and then cuts them itself.
    done = pair.a.run("ping", "-M", "do", "-c1", "-W1", "-s", 1392, INNER[4][1], check=False)
    assert re.search(rf"[Ff]rag needed.*mtu = {takes}\)", done.stdout), done.stdout
    done = pair.a.run("ping", "-M", "do", "-c1", "-W2", "-s", takes - 28, INNER[4][1])
    assert "1 received" in done.stdout
    done = pair.a.run("ping", "-6", "-M", "do", "-c1", "-W1", "-s", 1372, INNER[6][1],
                      check=False)
    assert re.search(rf"Packet too big: mtu={max(takes, 1280)}", done.stdout), done.stdout
    assert pair.a.drops("too_big") >= 2
    for inner in (4, 6):
        # The first answer may be the one by which the other side learns.
        eventually(lambda: pair.a.pings(INNER[inner][1], size=1372, wait=1), "in fragments")
        # RFC 8200 promises every sender 1280 bytes.
        assert pair.a.pings(INNER[inner][1], size=1280 - (28 if inner == 4 else 48)) == 1
        for receiver in (pair.b, pair.a):
            transfer(pair, receiver, inner)
    pair.stop()


# Sends TARGET an ICMP Fragmentation Needed (MTU 600) about a datagram of its own to PEER.
FORGER = """
import socket, struct, sys
target, peer, port = sys.argv[1], sys.argv[2], int(sys.argv[3])
def csum(b):
    n = sum(struct.unpack(f"!{len(b) // 2}H", b))
    while n >> 16:
        n = (n & 0xffff) + (n >> 16)
    return ~n & 0xffff
def ip4(text):
    return socket.inet_aton(text)
quoted = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 1480, 0, 0x4000, 64, 17, 0, ip4(target), ip4(peer))
quoted += struct.pack("!HHHH", port, port, 1460, 0)
message = struct.pack("!BBHHH", 3, 4, 0, 0, 600) + quoted
message = message[:2] + struct.pack("!H", csum(message)) + message[4:]
s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
s.sendto(message, (target, 0))
"""


def test_forged_icmp_shrinks_nothing(net):
    """The kernel believes it, as the route shows; the tunnel does not ask the kernel."""
    pair = Pair(net).start().connected()
    mtu_is(pair.a, 1420)
    pair.b.run(sys.executable, "-c", FORGER, "1.2.3.1", "1.2.3.4", PORT)
    eventually(lambda: "mtu 600" in pair.a.run("ip", "route", "get", "1.2.3.4").stdout,
               "the kernel believes it")
    done = pair.a.run("ping", "-M", "do", "-c3", "-i0.1", "-W1", "-s", 1392, "10.0.0.2")
    assert "3 received" in done.stdout
    transfer(pair, pair.b, 4)
    assert pair.a.peer("machine-b")["mtu"] == 1420
    assert pair.a.drops("too_big") == 0
    pair.stop()


def test_packets_without_df_are_fragmented(net):
    pair = routed(net, 4, 1300)
    mtu_is(pair.a, 1240)
    before = pair.a.drops("too_big")
    done = pair.a.run("ping", "-M", "dont", "-c1", "-W2", "-s", 1392, "10.0.0.2")
    assert "1 received" in done.stdout
    assert pair.a.drops("too_big") == before
    pair.stop()


def announced_mss(pair, asks, inner):
    """What the two ends of a connection that `asks` opens think the other's MSS is."""
    answers = pair.other(asks)
    address = INNER[inner][pair.number(answers)]
    script = "import socket,sys; s=socket.create_server((sys.argv[1],9100)," \
             "family=socket.AF_INET6 if ':' in sys.argv[1] else socket.AF_INET);" \
             "print('ready',flush=True); c=s.accept()[0]; c.recv(1);" \
             "print(c.getsockopt(socket.IPPROTO_TCP,socket.TCP_MAXSEG))"
    server = answers.spawn(sys.executable, "-c", script, address)
    eventually(lambda: "ready" in server.out(), "the server listens")
    client = asks.run(sys.executable, "-c",
                      "import socket,sys; c=socket.create_connection((sys.argv[1],9100));"
                      "print(c.getsockopt(socket.IPPROTO_TCP,socket.TCP_MAXSEG)); c.send(b'x')",
                      address).stdout
    return int(client), int(server.finish().split()[1])


def test_mss_follows_the_path(net):
    pair = routed(net, 4, 1300)
    for machine in (pair.a, pair.b):
        mtu_is(machine, 1240)
    timestamps = 12
    for inner, headers in ((4, 40), (6, 60)):
        most = 1240 - headers - timestamps
        for asks in (pair.a, pair.b):
            client, server = announced_mss(pair, asks, inner)
            assert client <= most and server <= most, (inner, asks.name, client, server)
    pair.stop()


def test_a_path_that_shrinks_in_mid_transfer(net):
    pair = routed(net, 6, 1500)
    for machine in (pair.a, pair.b):
        mtu_is(machine, 1420)
    sink = pair.b.spawn_traffic("sink", "10.0.0.2", 9000)
    source = pair.a.spawn("/usr/bin/python3", "-u", LAB / "traffic.py", "source", "10.0.0.2", 9000,
                          10_000_000, "small", 0.02)
    eventually(lambda: pair.b.peer("machine-a")["rx_bytes"] > 1_000_000, "under way")
    pair.router.sh("ip link set eth1 mtu 1300")
    before = pair.b.peer("machine-a")["rx_bytes"]
    mtu_is(pair.a, 1300 - OVERHEAD[6], 8)
    eventually(lambda: pair.b.peer("machine-a")["rx_bytes"] > before + 1_000_000,
               "the transfer goes on", 8)
    assert source.running(), "the transfer was to be under way still"
    assert sink.finish(60).splitlines()[1] == source.finish().strip()
    pair.stop()


def test_an_own_interface_that_shrinks(net):
    """Nothing to wait for: the kernel says so itself."""
    pair = Pair(net).start().connected()
    mtu_is(pair.a, 1420)
    pair.a.sh("ip link set eth0 mtu 1400")
    pair.a.run("ping", "-M", "do", "-c1", "-W1", "-s", 1392, "10.0.0.2", check=False)
    mtu_is(pair.a, 1340, 1)
    transfer(pair, pair.b, 4)
    assert pair.a.drops("udp_error") == 0
    pair.a.sh("ip link set eth0 mtu 1500")
    pair.stop()


MARK = """
table inet marks {{
  counter was_ect0 {{ }}
  counter was_ect1 {{ }}
  counter had_dscp {{ }}
  chain forward {{
    type filter hook forward priority 0
    udp dport 51820 {ip} ecn ect0 counter name was_ect0
    udp dport 51820 {ip} ecn ect1 counter name was_ect1
    udp dport 51820 {ip} dscp != cs0 counter name had_dscp
    udp dport 51820 {ip} ecn {which} {ip} ecn set ce
  }}
}}
"""


@pytest.mark.both_engines
@pytest.mark.parametrize("outer,listen,inner",
                         [(4, "0.0.0.0", 6), (4, "::", 4), (6, "::", 6)])
def test_congestion_marks_go_through(net, outer, listen, inner):
    """RFC 6040: ECT goes out, CE comes in, and what cannot carry CE is dropped."""
    pair = routed(net, outer, 1500, listen_addr=endpoint(listen))
    ip = {4: "ip", 6: "ip6"}[outer]
    address = INNER[inner][1]
    sink = pair.b.spawn(sys.executable, "-c", ECN_SINK, address, 9100)
    eventually(lambda: sink.out(), "the sink listens")

    def received():
        seen = sink.out()
        pair.a.run(sys.executable, "-c", ECN_SOURCE, address, 9100)
        eventually(lambda: "3 3" in sink.out()[len(seen):], lambda: f"the last one: {sink.out()}")
        return sorted(sink.out()[len(seen):].splitlines())

    def mark(which):
        pair.router.run("nft", "-f", "-", input="flush ruleset" + MARK.format(ip=ip, which=which))

    assert received() == ["0 0", "1 1", "2 2", "3 3"]
    # Marked in the middle, where ECT(0) and ECT(1) can be seen outside, and no DSCP.
    mark("{ ect0, ect1 }")
    assert received() == ["0 0", "1 3", "2 3", "3 3"]
    for counter, expected in (("was_ect0", 1), ("was_ect1", 1), ("had_dscp", 0)):
        out = pair.router.run("nft", "list", "counter", "inet", "marks", counter).stdout
        assert f"packets {expected} " in out, out
    # A router that marks everything: what does not speak ECN is lost, as if dropped there.
    mark("!= ce")
    assert received() == ["1 3", "2 3", "3 3"]
    assert pair.b.drops("congestion") >= 1
    sink.stop()
    pair.router.run("nft", "-f", "-", input="flush ruleset" + SILENT)
    pair.stop()
