"""What the documents name is there: tests, files of the tree, man pages."""
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCS = sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md"), ROOT / "bench/README.md"],
              key=str)

UNIT = set()
for file in (ROOT / "tests/unit").glob("*.c"):
    UNIT |= set(re.findall(r"^(?:Test|ParameterizedTest)\(\s*(?:[^,)]*,\s*)??(\w+),\s*(\w+)",
                           file.read_text(), re.M))
PYTHON = {name for file in (ROOT / "tests").rglob("*.py")
          for name in re.findall(r"^def (test_\w+)", file.read_text(), re.M)}


@pytest.fixture(params=DOCS, ids=lambda path: path.name)
def doc(request):
    return request.param


def test_tests_that_are_named_exist(doc):
    text = doc.read_text()
    missing = [f"{suite}::{test}" for suite, test in re.findall(r"`(\w+)::(\w+)`", text)
               if (suite, test) not in UNIT | {("suite", "test")}]  # what the names look like
    missing += [name for name in re.findall(r"`(test_\w+)`", text) if name not in PYTHON]
    assert not missing


def test_links_lead_somewhere(doc):
    links = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", doc.read_text())
    missing = [link for link in links
               if not re.match(r"\w+:", link) and not (doc.parent / link).exists()]
    assert not missing
