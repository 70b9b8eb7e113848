"""fastd as Debian packs it, with the method its documentation recommends for speed."""
from .base import Peer, first_line, write

PORT = 10000


class Fastd(Peer):
    name, title = "fastd", "fastd (Debian)"
    programs, package = ("fastd",), "fastd"
    note = "salsa2012+umac, MTU 1426"

    def start(self, wire):
        secret, public = {}, {}
        for machine in wire.machines:
            secret[machine] = machine.run("fastd", "--generate-key",
                                          "--machine-readable").stdout.split()[0]
            path = write(machine, "secret.conf", f'secret "{secret[machine]}";\n')
            public[machine] = machine.run("fastd", "--config", path, "--show-key",
                                          "--machine-readable").stdout.strip()
        for machine in wire.machines:
            other = wire.other(machine)
            path = write(machine, "fastd.conf", f"""
                log level warn;
                interface "fastd0";
                mode tun;
                mtu 1426;
                method "salsa2012+umac";
                bind 0.0.0.0:{PORT};
                secret "{secret[machine]}";
                peer "other" {{
                    key "{public[other]}";
                    remote ipv4 {wire.outside(other)}:{PORT};
                }}
                on up sync "ip link set fastd0 up; ip addr add {wire.inside(machine)}/24 dev fastd0";
                """)
            self.spawn(machine, "fastd", "--config", path)
        for machine in wire.machines:
            self.wait(lambda: machine.addresses("fastd0"))

    def version(self):
        return first_line("fastd", "--version")
