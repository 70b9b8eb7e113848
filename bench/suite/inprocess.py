"""Benchmarks that need no peers: programs of their own, built (BUILD/bench) or scripts
(bench/), each of which prints one JSON object for --json and hurries for --quick."""
import json
import os
import subprocess

from net import BUILD

from . import ROOT

# program: (title, about how many seconds it takes, with --quick)
PROGRAMS = {
    "bench-aead": ("Cryptography, one core", 45, 3),
    "bench-handshake": ("Handshakes, one core", 30, 3),
    "bench-scale": ("Routes, sessions and floods in the packet path", 60, 10),
    "scale": ("Many peers in a daemon", 60, 10),
    "bench-workers": ("Workers without a kernel", 30, 5),
}
LIMIT = 10  # times the estimate, then it is given up


def find(name):
    """The program's path, or None."""
    for path in (BUILD / "bench" / name, ROOT / "bench" / name):
        if path.is_file() and os.access(path, os.X_OK):
            return path
    return None


def seconds(name, quick):
    return PROGRAMS[name][2 if quick else 1]


def run(name, quick):
    """Its JSON; RuntimeError with a sentence when there is none."""
    argv = [find(name), "--json"] + (["--quick"] if quick else [])
    try:
        done = subprocess.run(argv, capture_output=True, text=True, stdin=subprocess.DEVNULL,
                              timeout=LIMIT * seconds(name, quick))
    except subprocess.TimeoutExpired:
        raise RuntimeError(f"did not end within {LIMIT * seconds(name, quick)} s") from None
    if done.returncode != 0:
        said = done.stderr.strip().splitlines() or ["without a word"]
        raise RuntimeError(f"exit {done.returncode}: {said[-1]}")
    try:
        return json.loads(done.stdout)
    except ValueError as error:
        raise RuntimeError(f"printed no JSON: {error}") from None
