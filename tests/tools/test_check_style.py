"""tools/check-style: every rule fails on a planted violation, and only then."""
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

CLEAN = {
    "src/base/err.h": "int veld_err(void);\n",
    "src/wire/datagram.h": '#include "base/err.h"\n',
    "src/crypto/primitives.c": '#include "wire/datagram.h"\n\n#include <sodium.h>\n',
    "src/dataplane/dataplane.h": '#include "crypto/aead.h"\n',
    "src/dataplane/uring.c": '#include "dataplane/dataplane.h"\n\n#include <liburing.h>\n',
    "src/crypto/aead.h": "",
    "src/control/engine/engine.h": '#include "wire/datagram.h"\n',
    "src/control/control.c": '#include "control/engine/engine.h"\n'
                             '#include "dataplane/dataplane.h"\n',
    "src/cli/main.c": '#include "crypto/aead.h"\n\nint main(void)\n{\n    return 0;\n}\n',
    "src/daemon/main.c": '#include "dataplane/dataplane.h"\n',
}

# (rule, file, its text, where it is told)
VIOLATIONS = [
    ("include_order", "src/base/x.c", '#include "wire/datagram.h"\n', 1),
    ("include_order", "src/wire/x.c", '\n#include "crypto/aead.h"\n', 2),
    ("include_order", "src/crypto/x.c", '#include "control/control.c"\n', 1),
    ("include_order", "src/dataplane/x.c", '#include "control/engine/engine.h"\n', 1),
    ("include_order", "src/control/x.c", '#include "cli/main.c"\n', 1),
    ("include_order", "src/cli/x.c", '#include "control/engine/engine.h"\n', 1),
    ("include_order", "src/control/engine/x.c", '#include "control/control.c"\n', 1),
    ("include_order", "src/novel/x.c", "int x;\n", 1),
    ("include_boundary", "src/cli/x.c", '#include "dataplane/dataplane.h"\n', 1),
    ("include_boundary", "src/crypto/x.c", '#include "dataplane/dataplane.h"\n', 1),
    ("include_boundary", "src/control/x.c", '#include "dataplane/uring.c"\n', 1),
    ("include_boundary", "src/daemon/x.c", '#include "dataplane/uring.c"\n', 1),
    ("include_boundary", "src/control/engine/x.c", '#include "dataplane/dataplane.h"\n', 1),
    ("include_form", "src/wire/x.c", '#include "datagram.h"\n', 1),
    ("include_form", "src/wire/x.c", '#include "../base/err.h"\n', 1),
    ("library_homes", "src/control/x.c", "#include <sodium.h>\n", 1),
    ("library_homes", "src/crypto/identity.c", "#include <sodium/utils.h>\n", 1),
    ("library_homes", "src/dataplane/worker.c", "#include <liburing.h>\n", 1),
    ("library_homes", "src/control/x.c", "#include <nice/agent.h>\n", 1),
    ("library_homes", "src/cli/x.c", "#include <grpc/grpc.h>\n", 1),
    ("clang_format", "src/base/x.c", "int x(void) { return 0; }\n", 1),
    ("clang_format", "tests/unit/x.c", "int  x;\n", 1),
    ("clang_format", "bench/x.c", "int x ;\n", 1),
    ("file_length", "src/base/x.c", "int x;\n" * 801, 801),
    ("function_length", "src/base/x.c",
     "int x(void)\n{\n" + "    x();\n" * 69 + "}\n", 2),
    ("finished", "src/base/x.c", "/* TODO: more */\n", 1),
    ("finished", "src/base/x.c", "\n/* FIXME */\n", 2),
    ("finished", "src/base/x.c", "/* XXX */\n", 1),
    ("finished", "src/base/x.c", 'const char *x = "not implemented";\n', 1),
]

# Near misses, which must pass.
ALLOWED = [
    ("src/base/x.c", "int x;\n" * 800),
    ("src/base/x.c", "int x(void)\n{\n" + "    x();\n" * 68 + "}\n"),
    ("src/base/x.c", 'const char *x = "/tmp/veld.XXXXXX";\n'),
    ("tests/unit/x.c", "#include <sodium.h>\n"),
]


@pytest.fixture
def tree(tmp_path):
    shutil.copy(ROOT / ".clang-format", tmp_path)
    for name, text in CLEAN.items():
        plant(tmp_path, name, text)
    return tmp_path


def plant(tree, name, text):
    (tree / name).parent.mkdir(parents=True, exist_ok=True)
    (tree / name).write_text(text)


def check(tree):
    return subprocess.run([ROOT / "tools/check-style", "--root", tree],
                          capture_output=True, text=True)


def failed_rules(done):
    return {line.split()[1].rstrip(":") for line in done.stdout.splitlines()
            if line.startswith("FAIL ")}


def test_clean_tree_passes(tree):
    done = check(tree)
    assert done.returncode == 0, done.stdout
    assert done.stdout.splitlines()[-1] == "8 passed, 0 failed"


@pytest.mark.parametrize("rule, name, text, line", VIOLATIONS)
def test_violation_is_found(tree, rule, name, text, line):
    plant(tree, name, text)
    done = check(tree)
    assert done.returncode == 1
    assert failed_rules(done) == {rule}, done.stdout
    assert f"{name}:{line}: " in done.stdout


@pytest.mark.parametrize("name, text", ALLOWED)
def test_near_miss_passes(tree, name, text):
    plant(tree, name, text)
    done = check(tree)
    assert done.returncode == 0, done.stdout


def test_without_clang_format_the_rule_is_skipped(tree):
    done = subprocess.run(["/usr/bin/python3", ROOT / "tools/check-style", "--root", tree],
                          capture_output=True, text=True, env={"PATH": "/nonexistent"})
    assert done.returncode == 0
    assert done.stdout.splitlines()[-1] == "7 passed, 0 failed, 1 skipped"
