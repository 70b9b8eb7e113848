"""Machines on one LAN that find each other by mDNS, and a stranger beside them without a key.

    switch (a bridge)
      |            |            |
    machine-a    machine-b    stranger
    1.2.3.1      1.2.3.4      1.2.3.66       fd00:1::1, ::4, ::66
"""
import os
import sys

from nat import Internet
from net import LAB, Net, eventually
from pair import OUTER, Pair

TICKS_PER_S = os.sysconf("SC_CLK_TCK")


class Lan(Pair):
    def __init__(self, net: Net, four=True):
        super().__init__(net, wired=False)
        self.stranger = net.machine("stranger")
        switch = Internet(net)
        for n, machine in enumerate((self.a, self.b)):
            addresses = [f"{OUTER[4][n]}/24", f"{OUTER[6][n]}/64"]
            switch.plug(machine, *(addresses if four else []))
        switch.plug(self.stranger, "1.2.3.66/24", "fd00:1::66/64")

    def config(self, machine, peers=None, **changes):
        """Only mDNS tells where the other is."""
        if peers is None:
            peers = [self.entry(self.other(machine), endpoint=None)]
        changes = {"listen_addr": "[::]:51820", "mdns": {"enabled": True}} | changes
        return super().config(machine, peers, **changes)

    def hear(self):
        """A capture of all mDNS on the LAN; a function that gives the messages so far."""
        process = self.stranger.spawn(sys.executable, LAB / "mdns.py", "hear", "eth0")
        eventually(process.out, "the capture begins")
        return lambda: [bytes.fromhex(line) for line in process.out().splitlines()[1:]]

    def say(self, *messages):
        """By the stranger."""
        self.stranger.run(sys.executable, LAB / "mdns.py", "say", "eth0",
                          input="".join(m.hex() + "\n" for m in messages))

    def flood(self, rate, seconds):
        process = self.stranger.spawn(sys.executable, LAB / "mdns.py", "flood", "eth0", rate,
                                      seconds)
        eventually(process.out, "the flood begins")
        return process

    def found(self, machine=None, timeout=10):
        """Until a machine has found the other's address."""
        machine = machine or self.a
        eventually(lambda: ": found on the LAN at " in machine.daemon.err(),
                   f"{machine.name} finds the other", timeout, 0.01)


def processes_called(machine, name):
    """Numbers of the living, as the machine counts."""
    out = machine.run("ps", "-eo", "pid=,stat=,comm=").stdout
    rows = [line.split() for line in out.splitlines()]
    return [int(pid) for pid, stat, comm in rows if comm == name and stat[0] != "Z"]


def rss_kib(machine, pid):
    return int(machine.run("ps", "-o", "rss=", "-p", pid).stdout)


def cpu_s(machine, pid):
    fields = machine.read(f"/proc/{pid}/stat").rsplit(") ", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_S
