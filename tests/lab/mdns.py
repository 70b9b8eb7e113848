"""Multicast DNS for the lab, run inside a machine, and what its messages are made of.

  mdns.py hear INTERFACE      print each mDNS message that comes in or goes out, in hex
  mdns.py say INTERFACE       send each hex line of stdin to the group
  mdns.py flood INTERFACE RATE SECONDS
                              announce made-up devices, each once by IPv4 and once by IPv6,
                              RATE a second, five a message; print how many

Those that wait for others say "ready" first.
"""
import base64
import os
import socket
import struct
import sys
import time

GROUP, GROUP6, PORT = "224.0.0.251", "ff02::fb", 5353
A, PTR, TXT, AAAA, SRV, CNAME, ANY = 1, 12, 16, 28, 33, 5, 255
SERVICE = "_veld._udp.local"


def name(text):
    """Labels on the wire; no dot of `text` is inside a label."""
    return b"".join(bytes([len(label)]) + label.encode()
                    for label in text.split(".") if label) + b"\0"


def record(owner, kind, data, ttl=120, flush=True):
    owner = owner if isinstance(owner, bytes) else name(owner)
    return owner + struct.pack(">HHIH", kind, 0x8001 if flush else 1, ttl, len(data)) + data


def message(answers=(), more=(), counts=None):
    """An answer nobody asked for. `counts`: others than those of its records."""
    counts = counts or (0, len(answers), 0, len(more))
    return struct.pack(">HH4H", 0, 0x8400, *counts) + b"".join(answers) + b"".join(more)


def strings(*texts):
    return b"".join(bytes([len(t)]) + t for t in (text.encode() for text in texts))


def address(owner, text, ttl=120):
    """One of several, so without the cache-flush bit."""
    kind, family = (AAAA, socket.AF_INET6) if ":" in text else (A, socket.AF_INET)
    return record(owner, kind, socket.inet_pton(family, text), ttl, flush=False)


def records(label, pub, addresses, port=51820, ttl=120):
    """What a machine with this public key (base64) would announce."""
    instance, host = f"{label}.{SERVICE}", f"{label}.local"
    return [
        record(SERVICE, PTR, name(instance), ttl, flush=False),
        record(instance, SRV, struct.pack(">HHH", 0, 0, port) + name(host), ttl),
        record(instance, TXT, strings("v=1", f"p={pub}"), ttl),
        *(address(host, a, ttl) for a in addresses)]


def device(*what, **more):
    return message(records(*what, **more))


def made_up(number):
    """A key that nobody has, canonical."""
    return base64.b64encode(struct.pack("<Q", number) + b"made up!" + bytes(16)).decode()


def group(interface):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind(("", PORT))
    index = struct.pack("4s4si", bytes(4), bytes(4), socket.if_nametoindex(interface))
    s.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, index)
    s.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 255)
    return s


def group6(interface):
    s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind(("::", PORT))
    s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, socket.if_nametoindex(interface))
    s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 255)
    return s


def payload(packet):
    """Of an IP packet that is mDNS; None."""
    at, protocol = (4 * (packet[0] & 15), packet[9]) if packet[0] >> 4 == 4 else (40, packet[6])
    is_mdns = protocol == 17 and packet[at + 2:at + 4] == struct.pack(">H", PORT)
    return packet[at + 8:] if is_mdns else None


def hear(interface):
    s = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(3))
    s.bind((interface, 3))
    print("ready", flush=True)
    while True:
        data = payload(s.recv(65536))
        if data:
            print(data.hex(), flush=True)


def say(interface):
    s = group(interface)
    for line in sys.stdin:
        s.sendto(bytes.fromhex(line), (GROUP, PORT))
        time.sleep(0.002)


def flood(interface, rate, seconds):
    four, six, began = group(interface), group6(interface), time.monotonic()
    sent = 0
    rate, each = float(rate), 5
    print("ready", flush=True)
    while (passed := time.monotonic() - began) < float(seconds):
        while sent < passed * rate:
            numbers = [int.from_bytes(os.urandom(6), "big") for _ in range(each)]
            m = message([r for n in numbers
                         for r in records(f"x{n:x}", made_up(n), [f"1.2.3.{100 + n % 50}"])])
            four.sendto(m, (GROUP, PORT))
            six.sendto(m, (GROUP6, PORT))
            sent += each
        time.sleep(0.001)
    print(sent, flush=True)


if __name__ == "__main__":
    {"hear": hear, "say": say, "flood": flood}[sys.argv[1]](*sys.argv[2:])
