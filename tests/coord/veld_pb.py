"""The messages of proto/, as Python modules made at import into a folder that goes at exit.

    from veld_pb import trust, coord, health
"""
import atexit
import shutil
import sys
import tempfile
from importlib import import_module
from pathlib import Path

import grpc
from grpc_tools import protoc

PROTO = Path(__file__).resolve().parents[2] / "proto"
FILES = ["veld/trust/v1/trust.proto", "veld/coord/v1/coord.proto", "grpc/health/v1/health.proto"]


def make():
    folder = tempfile.mkdtemp(prefix="veld-proto-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    failed = protoc.main(["protoc", f"-I{PROTO}", f"--python_out={folder}", *FILES])
    if failed:
        raise RuntimeError("protoc does not take proto/*.proto")
    sys.path.insert(0, folder)
    # The health service's package lies inside the installed "grpc".
    grpc.__path__.append(folder + "/grpc")


make()
trust = import_module("veld.trust.v1.trust_pb2")
coord = import_module("veld.coord.v1.coord_pb2")
health = import_module("grpc.health.v1.health_pb2")
