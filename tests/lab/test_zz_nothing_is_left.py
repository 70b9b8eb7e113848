"""Runs last: after the whole lab the host is as it was."""
import os
import subprocess

import pytest

from conftest import host
from net import ROOT, eventually

pytestmark = pytest.mark.alone


def machines():
    """Processes of machines, by anything that holds one."""
    out = subprocess.run(["ps", "-eo", "pid=,args="], capture_output=True, text=True).stdout
    return [line for line in out.splitlines()
            if f"{ROOT}/tools/machine" in line or f"{ROOT}/tests/lab/" in line
            and str(os.getpid()) != line.split()[0] and "pytest" not in line]


def test_nothing_is_left_behind(request):
    eventually(lambda: not machines(), lambda: f"machines are gone: {machines()}")
    before = request.config.host_before
    eventually(lambda: host() == before or not host() - before,
               lambda: f"nothing new on the host: {sorted(host() - before)}")
    gone = {line for line in before - host() if "/tmp/veld-lab-" not in line}  # another run's
    assert not gone, "something of the host's is gone"
