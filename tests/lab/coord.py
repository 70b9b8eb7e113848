"""The lab's topology for the coord mode: a server and members on one switch.

    server 203.0.113.1     first 203.0.113.11    second 203.0.113.12   ...
        eth0 ------------------- eth0 ------------------ eth0 ------ (bridge of machine "switch")

    with Net() as net:
        mesh = Coord(net, ["first", "second"])
        mesh.first()                          # logs in, makes mynet, owns it
        mesh.join("second")                   # by a token of the first
"""
import json
import re

from net import BUILD, VELD, Net, eventually
from pair import remains

COORD = BUILD / "veld-coord"
NETWORK = "mynet"
SERVER_IP = "203.0.113.1"
SERVER = f"{SERVER_IP}:50051"
STATE = "/var/lib/veld"
DB = "/var/lib/coord/peers.db"


class Coord:
    def __init__(self, net: Net, names, own_certificate=False):
        self.net, self.options = net, ()
        self.switch = net.machine("switch")
        self.switch.sh("ip link add br0 type bridge && ip link set br0 up")
        self.server = self.attach("server", SERVER_IP)
        self.machines = dict.fromkeys(names)
        for name in names:
            self.machines[name] = self.attach(name, self.outer(name))
        self.owner = names[0]
        self.process = self.fingerprint = None
        if own_certificate:
            self.make_certificate()
        self.serve()
        self.clean = {machine: machine.snapshot() for machine in self.machines.values()}

    def __getitem__(self, name):
        return self.machines[name]

    def attach(self, name, address):
        machine = self.net.machine(name)
        _, end = self.net.wire(machine, self.switch, [f"{address}/24"])
        self.switch.sh(f"ip link set {end} master br0")
        return machine

    # ---- The server ----

    def serve(self, listen=":50051"):
        """Start the coord server on its database, and wait until it listens."""
        self.server.sh("mkdir -p /var/lib/coord")
        self.process = self.server.spawn(COORD, "--listen", listen, "--db", DB, *self.options)
        self.fingerprint = eventually(lambda: re.search(r"SHA256:\S+", self.process.out()),
                                      lambda: f"the coord server listens: {self.process.err()}",
                                      10)[0]
        return self.process

    def make_certificate(self):
        """One in files of its own, which outlives the database."""
        self.server.sh("openssl req -x509 -newkey ed25519 -nodes -days 30 -subj /CN=coord "
                       "-keyout /var/lib/coord.key -out /var/lib/coord.crt 2>/dev/null")
        self.options = ("--tls-cert", "/var/lib/coord.crt", "--tls-key", "/var/lib/coord.key")

    def signal_server(self, number):
        """To the one that serves, and not to the one that watches over it."""
        pids = self.server.run("ps", "-o", "pid=", "--ppid", self.process.pid).stdout.split()
        self.server.run("kill", f"-{int(number)}", *pids)

    # ---- Members ----

    def login(self, name):
        return self[name].veld("login", "--coord", SERVER, "--fingerprint", self.fingerprint)

    def first(self, *options):
        """The machine that makes the network; what `veld up` said."""
        self.login(self.owner)
        return self[self.owner].veld("up", "--network", NETWORK, *options).stdout

    def token(self, *options):
        return self[self.owner].veld("token", "create", *options).stdout.strip()

    def join(self, *names):
        """More machines join, each by a token of its own, and are up."""
        for name in names:
            self[name].veld("join", self.token())

    def up(self, name, *options):
        return self[name].veld("up", "--network", NETWORK, *options).stdout

    def down(self, name):
        return self[name].veld("down")

    # ---- What is seen ----

    def log(self, name):
        return self[name].sh(f"cat {STATE}/daemon.log", check=False).stdout

    def connected(self, *names, timeout=15):
        for name in names or self.machines:
            eventually(lambda: self[name].status()["coord"]["state"] == "connected",
                       f"{name} is connected to the coord server", timeout)

    def peer(self, name, peer):
        """What one machine's status says of another; None: nothing."""
        return next((p for p in self[name].status()["peers"] if p["name"] == peer), None)

    def sees(self, name, peer, timeout=10, **how):
        """Wait until one machine knows another, and it is as `how` says; its entry in the status."""
        def seen():
            entry = self.peer(name, peer)
            return entry if entry and all(entry[k] == v for k, v in how.items()) else None
        return eventually(seen, lambda: f"{name} sees {peer} as {how}: {self.peer(name, peer)}",
                          timeout)

    def misses(self, name, peer, timeout=10):
        eventually(lambda: not self.peer(name, peer), f"{name} knows no {peer} any more", timeout)

    def reaches(self, name, target, timeout=10):
        eventually(lambda: self[name].pings(target, wait=1), f"{name} reaches {target}", timeout)

    def loses(self, name, target, timeout=5):
        eventually(lambda: not self[name].pings(target, wait=0.3),
                   f"{name} does not reach {target} any more", timeout)

    def address(self, name, family=4):
        """Its address in the network."""
        return self[name].status()["interface"]["addresses"][family == 6].split("/")[0]

    def outer(self, name):
        """Its address on the switch."""
        return f"203.0.113.{11 + list(self.machines).index(name)}"

    def handshakes(self, name):
        counters = self[name].status()["counters"]
        return counters["initiations_sent"] + counters["initiations_answered"]

    def healthy(self, name):
        assert self[name].status()["health"] == []

    # ---- The end ----

    def stop(self):
        """Stop what runs, and check that every machine is as it was before, but for what it keeps."""
        for name, machine in self.machines.items():
            if machine.veld("status", check=False).returncode == 0:
                self.down(name)
        for machine, before in self.clean.items():
            eventually(lambda: not remains(machine, before),
                       lambda: f"{machine.name} is as before: {remains(machine, before)}", 3)
        if self.process and self.process.running():
            assert self.process.stop() == 0, self.process.err()

    def tell(self):
        """For a failure: what the daemons and the server said."""
        print(f"--- server\n{self.process.err()[-4000:]}" if self.process else "")
        for name, machine in self.machines.items():
            print(f"--- {name}: veld-daemon\n{self.log(name)[-6000:]}")
            status = machine.run(VELD, "status", "--json", check=False).stdout
            print(json.dumps({k: v for k, v in json.loads(status).items()
                              if k in ("network", "coord", "refused_routes", "peers", "health")},
                             indent=1)[:8000] if status else "does not run")
