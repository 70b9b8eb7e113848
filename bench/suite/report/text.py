"""Numbers as people read them, and the tables that a run prints as it goes."""
from ..loads import METRICS
from ..results import WIRES


def number(value, digits=None):
    """Three significant digits where nothing else is said: 0.345, 3.45, 34.5, 345."""
    if value is None:
        return ""
    if digits is None:
        digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2
    return f"{value:,.{digits}f}"


def spread(figure, digits=None):
    """3.45 (3.20–3.61); one sample has no spread."""
    if figure is None:
        return ""
    median = number(figure.median, digits)
    if len(figure.samples) == 1:
        return median
    if digits is None:  # the same for all three
        digits = 0 if abs(figure.median) >= 100 else 1 if abs(figure.median) >= 10 else 2
    return f"{median} ({number(figure.low, digits)}–{number(figure.high, digits)})"


def rows(table):
    """Aligned columns: the first to the left, the others to the right."""
    widths = [max(len(row[i]) for row in table) for i in range(len(table[0]))]
    return "\n".join("  " + "  ".join(
        cell.ljust(width) if i == 0 else cell.rjust(width)
        for i, (cell, width) in enumerate(zip(row, widths))).rstrip() for row in table)


def label(metric):
    unit = METRICS[metric][0]
    return unit if metric in ("gbps", "kpps") or "CPU" in unit or "softirq" in unit else \
        " ".join(filter(None, [metric.split("_")[0], unit]))


def test_table(results, test, wire):
    """All metrics of one test, a row a peer."""
    names = [p for p in results.measured(wire) if results.figure(test, p, wire=wire)]
    title = f"\n{results.tests[test]['title']} ({WIRES[wire]})"
    if not names:
        return title + "\n  no figures"
    metrics = [m for m in METRICS if any(m in results.runs[(wire, test, n)]["samples"][0]
                                         for n in names)]
    head = results.tests[test]["headline"]
    table = [["", f"{label(head)} (min–max)", *(label(m) for m in metrics if m != head)]]
    for name in names:
        cells = [spread(results.figure(test, name, head, wire))]
        for metric in metrics:
            if metric != head:
                figure = results.figure(test, name, metric, wire)
                cells.append(number(figure.median, METRICS[metric][1]) if figure else "")
        table.append([results.peers[name]["title"], *cells])
    return f"{title}\n{rows(table)}"
