"""A home router's port mapping: a real miniupnpd on a NAT box of nat.py.

    router = Router(box, "natpmp")        # or "upnp"
    router.start()
    router.mappings()                     # what it has given: ["udp dport 51820 ... dnat ..."]

miniupnpd serves nobody whose address outside is of a network for documentation, as the lab's
203.0.113.0/24 is: the box has 8.8.1.7 as well, and whoever is to reach it a route.
"""
from net import eventually

OUTSIDE = "8.8.1.7"
CONFIG = """
ext_ifname=eth0
ext_ip={outside}
listening_ip=eth1
http_port=5000
enable_natpmp={natpmp}
enable_upnp={upnp}
secure_mode=yes
ipv6_disable=yes
uuid=40cb4562-fd46-4340-a2fc-548a14054581
allow 1024-65535 192.168.1.0/24 1024-65535
deny 0-65535 0.0.0.0/0 0-65535
"""
CHAINS = """
table inet filter {
    chain forward { type filter hook forward priority 0; jump miniupnpd; }
    chain miniupnpd {}
    chain prerouting { type nat hook prerouting priority -100; jump prerouting_miniupnpd; }
    chain postrouting { type nat hook postrouting priority 100; jump postrouting_miniupnpd; }
    chain prerouting_miniupnpd {}
    chain postrouting_miniupnpd {}
}
"""


def reaches_outside(*machines):
    for machine in machines:
        machine.sh("ip route replace 8.8.1.0/24 dev eth0")


class Router:
    def __init__(self, box, *protocols, outside=OUTSIDE):
        self.machine = box.machine
        self.process = None
        reaches_outside(self.machine)
        self.machine.sh(f"ip addr add {outside}/24 dev eth0")
        self.machine.sh("ip route replace 239.0.0.0/8 dev eth1")
        self.config = self.machine.dir / "miniupnpd.conf"
        self.config.write_text(CONFIG.format(outside=outside, **{
            name: "yes" if name in protocols else "no" for name in ("natpmp", "upnp")}))

    def start(self):
        self.machine.run("nft", "-f", "-", input=CHAINS)
        self.process = self.machine.spawn("miniupnpd", "-d", "-f", self.config,
                                          "-P", "/run/miniupnpd.pid")
        eventually(lambda: self.listens() or not self.process.running(), "miniupnpd listens")
        assert self.process.running(), self.process.err()
        return self

    def listens(self):
        out = self.machine.run("ss", "-lnu").stdout
        return ":5351 " in out or ":1900 " in out

    def forget(self):
        """As one that is switched off and on."""
        self.process.kill()
        self.machine.run("nft", "delete", "table", "inet", "filter")
        self.machine.sh("conntrack -F 2>/dev/null")
        self.start()

    def mappings(self):
        rules = self.machine.run("nft", "list", "chain", "inet", "filter",
                                 "prerouting_miniupnpd").stdout
        return [line.strip() for line in rules.splitlines() if "dnat" in line]
