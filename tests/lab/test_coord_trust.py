"""Keys that are pinned at the first handshake. coord.py draws the topology."""
import pytest

from coord import NETWORK, STATE, Coord
from net import eventually


@pytest.fixture
def mesh(net, request):
    mesh = Coord(net, ["first", "second", "third"])
    mesh.first()
    mesh.join("second", "third")
    mesh.connected()
    mesh.sees("first", "third")
    mesh.reaches("first", "second.veld")
    yield mesh
    if getattr(request.node, "failed", False):
        mesh.tell()
    mesh.stop()


def pins(mesh, name):
    """NAME: key, of what is pinned; and of who is blocked."""
    lines = [line.split() for line in mesh[name].veld("trust", "list").stdout.splitlines()]
    pinned = {words[0]: words[1] for words in lines if "blocked:" not in words}
    return pinned, {words[0]: words[1] for words in lines if "blocked:" in words}


def rejoin_with_another_key(mesh, name):
    """What a thief does who has a token, or an owner who lost a machine; its new key."""
    mesh[name].veld("leave", "--yes")
    mesh[name].sh(f"rm -r {STATE}")
    mesh[name].veld("join", mesh.token(), "--name", name)
    return mesh[name].veld("pubkey").stdout.strip()


def test_another_key_under_a_pinned_name_is_blocked_until_accepted(mesh):
    old = mesh["second"].veld("pubkey").stdout.strip()
    assert pins(mesh, "first")[0] == {"second": old}, "the third was never talked to"
    new = rejoin_with_another_key(mesh, "second")
    mesh.sees("first", "second", state="blocked: key changed", pubkey=new)
    health = mesh["first"].status()["health"]
    assert any("veld trust accept second" in line for line in health), health
    assert mesh["first"].pings(mesh.address("second"), wait=1) == 0
    assert mesh["first"].veld("ping", "second", check=False).returncode != 0
    assert mesh["second"].pings("first.veld", wait=1) == 0
    assert f"{new}" in mesh["first"].veld("trust", "list").stdout
    # Also after a restart, and the third, who never pinned it, talks to it.
    mesh.down("first")
    mesh.up("first")
    mesh.sees("first", "second", state="blocked: key changed")
    mesh.reaches("third", "second.veld")
    assert "is trusted with the key" in mesh["first"].veld("trust", "accept", "second").stdout
    mesh.reaches("first", "second.veld")
    assert pins(mesh, "first") == ({"second": new}, {})
    mesh.healthy("first")
    mesh.down("first")
    mesh.up("first")
    mesh.reaches("first", "second.veld")
    again = mesh["first"].veld("trust", "accept", "second", check=False)
    assert again.returncode != 0 and "nothing to accept" in again.stderr


def test_forget_pins_the_next_key(mesh):
    new = rejoin_with_another_key(mesh, "second")
    mesh.sees("first", "second", state="blocked: key changed")
    mesh["first"].veld("trust", "forget", "second")
    mesh.reaches("first", "second.veld")
    assert pins(mesh, "first") == ({"second": new}, {})
    assert "no key is pinned" in mesh["first"].veld("trust", "forget", "nobody", check=False).stderr


@pytest.mark.parametrize("spoil", ["echo '{' >", "echo '[]' >", ": >", "head -c 40 /dev/urandom >"])
def test_broken_pins_never_mean_none(mesh, spoil):
    pins_file = f"{STATE}/networks/{NETWORK}/pins.json"
    mesh.down("first")
    mesh["first"].sh(f"cp -p {pins_file} {STATE}/pins.keep; {spoil}{pins_file}")
    done = mesh["first"].veld("up", "--network", NETWORK, check=False)
    assert done.returncode != 0 and pins_file in done.stderr and "remove it" in done.stderr
    assert not mesh["first"].has_interface()
    mesh["first"].sh(f"mv {STATE}/pins.keep {pins_file}")
    mesh.up("first")
    mesh.reaches("first", "second.veld")


def test_pins_are_on_the_disk_when_it_counts(mesh):
    """A daemon that is killed right after the first handshake knows the key afterwards."""
    mesh.reaches("first", "third.veld")
    eventually(lambda: "third" in mesh["first"].sh(
        f"cat {STATE}/networks/{NETWORK}/pins.json", check=False).stdout,
               "it is written", 2)
    mode = mesh["first"].run("stat", "-c", "%a", f"{STATE}/networks/{NETWORK}/pins.json").stdout
    assert mode.strip() == "600"


def test_in_static_mode_the_config_is_what_is_trusted(net, pair):
    pair.start()
    for argv in (["list"], ["accept", "machine-b"], ["forget", "machine-b"]):
        done = pair.a.veld("trust", *argv, check=False)
        assert done.returncode != 0 and "config file" in done.stderr
