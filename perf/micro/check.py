#!/usr/bin/env python3
"""Fails when a part of the proxy got more than 15 per cent slower than its recorded ratio to the reference loop.

    check.py [--record] [--program build/perf_micro]

The ratios are in perf/results/micro.json. A part that seems slower is measured up to twice more, and its best ratio
counts: a busy machine makes a part slower, never faster. --record writes the ratios of now, each the median of three
runs, as the ones to hold.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time

ROOT = os.path.normpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
RECORD = os.path.join(ROOT, "perf", "results", "micro.json")
SLOWER_MOST = 1.15
TRIES = 3


def measure(program, *part):
    done = subprocess.run([program, *part], capture_output=True, text=True, check=True, timeout=300)
    return json.loads(done.stdout)


def record(program):
    runs = [measure(program) for _ in range(TRIES)]
    parts = {name: {key: round(statistics.median(r[name][key] for r in runs), 5) for key in one}
             for name, one in runs[0].items()}
    commit = subprocess.run(["git", "-C", ROOT, "rev-parse", "--short=12", "HEAD"], capture_output=True, text=True,
                            check=True).stdout.strip()
    os.makedirs(os.path.dirname(RECORD), exist_ok=True)
    with open(RECORD, "w", encoding="utf-8") as f:
        json.dump({"commit": commit, "date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "parts": parts}, f,
                  indent=1)
        f.write("\n")


def compare(program):
    with open(RECORD, encoding="utf-8") as f:
        held = json.load(f)
    now = measure(program)
    failed = sorted(set(held["parts"]) ^ set(now))
    for name in failed:
        print(f"{name}: measured or recorded, but not both")
    for name in [n for n in held["parts"] if n in now]:
        change = now[name]["ratio"] / held["parts"][name]["ratio"]
        for _ in range(TRIES - 1):
            if change > SLOWER_MOST:
                change = min(change, measure(program, name)[name]["ratio"] / held["parts"][name]["ratio"])
        word = "SLOWER" if change > SLOWER_MOST else "ok"
        print(f"{word:7} {name:26} {now[name]['ns']:9.1f} ns, {change:5.2f} x the recorded ratio")
        if change > SLOWER_MOST:
            failed.append(name)
    print(f"{len(now)} parts against {held['commit']}, {len(failed)} failed")
    return 1 if failed else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--record", action="store_true")
    parser.add_argument("--program", default=os.path.join(ROOT, "build", "perf_micro"))
    options = parser.parse_args()
    if options.record:
        record(options.program)
    return compare(options.program)


if __name__ == "__main__":
    sys.exit(main())
