"""The benchmark runs: its load generator over a bad network, and the suite end to end,
very short. Nothing here says how fast anything is."""
import json
import os
import signal
import subprocess
import sys
import time
from xml.etree import ElementTree

import pytest

from net import BUILD, ROOT, eventually
from shim import Shim

UDP_LOAD = BUILD / "bench/udp-load"

pytestmark = pytest.mark.skipif(not UDP_LOAD.exists(), reason="built without -Dbench=true")


@pytest.fixture
def served(net):
    """One machine: udp-load send ---- shim 9001 ---- 9000 udp-load serve."""
    machine = net.machine("a")
    server = machine.spawn(UDP_LOAD, "serve", "127.0.0.1", 9000)
    shim = Shim(machine, ("127.0.0.1", 9001), ("127.0.0.1", 9000))
    yield machine, server, shim
    shim.close()


def send(machine, port=9001, **options):
    argv = [UDP_LOAD, "send", "127.0.0.1", port]
    for name, value in {"rate": 4000, "seconds": 0.4, "size": 200, **options}.items():
        argv += [f"--{name}", value]
    return json.loads(machine.run(*argv).stdout)


def counters(server):
    """What the receiver counted, told at its end."""
    server.stop(signal.SIGTERM)
    return json.loads(server.out().splitlines()[-1])


def test_load_generator_tells_what_a_bad_network_did(served):
    machine, server, shim = served
    for key in ("loss", "duplicate", "reorder"):
        shim("set", key, 10)
    told = send(machine)
    assert told["loss"] == pytest.approx(1 - told["received"] / told["sent"], abs=1e-6)
    time.sleep(0.3)  # what was held back to be reordered
    did = shim("stats")["in"]
    told |= counters(server)
    questions = did["passed"] + did["lost"] - told["sent"]  # what came of it? A few.
    assert 0 < questions < 30
    assert did["lost"] - questions <= told["sent"] - told["received"] <= did["lost"]
    assert did["duplicated"] - questions <= told["duplicates"] <= did["duplicated"]
    assert told["reordered"] > 0 and told["corrupt"] == 0


def test_load_generator_notices_what_is_sent_again_or_forged(served):
    machine, server, shim = served
    told = send(machine, rate=1000, seconds=0.2)
    assert told["received"] == told["sent"] > 0 and told["duplicates"] == 0
    again = shim("again", "in")["sent"]
    forged = shim("again", "in", "flip-body")["sent"]
    time.sleep(0.2)
    end = counters(server)
    assert end["duplicates"] == told["sent"] and again >= told["sent"]
    assert end["corrupt"] == forged
    assert end["received"] == told["sent"]


def test_load_generator_says_why_it_cannot(served):
    machine, _, _ = served
    for argv, why in ((("send", "127.0.0.1", 9000, "--size", 8), "--size must be"),
                      (("send", "nowhere", 9000), "not a numeric address"),
                      (("send", "127.0.0.1", 9000, "--key", "other", "--seconds", 0.1),
                       "no udp-load serve with this key")):
        done = machine.run(UDP_LOAD, *argv, check=False)
        assert done.returncode != 0 and why in done.stderr


def suite(*options, **extra):
    return subprocess.Popen(
        [sys.executable, ROOT / "bench/run", *map(str, options)], stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, env={**os.environ, "VELD_BUILD": str(BUILD)}, **extra)


def test_suite_measures_veld_beside_the_wire_and_writes_it_down(tmp_path):
    run = suite("--quick", "--only", "e2e", "--peers", "veth,veld", "--rounds", 1, "--seconds", 1,
                "--tests", "tcp-1,udp-64,rtt-idle", "--out", tmp_path)
    said = run.communicate(timeout=60)[0]
    assert run.returncode == 0, said
    document = json.loads((tmp_path / "latest.json").read_text())
    assert document["complete"] and not document["failures"] and not document["skipped"], said
    figures = {(r["test"], r["peer"]): r["samples"] for r in document["runs"]}
    for peer in ("veth", "veld"):
        assert figures["tcp-1", peer][0]["gbps"] > 0
        assert figures["udp-64", peer][0]["faults"] == 0
        assert figures["rtt-idle", peer][0]["p50_us"] > 0
    assert figures["tcp-1", "veld"][0]["cpu_s_per_gb"] > 0
    assert document["memory"]["veld"]["resident_mb"] > 1
    assert "**Veld**" in (tmp_path / "latest.md").read_text()
    ElementTree.fromstring((tmp_path / "latest.svg").read_text())


def in_session(session):
    """Names of the processes that a program started in a session of its own."""
    return subprocess.run(["ps", "-s", str(session), "-o", "comm="], capture_output=True,
                          text=True).stdout.split()


def test_interrupted_suite_leaves_nothing_behind(tmp_path):
    run = suite("--quick", "--only", "e2e", "--peers", "veth,veld", "--tests", "tcp-1",
                "--seconds", 30, "--out", tmp_path, start_new_session=True)
    # Two servers, and the first run's client.
    eventually(lambda: in_session(run.pid).count("iperf3") >= 3, "the first run", 20)
    os.killpg(run.pid, signal.SIGINT)
    said = run.communicate(timeout=20)[0]
    assert run.returncode == 130 and "interrupted" in said
    assert not (tmp_path / "latest.json").exists()
    eventually(lambda: not in_session(run.pid), "everything it started has ended")


def test_nat_table_of_two_kinds(tmp_path):
    run = subprocess.run([ROOT / "bench/nat/veld-table", "--runs", "1", "--out", tmp_path / "table.json",
                          "port-restricted", "symmetric"], capture_output=True, text=True, timeout=120,
                         env={**os.environ, "VELD_BUILD": str(BUILD)})
    assert run.returncode == 0, run.stdout + run.stderr
    pairs = json.loads((tmp_path / "table.json").read_text())["pairs"]
    assert [pair["runs"][0]["path"] for pair in pairs] == ["direct", "relay", "relay"]
    assert all(pair["runs"][0]["ms"] > 0 for pair in pairs)
