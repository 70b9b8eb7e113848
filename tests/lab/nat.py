"""NAT boxes of every kind, and an internet to put them on.

    "internet": the bridge br0 of machine "switch", 203.0.113.0/24 and 2001:db8::/64
       |           |            |             |                  |
    server .1   stun .2,.3   public .N   eth0 .N+100          eth0 .N+100
    (veld-coord) (coturn)                 NAT box             NAT box of the provider
                                         eth1 192.168.1.1     eth1 100.64.0.1
                                          |          |            |
                                     192.168.1.2  192.168.1.3  eth0 100.64.0.2
                                       member       member     NAT box
                                                               eth1 192.168.1.1
                                                                  |
                                                               192.168.1.2 member

Every home has the same 192.168.1.0/24, as homes have. What the kinds do (RFC 4787's words):

    kind                mapping               filtering
    public              none                  none
    full cone           endpoint-independent  endpoint-independent
    address-restricted  endpoint-independent  address-dependent
    port-restricted     endpoint-independent  address and port-dependent
    port-changing       endpoint-independent, at another port; filtering as port-restricted
    symmetric           address and port-dependent, at a random port each; filtering the same
    double              port-restricted twice
    blocked             port-restricted; no UDP but to `udp_to`, TCP as usual
    no udp              port-restricted; TCP alone
    ipv6                none: has no IPv4 at all
    routed              none: a router before public addresses, to compare with
    hairpin             full cone; also turns back what one inside sends to the mapping of
                        another, who gets it from the sender's mapping. Inside, nobody sees
                        anybody else, as guests of a Wi-Fi do not

Mapped ports are the inner ones where they are free (not with symmetric and port-changing).
What comes unasked is dropped in silence, as homes' boxes do.
"""
from net import Net

KINDS = ("public", "full cone", "address-restricted", "port-restricted", "port-changing",
         "symmetric", "double", "blocked", "ipv6")

# The cones' memory: who inside has an outer port, and whom it has sent to. Of a flow that
# began outside, who is inside stands in the answers' direction.
CONE = """
table ip nat {{
    map owner {{
        type inet_service : ipv4_addr . inet_service
        flags dynamic,timeout; timeout {timeout}s
    }}
    set asked {{ type inet_service . ipv4_addr; flags dynamic,timeout; timeout {timeout}s; }}
    chain remember {{
        type filter hook postrouting priority 101
        iifname != "eth1" accept
        oifname != "eth0" accept
        meta l4proto != udp accept
        ct direction original update @owner {{ udp sport : ct original ip saddr . ct original proto-src }}
        ct direction reply update @owner {{ udp sport : ct reply ip saddr . ct reply proto-src }}
        update @asked {{ udp sport . ip daddr }}
    }}
    chain in {{
        type nat hook prerouting priority -100
        {condition} dnat ip to udp dport map @owner
    }}
    chain out {{
        type nat hook postrouting priority 100
        iifname "eth1" oifname "eth1" ct status dnat snat to {outer}
        oifname "eth0" masquerade
    }}
}}
"""
CONDITIONS = {
    "full cone": 'iifname "eth0" meta l4proto udp',
    "address-restricted": 'iifname "eth0" udp dport . ip saddr @asked',
    "hairpin": 'ip daddr {outer} meta l4proto udp',
}
MAPPING = {"symmetric": "random,fully-random", "port-changing": "to :20000-29999"}
MASQUERADE = """
table ip nat {{
    chain out {{
        type nat hook postrouting priority 100
        {udp}
        oifname "eth0" masquerade
    }}
}}
"""
# Before a flow is confirmed: what is refused leaves no trace in the table of flows, where it
# would take the port of a mapping to come.
FIREWALL = """
table ip firewall {{
    chain input {{
        type filter hook input priority 0
        iifname "eth0" ct state new drop
    }}
    chain forward {{
        type filter hook forward priority 10
        iifname "eth0" ct state new ct status ! dnat drop
        {more}
    }}
}}
"""


def ruleset(kind, timeout, udp_to=(), outer="0.0.0.0"):
    """`outer`: the box's own address on the internet's side."""
    if kind == "routed":
        return ""
    if kind in CONDITIONS:
        nat = CONE.format(timeout=timeout, outer=outer,
                          condition=CONDITIONS[kind].format(outer=outer))
    else:
        udp = f'oifname "eth0" meta l4proto udp masquerade {MAPPING[kind]}' if kind in MAPPING else ""
        nat = MASQUERADE.format(udp=udp)
    drops = {"blocked": f"ip daddr != {{ {', '.join(udp_to)} }} drop", "no udp": "drop"}
    more = f'iifname "eth1" meta l4proto udp {drops[kind]}' if kind in drops else ""
    return nat + FIREWALL.format(more=more)


class Box:
    """A NAT: `machine`, eth0 outside and the bridge or wire eth1 inside."""

    def __init__(self, net: Net, name, kind, timeout, *rest):
        self.machine, self.kind = net.machine(name), kind
        # Its bridge bridges: what is to be routed back inside goes through all of the rules.
        self.machine.sh("cd /proc/sys/net; echo 1 >ipv4/ip_forward;"
                        "echo 0 >ipv4/conf/all/send_redirects;"
                        "[ ! -e bridge ] || echo 0 >bridge/bridge-nf-call-iptables")
        self.rules = ruleset(kind, timeout, *rest)
        self.timeout = timeout

    def switch_on(self):
        """Once eth0 and eth1 are there."""
        if not self.rules:
            return
        self.machine.run("nft", "-f", "-", input=self.rules)
        # There for each namespace once its rules want flows tracked.
        self.machine.sh(f"cd /proc/sys/net/netfilter; echo {self.timeout} >nf_conntrack_udp_timeout;"
                        f"echo {self.timeout} >nf_conntrack_udp_timeout_stream")

    def forget(self):
        """As if it had been switched off and on."""
        self.machine.sh("conntrack -F 2>/dev/null || true")
        self.machine.run("nft", "-f", "-", input="flush ruleset\n" + self.rules)

    def outer(self):
        """Its address on the internet's side."""
        return self.machine.addresses("eth0")[0].split("/")[0]


class Internet:
    def __init__(self, net: Net, switch=None):
        self.net, self.last = net, 10
        self.boxes = []
        if not switch:
            switch = net.machine("switch")
            switch.sh("ip link add br0 type bridge && ip link set br0 up")
        self.switch = switch

    def plug(self, machine, *addresses):
        """A machine's next wire goes to the switch."""
        _, end = self.net.wire(machine, self.switch, addresses)
        self.switch.sh(f"ip link set {end} master br0")
        return machine

    def public(self, name, number=None, four=True):
        """A machine with public addresses of both families, or of IPv6 alone."""
        if number is None:
            self.last += 1
            number = self.last
        four = [f"203.0.113.{number}/24"] if four else []
        return self.plug(self.net.machine(name), *four, f"2001:db8::{number}/64")

    def nat(self, kind, *names, timeout=120, udp_to=()):
        """Machines behind one NAT of a kind; the list of them. The box is boxes[-1]."""
        self.last += 1
        outside, outer = None, f"203.0.113.{self.last + 100}"
        if kind == "double":
            outside = self.box(f"isp-{names[0]}", "port-restricted", timeout)
            self.plug(outside.machine, f"{outer}/24")
        box = self.box(f"nat-{names[0]}", "port-restricted" if outside else kind, timeout, udp_to,
                       outer)
        if outside:
            self.net.wire(outside.machine, box.machine, ["100.64.0.1/24"], ["100.64.0.2/24"])
            outside.switch_on()
            box.machine.sh("ip route add default via 100.64.0.1")
        else:
            self.plug(box.machine, f"{outer}/24")
        inside = self.home(box, names)
        box.switch_on()
        return inside

    def box(self, name, kind, timeout, *rest):
        self.boxes.append(Box(self.net, name, kind, timeout, *rest))
        return self.boxes[-1]

    def home(self, box, names):
        """eth1 of the box is a bridge, with a wire to each machine."""
        box.machine.sh("ip link add eth1 type bridge && ip link set eth1 up &&"
                       "ip addr add 192.168.1.1/24 dev eth1")
        box.machine.wires = max(box.machine.wires, 2)
        machines = []
        for number, name in enumerate(names, 2):
            machine, address = self.net.machine(name), f"192.168.1.{number}"
            if box.kind == "routed":
                self.last += 1
                address = f"203.0.113.{self.last + 100}"
                # It answers for them outside, and for all others inside.
                box.machine.sh(f"ip route add {address} dev eth1; cd /proc/sys/net/ipv4;"
                               "echo 1 >conf/all/proxy_arp;"
                               "for f in neigh/*/proxy_delay; do echo 0 >$f; done")
            _, end = self.net.wire(machine, box.machine, [f"{address}/24"])
            alone = "on" if box.kind == "hairpin" else "off"
            box.machine.sh(f"ip link set {end} master eth1; bridge link set dev {end} "
                           f"isolated {alone}")
            if box.kind != "routed":
                machine.sh("ip route add default via 192.168.1.1")
            machines.append(machine)
        return machines

    def member(self, kind, name, **options):
        """One machine of a kind."""
        if kind in ("public", "ipv6"):
            return self.public(name, four=kind == "public")
        return self.nat(kind, name, **options)[0]

    def forget(self):
        for box in self.boxes:
            box.forget()

    def stun(self):
        """coturn at 203.0.113.2 and .3, ports 3478 and 3479: its machine."""
        machine = self.public("stun", 2)
        machine.sh("ip addr add 203.0.113.3/24 dev eth0")
        machine.spawn("turnserver", "-n", "--stun-only", "--no-cli", "--no-tls", "--no-dtls",
                      "--no-tcp", "-L", "203.0.113.2", "-L", "203.0.113.3", "-L", "2001:db8::2",
                      "--log-file", "stdout", "--pidfile", "/run/turnserver.pid")
        return machine
