"""Run a program in which one system call fails, as under an administrator or a sandbox.

    forbid.py NUMBER ERRNO PROGRAM ARGUMENT...

By a seccomp filter, which the program and all it starts keep.
"""
import ctypes
import os
import struct
import sys

PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 38, 22, 2
LOAD, JUMP_IF_EQUAL, RETURN = 0x20, 0x15, 0x06  # BPF_LD|W|ABS, BPF_JMP|JEQ|K, BPF_RET|K
FAIL, ALLOW = 0x00050000, 0x7fff0000


def forbid(call, errno):
    code = b"".join(struct.pack("HBBI", *op) for op in [
        (LOAD, 0, 0, 0),  # seccomp_data.nr
        (JUMP_IF_EQUAL, 0, 1, call),
        (RETURN, 0, 0, FAIL | errno),
        (RETURN, 0, 0, ALLOW)])
    program = ctypes.create_string_buffer(code)
    filter_ = struct.pack("HxxxxxxP", len(code) // 8, ctypes.addressof(program))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or \
            libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, filter_):
        raise OSError(ctypes.get_errno(), "prctl")


forbid(int(sys.argv[1]), int(sys.argv[2]))
os.execvp(sys.argv[3], sys.argv[3:])
