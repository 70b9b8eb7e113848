"""The tests: what is sent from machine a to machine b, and what is read off.

Each test has an id, a title, how long one run takes (seconds), and run(contender), which
returns {metric: number}. METRICS says what the numbers are.

Sizes of UDP are those of the inner IPv4 packet, headers included: 1400 bytes fit every
tunnel here unfragmented but Nebula, whose default MTU is 1300.
"""
import json
import os
from pathlib import Path

from net import BUILD, eventually

UDP_LOAD = BUILD / "bench/udp-load"
UDP_PORT = "9000"
IPV4_UDP = 28  # bytes of headers
FLOWS = 4      # source ports of the UDP load: a gateway's traffic is of more than one
KEY = os.urandom(8).hex()

# metric: (unit, digits, which is better)
METRICS = {
    "gbps": ("Gb/s", 2, "higher"),
    "retransmits": ("", 0, "lower"),
    "cpu_s_per_gb": ("CPU s per GB", 2, "lower"),
    "system_cpu_s_per_gb": ("CPU s per GB, whole system", 2, "lower"),
    "softirq_s_per_gb": ("softirq s per GB", 2, "lower"),
    "kpps": ("thousand packets/s", 0, "higher"),
    "loss_percent": ("%", 3, "lower"),
    "faults": ("", 0, "lower"),
    "sender_limited": ("", 0, "lower"),
    "p50_us": ("µs", 0, "lower"),
    "p99_us": ("µs", 0, "lower"),
    "p999_us": ("µs", 0, "lower"),
    "lost": ("", 0, "lower"),
}


class LoadFailed(Exception):
    """A run that yielded no figure; str() says why."""


class Servers:
    """What machine b runs for all tests: iperf3 and udp-load."""

    def __init__(self, machine):
        self.iperf = machine.spawn("iperf3", "-s")
        self.udp = machine.spawn(UDP_LOAD, "serve", "0.0.0.0", UDP_PORT, "--key", KEY)
        eventually(lambda: "ready" in self.udp.out(), "udp-load serves")
        eventually(lambda: machine.run("ss", "-Hltn", "sport = 5201").stdout, "iperf3 serves")


def run_json(machine, argv, timeout):
    """Run a load generator and read its JSON."""
    done = machine.run(*argv, check=False, timeout=timeout)
    try:
        result = json.loads(done.stdout)
    except ValueError:
        said = (done.stderr or done.stdout).strip().splitlines() or [f"exit {done.returncode}"]
        raise LoadFailed(f"{Path(str(argv[0])).name}: {said[-1]}") from None
    if "error" in result:
        raise LoadFailed(f"{argv[0]}: {result['error']}")
    return result


def iperf(contender, seconds, options):
    """One run of iperf3; tried again when the server is not yet done with the last one."""
    argv = ["iperf3", "-c", contender.target, "-J", "-t", seconds, *options]
    for attempt in range(5):
        try:
            return run_json(contender.wire.a, argv, seconds + 30)["end"]
        except LoadFailed as failure:
            if "busy" not in str(failure) or attempt == 4:
                raise


class Tcp:
    """Streams one way, or the same number each way at once."""

    def __init__(self, streams, both, seconds):
        self.streams, self.both, self.length = streams, both, seconds
        self.id = f"tcp-{streams}" + ("-both" if both else "")
        count = "one stream" if streams == 1 else f"{streams} streams"
        self.title = f"TCP, {count}" + (", both ways at once" if both else "")
        self.seconds = seconds + 0.5
        self.headline = "gbps"

    def run(self, contender):
        options = ["-P", self.streams] + (["--bidir"] if self.both else [])
        contender.meter.start()
        end = iperf(contender, self.length, options)
        used = contender.meter.stop()
        received, sent = [end["sum_received"]], [end["sum_sent"]]
        if self.both:
            received.append(end["sum_received_bidir_reverse"])
            sent.append(end["sum_sent_bidir_reverse"])
        gigabytes = sum(r["bytes"] for r in received) / 1e9
        if gigabytes == 0:
            raise LoadFailed("iperf3: nothing arrived")
        figures = {"gbps": sum(r["bits_per_second"] for r in received) / 1e9,
                   "retransmits": sum(s.get("retransmits", 0) for s in sent),
                   "system_cpu_s_per_gb": used["system"] / gigabytes,
                   "softirq_s_per_gb": used["softirq"] / gigabytes}
        if contender.meter.pids:
            figures["cpu_s_per_gb"] = used["processes"] / gigabytes
        return figures


class Udp:
    """The highest rate that arrives with at most 0.1 % lost."""

    def __init__(self, size, budget):
        self.size, self.budget = size, budget
        self.id, self.title = f"udp-{size}", f"UDP, {size}-byte packets, at most 0.1 % lost"
        self.seconds = budget * 1.6
        self.headline = "kpps"

    def run(self, contender):
        found = run_json(contender.wire.a,
                         [UDP_LOAD, "search", contender.target, UDP_PORT, "--key", KEY,
                          "--size", self.size - IPV4_UDP, "--loss", 0.001, "--flows", FLOWS,
                          "--budget", self.budget], self.budget * 6 + 60)
        if found["rate"] == 0:
            raise LoadFailed("udp-load: no rate arrived with at most 0.1 % lost")
        return {"kpps": found["delivered"] / 1e3, "loss_percent": found["loss"] * 100,
                "gbps": found["delivered"] * self.size * 8 / 1e9,
                "faults": found["faults"], "sender_limited": int(found["sender_limited"])}


class RoundTrip:
    """Round trips of small packets, on an idle path or beside a full TCP stream."""

    def __init__(self, loaded, seconds):
        self.loaded, self.length = loaded, seconds
        self.id = "rtt-loaded" if loaded else "rtt-idle"
        self.title = "Round trip " + ("beside a full TCP stream" if loaded else "on an idle path")
        self.seconds = seconds + (2 if loaded else 0.2)
        self.headline = "p99_us" if loaded else "p50_us"

    def run(self, contender):
        stream = None
        if self.loaded:
            stream = contender.wire.a.spawn("iperf3", "-c", contender.target, "-J",
                                            "-t", self.length + 1.5)
            eventually(lambda: contender.wire.a.run("ss", "-Htn", "dport = 5201").stdout
                       or not stream.running(), "the stream runs")
            contender.wire.a.run("sleep", "0.7")  # until it is at its full speed
        times = run_json(contender.wire.a,
                         [UDP_LOAD, "ping", contender.target, UDP_PORT, "--key", KEY,
                          "--seconds", self.length, "--interval", 500 if self.loaded else 200],
                         self.length * 3 + 30)
        if stream:
            stream.wait(self.length + 30)
            if not json.loads(stream.out() or "{}").get("end"):
                raise LoadFailed("iperf3: the stream beside it failed")
        if times["sent"] == times["lost"]:
            raise LoadFailed("no ping was answered")
        return {name: times[name] for name in ("p50_us", "p99_us", "p999_us", "lost")}


def all_tests(quick, seconds):
    """In the order they are run."""
    if quick:
        return [Tcp(1, False, seconds), Tcp(4, False, seconds), Tcp(1, True, seconds),
                Udp(64, 1.5), RoundTrip(False, 1), RoundTrip(True, 1)]
    return ([Tcp(n, both, seconds) for both in (False, True) for n in (1, 4, 8)]
            + [Udp(size, 6) for size in (64, 512, 1400)]
            + [RoundTrip(False, 4), RoundTrip(True, 6)])


def offload_tests(seconds):
    """Those repeated with tx-udp-segmentation off."""
    return [Tcp(1, False, seconds), Tcp(4, False, seconds), Tcp(1, True, seconds), Udp(1400, 6)]
