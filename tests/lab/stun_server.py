"""A STUN server that tells the truth, or one of the lies named here: stun_server.py ADDRESS [LIE]"""
import socket
import struct
import sys

COOKIE = 0x2112A442
address, lie = sys.argv[1], (sys.argv[2:] or [""])[0]


def answer(ident, host, port):
    value = struct.pack("!xBH4s", 1, port ^ COOKIE >> 16, bytes(
        a ^ b for a, b in zip(socket.inet_aton(host), struct.pack("!I", COOKIE))))
    return struct.pack("!HHI", 0x0101, 4 + len(value), COOKIE) + ident + struct.pack(
        "!HH", 0x0020, len(value)) + value


sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.bind((address, 3478))
other = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
other.bind((address, 3479))
print("ready", flush=True)
while True:
    request, (host, port) = sock.recvfrom(2048)
    ident = request[8:20]
    if lie == "mute":
        continue
    if lie == "id":
        sock.sendto(answer(bytes(12), "6.6.6.6", 666), (host, port))
    elif lie == "source":
        other.sendto(answer(ident, "6.6.6.6", 666), (host, port))
    elif lie == "malformed":
        for cut in range(21, 32):
            sock.sendto(answer(ident, "6.6.6.6", 666)[:cut], (host, port))
    elif lie == "loopback":
        sock.sendto(answer(ident, "127.0.0.1", 666), (host, port))
    else:
        sock.sendto(answer(ident, host, port), (host, port))
        for _ in range(1000 if lie == "flood" else 0):
            sock.sendto(answer(bytes(12), "6.6.6.6", 666), (host, port))
