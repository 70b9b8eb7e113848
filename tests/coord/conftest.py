"""The coord server as its clients see it: a real process, real TLS, an independent client.

    tools/test --only coord
    /usr/bin/python3 -m pytest tests/coord -k watch

Loopback alone; needs no root. VELD_BUILD names another build directory than build/.
"""
import os
import re
import sys
from pathlib import Path

import pytest

os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.dont_write_bytecode = True

from client import Network  # noqa: E402
from server import VELD_COORD, Server  # noqa: E402


def pytest_collection_modifyitems(items):
    if not VELD_COORD.exists():
        for item in items:
            item.add_marker(pytest.mark.skip(reason=f"{VELD_COORD} is not built (needs gRPC)"))


@pytest.fixture
def start(tmp_path):
    """start(*options) gives a Server; all are stopped at the end."""
    servers = []

    def start_one(*options, **how):
        servers.append(Server(tmp_path, *options, **how))
        return servers[-1]

    yield start_one
    for server in servers:
        server.kill()


@pytest.fixture(scope="session")
def shared(tmp_path_factory):
    """One server for all tests that leave it as they find it, but for their networks."""
    server = Server(tmp_path_factory.mktemp("shared"), "--no-rate-limits")
    yield server
    assert server.stop() == 0
    assert "crashed" not in server.said()


@pytest.fixture
def net(coord, request):
    """A network of the test's own, created."""
    name = re.sub("[^a-z0-9]+", "-", request.node.name.removeprefix("test_").lower())
    made = Network(name[:63].strip("-"))
    coord.create(made)
    return made


@pytest.fixture
def coord(shared):
    client = shared.client()
    yield client
    client.close()
    shared.clients.remove(client)
