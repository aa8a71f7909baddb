"""Memory: of a proxy that has one route, and what an idle connection adds to it.

Memory is not a matter of rounds: the same program doing the same work takes the same memory, to within its pages. So
there is no control here, and bounds are absolute. Only anonymous memory counts, since the program's text is shared; the
whole resident set is told beside it.
"""

import dataclasses
import statistics
import subprocess
import time
import typing

import load
import peers
import rounds
from machine import Bench, memory_kb
from pillion_test.launch import spawn, stop

SETTLE_S = 3  # Longer than a proxy keeps the buffers of a connection that has just been busy.
STEPS = (1000, 2500, 5000, 10000)


def judged(what, value, bound):
    return {"what": what, "ratio": round(value, 3), "bound": bound, "spread": 0, "reached": value <= bound}


@dataclasses.dataclass
class IdleRow:
    """KB of RssAnon for each of 10,000 connections that had one answer and then were left alone."""
    name: str
    title: str
    to_reach: str
    setup: typing.Callable
    flags: tuple
    who: tuple
    bound: float
    unit: str = "KB"

    def run(self, options, progress):
        found, turns = {}, {}
        for number, name in enumerate(options.choose(self)):
            with Bench() as bench:
                turns[name] = self.measure(bench, name)
            grown = (turns[name][-1]["anon"] - turns[name][0]["anon"]) / STEPS[-1]
            found[name] = {"median": round(grown, 3)}
            progress(number + 1)
        judgements = [judged("KB a connection", found["pillion"]["median"], self.bound)] if "pillion" in found else []
        return conclude({"contestants": found, "rounds": turns, "judgements": judgements, "unit": self.unit})

    def measure(self, bench, name):
        job = self.setup(bench)
        target = rounds.started(peers.start, bench, [name], job)[0]
        flags = list(self.flags) + (load.tls_options(bench.certificates()) if job.front_tls else [])
        # The first few connections make what is made once; they stay, and are not counted.
        points = [self.hold(bench, target, flags, 50) | {"connections": 0}]
        for before, count in zip((0,) + STEPS, STEPS):
            points.append(self.hold(bench, target, flags, count - before) | {"connections": count})
        return points

    @staticmethod
    def hold(bench, target, flags, count):
        argv = [load.generator(), "idle", "--connections", count, *flags, *target.address]
        process = spawn([str(a) for a in argv], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        bench.callback(stop, process)
        if not process.stdout.readline():
            raise rounds.Refused(f"{target.name}, {count} connections: {process.stderr.read().decode()[-300:]}")
        time.sleep(SETTLE_S)
        return memory_kb(target.pids[0])


@dataclasses.dataclass
class OneRouteRow:
    """MB of RssAnon with one route, after one request."""
    name: str
    title: str
    to_reach: str
    who: tuple
    bound: float
    unit: str = "MB"

    def run(self, options, progress):
        turns = {name: [] for name in options.choose(self)}
        for number in range(3):
            for name, found in turns.items():
                with Bench() as bench:
                    job = peers.Job("http1", "http1", peers.origin(bench)["http1"])
                    target = rounds.started(peers.start, bench, [name], job)[0]
                    load.touch(target.address)
                    time.sleep(1)
                    found.append(memory_kb(target.pids[0]))
            progress(number + 1)
        contestants = {}
        for name, found in turns.items():
            anon, rss = (statistics.median(f[key] for f in found) / 1024 for key in ("anon", "rss"))
            contestants[name] = {"median": round(anon, 2), "rss": round(rss, 2), "text": f"{anon:.1f} (RSS {rss:.1f})"}
        bounds = [judged("MB", contestants["pillion"]["median"], self.bound)] if "pillion" in contestants else []
        return conclude({"contestants": contestants, "rounds": turns, "judgements": bounds, "unit": self.unit})


def conclude(told):
    if not told["judgements"]:
        return told | {"verdict": "no verdict: pillion was not run"}
    return told | {"verdict": "reached" if all(j["reached"] for j in told["judgements"]) else "missed"}
