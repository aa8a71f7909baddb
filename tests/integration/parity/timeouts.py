"""Timeouts: which answer the client gets, when, and which flag the access log tells."""

import socket
import time

from pillion_test import Answer, Hang
from pillion_test.parity import case, error_name
from pillion_test.wire import ProtocolError


class FullBacklog:
    """A port whose listen queue is full, so that a connection to it neither succeeds nor fails."""

    def __init__(self):
        self._listener = socket.socket()
        self._listener.bind(("127.0.0.1", 0))
        self._listener.listen(0)
        self.port = self._listener.getsockname()[1]
        self._fillers = []
        for _ in range(4):
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", self.port))
            self._fillers.append(filler)

    def close(self):
        for sock in self._fillers + [self._listener]:
            sock.close()


def setup(stage):
    stage.http("a")
    stage.values["full"] = FullBacklog()


def timed(t, target, script, low, high, listener="web", **kwargs):
    """Observes a request, whether it took as long as it should, and its line in the access log."""
    log = f"{t.dir}/timeouts.log"
    lines = len(open(log, encoding="utf-8").readlines()) if listener == "web" else 0
    t["a"].script = list(script)
    start = time.monotonic()
    seen = t.get(target, listener=listener, **kwargs)
    took = time.monotonic() - start
    seen["in time"] = True if low <= took <= high else round(took, 2)
    if listener == "web":
        seen["log"] = t.log_lines("timeouts.log", lines + 1)[-1]
    return seen


@case({"status": 504, "body": "upstream request timeout", "in time": True,
       "log": "/short 504 UT response_timeout"})
def case_request(t):
    return timed(t, "/short", [Hang()], 0.28, 0.6)


@case({"status": 504, "in time": True})
def case_request_with_a_body(t):
    return timed(t, "/short", [Hang()], 0.28, 0.7, method="POST", body=b"x" * 10000)


@case({"status": 200, "in time": True})
def case_request_that_is_just_in_time(t):
    return timed(t, "/short", [Answer(200, b"ok", delay_s=0.15)], 0.14, 0.3)


@case({"status": 200, "complete": False, "in time": True})
def case_request_after_the_head(t):
    return timed(t, "/short", [Answer(200, b"late", body_delay_s=3)], 0.28, 1.8)


@case({"status": 504, "in time": True})
def case_request_by_header(t):
    return timed(t, "/", [Hang()], 0.18, 0.5, "inside", headers=[("x-envoy-upstream-rq-timeout-ms", "200")])


@case({"status": 504, "in time": True})
def case_try_by_header(t):
    return timed(t, "/", [Hang()], 0.18, 0.5, "inside", headers=[("x-envoy-upstream-rq-per-try-timeout-ms", "200")])


@case({"status": 200})
def case_none(t):
    return timed(t, "/none", [Answer(200, b"ok", delay_s=0.6)], 0.58, 0.9)


@case({"status": 504, "in time": True, "log": "/try 504 UT upstream_per_try_timeout"})
def case_try(t):
    return timed(t, "/try", [Hang()], 0.18, 0.5)


@case({"status": 504, "in time": True})
def case_idle_stream_before_the_head(t):
    return timed(t, "/idle", [Hang()], 0.28, 0.7)


@case({"in time": True})
def case_stream_duration(t):
    return timed(t, "/duration", [Hang()], 0.28, 0.7)


@case({"in time": True})
def case_grpc_timeout_header(t):
    return timed(t, "/grpc", [Hang()], 0.18, 0.6,
                 headers=[("content-type", "application/grpc"), ("grpc-timeout", "200m"), ("te", "trailers")],
                 method="POST", body=b"")


@case({"status": 503, "in time": True})
def case_connecting(t):
    return timed(t, "/connect", [], 0.28, 0.8)


@case({"given up": 1})
def case_the_origin_s_connection_is_dropped(t):
    t["a"].script = [Hang()]
    t.get("/short")
    time.sleep(0.1)
    return {"given up": t["a"].given_up}


@case({"status": 504, "in time": True})
def case_stream_idle_timeout_of_the_listener(t):
    return timed(t, "/", [Hang()], 0.28, 0.7, "stream")


def unfinished(t, data, low, high):
    """Sends a part of a request and waits for what the proxy makes of it."""
    start = time.monotonic()
    try:
        with t.client("slow") as client:
            client.send(data)
            seen = t.observe(client.read())
            took = time.monotonic() - start
            seen["closed"] = client.at_eof()
    except (OSError, ProtocolError) as e:
        seen = {"error": error_name(e)}
        took = time.monotonic() - start
    seen["in time"] = True if low <= took <= high else round(took, 2)
    return seen


@case({"status": 408, "in time": True, "closed": True})
def case_request_headers(t):
    return unfinished(t, b"GET / HTTP/1.1\r\nHost: te", 0.28, 0.6)


@case({"status": 408, "in time": True, "closed": True})
def case_request_body(t):
    return unfinished(t, b"POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 10\r\n\r\nabc", 0.28, 0.8)


@case({"error": "closed", "in time": True})
def case_idle_connection(t):
    return unfinished(t, b"", 0.45, 0.9)
