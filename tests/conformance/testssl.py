#!/usr/bin/env python3
"""testssl.sh against a TLS listener: only TLS 1.2 and 1.3, no renegotiation, none of the known vulnerabilities."""

import json
import os
import subprocess
import tempfile

import h2spec
import kit
from blackbox.kit import Scene
from pillion_test import Answer, HttpOrigin, certs

OLD = ("SSLv2", "SSLv3", "TLS1", "TLS1_1")
NEW = ("TLS1_2", "TLS1_3")
BAD = ("LOW", "MEDIUM", "HIGH", "CRITICAL", "WARN")

# Findings about the test's own certificate or page, and not about the proxy.
EXCEPTIONS = {}


def judge(findings):
    """[(what, problem or None)]"""
    found = []
    for one in findings:
        name, text = one["id"], one["finding"]
        if name in OLD:
            found.append((name, None if text.startswith("not offered") else text))
        elif name in NEW:
            found.append((name, None if text.startswith("offered") else text))
        elif one["severity"] in ("OK", "INFO", "FATAL", *BAD) and name not in ("engine_problem", "scanTime", "service"):
            found.append((name, None if one["severity"] in ("OK", "INFO") else f"{one['severity']}: {text}"))
    return found


def run():
    with tempfile.TemporaryDirectory(prefix="pillion-testssl-") as directory:
        certs.Authority(directory).issue("server", "DNS:localhost")
        with Scene(h2spec.TEMPLATE.replace("CERTS", directory), origins={"a": HttpOrigin("a", default=Answer(200, b"ok"))}) as s:
            out = os.path.join(directory, "out.json")
            done = subprocess.run(["testssl", "--quiet", "--warnings", "off", "--color", "0", "--jsonfile", out, "-p", "-s", "-f", "-U",
                                   f"127.0.0.1:{s.port('secure')}"], capture_output=True, text=True, timeout=580, stdin=subprocess.DEVNULL)
            with open(out, encoding="utf-8") as f:
                found = judge(json.load(f))
            alive = s.proxy.process.poll() is None
    line = kit.Line("testssl.sh: protocols, ciphers, vulnerabilities", len(found), sum(problem is None for _, problem in found))
    for what, problem in found:
        if problem is not None and what in EXCEPTIONS:
            line.exceptions.append(f"{what}: {EXCEPTIONS[what]}")
        elif problem is not None:
            line.failures.append(f"{what}: {problem}")
    missing = [name for name in (*OLD, *NEW, "secure_client_renego", "heartbleed") if name not in {what for what, _ in found}]
    if missing or not alive:
        line.failures.append(f"not told: {missing}; the proxy is alive: {alive}; {done.stdout[-300:]}")
    return [line]


if __name__ == "__main__":
    kit.main(run)
