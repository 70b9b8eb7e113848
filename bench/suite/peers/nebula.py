"""Nebula as Debian packs it: a certificate authority, two hosts that know each other's
address, its defaults otherwise."""
import json
import subprocess

from .base import Peer, first_line, write

PORT = 4242


class Nebula(Peer):
    name, title = "nebula", "Nebula (Debian)"
    programs, package = ("nebula", "nebula-cert"), "nebula"
    note = "AES-256-GCM, its default MTU of 1300"
    nebula, cert = "nebula", "nebula-cert"

    def start(self, wire):
        folder = wire.a.dir / "ca"
        folder.mkdir()
        self.certify(folder, "ca", "-name", "bench")
        for machine in wire.machines:
            self.certify(folder, "sign", "-name", machine.name, self.address_option(),
                         wire.inside(machine) + "/24", "-out-crt", machine.dir / "host.crt",
                         "-out-key", machine.dir / "host.key")
        for machine in wire.machines:
            path = write(machine, "nebula.yml", self.config(wire, machine, folder))
            self.spawn(machine, self.nebula, "-config", path)
        for machine in wire.machines:
            self.wait(lambda: machine.has_interface("nebula1"))

    def certify(self, folder, *argv):
        subprocess.run([self.cert, *map(str, argv)], cwd=folder, check=True,
                       capture_output=True, stdin=subprocess.DEVNULL)

    def address_option(self):
        usage = subprocess.run([self.cert, "sign", "-h"], capture_output=True, text=True)
        return "-networks" if "-networks" in usage.stdout + usage.stderr else "-ip"

    def config(self, wire, machine, folder):
        other = wire.other(machine)
        anybody = [{"port": "any", "proto": "any", "host": "any"}]
        # JSON is YAML.
        return json.dumps({
            "pki": {"ca": f"{folder}/ca.crt", "cert": f"{machine.dir}/host.crt",
                    "key": f"{machine.dir}/host.key"},
            "static_host_map": {wire.inside(other): [f"{wire.outside(other)}:{PORT}"]},
            "lighthouse": {"am_lighthouse": False},
            "listen": {"host": "0.0.0.0", "port": PORT},
            "tun": {"dev": "nebula1"},
            "logging": {"level": "error", "format": "text"},
            "firewall": {"outbound": anybody, "inbound": anybody},
        })

    def version(self):
        return "nebula " + first_line(str(self.nebula), "-version").removeprefix("Version: ")
