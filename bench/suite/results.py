"""The results document (JSON), while it grows and afterwards.

  {"version": 2, "complete": bool, "quick": bool, "conditions": {...},
   "peers":   [{"name", "title", "kind", "version", "note", "links"}],
   "tests":   [{"id", "title", "headline", "metrics": [...]}],
   "runs":    [{"wire", "test", "peer", "samples": [{metric: number}, ...]}],
   "memory":  {peer: {"resident_mb", "peak_mb"}},       the larger of the two sides
   "in_process": {program: its JSON},
   "skipped": [{"what", "why"}], "failures": [{"what", "why"}]}

"wire" is "default", or "no-gso": tx-udp-segmentation off. A run that yielded no figure
is no sample; it is told in "failures".
"""
import statistics

WIRES = {"default": "as it comes", "no-gso": "tx-udp-segmentation off"}


def new(conditions, quick, settings):
    return {"version": 2, "complete": False, "quick": quick, "settings": settings,
            "conditions": conditions, "peers": [], "tests": [], "runs": [], "memory": {},
            "in_process": {}, "skipped": [], "failures": []}


class Figure:
    """One metric of one peer in one test: the median and the spread of its samples."""

    def __init__(self, samples):
        self.samples = samples
        self.median = statistics.median(samples)
        self.low, self.high = min(samples), max(samples)


class Results:
    """Reads a document."""

    def __init__(self, document):
        self.document = document
        self.peers = {p["name"]: p for p in document["peers"]}
        self.tests = {t["id"]: t for t in document["tests"]}
        self.runs = {(r["wire"], r["test"], r["peer"]): r for r in document["runs"]}

    def figure(self, test, peer, metric=None, wire="default"):
        """A Figure, or None where nothing was measured."""
        run = self.runs.get((wire, test, peer))
        metric = metric or self.tests.get(test, {}).get("headline")
        samples = [s[metric] for s in run["samples"] if metric in s] if run else []
        return Figure(samples) if samples else None

    def ratio(self, test, peer, base, metric=None, wire="default"):
        """How many times the base's median, or None."""
        one, other = (self.figure(test, p, metric, wire) for p in (peer, base))
        return one.median / other.median if one and other and other.median else None

    def measured(self, wire="default"):
        """Names of the peers that have any figure, in the order of the tables."""
        having = {r["peer"] for r in self.document["runs"] if r["wire"] == wire and r["samples"]}
        return [name for name in self.peers if name in having]
