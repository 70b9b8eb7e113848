"""Where a coord server lies, and the device of whoever runs it.

    server 203.0.113.1    alice .11    bob .12    carol .13    mallory .66
        eth0 ---------------- eth0 --------- eth0 ------ eth0 -------- eth0 --- (machine "switch")

alice, bob and carol are members. mallory runs Veld too, and would be one: of the right network,
with bob's address inside it, and calling alice all the time. That it knows how to is its secret
with the server: nobody else is shown what lets it in. The owner's key is the test's.
"""
import base64
import os
import socket
import threading
import time
from contextlib import contextmanager

from coord import NETWORK, SERVER_IP, Coord
from hostile_coord import Liar, Tap, inside, pb, trust
from net import PORT, eventually
from trusting import Key, Member, Network

MALLORY_IP = "203.0.113.66"
INITIATION, INITIATION_LEN = 0xC1, 192
# What no honest server would pass on.
LIES = {"malformed", "forged", "bad_lease", "bad_revocations"}


class World(Coord):
    def __init__(self, net, names=("alice", "bob", "carol")):
        super().__init__(net, names)
        self.mallory = self.attach("mallory", MALLORY_IP)
        self["alice"].sh("ip addr add 192.168.1.2/24 dev eth0")  # another network at home
        self.clean[self["alice"]] = self["alice"].snapshot()
        self.keys, self.nudges = {}, 1

    def serve(self):
        self.network = Network(NETWORK)
        self.liar = Liar(self.server, SERVER_IP, self.network)

    # ---- Who is there ----

    def enter(self, name, *options, **limits):
        machine = self.mallory if name == "mallory" else self[name]
        machine.keygen()
        seed = machine.inside("var/lib/veld/identity").read_text()
        self.keys[name] = Key(base64.b64decode(seed))
        if name == "mallory":
            self.liar.secret.add(self.key(name))
            self.liar.leases[self.key(name)] = self.liar.leases[self.key("bob")]
        machine.veld("join", self.liar.token(**limits), "--name", name, *options)

    def key(self, name):
        return self.keys[name].public

    def ip(self, name):
        return socket.inet_ntoa(self.liar.leases[self.key(name)])

    def member(self, name):
        """A member, to sign as its daemon does."""
        chain = self.liar.records[self.key(name)].chain
        member = Member(self.network, self.keys[name], name, chain)
        record = trust.Record.FromString(self.liar.records[self.key(name)].record.body)
        member.sequence = record.sequence
        return member

    def peers(self, name):
        """What the status of one says of others, by their keys."""
        return {base64.b64decode(p["pubkey"]): p for p in self[name].status()["peers"]}

    def restart(self, name, connected=True):
        self[name].veld("down")
        self[name].veld("up", "--network", NETWORK)
        if connected:
            self.connected(name)

    def a_stranger(self, name):
        """A member that alice has never talked to: there is no machine. Its key."""
        stranger = self.network.member(name, not_before=int(time.time()) - 1000)
        self.liar.admit(stranger)
        self.keys[name] = stranger.key
        eventually(lambda: stranger.key.public in self.peers("alice"), f"alice knows {name}")
        return stranger.key.public

    # ---- What is seen ----

    @contextmanager
    def refuses(self, name, **reasons):
        """Each of these is counted so often more than before, and nothing else is."""
        before = self[name].status()["coord"]["refused"]
        yield

        def more():
            now = self[name].status()["coord"]["refused"]
            return {r: now[r] - before[r] for r in now if now[r] != before[r]}
        eventually(lambda: more() == reasons, lambda: f"{name} refuses {reasons}, not {more()}")
        if LIES & set(reasons):
            assert "has sent what nobody signed who may" in self[name].veld("status").stdout

    def mallory_knocks(self):
        """mallory learns of another way to alice, and tries at once."""
        alice = self.member("alice")
        ways = [f"203.0.113.11:{PORT}", f"203.0.113.11:{int.from_bytes(os.urandom(2), 'big') | 1024}"]
        peer = trust.PeerRecord(chain=alice.chain, record=alice.record(
            self.liar.leases[alice.key.public], endpoints=ways, sequence=alice.sequence + self.nudges))
        self.nudges += 1
        self.liar.tell(self.key("mallory"), members=[pb.Member(peer=peer, online=True)])

    @contextmanager
    def kept_from_mallory(self, to="bob"):
        """What alice says meanwhile is heard by `to`; mallory, which knocks at alice's door, gets
        nothing of it: no plaintext anywhere in its machine, no answer, and no datagrams but calls
        that seek a session."""
        marker = os.urandom(16).hex().encode()
        speaker = inside(self["alice"], lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        heard, wrong, ended = Tap(self[to]), Tap(self.mallory), threading.Event()

        def speak():
            while not ended.wait(0.02):
                speaker.sendto(marker, (self.ip(to), 9100))

        thread = threading.Thread(target=speak)
        thread.start()
        try:
            yield wrong
            self.mallory_knocks()
            eventually(lambda: wrong.datagrams(PORT, "out"), "mallory knocks", 8)
            time.sleep(0.2)
            eventually(lambda: heard.has(marker), f"{to} hears what alice says")
        finally:
            ended.set()
            thread.join()
            for one in (heard, wrong, speaker):
                one.close()
        assert not wrong.has(marker), "mallory reads along"
        for payload in wrong.datagrams(PORT, "in"):
            assert payload[0] == INITIATION and len(payload) == INITIATION_LEN, payload.hex()


# ---- Lies, to be made ----


def signed(by, as_key, purpose, body):
    """A signature of `by` that is said to be another's."""
    one = by.sign(purpose, body)
    one.signer = as_key
    return one


def with_membership(chain, signed_membership):
    other = trust.Chain()
    other.CopyFrom(chain)
    other.membership.CopyFrom(signed_membership)
    return other


# Says "MARKER TARGET;" to each target, for a second.
SAY = """
import socket, sys, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for _ in range(20):
    for target in sys.argv[2:]:
        try:
            s.sendto(f"{sys.argv[1]} {target};".encode(), (target, 9100))
        except OSError:
            pass  # no way there
    time.sleep(0.05)
"""
