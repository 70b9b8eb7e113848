"""Machines and wires for the lab, the benchmark, and experiments by hand.

A Machine is made of Linux namespaces by tools/machine: its own network, mounts,
processes, host name, /etc, /run and /var/lib. A Net holds machines and the wires
(veth pairs) between them:

    with Net() as net:
        a, b = net.machine("machine-a"), net.machine("machine-b")
        net.wire(a, b, ["1.2.3.1/24"], ["1.2.3.4/24"])       # eth0 on each
        a.run("ping", "-c1", "1.2.3.4")

Nothing outlives the process that made it: the kernel ends a machine, with all
that runs in it, when its maker ends, even by SIGKILL.
"""
import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

LAB = Path(__file__).resolve().parent
ROOT = LAB.parents[1]
BUILD = Path(os.environ.get("VELD_BUILD", ROOT / "build")).resolve()
VELD = BUILD / "veld"
DAEMON = BUILD / "veld-daemon"
PORT = 51820


def eventually(check, what, timeout=5.0, interval=0.05):
    """Wait until check() is true and return what it returned; fail by naming `what`, a text or
    what makes one."""
    deadline = time.monotonic() + timeout
    while True:
        value = check()
        if value:
            return value
        assert time.monotonic() < deadline, \
            f"not within {timeout} s: {what() if callable(what) else what}"
        time.sleep(interval)


def toml(peers=(), **keys):
    """A config's text. Values are strings, numbers, booleans, lists, or a dict for a section."""
    plain = {k: v for k, v in keys.items() if not isinstance(v, dict)}
    sections = {k: v for k, v in keys.items() if isinstance(v, dict)}

    def body(table):
        return "".join(f"{k} = {json.dumps(v)}\n" for k, v in table.items() if v is not None)

    text = body(plain)
    for name, table in sections.items():
        text += f"[{name}]\n" + body(table)
    for peer in peers:
        text += "[[peers]]\n" + body(peer)
    return text


# Lines of `ip`, with what changes by itself left out.
SHAPES = {
    "link": lambda line: line.split(":")[1].strip().split("@")[0],
    "address": lambda line: " ".join(line.split()[1:4:2]),
    "route": lambda line: re.sub(r" expires \S+", "", line),
}


def files(folder):
    """All files, sockets and links below."""
    for entry in os.scandir(folder):
        if entry.is_dir(follow_symlinks=False):
            yield from files(entry.path)
        else:
            yield entry


class Process:
    """A program running in a machine, its output in files. stop() or kill() ends it."""

    def __init__(self, machine, argv, stdin=None):
        machine.spawned += 1
        base = machine.dir / f"{machine.spawned}-{Path(str(argv[0])).name}"
        self.machine, self.argv = machine, [str(a) for a in argv]
        self.stdout, self.stderr = base.with_suffix(".out"), base.with_suffix(".err")
        pid_file = base.with_suffix(".pid")
        with open(self.stdout, "wb") as out, open(self.stderr, "wb") as err:
            self.popen = subprocess.Popen(
                machine.enter("sh", "-c", 'echo $$ >"$0"; exec "$@"', pid_file, *self.argv),
                stdin=stdin or subprocess.DEVNULL, stdout=out, stderr=err)
        # As the machine counts its processes.
        self.pid = int(eventually(lambda: pid_file.exists() and pid_file.read_text().strip(),
                                  f"{argv[0]} starts"))

    def running(self):
        return self.popen.poll() is None

    def out(self):
        return self.stdout.read_text(errors="replace")

    def err(self):
        return self.stderr.read_text(errors="replace")

    def send_signal(self, number):
        self.machine.run("kill", f"-{int(number)}", str(self.pid), check=False)

    def wait(self, timeout=10):
        return self.popen.wait(timeout)

    def finish(self, timeout=30):
        """Wait for its end, which must be a success; returns its output."""
        code = self.wait(timeout)
        assert code == 0, f"{self.argv}: exit {code}\n{self.out()}{self.err()}"
        return self.out()

    def stop(self, number=signal.SIGTERM, timeout=10):
        if self.running():
            self.send_signal(number)
        return self.wait(timeout)

    def kill(self):
        return self.stop(signal.SIGKILL)


class Machine:
    def __init__(self, name, folder):
        self.name, self.dir = name, folder
        self.dir.mkdir(mode=0o755)
        self.daemon = None
        self.wires = self.spawned = 0
        self.holder = subprocess.Popen([ROOT / "tools/machine", name],
                                       stdout=subprocess.PIPE, text=True)
        words = self.holder.stdout.readline().split()
        assert words[:1] == ["ready"], f"machine {name} did not start"
        self.init = int(words[1])  # its first process, as the host counts

    def close(self):
        self.holder.kill()
        self.holder.wait()
        self.holder.stdout.close()

    # ---- Commands ----

    def enter(self, *argv):
        """argv that runs a command inside, in the machine's folder (which the host sees too)."""
        return ["nsenter", "-t", str(self.init), "-n", "-m", "-u", "-i", "-p",
                f"--wdns={self.dir}", "--", *map(str, argv)]

    def run(self, *argv, check=True, timeout=30, input=None, env=None):
        """Run a command to its end; its CompletedProcess, output as text."""
        done = subprocess.run(self.enter(*argv), capture_output=True, text=True, input=input,
                              timeout=timeout, errors="replace", env={**os.environ, **(env or {})},
                              stdin=subprocess.DEVNULL if input is None else None)
        assert not check or done.returncode == 0, \
            f"{self.name}: {' '.join(map(str, argv))}: exit {done.returncode}\n" \
            f"{done.stdout}{done.stderr}"
        return done

    def sh(self, script, **options):
        return self.run("sh", "-ec", script, **options)

    def spawn(self, *argv, stdin=None):
        return Process(self, argv, stdin)

    def traffic(self, *argv, **options):
        """Run tests/lab/traffic.py to its end."""
        return self.run(sys.executable, LAB / "traffic.py", *argv, **options)

    def spawn_traffic(self, *argv):
        """Start tests/lab/traffic.py, which says a line once it is ready."""
        process = self.spawn(sys.executable, LAB / "traffic.py", *argv)
        eventually(lambda: process.out() or not process.running(), f"traffic {argv} is ready")
        assert process.running(), process.err()
        return process

    def pings(self, target, count=1, size=None, wait=2, interval=None):
        """How many of `count` pings were answered."""
        argv = ["ping", "-c", count, "-W", wait, "-q", target]
        if size is not None:
            argv[1:1] = ["-s", size]
        if interval is not None:
            argv[1:1] = ["-i", interval]
        out = self.run(*argv, check=False, timeout=count * (wait + 1) + 5).stdout
        return int(out.split(" received")[0].split()[-1]) if " received" in out else 0

    # ---- Network ----

    def read(self, path):
        return self.run("cat", path).stdout

    def addresses(self, interface):
        out = self.run("ip", "-j", "addr", "show", "dev", interface, check=False).stdout
        return [f"{a['local']}/{a['prefixlen']}" for link in json.loads(out or "[]")
                for a in link.get("addr_info", []) if not a["local"].startswith("fe80")]

    def has_interface(self, name="veld0"):
        return self.run("ip", "link", "show", "dev", name, check=False).returncode == 0

    def snapshot(self):
        """What a daemon might leave behind: interfaces, routes, files, switches, processes."""
        # One command a kind; "=kind" tells where its lines begin.
        out = self.sh(r"""
            echo =link; ip -o link; echo =address; ip -o addr
            echo =route; ip -4 route show table all; ip -6 route show table all
            echo =rule; ip rule; echo =rule6; ip -6 rule; echo =nft; nft list ruleset 2>/dev/null
            echo =forward; cat /proc/sys/net/ipv4/ip_forward /proc/sys/net/ipv6/conf/all/forwarding
        """).stdout
        lines, kind = [], None
        for line in out.splitlines():
            if line.startswith("="):
                kind = line[1:]
            elif "fe80::" not in line and "ff00::" not in line:
                lines.append(f"{kind} {SHAPES.get(kind, str)(line)}".rstrip())
        lines += [f"resolver {line}" for line in self.inside("etc/resolv.conf").read_text().splitlines()]
        root, began = str(self.inside()), os.stat(self.inside("run/.began")).st_mtime
        for file in (f for folder in ("etc", "run") for f in files(self.inside(folder))):
            name = file.path[len(root):]
            lines.append(f"file {name}")
            with contextlib.suppress(OSError):  # gone meanwhile
                if name.startswith("/etc/") and name != "/etc/resolv.conf" and \
                        file.is_file(follow_symlinks=False) and file.stat().st_mtime > began:
                    lines.append(f"changed {name}")
        lines += [f"process {name}" for name in self.processes()]
        return sorted(lines)

    def inside(self, path=""):
        """A path of the machine's as it is seen from here."""
        return Path(f"/proc/{self.init}/root", path)

    def processes(self):
        """Names of the processes that run in it, as `ps -o comm=` has them, without the dead."""
        names = []
        for folder in self.inside("proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):  # it may end meanwhile
                name, state = re.search(r"\((.*)\) (.)", (folder / "stat").read_text(), re.S).groups()
                if state not in "ZX":
                    names.append(name)
        return names

    # ---- Veld ----

    def veld(self, *argv, check=True, **options):
        return self.run(VELD, *argv, check=check, **options)

    def write_config(self, text):
        path = self.dir / "config.toml"
        path.write_text(text)
        return path

    def keygen(self):
        """Make the machine's identity, in the default state directory; its public key."""
        self.sh("mkdir -p -m 700 /var/lib/veld")
        return self.veld("keygen", "/var/lib/veld/identity").stdout.strip()

    def start(self, config=None, timeout=10, refuse=(), options=()):
        """Start veld-daemon in the foreground, with these options, and wait until it is up;
        `refuse`: see refuse.py."""
        assert not (self.daemon and self.daemon.running()), f"{self.name} runs a daemon already"
        path = self.write_config(config) if config is not None else self.dir / "config.toml"
        older = [sys.executable, LAB / "refuse.py", *refuse, "--"] if refuse else []
        self.daemon = self.spawn(*older, DAEMON, "--config", path, "--foreground",
                                 *options)
        eventually(lambda: self.daemon.out() or not self.daemon.running(),
                   f"the daemon of {self.name} is up", timeout, 0.01)
        assert self.daemon.running(), f"the daemon of {self.name} ended:\n{self.daemon.err()}"
        return self.daemon

    def stop(self):
        """Stop the daemon as a person would; it must end well."""
        self.veld("down")
        assert self.daemon.wait() == 0, self.daemon.err()

    def status(self):
        return json.loads(self.veld("status", "--json").stdout)

    def peer(self, name):
        """A peer of the status document."""
        return next(p for p in self.status()["peers"] if p["name"] == name)

    def drops(self, reason):
        return self.status()["drops"].get(reason, 0)


class Net:
    def __init__(self):
        self.dir = Path(tempfile.mkdtemp(prefix="veld-lab-"))
        self.dir.chmod(0o755)
        self.machines = []

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        if error:
            self.tell()
        self.close()

    def machine(self, name):
        machine = Machine(name, self.dir / name)
        self.machines.append(machine)
        machine.inside("run/.began").touch()
        return machine

    def wire(self, a, b, a_addresses=(), b_addresses=(), mtu=1500):
        """Join two machines by a veth pair; its ends' names, eth0 for a machine's first wire."""
        ends = []
        for machine in (a, b):
            ends.append(f"eth{machine.wires}")
            machine.wires += 1
        run = ["ip", "link", "add", "name", ends[0], "mtu", mtu, "netns", a.init, "type", "veth",
               "peer", "name", ends[1], "mtu", mtu, "netns", b.init]
        subprocess.run([str(word) for word in run], check=True)
        for machine, end, addresses in ((a, ends[0], a_addresses), (b, ends[1], b_addresses)):
            machine.sh(f"ip link set {end} up; " + "".join(
                f"ip addr add {address} dev {end} {'nodad' if ':' in address else ''};"
                for address in addresses))
        # The kernel notices that a wire is whole some time later, and its routes with it.
        for machine, end in ((a, ends[0]), (b, ends[1])):
            eventually(lambda: "state UP" in machine.run("ip", "link", "show", "dev", end).stdout,
                       f"{end} of {machine.name} is up", interval=0.005)
        return ends

    def tell(self):
        """After a failure: what the daemons said."""
        for machine in self.machines:
            if machine.daemon:
                print(f"--- {machine.name}: veld-daemon\n{machine.daemon.err()[-8000:]}")

    def close(self):
        for machine in self.machines:
            machine.close()
        shutil.rmtree(self.dir, ignore_errors=True)
