#!/usr/bin/env python3
"""The thirty fault classes: the tests that are named after them, and why the others have none."""

import os
import re
import subprocess
import sys

import kit
from pillion_test import find_binary

CLASSES = 30
ABSENT = {
    29: "the PROXY protocol is not spoken: its listener filter is refused when the configuration is read",
    30: "there are no filters that authenticate (JWT, ext_authz): they are refused when the configuration is read",
}


def run():
    root = os.path.join(kit.HERE, "..", "..")
    blackbox = subprocess.run([sys.executable, os.path.join(root, "tests", "integration", "blackbox_test.py"), "--only", "fault_"],
                              capture_output=True, text=True, timeout=500)
    found = re.findall(r"^(ok  |FAIL) (fault_(\d\d)_\w+): .*(?:\n {7}(.*))?", blackbox.stdout, re.M)
    unit = subprocess.run([os.path.join(os.path.dirname(find_binary("pillion")), "unit_net"), "-tc=fault_28*"],
                          capture_output=True, text=True, timeout=100)
    one = "1 passed | 0 failed" in unit.stdout
    found.append(("ok  " if one else "FAIL", "fault_28_dns", "28", unit.stdout[-300:]))
    line = kit.Line("fault classes", len(found), sum(verdict == "ok  " for verdict, *_ in found))
    line.failures = [f"{name}: {problem}" for verdict, name, _, problem in found if verdict != "ok  "]
    have = {int(number) for _, _, number, _ in found}
    line.failures += [f"class {n} has neither a test nor a reason" for n in range(1, CLASSES + 1) if n not in have and n not in ABSENT]
    line.notes = [f"{len(have)} of {CLASSES} classes have tests"] + [f"class {n} has none: {why}" for n, why in ABSENT.items()]
    return [line]


if __name__ == "__main__":
    kit.main(run)
