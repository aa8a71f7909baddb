"""Answers that the proxy makes itself, to good requests and to bad ones."""

from pillion_test import Answer, Close, Hang, Raw
from pillion_test.parity import case, table

ROUTES = ("{name: r, virtual_hosts: [{name: all, domains: ['test', '*.test'], routes: ["
          "{match: {prefix: /dead}, route: {cluster: dead}}, {match: {prefix: /empty}, route: {cluster: empty}}, "
          "{match: {prefix: /rq0}, route: {cluster: rq0}}, {match: {prefix: /short}, route: {cluster: a, timeout: 0.2s}}, "
          "{match: {prefix: /d403}, direct_response: {status: 403, body: {inline_string: denied}}}, "
          "{match: {prefix: /d429}, direct_response: {status: 429}}, {match: {prefix: /ok}, route: {cluster: a}}]}]}")
GRPC = [("content-type", "application/grpc"), ("te", "trailers")]


def setup(stage):
    stage.http("a")
    stage.dead("dead")
    stage.values["routes"] = ROUTES


FAILURES = [
    ("no virtual host", 404, "/ok", "other.org", []),
    ("no route", 404, "/none", "test", []),
    ("no endpoint", 503, "/empty", "test", []),
    ("refused", 503, "/dead", "test", []),
    ("closed without an answer", 503, "/ok", "test", [Close()]),
    ("overflow", 503, "/rq0", "test", []),
    ("timeout", 504, "/short", "test", [Hang()]),
    ("rubbish from the origin", 502, "/ok", "test", [Raw(b"rubbish\r\n\r\n")]),
    ("direct 403", 403, "/d403", "test", []),
    ("direct 429", 429, "/d429", "test", []),
]


def words(seen):
    """The system's words for a refusal are not compared, nor their length, nor whether the connection goes on: Envoy
    ends it when the request's body has not arrived by the time of the answer."""
    seen["headers"] = [h for h in seen.get("headers", []) if h[0] != "connection"]
    cut = seen.get("body", "").find(", transport failure reason:")
    for pair in seen.get("headers", []):
        if pair[0] == "grpc-message" and "transport failure" in pair[1]:
            pair[1] = pair[1].split("transport failure")[0]
    if cut >= 0:
        seen["body"] = seen["body"][:cut]
        seen["headers"] = [h for h in seen["headers"] if h[0] != "content-length"]
    return seen


def plainly(t, target, host, script):
    t["a"].script = list(script)
    return words(t.get(target, host=host))


def over_grpc(t, target, host, script, version):
    t["a"].script = list(script)
    ask = t.get2 if version == 2 else t.get
    return words(ask(target, GRPC, host, method="POST", body=b"\0\0\0\0\0"))


table(globals(), [(title, {"status": status}, *rest) for title, status, *rest in FAILURES], plainly)
# UNAVAILABLE for 429 and 5xx gateway answers, UNIMPLEMENTED for 404, PERMISSION_DENIED for 403, UNKNOWN else.
CODES = {404: "12", 503: "14", 502: "14", 504: "14", 403: "7", 429: "14"}
table(globals(), [(f"{title}, gRPC over HTTP/{version}",
                   lambda seen, code=CODES[status]: seen["status"] == 200 and any(
                       h[0] == "grpc-status" and h[1] == code for h in seen["headers"]), *rest, version)
                  for title, status, *rest in FAILURES for version in (1, 2)], over_grpc)


@case({"status": 200})
def case_the_origin_s_error_is_not_made_grpc(t):
    t["a"].script = [Answer(200, b"plain", (("content-type", "text/plain"),))]
    return t.get("/ok", GRPC, method="POST", body=b"")


@case({"status": 404})
def case_head_of_a_local_reply(t):
    seen = t.get("/none", method="HEAD")
    # Envoy announces chunks that do not follow.
    seen["headers"] = [h for h in seen["headers"] if h[0] != "transfer-encoding"]
    return seen


@case({"statuses": [404, 200, 404]})
def case_the_connection_goes_on_after_a_local_reply(t):
    with t.client() as client:
        return {"statuses": [client.get(target).status for target in ("/none", "/ok", "/none")]}


HEAD = b"Host: test\r\n"
# Bad by RFC 9112, and most of it has been used for smuggling. Envoy lets some of it pass; Pillion must not.
BAD = [
    ("bad: no host", b"GET /ok HTTP/1.1\r\n\r\n"),
    ("bad: two hosts", b"GET /ok HTTP/1.1\r\nHost: test\r\nHost: b.test\r\n\r\n"),
    ("bad: space in a name", b"GET /ok HTTP/1.1\r\n" + HEAD + b"Bad Name: x\r\n\r\n"),
    ("bad: space before the colon", b"GET /ok HTTP/1.1\r\n" + HEAD + b"Name : x\r\n\r\n"),
    ("bad: empty name", b"GET /ok HTTP/1.1\r\n" + HEAD + b": x\r\n\r\n"),
    ("bad: folded line", b"GET /ok HTTP/1.1\r\n" + HEAD + b"X-A: 1\r\n 2\r\n\r\n"),
    ("bad: zero byte in a value", b"GET /ok HTTP/1.1\r\n" + HEAD + b"X-A: a\0b\r\n\r\n"),
    ("bad: bare carriage return in a value", b"GET /ok HTTP/1.1\r\n" + HEAD + b"X-A: a\rb\r\n\r\n"),
    ("bad: no version", b"GET /ok\r\n" + HEAD + b"\r\n"),
    ("bad: version 2.0 in a line", b"GET /ok HTTP/2.0\r\n" + HEAD + b"\r\n"),
    ("bad: version 1.2", b"GET /ok HTTP/1.2\r\n" + HEAD + b"\r\n"),
    ("bad: unknown protocol", b"GET /ok FTP/1.1\r\n" + HEAD + b"\r\n"),
    ("bad: method with a bracket", b"GE(T /ok HTTP/1.1\r\n" + HEAD + b"\r\n"),
    ("bad: no path", b"GET  HTTP/1.1\r\n" + HEAD + b"\r\n"),
    ("bad: length not a number", b"POST /ok HTTP/1.1\r\n" + HEAD + b"Content-Length: 1x\r\n\r\nab"),
    ("bad: length negative", b"POST /ok HTTP/1.1\r\n" + HEAD + b"Content-Length: -1\r\n\r\n"),
    ("bad: length with a plus", b"POST /ok HTTP/1.1\r\n" + HEAD + b"Content-Length: +1\r\n\r\na"),
    ("bad: length empty", b"POST /ok HTTP/1.1\r\n" + HEAD + b"Content-Length: \r\n\r\n"),
    ("bad: length beyond 64 bits", b"POST /ok HTTP/1.1\r\n" + HEAD + b"Content-Length: 18446744073709551617\r\n\r\na"),
    ("bad: two lengths that differ",
     b"POST /ok HTTP/1.1\r\n" + HEAD + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab"),
    ("bad: length and chunked", b"POST /ok HTTP/1.1\r\n" + HEAD +
     b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    ("bad: unknown encoding", b"POST /ok HTTP/1.1\r\n" + HEAD + b"Transfer-Encoding: foo\r\n\r\n"),
    ("bad: chunked twice", b"POST /ok HTTP/1.1\r\n" + HEAD + b"Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n"),
    ("bad: chunked not last", b"POST /ok HTTP/1.1\r\n" + HEAD + b"Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n"),
    ("bad: encoding with a vertical tab",
     b"POST /ok HTTP/1.1\r\n" + HEAD + b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n"),
    ("bad: chunk size not hexadecimal",
     b"POST /ok HTTP/1.1\r\n" + HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n\r\n"),
    ("bad: chunk longer than its size", b"POST /ok HTTP/1.1\r\n" + HEAD +
     b"Transfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n0\r\n\r\n"),
    ("bad: TLS instead of HTTP", bytes.fromhex("16030100800100007c0303") + b"\x01" * 120),
    ("bad: two empty lines before the request", b"\r\n\r\nGET /ok HTTP/1.1\r\n" + HEAD + b"\r\n"),
    ("bad: empty host", b"GET /ok HTTP/1.1\r\nHost:\r\n\r\n"),
    ("bad: host with a user", b"GET /ok HTTP/1.1\r\nHost: me@test\r\n\r\n"),
    ("bad: binary", bytes(range(128, 256)) + b"\r\n\r\n"),
]
# Requests of which Envoy makes nothing bad; that both agree is still required.
ODD = [
    ("odd: CONNECT without a route for it", b"CONNECT test:80 HTTP/1.1\r\nHost: test:80\r\n\r\n"),
    ("odd: tab around a value", b"GET /ok HTTP/1.1\r\n" + HEAD + b"X-A:\t a \t\r\n\r\n"),
    ("odd: high bytes in a value", b"GET /ok HTTP/1.1\r\n" + HEAD + b"X-A: caf\xc3\xa9\r\n\r\n"),
    ("odd: absolute target", b"GET http://test/ok?x HTTP/1.1\r\nHost: other.org\r\n\r\n"),
    ("odd: absolute target without a path", b"GET http://test HTTP/1.1\r\nHost: test\r\n\r\n"),
    ("odd: star", b"OPTIONS * HTTP/1.1\r\n" + HEAD + b"\r\n"),
    ("odd: unknown method", b"BREW /ok HTTP/1.1\r\n" + HEAD + b"\r\n"),
    ("odd: method in small letters", b"get /ok HTTP/1.1\r\n" + HEAD + b"\r\n"),
    ("odd: TRACE", b"TRACE /ok HTTP/1.1\r\n" + HEAD + b"\r\n"),
    ("odd: GET with a body", b"GET /ok HTTP/1.1\r\n" + HEAD + b"Content-Length: 3\r\n\r\nabc"),
    ("odd: two equal lengths", b"POST /ok HTTP/1.1\r\n" + HEAD + b"Content-Length: 1\r\nContent-Length: 1\r\n\r\na"),
    ("odd: lengths in a list", b"POST /ok HTTP/1.1\r\n" + HEAD + b"Content-Length: 1, 1\r\n\r\na"),
    ("odd: chunked in capitals",
     b"POST /ok HTTP/1.1\r\n" + HEAD + b"Transfer-Encoding: CHUNKED\r\n\r\n1\r\na\r\n0\r\n\r\n"),
    ("odd: identity", b"POST /ok HTTP/1.1\r\n" + HEAD + b"Transfer-Encoding: identity\r\nContent-Length: 1\r\n\r\na"),
    ("odd: connection close", b"GET /ok HTTP/1.1\r\n" + HEAD + b"Connection: close\r\n\r\n"),
    ("odd: close of a local reply", b"GET /none HTTP/1.1\r\n" + HEAD + b"Connection: close\r\n\r\n"),
    ("odd: unknown expectation", b"POST /ok HTTP/1.1\r\n" + HEAD + b"Expect: tea\r\nContent-Length: 1\r\n\r\na"),
    ("odd: underscore in a name", b"GET /ok HTTP/1.1\r\n" + HEAD + b"x_y: 1\r\n\r\n"),
    ("odd: quote in the path", b'GET /ok" HTTP/1.1\r\n' + HEAD + b"\r\n"),
    ("odd: high byte in the path", b"GET /ok\xc3\xa9 HTTP/1.1\r\n" + HEAD + b"\r\n"),
    ("odd: host with a space", b"GET /ok HTTP/1.1\r\nHost: te st\r\n\r\n"),
]


table(globals(), [(title, None, data) for title, data in BAD], lambda t, data: t.raw(data), strict=True)
table(globals(), [(title, None, data) for title, data in ODD], lambda t, data: t.raw(data))

LIMITS = [
    ("limit: 60 KB of headers by default", [200], "web", 4, 14000),
    ("limit: more than 60 KB of headers", [431], "web", 5, 14000),
    ("limit: one header of 59 KB", [200], "web", 1, 59000),
    ("limit: one header of 70 KB", [431], "web", 1, 70000),
    ("limit: 8 KB configured", [200], "small", 1, 7000),
    ("limit: 8 KB configured and exceeded", [431], "small", 1, 9000),
    ("limit: 8 KB configured and exceeded by many", [431], "small", 90, 100),
    ("limit: 100 headers by default", [200], "web", 90, 5),
    ("limit: more than 100 headers", [431], "web", 120, 5),
    ("limit: 10 headers configured", [200], "few", 6, 5),
    ("limit: 10 headers configured and exceeded", [431], "few", 12, 5),
]


def heads(t, listener, count, size):
    lines = b"".join(b"X-%d: %s\r\n" % (i, b"v" * size) for i in range(count))
    seen = t.raw(b"GET /ok HTTP/1.1\r\n" + HEAD + lines + b"\r\n", listener)
    seen["statuses"] = [a["status"] for a in seen["answers"]]
    for answer in seen["answers"]:
        answer.pop("origin", None)
    return seen


table(globals(), [(title, {"statuses": want}, *rest) for title, want, *rest in LIMITS], heads)


@case({"statuses": [431]})
def case_limit_a_path_that_is_too_long(t):
    seen = t.raw(b"GET /ok" + b"x" * 70000 + b" HTTP/1.1\r\n" + HEAD + b"\r\n")
    return {"statuses": [a["status"] for a in seen["answers"]]}


@case({"refused": True})
def case_limit_http_2_headers(t):
    seen = t.get2("/ok", [(f"x-{i}", "v" * 1000) for i in range(9)], listener="small")
    # A 431 and a stream reset both do.
    return {"refused": seen.get("status") in (None, 0, 431)}


@case({"underscores": "refused"})
def case_underscores_rejected(t):
    seen = t.get("/ok", [("x_y", "1")], listener="underscores")
    return {"underscores": "refused" if seen.get("status") == 400 else seen, "headers": seen.get("headers")}


@case({"status": 200})
def case_underscores_dropped(t):
    return t.get("/ok", [("x_y", "1"), ("x-y", "2")], listener="dropping")


@case({"statuses": [200, 200], "told": [None, "close"], "closed": True})
def case_last_request_of_a_connection(t):
    with t.client("last") as client:
        answers = [client.get("/ok") for _ in range(2)]
        return {"statuses": [a.status for a in answers], "told": [a.header("connection") for a in answers],
                "closed": client.at_eof(3)}
