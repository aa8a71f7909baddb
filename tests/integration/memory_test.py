#!/usr/bin/env python3
"""Memory of the proxy stays near what was measured (perf/memory): idle connections, one route, many clusters.

Each bound is half more than what the proxy is to need at most, and twice that with TLS, where a burst of handshakes
leaves holes; what it needs is told by `perf/memory/memory.py`.
Sanitized builds have memory of their own, so that there only the requests count.
"""

import os
import sys

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
sys.path.insert(0, os.path.join(ROOT, "perf", "memory"))

import clusters  # noqa: E402
import idle  # noqa: E402

SLACK = 1.5
SLACK_TLS = 2
TLS_SETTLE_S = 1.3  # record buffers are freed after a second
# Kind, connections, seconds to wait, bytes of RssAnon at most.
IDLE = [("plain", 2000, 0.1, 1433), ("mtls", 250, TLS_SETTLE_S, 22 * 1024), ("mtls_h2", 250, TLS_SETTLE_S, 40 * 1024)]
ONE_ROUTE_KB = 8 * 1024
CLUSTERS = 2000
CLUSTERS_RSS_MB = 60 * CLUSTERS / 10000 + 20  # the program itself is 15


def main():
    failed = 0

    def judge(what, have, most, unit, slack=SLACK):
        nonlocal failed
        bad = have > most * slack and not os.environ.get("PILLION_SANITIZED")
        failed += bad
        print(f"{'FAIL' if bad else 'ok  '} {what}: {have} {unit}, at most {most * slack:.0f}")

    for kind, count, settle_s, most in IDLE:
        found = idle.idle(kind, count, settle_s=settle_s)
        judge(f"an idle connection, {kind}", found["bytes"], most, "bytes", SLACK if kind == "plain" else SLACK_TLS)
        if kind == "plain":
            judge("one route", found["before_kb"], ONE_ROUTE_KB, "KB of RssAnon")
    found = clusters.from_json(CLUSTERS, settle_s=0.1)
    judge(f"{CLUSTERS} clusters of {clusters.ENDPOINTS} endpoints", found["rss_mb"], CLUSTERS_RSS_MB, "MB of RSS")
    print(f"{5 - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
