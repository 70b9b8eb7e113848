"""A router at 192.168.1.1 that maps ports, or does what no router should. Says what it is asked.

    fake_router.py MODE [OTHER]        # OTHER: an address that nobody has any business with

    lease     NAT-PMP, leases of 20 s; the port outside is 40000 more than times it was restarted
    private   NAT-PMP, but the address outside is a provider's NAT's
    port      NAT-PMP, of another port than was asked for
    short     NAT-PMP answers that end too soon
    noise     NAT-PMP and SSDP: random bytes, many
    elsewhere SSDP that names OTHER
    name      SSDP that names a host by its name
    control   a description whose control is at OTHER
    moved     a description that has moved to OTHER (302)
    endless   a description without end
    slow      a description, a byte a second
    deep      a description of a million elements in each other
    permanent UPnP that knows no leases; says what it is asked to remove
    taken     UPnP that says yes, and has the port for another
    unplugged UPnP without an address outside
"""
import os
import re
import socket
import struct
import sys
import threading
import time

GATEWAY = "192.168.1.1"
HTTP = 5000
LEASE = 20
mode, other = sys.argv[1], (sys.argv[2:] or ["-"])[0]
IGD = """<?xml version="1.0"?><root xmlns="urn:schemas-upnp-org:device-1-0">{base}<device>
<deviceType>urn:schemas-upnp-org:device:InternetGatewayDevice:1</deviceType><deviceList><device>
<deviceType>urn:schemas-upnp-org:device:WANConnectionDevice:1</deviceType><serviceList><service>
<serviceType>urn:schemas-upnp-org:service:WANIPConnection:1</serviceType>
<controlURL>{control}</controlURL><SCPDURL>/scpd</SCPDURL></service></serviceList></device>
</deviceList></device></root>"""


def say(*words):
    print(*words, flush=True)


def natpmp():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.bind((GATEWAY, 5351))
        while True:
            question, whose = s.recvfrom(1100)
            say("natpmp", question[1])
            for answer in natpmp_answers(question):
                s.sendto(answer, whose)


def natpmp_answers(question):
    outside = socket.inet_aton("100.64.0.2" if mode == "private" else "8.8.1.7")
    if mode == "noise":
        return [os.urandom(size) for size in range(64)]
    if mode not in ("lease", "private", "port", "short"):
        return []
    if question[1] == 0:
        answer = struct.pack("!BBHL4s", 0, 128, 0, 1, outside)
        return [answer[:9] if mode == "short" else answer]
    port, = struct.unpack("!H", question[4:6])
    lease, = struct.unpack("!L", question[8:12])
    return [struct.pack("!BBHLHHL", 0, 129, 0, 1, port + (mode == "port"),
                        40000 + int(other) if mode == "lease" else port, lease and LEASE)]


def ssdp():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.bind(("239.255.255.250", 1900))
        s.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP,
                     socket.inet_aton("239.255.255.250") + socket.inet_aton(GATEWAY))
        answers = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        answers.bind((GATEWAY, 0))
        while True:
            question, whose = s.recvfrom(2000)
            say("ssdp", whose[0])
            host = {"elsewhere": other, "name": "router.test"}.get(mode, GATEWAY)
            for answer in [os.urandom(1400) for _ in range(500)] if mode == "noise" else [
                    f"HTTP/1.1 200 OK\r\nLOCATION: http://{host}:{HTTP}/root.xml\r\n"
                    "ST: urn:schemas-upnp-org:device:InternetGatewayDevice:1\r\n"
                    "USN: uuid:1\r\n\r\n".encode()]:
                answers.sendto(answer, whose)


def http():
    with socket.create_server((GATEWAY, HTTP)) as s:
        while True:
            connection, _ = s.accept()
            threading.Thread(target=serve, args=[connection], daemon=True).start()


def serve(connection):
    with connection:
        question = connection.recv(4000)
        while b"POST" in question and b"Envelope>" not in question:
            question += connection.recv(4000)
        say("http", question.split(b"\r\n")[0].decode())
        try:
            for part in control(question.decode()) if b"POST" in question else parts():
                connection.sendall(part)
        except OSError:
            say("broken off")


def control(question):
    """SOAP: one action."""
    action = re.search(r'SOAPAction: "\S+#(\w+)"', question)[1]
    port = (re.search(r"<NewExternalPort>(\d+)", question) or ["", "-"])[1]
    lease = (re.search(r"<NewLeaseDuration>(\d+)", question) or ["", "-"])[1]
    say("soap", action, port, lease)
    inner = {
        "GetExternalIPAddress": "<NewExternalIPAddress>"
                                f"{'' if mode == 'unplugged' else '8.8.1.7'}</NewExternalIPAddress>",
        "GetSpecificPortMappingEntry":
            f"<NewInternalClient>192.168.1.{66 if mode == 'taken' else 2}</NewInternalClient>"
            "<NewInternalPort>51820</NewInternalPort><NewLeaseDuration>0</NewLeaseDuration>",
    }.get(action, "")
    if action == "AddPortMapping" and mode == "permanent" and lease != "0":
        inner = "<UPnPError><errorCode>725</errorCode></UPnPError>"
    body = f"<?xml version=\"1.0\"?><Envelope><Body><r>{inner}</r></Body></Envelope>"
    yield f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()


def parts():
    at_other = f"http://{other}:{HTTP}"
    if mode == "moved":
        yield f"HTTP/1.1 302 Found\r\nLocation: {at_other}/root.xml\r\n\r\n".encode()
        return
    yield b"HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\n\r\n"
    if mode == "control":
        yield IGD.format(base="", control=f"{at_other}/control").encode()
    elif mode == "endless":
        while True:
            yield b"<a>" * 20000
    elif mode == "slow":
        for byte in IGD.format(base="", control="/control").encode():
            yield bytes([byte])
            time.sleep(1)
    elif mode in ("permanent", "taken", "unplugged"):
        yield IGD.format(base="", control="/control").encode()
    elif mode == "deep":
        yield b"<a>" * 1000000


for task in (natpmp, ssdp, http):
    threading.Thread(target=task, daemon=True).start()
say("ready")
threading.Event().wait()
