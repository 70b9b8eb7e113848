"""A coord server that lies: all calls go on to a real one under the same certificate, and
what comes back is what the test wants.

    /usr/bin/python3 hostile.py LISTEN UPSTREAM CERTIFICATE KEY FOLDER

It does what the lines of FOLDER/commands say, which a test appends to, and counts them in
FOLDER/done. Each is a JSON object:

    {"inject": HEX}                     an event into every open watch
    {"inject": HEX, "to": HEX}          into the watch of this member
    {"flood": HEX, "count": N, "to": HEX}   so many of them
    {"withhold": ["revocations", "removed"]}   of all that is told from now on
    {"offline": true}                   everybody is told to be offline

and writes what members register into FOLDER/registered, a line of hexadecimal each.
"""
import json
import queue
import sys
import threading
import time
from concurrent import futures
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "coord"))

import grpc  # noqa: E402
from veld_pb import coord as pb  # noqa: E402

AUTH = "veld-auth-bin"
QUEUE_MAX = 64


class Hostile(grpc.GenericRpcHandler):
    def __init__(self, upstream, certificate, folder):
        self.folder = Path(folder)
        self.channel = grpc.secure_channel(
            upstream, grpc.ssl_channel_credentials(Path(certificate).read_bytes()),
            options=[("grpc.ssl_target_name_override", "coord"), ("grpc.enable_http_proxy", 0)])
        self.watches = []  # (the caller's key, its queue)
        self.withheld, self.offline = [], False
        self.lock = threading.Lock()

    # ---- What is served ----

    def service(self, details):
        metadata = [(k, v) for k, v in details.invocation_metadata if k == AUTH]
        key = pb.Auth.FromString(metadata[0][1]).key if metadata else b""
        if details.method.endswith("/Watch"):
            return grpc.unary_stream_rpc_method_handler(
                lambda body, context: self.watch(details.method, metadata, key, body, context))
        return grpc.unary_unary_rpc_method_handler(
            lambda body, context: self.call(details.method, metadata, body, context))

    def call(self, method, metadata, body, context):
        if method.endswith("/RegisterMember"):
            with self.lock, open(self.folder / "registered", "a") as out:
                out.write(body.hex() + "\n")
        if method.endswith("/GetRevocations") and "revocations" in self.withheld:
            return b""
        try:
            return self.channel.unary_unary(method)(body, metadata=metadata, timeout=15)
        except grpc.RpcError as error:
            context.abort(error.code(), error.details())

    def watch(self, method, metadata, key, body, context):
        events = queue.Queue(QUEUE_MAX)
        call = self.channel.unary_stream(method)(body, metadata=metadata)
        entry = (key, events)

        def forward():
            try:
                for event in call:
                    events.put(self.told(event))
                events.put(None)
            except grpc.RpcError as error:
                events.put(error)

        threading.Thread(target=forward, daemon=True).start()
        with self.lock:
            self.watches.append(entry)
        context.add_callback(call.cancel)
        try:
            while (event := events.get()) is not None:
                if isinstance(event, grpc.RpcError):
                    context.abort(event.code(), event.details())
                yield event
        finally:
            with self.lock:
                self.watches.remove(entry)

    def told(self, event):
        """An event of the real server's, as it is passed on."""
        if not self.withheld and not self.offline:
            return event
        e = pb.WatchEvent.FromString(event)
        for field in self.withheld:
            e.ClearField(field)
        for member in [*e.members, *e.presence] if self.offline else []:
            member.online = False
        return e.SerializeToString()

    # ---- What it is told to do ----

    def inject(self, event, to, count):
        with self.lock:
            watches = [q for key, q in self.watches if not to or key == to]
        for _ in range(count):
            for events in watches:
                events.put(event)

    def obey(self, command):
        to = bytes.fromhex(command.get("to", ""))
        self.withheld = command.get("withhold", self.withheld)
        self.offline = command.get("offline", self.offline)
        if "inject" in command:
            self.inject(bytes.fromhex(command["inject"]), to, 1)
        if "flood" in command:
            threading.Thread(target=self.inject, daemon=True, args=(
                bytes.fromhex(command["flood"]), to, command["count"])).start()

    def run(self):
        done = 0
        while True:
            lines = (self.folder / "commands").read_text().splitlines()
            for line in lines[done:]:
                self.obey(json.loads(line))
                done += 1
                (self.folder / "done").write_text(str(done))
            time.sleep(0.02)


def main():
    listen, upstream, certificate, key, folder = sys.argv[1:]
    hostile = Hostile(upstream, certificate, folder)
    server = grpc.server(futures.ThreadPoolExecutor(64), handlers=[hostile],
                         options=[("grpc.max_send_message_length", -1)])
    credentials = grpc.ssl_server_credentials([(Path(key).read_bytes(),
                                                Path(certificate).read_bytes())])
    assert server.add_secure_port(listen, credentials)
    server.start()
    print("listening", flush=True)
    hostile.run()


if __name__ == "__main__":
    main()
