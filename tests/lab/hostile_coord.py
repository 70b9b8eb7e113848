"""A coord server that lies, for the lab: an honest directory, but for what a test makes it do.

It is a real gRPC server with TLS, in the process of the test, that listens in the network of a
machine. What it says is signed by nobody: the owner's key is the test's (`network`), members have
their own.

    net = Network("mynet")                      # tests/coord/trusting.py
    server = Liar(machine, "203.0.113.1", net)
    server.token()                              # for `veld join`
    server.tell(alice, members=[...])           # an event of alice's watch, whatever is in it
    server.twist = lambda to, event: ...        # each honest event on its way to a member; None: none
    server.opening = lambda to: ...             # what a watch begins with: an event, or many
    server.answers["RegisterMember"] = lambda caller, request, honest: ...   # another reply
    server.signals                              # (from, to, sealed) of all that were sent
"""
import ctypes
import hashlib
import ipaddress
import os
import queue
import socket
import ssl
import subprocess
import sys
import threading
import time
from concurrent import futures
from pathlib import Path

import grpc

os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
sys.path.append(str(Path(__file__).resolve().parents[1] / "coord"))

from client import SERVICE, pb, trust  # noqa: E402

PORT = 50051
CLONE_NEWNET = 0x40000000
ETH_P_ALL, PACKET_OUTGOING = 3, 4
LIBC = ctypes.CDLL(None, use_errno=True)


def inside(machine, make):
    """make(), called in the network of a machine: the sockets that it makes are that machine's."""
    made = []

    def run():
        with open(f"/proc/{machine.init}/ns/net") as namespace:
            if LIBC.setns(namespace.fileno(), CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), "setns")
        made.append(make())

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return made[0]


class Tap:
    """Every packet of a machine, on all of its interfaces, from now on."""

    def __init__(self, machine):
        def open_one():
            s = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ETH_P_ALL))
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
            s.settimeout(0.1)
            return s

        self.packets = []  # (interface, goes out, IP packet)
        self.socket = inside(machine, open_one)
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    def _read(self):
        while True:
            try:
                packet, (interface, _, way, *_) = self.socket.recvfrom(65536)
                self.packets.append((interface, way == PACKET_OUTGOING, packet))
            except TimeoutError:
                if self.ended.is_set():
                    return

    def close(self):
        self.ended.set()
        self.thread.join()
        self.socket.close()

    def has(self, data):
        return any(data in packet for _, _, packet in self.packets)

    def datagrams(self, port, way):
        """What UDP over IPv4 brought for a port, or took to one: `way` is "in" or "out"."""
        found = []
        for interface, out, p in list(self.packets):
            head = (p[0] & 15) * 4 if p else 0
            if interface == "eth0" and out == (way == "out") and head and p[0] >> 4 == 4 and \
                    p[9] == socket.IPPROTO_UDP and \
                    int.from_bytes(p[head + 2:head + 4], "big") == port:
                found.append(p[head + 8:])
        return found


class Watch:
    """One that is open: what is put in `queue` is sent, an event or many."""

    def __init__(self):
        self.queue = queue.Queue()
        self.poured = None
        self.ended = False

    def pour(self, events):
        """Instead of what is being poured, if there is some left of it."""
        self.poured = events
        self.queue.put(events)

    def events(self):
        while (event := self.queue.get()) is not None:
            if isinstance(event, pb.WatchEvent):
                yield event.SerializeToString()
                continue
            for one in event:  # bytes, as they are
                if self.ended or self.poured is not event:
                    break
                yield one

    def end(self):
        self.ended = True
        self.queue.put(None)


class Liar(grpc.GenericRpcHandler):
    def __init__(self, machine, address, network, name="coord"):
        """`name`: of its certificate."""
        self.machine, self.network = machine, network
        self.address = f"{address}:{PORT}"
        self.lock = threading.RLock()
        self.revision = 1
        self.leases = {}       # P -> 4 bytes
        self.records = {}      # P -> PeerRecord, the newest
        self.history = []      # every PeerRecord that was published
        self.revocations = None
        self.watches = {}      # P -> Watch
        self.signals = []
        self.calls = []        # names of methods, as they came
        self.asked_from = {}   # P -> from which revision its last watch was to begin
        self.secret = set()    # P of members that nobody but themselves is told of
        self.key, pem = machine.dir / f"{name}.key", machine.dir / f"{name}.pem"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj",
                        f"/CN={name}", "-days", "2", "-keyout", self.key, "-out", pem],
                       check=True, capture_output=True)
        self.pem = pem
        self.certificate = hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem.read_text())).digest()
        self.be_honest()
        self.resume()

    def be_honest(self):
        self.twist = lambda to, event: event
        self.opening = self.everything
        self.answers = {}

    def resume(self):
        """Listen."""
        credentials = grpc.ssl_server_credentials([(self.key.read_bytes(), self.pem.read_bytes())])
        self.server = grpc.server(futures.ThreadPoolExecutor(32), handlers=(self,),
                                  options=[("grpc.so_reuseport", 0)])
        inside(self.machine, lambda: self.server.add_secure_port(self.address, credentials))
        self.server.start()

    def pause(self):
        """Be away."""
        for watch in list(self.watches.values()):
            watch.end()
        self.server.stop(0).wait()

    close = pause

    # ---- As the owner ----

    def token(self, **limits):
        """The text of a token for any number of machines."""
        return self.network.token(uses=0, coord=self.address, certificate=self.certificate,
                                  **limits).text

    def admit(self, member, ipv4=None, **fields):
        """A Member (trusting.py) publishes a record, as its daemon would."""
        ipv4 = self.lease(member.key.public, ipv4)
        self.publish(member.key.public, trust.PeerRecord(
            record=member.record(ipv4, **fields), chain=member.chain))

    def revoke(self, *keys, epoch=1):
        self.revocations = self.network.revocations(keys, epoch=epoch)
        self._tell_all(revocations=self.revocations)

    # ---- The directory ----

    def lease(self, key, wanted=None):
        """`wanted`: "10.100.0.9"."""
        with self.lock:
            first = ipaddress.ip_address("10.100.0.1")
            free = (first + len(self.leases)).packed
            if wanted:
                free = ipaddress.ip_address(wanted).packed
            return self.leases.setdefault(key, free)

    def publish(self, key, peer):
        with self.lock:
            self.records[key] = peer
            self.history.append(peer)
            self._tell_all(about=key, members=[self.member(key)])

    def member(self, key, **changes):
        """What is said of one: a Member of coord.proto. `changes`: other fields."""
        fields = dict(peer=self.records.get(key), online=key in self.watches,
                      revision=self.revision) | changes
        return pb.Member(**fields)

    # ---- What members are told ----

    def event(self, **fields):
        with self.lock:
            self.revision += 1
            return pb.WatchEvent(**({"revision": self.revision, "synced": True} | fields))

    def listens(self, key):
        """A member's watch, once it is open."""
        end = time.monotonic() + 10
        while key not in self.watches:
            assert time.monotonic() < end, "no watch is open"
            time.sleep(0.01)
        return self.watches[key]

    def tell(self, key, **fields):
        """One member, as it is: nothing twists it."""
        self.listens(key).queue.put(self.event(**fields))

    def pour(self, key, events):
        """Bytes that are sent one after the other, each an event, or what is none."""
        self.listens(key).pour(events)

    def everything(self, to):
        """All that there is, as at the beginning of a watch."""
        members = [self.member(key) for key in self.records if key not in self.secret - {to}]
        return self._twisted(to, self.event(reset=True, members=members,
                                            revocations=self.revocations))

    def resync(self, key):
        """Tell one everything, if it listens."""
        with self.lock:
            event, watch = self.everything(key), self.watches.get(key)
            if event and watch:
                watch.queue.put(event)

    def _twisted(self, to, event):
        copy = pb.WatchEvent()
        copy.CopyFrom(event)
        return self.twist(to, copy)

    def _tell_all(self, about=None, **fields):
        with self.lock:
            event = self.event(**fields)
            for key, watch in self.watches.items():
                told = about not in self.secret or about == key
                twisted = self._twisted(key, event) if told else None
                if twisted:
                    watch.queue.put(twisted)

    # ---- Calls ----

    def service(self, details):
        name = details.method.removeprefix(SERVICE)
        metadata = dict(details.invocation_metadata)
        auth = pb.Auth.FromString(metadata.get("veld-auth-bin", b""))
        self.calls.append(name)
        if name == "Watch":
            return grpc.unary_stream_rpc_method_handler(
                lambda body, context: self._watch(auth.key, pb.WatchRequest.FromString(body), context))
        answer = getattr(self, "_" + name, None)
        if not answer:
            return None

        def handle(body, context):
            request = getattr(pb, REQUESTS.get(name, name + "Request")).FromString(body)
            reply = answer(auth.key, request, context)
            if name in self.answers:
                reply = self.answers[name](auth.key, request, reply)
            if isinstance(reply, grpc.StatusCode):
                reply = (reply, "refused")
            if isinstance(reply, tuple):
                context.abort(*reply)
            return reply.SerializeToString()

        return grpc.unary_unary_rpc_method_handler(handle)

    def _watch(self, caller, request, context):
        watch = Watch()
        self.asked_from[caller] = request.from_revision
        with self.lock:
            before = self.watches.get(caller)
            self.watches[caller] = watch
        if before:
            before.end()
        context.add_callback(lambda: self._watch_ended(caller, watch))
        opening = self.opening(caller)
        (watch.queue.put if isinstance(opening, pb.WatchEvent) else watch.pour)(opening)
        if caller in self.records:
            self._tell_all(about=caller, members=[self.member(caller)])
        return watch.events()

    def _watch_ended(self, caller, watch):
        watch.end()
        with self.lock:
            if self.watches.get(caller) is watch:
                del self.watches[caller]

    def _Hello(self, caller, request, context):
        return pb.HelloReply(version="0.0.0", protocol=1, time_ns=time.time_ns())

    def _LookupNetwork(self, caller, request, context):
        return pb.LookupNetworkReply(network=self.network.signed)

    def _RegisterMember(self, caller, request, context):
        ipv4 = self.lease(caller)
        record = trust.Record.FromString(request.record.body)
        published = record.ipv4 == ipv4
        if published:
            self.publish(caller, trust.PeerRecord(record=request.record, chain=request.chain))
        seen = context.peer().removeprefix("ipv4:").rsplit(":", 1)[0]
        return pb.RegisterReply(ipv4=ipv4, published=published, revision=self.revision,
                                seen_address=ipaddress.ip_address(seen).packed)

    def _Leave(self, caller, request, context):
        return pb.LeaveReply()

    def _SendSignal(self, caller, request, context):
        self.signals.append((caller, request.to, request.sealed))
        watch = self.watches.get(request.to)
        if not watch or caller in self.secret:
            return grpc.StatusCode.UNAVAILABLE, "not there"
        event = self._twisted(request.to, self.event(signals=[pb.Signal(
            **{"from": caller}, sealed=request.sealed)]))
        if event:
            watch.queue.put(event)
        return pb.SendSignalReply()

    def _PublishRevocations(self, caller, request, context):
        return pb.PublishRevocationsReply()

    def _GetRevocations(self, caller, request, context):
        return pb.GetRevocationsReply(revocations=self.revocations)


REQUESTS = {"RegisterMember": "RegisterRequest"}
