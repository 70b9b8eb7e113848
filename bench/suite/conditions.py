"""What a figure depends on beside the program measured: written down with the results."""
import json
import os
import platform
import subprocess
import time
from pathlib import Path

from .meters import system_cpu

# More than this, and the figures are worth less: of all cores, now and over a minute.
BUSY_LIMIT, LOAD_LIMIT = 0.05, 0.5


def read(path, default=None):
    try:
        return Path(path).read_text().strip()
    except OSError:
        return default


def cpu_model():
    for line in read("/proc/cpuinfo", "").splitlines():
        if line.startswith(("model name", "Model", "cpu model")):
            return line.split(":", 1)[1].strip()
    return platform.machine()


def busy_share(seconds=1.0):
    """How much of all cores' time goes to other work."""
    before, began = system_cpu()[0], time.monotonic()
    time.sleep(seconds)
    return (system_cpu()[0] - before) / ((time.monotonic() - began) * os.cpu_count())


def busiest(count=3):
    """Names of the processes that use the CPU most, for a warning."""
    out = subprocess.run(["ps", "-eo", "pcpu,comm", "--sort=-pcpu", "--no-headers"],
                         capture_output=True, text=True).stdout
    return [" ".join(line.split()[1:]) for line in out.splitlines()[:count]]


def commit(root):
    done = subprocess.run(["git", "-c", f"safe.directory={root}", "-C", root, "describe",
                           "--always", "--dirty", "--abbrev=10"], capture_output=True, text=True)
    return done.stdout.strip() or None


def record(root):
    """Everything that is known before a contender is up."""
    busy = busy_share()
    return {
        "date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "commit": commit(root),
        "kernel": platform.release(),
        "distribution": next((line.split("=", 1)[1].strip('"')
                              for line in read("/etc/os-release", "").splitlines()
                              if line.startswith("PRETTY_NAME=")), None),
        "cpu": cpu_model(),
        "cores": os.cpu_count(),
        "machine": platform.machine(),
        "virtual": "hypervisor" in read("/proc/cpuinfo", ""),
        "governor": read("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "load_average": os.getloadavg()[0],
        "busy_before": round(busy, 3),
        "idle": busy <= BUSY_LIMIT and os.getloadavg()[0] <= LOAD_LIMIT * os.cpu_count(),
        "tcp_congestion_control": read("/proc/sys/net/ipv4/tcp_congestion_control"),
        "rmem_max": read("/proc/sys/net/core/rmem_max"),
        "wmem_max": read("/proc/sys/net/core/wmem_max"),
        "iperf3": subprocess.run(["iperf3", "--version"], capture_output=True,
                                 text=True).stdout.split("\n")[0],
    }


def describe(facts):
    """One line for people."""
    kind = " (virtual)" if facts.get("virtual") else ""
    return (f"{facts['cpu']}{kind}, {facts['cores']} cores, {facts['memory_gb']} GB, "
            f"Linux {facts['kernel']}, {facts['date'][:10]}")


def dump(document, path):
    """Written whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(path.name + ".new")
    new.write_text(json.dumps(document, indent=1) + "\n")
    new.replace(path)
