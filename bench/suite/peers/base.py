"""What the suite asks of a program that it measures."""
import os
import shutil
import subprocess

from net import eventually


class Unavailable(Exception):
    """The peer cannot run here; str() says why, in a few words."""


class Peer:
    """One contender. A subclass sets the names and writes start(); the rest has defaults.

    Order of calls: check, prepare, start, then any number of the others, stop.
    """

    name = ""      # on the command line and in results
    title = ""     # in tables and pictures
    kind = "peer"  # "peer", "veld", "variant" (of Veld) or "raw"
    programs = ()  # that must be installed
    package = ""   # of Debian, which has them
    note = ""      # what a reader must know of its settings

    def __init__(self):
        self.processes = []  # of net.Process

    def check(self):
        """Raises Unavailable when this machine lacks something."""
        for program in self.programs:
            if not shutil.which(program):
                raise Unavailable(f"no {program}"
                                  + (f" (package {self.package})" if self.package else ""))

    def prepare(self, folder):
        """Whatever takes long and is done once, such as building. Files go to `folder`."""

    def start(self, wire):
        """Start it on both machines of the wire, with the inside addresses of topology.py.

        Returns when its interfaces are there; the suite waits for the path itself."""
        raise NotImplementedError

    def target(self, wire):
        """The address on machine b that the load goes to."""
        return wire.inside(wire.b)

    def version(self):
        return ""

    def spawn(self, machine, *argv):
        process = machine.spawn(*argv)
        self.processes.append(process)
        return process

    def wait(self, check, timeout=10):
        """Until check() is true; Unavailable when a process ends before."""
        eventually(lambda: self.dead() or check(), f"{self.title} is up", timeout)
        if self.dead():
            raise Unavailable(self.dead())

    def dead(self):
        """The end of what a process of this peer said that is no longer running, or None."""
        for process in self.processes:
            if not process.running():
                said = (process.err() + process.out()).strip().splitlines()
                return f"{process.argv[0]} ended: {' / '.join(said[-3:]) or 'without a word'}"
        return None

    def stop(self):
        for process in self.processes:
            process.stop()


def first_line(*argv, **environment):
    done = subprocess.run(argv, capture_output=True, text=True, stdin=subprocess.DEVNULL,
                          env={**os.environ, **environment}, timeout=10)
    return (done.stdout + done.stderr).strip().splitlines()[0].strip()


def write(machine, name, text, mode=0o600):
    """A file in the machine's folder; its path."""
    path = machine.dir / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)
    return path
