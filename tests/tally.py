"""Count single tests in what the test runners wrote.

  tally.py SOURCE...

SOURCE is one of
  meson:LOG:DIR   Meson's JSON log, with the TAP files of tests/with-results in DIR
  junit:FILE      pytest's --junitxml
  lines:FILE      text whose lines begin with "ok", "FAIL" or "skip", one a test

Prints "FAIL name" for each failure, then "PASSED FAILED SKIPPED". A source that
is missing or names no test is a failure: a layer that tests nothing must not pass.
"""
import json
import re
import sys
import xml.etree.ElementTree as xml
from pathlib import Path


class Count:
    def __init__(self):
        self.passed = self.skipped = 0
        self.failed = []

    def total(self):
        return self.passed + self.skipped + len(self.failed)


def count_tap(count, text, program):
    """True when a failure was found."""
    before = len(count.failed)
    for line in text.splitlines():
        match = re.match(r"(not )?ok\b[ \d]*-?\s*(\S*)(.*)", line)
        if not match:
            continue
        if "# SKIP" in match[3]:
            count.skipped += 1
        elif match[1]:
            count.failed.append(match[2] or program)
        else:
            count.passed += 1
    return len(count.failed) > before


def count_meson(count, log, taps):
    for line in Path(log).read_text().splitlines():
        test = json.loads(line)
        program = Path(test["command"][2]).name  # after with-results and its folder
        tap = Path(taps, program + ".tap")
        bad = test["result"] not in ("OK", "SKIP", "EXPECTEDFAIL")
        if tap.is_file():
            # A program that failed without a failed test crashed outside of them.
            if not count_tap(count, tap.read_text(errors="replace"), program) and bad:
                count.failed.append(f"{test['name']} ({test['result']})")
        elif bad:
            count.failed.append(f"{test['name']} ({test['result']})")
        elif test["result"] == "SKIP":
            count.skipped += 1
        else:
            count.passed += 1


def count_junit(count, file):
    for case in xml.parse(file).iter("testcase"):
        kinds = {child.tag for child in case}
        if kinds & {"failure", "error"}:
            count.failed.append(f"{case.get('classname')}::{case.get('name')}")
        elif "skipped" in kinds:
            count.skipped += 1
        else:
            count.passed += 1


def count_lines(count, file):
    for line in Path(file).read_text(errors="replace").splitlines():
        word = line.split(" ")[0]
        if word == "FAIL":
            count.failed.append(line[5:])
        elif word in ("ok", "skip"):
            count.passed += word == "ok"
            count.skipped += word == "skip"


def main(sources):
    count = Count()
    for source in sources:
        before = count.total()
        kind, *arguments = source.split(":")
        reader = {"meson": count_meson, "junit": count_junit, "lines": count_lines}[kind]
        try:
            reader(count, *arguments)
        except (OSError, ValueError, xml.ParseError) as why:
            count.failed.append(f"no results in {arguments[0]}: {why}")
            continue
        if count.total() == before:
            count.failed.append(f"no test at all in {arguments[0]}")
    for name in count.failed:
        print("FAIL", name)
    print(count.passed, len(count.failed), count.skipped)


if __name__ == "__main__":
    main(sys.argv[1:])
