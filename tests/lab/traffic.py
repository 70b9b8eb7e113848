"""Traffic for the lab, run inside a machine.

  traffic.py sink ADDRESS PORT             accept one TCP stream; print "BYTES SHA256" of it
  traffic.py source ADDRESS PORT BYTES [small] [PAUSE_MS]
                                           send that many; print the same. "small": in pieces
                                           of 1..3000 bytes. A pause after each piece.
  traffic.py udp-echo ADDRESS PORT         answer each datagram with itself
  traffic.py udp-ask ADDRESS PORT SIZE...  ask an echo, each size; print how many were answered
  traffic.py count ADDRESS PORT            count datagrams until told to end (SIGTERM)
  traffic.py numbers ADDRESS PORT          the same for numbered ones; print how many, the first,
                                           the last, and how many came out of order or twice
  traffic.py pace ADDRESS PORT RATE SECONDS SIZE
                                           send numbered datagrams, RATE a second; print how many
  traffic.py segments ADDRESS PORT BURSTS EACH SIZE
                                           send numbered datagrams, EACH at once in one super-packet
  traffic.py fire ADDRESS PORT             send each hex line of stdin as a datagram, listen
                                           half a second; print the answers in hex
  traffic.py flood ADDRESS PORT SECONDS    send random datagrams as fast as possible; print
                                           how many
  traffic.py capture INTERFACE PORT        print each UDP payload that comes in for PORT, in hex
  traffic.py meddle INTERFACE ADDRESS PORT
                                           an attacker beside the way: send some of the data
                                           datagrams that come in once more to ADDRESS, as they
                                           are and with another counter; on SIGTERM print how
                                           many of each
  traffic.py lanes INTERFACE SECONDS       watch data datagrams come in; print for each
                                           "SOURCE-PORT TARGET-PORT LANE COUNT"
  traffic.py chat ADDRESS PORT FLOWS SECONDS
                                           ask an echo from so many ports, each 20 times a
                                           second, until told to end; fail when less than 9 of
                                           10 were answered
  traffic.py tcp-echo ADDRESS PORT         accept one TCP stream; answer what comes with itself
  traffic.py talk ADDRESS PORT TIMES EVERY
                                           say something to such an echo over one connection, so
                                           often, each so many s after the last answer; print how
                                           long each took, in s
  traffic.py inject INTERFACE              send each hex line of stdin, an IP packet, as it is

Those that wait for others say "ready" first.
"""
import collections
import hashlib
import os
import random
import signal
import socket
import struct
import sys
import time


def resolve(address, port, kind, passive=False):
    flags = socket.AI_PASSIVE if passive else 0
    return socket.getaddrinfo(address, int(port), type=kind, flags=flags)[0]


def listen(address, port, kind):
    family, _, _, _, where = resolve(address, port, kind, passive=True)
    s = socket.socket(family, kind)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind(where)
    if kind == socket.SOCK_STREAM:
        s.listen(1)
    print("ready", flush=True)
    return s


def connect(address, port, kind):
    family, _, _, _, where = resolve(address, port, kind)
    s = socket.socket(family, kind)
    s.settimeout(20)
    s.connect(where)
    return s


def sink(address, port):
    s, _ = listen(address, port, socket.SOCK_STREAM).accept()
    digest, total = hashlib.sha256(), 0
    while True:
        piece = s.recv(1 << 18)
        if not piece:
            break
        digest.update(piece)
        total += len(piece)
    print(total, digest.hexdigest())


def source(address, port, size, mode="large", pause_ms="0"):
    s = connect(address, port, socket.SOCK_STREAM)
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    block = os.urandom(1 << 20)
    digest, left, chance = hashlib.sha256(), int(size), random.Random(1)
    while left:
        n = chance.randint(1, 3000) if mode == "small" else 1 << 18
        start = chance.randrange(len(block) - n)
        piece = block[start:start + min(n, left)]
        s.sendall(piece)
        digest.update(piece)
        left -= len(piece)
        if pause_ms != "0":
            time.sleep(float(pause_ms) / 1000)
    s.shutdown(socket.SHUT_WR)
    s.recv(1)  # until the sink has read it all
    print(size, digest.hexdigest())


def udp_echo(address, port):
    s = listen(address, port, socket.SOCK_DGRAM)
    while True:
        data, sender = s.recvfrom(65536)
        s.sendto(data, sender)


def udp_ask(address, port, *sizes):
    s = connect(address, port, socket.SOCK_DGRAM)
    s.settimeout(2)
    answered = 0
    for size in sizes:
        question = os.urandom(int(size))
        s.send(question)
        try:
            answered += s.recv(65536) == question
        except TimeoutError:
            pass
    print(answered)


def until_told(s):
    """Datagrams that come in until SIGTERM, and those that were on their way by then."""
    ending = []
    signal.signal(signal.SIGTERM, lambda *_: ending.append(True))
    s.settimeout(0.2)
    while True:
        try:
            yield s.recv(65536)
        except TimeoutError:
            if ending:
                return


def count(address, port):
    print(sum(1 for _ in until_told(listen(address, port, socket.SOCK_DGRAM))), flush=True)


def numbers(address, port):
    s = listen(address, port, socket.SOCK_DGRAM)
    s.setsockopt(socket.SOL_SOCKET, 33, 8 << 20)  # SO_RCVBUFFORCE
    n = disorder = 0
    first = last = -1

    for data in until_told(s):
        number = int.from_bytes(data[:8], "big")
        first = number if n == 0 else first
        disorder += number <= last
        last = max(last, number)
        n += 1
    print(n, first, last, disorder, flush=True)


def pace(address, port, rate, seconds, size):
    s = connect(address, port, socket.SOCK_DGRAM)
    begin, n, rest = time.monotonic(), 0, bytes(int(size) - 8)
    while (now := time.monotonic() - begin) < float(seconds):
        for n in range(n, int(now * float(rate))):
            try:
                s.send(n.to_bytes(8, "big") + rest)
            except OSError:
                pass  # as a network would
            n += 1
        time.sleep(0.001)
    print(n)


def segments(address, port, bursts, each, size):
    s = connect(address, port, socket.SOCK_DGRAM)
    n, rest = 0, bytes(int(size) - 8)
    for _ in range(int(bursts)):
        burst = b"".join((n + i).to_bytes(8, "big") + rest for i in range(int(each)))
        s.sendmsg([burst], [(17, 103, struct.pack("H", int(size)))])  # SOL_UDP, UDP_SEGMENT
        n += int(each)
        time.sleep(0.005)
    print(n)


def capture(interface, port):
    s = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(0x0800))
    s.bind((interface, 0x0800))
    print("ready", flush=True)
    while True:
        packet, where = s.recvfrom(65536)
        if where[2] == socket.PACKET_HOST and packet[9] == 17 and packet[0] == 0x45 and \
                int.from_bytes(packet[22:24], "big") == int(port):
            print(packet[28:int.from_bytes(packet[2:4], "big")].hex(), flush=True)


def forwarded(interface, port):
    """Where UDP to this port goes that comes in here, to whomever."""
    s = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(0x0800))
    s.bind((interface, 0x0800))
    print("ready", flush=True)
    while True:
        packet, where = s.recvfrom(65536)
        if where[2] == socket.PACKET_HOST and packet[9] == 17 and \
                int.from_bytes(packet[22:24], "big") == int(port):
            print(socket.inet_ntoa(packet[16:20]), flush=True)


def first_datagram(payload):
    """The first of the datagrams that the kernel carries as one: up to the next header alike."""
    head = payload[:8]  # type, flags, lane, version, index
    at = 16
    while (at := payload.find(head[4:], at + 1)) >= 0:
        start = at - 4
        if payload[start] == head[0] and payload[start + 2:at] == head[2:4]:
            return payload[:start]
    return payload


def meddle(interface, address, port):
    taps = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(0x0800))
    taps.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 18)
    taps.bind((interface, 0x0800))
    taps.settimeout(0.1)
    out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    counts = [0, 0]

    def end(*_):
        print(*counts, flush=True)
        os._exit(0)

    signal.signal(signal.SIGTERM, end)
    print("ready", flush=True)
    while True:
        try:
            packet, where = taps.recvfrom(65536)
        except TimeoutError:
            continue
        payload = packet[28:int.from_bytes(packet[2:4], "big")]
        if where[2] != socket.PACKET_HOST or packet[9] != 17 or payload[:1] != b"\xc4" or \
                int.from_bytes(packet[22:24], "big") != int(port):
            continue
        true = first_datagram(payload)
        later = int.from_bytes(true[8:16], "big") + (1 << 20)
        for i, datagram in enumerate((true, true[:8] + later.to_bytes(8, "big") + true[16:])):
            time.sleep(0.005)
            out.sendto(datagram, (address, int(port)))
            counts[i] += 1


def lanes(interface, seconds):
    s = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(0x0800))
    s.bind((interface, 0x0800))
    counts, deadline = collections.Counter(), time.monotonic() + float(seconds)
    while (left := deadline - time.monotonic()) > 0:
        s.settimeout(left)
        try:
            packet, where = s.recvfrom(100)
        except TimeoutError:
            break
        if where[2] == socket.PACKET_HOST and packet[0] == 0x45 and packet[9] == 17 and \
                packet[28:29] == b"\xc4":
            counts[(*struct.unpack("!HH", packet[20:24]), packet[30])] += 1
    for (source, target, lane), count in counts.items():
        print(source, target, lane, count)


def chat(address, port, flows, seconds):
    signal.signal(signal.SIGTERM, lambda *_: ended.append(True))
    ended, asked, answered = [], 0, 0
    sockets = [connect(address, port, socket.SOCK_DGRAM) for _ in range(int(flows))]
    for s in sockets:
        s.setblocking(False)
    deadline = time.monotonic() + float(seconds)
    print("ready", flush=True)
    while not ended and time.monotonic() < deadline:
        for s in sockets:
            try:
                while s.recv(2000):
                    answered += 1
            except OSError:
                pass
            try:
                asked += s.send(b"are you there?") > 0
            except OSError:
                pass
        time.sleep(0.05)
    print(asked, answered)
    sys.exit(answered < (asked - len(sockets)) * 0.9)


def tcp_echo(address, port):
    s, _ = listen(address, port, socket.SOCK_STREAM).accept()
    while piece := s.recv(65536):
        s.sendall(piece)


def talk(address, port, times, every):
    s = connect(address, port, socket.SOCK_STREAM)
    for n in range(int(times)):
        time.sleep(float(every) if n else 0)
        asked = time.monotonic()
        s.sendall(b"are you there?")
        assert s.recv(100) == b"are you there?"
        print(round(time.monotonic() - asked, 3), flush=True)


def inject(interface):
    for line in sys.stdin:
        packet = bytes.fromhex(line)
        protocol = 0x0800 if packet[0] >> 4 == 4 else 0x86dd
        s = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0)
        s.sendto(packet, (interface, protocol))


def fire(address, port):
    family, _, _, _, where = resolve(address, port, socket.SOCK_DGRAM)
    s = socket.socket(family, socket.SOCK_DGRAM)
    for line in sys.stdin:
        s.sendto(bytes.fromhex(line), where)
        time.sleep(0.002)
    deadline = time.monotonic() + 0.5
    while (left := deadline - time.monotonic()) > 0:
        s.settimeout(left)
        try:
            print(s.recv(65536).hex())
        except TimeoutError:
            break


def flood(address, port, seconds):
    s = connect(address, port, socket.SOCK_DGRAM)
    chance = random.Random(2)
    heads = [b"", b"\xc1\0\0\1", b"\xc2\0\0\1", b"\xc3\0\0\1", b"\xc4\0\0\1"]
    datagrams = [chance.choice(heads) + chance.randbytes(chance.choice([10, 188, 100, 68, 1400]))
                 for _ in range(1000)]
    deadline, n = time.monotonic() + float(seconds), 0
    while time.monotonic() < deadline:
        for datagram in datagrams:
            try:
                s.send(datagram)
                n += 1
            except OSError:
                pass
    print(n)


if __name__ == "__main__":
    {"sink": sink, "source": source, "udp-echo": udp_echo, "udp-ask": udp_ask, "count": count,
     "numbers": numbers, "pace": pace, "segments": segments, "fire": fire, "capture": capture,
     "forwarded": forwarded, "meddle": meddle, "inject": inject, "lanes": lanes, "chat": chat,
     "tcp-echo": tcp_echo, "talk": talk,
     "flood": flood}[sys.argv[1]](*sys.argv[2:])
