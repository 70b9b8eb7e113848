"""bench/nat's tables, from figures that are made up."""
import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "bench"), str(ROOT / "bench/nat")]
sys.dont_write_bytecode = True

import tables  # noqa: E402

FACTS = {"cpu": "a CPU", "cores": 2, "memory_gb": 4, "kernel": "6.1", "date": "2026-11-26T00:00:00Z",
         "idle": True}


def run(ms, path, first=None):
    return {"ms": ms, "path": path, "first_path": first or path}


def document(**changes):
    pairs = [{"one": "public", "other": "public", "expected": "direct", "nice_ms": [20, 30],
              "runs": [run(1, "direct"), run(2, "direct"), run(300, "direct", "relay")]},
             {"one": "public", "other": "symmetric", "expected": "relay", "nice_ms": [None],
              "runs": [run(200, "relay"), run(250, "relay"), run(None, "none")]}]
    return {"conditions": FACTS, "relay": True, "nice": True, "runs": 3, "pairs": pairs} | changes


def test_percentiles_are_of_what_was_measured():
    assert [tables.percentile(range(1, 101), share) for share in (50, 95, 100)] == [50, 95, 100]
    assert [tables.percentile([7], share) for share in (50, 95)] == [7, 7]
    assert tables.percentile([3, 1, 2], 50) == 2


def test_each_pair_has_its_cell_and_what_failed_stands_out():
    text = tables.markdown(document())
    assert "| public | direct 2 / 300 (1 by relay first) | **relay in 2 of 3** 200 / 250 |" in text
    assert "| direct | 1 | 3 of 3 | 2 | 300 | 300 |" in text
    assert "| relay | 1 | 2 of 3 | 200 | 250 | 250 |" in text
    assert "| public | 20 / 30 | - |" in text  # libnice
    assert tables.wrong(document()) == 1


def test_it_says_when_the_machine_was_busy_and_when_libnice_was_left_out():
    assert "not idle" not in tables.markdown(document())
    busy = tables.markdown(document(conditions=FACTS | {"idle": False}, nice=False))
    assert "not idle" in busy and "libnice" not in busy


@pytest.mark.parametrize("tool,what", [
    ("veld-table", document()),
    ("throughput", {"conditions": FACTS, "seconds": 2,
                    "gbps": {"1": {"punched": [3, 4, 2], "public": [4, 4, 4]}}})])
def test_tables_are_made_from_what_was_kept(tmp_path, tool, what):
    kept = tmp_path / "kept.json"
    kept.write_text(json.dumps(what))
    done = subprocess.run([ROOT / "bench/nat" / tool, "--from", kept], capture_output=True, text=True)
    assert done.returncode == (tool == "veld-table"), done.stderr  # one pair was not connected
    if tool == "throughput":
        assert "| one stream | 3.00 (2.00–4.00) | 4.00 (4.00–4.00) | 0.75 (0.50–1.00) |" in done.stdout


def test_the_document_has_its_markers():
    text = (ROOT / "docs/NAT.md").read_text()
    for what in ("pairs", "punched"):
        assert text.count(f"<!-- {what}:begin -->") == text.count(f"<!-- {what}:end -->") == 1
