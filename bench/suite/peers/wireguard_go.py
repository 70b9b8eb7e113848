"""wireguard-go as Debian packs it: one process a side, its defaults."""
from .base import Peer, first_line

PORT = 51999


def configure(wire, interface="wg0"):
    """Keys, peers and addresses of a WireGuard interface that exists on both machines."""
    keys = {m: m.sh("umask 77; wg genkey | tee wg.key | wg pubkey").stdout.strip()
            for m in wire.machines}
    for machine in wire.machines:
        other = wire.other(machine)
        machine.run("wg", "set", interface, "listen-port", PORT, "private-key", "wg.key",
                    "peer", keys[other], "allowed-ips", wire.inside(other) + "/32",
                    "endpoint", f"{wire.outside(other)}:{PORT}")
        machine.run("ip", "link", "set", interface, "mtu", 1420)
        wire.address(machine, interface)


class WireguardGo(Peer):
    name, title = "wireguard-go", "wireguard-go (Debian)"
    programs, package = ("wireguard-go", "wg"), "wireguard-go, wireguard-tools"
    note = "MTU 1420"
    program = "wireguard-go"

    def start(self, wire):
        for machine in wire.machines:
            self.spawn(machine, "env", "WG_I_PREFER_BUGGY_USERSPACE_TO_POLISHED_KMOD=1",
                       "LOG_LEVEL=error", self.program, "-f", "wg0")
        for machine in wire.machines:
            self.wait(lambda: machine.run("wg", "show", "wg0", check=False).returncode == 0)
        configure(wire)

    def version(self):
        return first_line(str(self.program), "--version",
                          WG_I_PREFER_BUGGY_USERSPACE_TO_POLISHED_KMOD="1")
