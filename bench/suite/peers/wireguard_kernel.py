"""WireGuard in the kernel, where the kernel has it. It has no process: what it costs is
in the time of the whole system alone."""
import platform
import subprocess

from . import wireguard_go
from .base import Peer, Unavailable


class WireguardKernel(Peer):
    name, title = "wireguard", "WireGuard (kernel)"
    programs, package = ("wg",), "wireguard-tools"
    note = "MTU 1420"

    def check(self):
        super().check()
        probe = subprocess.run(["unshare", "-n", "ip", "link", "add", "wg0", "type", "wireguard"],
                               capture_output=True, text=True)
        if probe.returncode != 0:
            raise Unavailable("this kernel has no WireGuard (modprobe wireguard)")

    def start(self, wire):
        for machine in wire.machines:
            machine.run("ip", "link", "add", "wg0", "type", "wireguard")
        wireguard_go.configure(wire)

    def version(self):
        return "Linux " + platform.release()
