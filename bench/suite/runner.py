"""Brings all contenders up, lets them take turns, and writes the results down."""
import subprocess

from net import Net

from . import inprocess, results
from .loads import LoadFailed, Servers
from .meters import Meter, host_pid, process_memory
from .peers.base import Unavailable
from .progress import Progress, minutes
from .topology import Wire

SETUP_SECONDS = 2.5  # for one contender, about
FAILURES_MAX = 3     # in a row; then a contender is left out of the rest
# How a run fails without the suite being wrong.
RUN_ERRORS = (LoadFailed, AssertionError, OSError, RuntimeError, KeyError,
              subprocess.SubprocessError)


class Contender:
    """A peer on its wire, ready to be measured."""

    def __init__(self, peer, net):
        self.peer, self.name = peer, peer.name
        self.wire = Wire(net, peer.name)
        self.failed = 0
        peer.start(self.wire)
        self.target = peer.target(self.wire)
        self.wire.answers(self.target)
        Servers(self.wire.b)
        self.meter = Meter(host_pid(p.machine, p.pid) for p in peer.processes)

    def describe(self):
        return {"name": self.name, "title": self.peer.title, "kind": self.peer.kind,
                "version": self.peer.version(), "note": self.peer.note,
                "links": self.wire.links()}

    def memory(self):
        sides = [process_memory(pid) for pid in self.meter.pids]
        return {"resident_mb": round(max(now for now, _ in sides), 1),
                "peak_mb": round(max(peak for _, peak in sides), 1)}


class Runner:
    """`save` is called with the document whenever there is more in it."""

    def __init__(self, document, save, rounds, peers=(), tests=(), offload_tests=(),
                 programs=(), quick=False):
        self.document, self.save = document, save
        self.rounds, self.quick = rounds, quick
        self.peers, self.programs = list(peers), list(programs)
        self.plan = [("default", t) for t in tests] + [("no-gso", t) for t in offload_tests]
        for test in {t.id: t for _, t in self.plan}.values():
            document["tests"].append({"id": test.id, "title": test.title,
                                      "headline": test.headline})
        runs = sum(t.seconds for _, t in self.plan) * rounds
        self.progress = Progress(
            len(self.programs) + len(self.peers) * (1 + len(self.plan) * rounds),
            sum(inprocess.seconds(p, quick) for p in self.programs)
            + (runs + SETUP_SECONDS) * len(self.peers))

    def skip(self, what, why):
        self.document["skipped"].append({"what": what, "why": why})
        self.progress.say(f"  skipped: {what}: {why}")

    def fail(self, what, why):
        self.document["failures"].append({"what": what, "why": why})
        self.progress.say(f"  failed: {what}: {why}")

    def run(self, folder):
        """All of it. What contenders build goes to `folder`."""
        self.progress.say(f"about {minutes(self.progress.left())} (minutes:seconds), and what must be built")
        for name in self.programs:
            self.run_program(name)
        if self.peers:
            with Net() as net:
                self.run_contenders(net, folder)
        self.document["complete"] = True
        self.save(self.document)
        self.progress.clear()

    def run_program(self, name):
        self.progress.show(inprocess.PROGRAMS[name][0])
        try:
            self.document["in_process"][name] = inprocess.run(name, self.quick)
        except (RuntimeError, OSError) as error:
            self.fail(name, str(error))
        self.progress.step(inprocess.seconds(name, self.quick))
        self.save(self.document)

    # ---- contenders ----

    def run_contenders(self, net, folder):
        contenders = [c for c in (self.bring_up(peer, net, folder) for peer in self.peers) if c]
        self.progress.restart()
        present = "default"
        for wire, test in self.plan:
            if wire != present:
                present = wire
                for contender in contenders:
                    contender.wire.segmentation("off" if wire == "no-gso" else "on")
            self.measure(wire, test, contenders)
        for contender in contenders:
            if contender.meter.pids and not contender.peer.dead():
                self.document["memory"][contender.name] = contender.memory()
        if contenders:
            self.document["conditions"]["offloads_on"] = contenders[0].wire.offloads()
        for contender in contenders:
            contender.peer.stop()

    def bring_up(self, peer, net, folder):
        self.progress.show(f"starting {peer.title}")
        try:
            peer.check()
            folder.mkdir(parents=True, exist_ok=True)
            peer.prepare(folder)
            contender = Contender(peer, net)
            self.document["peers"].append(contender.describe())
            return contender
        except Unavailable as why:
            self.skip(peer.title, str(why))
        except RUN_ERRORS as error:
            self.fail(peer.title, peer.dead() or str(error))
        finally:
            self.progress.step(SETUP_SECONDS)
        return None

    def measure(self, wire, test, contenders):
        samples = {c.name: [] for c in contenders}
        for round_ in range(1, self.rounds + 1):
            for c in contenders:
                self.progress.show(f"{test.title}, {results.WIRES[wire]}, "
                                   f"round {round_} of {self.rounds}: {c.peer.title}")
                if c.failed < FAILURES_MAX:
                    self.measure_once(wire, test, c, samples[c.name])
                self.progress.step(test.seconds)
        for name, taken in samples.items():
            if taken:
                self.document["runs"].append({"wire": wire, "test": test.id, "peer": name,
                                              "samples": taken})
        self.save(self.document)
        self.tell(wire, test)

    def measure_once(self, wire, test, contender, samples):
        try:
            samples.append(test.run(contender))
            contender.failed = 0
        except RUN_ERRORS as error:
            contender.failed += 1
            self.fail(f"{contender.peer.title}, {test.title}, {results.WIRES[wire]}",
                      contender.peer.dead() or f"{type(error).__name__}: {error}")
            if contender.failed == FAILURES_MAX:
                self.fail(contender.peer.title, "left out of the rest: it failed "
                          f"{FAILURES_MAX} times in a row")

    def tell(self, wire, test):
        """The medians of a test that is done, a line each."""
        from .report.text import test_table
        self.progress.say(test_table(results.Results(self.document), test.id, wire))
