#!/usr/bin/env python3
"""Runs Envoy and Pillion on the same bootstrap files and compares what clients and origins see.

    parity_test.py [--only TOPIC[/CASE]] [--envoy-only | --pillion-only] [-v]

The frame is tests/support/pillion_test/parity.py; a topic is parity/TOPIC.yaml (the bootstrap) and parity/TOPIC.py (the
cases). Differences that are meant (HTTP/1.0 accepted, header case kept, safe replay) are not in here but in
blackbox_test.py.
"""

import argparse
import importlib.util
import os
import sys
import time

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


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--only", default="", help="TOPIC, or TOPIC/part of a case's name")
    parser.add_argument("--envoy-only", action="store_true", help="check the cases' own expectations against Envoy")
    parser.add_argument("--pillion-only", action="store_true", help="the same against Pillion")
    options = parser.parse_args()
    kinds = ["envoy"] if options.envoy_only else ["pillion"] if options.pillion_only else ["envoy", "pillion"]
    for kind in kinds:
        if not find_binary(kind):
            print(f"skipped: needs {kind}")
            return 2
    only, _, chosen = options.only.partition("/")
    wanted = [t for t in topics() if not only or t == only]
    if not wanted:
        parser.error(f"there is no topic {only}; there are: {' '.join(topics())}")
    count = {True: 0, False: 0}
    for topic in wanted:
        start = time.monotonic()

        def report(name, problem):
            count[problem is None] += 1
            print(f"{'ok  ' if problem is None else 'FAIL'} {topic}/{name}")
            for line in (problem or "").splitlines():
                print(f"       {line}")
        parity.run_topic(*load(topic), kinds, chosen, report)
        print(f"---- {topic}: {time.monotonic() - start:.1f} s", flush=True)
    print(f"{count[True]} passed, {count[False]} failed")
    return 1 if count[False] or not count[True] else 0


if __name__ == "__main__":
    sys.exit(main())
