"""Tables for README.md (brief) and docs/PERFORMANCE.md (whole)."""
from ..conditions import describe
from ..results import WIRES
from . import targets
from .text import number, spread


def table(head, body):
    """A Markdown table; the first column to the left, the others to the right."""
    lines = ["| " + " | ".join(head) + " |",
             "|" + "|".join(["---"] + ["--:"] * (len(head) - 1)) + "|"]
    lines += ["| " + " | ".join(row) + " |" for row in body]
    return "\n".join(lines)


def title_of(results, name):
    peer = results.peers[name]
    return f"**{peer['title']}**" if peer["kind"] == "veld" else peer["title"]


def matrix(results, columns, wire="default", names=None):
    """A row a peer; columns are (head, test, metric or None). Empty columns are left out."""
    names = names or results.measured(wire)
    columns = [c for c in columns if any(results.figure(c[1], n, c[2], wire) for n in names)]
    if not columns:
        return ""
    body = []
    for name in names:
        figures = [results.figure(test, name, metric, wire) for _, test, metric in columns]
        if any(figures):
            body.append([title_of(results, name), *map(spread, figures)])
    return table(["", *(head for head, _, _ in columns)], body)


def intro(results):
    d = results.document
    text = (f"{describe(d['conditions'])}; medians of {d['settings']['rounds']} "
            f"interleaved rounds, TCP runs of {d['settings']['seconds']} s")
    if not d["conditions"]["idle"]:
        text += ("; **the machine was not idle before the run "
                 f"({d['conditions']['busy_before']:.0%} busy, "
                 f"load {d['conditions']['load_average']:.1f})**")
    if not d["complete"]:
        text += "; **the run was interrupted**"
    return text + "."


# ---- README ----

def readme(results):
    """The few figures that most people look for."""
    body = []
    memory = results.document["memory"]
    for name in results.measured():
        if results.peers[name]["kind"] == "variant":
            continue

        def cell(test, metric=None, scale=1, digits=None):
            figure = results.figure(test, name, metric)
            return number(figure.median / scale, digits) if figure else ""
        ratio = results.ratio("tcp-1", name, "veth")
        body.append([title_of(results, name), cell("tcp-1"), number(ratio, 2),
                     cell("tcp-4"), cell("tcp-1-both"), cell("udp-64"),
                     cell("rtt-idle", "p50_us"), cell("rtt-loaded", "p99_us", 1000),
                     cell("tcp-1", "cpu_s_per_gb"),
                     number(memory.get(name, {}).get("resident_mb"), 0)])
    head = ["", "TCP, Gb/s", "of the bare wire", "4 streams", "both ways", "64 B UDP, kpkt/s",
            "RTT idle, µs", "RTT loaded, p99 ms", "CPU s per GB", "memory, MB"]
    kept = [i for i in range(len(head)) if i == 0 or any(row[i] for row in body)]
    return (table([head[i] for i in kept], [[row[i] for i in kept] for row in body])
            + "\n\n" + intro(results)
            + " CPU is that of both daemons, memory the larger daemon's.")


# ---- docs/PERFORMANCE.md, and latest.md ----

def throughput(results, wire):
    tcp = matrix(results, [(head, test, "gbps") for head, test in (
        ("1 stream", "tcp-1"), ("4 streams", "tcp-4"), ("8 streams", "tcp-8"),
        ("1 each way", "tcp-1-both"), ("4 each way", "tcp-4-both"),
        ("8 each way", "tcp-8-both"))], wire)
    udp = matrix(results, [(f"{size} bytes", f"udp-{size}", "kpps") for size in (64, 512, 1400)],
                 wire)
    parts = []
    if tcp:
        parts.append(f"### TCP, Gb/s ({WIRES[wire]})\n\n{tcp}")
    if udp:
        parts.append("### UDP, thousand packets a second with at most 0.1 % lost "
                     f"({WIRES[wire]})\n\n{udp}")
    return parts


def latency(results):
    return [f"### {results.tests[test]['title']}, µs\n\n" + matrix(
        results, [("median", test, "p50_us"), ("p99", test, "p99_us"),
                  ("p99.9", test, "p999_us")])
        for test in ("rtt-idle", "rtt-loaded") if test in results.tests]


def cost(results):
    cpu = matrix(results, [
        ("daemons, 1 stream", "tcp-1", "cpu_s_per_gb"),
        ("daemons, 4 streams", "tcp-4", "cpu_s_per_gb"),
        ("whole system, 1 stream", "tcp-1", "system_cpu_s_per_gb"),
        ("softirq of that", "tcp-1", "softirq_s_per_gb"),
        ("retransmits, 1 stream", "tcp-1", "retransmits")])
    parts = [f"### CPU seconds per GB\n\n{cpu}"] if cpu else []
    memory = results.document["memory"]
    if memory:
        parts.append("### Memory of one daemon, MB\n\n" + table(
            ["", "resident after all tests", "at most"],
            [[title_of(results, name), number(m["resident_mb"], 1), number(m["peak_mb"], 1)]
             for name, m in memory.items()]))
    return parts


def target_table(results):
    body = []
    for what, measured, relation, target, unit in targets.all_targets(results):
        if measured is None:
            continue
        unit = f" {unit}" if unit and unit != "×" else unit
        body.append([what, f"{relation} {number(target)}{unit}", f"{number(measured)}{unit}",
                     "yes" if targets.met(measured, relation, target) else "**no**"])
    return ["### Targets of the design\n\n"
            + table(["", "target", "measured", "met"], body)] if body else []


def rows_of(value):
    """The rows of a value that is a table: a list of objects, or an object of them."""
    if isinstance(value, dict) and value and all(isinstance(v, dict) for v in value.values()):
        return [{"": words(name), **row} for name, row in value.items()]
    if isinstance(value, list) and value and all(isinstance(v, dict) for v in value):
        return value
    return None


def aead_matrix(rows):
    """bench-aead's long list: a table a batch, a row a backend, a column a size."""
    cells = {(r["batch"], r["backend"], r["size"], r["op"]): number(r["gbps"]) for r in rows}
    sizes, backends = (list(dict.fromkeys(r[key] for r in rows)) for key in ("size", "backend"))

    def cell(batch, backend, size):
        return " / ".join(cells.get((batch, backend, size, op), "") for op in ("seal", "open"))
    return "\n\n".join(
        table([f"batches of {batch}: seal / open, GB/s", *(f"{size} bytes" for size in sizes)],
              [[backend, *(cell(batch, backend, size) for size in sizes)] for backend in backends])
        for batch in dict.fromkeys(r["batch"] for r in rows))


def program_tables(document):
    """Programs print their own keys: numbers and texts become a table of two columns,
    lists of objects and objects of objects one with a column a key."""
    scalars = [[words(k), value_text(v)] for k, v in document.items()
               if isinstance(v, (int, float, str)) and k not in ("version", "rounds")]
    objects = {k: v for k, v in document.items() if isinstance(v, dict) and not rows_of(v)}
    blocks = []
    for value in [objects, *document.values()]:
        rows = rows_of(value)
        if rows and {"backend", "size", "batch", "op", "gbps"} <= set(rows[0]):
            blocks.append(aead_matrix(rows))
        elif rows:
            head = list(dict.fromkeys(key for row in rows for key in row))
            blocks.append(table([words(h) for h in head],
                                [[value_text(row.get(h)) for h in head] for row in rows]))
    if scalars:
        blocks.append(table(["", ""], scalars))
    return "\n\n".join(blocks)


def in_process(results):
    from ..inprocess import PROGRAMS
    return [f"### {PROGRAMS[program][0]} (`{program}`)\n\n{program_tables(document)}"
            for program, document in results.document["in_process"].items()]


def words(key):
    return key.replace("_", " ").replace(" per ", "/")


def value_text(value):
    if isinstance(value, float):
        return number(value)
    return "" if value is None else str(value)


def conditions(results):
    facts, d = results.document["conditions"], results.document
    rows = [["commit", facts["commit"]], ["kernel", facts["kernel"]],
            ["distribution", facts["distribution"]], ["CPU", facts["cpu"]],
            ["cores, memory", f"{facts['cores']}, {facts['memory_gb']} GB"],
            ["virtual machine", "yes" if facts["virtual"] else "no"],
            ["frequency governor", facts["governor"] or "not known here"],
            ["load average, CPU in use before",
             f"{facts['load_average']:.2f}, {facts['busy_before']:.1%}"],
            ["TCP congestion control", facts["tcp_congestion_control"]],
            ["net.core.rmem_max, wmem_max", f"{facts['rmem_max']}, {facts['wmem_max']}"],
            ["load generators", f"{facts['iperf3']}; bench/udp_load.c"],
            ["date", facts["date"]]]
    for peer in d["peers"]:
        links = "; ".join(f"{name}: MTU {link['mtu']}, queue {link['txqlen']}, "
                          f"gso_max {link['gso_max_size']}"
                          for name, link in peer["links"].items())
        rows.append([peer["title"], "; ".join(filter(None, [peer["version"], peer["note"],
                                                            links]))])
    if facts.get("offloads_on"):
        rows.append(["features of the wire that are on", ", ".join(
            name for name in facts["offloads_on"] if name.startswith(("tx-", "rx-", "generic-",
                                                                      "tcp-", "scatter")))])
    return ["### Conditions\n\n| | |\n|---|---|\n"
            + "\n".join(f"| {a} | {b} |" for a, b in rows)]


def left_out(results):
    parts = []
    for key, title in (("skipped", "Skipped"), ("failures", "Failed runs")):
        entries = results.document[key]
        if entries:
            parts.append(f"### {title}\n\n"
                         + "\n".join(f"- {e['what']}: {e['why']}" for e in entries))
    return parts


def whole(results):
    parts = [intro(results) + " In brackets the lowest and the highest run."]
    parts += target_table(results)
    parts += throughput(results, "default") + latency(results) + cost(results)
    parts += throughput(results, "no-gso")
    parts += in_process(results) + conditions(results) + left_out(results)
    return "\n\n".join(parts) + "\n"
