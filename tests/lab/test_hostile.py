"""What a stranger or a bad peer can send, and what comes of it: a counted drop.

    machine-a  ----  machine-b  ----  mallory
      1.2.3.1     1.2.3.4   192.0.2.4   192.0.2.66
"""
import pytest

from net import DAEMON, LAB, PORT, eventually, toml
from pair import INNER

HEADER = "{type:02x}{flags:02x}{lane:02x}{version:02x}{index:08x}{counter:016x}"


def datagram(type, length, *, flags=0, lane=0, version=1, index=0x12345678, counter=0):
    head = HEADER.format(type=type, flags=flags, lane=lane, version=version, index=index,
                         counter=counter)
    return head + "5a" * (length - 16)


INITIATION, RESPONSE, COOKIE, DATA, RELAYED = 0xC1, 0xC2, 0xC3, 0xC4, 0xC5

# reason: the datagrams that must be counted under it, and nothing else
STRANGE = {
    "runt": ["", "c1", "c4" * 15, datagram(DATA, 16), datagram(DATA, 31),
             datagram(INITIATION, 191), datagram(RESPONSE, 103), datagram(COOKIE, 71)],
    "unknown_type": ["00" * 20, "01" * 100, "ff" * 1400, datagram(0xC0, 192),
                     datagram(0xC6, 100), "000100002112a443" + "00" * 12],
    "bad_version": [datagram(INITIATION, 192, version=0), datagram(DATA, 100, version=2)],
    "bad_header": [datagram(INITIATION, 192, flags=1), datagram(INITIATION, 192, lane=1),
                   datagram(INITIATION, 192, counter=1), datagram(RESPONSE, 104, counter=1),
                   datagram(COOKIE, 72, counter=1 << 63), datagram(DATA, 100, flags=0x10)],
    "bad_lane": [datagram(DATA, 100, lane=64), datagram(DATA, 100, lane=255)],
    "oversized": [datagram(INITIATION, 193), datagram(RESPONSE, 1000), datagram(COOKIE, 65000)],
    "unknown_index": [datagram(DATA, 32), datagram(DATA, 1400, lane=63, flags=0xf),
                      datagram(DATA, 65000, counter=(1 << 64) - 1)],
    "unknown_circuit": [datagram(RELAYED, 100), datagram(RELAYED, 48), datagram(RELAYED, 65000)],
    "bad_mac1": [datagram(INITIATION, 192), datagram(INITIATION, 192, index=0)],
}


@pytest.fixture
def mallory(up):
    mallory = up.net.machine("mallory")
    up.net.wire(up.b, mallory, ["192.0.2.4/24", "fd00:2::4/64"], ["192.0.2.66/24", "fd00:2::66/64"])
    up.clean = {m: lines for m, lines in up.clean.items() if m is not up.b}
    up.connected()
    return mallory


@pytest.mark.both_engines
@pytest.mark.parametrize("reason", STRANGE)
def test_strange_datagrams_are_counted_and_never_answered(up, mallory, reason):
    before = up.b.status()["drops"]
    answers = mallory.traffic("fire", "192.0.2.4", PORT, input="\n".join(STRANGE[reason]) + "\n")
    assert answers.stdout == "", "never an answer"

    def counted():
        now = up.b.status()["drops"]
        return {r: now[r] - before[r] for r in now if now[r] != before[r]}
    expected = {reason: len(STRANGE[reason])}
    eventually(lambda: counted() == expected, lambda: f"counted {counted()}, not {expected}")
    assert up.b.daemon.running() and up.a.pings("10.0.0.2") == 1


def test_responses_and_cookies_to_no_handshake_are_counted(up, mallory):
    before = up.b.status()["drops"]
    lines = [datagram(RESPONSE, 104), datagram(COOKIE, 72)]
    assert mallory.traffic("fire", "192.0.2.4", PORT, input="\n".join(lines) + "\n").stdout == ""

    def more():
        now = up.b.status()["drops"]
        return sum(now[r] - before[r] for r in now)
    eventually(lambda: more() == 2, "both counted")


def test_stranger_gets_silence(up, mallory):
    """A whole Veld machine that b does not know."""
    mallory.keygen()
    mallory.start(toml(
        [dict(name="machine-b", pubkey=up.keys[up.b], endpoint="192.0.2.4:51820",
              vpn_ip="10.0.0.2")],
        listen_addr="0.0.0.0:51820", vpn_ip="10.0.0.66/24", name="mallory"))
    assert mallory.pings("10.0.0.2", wait=1) == 0
    eventually(lambda: up.b.drops("unknown_peer") > 0, "counted")
    peer = mallory.peer("machine-b")
    assert peer["state"] != "active" and peer["rx_bytes"] == 0
    assert up.a.pings("10.0.0.2") == 1
    mallory.stop()


@pytest.mark.both_engines
@pytest.mark.parametrize("inner", [4, 6])
def test_spoofed_inner_source_delivers_nothing(up, inner):
    """a, which b trusts as 10.0.0.1 and fd0a::1 alone, speaks as others."""
    up.connected()
    false = {4: "10.0.0.99", 6: "fd0a::99"}[inner]
    target = INNER[inner][1]
    up.a.sh(f"ip addr add {false} dev veld0 {'nodad' if inner == 6 else ''}")
    counter = up.b.spawn_traffic("count", target, 9100)
    before = up.b.drops("bad_inner_source")
    up.a.run("ping", "-c3", "-i0.1", "-W1", "-I", false, target, check=False)
    up.a.run("/usr/bin/python3", "-c", SPEAK_AS, false, target, "9100")
    eventually(lambda: up.b.drops("bad_inner_source") >= before + 13, "all are counted")
    counter.stop()
    assert counter.out() == "ready\n0\n", "nothing is delivered"
    # The same words from the true address arrive, so the silence above means something.
    counter = up.b.spawn_traffic("count", target, 9100)
    up.a.run("/usr/bin/python3", "-c", SPEAK_AS, INNER[inner][0], target, "9100")
    counter.stop()
    assert counter.out() == "ready\n10\n"


SPEAK_AS = """
import socket, sys, time
s = socket.socket(socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET, socket.SOCK_DGRAM)
s.bind((sys.argv[1], 0))
for _ in range(10):
    s.sendto(b"x" * 100, (sys.argv[2], int(sys.argv[3])))
    time.sleep(0.01)
time.sleep(0.1)
"""


@pytest.mark.alone
@pytest.mark.both_engines
def test_garbage_flood_does_not_break_the_tunnel(up, mallory):
    flood = mallory.spawn("/usr/bin/python3", LAB / "traffic.py", "flood", "192.0.2.4", PORT, 4)
    answered = up.a.pings("10.0.0.2", count=20, interval=0.1, wait=1)
    sent = int(flood.finish())
    assert sent > 10_000
    assert answered >= 15, f"{answered} of 20 pings answered under {sent} garbage datagrams"
    assert up.b.daemon.running()
    assert up.a.pings("10.0.0.2", count=5, interval=0.1) == 5


def test_socket_is_closed_to_other_users(up):
    a = up.a
    assert a.run("stat", "-c", "%a", "/run/veld/veld.sock").stdout == "660\n"
    assert a.run("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups",
                 "/usr/bin/python3", "-c", ASK, check=False).stdout.startswith("PermissionError")
    # Even one who can open the socket is asked who they are.
    a.sh("chmod 777 /run/veld /run/veld/veld.sock")
    answer = a.run("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups",
                   "/usr/bin/python3", "-c", ASK).stdout
    assert " 200 " not in answer and "pubkey" not in answer
    assert " 200 " in a.run("/usr/bin/python3", "-c", ASK).stdout


ASK = """
import socket
s = socket.socket(socket.AF_UNIX)
s.settimeout(5)
try:
    s.connect("/run/veld/veld.sock")
    s.sendall(b"GET /v1/status HTTP/1.1\\r\\nHost: veld\\r\\nConnection: close\\r\\n\\r\\n")
    print(s.recv(65536).decode(errors="replace"))
except OSError as error:
    print(type(error).__name__, error)
"""


def test_strange_requests_to_the_socket_are_survived(up):
    a = up.a
    for request in (b"\0" * 5000, b"GET " + b"/" * 70000 + b" HTTP/1.1\r\n\r\n",
                    b"POST /v1/ping HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n{",
                    b"POST /v1/ping HTTP/1.1\r\nContent-Length: 3\r\n\r\n{{{",
                    b"GET /v1/nothing HTTP/1.1\r\n\r\n", b"DELETE /v1/status HTTP/1.1\r\n\r\n"):
        a.run("/usr/bin/python3", "-c", "import socket,sys\ns=socket.socket(socket.AF_UNIX)\n"
              "s.settimeout(1)\ns.connect('/run/veld/veld.sock')\n"
              "try:\n s.sendall(bytes.fromhex(sys.stdin.read()))\n s.recv(1000)\n"
              "except OSError: pass", input=request.hex())
    assert a.status()["pid"]
    up.connected()


def test_missing_privileges_are_one_clear_line(pair):
    pair.note()
    path = pair.a.write_config(pair.config(pair.a))
    done = pair.a.run("setpriv", "--bounding-set=-net_admin", DAEMON, "--config", path, check=False)
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert "CAP_NET_ADMIN" in done.stderr or "root" in done.stderr


def test_every_thread_keeps_few_privileges(up):
    """A thread that kept more would lend it to all: they share their memory."""
    up.connected()
    kept = 1 << 12 | 1 << 1  # CAP_NET_ADMIN, CAP_DAC_OVERRIDE
    tasks = up.a.sh(f"tail -n +1 /proc/{up.a.status()['pid']}/task/*/status").stdout
    threads = [dict(line.split(":\t", 1) for line in task.splitlines() if ":\t" in line)
               for task in tasks.split("==> ")[1:]]
    assert len(threads) >= 3
    for thread in threads:
        for held in ("CapPrm", "CapEff", "CapInh", "CapBnd", "CapAmb"):
            assert int(thread[held], 16) & ~kept == 0, (thread["Name"], held, thread[held])
        assert thread["NoNewPrivs"] == "1", thread["Name"]
