"""The systemd units: right, and what they allow is enough."""
import re
import shutil
import subprocess

import pytest

from net import BUILD, DAEMON, eventually

UNITS = BUILD / "packaging/systemd"


def unit(name):
    """A unit as it is installed, but with programs of this build."""
    return re.sub(r"ExecStart=\S+/", f"ExecStart={BUILD}/", (UNITS / name).read_text())


def setting(name, key):
    return re.search(rf"^{key}=(.*)$", unit(name), re.M)[1].split()


# exposure: what `systemd-analyze security` may say at most, times ten.
@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="no systemd-analyze")
@pytest.mark.parametrize("name, exposure", [
    ("veld-coord.service", 15), ("veld.service", 50), ("veld@.service", 50)])
def test_a_unit_is_right(tmp_path, name, exposure):
    if not (UNITS / name).exists():
        pytest.skip(f"{name} is not built")
    (tmp_path / name).write_text(unit(name))
    verified = subprocess.run(["systemd-analyze", "verify", "--man=no", tmp_path / name],
                              capture_output=True, text=True)
    assert verified.returncode == 0 and not verified.stderr, verified.stderr
    judged = subprocess.run(["systemd-analyze", "security", "--offline=yes", f"--threshold={exposure}",
                             tmp_path / name], capture_output=True, text=True)
    assert judged.returncode == 0, judged.stdout[-200:]


@pytest.mark.parametrize("name", ["veld.service", "veld@.service"])
def test_a_daemon_needs_no_other_capabilities_than_its_unit_gives(pair, name):
    """Interface, routes, forwarding, port 53 and resolv.conf, and all of it undone."""
    a, b = pair.a, pair.b
    allowed = ",".join("+" + word.removeprefix("CAP_").lower()
                       for word in setting(name, "CapabilityBoundingSet"))
    assert setting(name, "NoNewPrivileges") == ["yes"]
    pair.note()
    a.write_config(pair.config(a, routes=["192.168.9.0/24"]))
    b.start(pair.config(b))
    a.daemon = a.spawn("setpriv", "--bounding-set", f"-all,{allowed}", "--inh-caps", "-all",
                       "--no-new-privs", DAEMON, "--config", "config.toml", "--foreground")
    eventually(lambda: a.daemon.out() or not a.daemon.running(), "a is up")
    assert a.daemon.running(), a.daemon.err()
    pair.connected()
    assert a.pings("machine-b.veld") == 1, "it has its stub in resolv.conf"
    assert a.read("/proc/sys/net/ipv4/ip_forward").strip() == "1"
