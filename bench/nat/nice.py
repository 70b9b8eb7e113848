"""Two agents of libnice that connect: bench/nat's table beside Veld's own."""
import json
import subprocess
import threading

from net import BUILD, eventually

AGENT = BUILD / "bench/nice-agent"
STUN = ("203.0.113.2", 3478)


def start_stun(internet):
    """coturn, which they ask."""
    stun = internet.stun()
    eventually(lambda: "turnserver" in stun.processes(), "coturn runs")


def connect(*machines):
    """What the agents of two machines say (nice_agent.c); what one says goes to the other."""
    ends = [subprocess.Popen(m.enter(AGENT, n, *STUN), text=True, stdin=subprocess.PIPE,
                             stdout=subprocess.PIPE) for n, m in enumerate(machines)]
    said = [None, None]

    def carry(n):
        for line in ends[n].stdout:
            if line.startswith("{"):
                said[n] = json.loads(line)
                return
            try:
                ends[1 - n].stdin.write(line)
                ends[1 - n].stdin.flush()
            except BrokenPipeError:
                pass  # it has ended, which its own result tells

    threads = [threading.Thread(target=carry, args=(n,)) for n in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for end in ends:
        end.stdin.close()
        end.wait()
        end.stdout.close()
    return said


def took_ms(said):
    """From the start of gathering until both had selected a pair; None: they did not."""
    good = all(end and end["connected"] for end in said)
    return max(end["ms"] for end in said) if good else None
