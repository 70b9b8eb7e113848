"""What strangers may send. After each, the server is the same process, answers within a second
or two, has not grown, and has what it acknowledged.

gRPC 1.51 is known for: CVE-2023-1428 (an abort), CVE-2023-32731 and -32732 (tables out of step,
a wrong disconnect), CVE-2023-33953 (headers without bound: gigabytes of memory, seconds of
copying), CVE-2023-44487 (streams opened and reset), CVE-2023-4785 (no descriptors left).
"""
import base64
import random
import socket
import ssl
import time

import pytest

from client import SERVICE, Coord, Network, auth, certificate_of, pb
from h2 import (ACK, CONTINUATION, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, PING, PRIORITY,
                RST_STREAM, SETTINGS, WINDOW_UPDATE, Raw, frame, literal, message, request, text,
                varint)
from server import BUILD, Server

MEBIBYTE = 1 << 20
pytestmark = pytest.mark.xdist_group("attacks")  # they share a server

SEND_S = 2       # how long an attacker sends, when nobody stops it
# MiB of memory that an attack may cost; a sanitizer keeps what was freed.
GROWTH = 1000 if "asan" in BUILD.name else 64


class Attacked:
    """A server with one registered member, whom every test asks after."""

    def __init__(self, folder):
        self.server = Server(folder, "--no-rate-limits")
        client = self.server.client()
        self.net = Network("attacked")
        client.create(self.net)
        self.witness = self.net.member("witness")
        self.lease = client.join(self.witness).ipv4
        self.pem, self.certificate = certificate_of(self.server.address)
        self.server.close_clients()
        self.child = self.server.child()

    @property
    def address(self):
        return self.server.address

    def memory(self):
        """MiB, at the most."""
        with open(f"/proc/{self.server.child()}/status") as status:
            return next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) // 1024

    def check(self, before):
        began = time.monotonic()
        with Coord(self.address, pem=self.pem) as client:
            assert client.hello(timeout=5).protocol == 1
            peers = client.peers(self.witness)
        assert time.monotonic() - began < 2, "it is held up"
        assert set(peers) == {self.witness.key.public}
        assert self.server.child() == self.child, "it has crashed"
        assert self.memory() - before < GROWTH, f"{before} MiB became {self.memory()}"


RECEIVE_S, TAKE_S = 15, 20  # src/coord/bounds.h


class Waiting:
    """What may not wait for ever, begun before all tests of this file and looked at after them: a
    call whose message never comes, a watch that takes nothing, a connection that says nothing."""

    def __init__(self, attacked):
        self.began = time.monotonic()
        self.call = Raw(attacked.address, timeout=30)
        self.call.send(frame(HEADERS, END_HEADERS, 1, request()))
        self.watch = open_stuck_watch(attacked, attacked.witness)
        host, port = attacked.address.rsplit(":", 1)
        self.silent = socket.create_connection((host, int(port)))

    def ends_within(self, raw, seconds):
        """The stream is ended by the server so long after the beginning, not with its connection."""
        while True:
            left = self.began + seconds + 5 - time.monotonic()
            raw.socket.settimeout(max(left, 0.5))
            got = raw.read_frame()
            assert got, "the connection ended instead"
            if got[0] == RST_STREAM:
                return

    def check(self):
        self.ends_within(self.call, RECEIVE_S)
        self.ends_within(self.watch, TAKE_S)
        self.silent.settimeout(1)
        assert self.silent.recv(1) == b""


def open_stuck_watch(attacked, member):
    """Of INITIAL_WINDOW_SIZE 0: nothing of a stream may be sent."""
    body = pb.WatchRequest(network_id=member.network.id).SerializeToString()
    signed = auth(member.key, "Watch", attacked.certificate, body)
    raw = Raw(attacked.address, settings=b"\0\4\0\0\0\0")
    raw.call(1, request(path=SERVICE + "Watch", extra=[
        ("veld-auth-bin", base64.b64encode(signed).decode().rstrip("="))]), message(body))
    return raw


@pytest.fixture(scope="module")
def victim(tmp_path_factory):
    made = Attacked(tmp_path_factory.mktemp("attacked"))
    waiting = Waiting(made)
    yield made
    waiting.check()
    assert made.server.stop() == 0
    assert "crashed" not in made.server.said()


@pytest.fixture
def attacked(victim):
    before = victim.memory()
    yield victim
    victim.check(before)


def send_on(raw, piece, first=b""):
    """First, and then the piece for as long as it is taken; True when the server has hung up."""
    end = time.monotonic() + SEND_S
    if not raw.try_send(first):
        return True
    while time.monotonic() < end:
        if not raw.try_send(piece):
            return True
    return False


both = pytest.mark.parametrize("ack", [True, False], ids=["settings-known", "settings-ignored"])


# ---- CVE-2023-1428: a header whose value is none of those there are, and then 8 KB ----

@both
@pytest.mark.parametrize("bad", [dict(te="x"), dict(te=""), dict(scheme="x"), dict(scheme=None),
                                 dict(extra=[("grpclb_client_stats", "x")])],
                         ids=["te-x", "te-empty", "scheme-x", "scheme-none", "lb-stats"])
@pytest.mark.parametrize("padding", [0, 1, 3, 9, 40], ids=lambda n: f"{n}k")
def test_a_header_that_aborts(attacked, bad, ack, padding):
    bad = dict(bad)
    bad["extra"] = [*bad.get("extra", []), *((f"x-{i}", "a" * 1000) for i in range(padding))]
    block = request(**bad)
    with Raw(attacked.address, ack=ack) as raw:
        raw.send(frame(HEADERS, END_HEADERS, 1, block[:16000])
                 + frame(DATA, END_STREAM, 1, message()))
    # The same in pieces, as others have it.
    with Raw(attacked.address, ack=ack) as raw:
        raw.try_send(frame(HEADERS, 0, 1, block[:1000]))
        for at in range(1000, len(block), 1000):
            raw.try_send(frame(CONTINUATION, 0, 1, block[at:at + 1000]))
        raw.try_send(frame(CONTINUATION, END_HEADERS, 1))


# ---- CVE-2023-32731, -32732 ----

def test_a_table_is_not_out_of_step_after_too_many_headers(attacked):
    """After a block that is too large nothing of that connection is believed any more."""
    with Raw(attacked.address) as raw:
        block = request(extra=[("x-big", "a" * 6000)]) + literal("x-in-table", "1", indexed=True)
        raw.send(frame(HEADERS, END_HEADERS | END_STREAM, 1, block))
        assert raw.is_closed()


def test_bad_base64_breaks_its_own_connection_at_most(attacked):
    with Coord(attacked.address, pem=attacked.pem) as other, Raw(attacked.address) as raw:
        other.hello()
        raw.call(1, request(extra=[("veld-auth-bin", "*not base64*")]))
        raw.call(3, request(extra=[("x-y-bin", "=====")]))
        assert other.hello().protocol == 1


# ---- CVE-2023-33953 ----

HUGE = {
    # A string of two gigabytes, announced.
    "literal": (frame(HEADERS, 0, 1, request() + b"\0" + text("x-a") + varint(1 << 31, 7)),
                frame(CONTINUATION, 0, 1, b"a" * 16000)),
    # An integer with zeros in front that never end.
    "integer": (frame(HEADERS, 0, 1, request() + b"\x00\x7f"),
                frame(CONTINUATION, 0, 1, b"\x80" * 16000)),
    # Small headers, for ever.
    "headers": (frame(HEADERS, 0, 1, request()), frame(CONTINUATION, 0, 1, literal("a", "b") * 100)),
    # One byte each: of 35 MB sent, 5 GB were made.
    "indexed": (frame(HEADERS, 0, 1, request() + literal("a", "b", indexed=True)),
                frame(CONTINUATION, 0, 1, b"\xbe" * 110)),
    "indexed-full": (frame(HEADERS, 0, 1, request() + literal("a", "b", indexed=True)),
                     frame(CONTINUATION, 0, 1, b"\xbe" * 16000)),
    "empty": (frame(HEADERS, 0, 1, request()), frame(CONTINUATION, 0, 1) * 500),
    # Sizes of the table.
    "table-sizes": (frame(HEADERS, 0, 1, request()), frame(CONTINUATION, 0, 1, b"\x20\x3f\xe1\x1f" * 100)),
}


@both
@pytest.mark.parametrize("kind", HUGE)
def test_headers_without_end(attacked, kind, ack):
    with Raw(attacked.address, ack=ack) as raw:
        assert send_on(raw, HUGE[kind][1], HUGE[kind][0])


def test_headers_without_end_on_many_connections(attacked):
    raws = [Raw(attacked.address, ack=False) for _ in range(50)]
    for raw in raws:
        raw.send(frame(HEADERS, 0, 1, request() + literal("a", "b", indexed=True)))
        for _ in range(3):
            raw.try_send(frame(CONTINUATION, 0, 1, b"\xbe" * 1000))
    attacked.check(attacked.memory() - GROWTH // 2)
    for raw in raws:
        raw.close()


def test_trailers_without_end(attacked):
    with Raw(attacked.address) as raw:
        raw.send(frame(HEADERS, END_HEADERS, 1, request()))
        assert send_on(raw, frame(CONTINUATION, 0, 1, literal("a", "b") * 100),
                       frame(HEADERS, END_STREAM, 1, literal("x", "y")))


# ---- CVE-2023-44487, and other frames that cost nothing ----

@both
def test_rapid_reset(attacked, ack):
    with Raw(attacked.address, ack=ack) as raw:
        end, stream, hung_up = time.monotonic() + SEND_S, 1, False
        while time.monotonic() < end and not hung_up:
            batch = b"".join(frame(HEADERS, END_HEADERS, s, request())
                             + frame(RST_STREAM, 0, s, b"\0\0\0\x08")
                             for s in range(stream, stream + 200, 2))
            stream += 200
            hung_up = not raw.try_send(batch)
        assert hung_up


@both
def test_streams_beyond_the_limit(attacked, ack):
    with Raw(attacked.address, ack=ack) as raw:
        raw.try_send(b"".join(frame(HEADERS, END_HEADERS, s, request()) for s in range(1, 4001, 2)))
        assert raw.is_closed()


@pytest.mark.parametrize("piece", [
    frame(PING, 0, 0, b"12345678"), frame(SETTINGS, 0, 0), frame(SETTINGS, ACK, 0),
    frame(PRIORITY, 0, 3, b"\0\0\0\0\x10"), frame(WINDOW_UPDATE, 0, 0, b"\0\0\0\1"),
    frame(0x7f, 0, 0, b"x" * 1000), frame(RST_STREAM, 0, 1, b"\0\0\0\x08"),
    frame(DATA, 0, 1, b""),
], ids=["ping", "settings", "settings-ack", "priority", "window", "unknown", "reset", "no-data"])
def test_a_flood_of_idle_frames(attacked, piece):
    with Raw(attacked.address) as raw:
        first = frame(HEADERS, END_HEADERS, 1, request()) if piece[3] == DATA else b""
        assert send_on(raw, piece * 500, first)


def test_settings_of_all_kinds(attacked):
    for kind in range(0, 10):
        for value in (0, 1, 0x7fffffff, 0xffffffff):
            setting = kind.to_bytes(2, "big") + value.to_bytes(4, "big")
            with Raw(attacked.address, settings=setting) as raw:
                raw.try_send(frame(HEADERS, END_HEADERS, 1, request())
                             + frame(DATA, END_STREAM, 1, message()))


# ---- Frames that are none ----

JUNK = [
    b"GET / HTTP/1.1\r\n\r\n", b"\0" * 1000, random.Random(1).randbytes(4096),
    frame(HEADERS, END_HEADERS, 0, request()), frame(HEADERS, END_HEADERS, 2, request()),
    frame(HEADERS, END_HEADERS | 0x20, 1, b"\0"), frame(HEADERS, END_HEADERS | 8, 1, b"\xff" + request()),
    frame(CONTINUATION, END_HEADERS, 1, request()), frame(DATA, END_STREAM, 9, b"x"),
    frame(RST_STREAM, 0, 0, b"\0\0\0\1"), frame(RST_STREAM, 0, 1, b"x"), frame(PING, 0, 0, b"x"),
    frame(SETTINGS, 0, 0, b"xxxxx"), frame(SETTINGS, ACK, 0, b"\0\3\0\0\0\1"),
    frame(WINDOW_UPDATE, 0, 0, b"\0\0\0\0"), frame(WINDOW_UPDATE, 0, 0, b"\x7f\xff\xff\xff") * 3,
    frame(GOAWAY, 0, 0, b"\0" * 8), frame(GOAWAY, 0, 0, b"x"), frame(5, END_HEADERS, 1, request()),
    b"\xff\xff\xff\0\0\0\0\0\1", frame(DATA, 8, 1, b"\xff" + b"x" * 10),
    frame(HEADERS, END_HEADERS, 1, b"\xff" * 100), frame(HEADERS, END_HEADERS, 1, b"\x80"),
    frame(HEADERS, END_HEADERS, 1, b"\x00\x85\xff\xff\xff\xff\xff\x00"),
    frame(HEADERS, END_HEADERS, 1, b""), frame(HEADERS, END_HEADERS, 1, literal("", "")),
    frame(HEADERS, END_HEADERS, 1, request() * 3),
    frame(HEADERS, END_HEADERS, 1, request(path=None)), frame(HEADERS, END_HEADERS, 1, request(path="")),
    frame(HEADERS, END_HEADERS, 1, request(path="//" + "\xff" * 10)),
    frame(HEADERS, END_HEADERS, 1, request(extra=[(":status", "200"), ("grpc-status", "x")])),
    frame(HEADERS, END_HEADERS, 1, request(extra=[("grpc-timeout", "99999999999999H")])),
    frame(HEADERS, END_HEADERS, 1, request(extra=[("grpc-encoding", "nonsense")])),
    frame(HEADERS, END_HEADERS, 1, request(extra=[("content-length", "-1"), ("UPPER", "x"), ("a b", "c")])),
    frame(HEADERS, END_HEADERS, 1, request()) + frame(HEADERS, END_HEADERS, 1, request()),
    frame(HEADERS, END_HEADERS, 1, request()) + frame(HEADERS, END_HEADERS | END_STREAM, 1, request()),
    frame(HEADERS, END_HEADERS, 1, request()) + frame(DATA, END_STREAM, 1, b"\0\xff\xff\xff\xff"),
    frame(HEADERS, END_HEADERS, 1, request()) + frame(DATA, END_STREAM, 1, b"\7" + message()[1:]),
    frame(HEADERS, END_HEADERS, 1, request()) + frame(DATA, END_STREAM, 1, message()[:3]),
    frame(HEADERS, END_HEADERS, 1, request()) + frame(DATA, END_STREAM, 1, message() * 3),
    frame(HEADERS, END_HEADERS | END_STREAM, 1, request()),
]


@pytest.mark.parametrize("junk", JUNK, ids=map(str, range(len(JUNK))))
def test_junk(attacked, junk):
    for ack in (True, False):
        with Raw(attacked.address, ack=ack) as raw:
            raw.try_send(junk)
            raw.try_send(frame(HEADERS, END_HEADERS, 5, request())
                         + frame(DATA, END_STREAM, 5, message()))
            raw.socket.settimeout(0.05)
            raw.is_closed()


def test_a_message_that_says_it_is_huge(attacked):
    with Raw(attacked.address) as raw:
        raw.send(frame(HEADERS, END_HEADERS, 1, request()))
        raw.send(frame(DATA, 0, 1, b"\0\x7f\xff\xff\xff" + b"x" * 16000))
        raw.settle()
        # As fast as the server lets it, which is what its windows are for.
        assert send_on(raw, frame(DATA, 0, 1, b"x" * 16000))


def test_many_messages_that_never_end(attacked):
    with Raw(attacked.address) as raw:
        for stream in range(1, 101, 2):
            raw.try_send(frame(HEADERS, END_HEADERS, stream, request())
                         + frame(DATA, 0, stream, b"\0\x00\x0f\xff\xff" + b"x" * 1000))
        assert raw.is_closed()


@both
def test_a_call_with_thousands_of_headers(attacked, ack):
    """Of one byte each, by the table."""
    with Raw(attacked.address, ack=ack) as raw:
        raw.try_send(frame(HEADERS, END_HEADERS, 1, request() + literal("a", "b", indexed=True)))
        block = request() + b"\xbe" * 3500
        assert send_on(raw, b"".join(frame(HEADERS, END_HEADERS, s, block) + frame(
            DATA, END_STREAM, s, message()) for s in range(3, 1003, 2)))


# ---- Connections ----

def test_connections_that_say_nothing(attacked):
    port = int(attacked.address.rsplit(":", 1)[1])
    silent = [socket.create_connection(("127.0.0.1", port)) for _ in range(300)]
    attacked.check(attacked.memory())
    for s in silent:
        s.close()


def test_junk_instead_of_tls(attacked):
    port = int(attacked.address.rsplit(":", 1)[1])
    for junk in (b"GET / HTTP/1.1\r\n\r\n", random.Random(2).randbytes(2000), b"\x16\x03\x01\xff\xff" + b"x" * 5000):
        with socket.create_connection(("127.0.0.1", port)) as s:
            s.sendall(junk)


def test_tls_without_http2(attacked):
    port = int(attacked.address.rsplit(":", 1)[1])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    for protocols in (["http/1.1"], ["h2", "http/1.1"], []):
        if protocols:
            context.set_alpn_protocols(protocols)
        try:
            with socket.create_connection(("127.0.0.1", port)) as tcp, context.wrap_socket(tcp) as s:
                s.sendall(b"GET / HTTP/1.1\r\n\r\n")
                s.settimeout(5)
                while s.recv(1000):
                    pass
        except (ssl.SSLError, OSError):
            pass


def test_more_connections_than_an_address_may_have(start):
    server = start("--max-per-address", "4")
    port = int(server.address.rsplit(":", 1)[1])

    def is_open(s):
        s.settimeout(0.3)
        try:
            return s.recv(1) != b""
        except TimeoutError:
            return True
        except ConnectionError:
            return False

    held = [socket.create_connection(("127.0.0.1", port), source_address=("127.0.0.9", 0))
            for _ in range(20)]
    time.sleep(0.2)
    assert sum(map(is_open, held)) == 4
    assert server.client().hello().protocol == 1, "others have their own"
    for s in held:
        s.close()
    assert "too many" in server.said() or "as many as it may" in server.said()


def test_no_descriptors_left(start, tmp_path):
    """CVE-2023-4785: it goes on when there is room again."""
    import resource
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    server = start()
    resource.prlimit(server.child(), resource.RLIMIT_NOFILE, (60, hard))
    port = int(server.address.rsplit(":", 1)[1])
    held = [socket.create_connection(("127.0.0.1", port)) for _ in range(100)]
    time.sleep(0.5)
    for s in held:
        s.close()
    time.sleep(0.3)
    assert server.client().hello(timeout=5).protocol == 1
    assert server.stop() == 0


def test_a_watch_that_does_not_read_holds_nobody_up(attacked):
    """Others are told all the same."""
    net = Network("stuck")
    with Coord(attacked.address, pem=attacked.pem) as client:
        client.create(net)
        stuck, reader = net.member("stuck"), net.member("reader")
        client.join(stuck)
        client.join(reader)
        with open_stuck_watch(attacked, stuck), client.watch(reader) as watch:
            watch.synced()
            for i in range(50):
                client.join(net.member(f"m-{i}"))
            seen = set()
            while len(seen) < 50:
                for m in watch.next(5).members:
                    seen.add(m.peer.record.signer)


def test_what_many_do_not_take_is_not_held_for_long(start):
    """Each is at a place of its own, so that none of it is shared: a list of revocations each."""
    server = start("--no-rate-limits")
    with Coord(server.address) as client:
        net = Network("hoarders")
        client.create(net)
        client.publish_revocations(net, net.revocations(
            [random.randbytes(32) for _ in range(4096)], kept=[random.randbytes(32)]))
        members = [net.member(f"m-{i}") for i in range(260)]
        revision = client.join(members[0]).revision
        for member in members[1:]:
            client.join(member)
        raws = [Raw(server.address, timeout=12, settings=b"\0\4\0\0\0\0") for _ in range(13)]
        for i, member in enumerate(members):
            body = pb.WatchRequest(network_id=net.id, from_revision=revision + i).SerializeToString()
            proof = base64.b64encode(auth(member.key, "Watch", client.certificate, body))
            raws[i % 13].call(2 * (i // 13) + 1, request(path=SERVICE + "Watch", extra=[
                ("veld-auth-bin", proof.decode().rstrip("="))]), message(body))
        assert raws[0].wait_for(RST_STREAM), "what is not taken is held as ever"
        for raw in raws:
            raw.close()
