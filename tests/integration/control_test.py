#!/usr/bin/env python3
"""Tests of `pillion control`, `token`, `identity` and `status`: the real binary, and gRPC's own client over mutual TLS.

    control_test.py [--only PART_OF_A_NAME] [--list]
"""

import argparse
import importlib
import os
import sys
import time
import traceback

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "support")]

from control import kit  # noqa: E402


def run(function):
    """Returns (problem or None, a note or None)."""
    try:
        return None, function()
    except kit.Failed as e:
        return str(e), None
    except Exception as e:  # Whatever ends a test is its result.
        place = traceback.extract_tb(e.__traceback__)[-1]
        return f"{type(e).__name__}: {e} ({os.path.basename(place.filename)}:{place.lineno})", None


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--only", default="")
    parser.add_argument("--list", action="store_true")
    options = parser.parse_args()
    for file in sorted(os.listdir(os.path.join(HERE, "control"))):
        if file.endswith(".py") and file not in ("__init__.py", "kit.py"):
            importlib.import_module("control." + file[:-3])
    chosen = [(name, function) for name, function in kit.TESTS if options.only in name]
    if options.list:
        print("\n".join(name for name, _ in chosen))
        return 0
    failed = 0
    start = time.monotonic()
    for name, function in chosen:
        problem, note = run(function)
        failed += problem is not None
        print(f"{'ok  ' if problem is None else 'FAIL'} {name}{f' ({note})' if note else ''}", flush=True)
        for line in (problem or "").splitlines():
            print(f"       {line}")
    print(f"---- {time.monotonic() - start:.1f} s")
    print(f"{len(chosen) - failed} passed, {failed} failed")
    return 1 if failed or not chosen else 0


if __name__ == "__main__":
    sys.exit(main())
