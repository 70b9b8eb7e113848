"""The lab: real daemons on machines made of network namespaces. net.py is the harness.

    sudo tools/test --only lab
    sudo /usr/bin/python3 -m pytest tests/lab -k roaming

Most tests wait more than they compute, so tools/test runs several beside each other
(pytest -n 6 --dist loadgroup): each has machines of its own. Tests marked alone measure
load or time; they are left out there, and run one after another at the end, the last of
them the test that nothing is left behind. VELD_LAB_HOST names the file that carries what
the host was like from the first of these runs to the second.

VELD_BUILD names another build directory than build/. VELD_LAB_ENGINE (io_uring or poll) is
the engine of every daemon; without it, daemons choose for themselves, and tests marked
both_engines run by poll once more.
"""
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.dont_write_bytecode = True

from net import DAEMON, VELD, Net  # noqa: E402
from pair import Pair  # noqa: E402


def why_not():
    if os.geteuid() != 0:
        return "needs root, to make network namespaces: sudo tools/test --only lab"
    if not os.path.exists("/dev/net/tun"):
        return "needs /dev/net/tun: modprobe tun"
    return None


def host():
    """What a test might leave on the host. The last test compares."""
    def lines(*argv):
        return subprocess.run(argv, capture_output=True, text=True).stdout.splitlines()

    with open("/proc/self/mountinfo") as mounts:
        seen = {"mount " + line.split()[4] for line in mounts}
    seen |= {"link " + line.split()[1].split("@")[0] for line in lines("ip", "-o", "link")}
    seen |= {"route " + line for line in lines("ip", "route", "show", "table", "all")}
    seen |= {"netns " + line for line in lines("ip", "netns", "list")}
    seen |= {"resolver " + line for line in Path("/etc/resolv.conf").read_text().splitlines()}
    seen |= {f"file {p}" for folder in ("/run/veld", "/var/lib/veld", "/etc/veld", "/etc/netns")
             for p in Path(folder).rglob("*")}
    seen |= {f"file {p}" for p in Path("/tmp").glob("veld-lab-*")}
    return seen


def host_before():
    """What the host was like before the first test of this run, or of the run before."""
    kept = os.environ.get("VELD_LAB_HOST")
    if not kept:
        return host()
    if not os.path.exists(kept):
        Path(kept).write_text(json.dumps(sorted(host())))
    return set(json.loads(Path(kept).read_text()))


ENGINE = os.environ.get("VELD_LAB_ENGINE")
# One of several processes that share the tests (pytest-xdist).
BESIDE_OTHERS = "PYTEST_XDIST_WORKER" in os.environ


def pytest_configure(config):
    config.host_before = host_before()
    config.addinivalue_line("markers", "both_engines: run by the default engine and by poll")
    config.addinivalue_line("markers", "alone: measures load or time, or the host; nothing else "
                            "runs meanwhile")


def pytest_generate_tests(metafunc):
    if metafunc.definition.get_closest_marker("both_engines") and not ENGINE:
        metafunc.parametrize("engine", ["auto", "poll"], indirect=True, scope="session")


@pytest.fixture(scope="session", autouse=True)
def engine(request):
    """What daemons are told of the engine: VELD_ENGINE reaches them however they are started."""
    name = getattr(request, "param", ENGINE or "auto")
    os.environ["VELD_ENGINE"] = "" if name == "auto" else name
    return name


@pytest.hookimpl(tryfirst=True)  # before -n sees marks of groups
def pytest_collection_modifyitems(config, items):
    why = why_not()
    for item in items:
        if why:
            item.add_marker(pytest.mark.skip(reason=why))
        share_fixtures(item)
    if BESIDE_OTHERS:
        alone = [item for item in items if item.get_closest_marker("alone")]
        config.hook.pytest_deselected(items=alone)
        items[:] = [item for item in items if item not in alone]
    # The test that nothing is left behind is the last one.
    items.sort(key=lambda item: "nothing_is_left" in item.name)


def share_fixtures(item):
    """Tests that share a module's fixture are one process's, in order."""
    shared = {name for name, defs in item._fixtureinfo.name2fixturedefs.items()
              if defs[-1].scope == "module"}
    if shared:
        parameters = item.callspec.params if hasattr(item, "callspec") else {}
        of = [str(value) for name, value in parameters.items() if name in shared | {"engine"}]
        item.add_marker(pytest.mark.xdist_group("-".join([item.path.stem, *of])))


@pytest.hookimpl(tryfirst=True, hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    item.failed = getattr(item, "failed", False) or outcome.get_result().failed


@pytest.fixture
def net(request):
    with Net() as net:
        yield net
        if getattr(request.node, "failed", False):
            net.tell()


@pytest.fixture
def pair(net):
    """Two machines, not started yet; on leaving they must be as before."""
    assert VELD.exists() and DAEMON.exists(), f"no {DAEMON}: run tools/build"
    pair = Pair(net)
    yield pair
    pair.stop()


@pytest.fixture
def up(pair):
    """Two machines with running daemons."""
    return pair.start()
