"""HTTP/2 written by hand over TLS: for what no decent client sends (RFC 9113, RFC 7541)."""
import itertools
import socket
import ssl
import struct

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = (
    0, 1, 2, 3, 4, 6, 7, 8, 9)
END_STREAM, ACK, END_HEADERS = 1, 1, 4
MAX_CONCURRENT_STREAMS, MAX_HEADER_LIST_SIZE = 3, 6

HELLO = "/veld.coord.v1.Coord/Hello"


def varint(value, bits, first=0):
    """RFC 7541, 5.1: an integer with a prefix of `bits`, the rest of whose byte is `first`."""
    top = (1 << bits) - 1
    if value < top:
        return bytes([first | value])
    out = [first | top]
    value -= top
    while value >= 128:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes(out + [value])


def text(value):
    """A string literal without Huffman code."""
    value = value.encode() if isinstance(value, str) else value
    return varint(len(value), 7) + value


def literal(name, value, indexed=False):
    """A header with its name in full; `indexed`: remembered in the table."""
    return (b"\x40" if indexed else b"\x00") + text(name) + text(value)


def request(path=HELLO, scheme="https", te="trailers", extra=()):
    """The header block of a gRPC call. A value of None leaves that header out."""
    headers = [(":method", "POST"), (":scheme", scheme), (":path", path),
               (":authority", "veld-coord"), ("te", te), ("content-type", "application/grpc"),
               *extra]
    return b"".join(literal(name, value) for name, value in headers if value is not None)


def frame(kind, flags, stream, payload=b""):
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def message(body=b"", compressed=0):
    """A gRPC message, as in DATA frames."""
    return struct.pack(">BI", compressed, len(body)) + body


numbers = itertools.count()


class Raw:
    """A connection. Sends what it is told to; what the server sends is read on demand."""

    def __init__(self, address, ack=True, settings=b"", timeout=5):
        """From an address of 127.0.0.0/8 of its own: an attacker's is held against it."""
        n = next(numbers)
        source = (f"127.{1 + n // 62500 % 250}.{n // 250 % 250}.{1 + n % 250}", 0)
        host, port = address.rsplit(":", 1)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        context.set_alpn_protocols(["h2"])
        tcp = socket.create_connection((host.strip("[]"), int(port)), timeout=timeout,
                                       source_address=source)
        self.socket = context.wrap_socket(tcp, server_hostname="veld-coord")
        self.buffer = b""
        self.send(PREFACE + frame(SETTINGS, 0, 0, settings))
        if ack:
            self.wait_for(SETTINGS)
            self.send(frame(SETTINGS, ACK, 0))

    def send(self, data):
        self.socket.sendall(data)

    def try_send(self, data):
        """False when the server has hung up."""
        try:
            self.socket.sendall(data)
            return True
        except (OSError, ssl.SSLError):
            return False

    def read_frame(self):
        """(kind, flags, stream, payload), or None at the end."""
        while True:
            if len(self.buffer) >= 9:
                size = int.from_bytes(self.buffer[:3], "big")
                if len(self.buffer) >= 9 + size:
                    head, payload = self.buffer[:9], self.buffer[9:9 + size]
                    self.buffer = self.buffer[9 + size:]
                    return head[3], head[4], int.from_bytes(head[5:9], "big"), payload
            try:
                more = self.socket.recv(65536)
            except (ConnectionError, ssl.SSLError):
                return None
            if not more:
                return None
            self.buffer += more

    def wait_for(self, kind):
        while True:
            got = self.read_frame()
            if got is None or got[0] == kind:
                return got

    def is_closed(self):
        """Reads to the end; False when the server keeps it open until the timeout."""
        try:
            while self.read_frame():
                pass
            return True
        except TimeoutError:
            return False

    def settle(self, seconds=0.2):
        """Reads what comes meanwhile."""
        before = self.socket.gettimeout()
        self.socket.settimeout(seconds)
        self.is_closed()
        self.socket.settimeout(before)

    def call(self, stream, block, body=message()):
        """A whole call."""
        self.send(frame(HEADERS, END_HEADERS, stream, block) + frame(DATA, END_STREAM, stream, body))

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
