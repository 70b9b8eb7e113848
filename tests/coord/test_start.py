"""Hello, and how the server begins and ends."""
import time


def test_hello(coord):
    reply = coord.hello()
    assert reply.protocol == 1
    assert reply.version
    assert abs(reply.time_ns - time.time_ns()) < 5e9
