#!/usr/bin/env python3
"""Runs the conformance suites and prints a line each: name, cases, passed.

    conformance.py [--quick] [SUITE...]

Each suite is a file here and also runs alone. --quick leaves out those that take long or depend on the machine's speed;
the quick ones are part of `make test`.
"""

import argparse
import importlib
import sys

import kit

QUICK = ["h2spec", "h2specd", "vectors", "limits"]
SLOW = ["splits", "faults", "testssl", "slow_attacks", "floods"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("suites", nargs="*", default=[], metavar="SUITE")
    options = parser.parse_args()
    names = options.suites or QUICK + ([] if options.quick else SLOW)
    return kit.run_suites([(name, importlib.import_module(name).run) for name in names])


if __name__ == "__main__":
    sys.exit(main())
