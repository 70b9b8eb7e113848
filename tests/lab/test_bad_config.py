"""Every mistake in a config: FILE:LINE, the key, exit 1, and nothing half made."""
import pytest

from net import DAEMON, eventually
from pair import remains

KEY = "{key}"  # b's
PEER = f'[[peers]]\nname = "machine-b"\npubkey = "{KEY}"\nendpoint = "1.2.3.4:51820"\n' \
       'vpn_ip = "10.0.0.2"\n'
TOP = 'listen_addr = "0.0.0.0:51820"\nvpn_ip = "10.0.0.1/24"\nname = "machine-a"\n'

# name: (config, line of the mistake, words of the message)
MISTAKES = {
    "not toml": (TOP + "what is this\n", 4, []),
    "unknown key": ('lisen_addr = "0.0.0.0:51820"\n' + TOP, 1, ["lisen_addr", "listen_addr"]),
    "unknown key of a peer": (TOP + PEER + 'endpont = "1.2.3.4:1"\n', 9, ["endpont", "endpoint"]),
    "unknown table": (TOP + PEER + "[dsn]\n", 9, ["dsn"]),
    "wrong type": (TOP + "mtu = \"big\"\n" + PEER, 4, ["mtu"]),
    "given twice": (TOP + 'name = "again"\n', 4, []),
    "no vpn_ip": ('listen_addr = "0.0.0.0:51820"\n' + PEER, 1, ["vpn_ip"]),
    "bad vpn_ip": (TOP.replace("10.0.0.1/24", "10.0.0.256/24") + PEER, 2, ["vpn_ip"]),
    "broadcast vpn_ip": (TOP.replace("10.0.0.1/24", "10.0.0.255/24") + PEER, 2, ["vpn_ip"]),
    "bad listen_addr": (TOP.replace("0.0.0.0:51820", "0.0.0.0") + PEER, 1, ["listen_addr"]),
    "bad port": (TOP.replace(":51820", ":70000") + PEER, 1, ["listen_addr"]),
    "bad name": (TOP.replace("machine-a", "machine a") + PEER, 3, ["name"]),
    "mtu too small": (TOP + "mtu = 100\n" + PEER, 4, ["mtu", "1280"]),
    "too many workers": (TOP + "workers = 1000\n" + PEER, 4, ["workers"]),
    "bad interface": (TOP + 'interface = "a/b"\n' + PEER, 4, ["interface"]),
    "unknown aead": (TOP + 'aead = "rot13"\n' + PEER, 4, ["aead"]),
    "unknown engine": (TOP + 'engine = "epoll"\n' + PEER, 4, ["engine", "io_uring", "poll"]),
    "unknown dns mode": (TOP + '[dns]\nmode = "some"\n' + PEER, 5, ["mode"]),
    "default route": (TOP + PEER + 'routes = ["0.0.0.0/0"]\n', 9, ["routes"]),
    "host bits in a route": (TOP + PEER + 'routes = ["192.168.1.1/24"]\n', 9,
                             ["routes", "192.168.1.0/24"]),
    "key too short": (TOP + PEER.replace(KEY, "abcd"), 6, ["pubkey"]),
    "unusable key": (TOP + PEER.replace(KEY, "A" * 43 + "="), 6, ["pubkey"]),
    "no key": (TOP + '[[peers]]\nname = "x"\nvpn_ip = "10.0.0.2"\n', 4, ["pubkey"]),
    "endpoint without port": (TOP + PEER.replace("1.2.3.4:51820", "1.2.3.4"), 7, ["endpoint"]),
    "endpoint by name": (TOP + PEER.replace("1.2.3.4:", "b.example:"), 7, ["endpoint"]),
    "endpoint in the tunnel": (TOP + PEER.replace("1.2.3.4", "10.0.0.9"), 7, ["endpoint"]),
    "endpoint of another family": (TOP + PEER.replace("1.2.3.4", "[fd00::1]"), 7, ["endpoint"]),
    "peer twice": (TOP + PEER + PEER.replace("10.0.0.2", "10.0.0.3")
                   .replace("machine-b", "machine-c"), 11, ["pubkey"]),
    "address twice": (TOP + PEER.replace("10.0.0.2", "10.0.0.1"), 8, ["vpn_ip"]),
    "name twice": (TOP + PEER.replace("machine-b", "machine-a"), 5, ["name"]),
    "overlapping routes": (TOP + 'routes = ["192.168.1.0/24"]\n' + PEER +
                           'routes = ["192.168.1.0/24"]\n', 10, ["routes"]),
    "identity that is missing": (TOP + 'identity = "nowhere/identity"\n' + PEER, None,
                                 ["identity"]),
    "identity open to others": (TOP + 'identity = "open"\n' + PEER, None, ["open", "600"]),
    "identity that is none": (TOP + 'identity = "noise"\n' + PEER, None, ["noise"]),
    "secret file missing": (TOP + 'network_secret_file = "nowhere"\n' + PEER, 4,
                            ["network_secret_file"]),
    "own key as a peer's": (TOP + PEER.replace(KEY, "{own}"), 6, ["key"]),
}


@pytest.fixture(scope="module")
def lone():
    from net import VELD, Net
    assert VELD.exists() and DAEMON.exists(), f"no {DAEMON}: run tools/build"
    with Net() as net:
        machine = net.machine("machine-a")
        own = machine.keygen()
        key = machine.veld("keygen", "other").stdout.strip()
        machine.sh("cp other open; chmod 644 open; head -c 64 /dev/urandom >noise; chmod 600 noise")
        yield machine, key, own


def unchanged(machine, before):
    eventually(lambda: not remains(machine, before), lambda: f"as before: {remains(machine, before)}", 3)


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistake_is_told_and_nothing_is_left(lone, mistake):
    machine, key, own = lone
    text, line, words = MISTAKES[mistake]
    machine.write_config(text.replace("{key}", key).replace("{own}", own))
    before = machine.snapshot()
    done = machine.run(DAEMON, "--config", "config.toml", check=False)
    assert done.returncode == 1, done.stderr
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1, done.stderr
    if line:
        assert f"config.toml:{line}:" in done.stderr, done.stderr
    for word in words:
        assert word in done.stderr, done.stderr
    unchanged(machine, before)


@pytest.mark.parametrize("config", ["nowhere.toml", "/"])
def test_config_that_cannot_be_read(lone, config):
    done = lone[0].run(DAEMON, "--config", config, check=False)
    assert done.returncode == 1
    assert config in done.stderr and len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("argv", [["--nonsense"], ["--config"], ["--log-level", "loud"], ["extra"]])
def test_wrong_usage(lone, argv):
    done = lone[0].run(DAEMON, *argv, check=False)
    assert done.returncode != 0 and done.stderr


def test_what_the_machine_refuses(net):
    """A good config that cannot be had: each is one line, and nothing is left."""
    machine = net.machine("machine-a")
    machine.keygen()
    key = machine.veld("keygen", "other").stdout.strip()
    machine.sh("ip link add br7 type bridge; ip link set br7 up; ip addr add 10.0.0.1/24 dev br7")
    holder = machine.spawn_traffic("count", "0.0.0.0", 51820)
    good = TOP + PEER.replace("{key}", key)
    for text, word in ((good, "51820"), (good.replace(":51820\"\nvpn", ":51821\"\nvpn"), "10.0.0.1"),
                       ('interface = "br7"\n' + good.replace("51820\"\nvpn", "51821\"\nvpn"), "br7"),
                       (good.replace("0.0.0.0:51820", "9.9.9.9:51821"), "9.9.9.9")):
        machine.write_config(text)
        before = machine.snapshot()
        done = machine.run(DAEMON, "--config", "config.toml", check=False)
        assert done.returncode == 1, word
        assert word in done.stderr and len(done.stderr.splitlines()) == 1, done.stderr
        unchanged(machine, before)
    holder.stop()
