"""The quick start to the letter, and the commands around it.

    machine-a                              machine-b
      eth0 1.2.3.1  -----------------  eth0 1.2.3.4
"""
import json
import re

import pytest

from net import DAEMON, VELD, eventually

# As in the README, with another name, key and address in b's.
CONFIG_A = """\
# config.toml on machine A: static mode, no server
listen_addr = "0.0.0.0:51820"
vpn_ip = "10.0.0.1/24"
name = "machine-a"
[[peers]]
name = "machine-b"
pubkey = "{b}"
endpoint = "1.2.3.4:51820"
vpn_ip = "10.0.0.2"
"""
CONFIG_B = """\
listen_addr = "0.0.0.0:51820"
vpn_ip = "10.0.0.2/24"
name = "machine-b"
[[peers]]
name = "machine-a"
pubkey = "{a}"
endpoint = "1.2.3.1:51820"
vpn_ip = "10.0.0.1"
"""
KEY = re.compile(r"[A-Za-z0-9+/]{43}=")


@pytest.fixture
def two(net):
    a, b = net.machine("machine-a"), net.machine("machine-b")
    net.wire(a, b, ["1.2.3.1/24"], ["1.2.3.4/24"])
    return a, b


def stop_in_background(machine):
    machine.veld("down")
    eventually(lambda: "veld-daemon" not in machine.run("ps", "-eo", "comm=").stdout,
               f"the daemon of {machine.name} has ended")


@pytest.mark.both_engines
def test_quick_start(two):
    """veld-daemon --config config.toml on both; ping 10.0.0.2; ping machine-b.veld."""
    a, b = two
    before = {m: m.snapshot() for m in two}
    b_key = b.veld("keygen", b.dir / "identity").stdout.strip()
    a.write_config(CONFIG_A.format(b=b_key))

    # The first start makes a's identity and says its public key; a copies it to b's config.
    started = a.run(DAEMON, "--config", "config.toml")
    assert started.stdout.startswith("made a new identity: /var/lib/veld/identity\n")
    a_key = KEY.search(started.stdout)[0]
    assert a.run("stat", "-c", "%a", "/var/lib/veld", "/var/lib/veld/identity").stdout == "700\n600\n"
    b.write_config(f'identity = "{b.dir}/identity"\n' + CONFIG_B.format(a=a_key))
    b.run(DAEMON, "--config", "config.toml")

    assert a.pings("10.0.0.2") == 1, "the very first packet waits for its session"
    assert a.pings("machine-b.veld", count=3, interval=0.1) == 3
    assert b.pings("10.0.0.1") == 1
    assert b.pings("machine-a.veld") == 1

    for m in two:
        stop_in_background(m)
        m.sh("rm -rf /var/lib/veld")
        eventually(lambda: m.snapshot() == before[m],
                   lambda: f"{m.name} is as before: {set(m.snapshot()) ^ set(before[m])}")


def test_identity_that_is_named_but_missing_is_made_there(two):
    a, b = two
    key = b.veld("keygen", b.dir / "identity").stdout.strip()
    a.write_config('identity = "mine"\n' + CONFIG_A.format(b=key))
    started = a.run(DAEMON, "--config", "config.toml")
    assert started.stdout.startswith("made a new identity: mine\n")
    assert a.veld("pubkey", "mine").stdout == a.veld("pubkey").stdout
    stop_in_background(a)


def test_second_start_keeps_the_identity(two):
    a, b = two
    a.write_config(CONFIG_A.format(b=b.veld("keygen", b.dir / "identity").stdout.strip()))
    keys = []
    for _ in range(2):
        a.run(DAEMON, "--config", "config.toml")
        keys.append(a.veld("pubkey").stdout.strip())
        stop_in_background(a)
    assert KEY.fullmatch(keys[0])
    assert keys[0] == keys[1]


@pytest.mark.both_engines
def test_up_and_down(pair):
    """veld up waits until the daemon is really up, and says what it did."""
    a = pair.a
    pair.note()
    a.write_config(pair.config(a))
    done = a.veld("up", "--config", "config.toml")
    assert "veld0" in done.stdout and "10.0.0.1" in done.stdout
    assert a.addresses("veld0") == ["10.0.0.1/24", "fd0a::1/64"], "up when it returns"
    again = a.veld("up", "--config", "config.toml", check=False)
    assert "already" in (again.stdout + again.stderr)
    assert a.veld("status").returncode == 0
    a.veld("down")
    assert not a.has_interface()
    assert a.veld("status", check=False).returncode == 1
    down = a.veld("down", check=False)
    assert "not running" in (down.stdout + down.stderr)


def test_up_with_a_bad_config_says_why(pair):
    pair.note()
    pair.a.write_config(pair.config(pair.a, mtu=5))
    done = pair.a.veld("up", "--config", "config.toml", check=False)
    assert done.returncode == 1
    assert "config.toml:" in done.stderr and "mtu" in done.stderr


def test_second_daemon_on_the_same_socket_is_refused(up):
    before = up.a.snapshot()
    done = up.a.run(DAEMON, "--config", "config.toml", check=False)
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert up.a.snapshot() == before
    up.connected()


def test_daemons_side_by_side(up):
    """With their own state directory, socket and interface, in one namespace."""
    a = up.a
    text = up.config(a, name="second", interface="veld7", listen_addr="0.0.0.0:51999",
                     vpn_ip="10.7.0.1/24", dns={"mode": "off"},
                     peers=[dict(name="x", pubkey=up.keys[up.b], vpn_ip="10.7.0.2")])
    (a.dir / "second.toml").write_text(text)
    options = ["--state-dir", "/run/second", "--socket", "/run/second.sock"]
    a.run(DAEMON, "--config", "second.toml", *options)
    assert a.has_interface("veld7") and a.has_interface("veld0")
    assert a.veld("--socket", "/run/second.sock", "pubkey").stdout != a.veld("pubkey").stdout
    assert a.veld("pubkey", env={"VELD_SOCKET": "/run/second.sock"}).stdout \
        != a.veld("pubkey").stdout
    a.veld("--socket", "/run/second.sock", "down")
    eventually(lambda: not a.has_interface("veld7"), "the second one's interface is gone")
    a.sh("rm -rf /run/second")
    up.connected()


def test_daemons_side_by_side_use_the_wire(up):
    """On both machines: neither tunnel is a way for the other one."""
    options = ["--state-dir", "/run/second", "--socket", "/run/second.sock"]
    second = lambda m, *argv: m.veld("--socket", "/run/second.sock", *argv)
    status = lambda m: json.loads(second(m, "status", "--json").stdout)
    up.connected()
    keys = {}
    for m in (up.a, up.b):
        m.sh("mkdir -m 700 /run/second")
        keys[m] = m.veld("keygen", "/run/second/identity").stdout.strip()
    for n, (m, other) in enumerate([(up.a, up.b), (up.b, up.a)], 1):
        peer = dict(name="x", pubkey=keys[other], vpn_ip=f"10.7.0.{3 - n}",
                    endpoint=f"1.2.3.{4 if n == 1 else 1}:51999")
        (m.dir / "second.toml").write_text(up.config(
            m, name="second", interface="veld7", listen_addr="0.0.0.0:51999",
            vpn_ip=f"10.7.0.{n}/24", dns={"mode": "off"}, peers=[peer]))
        m.run(DAEMON, "--config", "second.toml", *options)
    eventually(lambda: up.a.pings("10.7.0.2", wait=1), "a ping through the second tunnel")
    for m in (up.a, up.b):
        assert "alias veld" in m.run("ip", "link", "show", "dev", "veld7").stdout
        wire = m.addresses("eth0")[0].split("/")[0]
        assert status(m)["reach"]["candidates"] == [f"{wire}:51999"]
        candidates = m.status()["reach"]["candidates"]
        assert not any(c.startswith("10.7.") for c in candidates), candidates
    up.a.pings("10.7.0.2", count=10, interval=0.2)
    assert status(up.a)["peers"][0]["endpoint"] == "1.2.3.4:51999"
    assert up.a.peer("machine-b")["endpoint"] == "1.2.3.4:51820"
    for m in (up.a, up.b):
        second(m, "down")
        eventually(lambda: not m.has_interface("veld7"), "the second one's interface is gone")
        m.sh("rm -rf /run/second")


def test_state_directory_that_cannot_be_made(pair):
    a = pair.a
    pair.note()
    a.write_config(pair.config(a))
    a.sh("mkdir /run/ro && mount -t tmpfs -o ro tmpfs /run/ro")
    done = a.veld("up", "--config", "config.toml", "--state-dir", "/run/ro/veld", check=False)
    assert done.returncode == 1
    assert "/run/ro/veld: Read-only file system" in done.stderr and "--state-dir" in done.stderr


def test_keygen_and_pubkey(pair):
    a = pair.a
    key = a.veld("keygen", "new").stdout.strip()
    assert KEY.fullmatch(key)
    assert a.run("stat", "-c", "%a", "new").stdout == "600\n"
    assert a.veld("pubkey", "new").stdout.strip() == key
    content = a.read("new")
    again = a.veld("keygen", "new", check=False)
    assert again.returncode != 0 and again.stdout == ""
    assert a.read("new") == content, "never overwrites"
    a.sh("chmod 644 new")
    refused = a.veld("pubkey", "new", check=False)
    assert refused.returncode != 0 and "600" in refused.stderr
    assert a.veld("version").stdout.strip()


def test_status(up):
    up.connected()
    lines = up.a.veld("status").stdout
    assert re.search(r"10\.0\.0\.2\S*\s+machine-b\s+active; direct 1\.2\.3\.4:51820", lines) or \
        re.search(r"10\.0\.0\.2.*machine-b.*active.*direct 1\.2\.3\.4:51820", lines), lines
    status = up.a.status()
    peer = up.a.peer("machine-b")
    assert status["version"] == 1
    assert up.a.run("cat", f"/proc/{status['pid']}/comm").stdout.startswith("veld-daemon")
    assert peer["state"] == "active" and peer["endpoint"] == "1.2.3.4:51820"
    assert peer["rx_bytes"] > 0 and peer["tx_bytes"] > 0 and peer["last_handshake"] > 0


def test_status_before_any_contact(pair):
    """One side alone: not connected, not healthy by pretence, and no error."""
    pair.note()
    pair.a.start(pair.config(pair.a))
    assert pair.a.peer("machine-b")["last_handshake"] == 0
    assert pair.a.veld("status").returncode == 0
    assert pair.a.pings("10.0.0.2", wait=1) == 0
    assert pair.a.peer("machine-b")["state"] == "connecting"
    assert pair.a.status()["health"] == []


def test_status_says_that_a_peer_does_not_answer(pair):
    pair.note()
    pair.a.start(pair.config(pair.a))
    pair.a.pings("10.0.0.2", wait=1)
    health = eventually(lambda: pair.a.status()["health"], "it is said", timeout=25)
    assert health[0].startswith("machine-b does not answer at 1.2.3.4:51820; ")
    assert "health: machine-b does not answer" in pair.a.veld("status").stdout
    pair.b.start(pair.config(pair.b))
    eventually(lambda: pair.a.peer("machine-b")["state"] == "active", "they talk", timeout=25)
    assert pair.a.status()["health"] == []


def test_peers_dump(up):
    up.connected()
    row = up.a.veld("peers", "--dump").stdout.splitlines()
    assert len(row) == 1
    key, name, addresses, endpoint, path, handshake, rx, tx, rtt = row[0].split("\t")
    assert (key, name, endpoint, path) == \
        (up.keys[up.b], "machine-b", "1.2.3.4:51820", "direct")
    assert "10.0.0.2" in addresses and "fd0a::2" in addresses
    assert int(handshake) > 0 and int(rx) > 0 and int(tx) > 0
    assert rtt == "-" or int(rtt) > 0
    assert "machine-b" in up.a.veld("peers").stdout


def test_veld_ping(up):
    done = up.a.veld("ping", "machine-b")
    assert re.search(r"pong from machine-b \(10\.0\.0\.2\) via direct 1\.2\.3\.4:51820 "
                     r"in [\d.]+ ?(ms|us|µs|s)", done.stdout), done.stdout
    assert up.a.veld("ping", "nobody", check=False).returncode != 0
    up.b.stop()
    assert up.a.veld("ping", "machine-b", check=False).returncode != 0


def test_a_long_wait_shows_on_a_terminal_alone(pair):
    pair.note()
    pair.a.start(pair.config(pair.a))
    argv = [VELD, "ping", "machine-b", "-c", "1"]
    piped = pair.a.run(*argv, check=False)
    assert piped.stderr.startswith("veld: no answer from machine-b") and not piped.stdout
    seen = pair.a.run("script", "-qec", " ".join(map(str, argv)), "/dev/null", check=False)
    assert seen.stdout.startswith("waiting for an answer.."), seen.stdout


@pytest.mark.parametrize("argv", [["--help"], ["up", "--help"], ["status", "--help"],
                                  ["keygen", "--help"]])
def test_help(pair, argv):
    assert "veld" in pair.a.veld(*argv).stdout.lower()


@pytest.mark.parametrize("argv", [["nonsense"], ["status", "--nonsense"], ["keygen"], []])
def test_wrong_usage(pair, argv):
    done = pair.a.veld(*argv, check=False)
    assert done.returncode != 0
    assert done.stderr.strip() or done.stdout.strip()


@pytest.mark.parametrize("argv, says", [
    (["--confg", "x"], "--confg: unknown option"),
    (["--config"], "--config: its value is missing"),
    (["x"], "x: too many arguments"),
    (["--log-level", "loud"], "use error, warn, info or debug"),
    (["--engine", "steam"], "use auto, io_uring or poll"),
])
def test_wrong_usage_of_the_daemon(pair, argv, says):
    pair.note()
    done = pair.a.run(DAEMON, *argv, check=False)
    assert done.returncode == 2
    assert says in done.stderr and done.stderr.endswith("; see: veld-daemon --help\n")
    assert len(done.stderr.splitlines()) == 1, done.stderr
