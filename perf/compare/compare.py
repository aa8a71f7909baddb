#!/usr/bin/env python3
"""What Pillion costs beside a bare byte pump, HAProxy, nginx, nghttpx and Envoy, on this machine, in one run.

    compare.py [--only http1,tcp] [--rounds 15] [--seconds 1] [--who pump,envoy] [--place split|one|free] [--list]
    compare.py --explain --only http1-64-2h [--who pillion]

A row is chosen by its name or by the beginning of it. Each row starts its programs, runs them in short interleaved
rounds, and writes perf/results/ROW.json; table.md and the plots are made anew from all of the results that are there.
README of the statistics: rounds.py.
"""

import argparse
import os
import sys

import report
from explain import explain
from rounds import Refused
from rows import ROWS


class Options:
    def __init__(self, parsed):
        self.__dict__.update(vars(parsed))

    def choose(self, row):
        """The contestants of a row, or those among them that were asked for."""
        return [w for w in row.who if not self.who or w in self.who.split(",") or w.replace(",", "").split()[0] in self.who.split(",")]


def chosen(names):
    if not names:
        return ROWS
    found = []
    for name in names.split(","):
        fits = [r for r in ROWS if r.name == name] or [r for r in ROWS if r.name.startswith(name)]
        if not fits:
            sys.exit(f"there is no row {name}; --list names them")
        found += [r for r in fits if r not in found]
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--only", default="", help="rows, by name or beginning; all without")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--seconds", type=int, default=0, help="length of one turn of one contestant; 0 is the row's own")
    parser.add_argument("--who", default="", help="contestants; all of the row without")
    parser.add_argument("--place", choices=("split", "one", "free"), help="instead of the row's own: see place.py")
    parser.add_argument("--out", default=report.RESULTS)
    parser.add_argument("--explain", action="store_true", help="system calls per request and a profile instead of costs")
    parser.add_argument("--list", action="store_true", help="names the rows and ends")
    options = Options(parser.parse_args())
    if options.list:
        for row in ROWS:
            print(f"{row.name:16} {row.title}: {row.to_reach}")
        return 0
    os.makedirs(options.out, exist_ok=True)
    if options.explain:
        for row in chosen(options.only):
            if result := explain(row, options):
                report.write(result, options.out)
        return 0
    refused = False
    for row in chosen(options.only):
        def progress(done, row=row):
            if sys.stderr.isatty():
                print(f"\r{row.name}: round {done} of {options.rounds}", end="", file=sys.stderr, flush=True)
        try:
            found = row.run(options, progress)
        except (Refused, RuntimeError, TimeoutError) as e:
            found = {"verdict": f"refused: {e}", "unit": row.unit}
        if sys.stderr.isatty():
            print(file=sys.stderr)
        result = report.save(row, found, options)
        print(report.lines(result), flush=True)
        refused = refused or result["verdict"].startswith("refused")
    report.make(ROWS, options.out)
    return 1 if refused else 0


if __name__ == "__main__":
    sys.exit(main())
