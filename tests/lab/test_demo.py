"""tools/demo, as a newcomer runs it."""
import re
import subprocess

import pytest

from net import BUILD, ROOT


@pytest.mark.parametrize("options, typed", [
    ([], ["veld-coord --listen :50051 --db ./peers.db", "veld up --network mynet",
          "veld token create", "desktop$ veld join veld1", "ping -c 3 -i 0.2 desktop.veld",
          "ping -c 3 -i 0.2 192.168.7.9"]),
    (["--static"], ["veld-daemon --config a.toml", "ping -c 3 -i 0.2 machine-b.veld"]),
], ids=["coord", "static"])
def test_demo(options, typed):
    if BUILD != ROOT / "build":
        pytest.skip("the demo is of build/")
    done = subprocess.run([ROOT / "tools/demo", *options], capture_output=True, text=True,
                          stdin=subprocess.DEVNULL, timeout=120)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    for command in typed:
        assert command in done.stdout, done.stdout
    assert done.stdout.count("3 received, 0% packet loss") == sum("ping" in t for t in typed)
    assert re.search(r"through Veld +\d", done.stdout)
    assert "the machines are gone" in done.stdout
