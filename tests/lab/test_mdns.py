"""Peers find each other on a LAN by mDNS, beside other responders and whatever strangers send."""
import time

import pytest
from lan import Lan, processes_called
from net import eventually


@pytest.fixture
def lan(net):
    lan = Lan(net)
    yield lan
    lan.stop()


def test_a_pair_that_knows_no_endpoint_finds_itself(lan):
    began = time.monotonic()
    lan.start()
    for machine in (lan.a, lan.b):
        assert machine.peer(lan.other(machine).name)["endpoint"] == "-"
    eventually(lambda: lan.a.pings("10.0.0.2", wait=1), "a ping through the tunnel", 10, 0.01)
    print(f"first ping answered {time.monotonic() - began:.2f} s after both daemons' start")
    peer = lan.a.peer("machine-b")
    assert peer["path"] == "direct" and "1.2.3.4" in peer["endpoint"] or \
        "fd00:1::4" in peer["endpoint"], peer
    assert len(processes_called(lan.a, "veld-mdns")) == 1
