#!/usr/bin/env python3
"""The table of limits: every counter that LIMITS.md names is one that the proxy has."""

import os
import re

import kit

ROOT = os.path.join(kit.HERE, "..", "..", "proxy")


def sources():
    for folder, _, files in os.walk(ROOT):
        for file in files:
            if file.endswith((".cc", ".h")):
                with open(os.path.join(folder, file), encoding="utf-8") as text:
                    yield text.read()


def run():
    with open(os.path.join(kit.HERE, "LIMITS.md"), encoding="utf-8") as table:
        rows = [line for line in table if line.startswith("| ") and "`" in line]
    counters = re.findall(r"`(?:http2|http\.P|cluster\.C|listener\.L|listener_manager)\.(\w+)`", "".join(rows))
    text = "".join(sources())
    missing = [name for name in counters if not re.search(rf"\b{name}\b", text)]
    return [kit.Line("limits: counters of the table", len(counters), len(counters) - len(missing), missing)]


if __name__ == "__main__":
    kit.main(run)
