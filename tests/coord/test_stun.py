"""STUN as veld-coord answers it (RFC 8489), asked by a client written from the RFC."""
import os
import re
import socket
import struct
import time
import urllib.request

import pytest

from server import run

COOKIE = 0x2112A442
PADDING = struct.pack(">HH", 0x8022, 40) + b"x" * 40  # SOFTWARE, which need not be understood


def request(attributes=PADDING, method=1, cookie=COOKIE, txid=None):
    txid = txid or os.urandom(12)
    return struct.pack(">HHI", method, len(attributes), cookie) + txid + attributes


def mapped(answer, txid):
    """The address and port in a Binding success response."""
    kind, length, cookie = struct.unpack(">HHI", answer[:8])
    assert (kind, cookie) == (0x0101, COOKIE)
    assert answer[8:20] == txid
    assert len(answer) == 20 + length
    attribute, size, family, port = struct.unpack(">HHxBH", answer[20:28])
    assert attribute == 0x0020
    mask = answer[4:8] + txid
    address = bytes(a ^ b for a, b in zip(answer[28:24 + size], mask))
    return (socket.inet_ntop({1: socket.AF_INET, 2: socket.AF_INET6}[family], address),
            port ^ (COOKIE >> 16))


def udp(family=socket.AF_INET, bind=None, timeout=5):
    s = socket.socket(family, socket.SOCK_DGRAM)
    s.bind((bind or ("127.0.0.1" if family == socket.AF_INET else "::1"), 0))
    s.settimeout(timeout)
    return s


def ask(s, to, message):
    """The answer; None when none has come although a later question was answered."""
    other = request()
    s.sendto(message, to)
    s.sendto(other, to)
    first, sender = s.recvfrom(2048)
    assert sender[:2] == to[:2]
    if first[8:20] == other[8:20]:
        return None
    s.recvfrom(2048)
    return first


@pytest.fixture
def at(coord):
    host, port = coord.address.rsplit(":", 1)
    return host, int(port)


@pytest.fixture
def coord(start):
    return start()


def test_it_tells_where_one_comes_from(at):
    with udp() as s:
        message = request()
        answer = ask(s, at, message)
        assert mapped(answer, message[8:20]) == s.getsockname()


def test_both_families_and_the_address_that_was_asked(start):
    port = int(start(listen=":0").address.rsplit(":", 1)[1])
    for family, own, to in ((socket.AF_INET, "127.0.0.1", "127.0.0.1"),
                            (socket.AF_INET, "127.0.0.5", "127.0.0.9"),
                            (socket.AF_INET6, "::1", "::1")):
        with udp(family, own) as s:
            message = request()
            s.connect((to, port))  # takes nothing that comes from another address
            s.send(message)
            assert mapped(s.recv(2048), message[8:20]) == s.getsockname()[:2]


SHORTER = struct.pack(">HH", 0x8022, 4) + b"xxxx"  # 28 bytes in all, and the answer has 32


@pytest.mark.parametrize("message", [
    pytest.param(request(b""), id="an answer would be longer"),
    pytest.param(request(SHORTER), id="by four bytes"),
    pytest.param(request(cookie=COOKIE ^ 1), id="another cookie"),
    pytest.param(request(method=0x0011), id="an indication"),
    pytest.param(request(method=0x0101), id="a response"),
    pytest.param(request(method=0x0003), id="Allocate"),
    pytest.param(request(struct.pack(">HH", 0x0003, 4) + b"\0\0\0\6" + PADDING),
                 id="CHANGE-REQUEST, which would send the answer from elsewhere"),
    pytest.param(request(struct.pack(">HH", 0x0008, 20) + b"x" * 20 + PADDING), id="credentials"),
    pytest.param(request(struct.pack(">HH", 0x8022, 41) + b"x" * 40), id="beyond its end"),
    pytest.param(request()[:-4], id="cut"),
    pytest.param(request(struct.pack(">HH", 0x8022, 1200) + b"x" * 1200), id="too long"),
    pytest.param(b"", id="nothing"),
    pytest.param(b"\0\1", id="two bytes"),
])
def test_what_is_not_answered(at, message):
    with udp() as s:
        assert ask(s, at, message) is None


def test_no_more_than_it_was_asked(start):
    """A flood from one address ends at its allowance, and the others have theirs."""
    host, port = start("--metrics", "127.0.0.1:0").address.rsplit(":", 1)
    sent = received = 0
    with udp(bind="127.0.0.1") as s, udp(bind="127.0.0.2") as other:
        s.setblocking(False)
        for _ in range(1000):
            message = request()
            sent += s.sendto(message, (host, int(port)))
        deadline = time.monotonic() + 2
        while time.monotonic() < deadline:
            try:
                received += len(s.recv(2048))
            except BlockingIOError:
                time.sleep(0.01)
        answers = received // 32
        assert 100 <= answers < 200
        assert received < sent
        message = request()
        other.sendto(message, (host, int(port)))
        assert mapped(other.recv(2048), message[8:20]) == other.getsockname()


def test_what_became_of_requests_is_counted(start):
    server = start("--metrics", "127.0.0.1:0")
    metrics = re.search(r"metrics.*address=(\S+)", server.said())[1]
    host, port = server.address.rsplit(":", 1)
    with udp() as s:
        assert ask(s, (host, int(port)), request(b"")) is None
    text = urllib.request.urlopen(f"http://{metrics}/metrics", timeout=5).read().decode()
    assert 'veld_stun_requests_total{result="answered"} 1\n' in text
    assert 'veld_stun_requests_total{result="dropped"} 1\n' in text


def test_elsewhere_or_nowhere(start):
    server = start("--stun", "127.0.0.1:0")
    at = re.search(r"stun .*address=(\S+):(\d+)", server.said())
    with udp() as s:
        message = request()
        answer = ask(s, (at[1], int(at[2])), message)
        assert mapped(answer, message[8:20]) == s.getsockname()
    server = start("--stun", "off", db="other.db")
    host, port = server.address.rsplit(":", 1)
    with udp() as s:
        s.connect((host, int(port)))
        s.send(request())
        with pytest.raises(ConnectionRefusedError):
            s.recv(2048)


def test_a_port_that_another_program_has(start, tmp_path):
    with udp(bind="127.0.0.1") as taken:
        port = taken.getsockname()[1]
        result = run("--listen", "127.0.0.1:0", "--db", tmp_path / "x.db", "--no-supervise",
                     "--stun", f"127.0.0.1:{port}")
        assert result.returncode == 1
        assert f"cannot listen on 127.0.0.1:{port}/udp: another program has that port" in \
            result.stderr
        assert not (tmp_path / "x.db").exists()
        server = start(listen=f"127.0.0.1:{port}")  # nobody asked for it: it serves without
        assert "no-stun" in server.said()
        assert server.client().hello().protocol == 1


def test_what_stun_is_not_told(tmp_path):
    result = run("--db", tmp_path / "x.db", "--stun", "here")
    assert result.returncode == 2
    assert "--stun here: not an address and port" in result.stderr
