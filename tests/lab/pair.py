"""The lab's usual topology: two machines on a wire, each knowing the other.

    machine-a                                    machine-b
      eth0 1.2.3.1, fd00:1::1  ----------  eth0 1.2.3.4, fd00:1::4
      veld0 10.0.0.1, fd0a::1              veld0 10.0.0.2, fd0a::2
"""
from net import PORT, Net, eventually, toml

OUTER = {4: ("1.2.3.1", "1.2.3.4"), 6: ("fd00:1::1", "fd00:1::4")}
INNER = {4: ("10.0.0.1", "10.0.0.2"), 6: ("fd0a::1", "fd0a::2")}


def endpoint(address, port=PORT):
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


class Pair:
    def __init__(self, net: Net, outer=4, wired=True, keys=True):
        self.net, self.outer = net, outer
        self.a, self.b = net.machine("machine-a"), net.machine("machine-b")
        if wired:
            net.wire(self.a, self.b, ["1.2.3.1/24", "fd00:1::1/64"],
                     ["1.2.3.4/24", "fd00:1::4/64"])
        self.keys = {m: m.keygen() for m in (self.a, self.b)} if keys else {}
        self.clean = {}

    def entry(self, machine, **changes):
        """The [[peers]] entry by which others know a machine."""
        n = self.number(machine)
        return dict(name=machine.name, pubkey=self.keys[machine],
                    endpoint=endpoint(OUTER[self.outer][n]),
                    vpn_ip=[INNER[4][n], INNER[6][n]]) | changes

    def config(self, machine, peers=None, **changes):
        """The config of a machine, which knows the other unless told otherwise."""
        n = self.number(machine)
        keys = dict(listen_addr=endpoint("::" if self.outer == 6 else "0.0.0.0"),
                    vpn_ip=[INNER[4][n] + "/24", INNER[6][n] + "/64"], name=machine.name)
        return toml(peers=[self.entry(self.other(machine))] if peers is None else peers,
                    **(keys | changes))

    def number(self, machine):
        return (self.a, self.b).index(machine)

    def other(self, machine):
        return self.b if machine is self.a else self.a

    def start(self, a=None, b=None):
        """Start both, with changed configs if given, having noted how things were before."""
        self.note()
        self.a.start(a or self.config(self.a))
        self.b.start(b or self.config(self.b))
        return self

    def note(self):
        self.clean = {m: m.snapshot() for m in self.net.machines}

    def connected(self, timeout=5):
        eventually(lambda: self.a.pings("10.0.0.2", wait=1), "a ping through the tunnel", timeout)
        return self

    def stop(self):
        """Stop what runs, and check that every machine is as it was before."""
        for machine in self.net.machines:
            if machine.daemon and machine.daemon.running():
                machine.stop()
            machine.daemon = None
        for machine, before in self.clean.items():
            eventually(lambda: not remains(machine, before),
                       lambda: f"{machine.name} is as before: {remains(machine, before)}", 3)


def remains(machine, before):
    """What differs from an earlier snapshot: (what is new, what is gone)."""
    now = machine.snapshot()
    new, gone = sorted(set(now) - set(before)), sorted(set(before) - set(now))
    return (new, gone) if new or gone else None
