"""The wire under test. Each contender has one of its own, so that all can be up at
once and take turns without starting and stopping:

    NAME-a                                    NAME-b
      eth0 1.2.3.1 ------- veth pair ------- eth0 1.2.3.4
      the contender's tunnel, 10.0.0.1        and 10.0.0.2

The load goes from a to b. Both machines are namespaces (tools/machine), gone with all
in them when this program ends, however it ends.
"""
import json

from net import eventually

OUTSIDE = ("1.2.3.1", "1.2.3.4")
INSIDE = ("10.0.0.1", "10.0.0.2")
MTU = 1500


class Wire:
    def __init__(self, net, name):
        self.name = name
        self.a, self.b = net.machine(f"{name}-a"), net.machine(f"{name}-b")
        net.wire(self.a, self.b, [OUTSIDE[0] + "/24"], [OUTSIDE[1] + "/24"], MTU)

    @property
    def machines(self):
        return (self.a, self.b)

    def other(self, machine):
        return self.b if machine is self.a else self.a

    def outside(self, machine):
        return OUTSIDE[self.machines.index(machine)]

    def inside(self, machine):
        return INSIDE[self.machines.index(machine)]

    def address(self, machine, interface, prefix=24):
        """Give a tunnel's interface its inside address, and bring it up."""
        machine.sh(f"ip addr add {self.inside(machine)}/{prefix} dev {interface}; "
                   f"ip link set {interface} up")

    def segmentation(self, state):
        """tx-udp-segmentation of the wire: "on" passes UDP super-packets whole, as veth
        does by default; "off" cuts them to real packets of the MTU before they cross."""
        for machine in self.machines:
            machine.run("ethtool", "-K", "eth0", "tx-udp-segmentation", state)

    def answers(self, target, timeout=15):
        eventually(lambda: self.a.pings(target, wait=1), f"{self.name}: {target} answers a ping",
                   timeout)

    def links(self):
        """What is to be known of each interface: {"eth0": {"mtu": ...}, ...}."""
        return {link["ifname"]: {k: link.get(k) for k in ("mtu", "txqlen", "gso_max_size")}
                for link in json.loads(self.a.run("ip", "-j", "-d", "link").stdout)
                if link["ifname"] != "lo"}

    def offloads(self):
        """Features of eth0 that are on."""
        out = self.a.run("ethtool", "-k", "eth0", check=False).stdout
        return sorted(line.split(":")[0].strip() for line in out.splitlines()
                      if ": on" in line)
