"""How the server begins: what it says, and what it refuses to begin with."""
import json
import os
import re
import socket
import stat
import subprocess
import time
import urllib.request

import pytest

from client import Coord, Network, certificate_of
from server import LISTENING, Server, run


def test_hello(coord):
    reply = coord.hello()
    assert reply.protocol == 1
    assert reply.version
    assert abs(reply.time_ns - time.time_ns()) < 5e9


def test_it_says_what_to_pin_and_what_to_type(start):
    server = start(listen=":0")
    first, then = server.out.read_text().splitlines()
    match = LISTENING.match(first)
    port = match[1].removeprefix("[::]:")
    assert match[1] == f"[::]:{port}"
    assert then == f"next, on each machine: veld login --coord YOUR-SERVER:{port}"


def test_it_listens_on_both_families(start):
    server = start(listen=":0")
    port = server.address.rsplit(":", 1)[1]
    pins = set()
    for host in ("127.0.0.1", "[::1]"):
        with Coord(f"{host}:{port}") as client:
            assert client.hello().protocol == 1
            pins.add(client.certificate)
    assert len(pins) == 1


def test_an_address_of_its_own(start):
    server = start(listen="127.0.0.2:0")
    assert server.address.startswith("127.0.0.2:")
    port = int(server.address.rsplit(":", 1)[1])
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=2)


def test_the_database_is_its_owner_s_alone(shared):
    assert stat.S_IMODE(os.stat(shared.db).st_mode) == 0o600


# ---- What is wrong ----

def fails(*argv):
    done = run(*argv)
    assert done.returncode == 1 and done.stdout == "", (done.returncode, done.stdout)
    assert done.stderr.startswith("veld-coord: ") and done.stderr.count("\n") == 1, done.stderr
    return done.stderr


def test_a_second_server_of_a_database_is_refused(shared):
    assert "another veld-coord serves the database" in fails(
        "--listen", "127.0.0.1:0", "--db", shared.db)


def test_a_port_in_use_is_told(shared, tmp_path):
    assert "another program has that port" in fails(
        "--listen", shared.address, "--db", tmp_path / "db")
    assert "another program has that port" in fails(
        "--listen", "127.0.0.1:0", "--db", tmp_path / "db", "--metrics", shared.address)
    assert not list(tmp_path.iterdir())  # no database was begun


def test_a_newer_version_s_database_is_left_alone(start):
    server = start()
    server.stop()
    data = server.db.read_bytes()
    # Magic and version, as registry/load.c has them.
    at = data.index(b"veld-coord database ")
    version = data.index((1).to_bytes(4, "little"), at)
    for name in ("peers.db", "newer.db"):
        newer = bytearray(data)
        end = 0
        while (found := newer.find(data[at:version + 4], end)) >= 0:
            newer[found + version - at] = 9
            end = found + 1
        (server.folder / name).write_bytes(newer)
    text = fails("--listen", "127.0.0.1:0", "--db", server.db)
    assert "newer" in text
    assert server.db.read_bytes() == (server.folder / "newer.db").read_bytes()


def test_what_is_no_database_is_told(tmp_path):
    (tmp_path / "db").write_bytes(b"not a database" * 1000)
    assert "is no database of veld-coord" in fails("--listen", "127.0.0.1:0", "--db", tmp_path / "db")
    assert "is no database of veld-coord" in fails("fingerprint", "--db", tmp_path / "db")
    assert [f.name for f in tmp_path.iterdir()] == ["db"]  # nothing beside it
    assert "no-such" in fails("--listen", "127.0.0.1:0", "--db", tmp_path / "no-such" / "db")


def test_a_certificate_that_is_none_is_told(tmp_path):
    (tmp_path / "cert").write_text("nothing")
    text = fails("--listen", "127.0.0.1:0", "--db", tmp_path / "db",
                 "--tls-cert", tmp_path / "cert", "--tls-key", tmp_path / "key")
    assert str(tmp_path / "key") in text
    assert [f.name for f in tmp_path.iterdir()] == ["cert"]


@pytest.mark.parametrize("argv", [[], ["--db"], ["--db", "x", "--listen", "nowhere"], ["frobnicate"],
                                  ["--db", "x", "--log-format", "xml"], ["--frobnicate"]])
def test_wrong_usage_is_2(argv):
    done = run(*argv)
    assert done.returncode == 2 and "see: veld-coord --help" in done.stderr


def test_help_and_version():
    assert "usage: veld-coord" in run("--help").stdout
    assert run("--version").stdout.startswith("veld-coord ")


# ---- Certificates of one's own ----

def openssl(*argv):
    subprocess.run(["openssl", *map(str, argv)], check=True, capture_output=True)


@pytest.mark.parametrize("key", ["rsa:2048", "ec"])
def test_a_certificate_of_one_s_own(start, tmp_path, key):
    cert, key_file = tmp_path / "cert.pem", tmp_path / "key.pem"
    how = ["-newkey", key, *(["-pkeyopt", "ec_paramgen_curve:P-256"] if key == "ec" else [])]
    openssl("req", "-x509", *how, "-nodes", "-keyout", key_file, "-out", cert, "-days", 1,
            "-subj", "/CN=coord.example", "-addext", "subjectAltName=DNS:veld-coord")
    server = start("--tls-cert", cert, "--tls-key", key_file)
    pem, _ = certificate_of(server.address)
    assert pem.split() == cert.read_text().split()
    assert server.client().hello().protocol == 1
    server.stop()
    assert "no certificate yet" in fails("fingerprint", "--db", server.db)


# ---- What it tells of itself ----

def test_fingerprint(shared):
    done = run("fingerprint", "--db", shared.db)
    assert done.returncode == 0 and done.stdout.strip() == shared.fingerprint
    import base64
    digest = base64.b64encode(certificate_of(shared.address)[1]).decode().rstrip("=")
    assert shared.fingerprint == "SHA256:" + digest


def test_health(shared, coord):
    assert coord.health() == "SERVING"
    assert coord.health("veld.coord.v1.Coord") == "SERVING"
    done = run("health", "--connect", shared.address)
    assert (done.returncode, done.stdout) == (0, "serving\n")


def test_no_server_is_no_health():
    with socket.create_server(("127.0.0.1", 0)) as unused:
        address = "127.0.0.1:%d" % unused.getsockname()[1]
    assert fails("health", "--connect", address) == (
        f"veld-coord: no coord server answers at {address}: the connection is refused\n")


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as unused:
        return unused.getsockname()[1]


def metrics(port):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
        assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
        lines = answer.read().decode().splitlines()
    values = dict(re.fullmatch(r"(\w+(?:\{\w+=\"[^\"]*\"\})?) (\d+)", line).groups()
                  for line in lines if not line.startswith("#"))
    return {name: int(value) for name, value in values.items()}


def test_metrics(start):
    port = free_port()
    server = start("--metrics", f"127.0.0.1:{port}")
    client = server.client()
    net = Network()
    client.create(net)
    member = net.member("laptop")
    client.join(member)
    with client.watch(member) as watch:
        watch.synced()
        end = time.monotonic() + 5
        while time.monotonic() < end:
            seen = metrics(port)
            if seen["veld_watches_open"] == 1 and seen["veld_members_online"] == 1:
                break
            time.sleep(0.1)
    assert seen["veld_networks"] == seen["veld_members"] == 1
    assert seen["veld_watches_open"] == seen["veld_members_online"] == 1
    assert seen["veld_connections_open"] >= 1 and seen["veld_commits_total"] >= 2
    for path, code in (("/", 404), ("/metrics/x", 404)):
        with pytest.raises(urllib.error.HTTPError) as why:
            urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5)
        assert why.value.code == code
    assert f"event=metrics address=127.0.0.1:{port}\n" in server.said()
    assert server.stop() == 0


def test_log_as_text(shared):
    for line in shared.said().splitlines():
        assert re.fullmatch(r'\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (error|warn |info |debug) '
                            r'event=[a-z-]+( \w+=("([^"\\]|\\.)*"|[^" ]+))*', line), line


def test_log_as_json(start):
    server = start("--log-format", "json")
    client = server.client()
    net = Network("logged")
    client.create(net)
    member = net.member("laptop")
    client.join(member)
    server.stop()
    events = [json.loads(line) for line in server.said().splitlines()]
    assert all({"time", "level", "event"} <= set(e) for e in events)
    listening = next(e for e in events if e["event"] == "listening")
    assert listening["certificate"] == server.fingerprint
    audited = [e for e in events if e["event"] == "audit"]
    assert [(e["act"], e["network"]) for e in audited] == [("create-network", "logged"), ("join", "logged")]
    assert audited[1]["name"] == "laptop" and audited[1]["from"] == "127.0.0.1"
    text = server.said()
    for secret in (net.owner.seed, member.key.seed):
        assert secret.hex() not in text
    assert "PRIVATE" not in text
