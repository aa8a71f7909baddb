"""Interleaved rounds, and what may be concluded from them.

A machine that others use drifts by 10 to 30 per cent, so contestants take short turns, ratios are made within a round,
and the median over rounds is told. Every row has a control, two contestants that are the same program doing the same
work. The spread of a row is half the width of the 95 % bootstrap interval of the control's median ratio: what the
machine, not the program, may have done to a ratio. A row whose spread is above SPREAD_MOST is refused, and fewer rounds
than LEAST give figures, but no verdict.
"""

import random
import statistics
import time

from machine import cpu_us

SPREAD_MOST = 0.05
LEAST = 15  # rounds
RESAMPLES = 4000


class Refused(Exception):
    """A row that has no result, and why."""


def cpu_round(target, load, seconds):
    """CPU microseconds per request: of one side, when the target has two."""
    before, start = [cpu_us(pid) for pid in target.pids], time.monotonic()
    count = load(target.address, seconds)
    took = time.monotonic() - start
    sides = [(cpu_us(pid) - b) / count for pid, b in zip(target.pids, before)]
    found = {"value": sum(sides) / len(sides), "rps": count / took, "requests": count}
    return found | ({"sides": sides} if len(sides) > 1 else {})


def started(start, bench, names, job):
    try:
        return [start(bench, name, job) for name in names]
    except (RuntimeError, TimeoutError) as e:
        raise Refused(f"a contestant did not start: {e}") from None


def interleave(targets, one, count, progress=lambda done: None):
    """{name: rounds}: `one(target)` for each target in each round."""
    found = {t.name: [] for t in targets}
    try:
        for target in targets:
            one(target)  # Warms connections and caches, and is not counted.
        for number in range(count):
            # The order turns, so that nobody always runs after the same neighbour.
            turn = number % len(targets)
            for target in targets[turn:] + targets[:turn]:
                found[target.name].append(one(target))
            progress(number + 1)
    except RuntimeError as e:
        raise Refused(f"a round had errors: {target.name}: {e}") from None
    return found


def ratios(rounds, name, reference, key="value"):
    return [a[key] / b[key] for a, b in zip(rounds[name], rounds[reference])]


def half_width(values):
    """Half of the 95 % bootstrap interval of the median."""
    chance = random.Random(1)
    medians = sorted(statistics.median(chance.choices(values, k=len(values))) for _ in range(RESAMPLES))
    return (medians[int(RESAMPLES * 0.975)] - medians[int(RESAMPLES * 0.025)]) / 2


def control(rounds, pair, key="value"):
    """{"of", "ratio", "spread"} of the control."""
    found = ratios(rounds, pair[1], pair[0], key)
    return {"of": list(pair), "ratio": round(statistics.median(found), 4), "spread": round(half_width(found), 4)}


def summary(found, key="value"):
    values = [r[key] for r in found]
    told = {"median": round(statistics.median(values), 3), "min": round(min(values), 3), "max": round(max(values), 3)}
    if "rps" in found[0]:
        told["rps_median"] = round(statistics.median(r["rps"] for r in found))
    if "sides" in found[0]:
        told["sides_median"] = [round(statistics.median(s), 3) for s in zip(*(r["sides"] for r in found))]
    return told


def judge(rounds, subject, bounds, spread, key="value"):
    """One judgement for each (reference, bound): the median paired ratio may be the bound plus the spread."""
    told = []
    for reference, bound in bounds:
        if reference not in rounds:
            continue
        found = ratios(rounds, subject, reference, key)
        ratio = round(statistics.median(found), 4)
        told.append({"what": f"{subject} / {reference}", "bound": bound, "ratio": ratio, "low": round(min(found), 3),
                     "high": round(max(found), 3), "spread": spread, "reached": ratio <= bound + spread})
    return told


def verdict(told, pair, references=()):
    """The word for a row that has its judgements, or why it has none."""
    if missing := [name for name in (*pair, *references) if name not in told["rounds"]]:
        return f"no verdict: {', '.join(dict.fromkeys(missing))} was not run"
    if told["control"]["spread"] > SPREAD_MOST:
        return f"refused: the control's spread is {told['control']['spread']:.3f}"
    if not told.get("judgements"):
        return "no verdict: pillion was not run"
    count = min(len(turns) for turns in told["rounds"].values())
    if count < LEAST:
        return f"no verdict: {count} rounds, at least {LEAST}"
    return "reached" if all(j["reached"] for j in told["judgements"]) else "missed"
