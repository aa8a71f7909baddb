"""Which core runs what.

    split   the measured programs on one core, load and origin on the other
    one     everything on one core
    free    where the scheduler likes

Measured here with the pump as the only contestant, 15 rounds of 1 s: left free, its cost per request has two values
(4.3 and 8.5 us at 64 connections, by whether the scheduler puts it beside the load or not), and the control's spread is
0.03 to 0.08; split, it is 7.2 to 8.6 us, and the spread 0.02 to 0.03. So rows are split. With one connection, split
measures the machine: each request wakes an idle core three times, at 53 us for the pump; on one core nobody is idle, it
is 8.8 us, and the spread 0.014.
"""

import os


class Place:
    """While it is entered, what this process starts runs where load and origin belong."""

    def __init__(self, how):
        self.cpus = sorted(os.sched_getaffinity(0))
        self.measured, self.rest = {
            "split": ({self.cpus[0]}, set(self.cpus[1:] or self.cpus)),
            "one": ({self.cpus[-1]}, {self.cpus[-1]}),
            "free": (set(self.cpus), set(self.cpus))}[how]

    def __enter__(self):
        os.sched_setaffinity(0, self.rest)
        return self

    def __exit__(self, *_):
        os.sched_setaffinity(0, set(self.cpus))

    def keep_awake(self, bench):
        """A loop of the lowest priority on each core in use: whoever wants the core gets it, but never has to wake it."""
        for cpu in self.measured | self.rest:
            argv = ["taskset", "-c", str(cpu), "chrt", "-i", "0", "sh", "-c", "while :; do :; done"]
            bench.run(argv, bench.place("awake"))

    def settle(self, pids):
        """Moves the measured programs, with all their threads, to their core."""
        for pid in pids:
            for thread in os.listdir(f"/proc/{pid}/task"):
                os.sched_setaffinity(int(thread), self.measured)
