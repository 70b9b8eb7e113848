"""A coord server that answers what a test wants it to: behind real gRPC and TLS, and with the right
certificate, since what it says is what is under test.

    liar = Liar(tmp_path, Hello=lambda request: pb.HelloReply(protocol=7))
    liar.address, liar.fingerprint
"""
import base64
import hashlib
import ssl
import subprocess
import time
from concurrent import futures

import grpc

from client import SERVICE, pb


def honest_hello(_):
    return pb.HelloReply(version="0.0.0", protocol=1, time_ns=time.time_ns())


class Liar(grpc.GenericRpcHandler):
    """Each keyword is a method, and what makes its reply of the request's bytes; a grpc.StatusCode
    in place of the reply refuses."""

    def __init__(self, folder, **methods):
        self.methods = {"Hello": honest_hello, **methods}
        self.calls = []
        key, pem = folder / "liar.key", folder / "liar.pem"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj",
                        "/CN=liar", "-keyout", key, "-out", pem], check=True, capture_output=True)
        digest = hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem.read_text())).digest()
        self.certificate = digest
        self.fingerprint = "SHA256:" + base64.b64encode(digest).decode().rstrip("=")
        self.server = grpc.server(futures.ThreadPoolExecutor(4), handlers=(self,))
        port = self.server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials(
            [(key.read_bytes(), pem.read_bytes())]))
        self.address = f"127.0.0.1:{port}"
        self.server.start()

    def service(self, details):
        name = details.method.removeprefix(SERVICE)
        make = self.methods.get(name)
        if not make:
            return None

        def handle(request, context):
            self.calls.append(name)
            reply = make(request)
            if isinstance(reply, grpc.StatusCode):
                context.abort(reply, "refused by the test")
            return reply.SerializeToString()

        return grpc.unary_unary_rpc_method_handler(handle)

    def close(self):
        self.server.stop(0).wait()
