"""What the design set out to reach, beside what was measured: ratios within one run."""


def figure(results, test, peer, metric=None):
    found = results.figure(test, peer, metric)
    return found.median if found else None


def difference(a, b):
    return None if a is None or b is None else a - b


def quotient(a, b):
    return None if a is None or not b else a / b


def in_process(results, program, key):
    value = results.document["in_process"].get(program, {}).get(key)
    return value if isinstance(value, (int, float)) else None


def of_many(results, key):
    """A figure of the daemon with 100,000 peers; --quick has fewer."""
    scale = results.document["in_process"].get("scale", {})
    return scale.get("plain", {}).get(key) if scale.get("peers", 0) >= 100_000 else None


def forwarding(results):
    """The rate with 10,000 live sessions, of that with one: the worst of what was tried."""
    rows = results.document["in_process"].get("bench-scale", {}).get("forwarding", [])
    return min((row["of_one_session"] for row in rows if row["sessions"] == 10_000),
               default=None)


def two_workers(results):
    """What two workers with lanes of their own do, of one; by the CPU time they had."""
    rows = results.document["in_process"].get("bench-workers", {}).get("results", [])
    return min((row["scaling_cpu"] for row in rows
                if row["workers"] == 2 and row["lanes"] == "own lanes"), default=None)


def milli(value):
    return None if value is None else value / 1000


def all_targets(r):
    """(what, measured or None, "≥" or "≤", target, unit), in the order of the table."""
    idle = [difference(figure(r, "rtt-idle", "veld", m), figure(r, "rtt-idle", "veth", m))
            for m in ("p50_us", "p99_us")]
    return [
        ("one TCP stream, of the bare wire", r.ratio("tcp-1", "veld", "veth"), "≥", 0.40, ""),
        ("one TCP stream, of Debian's wireguard-go", r.ratio("tcp-1", "veld", "wireguard-go"),
         "≥", 10, "×"),
        ("four TCP streams, of one", quotient(figure(r, "tcp-4", "veld"),
                                              figure(r, "tcp-1", "veld")), "≥", 1, ""),
        ("both directions at once, of one", quotient(figure(r, "tcp-1-both", "veld"),
                                                     figure(r, "tcp-1", "veld")), "≥", 0.8, ""),
        ("64-byte UDP, of Debian's wireguard-go", r.ratio("udp-64", "veld", "wireguard-go"),
         "≥", 5, "×"),
        ("round trip added to the bare wire's, idle, median", idle[0], "≤", 60, "µs"),
        ("the same, p99", milli(idle[1]), "≤", 0.3, "ms"),
        ("round trip beside a full TCP stream, p99",
         milli(figure(r, "rtt-loaded", "veld", "p99_us")), "≤", 5, "ms"),
        ("resident memory, one peer", r.document["memory"].get("veld", {}).get("resident_mb"),
         "≤", 30, "MB"),
        ("two workers without a kernel, of one", two_workers(r), "≥", 1.9, ""),
        ("packets with 10,000 live sessions, of those with one", forwarding(r), "≥", 0.8, ""),
        ("start with 100,000 peers", of_many(r, "start_s"), "≤", 3, "s"),
        ("memory for each of them", of_many(r, "bytes_per_peer"), "≤", 1024, "bytes"),
        ("handshakes answered, one core", in_process(r, "bench-handshake", "answered_per_s"),
         "≥", 5000, "/s"),
    ]


def met(measured, relation, target):
    return measured >= target if relation == "≥" else measured <= target
