"""Veld as it comes, and with one thing changed at a time."""
import json
import os

from net import BUILD, PORT, toml

from .base import Peer, Unavailable, first_line, write

# Where tools/bench builds the daemon that can turn encryption off.
NULL_BUILD = BUILD.with_name(BUILD.name + "-bench-null")


class Veld(Peer):
    name, title, kind = "veld", "Veld", "veld"
    build = BUILD
    settings = {}  # keys of the config that differ from the defaults

    def check(self):
        for program in ("veld", "veld-daemon"):
            if not os.access(self.build / program, os.X_OK):
                raise Unavailable(f"no {self.build / program}: run tools/bench, or tools/build")

    def start(self, wire):
        keys = {}
        for machine in wire.machines:
            machine.sh("mkdir -p -m 700 /var/lib/veld")
            keys[machine] = machine.run(self.build / "veld", "keygen",
                                        "/var/lib/veld/identity").stdout.strip()
        for machine in wire.machines:
            self.start_on(machine, self.config(wire, machine, keys))
        status = json.loads(wire.a.run(self.build / "veld", "status", "--json").stdout)
        facts = status.get("dataplane", {})
        self.note = ", ".join(f"{key} {facts[key]}" for key in ("workers", "aead", "engine")
                              if key in facts)

    def config(self, wire, machine, keys):
        other = wire.other(machine)
        return toml(listen_addr=f"0.0.0.0:{PORT}", vpn_ip=wire.inside(machine) + "/24",
                    name=machine.name, **self.settings, dns={"mode": "off"},
                    peers=[dict(name=other.name, pubkey=keys[other],
                                endpoint=f"{wire.outside(other)}:{PORT}",
                                vpn_ip=wire.inside(other))])

    def start_on(self, machine, config):
        path = write(machine, "config.toml", config)
        daemon = self.spawn(machine, self.build / "veld-daemon", "--config", path, "--foreground")
        self.wait(daemon.out)

    def version(self):
        return first_line(str(self.build / "veld"), "--version")


class VeldOneWorker(Veld):
    name, title, kind = "veld-1", "Veld, one worker", "variant"
    settings = {"workers": 1}


class VeldPoll(Veld):
    name, title, kind = "veld-poll", "Veld, poll engine", "variant"
    settings = {"engine": "poll"}


class VeldNull(Veld):
    name, title, kind = "veld-null", "Veld, no encryption", "variant"
    build = NULL_BUILD
    settings = {"aead": "null"}
