"""What a NAT does, asked the way of RFC 5780 with datagrams of our own. Run inside machines.

  nat_probe.py serve ADDRESS OTHER         answer at ports 7001 and 7002 of both addresses:
                                           each question says from which of the four sockets,
                                           and after how many seconds, it wants its answer
  nat_probe.py classify ADDRESS OTHER [PORT]
                                           print mapping and filtering of the NAT in between,
                                           and whether it keeps ports (that port), as JSON
  nat_probe.py unasked ADDRESS TARGET PORT have the server send something there, from 7001
  nat_probe.py lifetime ADDRESS SECONDS    print whether an answer that comes so late comes in
  nat_probe.py hairpin ADDRESS             print whether one gets through to oneself by the
                                           mapped address
  nat_probe.py hear ADDRESS PORT           print the mapped address of that port, and after it
                                           where the next datagram comes from
  nat_probe.py say ADDRESS PORT TO PORT    from that port, which is mapped before; print where
"""
import json
import select
import socket
import sys
import threading

PORTS = (7001, 7002)
WAIT = 0.4


def opened(port=0, address=""):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind((address, port))
    return s


def serve(address, other):
    sockets = {(a, p): opened(PORTS[p], (address, other)[a]) for a in (0, 1) for p in (0, 1)}
    print("ready", flush=True)
    while True:
        for s in select.select(list(sockets.values()), [], [])[0]:
            question, source = s.recvfrom(200)
            a, p, late, target = json.loads(question)
            answer = (json.dumps(source).encode(), tuple(target or source))
            threading.Timer(late, sockets[a, p].sendto, answer).start()


def ask(s, server, a, p, late=0.0, wait=WAIT, target=None):
    """Ask a server for an answer from a socket of its; the mapped address, or None."""
    s.sendto(json.dumps([a, p, late, target]).encode(), server)
    s.settimeout(wait + late)
    try:
        return tuple(json.loads(s.recv(200)))
    except socket.timeout:
        return None


def classify(address, other, port=0):
    s = opened(int(port))
    first = ask(s, (address, PORTS[0]), 0, 0)
    if not first:
        return {"mapping": None, "filtering": None, "keeps_ports": None}
    by_port = ask(s, (address, PORTS[1]), 0, 1)
    by_address = ask(s, (other, PORTS[0]), 1, 0)
    mapping = "address and port" if by_port != first else \
        "address" if by_address != first else "endpoint-independent"
    fresh = opened()  # it has sent to nobody else
    filtering = "endpoint-independent" if ask(fresh, (address, PORTS[0]), 1, 1) else \
        "address" if ask(fresh, (address, PORTS[0]), 0, 1) else "address and port"
    return {"mapping": mapping, "filtering": filtering,
            "keeps_ports": first[1] == s.getsockname()[1]}


def lifetime(address, seconds):
    return ask(opened(), (address, PORTS[0]), 0, 0, float(seconds)) is not None


def unasked(address, target, port):
    return ask(opened(), (address, PORTS[0]), 0, 0, target=[target, int(port)])


def hairpin(address):
    a, b = opened(), opened()
    mapped = ask(a, (address, PORTS[0]), 0, 0)
    b.sendto(b"hello", mapped)
    a.settimeout(WAIT)
    try:
        return a.recv(100) == b"hello"
    except socket.timeout:
        return False


def hear(address, port):
    s = opened(int(port))
    print(json.dumps(ask(s, (address, PORTS[0]), 0, 0)), flush=True)
    s.settimeout(10)
    return s.recvfrom(200)[1]


def say(address, port, to, to_port):
    s = opened(int(port))
    mapped = ask(s, (address, PORTS[0]), 0, 0)
    s.sendto(b"hello", (to, int(to_port)))
    return mapped


def main():
    result = {"serve": serve, "classify": classify, "lifetime": lifetime, "unasked": unasked,
              "hairpin": hairpin, "hear": hear, "say": say}[sys.argv[1]](*sys.argv[2:])
    print(json.dumps(result))


if __name__ == "__main__":
    main()
