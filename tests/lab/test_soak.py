"""Full load, and new session keys every two seconds, for as long as wanted.

    machine-a                                    machine-b
      eth0 1.2.3.1  --------------------------  eth0 1.2.3.4
      veld0 10.0.0.1                             veld0 10.0.0.2

TCP both ways as fast as it goes, UDP both ways with numbered datagrams at a rate
that fits beside it, an attacker who replays and forges what he saw. VELD_SOAK_SECONDS
says how long; tools/test --soak MINUTES sets it.
"""
import json
import os
import time

import pytest

from net import BUILD, PORT, ROOT

pytestmark = pytest.mark.alone

SECONDS = int(os.environ.get("VELD_SOAK_SECONDS", "0")) or 12
REKEY_EVERY = 2
RATE, SIZE = 2000, 600
LOAD = next((p for p in (BUILD / "bench/udp-load", ROOT / "build/bench/udp-load") if p.exists()),
            None)

# A session that was lost would be missed for 5 s at least, until the next try of a handshake.
LONGEST_GAP = 2.0
# Writable memory, touched or not: nothing may be allocated but what the allocator itself keeps.
# (AddressSanitizer keeps what is freed.) RSS grows besides as the buffers that were allocated at
# the start are touched for the first time: 2.2 MB a worker each way at most.
DATA_GROWTH_KB = 512 if BUILD.name != "build-fuzz" else 1 << 20
RSS_GROWTH_KB = DATA_GROWTH_KB + 4 * 2200
# What full load may drop: queues and buffers that were full at that moment.
FULL = {"no_buffer", "udp_queue_full", "tun_queue_full"}


def memory_kb(machine):
    """(VmRSS, VmData) of its daemon."""
    status = machine.read(f"/proc/{machine.status()['pid']}/status")
    fields = dict(line.split(":", 1) for line in status.splitlines())
    return tuple(int(fields[key].split()[0]) for key in ("VmRSS", "VmData"))


def longest_gap(intervals, key):
    """Seconds in a row in which iperf3 saw no byte of a direction arrive."""
    longest = now = 0.0
    for interval in intervals:
        now = now + interval[key]["seconds"] if interval[key]["bytes"] == 0 else 0.0
        longest = max(longest, now)
    return longest


class Soak:
    def __init__(self, pair):
        self.a, self.b = self.machines = pair.a, pair.b
        self.took, self.memory = [], {m: [] for m in self.machines}
        self.spawned = []

    def spawn(self, machine, *argv):
        self.spawned.append(machine.spawn(*argv))
        return self.spawned[-1]

    def start(self):
        for m in self.machines:
            self.spawn(m, "iperf3", "-s", "-1", "--forceflush")
            self.spawn(m, LOAD, "serve", "0.0.0.0", 7000, "--key", "soak")
            m.sh("for i in $(seq 200); do ss -Hltn 'sport = 5201' | grep -q . && "
                 "ss -Hlun 'sport = 7000' | grep -q . && exit; sleep 0.02; done; exit 1")
        self.meddler = self.b.spawn_traffic("meddle", "eth0", "1.2.3.4", PORT)
        self.spawned.append(self.meddler)
        self.tcp, self.udp = {}, {}
        for m, target in ((self.a, "10.0.0.2"), (self.b, "10.0.0.1")):
            self.tcp[m] = self.spawn(m, "iperf3", "-c", target, "-J", "-i", "0.1", "-t", SECONDS)
            self.udp[m] = self.spawn(m, LOAD, "send", target, 7000, "--key", "soak", "--rate",
                                     RATE, "--size", SIZE, "--seconds", SECONDS)

    def rekey_until_the_end(self):
        due, end = time.monotonic() + REKEY_EVERY, time.monotonic() + SECONDS
        while due < end:
            time.sleep(max(0.0, due - time.monotonic()))
            began = time.monotonic()
            self.machines[len(self.took) % 2].veld("rekey", timeout=15)
            self.took.append(time.monotonic() - began)
            # Never so soon after a slow one that the keys are still fresh.
            due = max(due, time.monotonic() - REKEY_EVERY / 4) + REKEY_EVERY
            if len(self.took) > 1:  # by then the load has touched what it needs
                for m in self.machines:
                    self.memory[m].append(memory_kb(m))

    def stop(self):
        for process in self.spawned:
            process.kill()


def test_soak(pair, capsys):
    if not LOAD:
        pytest.skip(f"no {BUILD}/bench/udp-load: built without the benchmarks")
    pair.start(*(pair.config(m, workers=2) for m in (pair.a, pair.b))).connected()
    before = {m: m.status() for m in (pair.a, pair.b)}
    soak = Soak(pair)
    try:
        soak.start()
        soak.rekey_until_the_end()
        tcp = {m: json.loads(p.finish(SECONDS + 30)) for m, p in soak.tcp.items()}
        udp = {m: json.loads(p.finish(SECONDS + 30)) for m, p in soak.udp.items()}
        soak.meddler.stop()
    finally:
        soak.stop()
    replays, forgeries = map(int, soak.meddler.out().splitlines()[-1].split())
    after = {m: m.status() for m in (pair.a, pair.b)}
    drops = {m: {r: n - before[m]["drops"][r] for r, n in after[m]["drops"].items()
                 if n != before[m]["drops"][r]} for m in (pair.a, pair.b)}
    gaps = [longest_gap(tcp[m]["intervals"], "sum") for m in tcp]
    rates = [tcp[m]["end"]["sum_received"]["bits_per_second"] / 1e9 for m in tcp]
    with capsys.disabled():
        print(f"\nsoak: {SECONDS} s, {len(soak.took)} rekeys in {max(soak.took):.2f} s at most, "
              f"TCP {rates[0]:.2f} and {rates[1]:.2f} Gb/s, longest gap {max(gaps):.1f} s, UDP loss "
              f"{', '.join('%.4f' % udp[m]['loss'] for m in udp)}, {replays} replays and "
              f"{forgeries} forgeries refused, (RSS, data) kB "
              + " and ".join(f"{soak.memory[m][0]} -> {soak.memory[m][-1]}" for m in soak.machines)
              + f", drops {list(drops.values())}")

    for m in soak.machines:
        counters = after[m]["counters"]["handshakes_completed"] - \
            before[m]["counters"]["handshakes_completed"]
        assert counters >= len(soak.took), "every rekey was a handshake on both sides"
        assert after[m]["pid"] == before[m]["pid"]
        rss, data = (end - begin for begin, end in zip(soak.memory[m][0], soak.memory[m][-1]))
        assert data < DATA_GROWTH_KB and rss < RSS_GROWTH_KB, soak.memory[m]
        assert udp[m]["duplicates"] == udp[m]["corrupt"] == udp[m]["foreign"] == 0, udp[m]
        assert udp[m]["sent"] > 0.9 * RATE * SECONDS and udp[m]["loss"] < 0.01, udp[m]
    assert max(gaps) < LONGEST_GAP, gaps
    assert min(rates) > 0.05, rates
    # Each drop has its cause: a full queue, or the attacker, whose copies are now and then so
    # late that their session is no more.
    assert set(drops[pair.a]) <= FULL, drops[pair.a]
    refused = {r: n for r, n in drops[pair.b].items() if r not in FULL}
    assert set(refused) <= {"replayed", "bad_tag", "unknown_index"}, refused
    assert 0 < refused["replayed"] <= replays and 0 < refused["bad_tag"] <= forgeries, refused
    assert sum(refused.values()) <= replays + forgeries, refused
