"""Run a program under a kernel that seems older: some calls are refused (seccomp).

    refuse.py RULE... -- PROGRAM [ARGUMENT...]

Rules: uso         TUNSETOFFLOAD with UDP segmentation (Linux 6.2)
       tso         TUNSETOFFLOAD with any segmentation
       udp-segment UDP_SEGMENT on sockets (Linux 4.18)
       udp-gro     UDP_GRO on sockets (Linux 5.0)
"""
import ctypes
import os
import platform
import struct
import sys

IOCTL, SETSOCKOPT = {"x86_64": (16, 54), "aarch64": (29, 208)}[platform.machine()]
TUNSETOFFLOAD, TSO, USO = 0x400454d0, 0x6, 0x60
SOL_UDP, UDP_SEGMENT, UDP_GRO = 17, 103, 104
EINVAL, ENOPROTOOPT = 22, 92

LOAD, IF_EQUAL, IF_ANY, RETURN = 0x20, 0x15, 0x45, 0x06  # struct sock_filter codes
REFUSE, ALLOW = 0x00050000, 0x7fff0000

# call, errno, and conditions on its arguments: (which, code, value)
RULES = {
    "uso": (IOCTL, EINVAL, [(1, IF_EQUAL, TUNSETOFFLOAD), (2, IF_ANY, USO)]),
    "tso": (IOCTL, EINVAL, [(1, IF_EQUAL, TUNSETOFFLOAD), (2, IF_ANY, TSO | USO)]),
    "udp-segment": (SETSOCKOPT, ENOPROTOOPT, [(1, IF_EQUAL, SOL_UDP), (2, IF_EQUAL, UDP_SEGMENT)]),
    "udp-gro": (SETSOCKOPT, ENOPROTOOPT, [(1, IF_EQUAL, SOL_UDP), (2, IF_EQUAL, UDP_GRO)]),
}


def block(call, error, conditions):
    """One rule: each condition that does not hold jumps behind it."""
    tests = [(0, IF_EQUAL, call)] + [(16 + 8 * which, code, value)
                                     for which, code, value in conditions]
    lines = []
    for i, (offset, code, value) in enumerate(tests):
        left = 2 * (len(tests) - i) - 1  # lines behind this test, the return included
        lines += [(LOAD, 0, 0, offset), (code, 0, left, value)]
    return lines + [(RETURN, 0, 0, REFUSE | error)]


def refuse(rules):
    program = [line for rule in rules for line in block(*RULES[rule])] + [(RETURN, 0, 0, ALLOW)]
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *line) for line in program))
    fprog = ctypes.create_string_buffer(struct.pack("@HP", len(program), ctypes.addressof(code)))
    libc = ctypes.CDLL(None, use_errno=True)
    for arguments in ((38, 1, 0, 0, 0),  # PR_SET_NO_NEW_PRIVS
                      (22, 2, fprog, 0, 0)):  # PR_SET_SECCOMP, SECCOMP_MODE_FILTER
        assert libc.prctl(*arguments) == 0, os.strerror(ctypes.get_errno())


if __name__ == "__main__":
    split = sys.argv.index("--")
    refuse(sys.argv[1:split])
    os.execv(sys.argv[split + 1], sys.argv[split + 1:])
