"""The coord server as its clients see it: a real process, real TLS, an independent client.

    tools/test --only coord
    /usr/bin/python3 -m pytest tests/coord -k watch

Loopback alone; needs no root. VELD_BUILD names another build directory than build/.
"""
import itertools
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.dont_write_bytecode = True

from client import Network  # noqa: E402
from server import VELD_COORD, Server  # noqa: E402


numbers = itertools.count(1)


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


@pytest.fixture
def mynet():
    """A network's name that no other test uses, for machines of veld_cli.py."""
    return f"mynet{next(numbers)}"


@pytest.fixture
def machine(tmp_path, mynet):
    """machine("first") gives a Machine (veld_cli.py); what they left running ends with the test."""
    from veld_cli import Machine
    made = []

    def make(name):
        made.append(Machine(tmp_path, name, mynet))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def liar(tmp_path):
    """liar(Method=...) gives a Liar (liar.py)."""
    from liar import Liar
    made = []

    def make(**methods):
        made.append(Liar(tmp_path, **methods))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture(scope="session")
def ca(tmp_path_factory):
    """A CA, and a certificate of it for localhost."""
    folder = tmp_path_factory.mktemp("ca")

    def openssl(*args):
        subprocess.run(["openssl", *args], cwd=folder, check=True, capture_output=True)

    openssl("req", "-x509", "-newkey", "ed25519", "-nodes", "-days", "2", "-subj", "/CN=test CA",
            "-keyout", "ca.key", "-out", "ca.pem")
    openssl("req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost", "-keyout",
            "server.key", "-out", "server.csr")
    (folder / "names").write_text("subjectAltName=DNS:localhost")
    openssl("x509", "-req", "-in", "server.csr", "-CA", "ca.pem", "-CAkey", "ca.key",
            "-CAcreateserial", "-days", "2", "-extfile", "names", "-out", "server.pem")
    return folder
