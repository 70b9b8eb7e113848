"""The document of bench/nat/veld-table as markdown."""
from suite import conditions


def percentile(values, share):
    """The smallest value that so many of them do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * share // 100) - 1)]


def good(pair):
    return [run for run in pair["runs"] if run["path"] == pair["expected"]]


def wrong(document):
    """Runs of pairs that did not come to the path that they should have."""
    return sum(len(pair["runs"]) - len(good(pair)) for pair in document["pairs"])


def figures(times):
    return f"{percentile(times, 50):.0f} / {percentile(times, 95):.0f}" if times else ""


def veld_cell(pair):
    times = [run["ms"] for run in pair["runs"] if run["ms"] is not None]
    runs, ok = len(pair["runs"]), len(good(pair))
    parts = [pair["expected"] if ok == runs else f"**{pair['expected']} in {ok} of {runs}**", figures(times)]
    by_relay_first = sum(run["first_path"] == "relay" and run["path"] == "direct" for run in pair["runs"])
    if by_relay_first:
        parts.append(f"({by_relay_first} by relay first)")
    return " ".join(part for part in parts if part)


def nice_cell(pair):
    times = [ms for ms in pair["nice_ms"] if ms is not None]
    tries = len(pair["nice_ms"])
    if not times:
        return "-"
    return figures(times) if len(times) == tries else f"**{len(times)} of {tries}** {figures(times)}"


def matrix(document, cell):
    kinds = list(dict.fromkeys(pair[end] for end in ("one", "other") for pair in document["pairs"]))
    cells = {(pair["one"], pair["other"]): cell(pair) for pair in document["pairs"]}
    lines = ["| | " + " | ".join(kinds) + " |", "|---" * (len(kinds) + 1) + "|"]
    for row in kinds:
        found = [cells.get((row, column), "") for column in kinds]
        lines.append(f"| {row} | " + " | ".join(found) + " |")
    return "\n".join(lines)


def summary(document):
    lines = ["| path | pairs | connected | first byte, ms, p50 | p95 | most |", "|---|--:|--:|--:|--:|--:|"]
    for path in ("direct", "relay", "none"):
        pairs = [pair for pair in document["pairs"] if pair["expected"] == path]
        runs = [run for pair in pairs for run in pair["runs"]]
        times = [run["ms"] for run in runs if run["ms"] is not None]
        if not pairs:
            continue
        shown = [f"{v:.0f}" for v in (percentile(times, 50), percentile(times, 95), max(times))] \
            if times else ["-"] * 3
        lines.append(f"| {path} | {len(pairs)} | {len(times)} of {len(runs)} | {' | '.join(shown)} |")
    return "\n".join(lines)


def markdown(document):
    facts = document["conditions"]
    busy = "" if facts["idle"] else "; **the machine was not idle before the run**"
    relay = "one public member relays" if document["relay"] else "nobody relays"
    parts = [f"{document['runs']} runs of each pair, {relay}, on wires without delay. "
             f"{conditions.describe(facts)}{busy}.", summary(document),
             "Each pair: the path it comes to, and the first byte in ms, p50 / p95.",
             matrix(document, veld_cell)]
    if document["nice"]:
        parts += ["libnice on the same machines, taking turns: ms from the start of gathering to the pair "
                  "that both selected, p50 / p95; those that cannot be direct tried once.",
                  matrix(document, nice_cell)]
    return "\n\n".join(parts)
