#!/usr/bin/env python3
"""Runs Envoy and Pillion on the same bootstrap files and compares what clients and origins see.

    parity_test.py [--only TOPIC[/CASE]] [--envoy-only | --pillion-only] [--jobs N]

The frame is tests/support/pillion_test/parity.py; a topic is parity/TOPIC.yaml (the bootstrap) and parity/TOPIC.py (the
cases). Differences that are meant (HTTP/1.0 accepted, header case kept, safe replay) are not in here but in
blackbox_test.py.
"""

import argparse
import importlib.util
import os
import re
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

TOPIC_LIMIT_S = 300
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "support"))

from pillion_test import find_binary, parity  # noqa: E402


def topics():
    return sorted(f[:-5] for f in os.listdir(os.path.join(HERE, "parity")) if f.endswith(".yaml"))


def load(topic):
    path = os.path.join(HERE, "parity", topic + ".py")
    spec = importlib.util.spec_from_file_location("parity_" + topic, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    with open(path[:-3] + ".yaml", encoding="utf-8") as f:
        return module, f.read()


def run_one(topic, chosen, kinds):
    """Runs a topic in this process; returns (passed, failed)."""
    start = time.monotonic()
    count = {True: 0, False: 0}

    def report(name, problem):
        count[problem is None] += 1
        print(f"{'ok  ' if problem is None else 'FAIL'} {topic}/{name}")
        for line in (problem or "").splitlines():
            print(f"       {line}")
    parity.run_topic(*load(topic), kinds, chosen, report)
    print(f"---- {topic}: {time.monotonic() - start:.1f} s", flush=True)
    return count[True], count[False]


def run_aside(topic, arguments):
    """Runs a topic in a process of its own; returns (passed, failed) and prints what it said in one piece."""
    done = subprocess.run([sys.executable, os.path.abspath(__file__), "--only", topic] + arguments,
                          capture_output=True, text=True, timeout=TOPIC_LIMIT_S)
    lines = done.stdout.splitlines()
    found = re.fullmatch(r"(\d+) passed, (\d+) failed", lines[-1] if lines else "")
    print("\n".join(lines[:-1] if found else lines) + done.stderr, flush=True)
    return (int(found[1]), int(found[2])) if found else (0, 1)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--only", default="", help="TOPIC, or TOPIC/part of a case's name")
    parser.add_argument("--envoy-only", action="store_true", help="check the cases' own expectations against Envoy")
    parser.add_argument("--pillion-only", action="store_true", help="the same against Pillion")
    parser.add_argument("--jobs", type=int, default=3, help="topics at a time; most of a topic's time is waiting")
    options = parser.parse_args()
    kinds = ["envoy"] if options.envoy_only else ["pillion"] if options.pillion_only else ["envoy", "pillion"]
    for kind in kinds:
        if not find_binary(kind):
            print(f"skipped: needs {kind}")
            return 2
    only, _, chosen = options.only.partition("/")
    if only and only not in topics():
        parser.error(f"there is no topic {only}; there are: {' '.join(topics())}")
    if only:
        results = [run_one(only, chosen, kinds)]
    else:
        mode = [f"--{kinds[0]}-only"] if len(kinds) == 1 else []
        with ThreadPoolExecutor(options.jobs) as pool:
            results = list(pool.map(lambda topic: run_aside(topic, mode), topics()))
    passed, failed = (sum(column) for column in zip(*results))
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
