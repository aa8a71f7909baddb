#!/usr/bin/env python3
"""The rows of memory and start-up, on this machine, one at a time.

    memory.py [--only one_route,plain,mtls,mtls_tcp,mtls_h2,json,delta,sotw,one_change] [--connections 10000] [--clusters 10000]

Prints a line of JSON a row. Other programs may import `idle.idle`, `clusters.from_json`, `clusters.from_ads`,
`clusters.one_change` and `one_route`, which return the numbers.
"""

import argparse
import json
import sys

import clusters
import idle


def one_route():
    """RssAnon and RSS in KB of a proxy with one listener, route and cluster, after a few requests."""
    done = idle.idle("plain", 1)
    return {"rss_anon_mb": round(done["before_kb"] / 1024, 1), "rss_mb": round(done["before_rss_kb"] / 1024, 1)}


def main():
    rows = {"one_route": lambda o: one_route()}
    rows |= {kind: lambda o, kind=kind: idle.idle(kind, o.connections) for kind in idle.KINDS}
    rows |= {"json": lambda o: clusters.from_json(o.clusters), "delta": lambda o: clusters.from_ads(True, o.clusters),
             "sotw": lambda o: clusters.from_ads(False, o.clusters),
             "one_change": lambda o: clusters.one_change(o.clusters)}
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--only", default=",".join(rows), help="of: %(default)s")
    parser.add_argument("--connections", type=int, default=10000)
    parser.add_argument("--clusters", type=int, default=10000)
    options = parser.parse_args()
    for name in options.only.split(","):
        print(json.dumps({"row": name} | rows[name](options)), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
