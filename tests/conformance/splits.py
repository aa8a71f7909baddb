#!/usr/bin/env python3
"""The vectors in pieces: the same verdict wherever a message is cut. All of them on the codecs, some on the whole proxy."""

import os
import re
import subprocess
import time

import kit
import vectors
from blackbox.kit import Scene
from pillion_test import find_binary
from pillion_test.wire import ProtocolError

LONGEST = 160  # octets of a message that the whole proxy gets in pieces
EVERY = 4  # of those that fit


def on_codecs():
    """The unit program does it; its own count is printed."""
    line = kit.Line("splits: every vector at every octet, codecs", 0, 0)
    program = os.path.join(os.path.dirname(find_binary("pillion")), "unit_http")
    root = os.path.join(kit.HERE, "..", "..")
    done = subprocess.run([program, "-tc=vectors*"], capture_output=True, text=True, timeout=300,
                          env={**os.environ, "PILLION_SOURCE_DIR": root})
    line.cases = sum(int(n) for n in re.findall(r"(\d+) cuts", done.stdout))
    line.passed = line.cases if done.returncode == 0 else 0
    if done.returncode:
        line.failures.append(done.stdout[-2000:])
    return line


def chosen():
    fit = [(name, data, expected) for name, data, expected in vectors.load("requests.txt")
           if len(data) <= LONGEST and "framing length 0" not in expected
           and ("stays" in expected or any(e.startswith("refused") for e in expected))]
    return fit[::EVERY]


def on_the_proxy():
    begin = time.monotonic()
    line = kit.Line("splits: some vectors at every octet, proxy", 0, 0)
    with Scene(vectors.UPGRADE, origins={"a": vectors.Origin("a")}) as s:
        for name, data, expected in chosen():
            cuts = [[data[:i], data[i:]] for i in range(1, len(data))] + [[data[i:i + 1] for i in range(len(data))]]
            for pieces in cuts:
                line.cases += 1
                try:
                    vectors.run_request(s, pieces, expected)
                    line.passed += 1
                except (vectors.Wrong, OSError, ProtocolError, IndexError) as e:
                    line.failures.append(f"{name}, cut after {len(pieces[0])}: {type(e).__name__} {str(e)[:300]}")
    line.took_s = time.monotonic() - begin
    return line


def run():
    return [on_codecs(), on_the_proxy()]


if __name__ == "__main__":
    kit.main(run)
