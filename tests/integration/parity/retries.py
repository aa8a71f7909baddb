"""Retries on a failing origin: what is tried again, how often, and what the client gets in the end."""

from pillion_test import Answer, Close, Hang, Raw, Reset
from pillion_test.h2peer import H2Answer
from pillion_test.parity import case, table


def setup(stage):
    stage.http("a")
    stage.http2("second")
    stage.dead("dead")


REFUSED_STREAM, CANCEL, INTERNAL = 7, 8, 2


def end(status, attempts):
    """The final status, and how many requests the origin saw."""
    return {"status": status, "attempts": attempts}


def run(t, target, script, origin="a", **kwargs):
    t[origin].script = list(script)
    if any(isinstance(answer, Reset) for answer in script):
        # On a connection that was used before, Pillion replays what is lost where that is safe.
        t[origin].drop_connections()
    seen = t.get(target, **kwargs)
    seen["attempts"] = len(t[origin].seen)
    seen["counts"] = [r.header("x-envoy-attempt-count") for r in t[origin].seen]
    seen["bodies"] = [len(r.body) for r in t[origin].seen]
    return seen


def codes(*statuses):
    return [Answer(s, b"no %d" % s) for s in statuses]


ROWS = [
    ("5xx: one failure", end(200, 2), "/5xx", codes(500)),
    ("5xx: two failures", end(200, 3), "/5xx", codes(500, 503)),
    ("5xx: more than num_retries", end(500, 4), "/5xx", codes(502, 502, 502, 500, 200)),
    ("5xx: 4xx is an answer", end(404, 1), "/5xx", codes(404)),
    ("5xx: the connection closes without an answer", end(200, 2), "/5xx", [Close()]),
    ("5xx: the connection is reset", end(200, 2), "/5xx", [Reset()]),
    ("5xx: rubbish instead of an answer", end(200, 2), "/5xx", [Raw(b"rubbish\r\n\r\n")]),
    ("gateway-error: 502", end(200, 2), "/gateway", codes(502)),
    ("gateway-error: 503 and 504", end(200, 3), "/gateway", codes(503, 504)),
    ("gateway-error: 500 is an answer", end(500, 1), "/gateway", codes(500)),
    ("gateway-error: a reset counts", end(200, 2), "/gateway", [Reset()]),
    ("reset: reset", end(200, 2), "/reset", [Reset()]),
    ("reset: closed", end(200, 2), "/reset", [Close()]),
    ("reset: twice", end(200, 3), "/reset", [Close(), Reset()]),
    ("reset: always", end(503, 3), "/reset", [Reset(), Reset(), Reset()]),
    ("reset: 503 is an answer", end(503, 1), "/reset", codes(503)),
    ("reset-before-request: 503 is an answer", end(503, 1), "/before", codes(503)),
    ("retriable-4xx: 409", end(200, 2), "/4xx", codes(409)),
    ("retriable-4xx: 404 is an answer", end(404, 1), "/4xx", codes(404)),
    ("retriable-status-codes: listed", end(200, 3), "/codes", codes(418, 429)),
    ("retriable-status-codes: another", end(500, 1), "/codes", codes(500)),
    ("retriable-headers: present", end(200, 2), "/headers", [Answer(200, b"x", (("X-Again", "yes"),))]),
    ("retriable-headers: other value", end(200, 1), "/headers", [Answer(200, b"x", (("X-Again", "no"),))]),
    ("num_retries of zero", end(500, 1), "/zero", codes(500)),
    ("num_retries unset is one", end(500, 2), "/default", codes(503, 500)),
    ("two conditions", end(200, 4), "/both", [Reset(), *codes(502), Close()]),
    ("no policy", end(503, 1), "/", codes(503)),
    ("no policy, reset after the request", end(503, 1), "/", [Reset()]),
    ("per-try timeout", end(200, 2), "/try", [Hang()]),
    ("per-try timeout, each time", end(504, 3), "/try", [Hang(), Hang(), Hang()]),
    ("the request's timeout ends the tries", {"status": 504}, "/slow", [Hang()] * 9),
    ("a part of the head, then reset", end(200, 2), "/reset", [Raw(b"HTTP/1.1 200 OK\r\nX-A: 1\r\n", "reset")]),
    ("a part of the body, then the end: too late", {"status": 200, "attempts": 1, "complete": False}, "/5xx",
     [Raw(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc")]),
    ("grpc: unavailable without a body", end(200, 2), "/grpc",
     [Answer(200, b"", (("content-type", "application/grpc"), ("grpc-status", "14")))]),
    ("grpc: cancelled without a body", end(200, 2), "/grpc",
     [Answer(200, b"", (("content-type", "application/grpc"), ("grpc-status", "1")))]),
    ("grpc: internal is an answer", end(200, 1), "/grpc",
     [Answer(200, b"", (("content-type", "application/grpc"), ("grpc-status", "13")))]),
]
table(globals(), ROWS, lambda t, target, script: run(t, target, script))

H2_ROWS = [
    ("refused-stream", end(200, 2), "/refused", [H2Answer(reset=REFUSED_STREAM)]),
    ("refused-stream: another code is final", end(503, 1), "/refused", [H2Answer(reset=INTERNAL)]),
    ("reset: HTTP/2 stream", end(200, 2), "/h2reset", [H2Answer(reset=CANCEL)]),
    ("reset: HTTP/2 connection", end(200, 2), "/h2reset", [H2Answer(drop=True)]),
]
table(globals(), H2_ROWS, lambda t, target, script: run(t, target, script, "second"))


@case({"attempts": 2, "bodies": [1000, 1000]})
def case_a_body_is_sent_again(t):
    return run(t, "/5xx", codes(500), method="POST", body=b"b" * 1000)


@case({"attempts": 2, "bodies": [50000, 50000]})
def case_a_body_of_50_kb_is_sent_again(t):
    return run(t, "/5xx", codes(500), method="POST", body=b"b" * 50000)


@case({"status": 500, "attempts": 1})
def case_retriable_request_headers_exclude_post(t):
    return run(t, "/only-get", codes(500), method="POST", body=b"x")


@case({"status": 200, "attempts": 2})
def case_retriable_request_headers_include_get(t):
    return run(t, "/only-get", codes(500))


@case({"status": 200, "attempts": 3, "counts": ["1", "2", "3"]})
def case_attempts_are_counted_in_headers(t):
    return run(t, "/5xx", codes(500, 500))


@case({"status": 200, "attempts": 2})
def case_a_request_header_asks_for_retries(t):
    return run(t, "/", codes(503), listener="inside",
               headers=[("x-envoy-retry-on", "gateway-error"), ("x-envoy-max-retries", "2")])


@case({"status": 503, "attempts": 1})
def case_a_request_header_of_an_outsider_asks_in_vain(t):
    return run(t, "/", codes(503), headers=[("x-envoy-retry-on", "gateway-error"), ("x-envoy-max-retries", "2")])


@case({"status": 503, "attempts": 3})
def case_a_request_header_limits_the_retries(t):
    return run(t, "/", codes(503, 503, 503, 503), listener="inside",
               headers=[("x-envoy-retry-on", "gateway-error"), ("x-envoy-max-retries", "2")])


@case({"status": 200, "attempts": 2})
def case_a_request_header_lists_codes(t):
    return run(t, "/", codes(418), listener="inside", headers=[("x-envoy-retry-on", "retriable-status-codes"),
                                                               ("x-envoy-retriable-status-codes", "418,419")])


@case({"status": 500, "attempts": 2})
def case_the_virtual_host_s_policy(t):
    return run(t, "/", codes(500, 500, 200), host="vhost.test")


@case({"status": 500, "attempts": 1})
def case_the_route_s_policy_replaces_the_virtual_host_s(t):
    return run(t, "/route", codes(500), host="vhost.test")


@case({"statuses": [200] * 20})
def case_another_host_after_a_refused_connection(t):
    return {"statuses": [t.get("/hosts")["status"] for _ in range(20)]}


@case({"status": 503})
def case_all_hosts_refuse(t):
    return t.get("/alldead")


@case({"retries": 2, "exceeded": 1, "success": 0})
def case_counters_of_exhausted_retries(t):
    names = {"retries": "upstream_rq_retry", "exceeded": "upstream_rq_retry_limit_exceeded",
             "success": "upstream_rq_retry_success"}
    before = {k: t.proxy.stat(f"cluster.a.{v}") for k, v in names.items()}
    run(t, "/gateway", codes(503, 503, 503))
    return {k: t.proxy.stat(f"cluster.a.{v}") - before[k] for k, v in names.items()}
