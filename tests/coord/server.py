"""A real veld-coord on loopback, in a folder of its own."""
import os
import re
import resource
import signal
import subprocess
import time
from pathlib import Path

from client import Coord

BUILD = Path(os.environ.get("VELD_BUILD") or Path(__file__).resolve().parents[2] / "build")
VELD_COORD = BUILD / "veld-coord"
LISTENING = re.compile(r"veld-coord listening on (\S+), certificate (SHA256:\S{43}) \(pin this\)$")


def run(*argv, timeout=20):
    """A command of veld-coord, to its end."""
    return subprocess.run([VELD_COORD, *map(str, argv)], capture_output=True, text=True,
                          timeout=timeout)


class Server:
    """Started at once; `folder` keeps the database and what it said."""

    def __init__(self, folder, *options, db="peers.db", listen="127.0.0.1:0", file_size=None):
        self.folder = Path(folder)
        self.db = self.folder / db
        self.options = [str(o) for o in options]
        self.listen = listen
        self.file_size = file_size  # no file may grow beyond it
        self.process = None
        self.clients = []
        self.start()

    def start(self, wait=True):
        self.log = self.folder / "log"
        self.out = self.folder / "out"
        with open(self.out, "w") as out, open(self.log, "a") as log:
            self.process = subprocess.Popen(
                [VELD_COORD, "--listen", self.listen, "--db", self.db, *self.options],
                stdout=out, stderr=log, stdin=subprocess.DEVNULL)
        if wait:
            self.wait_up()
        if self.file_size:
            resource.prlimit(self.child(), resource.RLIMIT_FSIZE, (self.file_size, self.file_size))

    def wait_up(self, timeout=15):
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            said = self.out.read_text().splitlines()
            if said:
                match = LISTENING.match(said[0])
                assert match, said
                self.address, self.fingerprint = match.groups()
                self.address = self.address.replace("[::]", "127.0.0.1")
                self.listen = self.address  # the same one after a restart
                return
            assert self.process.poll() is None, self.log.read_text()
            time.sleep(0.01)
        raise AssertionError("veld-coord does not come up")

    def client(self, **how):
        """A client that is closed with the server."""
        made = Coord(self.address, **how)
        self.clients.append(made)
        return made

    def child(self):
        """The serving process' id."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        pids = children.read_text().split()
        return int(pids[0]) if pids else self.process.pid

    def said(self):
        return self.log.read_text()

    def stop(self, how=signal.SIGTERM, timeout=15):
        """The exit code."""
        self.close_clients()
        if self.process.poll() is None:
            self.process.send_signal(how)
        return self.process.wait(timeout)

    def kill(self):
        """As the power's failure would: the supervisor's end is the child's."""
        return self.stop(signal.SIGKILL)

    def restart(self, how=signal.SIGTERM):
        self.stop(how)
        self.start()

    def close_clients(self):
        for client in self.clients:
            client.close()
        self.clients = []
