"""How far a long run is, and how long it will still take, on the terminal."""
import sys
import time


def minutes(seconds):
    return f"{int(seconds) // 60}:{int(seconds) % 60:02}"


class Progress:
    """The work is given in estimated seconds; what was done so far corrects the rest."""

    def __init__(self, steps, estimate):
        self.steps, self.estimate = steps, estimate
        self.done = 0
        self.worked = 0.0  # estimated seconds of the steps done
        self.began = time.monotonic()
        self.live = sys.stderr.isatty()
        self.said = 0.0

    def restart(self):
        """What was done till now, building and starting, says nothing about the rest."""
        self.estimate -= self.worked
        self.worked, self.began = 0.0, time.monotonic()

    def left(self):
        """Seconds."""
        pace = 1.0
        if self.worked > 10:
            pace = (time.monotonic() - self.began) / self.worked
        return max(self.estimate - self.worked, 0) * pace

    def show(self, what):
        line = f"[{self.done + 1:3}/{self.steps}] {minutes(self.left())} left  {what}"
        if self.live:
            print(f"\r\033[K{line:.100}", end="", file=sys.stderr, flush=True)
        elif time.monotonic() - self.said >= 30:  # a log gets a line now and then
            self.said = time.monotonic()
            print(line, file=sys.stderr, flush=True)

    def step(self, seconds):
        self.done += 1
        self.worked += seconds

    def clear(self):
        if self.live:
            print("\r\033[K", end="", file=sys.stderr, flush=True)

    def say(self, text):
        """A line that stays."""
        self.clear()
        print(text, flush=True)
