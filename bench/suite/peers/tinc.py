"""tinc 1.0 as Debian packs it, its defaults; a calls b."""
from .base import Peer, first_line, write


class Tinc(Peer):
    name, title = "tinc", "tinc (Debian)"
    programs, package = ("tincd",), "tinc"
    note = "AES-256-CBC with SHA-256, its defaults"

    def start(self, wire):
        names = dict(zip(wire.machines, ("a", "b")))
        hosts = {}
        for machine, name in names.items():
            write(machine, "tinc.conf",
                  f"Name = {name}\nAddressFamily = ipv4\nInterface = tinc0\n"
                  "ProcessPriority = normal\n"
                  + ("ConnectTo = b\n" if name == "a" else ""))
            write(machine, "tinc-up", "#!/bin/sh\nip link set tinc0 up\n"
                  f"ip addr add {wire.inside(machine)}/24 dev tinc0\n", 0o700)
            write(machine, f"hosts/{name}", f"Address = {wire.outside(machine)}\n"
                  f"Subnet = {wire.inside(machine)}/32\n")
            # Makes the private key, and adds the public one to hosts/NAME.
            machine.run("tincd", "-c", machine.dir, "-K", "2048", timeout=60)
            hosts[name] = (machine.dir / "hosts" / name).read_text()
        for machine, name in names.items():
            for each, text in hosts.items():
                write(machine, f"hosts/{each}", text)
            self.spawn(machine, "tincd", "-c", machine.dir, "-D",
                       f"--pidfile={machine.dir}/tinc.pid")
        for machine in wire.machines:
            self.wait(lambda: wire.inside(machine) + "/24" in machine.addresses("tinc0"))

    def version(self):
        return first_line("tincd", "--version").split(" (")[0]
