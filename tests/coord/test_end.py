"""How the server ends, however it ends: what was acknowledged is there afterwards."""
import os
import random
import signal
import socket
import threading
import time

import grpc

from client import Coord, Key, Network, pb, refusal, trust
from server import Server, run


def members_of(client, network, via):
    """Names and addresses, as one member is told them."""
    found = {}
    for m in client.peers(via).values():
        record = trust.Record.FromString(m.peer.record.body)
        found[record.name] = record.ipv4
    return found


class Registering:
    """A thread that registers one member after another, as long as it is let."""

    def __init__(self, address, pem, net, prefix):
        self.acknowledged = {}
        self.coord = Coord(address, pem=pem)
        self.net, self.prefix = net, prefix
        self.goes_on = True
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        n = 0
        while self.goes_on:
            member = self.net.member(f"{self.prefix}-{n}")
            n += 1
            try:
                lease = self.coord.register(member)
                self.coord.register(member, lease.ipv4)
                self.acknowledged[member.name] = lease.ipv4
            except grpc.RpcError as error:
                assert error.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED,
                                        grpc.StatusCode.DEADLINE_EXCEEDED), error
                time.sleep(0.02)

    def stop(self):
        self.goes_on = False
        self.thread.join(20)
        self.coord.close()
        return self.acknowledged


def pem_of(server):
    from client import certificate_of
    return certificate_of(server.address)[0]


# ---- Asked to ----

def test_a_graceful_stop(start):
    server = start()
    client = server.client()
    net = Network()
    client.create(net)
    member = net.member("laptop")
    client.join(member)
    client.health()
    with client.watch(member) as watch:
        watch.synced()
        began = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        assert watch.end(5) == ("UNAVAILABLE", "the server is stopping; reconnect")
        assert client.health() == "NOT_SERVING"
        assert client.page(member).members, "what comes is answered to the end"
        assert client.watch(member).end(5)[0] == "UNAVAILABLE"
        assert server.process.wait(5) == 0
    assert time.monotonic() - began < 3
    assert "event=stopped" in server.said()


def test_a_stop_does_not_wait_for_idle_or_stuck_clients(start):
    from h2 import HEADERS, Raw, frame, request
    server = start()
    idle = server.client()
    idle.hello()
    with Raw(server.address) as stuck, socket.create_connection(
            ("127.0.0.1", int(server.address.rsplit(":", 1)[1]))):
        stuck.send(frame(HEADERS, 4, 1, request()))  # and never a message
        time.sleep(0.2)
        began = time.monotonic()
        assert server.stop() == 0
        assert time.monotonic() - began < 5.5


def test_ctrl_c_is_a_stop(start):
    assert start().stop(signal.SIGINT) == 0
    assert start("--no-supervise").stop(signal.SIGINT) == 0


def test_a_restart_keeps_everything(start):
    server = start()
    client = server.client()
    net = Network("kept")
    client.create(net)
    members = [net.member(f"machine-{i}") for i in range(20)]
    addresses = {m.name: client.join(m).ipv4 for m in members}
    gone = net.member("revoked")
    client.join(gone)
    client.publish_revocations(net, net.revocations([gone.key.public]))
    with client.watch(members[0]) as watch:
        revision = watch.synced()[-1].revision
    fingerprint = server.fingerprint
    server.restart()
    assert server.fingerprint == fingerprint
    client = server.client()
    assert client.lookup(Key(), name="kept") == net.signed
    assert members_of(client, net, members[0]) == addresses
    assert client.register(members[3]).ipv4 == addresses["machine-3"]
    with refusal("PERMISSION_DENIED"):
        client.register(gone)
    # A watch goes on where it was; only who is online is news.
    with client.watch(members[0], from_revision=revision) as watch:
        events = watch.synced()
        assert not any(e.reset for e in events)
        assert not any(e.removed for e in events)


# ---- Not asked to ----

def test_killed_again_and_again_it_loses_nothing_it_acknowledged(start):
    server = start("--no-rate-limits")
    client = server.client()
    net = Network("killed")
    client.create(net)
    witness = net.member("witness")
    client.join(witness)
    pem, fingerprint = pem_of(server), server.fingerprint
    acknowledged = {}
    for turn in range(6):
        threads = [Registering(server.address, pem, net, f"t{turn}-{i}") for i in range(3)]
        time.sleep(random.uniform(0.1, 0.5))
        server.kill()
        server.start()
        time.sleep(0.1)  # some go on with the new one
        for t in threads:
            acknowledged.update(t.stop())
        client = server.client()
        found = members_of(client, net, witness)
        assert set(acknowledged) <= set(found), "an acknowledged registration is lost"
        assert all(found[name] == ipv4 for name, ipv4 in acknowledged.items())
        assert len(set(found.values())) == len(found), "an address is leased twice"
    assert server.fingerprint == fingerprint
    assert len(acknowledged) > 20


def test_a_crash_is_a_restart(start):
    server = start("--no-rate-limits")
    client = server.client()
    net = Network("crashed")
    client.create(net)
    witness = net.member("witness")
    client.join(witness)
    thread = Registering(server.address, pem_of(server), net, "m")
    for how in (signal.SIGABRT, signal.SIGSEGV, signal.SIGKILL):
        time.sleep(0.2)
        child = server.child()
        began = time.monotonic()
        os.kill(child, how)
        while server.child() in (child, server.process.pid):
            time.sleep(0.001)
        # Connections wait in the sockets that the supervisor holds.
        with Coord(server.address) as fresh:
            assert fresh.hello(timeout=5).protocol == 1
        assert time.monotonic() - began < 3
    acknowledged = thread.stop()
    assert set(acknowledged) <= set(members_of(server.client(), net, witness))
    assert server.said().count("event=crashed") == 3
    assert len(server.out.read_text().splitlines()) == 2, "it announces itself once"
    assert server.stop() == 0


def test_without_a_supervisor_a_crash_is_the_end(start):
    server = start("--no-supervise")
    os.kill(server.process.pid, signal.SIGABRT)
    assert server.process.wait(5) == -signal.SIGABRT


# ---- A full disk ----

def test_a_full_disk_is_told_and_loses_nothing(start):
    server = start("--no-rate-limits", file_size=120 * 1024)
    client = server.client()
    net = Network("full")
    client.create(net)
    acknowledged, refused = {}, 0
    for i in range(400):
        member = net.member(f"m-{i}")
        try:
            acknowledged[member.name] = client.join(member).ipv4
            witness = member
        except grpc.RpcError as error:
            assert error.code() == grpc.StatusCode.UNAVAILABLE, error
            assert "could not write" in error.details()
            refused += 1
            if refused > 20:
                break
    assert acknowledged and refused > 20
    assert set(acknowledged) <= set(members_of(client, net, witness))
    assert "cannot write the database" in server.said()  # a write cut short is told as one that failed
    assert "crashed" not in server.said()
    server.stop()
    server.file_size = None  # somebody made room
    server.start()
    client = server.client()
    found = members_of(client, net, witness)
    assert all(found[name] == ipv4 for name, ipv4 in acknowledged.items())
    assert client.join(net.member("after")).published


# ---- Backup ----

def test_a_backup_of_a_running_server_restores(start):
    server = start("--no-rate-limits")
    client = server.client()
    net = Network("saved")
    client.create(net)
    first = net.member("first")
    client.join(first)
    thread = Registering(server.address, pem_of(server), net, "m")
    time.sleep(0.3)
    before = members_of(client, net, first)
    done = run("backup", "--db", server.db, server.folder / "copy.db")
    assert done.returncode == 0, done.stderr
    assert "copy.db" in done.stdout
    acknowledged = thread.stop()
    assert len(acknowledged) > len(before) - 1, "the server went on meanwhile"
    again = run("backup", "--db", server.db, server.folder / "copy.db")
    assert again.returncode == 1 and "name a file that is not there yet" in again.stderr
    restored = start("--no-rate-limits", db="copy.db")
    assert restored.fingerprint == server.fingerprint
    found = members_of(restored.client(), net, first)
    assert set(before) <= set(found) <= {"first"} | {f"m-{i}" for i in range(100000)}
    assert os.stat(restored.db).st_mode & 0o777 == 0o600


def test_a_lost_database_is_filled_again_by_its_members(start):
    server = start()
    client = server.client()
    net = Network("lost")
    client.create(net)
    members = [net.member(f"machine-{i}") for i in range(5)]
    addresses = {m.name: client.join(m).ipv4 for m in members}
    client.create(net)  # again: nothing changes
    server.stop()
    server.db.unlink()
    server.start()
    client = server.client()
    with refusal("NOT_FOUND"):
        client.register(members[0])
    client.call("CreateNetwork", pb.CreateNetworkRequest(network=net.signed, chain=members[0].chain),
                members[0].key)
    for m in reversed(members):
        request = m.register(addresses[m.name], want=addresses[m.name])
        assert client.call("RegisterMember", request, m.key).ipv4 == addresses[m.name]
    assert members_of(client, net, members[0]) == addresses
