"""No tunnel at all: the wire itself."""
import platform

from .base import Peer


class Veth(Peer):
    name, title, kind = "veth", "bare wire", "raw"
    note = "no tunnel, no encryption"

    def start(self, wire):
        pass

    def target(self, wire):
        return wire.outside(wire.b)

    def version(self):
        return "Linux " + platform.release()
