"""veld login: whom a certificate is trusted from, and what is kept of it."""
import json
import os
import socket
import ssl
import subprocess
import tempfile
import threading
import time
from base64 import b64encode
from hashlib import sha256
from pathlib import Path

import pytest

from client import pb
from server import run as veld_coord
from veld_cli import Machine

OTHER = "SHA256:" + "A" * 43


def logged_in(m):
    return json.loads((m.state / "coord.json").read_text())


def test_by_fingerprint(shared, machine):
    m = machine("a")
    done = m.veld("login", "--coord", shared.address, "--fingerprint", shared.fingerprint)
    assert f"logged in to {shared.address}" in done.stdout and "(pinned)" in done.stdout
    assert logged_in(m)["address"] == shared.address
    assert (m.state / "coord.json").stat().st_mode & 0o777 == 0o600
    assert m.state.stat().st_mode & 0o777 == 0o700


def test_another_fingerprint_is_refused_and_nothing_is_kept(shared, machine):
    m = machine("a")
    line = m.fails("login", "--coord", shared.address, "--fingerprint", OTHER)
    assert shared.fingerprint in line and OTHER in line
    assert "is no fingerprint" in m.fails("login", "--coord", shared.address, "--fingerprint", "x",
                                            code=2)
    assert "is no address of a server" in m.fails("login", "--coord", "a b", code=2)
    assert not (m.state / "coord.json").exists()


def test_nobody_to_ask(shared, machine):
    m = machine("a")
    line = m.fails("login", "--coord", shared.address)
    assert "no terminal" in line and "--fingerprint" in line and shared.fingerprint in line
    assert not (m.state / "coord.json").exists()


@pytest.mark.parametrize("answer, status", [("y\n", 0), ("yes\n", 0), ("n\n", 1), ("\n", 1)])
def test_asks_once(shared, machine, answer, status):
    m = machine("a")
    with m.terminal("login", "--coord", shared.address) as terminal:
        said = terminal.read_until("Trust it? [y/N] ")
        assert f"The certificate of {shared.address} is\n  {shared.fingerprint}\n" in said
        terminal.type(answer)
        assert terminal.wait() == status, terminal.said
    assert (m.state / "coord.json").exists() == (status == 0)
    if status == 0:
        with m.terminal("login") as terminal:
            assert terminal.wait() == 0
            assert "Trust it?" not in terminal.said and "already logged in" in terminal.said


def test_again_without_asking(shared, machine):
    m = machine("a")
    m.login(shared)
    for how in (["login", "--coord", shared.address], ["login"]):
        assert f"already logged in to {shared.address}" in m.veld(*how).stdout


def test_a_changed_certificate_is_told_and_accepted_by_name_alone(start, machine):
    server, m = start(), machine("a")
    before = server.fingerprint
    m.veld("login", "--coord", server.address, "--fingerprint", before)
    m.up()
    server.stop()
    for path in server.folder.glob("peers.db*"):
        path.unlink()
    server.start()
    assert server.fingerprint != before
    line = m.fails("login")
    assert before in line and f"--fingerprint {server.fingerprint}" in line
    with m.terminal("login") as terminal:  # nor is anybody asked
        assert terminal.wait() == 1
    done = m.veld("login", "--fingerprint", server.fingerprint)
    assert f"network {m.network} goes by the new certificate" in done.stdout
    kept = json.loads(m.file("coord.json").read_text())
    assert kept["certificate"] == logged_in(m)["certificate"]


def test_another_server_may_be_logged_in_to(start, machine):
    first, second, m = start(), start(db="second.db"), machine("a")
    for server in (first, second):
        m.veld("login", "--coord", server.address, "--fingerprint", server.fingerprint)
        assert logged_in(m)["address"] == server.address


def test_by_ca(start, machine, ca, tmp_path):
    server = start("--tls-cert", ca / "server.pem", "--tls-key", ca / "server.key")
    port = server.address.rsplit(":", 1)[1]
    m = machine("a")
    done = m.veld("login", "--coord", f"localhost:{port}", "--ca", ca / "ca.pem")
    assert "(by its CA)" in done.stdout
    assert logged_in(m)["ca"] == str(ca / "ca.pem")
    assert "(by its CA)" in m.veld("login").stdout, "the CA is not kept"
    m.fails("login", "--coord", server.address, "--ca", ca / "ca.pem")  # not the name it bears
    other = tmp_path / "other.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ed25519", "-nodes", "-subj", "/CN=other",
                    "-keyout", tmp_path / "other.key", "-out", other], check=True,
                   capture_output=True)
    m.fails("login", "--coord", f"localhost:{port}", "--ca", other)
    other.write_text("no certificate")
    assert "no certificate in PEM" in m.fails("login", "--coord", f"localhost:{port}", "--ca", other)


def test_no_server(machine):
    m = machine("a")
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        line = m.fails("login", "--coord", "127.0.0.1:%d" % s.getsockname()[1],
                       "--fingerprint", OTHER)
    assert "127.0.0.1" in line


def test_a_wait_is_seen_on_a_terminal_and_nowhere_else(machine):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = "127.0.0.1:%d" % silent.getsockname()[1]
        m = machine("a")
        with m.terminal("login", "--coord", address) as terminal:
            terminal.read_until("waiting for the coord server..")
        with m.start("login", "--coord", address) as process:
            time.sleep(3.5)
            process.kill()
            assert "waiting" not in process.stdout.read()


def test_a_server_that_is_none(machine, ca):
    """TLS, the right fingerprint, and no coord server behind: nothing is kept."""
    m = machine("a")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(ca / "server.pem", ca / "server.key")
    context.set_alpn_protocols(["h2"])
    listener = socket.create_server(("127.0.0.1", 0))

    def serve():
        while True:
            try:
                tcp, _ = listener.accept()
            except OSError:
                return
            try:
                with context.wrap_socket(tcp, server_side=True) as tls:
                    tls.recv(1024)
                    tls.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            except OSError:
                pass

    threading.Thread(target=serve, daemon=True).start()
    pem = (ca / "server.pem").read_text()
    shown = b64encode(sha256(ssl.PEM_cert_to_DER_cert(pem)).digest()).decode().rstrip("=")
    m.fails("login", "--coord", "127.0.0.1:%d" % listener.getsockname()[1],
            "--fingerprint", "SHA256:" + shown)
    listener.close()
    assert not (m.state / "coord.json").exists()


def test_the_printed_fingerprint_is_the_one_that_is_shown(shared):
    done = veld_coord("fingerprint", "--db", shared.db)
    assert shared.fingerprint in done.stdout


def hello(**fields):
    return lambda _: pb.HelloReply(**{"version": "9.9", "protocol": 1,
                                      "time_ns": time.time_ns(), **fields})


def test_another_protocol_is_told(liar, machine):
    server, m = liar(Hello=hello(protocol=7)), machine("a")
    line = m.fails("login", "--coord", server.address, "--fingerprint", server.fingerprint)
    assert "speaks protocol 7" in line and "9.9" in line
    assert not (m.state / "coord.json").exists()


def test_a_wrong_clock_is_told(liar, machine):
    ahead = [3600]
    server = liar(Hello=lambda _: pb.HelloReply(
        version="9.9", protocol=1, time_ns=time.time_ns() + ahead[0] * 10**9))
    m = machine("a")
    done = m.veld("login", "--coord", server.address, "--fingerprint", server.fingerprint)
    assert f"the clock of {server.address} is 3600 s ahead of this machine's" in done.stderr \
        or f"the clock of {server.address} is 3599 s ahead of this machine's" in done.stderr
    assert "set both clocks right" in done.stderr
    ahead[0] = -30
    done = m.veld("login")
    assert "s behind this machine's\n" in done.stderr
    ahead[0] = 1
    assert "clock" not in m.veld("login").stderr


def test_what_a_server_says_is_cleared_of_control_characters(liar, machine):
    server, m = liar(Hello=hello(version="\x1b[2Jevil\n", protocol=7)), machine("a")
    line = m.fails("login", "--coord", server.address, "--fingerprint", server.fingerprint)
    assert "\x1b" not in line and "speaks protocol 7" in line


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to be somebody else")
def test_as_a_user_it_is_the_users_own(shared):
    with tempfile.TemporaryDirectory(prefix="veld-test-user.") as folder:
        os.chmod(folder, 0o755)
        m = Machine(Path(folder), "a", "mynet")
        home = Path(folder) / "home"
        home.mkdir()
        os.chown(home, 65534, 65534)
        env = {k: v for k, v in m.env().items() if k not in ("VELD_STATE_DIR", "XDG_STATE_HOME")}
        env["HOME"] = str(home)

        def as_user(*args):
            return subprocess.run(m.argv(*args), env=env, user=65534, group=65534,
                                  extra_groups=[], capture_output=True, text=True)

        login = ["login", "--coord", shared.address, "--fingerprint", shared.fingerprint]
        done = as_user(*login)
        assert done.returncode == 0, done.stderr
        assert (home / ".local/state/veld/coord.json").exists()
        assert f"sudo veld login --coord {shared.address}" in done.stdout
        done = as_user(*login, "--state-dir", "/var/lib/veld-of-root")
        assert done.returncode == 1 and "run this with sudo" in done.stderr
        done = as_user("token", "create")
        assert done.returncode == 1 and "use sudo" in done.stderr
        done = as_user("up", "--network", "mynet")
        assert done.returncode == 1 and "sudo" in done.stderr
