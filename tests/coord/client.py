"""An independent client of a coord server: Python's grpcio, and messages made from proto/.

    server = Coord("127.0.0.1:50051")              # pins whatever certificate it shows
    server.hello()
    net = Network("mynet")
    server.create(net)
    laptop = net.member("laptop")
    reply = server.join(laptop)                    # leases, then publishes a record
    with server.watch(laptop) as watch:
        event = watch.next()

A call that is refused raises grpc.RpcError; `refusal` gives its code and text.
"""
import contextlib
import hashlib
import os
import queue
import ssl
import threading
import time

import grpc

from trusting import ADMIN, RELAY, Key, Member, Network, Token, join_code, network_id  # noqa: F401
from veld_pb import coord as pb, health, trust  # noqa: F401

SERVICE = "/veld.coord.v1.Coord/"
TIMEOUT_S = 10


def auth(key, method, certificate, body, time_ns=None, nonce=None, signed=None):
    """An encoded Auth. `signed` replaces what the signature is over."""
    time_ns = time.time_ns() if time_ns is None else time_ns
    nonce = os.urandom(16) if nonce is None else nonce
    data = b"\0".join([b"veld rpc v1", (SERVICE + method).encode(),
                       certificate + time_ns.to_bytes(8, "big") + nonce
                       + hashlib.sha256(body).digest()])
    signature = key.sign_bytes(data if signed is None else signed)
    return pb.Auth(key=key.public, time_ns=time_ns, nonce=nonce,
                   signature=signature).SerializeToString()


def certificate_of(address):
    """The PEM that a server shows, and the SHA-256 of its DER."""
    host, port = address.rsplit(":", 1)
    pem = ssl.get_server_certificate((host.strip("[]"), int(port)), timeout=TIMEOUT_S)
    return pem, hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem)).digest()


@contextlib.contextmanager
def refusal(code=None):
    """Expects a call to be refused; the value's .code and .text say how."""
    class Refusal:
        pass

    seen = Refusal()
    try:
        yield seen
    except grpc.RpcError as error:
        seen.code, seen.text = error.code().name, error.details()
        assert code is None or seen.code == code, f"{seen.code}: {seen.text}"
        return
    raise AssertionError(f"the call was not refused ({code} was expected)")


class Watch:
    """A watch's events, read by a thread."""

    def __init__(self, call):
        self.call = call
        self.events = queue.Queue()
        self.ended = None  # the RpcError
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    def _read(self):
        try:
            for event in self.call:
                self.events.put(event)
        except grpc.RpcError as error:
            self.ended = error
        self.events.put(None)

    def next(self, timeout=5):
        """The next event; None at the end."""
        return self.events.get(timeout=timeout)

    def until(self, wanted, timeout=5):
        """The first event for which `wanted(event)`."""
        end = time.monotonic() + timeout
        while True:
            event = self.next(max(0.01, end - time.monotonic()))
            if event is None:
                raise AssertionError(f"the watch has ended: {self.ended}")
            if wanted(event):
                return event

    def synced(self, timeout=5):
        """Everything up to the first event that says so, as one list."""
        events = []
        while not events or not events[-1].synced:
            events.append(self.next(timeout))
            if events[-1] is None:
                raise AssertionError(f"the watch has ended: {self.ended}")
        return events

    def end(self, timeout=5):
        """Waits for the server to end it; (code, text)."""
        self.thread.join(timeout)
        assert not self.thread.is_alive(), "the watch goes on"
        return self.ended.code().name, self.ended.details()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.call.cancel()
        self.thread.join(5)


class Coord:
    """A server, by address; over one connection."""

    def __init__(self, address, pem=None, options=()):
        self.address = address
        if pem is None:
            pem, _ = certificate_of(address)
        self.certificate = hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem)).digest()
        self.channel = grpc.secure_channel(
            address, grpc.ssl_channel_credentials(pem.encode()),
            options=[("grpc.ssl_target_name_override", "veld-coord"),
                     ("grpc.enable_http_proxy", 0), ("grpc.use_local_subchannel_pool", 1),
                     ("grpc.max_send_message_length", -1), ("grpc.initial_reconnect_backoff_ms", 100),
                     *options])

    def close(self):
        self.channel.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    # ---- Calls as bytes ----

    def raw(self, method, body, metadata=(), timeout=TIMEOUT_S, service=SERVICE, **options):
        call = self.channel.unary_unary(service + method)
        return call(body, metadata=list(metadata), timeout=timeout, **options)

    def signed(self, method, key, body, **how):
        return [("veld-auth-bin", auth(key, method, self.certificate, body, **how))]

    def call(self, method, request, key=None, timeout=TIMEOUT_S, **how):
        """The reply of a call that `key` signs; None: unsigned."""
        body = request.SerializeToString()
        metadata = self.signed(method, key, body, **how) if key else []
        reply = self.raw(method, body, metadata, timeout)
        name = {"RequestJoin": "RequestJoinReply", "RegisterMember": "RegisterReply"}.get(
            method, method + "Reply")
        return getattr(pb, name).FromString(reply)

    # ---- Calls by name ----

    def hello(self, timeout=TIMEOUT_S):
        return self.call("Hello", pb.HelloRequest(), timeout=timeout)

    def health(self, service="", timeout=TIMEOUT_S):
        """"SERVING", "NOT_SERVING"."""
        reply = self.raw("Check", health.HealthCheckRequest(service=service).SerializeToString(),
                         service="/grpc.health.v1.Health/", timeout=timeout)
        status = health.HealthCheckResponse.FromString(reply).status
        return health.HealthCheckResponse.ServingStatus.Name(status)

    def create(self, network, key=None):
        return self.call("CreateNetwork", pb.CreateNetworkRequest(network=network.signed),
                         key or network.owner)

    def lookup(self, key, name="", network_id=b""):
        return self.call("LookupNetwork", pb.LookupNetworkRequest(name=name, network_id=network_id),
                         key).network

    def register(self, member, /, ipv4=b"", key=None, **fields):
        return self.call("RegisterMember", member.register(ipv4, **fields), key or member.key)

    def join(self, member):
        """Leases, then publishes a record with that address."""
        reply = self.register(member)
        return self.register(member, reply.ipv4)

    def leave(self, member, forget=False, key=None):
        return self.call("Leave", pb.LeaveRequest(network_id=member.network.id, forget=forget),
                         key or member.key)

    def page(self, member, after=0, limit=0):
        return self.call("ListPeers", pb.ListPeersRequest(
            network_id=member.network.id, after_revision=after, limit=limit), member.key)

    def peers(self, member, limit=0):
        """Every Member, by public key."""
        found, after = {}, 0
        while True:
            page = self.page(member, after, limit)
            for m in page.members:
                found[trust.Record.FromString(m.peer.record.body).member] = m
                after = m.revision
            if not page.more:
                return found

    def watch(self, member, from_revision=0, revocation_epoch=0, key=None, network_id=None):
        key = key or member.key
        body = pb.WatchRequest(network_id=network_id or member.network.id,
                               from_revision=from_revision,
                               revocation_epoch=revocation_epoch).SerializeToString()
        call = self.channel.unary_stream(SERVICE + "Watch",
                                         response_deserializer=pb.WatchEvent.FromString)
        return Watch(call(body, metadata=self.signed("Watch", key, body)))

    def signal(self, member, to, sealed):
        return self.call("SendSignal", pb.SendSignalRequest(
            network_id=member.network.id, to=to, sealed=sealed), member.key)

    def request_join(self, member):
        return self.call("RequestJoin", pb.RequestJoinRequest(request=member.join_request()),
                         member.key)

    def joins(self, network, key=None):
        return self.call("ListJoins", pb.ListJoinsRequest(network_id=network.id),
                         key or network.owner).requests

    def answer_join(self, network, member, chain=None, key=None):
        request = pb.AnswerJoinRequest(network_id=network.id, member=member.key.public)
        if chain:
            request.chain.CopyFrom(chain)
        return self.call("AnswerJoin", request, key or network.owner)

    def publish_revocations(self, network, revocations, key=None):
        return self.call("PublishRevocations", pb.PublishRevocationsRequest(
            network_id=network.id, revocations=revocations), key or network.owner)

    def revocations(self, network, key):
        return self.call("GetRevocations", pb.GetRevocationsRequest(network_id=network.id),
                         key).revocations
