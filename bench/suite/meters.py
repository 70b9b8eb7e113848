"""CPU seconds and memory, from the host's /proc.

A process's time (utime + stime) counts all its threads, also io_uring's. What the
kernel does for a tunnel outside of its process (softirq, kernel threads) is only in the
time of the whole system, which counts the load generator too.
"""
import os
from pathlib import Path

TICK = os.sysconf("SC_CLK_TCK")
PROC = Path("/proc")


def host_pid(machine, pid):
    """The host's number of a process, from the machine's own."""
    namespace = os.stat(PROC / str(machine.init) / "ns/pid").st_ino
    for entry in PROC.iterdir():
        if not entry.name.isdigit():
            continue
        try:
            if os.stat(entry / "ns/pid").st_ino != namespace:
                continue
            status = (entry / "status").read_text()
        except OSError:  # it has ended meanwhile
            continue
        numbers = next(line for line in status.splitlines() if line.startswith("NSpid:"))
        if int(numbers.split()[-1]) == pid:
            return int(entry.name)
    raise RuntimeError(f"{machine.name}: process {pid} has ended")


def process_cpu(pid):
    """Seconds, user and system."""
    fields = (PROC / str(pid) / "stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def process_memory(pid):
    """(resident now, the most it ever was), MB of 2^20 bytes."""
    sizes = {}
    for line in (PROC / str(pid) / "status").read_text().splitlines():
        name, _, value = line.partition(":")
        if name in ("VmRSS", "VmHWM"):
            sizes[name] = int(value.split()[0]) / 1024
    return sizes["VmRSS"], sizes["VmHWM"]


def system_cpu():
    """Seconds of (all work, softirq alone), over all cores."""
    fields = [int(n) for n in (PROC / "stat").read_text().splitlines()[0].split()[1:9]]
    return (sum(fields) - fields[3] - fields[4]) / TICK, fields[6] / TICK


class Meter:
    """What was used between start() and stop(), by some processes and by the system."""

    def __init__(self, pids):
        self.pids = list(pids)

    def start(self):
        self.began = self.read()

    def stop(self):
        return {name: now - self.began[name] for name, now in self.read().items()}

    def read(self):
        work, softirq = system_cpu()
        return {"processes": sum(process_cpu(pid) for pid in self.pids),
                "system": work, "softirq": softirq}
