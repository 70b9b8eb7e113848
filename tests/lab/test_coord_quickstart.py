"""The coord mode as a newcomer types it. coord.py draws the topology."""
import re

import pytest

from coord import NETWORK, SERVER, STATE, Coord
from net import VELD, eventually


def make(net, request, names):
    mesh = Coord(net, names)
    yield mesh
    if getattr(request.node, "failed", False):
        mesh.tell()
    mesh.stop()


@pytest.fixture
def mesh(net, request):
    yield from make(net, request, ["first", "second", "third"])


@pytest.fixture
def five(net, request):
    yield from make(net, request, ["first", "b", "c", "d", "e"])


def command_after(text, label, count=1):
    """What stands behind "there:" or "here:" in what `veld up` said, the lines that it goes on for."""
    lines = text.splitlines()
    at = [i for i, line in enumerate(lines) if line.strip().startswith(label)][count - 1]
    words = lines[at].split(":", 1)[1].strip()
    while words.endswith("&&"):
        at += 1
        words += " " + lines[at].strip()
    return words


def typed(machine, command, **options):
    """A command as it stands there, run by a shell that knows veld; its user is root already."""
    return machine.sh(command.replace("sudo ", "").replace("veld ", f"{VELD} "), **options)


def test_two_machines(mesh):
    first, second = mesh["first"], mesh["second"]
    refused = first.veld("login", "--coord", SERVER, check=False)
    assert refused.returncode != 0 and "--fingerprint" in refused.stderr
    mesh.login("first")
    said = first.veld("up", "--network", NETWORK).stdout
    assert f"network {NETWORK} was made" in said
    token = typed(first, command_after(said, "here")).stdout.strip()
    said = typed(second, command_after(said, "there").replace("TOKEN", token)).stdout
    assert "this machine is second" in said
    mesh.reaches("second", "first.veld")
    mesh.reaches("first", "second.veld")
    mesh.reaches("first", f"second.{NETWORK}.veld")
    mesh.reaches("second", mesh.address("first", 6))
    for name, peer in (("first", "second"), ("second", "first")):
        assert mesh.sees(name, peer)["state"] == "active"
        mesh.healthy(name)
        assert f"{name}.veld" not in mesh.log(name)
    # What each has is its own, and as before after a restart.
    addresses = [mesh.address(name, family) for name in ("first", "second") for family in (4, 6)]
    assert len(set(addresses)) == 4
    mesh.down("second")
    mesh.up("second")
    assert [mesh.address(n, f) for n in ("first", "second") for f in (4, 6)] == addresses
    mesh.reaches("first", "second.veld")


def test_a_third_machine_by_approval(mesh):
    """As `veld up` on the first machine says it: the printed commands, and nothing else."""
    said = mesh.first()
    third = mesh["third"]
    command = command_after(said, "there", 2).replace("sudo ", "").replace("veld ", f"{VELD} ")
    waiting = third.spawn("sh", "-ec", command)
    code = eventually(lambda: re.search(r"veld approve (\S{4}-\S{4})", waiting.out() + waiting.err()),
                      lambda: f"a code is shown: {waiting.out()} {waiting.err()}", 20)[1]
    mesh["first"].veld("approve", code)
    assert waiting.wait(20) == 0, waiting.err()
    mesh.reaches("third", "first.veld")
    mesh.healthy("third")


def test_what_is_typed_next_finds_the_others_by_name(mesh):
    """Once, without waiting: `veld join` returns when names are there."""
    mesh.first()
    token = mesh["first"].veld("token", "create").stdout.strip()
    mesh["second"].veld("join", token)
    mesh["second"].sh("getent ahosts first.veld && ping -c 1 -W 5 first.veld")


def test_five_machines_and_no_handshake_but_for_who_talks(five):
    five.first()
    five.join("b", "c", "d", "e")
    for name in five.machines:
        for other in five.machines:
            if other != name:
                five.sees(name, other, state="idle", online=True)
        assert five.handshakes(name) == 0
    five.reaches("b", "e.veld")
    assert five.sees("b", "e")["state"] == "active"
    assert {name for name in five.machines if five.handshakes(name)} == {"b", "e"}
    for name in five.machines:
        for other in five.machines:
            if other != name:
                five.reaches(name, f"{other}.veld")


def test_who_was_talked_to_is_called_after_a_restart(mesh):
    mesh.first()
    mesh.join("second", "third")
    mesh.reaches("second", "first.veld")
    mesh.down("second")
    mesh.up("second")
    mesh.sees("second", "first", state="active")
    mesh.sees("second", "third", state="idle")


def test_down_tells_the_server_at_once(mesh):
    mesh.first()
    mesh.join("second")
    mesh.sees("first", "second", online=True)
    mesh.down("second")
    mesh.sees("first", "second", online=False, state="offline", timeout=3)


def test_by_a_config_file(mesh):
    mesh.first()
    mesh.join("second")
    second = mesh["second"]
    mesh.down("second")
    second.start('interface = "mesh0"\nlisten_addr = ":4000"\n[coord]\nnetwork = "mynet"\n')
    assert second.has_interface("mesh0")
    assert second.status()["network"]["name"] == NETWORK
    mesh.reaches("second", "first.veld")
    assert mesh.sees("first", "second")["endpoint"] == "203.0.113.12:4000"
    second.stop()


@pytest.mark.parametrize("spoil, says", [
    (f"rm {STATE}/networks/{NETWORK}/lease", f"veld up --network {NETWORK}"),
    (f"rm {STATE}/networks/{NETWORK}/membership", "veld up"),
    (f"echo 192.168.1.1 >{STATE}/networks/{NETWORK}/lease", "no address of the network's"),
    (f"echo '{{' >{STATE}/networks/{NETWORK}/pins.json", "pins.json"),
    (f"echo x >{STATE}/networks/{NETWORK}/settings.json", "settings.json"),
])
def test_what_is_missing_or_broken_is_said_and_leaves_nothing(mesh, spoil, says):
    mesh.first()
    mesh.down("first")
    mesh["first"].sh(spoil)
    done = mesh["first"].run(VELD.parent / "veld-daemon", "--network", NETWORK, check=False)
    assert done.returncode == 1
    assert says in done.stderr, done.stderr
    assert not mesh["first"].has_interface()


def test_an_unknown_network_and_wrong_options(mesh):
    daemon = VELD.parent / "veld-daemon"
    done = mesh["first"].run(daemon, "--network", "nowhere", check=False)
    assert done.returncode == 1 and "nowhere" in done.stderr and "veld up" in done.stderr
    done = mesh["first"].run(daemon, "--network", "../x", check=False)
    assert done.returncode == 1 and "cannot name a network" in done.stderr
    done = mesh["first"].run(daemon, "--network", "a", "--config", "b", check=False)
    assert done.returncode == 2


def test_a_host_without_ipv6(mesh):
    mesh.first()
    second = mesh["second"]
    second.sh("for f in all default; do echo 1 >/proc/sys/net/ipv6/conf/$f/disable_ipv6; done")
    mesh.clean[second] = second.snapshot()
    mesh.join("second")
    assert len(second.status()["interface"]["addresses"]) == 1
    mesh.reaches("second", "first.veld")
    mesh.reaches("first", "second.veld")
    mesh.healthy("second")


def test_what_up_is_told_is_kept(mesh):
    mesh.first("--interface", "mesh0", "--listen", ":4000", "--mtu", "1300")
    for _ in range(2):
        status = mesh["first"].status()
        assert status["interface"]["name"] == "mesh0" and status["interface"]["mtu"] == 1300
        assert status["listen"] == "[::]:4000"
        mesh.down("first")
        mesh.up("first")
    changed = mesh["first"].veld("set", "--mtu", "1400").stdout
    assert "from the next start on" in changed
    assert mesh["first"].status()["interface"]["mtu"] == 1300
    mesh.down("first")
    mesh.up("first")
    assert mesh["first"].status()["interface"]["mtu"] == 1400
