"""Latency in an open loop at half of the knee.

The knee of a contestant is found by the same open loop in growing steps: the last rate at which p90 is less than four
times what it is at the lowest rate. The load for all is half of the smallest knee among the proxies, so that none is
judged by how it fares when it has no room; the steps are the plot of latency against load. "direct" is the origin
without a proxy: what a proxy adds is told as the difference to it, and the judgement is on the whole, since quantiles
cannot be subtracted. The best peer is the one with the smallest median of that quantile; the ratio to it is paired.

Everything runs on one core, which a spinner of the lowest priority keeps from sleeping. Measured here at 5000 requests a
second, 8 rounds, spread of the control's p50 and p99: split, 0.03 and 0.3, since each hop wakes a core of a virtual
machine from its sleep, in 30 us or in 1000; split and kept awake, 0.02 and 0.04; one core and awake, 0.007 and 0.02, and
the proxies differ most.
"""

import dataclasses
import statistics
import typing

import load
import rounds
from machine import Bench
from peers import Target
from place import Place

QUANTILES = ("p50", "p90", "p99", "p99.9")
JUDGED = ("p50", "p99")
_FIRST_RATE, _STEP, _KNEE = 2000, 1.3, 4
_TRIES = 3  # Of a turn in which the generator itself was late; how many were repeated is part of the result.


@dataclasses.dataclass
class LatencyRow:
    """`setup(bench)` gives (job, options of the generator, the address without a proxy)."""
    name: str
    title: str
    to_reach: str
    setup: typing.Callable
    who: tuple
    control: tuple
    start: typing.Callable
    place: str = "one"
    seconds: int = 1
    rounds_factor: int = 2  # A tail needs more rounds than a mean.
    unit: str = "us"

    def run(self, options, progress):
        how, seconds = options.place or self.place, options.seconds or self.seconds
        with Bench() as bench, Place(how) as place:
            job, flags, direct = self.setup(bench)
            targets = rounds.started(self.start, bench, options.choose(self), job)
            place.settle([pid for t in targets for pid in t.pids])
            proxies = [t.name for t in targets if not t.name.startswith("pump") and "again" not in t.name]
            targets.append(Target("direct", [], direct))

            place.keep_awake(bench)
            repeated = []

            def one(target, rate, seconds=seconds):
                found = patient(repeated, lambda: load.open_loop(target.address, rate, seconds, flags))
                return {q: found["latency_us"][q] for q in QUANTILES} | {"late_p99": found["late_us"]["p99"]}
            step_s = 1 if options.rounds >= rounds.LEAST else 0.3
            sweep = {t.name: steps(t, one, step_s) for t in targets if "again" not in t.name}
            knees = {name: points[-1]["rate"] for name, points in sweep.items()}
            half = min(knees[name] for name in proxies or knees) / 2
            found = rounds.interleave(targets, lambda t: one(t, half), options.rounds * self.rounds_factor, progress)
        return self.conclude(found) | {"seconds": seconds, "place": how, "knees": knees, "rate": round(half),
                                       "sweep": sweep, "repeated_turns": len(repeated)}

    def conclude(self, found):
        medians = {n: {q: round(statistics.median(r[q] for r in turns), 1) for q in QUANTILES}
                   for n, turns in found.items()}
        for one in medians.values():
            one["added"] = {q: round(one[q] - medians["direct"][q], 1) for q in QUANTILES}
            one["median"] = one["added"]["p50"]
            one["text"] = f"{one['added']['p50']:.0f} / {one['added']['p99']:.0f} / {one['added']['p99.9']:.0f}"
        told = {"unit": "added us at p50 / p99 / p99.9", "contestants": medians, "rounds": found}
        if not set(self.control) <= set(found) or "pillion" not in found:
            return told | {"verdict": "no verdict: the control or pillion was not run"}
        controls = {q: rounds.control(found, self.control, q) for q in JUDGED}
        told["controls"] = controls
        told["control"] = max(controls.values(), key=lambda c: c["spread"])
        told["judgements"] = []
        for q in JUDGED:
            others = [n for n in found if n not in ("pillion", "direct") and not n.startswith("pump") and
                      "again" not in n]
            if not others:
                return told | {"verdict": "no verdict: no peer was run"}
            best = min(others, key=lambda n: medians[n][q])
            judged = rounds.judge(found, "pillion", [(best, 1)], controls[q]["spread"], q)
            told["judgements"] += [j | {"what": f"{q} {j['what']}"} for j in judged]
        return told | {"verdict": rounds.verdict(told, self.control)}


def steps(target, one, seconds):
    """Growing rates until the knee, which is the last point."""
    rate, points = _FIRST_RATE, []
    try:
        while True:
            found = one(target, rate, seconds)
            if points and found["p90"] >= _KNEE * points[0]["p90"]:
                found = one(target, rate, seconds)  # Once more, since one hiccup of the machine looks the same.
                if found["p90"] >= _KNEE * points[0]["p90"]:
                    return points
            points.append({"rate": round(rate)} | found)
            rate *= _STEP
    except RuntimeError as e:
        if points:
            return points
        raise rounds.Refused(f"{target.name} at the lowest rate: {e}") from None


def patient(repeated, turn):
    """A turn, again when the generator was late: that is the machine's doing, and says nothing of the proxy."""
    for left in reversed(range(_TRIES)):
        try:
            return turn()
        except load.Late:
            if not left:
                raise
            repeated.append(1)
