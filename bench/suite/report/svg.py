"""The picture: a card a test, a bar a contender, the best on top. One file without fonts or
scripts, light or dark as the reader's screen is. Thin lines: the lowest to the highest run."""
from xml.sax.saxutils import escape

from ..conditions import describe
from .text import number

WIDTH, MARGIN, GAP = 920, 24, 20
CARD = (WIDTH - 2 * MARGIN - GAP) / 2
PAD, LABEL, VALUE = 16, 138, 56  # inside a card: edge, names, and room for a number
ROW, BAR = 23, 14
HEAD = 58                        # of a card

STYLE = """
  text { font-family: system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif }
  .page { fill: #ffffff } .card { fill: #f6f7f9; stroke: #e3e6ea }
  .title { font-size: 22px; font-weight: 700; fill: #16202c }
  .sub, .hint { font-size: 12px; fill: #66717f }
  .head { font-size: 14px; font-weight: 600; fill: #16202c }
  .name, .number { font-size: 12px; fill: #45505d }
  .number { font-variant-numeric: tabular-nums }
  .own { font-weight: 700; fill: #0b57d0 }
  .bar { fill: #a9b4c0 } .bar.veld { fill: #1a6ff0 }
  .bar.raw { fill: #e3e8ee; stroke: #a9b4c0; stroke-dasharray: 3 2 }
  .spread { stroke: #16202c; stroke-opacity: .55 }
  @media (prefers-color-scheme: dark) {
    .page { fill: #0d1117 } .card { fill: #161b22; stroke: #2b323b }
    .title, .head { fill: #e8edf3 } .sub, .hint { fill: #8d98a5 }
    .name, .number { fill: #b7c1cc } .own { fill: #79b1ff }
    .bar { fill: #55606d } .bar.veld { fill: #3d8bff }
    .bar.raw { fill: #1d242d; stroke: #6b7683 }
    .spread { stroke: #e8edf3 }
  }
"""

# (test, metric, wire, title, unit, what one unit is of the metric, better)
CARDS = [
    ("tcp-1", "gbps", "default", "One TCP stream", "Gb/s", 1, "higher"),
    ("tcp-4", "gbps", "default", "Four TCP streams", "Gb/s", 1, "higher"),
    ("tcp-1-both", "gbps", "default", "TCP both ways at once, sum", "Gb/s", 1, "higher"),
    ("tcp-1", "gbps", "no-gso", "One TCP stream, real packets on the wire", "Gb/s", 1, "higher"),
    ("udp-64", "kpps", "default", "64-byte UDP, at most 0.1 % lost", "thousand packets/s", 1,
     "higher"),
    ("udp-1400", "gbps", "default", "1400-byte UDP, at most 0.1 % lost", "Gb/s", 1, "higher"),
    ("rtt-idle", "p50_us", "default", "Round trip, idle, median", "µs", 1, "lower"),
    ("rtt-loaded", "p99_us", "default", "Round trip beside a full TCP stream, p99", "ms", 1000,
     "lower"),
    ("tcp-1", "cpu_s_per_gb", "default", "CPU of both daemons, one TCP stream", "s per GB", 1,
     "lower"),
]


def bars(results, test, metric, wire, scale, better):
    """[(peer, median, low, high)], the best first, without Veld's own variants."""
    found = []
    for name in results.measured(wire):
        figure = results.figure(test, name, metric, wire)
        if figure and results.peers[name]["kind"] != "variant":
            found.append((results.peers[name], figure.median / scale, figure.low / scale,
                          figure.high / scale))
    return sorted(found, key=lambda bar: bar[1], reverse=better == "higher")


def memory_bars(results):
    found = [(results.peers[name], m["resident_mb"], m["resident_mb"], m["resident_mb"])
             for name, m in results.document["memory"].items()
             if results.peers[name]["kind"] != "variant"]
    return sorted(found, key=lambda bar: bar[1])


def row(bar, top, x, y):
    """One bar with its name and number."""
    peer, median, low, high = bar
    left, room = x + PAD + LABEL + 8, CARD - 2 * PAD - LABEL - VALUE - 8
    unit = room / top
    own = " own" if peer["kind"] == "veld" else ""
    kind = {"veld": " veld", "raw": " raw"}.get(peer["kind"], "")
    middle = y + ROW / 2
    out = [f'<text class="name{own}" x="{x + PAD + LABEL:.0f}" y="{middle + 4:.1f}" '
           f'text-anchor="end">{escape(peer["title"])}</text>',
           f'<rect class="bar{kind}" x="{left:.0f}" y="{middle - BAR / 2:.1f}" '
           f'width="{max(median * unit, 1.5):.1f}" height="{BAR}" rx="2"/>']
    if (high - low) * unit >= 2:
        out.append(f'<path class="spread" d="M{left + low * unit:.1f} {middle:.1f}'
                   f'H{left + high * unit:.1f}"/>')
    end = left + max(median, high) * unit + 6
    out.append(f'<text class="number{own}" x="{end:.1f}" y="{middle + 4:.1f}">'
               f'{number(median)}</text>')
    return out


def card(title, unit, better, found, x, y, height):
    top = max(high for _, _, _, high in found) or 1
    out = [f'<rect class="card" x="{x:.0f}" y="{y:.0f}" width="{CARD:.0f}" '
           f'height="{height:.0f}" rx="8"/>',
           f'<text class="head" x="{x + PAD:.0f}" y="{y + 25:.0f}">{escape(title)}</text>',
           f'<text class="hint" x="{x + PAD:.0f}" y="{y + 43:.0f}">{escape(unit)}, '
           f'{better} is better</text>']
    for i, bar in enumerate(found):
        out += row(bar, top, x, y + HEAD + i * ROW)
    return out


def picture(results):
    """The whole SVG."""
    cards = [(title, unit, better, bars(results, test, metric, wire, scale, better))
             for test, metric, wire, title, unit, scale, better in CARDS]
    cards.append(("Memory of one daemon", "MB resident", "lower", memory_bars(results)))
    cards = [c for c in cards if c[3]]
    y, body = 92, []
    for i in range(0, len(cards), 2):
        pair = cards[i:i + 2]
        height = HEAD + max(len(c[3]) for c in pair) * ROW + 12
        for column, each in enumerate(pair):
            body += card(*each, MARGIN + column * (CARD + GAP), y, height)
        y += height + GAP
    facts = results.document["conditions"]
    head = [f'<rect class="page" width="{WIDTH}" height="{y:.0f}" rx="10"/>',
            f'<text class="title" x="{MARGIN}" y="46">Veld beside its peers</text>',
            f'<text class="sub" x="{MARGIN}" y="68">{escape(describe(facts))}. Two machines, one '
            'wire, everything on these cores; medians.</text>']
    if not cards:
        head.append(f'<text class="head" x="{MARGIN}" y="92">Nothing was measured.</text>')
        y += 20
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y:.0f}" '
            f'width="{WIDTH}" height="{y:.0f}" role="img" aria-label="Veld beside its peers">'
            f"<style>{STYLE}</style>\n" + "\n".join(head + body) + "\n</svg>\n")
