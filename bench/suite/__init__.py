"""The end-to-end suite behind tools/bench; bench/README.md says how to read it.

  topology.py    a wire between two machines, one for each contender
  peers/         the programs that are measured, a file each
  meters.py      CPU and memory, from /proc
  loads.py       the tests: iperf3 and udp-load, and what they yield
  runner.py      all tests of all contenders in turn; progress, failures, results
  inprocess.py   benchmarks that are programs of their own
  conditions.py  what else a figure depends on
  report/        the results as tables and a picture

Only Debian's python3 is needed.
"""
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/lab"))  # net.py: machines made of namespaces
