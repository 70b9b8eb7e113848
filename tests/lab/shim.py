"""A bad network in user space: a UDP relay that loses, delays, reorders and
duplicates, and remembers what passed so that it can be sent again or altered.
Not every kernel has netem; this runs everywhere.

    shim.py LISTEN_ADDRESS PORT TARGET_ADDRESS PORT

Datagrams to LISTEN go to TARGET from a socket of their own, and answers go back
to whoever spoke last. Commands come as lines on stdin, each answered by one line
of JSON:

    set KEY VALUE     loss, duplicate, reorder, corrupt in percent; delay, jitter in ms; seed
    stats             what was done, by direction
    types             how many passed of each type, by direction
    forget            forget the remembered datagrams
    again DIRECTION [HOW]
                      send the remembered ones of a direction (in, out) once more,
                      HOW: as-is, flip-body, flip-counter, flip-lane, truncate, extend

"in" is towards TARGET, "out" back. A reordered datagram waits 5 to 15 ms, so that
later ones overtake it.
"""
import collections
import heapq
import json
import random
import selectors
import socket
import subprocess
import sys
import time

REMEMBERED = 4096


def altered(datagram, how):
    d = bytearray(datagram)
    if how == "flip-body":
        d[-1] ^= 1
    elif how == "flip-counter":
        d[8] ^= 1
    elif how == "flip-lane":
        d[2] ^= 1
    elif how == "truncate":
        del d[-1]
    elif how == "extend":
        d.append(0)
    return bytes(d)


class Direction:
    def __init__(self):
        self.stats = collections.Counter(passed=0, lost=0, duplicated=0, reordered=0,
                                         corrupted=0)
        self.types = collections.Counter()
        self.remembered = collections.deque(maxlen=REMEMBERED)


class Relay:
    def __init__(self, listen, target):
        self.settings = dict(loss=0.0, duplicate=0.0, reorder=0.0, corrupt=0.0, delay=0.0,
                             jitter=0.0)
        self.chance = random.Random(1)
        self.client = None  # who spoke last
        self.waiting = []   # heap of (when, order, direction name, datagram)
        self.order = 0
        self.directions = {"in": Direction(), "out": Direction()}
        self.sockets = {"in": self.socket(listen), "out": self.socket(None, target)}

    @staticmethod
    def socket(bind=None, connect=None):
        where = bind or connect
        s = socket.socket(socket.AF_INET6 if ":" in where[0] else socket.AF_INET,
                          socket.SOCK_DGRAM)
        s.setsockopt(socket.SOL_SOCKET, 33, 8 << 20)  # SO_RCVBUFFORCE
        if bind:
            s.bind(bind)
        else:
            s.connect(connect)
        s.setblocking(False)
        return s

    def send(self, direction, datagram):
        try:
            if direction == "in":
                try:
                    self.sockets["out"].send(datagram)
                except ConnectionRefusedError:  # of an earlier one: the target was not up yet
                    self.sockets["out"].send(datagram)
            elif self.client:
                self.sockets["in"].sendto(datagram, self.client)
        except OSError:
            pass  # as a network would

    def arrived(self, direction):
        """Take everything that waits on a socket. A few at a time, to stay fair."""
        for _ in range(64):
            try:
                datagram, sender = self.sockets[direction].recvfrom(65536)
            except OSError:
                return
            if direction == "in":
                self.client = sender
            self.passed(direction, datagram)

    def passed(self, name, datagram):
        d, rates, hit = self.directions[name], self.settings, \
            lambda percent: percent and self.chance.random() * 100 < percent
        d.remembered.append(datagram)
        if hit(rates["loss"]):
            d.stats["lost"] += 1
            return
        d.stats["passed"] += 1
        d.types[f"{datagram[0]:#x}"] += 1
        if hit(rates["corrupt"]):
            d.stats["corrupted"] += 1
            bit = self.chance.randrange(8 * len(datagram))
            datagram = (int.from_bytes(datagram, "little") ^ 1 << bit).to_bytes(
                len(datagram), "little")
        delay = rates["delay"] + self.chance.uniform(0, rates["jitter"])
        if hit(rates["reorder"]):
            d.stats["reordered"] += 1
            delay += self.chance.uniform(5, 15)
        copies = 1
        if hit(rates["duplicate"]):
            d.stats["duplicated"] += 1
            copies = 2
        for _ in range(copies):
            if delay:
                self.order += 1
                heapq.heappush(self.waiting,
                               (time.monotonic() + delay / 1000, self.order, name, datagram))
            else:
                self.send(name, datagram)

    def again(self, name, how="as-is"):
        datagrams = list(self.directions[name].remembered)
        for datagram in datagrams:
            self.send(name, altered(datagram, how))
            time.sleep(0.0002)  # none is to be lost in a queue
        return {"sent": len(datagrams),
                "types": collections.Counter(f"{d[0]:#x}" for d in datagrams)}

    def command(self, word, *arguments):
        if word == "set":
            if arguments[0] == "seed":
                self.chance = random.Random(int(arguments[1]))
            else:
                assert arguments[0] in self.settings, arguments[0]
                self.settings[arguments[0]] = float(arguments[1])
            return self.settings
        if word == "stats":
            return {name: d.stats for name, d in self.directions.items()}
        if word == "types":
            return {name: d.types for name, d in self.directions.items()}
        if word == "forget":
            for d in self.directions.values():
                d.remembered.clear()
            return {}
        assert word == "again", word
        return self.again(*arguments)

    def serve(self):
        selector = selectors.DefaultSelector()
        for name, s in self.sockets.items():
            selector.register(s, selectors.EVENT_READ, name)
        selector.register(sys.stdin, selectors.EVENT_READ, "command")
        print("ready", flush=True)
        while True:
            wait = self.waiting[0][0] - time.monotonic() if self.waiting else None
            for key, _ in selector.select(None if wait is None else max(wait, 0)):
                if key.data != "command":
                    self.arrived(key.data)
                    continue
                line = sys.stdin.readline()
                if not line:
                    return
                print(json.dumps(self.command(*line.split())), flush=True)
            while self.waiting and self.waiting[0][0] <= time.monotonic():
                _, _, name, datagram = heapq.heappop(self.waiting)
                self.send(name, datagram)


class Shim:
    """The tests' side: starts a relay in a machine and gives it commands."""

    def __init__(self, machine, listen, target):
        argv = machine.enter(sys.executable, __file__, *map(str, (*listen, *target)))
        self.popen = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                      text=True, bufsize=1)
        assert self.popen.stdout.readline().strip() == "ready"

    def __call__(self, *command):
        self.popen.stdin.write(" ".join(map(str, command)) + "\n")
        return json.loads(self.popen.stdout.readline())

    def close(self):
        self.popen.stdin.close()
        self.popen.wait(5)
        self.popen.stdout.close()


if __name__ == "__main__":
    Relay((sys.argv[1], int(sys.argv[2])), (sys.argv[3], int(sys.argv[4]))).serve()
