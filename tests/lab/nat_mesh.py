"""A coord network whose members are behind NATs of every kind. nat.py draws them.

    mesh = NatMesh(net, [("port-restricted", "a"), ("symmetric", "b"), ("port-restricted", "c", "d")])
    mesh.begin()                              # first makes the network; all join
    seconds = mesh.first_byte("a", "b")

Member "first", public at 203.0.113.4, owns the network, and relays once relay() was called. c and d
are behind one box. The server answers STUN; coturn (203.0.113.2 and .3) is there when asked for.
"""
import re
import time
from concurrent.futures import ThreadPoolExecutor

from coord import STATE, Coord
from nat import Internet
from net import VELD, eventually

HOST, OWNER = "coord.test", "first"
OWNER_IP = "203.0.113.4"
# They let in what comes from the very port that they have sent to.
SAME_PORT = {"port-restricted", "port-changing", "double", "symmetric"}


def direct(a, b):
    """Can two members, by their kinds, reach each other without a relay? By RFC 5245's means."""
    if {"blocked", "no udp"} & {a, b}:
        return False  # no UDP, or none but to the owner
    if "ipv6" in (a, b):
        return {a, b} <= {"ipv6", "public"}  # no address family in common with those behind NATs
    # The port a symmetric NAT takes for the other end is known to nobody before its first
    # datagram comes in; so the other end's NAT must let in what comes from an unknown port.
    if "symmetric" in (a, b):
        return not {a, b} <= SAME_PORT
    # Both mappings are the same for everybody, thus known from STUN: both send, both let in.
    return True


class NatMesh(Coord):
    def __init__(self, net, homes, timeout=120, stun=False):
        self.homes, self.timeout, self.internet, self.kind = homes, timeout, None, {OWNER: "public"}
        self.relays = False
        self.placed, self.box = {}, {}
        super().__init__(net, [OWNER, *(name for _, *names in homes for name in names)])
        if stun:
            self.internet.stun()

    def attach(self, name, _address):
        """As Coord wants a machine; the first asked for is the server."""
        if not self.internet:
            self.internet = Internet(self.net, self.switch)
            self.place()
        machine = self.placed[name]
        machine.sh(f"echo '203.0.113.1 {HOST}\n2001:db8::1 {HOST}' >>/etc/hosts")
        return machine

    def place(self):
        self.placed = {"server": self.internet.public("server", 1),
                       OWNER: self.internet.public(OWNER, 4)}
        for kind, *names in self.homes:
            if kind in ("public", "ipv6"):
                machines = [self.internet.member(kind, name) for name in names]
            else:
                machines = self.internet.nat(kind, *names, timeout=self.timeout, udp_to=[OWNER_IP])
                self.box |= dict.fromkeys(names, self.internet.boxes[-1])
            self.placed |= dict(zip(names, machines))
            self.kind |= dict.fromkeys(names, kind)

    def login(self, name):
        return self[name].veld("login", "--coord", f"{HOST}:50051", "--fingerprint",
                               self.fingerprint)

    def begin(self):
        self.first()
        self.join(*(name for name in self.machines if name != OWNER))
        self.connected()
        self.know()
        return self

    def know(self):
        for name in self.machines:
            eventually(lambda: len(self[name].status()["peers"]) == len(self.machines) - 1,
                       f"{name} knows all others", 20)
            if self.kind[name] not in ("blocked", "no udp"):
                eventually(lambda: any(self[name].status()["reach"][family]["answered"]
                                       for family in ("ipv4", "ipv6")), f"{name} is seen", 10)

    def relay(self):
        """From now on the owner forwards for all others."""
        self[OWNER].veld("set", "--relay", "yes")
        self.down(OWNER)
        self.up(OWNER)
        self.connected(OWNER)
        self.relays = True
        for name in self.machines.keys() - {OWNER}:
            self.sees(name, OWNER, timeout=20, relays=True)

    def halt(self):
        """No daemon runs, no member remembers whom it talked to, and no box anything."""
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda m: m.sh(f"{VELD} down || true; find {STATE} -name endpoints.json -delete"),
                          self.machines.values()))
        self.internet.forget()

    def restart(self):
        self.halt()
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(self.up, self.machines))
        self.connected()
        self.know()

    def expected(self, a, b):
        """The path that two should come to have: "direct", "relay" or "none"."""
        same = self.box.get(a) and self.box.get(a) is self.box.get(b)
        if same or direct(self.kind[a], self.kind[b]):
            return "direct"
        return "none" if "no udp" in (self.kind[a], self.kind[b]) or not self.relays else "relay"

    def path(self, a, b):
        """The one they have."""
        path = self.peer(a, b)["path"]
        return path if path != "-" else "none"

    # ---- What is measured ----

    def first_byte(self, a, b, timeout=10.0):
        """Seconds from the first ping sent from a to b to the first answer; None: none came."""
        interval, end = 0.05, time.monotonic() + timeout
        ping = self[a].spawn("ping", "-n", "-i", interval, self.address(b))
        try:
            while time.monotonic() < end:
                found = re.search(r"icmp_seq=(\d+) .*time=([\d.]+) ms", ping.out())
                if found:
                    return (int(found[1]) - 1) * interval + float(found[2]) / 1000
                time.sleep(0.01)
            return None
        finally:
            ping.kill()
