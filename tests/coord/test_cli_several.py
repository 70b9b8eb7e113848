"""Several networks on one machine: which one is meant, and what is said to type next."""
import re

import pytest


@pytest.fixture
def both(shared, machine, mynet):
    """A machine that made two networks; `names` and what it said of the second."""
    m = machine("m1")
    m.login(shared)
    m.up()
    m.names = [mynet, mynet + "b"]
    m.network = m.names[1]
    m.said = m.up()
    return m


def test_the_next_commands_name_the_network(both):
    assert f"veld token create --network {both.names[1]}\n" in both.said
    assert f"veld approve CODE --network {both.names[1]} " in both.said
    said = both.veld("token", "create", "--network", both.names[1]).stdout
    assert said.startswith("veld1")


def test_the_network_that_is_up_is_meant(both):
    assert "which network? Pass --network" in both.fails("set")
    both.api.status = both.status()
    both.veld("up", "--network", both.names[0], root=True)
    both.api.status["network"]["name"] = both.names[0]
    assert f"network {both.names[0]}\n" in both.veld("set").stdout
    assert f"network {both.names[0]}," in both.veld("approve").stdout
    both.api.status["network"]["name"] = "unknown"
    assert "which network?" in both.fails("approve")
    both.api.status["network"]["name"] = both.names[1]
    assert f"network {both.names[1]}\n" in both.veld("set").stdout
    both.down()


def test_leaving_needs_a_name(both):
    """Whatever runs: it cannot be undone."""
    line = both.fails("leave", "--yes")
    assert re.search(f"{both.names[0]}, {both.names[1]}$", line)
    both.fails("leave", both.names[0], "--network", both.names[1], "--yes", code=2)
    assert both.names[1] in both.veld("leave", "--network", both.names[1], "--yes").stdout
    assert f"network {both.names[0]}\n" in both.veld("set").stdout


def test_no_peers_are_told_on_a_terminal(both):
    both.veld("up", "--network", both.names[1], root=True)
    assert both.veld("peers").stdout == ""
    with both.terminal("peers") as terminal:
        assert terminal.wait() == 0 and "no peers yet" in terminal.said
    both.down()
    assert f"veld pubkey {both.state}/identity" in both.fails("pubkey")
    assert 'code "" waits' in both.fails("approve", "", "--network", both.names[1])
