"""The lab's topology for the coord mode: a server and members on one switch.

    server 203.0.113.1     first 203.0.113.11    second 203.0.113.12   ...
        eth0 ------------------- eth0 ------------------ eth0 ------ (bridge of machine "switch")

    with Net() as net:
        mesh = Coord(net, ["first", "second"])
        mesh.first("first")                   # logs in, makes mynet, owns it
        mesh.join("second")                   # by a token of the first
"""
import json
import re

from net import BUILD, Net, eventually

COORD = BUILD / "veld-coord"
NETWORK = "mynet"
SERVER_IP = "203.0.113.1"
SERVER = f"{SERVER_IP}:50051"
LOG = "/var/lib/veld/daemon.log"


class Coord:
    def __init__(self, net: Net, names, network=NETWORK, serve=True):
        self.net, self.network = net, network
        self.switch = net.machine("switch")
        self.switch.sh("ip link add br0 type bridge && ip link set br0 up")
        self.server = self.attach("server", SERVER_IP)
        self.machines = {name: self.attach(name, f"203.0.113.{11 + i}")
                         for i, name in enumerate(names)}
        self.process = self.fingerprint = None
        if serve:
            self.serve()

    def __getitem__(self, name):
        return self.machines[name]

    def attach(self, name, address):
        machine = self.net.machine(name)
        _, end = self.net.wire(machine, self.switch, [f"{address}/24"])
        self.switch.sh(f"ip link set {end} master br0")
        return machine

    # ---- The server ----

    def serve(self):
        """Start the coord server on its database, and wait until it listens."""
        self.process = self.server.spawn(COORD, "--listen", ":50051", "--db", "/var/lib/peers.db")
        text = eventually(lambda: re.search(r"SHA256:\S+", self.process.out() + self.process.err()),
                          "the coord server listens", 10)
        self.fingerprint = text[0]
        return self.process

    def stop_server(self):
        return self.process.stop()

    # ---- Members ----

    def login(self, name):
        return self[name].veld("login", "--coord", SERVER, "--fingerprint", self.fingerprint)

    def first(self, name, *options):
        """The machine that makes the network; what `veld up` said."""
        self.login(name)
        return self[name].veld("up", "--network", self.network, *options).stdout

    def token(self, owner, *options):
        return self[owner].veld("token", "create", *options).stdout.strip()

    def join(self, name, *options, token=None, owner="first"):
        """Another machine joins by a token, and is up."""
        return self[name].veld("join", token or self.token(owner), *options).stdout

    def log(self, name):
        return self[name].sh(f"cat {LOG}", check=False).stdout

    def connected(self, name, timeout=10):
        eventually(lambda: self[name].status()["coord"]["state"] == "connected",
                   f"{name} is connected to the coord server", timeout)

    def sees(self, name, peer, timeout=10):
        """Wait until one machine knows another; its entry in the status."""
        return eventually(lambda: next((p for p in self[name].status()["peers"]
                                        if p["name"] == peer), None),
                          f"{name} knows {peer}", timeout)

    def reaches(self, name, target, timeout=10):
        eventually(lambda: self[name].pings(target, wait=1), f"{name} reaches {target}", timeout)

    def address(self, name):
        """Its IPv4 address in the network."""
        return self[name].status()["interface"]["addresses"][0].split("/")[0]

    def tell(self):
        """For a failure: what the daemons and the server said."""
        print(f"--- server\n{self.process.err()[-4000:]}" if self.process else "")
        for name in self.machines:
            print(f"--- {name}: veld-daemon\n{self.log(name)[-6000:]}")
            status = self[name].veld("status", "--json", check=False).stdout
            print(json.dumps(json.loads(status), indent=1)[:6000] if status else "not running")
