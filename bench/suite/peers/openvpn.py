"""OpenVPN as Debian packs it, over UDP, each side knowing the other's certificate by its
fingerprint; its defaults otherwise (no kernel module)."""
from .base import Peer, first_line, write

PORT = 1194


class Openvpn(Peer):
    name, title = "openvpn", "OpenVPN (Debian)"
    programs, package = ("openvpn", "openssl"), "openvpn, openssl"
    note = "AES-256-GCM in user space, MTU 1500"

    def start(self, wire):
        prints = {machine: self.certificate(machine) for machine in wire.machines}
        for machine in wire.machines:
            other = wire.other(machine)
            role = f"tls-client\nremote {wire.outside(other)}" if machine is wire.a \
                else "tls-server\ndh none"
            path = write(machine, "openvpn.conf", f"""{role}
dev tun0
dev-type tun
proto udp
port {PORT}
ifconfig {wire.inside(machine)} {wire.inside(other)}
cert {machine.dir}/cert.pem
key {machine.dir}/key.pem
peer-fingerprint {prints[other]}
disable-dco
verb 1
""")
            self.spawn(machine, "openvpn", "--config", path)
        for machine in wire.machines:
            self.wait(lambda: machine.has_interface("tun0"))

    def certificate(self, machine):
        """Makes key.pem and cert.pem; the fingerprint."""
        machine.sh("umask 77; openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 "
                   f"-nodes -days 2 -subj /CN={machine.name} -keyout key.pem -out cert.pem")
        out = machine.run("openssl", "x509", "-in", "cert.pem", "-noout", "-fingerprint",
                          "-sha256").stdout
        return out.strip().split("=")[1]

    def version(self):
        return " ".join(first_line("openvpn", "--version").split()[:2])
