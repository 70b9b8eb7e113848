"""tests/tally.py: what is counted, and that nothing at all counts as a failure."""
import json
import subprocess
from pathlib import Path

TALLY = Path(__file__).resolve().parents[1] / "tally.py"

JUNIT = """<testsuites><testsuite>
<testcase classname="a" name="good"/>
<testcase classname="a" name="bad"><failure message="x"/></testcase>
<testcase classname="a" name="broken"><error message="x"/></testcase>
<testcase classname="a" name="away"><skipped/></testcase>
</testsuite></testsuites>"""


def tally(*sources):
    done = subprocess.run(["/usr/bin/python3", TALLY, *map(str, sources)],
                          capture_output=True, text=True, check=True)
    *failures, counts = done.stdout.splitlines()
    return [int(n) for n in counts.split()], failures


def meson(tmp_path, *results, **taps):
    """A Meson log of (program, result), and TAP files by program."""
    log = tmp_path / "log.json"
    log.write_text("".join(json.dumps({
        "name": program, "result": result, "command": ["with-results", "dir", "/b/" + program],
    }) + "\n" for program, result in results))
    for program, text in taps.items():
        (tmp_path / (program + ".tap")).write_text(text)
    return f"meson:{log}:{tmp_path}"


def test_junit(tmp_path):
    (tmp_path / "x.xml").write_text(JUNIT)
    assert tally(f"junit:{tmp_path}/x.xml") == ([1, 2, 1], ["FAIL a::bad", "FAIL a::broken"])


def test_lines(tmp_path):
    (tmp_path / "x").write_text("ok a\nFAIL b: why\nskip c\nnoise\n3 passed\n")
    assert tally(f"lines:{tmp_path}/x") == ([1, 1, 1], ["FAIL b: why"])


def test_meson_counts_each_tap_test_and_plain_programs_once(tmp_path):
    source = meson(tmp_path, ("one", "FAIL"), ("two", "OK"), ("three", "SKIP"), ("four", "TIMEOUT"),
                   one="TAP version 13\n1..3\nok - s::a  (0s)\nnot ok - s::b  (0s)\n"
                       "ok - s::c # SKIP why\n")
    assert tally(source) == ([2, 2, 2], ["FAIL s::b", "FAIL four (TIMEOUT)"])


def test_meson_program_that_crashed_after_its_tests_passed(tmp_path):
    source = meson(tmp_path, ("one", "FAIL"), one="ok - s::a\n")
    assert tally(source) == ([1, 1, 0], ["FAIL one (FAIL)"])


def test_nothing_is_a_failure(tmp_path):
    assert tally(f"junit:{tmp_path}/missing.xml")[0] == [0, 1, 0]
    (tmp_path / "empty").write_text("")
    assert tally(f"lines:{tmp_path}/empty")[0] == [0, 1, 0]


def test_sources_add_up(tmp_path):
    (tmp_path / "x").write_text("ok a\n")
    assert tally(f"lines:{tmp_path}/x", f"lines:{tmp_path}/x")[0] == [2, 0, 0]
