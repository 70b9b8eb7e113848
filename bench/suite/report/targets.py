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
        ("handshakes answered, one core", in_process(r, "bench-handshake", "answered_per_s"),
         "≥", 5000, "/s"),
    ]


def met(measured, relation, target):
    return measured >= target if relation == "≥" else measured <= target
