"""The command line tool against a real veld-coord: machines that are folders, and a daemon that is
a script, since no interface is made here.

    m = Machine(tmp_path, "first", "mynet")
    m.login(server)
    m.up()                                         # as root, or in a user namespace
    m.veld("token", "create").stdout
    m.fails("token", "revoke", "x")                # exit status 1; the sentence
    m.publish(coord)                               # what its daemon would do: now it is listed
"""
import base64
import contextlib
import http.server
import json
import os
import pty
import re
import select
import shutil
import signal
import socketserver
import subprocess
import threading
import time

import pytest

from client import Key, pb, trust
from server import BUILD

VELD = BUILD / "veld"
TIMEOUT_S = 30

# Tells what it was started with, and lets its API be found where it was asked to be.
DAEMON = """#!/bin/sh
echo "$*" >>"$0.args"
tr '\\0' ' ' </proc/$PPID/cmdline >>"$0.parents"
while [ $# -gt 1 ]; do [ "$1" = --socket ] && ln -s "$0.api" "$2"; shift; done
exit 0
"""


def namespace():
    """What to put before a command that wants to be root: nothing, or a user namespace."""
    if os.geteuid() == 0:
        return []
    if subprocess.run(["unshare", "-r", "true"], capture_output=True).returncode:
        pytest.skip("needs root, or a user namespace")
    return ["unshare", "-r"]


class Api:
    """The API of a daemon that is not there, on a Unix socket; `status` is what it answers, `gets` and
    `replies` are more of it, `posts` what it was sent."""

    def __init__(self, path, status):
        api = self
        self.status = status
        self.posts = []

        class Handler(http.server.BaseHTTPRequestHandler):
            def address_string(self):
                return "local"

            def log_message(self, *_):
                pass

            def answer(self, code, value):
                body = json.dumps(value).encode()
                self.send_response(code)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def do_GET(self):
                if self.path == "/v1/status":
                    self.answer(200, api.status)
                elif self.path in api.gets:
                    self.answer(200, api.gets[self.path])
                else:
                    self.answer(404, {"error": "no such path"})

            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                api.posts.append((self.path, json.loads(body)))
                code, value = api.replies.get(self.path, (404, {"error": "no such path"}))
                self.answer(code, value)

        self.gets, self.replies = {}, {}
        self.server = socketserver.ThreadingUnixStreamServer(str(path), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class Machine:
    """A state directory, a socket's path, and a copy of veld beside which veld-daemon is a script."""

    def __init__(self, folder, name, network):
        self.name, self.network = name, network
        self.folder = folder / name
        self.folder.mkdir()
        self.state = self.folder / "state"
        self.socket = self.folder / "socket"
        self.bin = self.folder / "bin"
        self.bin.mkdir()
        shutil.copy(VELD, self.bin / "veld")
        (self.bin / "veld-daemon").write_text(DAEMON)
        (self.bin / "veld-daemon").chmod(0o755)
        self.api = None

    # ---- Running veld ----

    def env(self):
        return {**os.environ, "VELD_STATE_DIR": str(self.state), "VELD_SOCKET": str(self.socket),
                "XDG_CONFIG_HOME": str(self.folder), "VELD_CONFIG": ""}

    def argv(self, *args, root=False):
        return [*(namespace() if root else []), str(self.bin / "veld"), *map(str, args)]

    def run(self, *args, root=False, stdin="", timeout=TIMEOUT_S):
        return subprocess.run(self.argv(*args, root=root), env=self.env(), capture_output=True,
                              text=True, input=stdin, timeout=timeout)

    def veld(self, *args, **how):
        """It works."""
        done = self.run(*args, **how)
        assert done.returncode == 0, f"{args}: {done.stdout}{done.stderr}"
        return done

    def fails(self, *args, code=1, **how):
        """It fails with one line, which is returned."""
        done = self.run(*args, **how)
        assert done.returncode == code, f"{args}: {done.returncode} {done.stdout}{done.stderr}"
        line = done.stderr.strip().splitlines()[-1]
        assert line.startswith("veld: "), done.stderr
        return line

    def start(self, *args, root=False):
        """In the background; its output is one stream."""
        return subprocess.Popen(self.argv(*args, root=root), env=self.env(), text=True,
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.STDOUT)

    @contextlib.contextmanager
    def terminal(self, *args):
        """On a terminal of its own."""
        pid, fd = pty.fork()
        if pid == 0:
            argv = self.argv(*args)
            os.execve(argv[0], argv, self.env())
        terminal = Terminal(pid, fd)
        try:
            yield terminal
        finally:
            terminal.end()

    def login(self, server):
        self.veld("login", "--coord", server.address, "--fingerprint", server.fingerprint)

    # ---- As a daemon would ----

    def status(self):
        return {"version": 1, "pid": 0, "name": self.name, "health": [], "peers": [],
                "interface": {"name": "veld0", "addresses": ["10.100.0.1/16"]},
                "network": {"name": self.network}, "dataplane": {"engine": "poll"}}

    def serve(self):
        """A daemon will be found once it was started."""
        if self.api is None:
            self.api = Api(self.bin / "veld-daemon.api", self.status())
        return self.api

    def up(self, *args, **how):
        """`veld up --network`, with a daemon that does nothing but answer; what it says."""
        self.serve()
        done = self.veld("up", "--network", self.network, "--name", self.name, *args, root=True, **how)
        self.down()
        return done.stdout

    def down(self):
        self.socket.unlink(missing_ok=True)

    def daemon_args(self):
        """What each daemon was started with."""
        path = self.bin / "veld-daemon.args"
        return path.read_text().splitlines() if path.exists() else []

    def close(self):
        if self.api:
            self.api.close()

    # ---- What it keeps ----

    def file(self, name):
        """One of the network's."""
        return self.state / "networks" / self.network / name

    def key(self):
        return Key(base64.b64decode((self.state / "identity").read_text()))

    def owner(self):
        return Key(base64.b64decode(self.file("owner").read_text()))

    def chain(self):
        return trust.Chain.FromString(self.file("membership").read_bytes())

    def membership(self):
        return trust.Membership.FromString(self.chain().membership.body)

    def is_member(self):
        return self.file("membership").exists()

    def publish(self, coord):
        """A record with the leased address: from now on it is listed."""
        key, chain, m = self.key(), self.chain(), self.membership()
        request = pb.RegisterRequest(network_id=m.network_id, chain=chain)
        ipv4 = coord.call("RegisterMember", request, key).ipv4
        record = trust.Record(network_id=m.network_id, member=key.public, name=m.name, ipv4=ipv4,
                              sequence=time.time_ns(), serial=m.serial)
        request.record.CopyFrom(key.sign("veld record v1", record))
        assert coord.call("RegisterMember", request, key).published


class Terminal:
    """A process on a pseudo-terminal."""

    def __init__(self, pid, fd):
        self.pid, self.fd, self.said, self.status = pid, fd, "", None

    def read_until(self, text, timeout=TIMEOUT_S):
        """Up to `text`; None: to the end."""
        end = time.monotonic() + timeout
        while text is None or text not in self.said:
            ready, _, _ = select.select([self.fd], [], [], max(0, end - time.monotonic()))
            assert ready, f"it says only: {self.said}"
            try:
                data = os.read(self.fd, 4096)
            except OSError:  # the terminal's end
                data = b""
            if not data:
                assert text is None, f"it ended with: {self.said}"
                break
            self.said += data.decode().replace("\r\n", "\n")
        return self.said

    def type(self, text):
        os.write(self.fd, text.encode())

    def wait(self):
        """The exit status."""
        self.read_until(None)
        self.status = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        return self.status

    def end(self):
        if self.status is None:
            with contextlib.suppress(ProcessLookupError, ChildProcessError):
                os.kill(self.pid, signal.SIGKILL)
                os.waitpid(self.pid, 0)
        os.close(self.fd)


def code_of(text):
    """The code that `veld up` shows while it waits."""
    return text.split("approve with: veld approve ")[1].split()[0]


def wait_for_code(process):
    """Reads a process of Machine.start up to the code."""
    said = ""
    for line in process.stdout:
        said += line
        if "approve with: " in line:
            return code_of(said), said
    raise AssertionError(f"it ended with: {said}")


def approve(owner, m, *args, up=()):
    """`m` asks to be let in, `owner` approves: exit status and words of `m`, words of `owner`."""
    m.serve()
    process = m.start("up", "--network", m.network, "--name", m.name, *up, root=True)
    code, said = wait_for_code(process)
    answer = owner.veld("approve", code, *args).stdout
    said += process.stdout.read()
    m.down()
    return process.wait(), said, answer


def fingerprint(text):
    """A network's, in what veld says."""
    return re.search(r"[0-9a-f]{4}(-[0-9a-f]{4}){7}", text)[0]
