"""503, but why? %PILLION_FAILURE% says in a sentence who failed, at which endpoint, and how often it was tried."""

import os

from pillion_test import Answer, Http1Client, wait_for
from pillion_test.h2peer import H2Client

from .kit import Scene, check, equal, test

LOG = """
admin: ${admin}
static_resources:
  listeners:
  - name: web
    address: ${any}
    filter_chains: [{filters: [{name: envoy.filters.network.http_connection_manager, typed_config: {${hcm}, stat_prefix: web, http_filters: ${router}, access_log: [{name: envoy.access_loggers.file, typed_config: {${file_log}, path: "${dir}/log", log_format: {text_format_source: {inline_string: "%REQ(:PATH)% %RESPONSE_CODE% %PILLION_FAILURE%\\n"}}}}], route_config: {name: r, virtual_hosts: [{name: all, domains: ["*"], routes: [{match: {prefix: /closed}, route: {cluster: closed, retry_policy: {retry_on: connect-failure, num_retries: 1}}}, {match: {prefix: /empty}, route: {cluster: empty}}, {match: {prefix: /slow}, route: {cluster: a, timeout: 0.1s}}, {match: {prefix: /ok}, route: {cluster: a}}]}]}}}]}]
  clusters:
  - {name: a, connect_timeout: 1s, load_assignment: ${load:a}}
  - {name: closed, connect_timeout: 1s, load_assignment: {cluster_name: closed, endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: 127.0.0.1, port_value: 1}}}}]}]}}
  - {name: empty, connect_timeout: 1s, load_assignment: {cluster_name: empty}}
"""
# What is asked for, the status, and what the sentence must name.
CASES = [
    ("/closed", 503, ("cluster closed", "127.0.0.1:1", "ECONNREFUSED", "2 attempts")),
    ("/empty", 503, ("cluster empty",)),
    ("/slow", 504, ("cluster a", "127.0.0.1:")),
    ("/nowhere", 404, ("route",)),
]


@test("why: each failed request has a sentence that names who failed and why, and a good one has none")
def why():
    with Scene(LOG) as s:
        s["a"].script = [Answer(200, b"ok")]
        for path, status in [("/ok", 200)] + [(path, status) for path, status, _ in CASES]:
            with Http1Client(s.port()) as client:
                if path == "/slow":
                    s["a"].script = [Answer(200, b"late", delay_s=1)]
                equal(client.get(path).status, status, path)
        log = os.path.join(s.dir, "log")
        lines = wait_for(lambda: (read_lines(log) if len(read_lines(log)) == 1 + len(CASES) else None), 5)
        equal(lines[0], "/ok 200 -", "a good request")
        for line, (path, status, parts) in zip(lines[1:], CASES):
            check(line.startswith(f"{path} {status} "), line)
            for part in parts:
                check(part in line, part, "is not in", line)
        return "; ".join(line.split(" ", 2)[2] for line in lines[1:])


@test("why: a head that is too large is told with the name of the field that was too much, 431 or 502")
def too_large():
    big, many = [("x-small", "1"), ("x-big", "v" * 70000)], [(f"x-{n}", "v") for n in range(120)]
    with Scene(LOG) as s:
        for headers in (big, many):
            with Http1Client(s.port()) as client:
                equal(client.get("/ok", headers).status, 431)
            with H2Client(s.port()) as client:
                equal(client.request(path="/ok", headers=headers).status, 431)
            s["a"].script = [Answer(200, b"", headers=tuple(headers))]
            with Http1Client(s.port()) as client:
                equal(client.get("/ok").status, 502)
        log = os.path.join(s.dir, "log")
        lines = wait_for(lambda: (read_lines(log) if len(read_lines(log)) == 6 else None), 5)
        for line, name in zip(lines, ["x-big"] * 3 + ["x-"] * 3):
            check(f"limit: {name}" in line, name, "is not in", line)
        return lines[2].split(" ", 2)[2]


def read_lines(path):
    if not os.path.exists(path):
        return []
    with open(path, encoding="utf-8") as f:
        return f.read().splitlines()
