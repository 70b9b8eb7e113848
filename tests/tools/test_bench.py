"""The benchmark's report: what is written from a result file is what is in it. The runs
themselves are tried in tests/lab/test_bench.py."""
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.dont_write_bytecode = True
sys.path.insert(0, str(ROOT / "bench"))

from suite import progress, results, runner  # noqa: E402
from suite.peers.base import Peer, Unavailable  # noqa: E402
from suite.report import markdown, publish, svg, targets, text  # noqa: E402

SVG = "{http://www.w3.org/2000/svg}"


def tcp(*rates, **more):
    return [{"gbps": rate, "retransmits": 0, "system_cpu_s_per_gb": 1.5, **more}
            for rate in rates]


@pytest.fixture
def document():
    """A small run: three peers and a variant, two tests, one of them on both wires."""
    facts = {"date": "2026-01-02T03:04:05Z", "commit": "abc", "kernel": "6.1.0", "virtual": True,
             "distribution": "Debian", "cpu": "A <CPU> & more", "cores": 2, "machine": "x86_64",
             "governor": None, "memory_gb": 8.0, "load_average": 0.1, "busy_before": 0.01,
             "idle": True, "tcp_congestion_control": "cubic", "rmem_max": "1", "wmem_max": "1",
             "iperf3": "iperf 3.12"}
    d = results.new(facts, False, {"rounds": 3, "seconds": 5})
    d["complete"] = True
    for name, title, kind in (("veth", "bare wire", "raw"), ("veld", "Veld", "veld"),
                              ("veld-1", "Veld, one worker", "variant"),
                              ("wireguard-go", "wireguard-go (Debian)", "peer")):
        d["peers"].append({"name": name, "title": title, "kind": kind, "version": "1",
                           "note": "", "links": {}})
    d["tests"] = [{"id": "tcp-1", "title": "TCP, one stream", "headline": "gbps"},
                  {"id": "rtt-idle", "title": "Round trip", "headline": "p50_us"}]

    def run(test, peer, samples, wire="default"):
        d["runs"].append({"wire": wire, "test": test, "peer": peer, "samples": samples})
    run("tcp-1", "veth", tcp(10, 12, 20))
    run("tcp-1", "veld", tcp(6, 4, 5, cpu_s_per_gb=2.5))
    run("tcp-1", "veld-1", tcp(3, 3, 3, cpu_s_per_gb=2.5))
    run("tcp-1", "wireguard-go", tcp(0.4, 0.2, 0.3, cpu_s_per_gb=30))
    run("tcp-1", "veld", tcp(2, 2, 2), "no-gso")
    for peer, p50 in (("veth", 50.0), ("veld", 105.0)):
        run("rtt-idle", peer, [{"p50_us": p50, "p99_us": 3 * p50, "p999_us": 900.0, "lost": 0}])
    d["memory"] = {"veld": {"resident_mb": 20.0, "peak_mb": 21.0}}
    d["in_process"] = {"bench-aead": {"version": 2, "rounds": 5, "aead": [
        {"backend": "libsodium", "size": 64, "batch": 8, "op": op, "gbps": gbps, "spread": 0.1}
        for op, gbps in (("seal", 0.21), ("open", 0.22))]},
        "scale": {"version": 1, "peers": 100000,
                  "one": {"start_s": 0.1}, "plain": {"start_s": 2.5, "bytes_per_peer": 2000.0}},
        "bench-scale": {"version": 1, "gate_ns": {"bad_mac1": 300.0}, "forwarding": [
            {"sessions": 1, "of_one_session": 1.0}, {"sessions": 10000, "of_one_session": 0.9},
            {"sessions": 10000, "of_one_session": 0.7}]},
        "bench-workers": {"version": 1, "results": [
            {"lanes": lanes, "workers": n, "scaling_cpu": scaling}
            for lanes, n, scaling in (("own lanes", 1, 1.0), ("own lanes", 2, 1.95),
                                      ("one lane", 2, 0.5))]}}
    d["skipped"].append({"what": "WireGuard (kernel)", "why": "this kernel has none"})
    return d


# ---- numbers ----

def test_median_and_spread_are_of_the_samples(document):
    figure = results.Results(document).figure("tcp-1", "veld")
    assert (figure.median, figure.low, figure.high) == (5, 4, 6)
    assert text.spread(figure) == "5.00 (4.00–6.00)"


def test_ratios_are_of_medians_and_absent_where_nothing_was_measured(document):
    r = results.Results(document)
    assert r.ratio("tcp-1", "veld", "veth") == pytest.approx(5 / 12)
    assert r.ratio("tcp-1", "veld", "nebula") is None
    assert r.figure("udp-64", "veld") is None
    assert r.figure("tcp-1", "veld", wire="no-gso").median == 2


def test_targets_compare_what_they_say(document):
    found = {what: (measured, targets.met(measured, relation, target))
             for what, measured, relation, target, _ in
             targets.all_targets(results.Results(document)) if measured is not None}
    assert found["one TCP stream, of the bare wire"] == (pytest.approx(5 / 12), True)
    assert found["one TCP stream, of Debian's wireguard-go"] == (pytest.approx(5 / 0.3), True)
    assert found["round trip added to the bare wire's, idle, median"] == (55.0, True)
    assert found["the same, p99"] == (pytest.approx(0.165), True)
    assert found["resident memory, one peer"] == (20.0, True)
    assert found["start with 100,000 peers"] == (2.5, True)
    assert found["memory for each of them"] == (2000.0, False)
    assert found["packets with 10,000 live sessions, of those with one"] == (0.7, False)
    assert found["two workers without a kernel, of one"] == (1.95, True)
    assert "64-byte UDP, of Debian's wireguard-go" not in found
    document["runs"][1]["samples"] = tcp(2, 2, 2)
    assert "| one TCP stream, of the bare wire | ≥ 0.40 | 0.17 | **no** |" in \
        markdown.whole(results.Results(document))


# ---- reports ----

def test_tables_have_every_peer_its_figures_and_what_was_left_out(document):
    whole = markdown.whole(results.Results(document))
    assert "| bare wire | 12.0 (10.0–20.0) |" in whole
    assert "| **Veld** | 5.00 (4.00–6.00) |" in whole
    assert "| Veld, one worker | 3.00 (3.00–3.00) |" in whole
    assert "tx-udp-segmentation off" in whole and "| **Veld** | 2.00 (2.00–2.00) |" in whole
    assert "WireGuard (kernel): this kernel has none" in whole
    assert "| libsodium | 0.21 / 0.22 |" in whole
    assert "| plain | 2.50 | 2,000 |" in whole and "| gate ns | 300 |" in whole
    assert "interrupted" not in whole and "not idle" not in whole
    brief = markdown.readme(results.Results(document))
    assert "one worker" not in brief and "**Veld**" in brief


def test_tables_say_when_the_run_is_worth_little(document):
    document["conditions"]["idle"] = False
    document["complete"] = False
    whole = markdown.whole(results.Results(document))
    assert "not idle" in whole and "interrupted" in whole


def test_picture_is_well_formed_with_bars_as_long_as_the_figures(document):
    root = ElementTree.fromstring(svg.picture(results.Results(document)))
    words = [element.text for element in root.iter(SVG + "text")]
    assert "5.00" in words and "Veld" in words and "Veld, one worker" not in words
    assert any("A <CPU> & more" in word for word in words)
    bars = [r for r in root.iter(SVG + "rect") if r.get("class", "").startswith("bar")][:3]
    lengths = [float(bar.get("width")) for bar in bars]  # the first card: veth, veld, wireguard-go
    assert bars[1].get("class") == "bar veld"
    assert lengths[0] / lengths[1] == pytest.approx(12 / 5, rel=0.01)
    bottom = float(root.get("height"))
    assert all(float(r.get("y", 0)) + float(r.get("height")) <= bottom
               for r in root.iter(SVG + "rect"))


def test_reports_of_nothing_and_of_single_runs(document):
    for run in document["runs"]:
        run["samples"] = run["samples"][:1]
    assert "| **Veld** | 6.00 |" in markdown.whole(results.Results(document))
    for key in ("runs", "tests", "peers"):
        document[key] = []
    for key in ("memory", "in_process"):
        document[key] = {}
    r = results.Results(document)
    markdown.whole(r), markdown.readme(r)
    assert "Nothing was measured" in svg.picture(r)


# ---- publishing ----

def test_publishing_replaces_what_is_between_the_markers_alone(document, tmp_path):
    (tmp_path / "docs").mkdir()
    for name in ("README.md", "docs/PERFORMANCE.md"):
        (tmp_path / name).write_text(f"before\n{publish.BEGIN}\nold\n{publish.END}\nafter\n")
    r = results.Results(document)
    assert len(publish.publish(r, tmp_path)) == 2
    for name, link in (("README.md", "](bench/results"), ("docs/PERFORMANCE.md", "](../bench/")):
        now = (tmp_path / name).read_text()
        assert now.startswith("before\n") and now.endswith("\nafter\n")
        assert "old" not in now and "**Veld**" in now and link in now
    assert publish.publish(r, tmp_path) == []  # nothing is new


@pytest.mark.parametrize("content", ["no markers", publish.BEGIN, publish.END + publish.BEGIN])
def test_publishing_needs_its_markers(tmp_path, content):
    path = tmp_path / "README.md"
    path.write_text(content)
    with pytest.raises(ValueError, match="needs one"):
        publish.replace(path, "new")
    assert path.read_text() == content


def test_the_documents_have_their_markers():
    for name in ("README.md", "docs/PERFORMANCE.md"):
        now = (ROOT / name).read_text()
        assert now.count(publish.BEGIN) == now.count(publish.END) == 1, name


# ---- running ----

class Absent(Peer):
    name = title = "absent"
    programs, package = ("no-such-program-anywhere",), "none"


class Broken(Peer):
    name = title = "broken"

    def prepare(self, folder):
        raise RuntimeError("it broke")


def test_a_peer_that_is_not_there_is_skipped_and_one_that_breaks_is_told(document, tmp_path):
    run = runner.Runner(document, lambda d: None, 1, [Absent(), Broken()])
    assert run.bring_up(run.peers[0], None, tmp_path) is None
    assert run.bring_up(run.peers[1], None, tmp_path) is None
    assert document["skipped"][-1] == {"what": "absent",
                                       "why": "no no-such-program-anywhere (package none)"}
    assert document["failures"] == [{"what": "broken", "why": "it broke"}]
    with pytest.raises(Unavailable):
        Absent().check()


class Flaky:
    """A test whose runs of these numbers fail."""
    id, title, headline, seconds = "tcp-1", "a test", "gbps", 1

    def __init__(self, failures):
        self.failures, self.runs = failures, 0

    def run(self, contender):
        self.runs += 1
        if self.runs in self.failures:
            raise runner.LoadFailed("not this time")
        return {"gbps": 1.0}


class Standing:
    """What measure() needs of a contender."""
    name, failed = "veld", 0

    class peer:
        title = "Veld"
        dead = staticmethod(lambda: None)


@pytest.mark.parametrize("failures, runs, samples, told", [
    ([], 6, 6, 0), ([1, 2], 6, 4, 2), ([1, 2, 4, 5], 6, 2, 4), ([2, 3, 4], 4, 1, 4)])
def test_a_failed_run_is_told_and_three_in_a_row_are_enough(document, failures, runs, samples, told):
    document["runs"], test = [], Flaky(failures)
    run = runner.Runner(document, lambda d: None, 6, [], [test])
    run.measure("default", test, [Standing()])
    assert test.runs == runs
    assert sum(len(r["samples"]) for r in document["runs"]) == samples
    assert len(document["failures"]) == told


def test_progress_corrects_its_estimate(monkeypatch):
    now = [1000.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    p = progress.Progress(10, 100)
    assert p.left() == 100
    for _ in range(5):  # each step takes twice what was thought
        now[0] += 20
        p.step(10)
    assert p.left() == pytest.approx(100)
    p.restart()
    assert p.left() == 50
