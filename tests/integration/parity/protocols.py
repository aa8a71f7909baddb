"""HTTP/1 to HTTP/1, HTTP/1 to HTTP/2, HTTP/2 to HTTP/1, HTTP/2 to HTTP/2."""

import hashlib
import os
import time

from pillion_test import Answer, Raw, Reset
from pillion_test.h2peer import H2Answer
from pillion_test.parity import case, error_name, plain_headers, table

BIG = os.urandom(1 << 16) * 48
CHUNKED = [("Transfer-Encoding", "chunked")]
PATHS = {("1", "1"): "/one", ("1", "2"): "/two", ("2", "1"): "/one", ("2", "2"): "/two"}


def setup(stage):
    stage.http("one")
    stage.http2("two")


def chunked(body, trailers=()):
    lines = "".join(f"{k}: {v}\r\n" for k, v in trailers).encode()
    return (b"%x\r\n%s\r\n" % (len(body), body) if body else b"") + b"0\r\n" + lines + b"\r\n"


def ask(t, down, up, answer=None, method="GET", body=None, headers=(), trailers=()):
    """One request through the combination; adds what the origin saw of body and trailers."""
    origin = t["one" if up == "1" else "two"]
    if answer:
        origin.script = [Answer(**answer) if up == "1" else H2Answer(**{k: v for k, v in answer.items()
                                                                        if k != "chunked"})]
    path = PATHS[down, up]
    if down == "2":
        seen = t.get2(path, headers, method=method, body=body, trailers=trailers)
    elif trailers:
        with t.client() as client:
            head = client.head(method, path, [("Host", "test"), *headers, *CHUNKED])
            client.send(head + chunked(body or b"", trailers))
            seen = t.observe(client.read(method))
    else:
        seen = t.get(path, headers, method=method, body=body)
    if origin.seen:
        request = origin.seen[-1]
        seen["upload"] = [len(request.body), hashlib.sha256(request.body).hexdigest()[:12]]
        seen["upload trailers"] = plain_headers(request.trailers)
    # Envoy announces chunks that do not follow, and not the option that TE needs (RFC 9110 10.1.4).
    if method == "HEAD":
        seen["headers"] = [h for h in seen["headers"] if h[0] != "transfer-encoding"]
    if "origin" in seen:
        seen["origin"]["headers"] = [h for h in seen["origin"]["headers"] if h != ["connection", "TE"]]
        # Whether the end of an empty HTTP/2 body comes with its head is a matter of packets.
        if body == b"" and down == "2":
            framing = (["transfer-encoding", "chunked"], ["content-length", "0"])
            seen["origin"]["headers"] = [h for h in seen["origin"]["headers"] if h not in framing]
    return seen


def rows(title, expect, **arguments):
    return [(f"{title}, {d} to {u}", expect, d, u, arguments) for d, u in PATHS]


BIG_DIGEST = [len(BIG), hashlib.sha256(BIG).hexdigest()[:12]]
table(globals(), [
    *rows("get", {"status": 200}),
    *rows("head", {"status": 200, "body": ""}, method="HEAD", answer={"body": b""}),
    *rows("no content", {"status": 204, "body": ""}, answer={"status": 204}),
    *rows("not modified", {"status": 304, "body": ""}, answer={"status": 304, "headers": (("etag", '"x"'),)}),
    *rows("post", {"status": 200, "upload": [5, hashlib.sha256(b"hello").hexdigest()[:12]]},
          method="POST", body=b"hello"),
    *rows("post without a body", {"status": 200, "upload": [0, hashlib.sha256(b"").hexdigest()[:12]]},
          method="POST", body=b""),
    *rows("3 MB up", {"status": 200, "upload": BIG_DIGEST}, method="PUT", body=BIG),
    *rows("3 MB down", {"status": 200, "body": f"<{len(BIG)} bytes, sha256 {hashlib.sha256(BIG).hexdigest()[:16]}>"},
          answer={"body": BIG}),
    *rows("3 MB down without a length", {"status": 200}, answer={"body": BIG, "chunked": True}),
    *rows("response trailers", {"status": 200, "trailers": [["x-sum", "1"], ["x-two", "b"]]},
          answer={"body": b"body", "chunked": True, "trailers": (("x-sum", "1"), ("x-two", "b"))}),
    *rows("request trailers", {"status": 200, "upload trailers": [["x-check", "abc"]]}, method="POST", body=b"hello",
          trailers=[("x-check", "abc")]),
    *rows("a status without a name", {"status": 299}, answer={"status": 299, "body": b"x"}),
    *rows("many response headers", {"status": 200},
          answer={"body": b"x", "headers": tuple((f"x-h{i}", "v" * 50) for i in range(60))}),
    *rows("a long value", {"status": 200}, headers=[("x-long", "v" * 20000)]),
    *rows("grpc", {"status": 200, "trailers": [["grpc-message", "fine"], ["grpc-status", "0"]]}, method="POST",
          body=b"\0\0\0\0\2hi", headers=[("content-type", "application/grpc"), ("te", "trailers")],
          answer={"body": b"\0\0\0\0\2yo", "chunked": True, "headers": (("content-type", "application/grpc"),),
                  "trailers": (("grpc-status", "0"), ("grpc-message", "fine"))}),
    *rows("cookies", {"status": 200}, headers=[("cookie", "a=1"), ("cookie", "b=2")]),
    *rows("te trailers", {"status": 200}, headers=[("te", "trailers")]),
], lambda t, down, up, arguments: ask(t, down, up, **arguments))


@case({"status": 200, "trailers": [["grpc-status", "0"]]})
def case_grpc_without_a_body(t):
    return ask(t, "2", "2", {"trailers": (("grpc-status", "0"),), "headers": (("content-type", "application/grpc"),)},
               "POST", b"", [("content-type", "application/grpc"), ("te", "trailers")])


@case({"status": 200})
def case_chunked_request_to_http_2(t):
    with t.client() as client:
        client.send(client.head("POST", "/two", [("Host", "test"), *CHUNKED]) + b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")
        seen = t.observe(client.read())
    seen["upload"] = t["two"].seen[-1].body.decode()
    return seen


@case({"status": 200, "upload": "abcde"})
def case_chunked_request_to_http_1(t):
    with t.client() as client:
        client.send(client.head("POST", "/one", [("Host", "test"), *CHUNKED]) + b"3;x=1\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")
        seen = t.observe(client.read())
    seen["upload"] = t["one"].seen[-1].body.decode()
    return seen


def expecting(t, path):
    with t.client() as client:
        client.send(client.head("POST", path, [("Host", "test"), ("Content-Length", "5"), ("Expect", "100-continue")]))
        client.sock.settimeout(3)
        interim = client.reader.line()
        client.reader.line()
        client.send(b"hello")
        seen = t.observe(client.read())
    return {"interim": interim.decode(), "status": seen["status"], "uploaded": seen["origin"]["body_length"],
            "passed on": "expect" in [k for k, _ in seen["origin"]["headers"]]}


@case({"interim": "HTTP/1.1 100 Continue", "status": 200, "uploaded": 5})
def case_100_continue_to_http_1(t):
    return expecting(t, "/one")


@case({"interim": "HTTP/1.1 100 Continue", "status": 200, "uploaded": 5})
def case_100_continue_to_http_2(t):
    return expecting(t, "/two")


@case({"status": 200, "body": "until the end"})
def case_response_until_the_end_of_the_connection(t):
    t["one"].script = [Raw(b"HTTP/1.1 200 OK\r\n\r\nuntil the end")]
    return t.get("/one")


@case({"status": 200, "body": "until the end"})
def case_response_until_the_end_of_the_connection_to_http_2(t):
    t["one"].script = [Raw(b"HTTP/1.1 200 OK\r\n\r\nuntil the end")]
    return t.get2("/one")


@case({"status": 200, "body": "old"})
def case_origin_of_http_1_0(t):
    t["one"].script = [Raw(b"HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nold", "keep")]
    return t.get("/one")


@case({"status": 200, "body": "after"})
def case_interim_responses_of_the_origin(t):
    """Pillion passes them on, as RFC 9110 15.2 asks; Envoy drops them."""
    t["one"].script = [Raw(b"HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nafter", "keep")]
    seen = t.get("/one")
    seen.pop("interim", None)
    return seen


@case({"complete": False})
def case_body_cut_short_to_http_1(t):
    t["one"].script = [Raw(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc")]
    return t.get("/one")


@case({"complete": False})
def case_body_cut_short_to_http_2(t):
    t["one"].script = [Raw(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc")]
    seen = t.get2("/one")
    # Whether the head and the first bytes still reach the client before the reset is a matter of timing.
    return {"complete": seen.get("complete", True)}


@case({"complete": False})
def case_chunks_cut_short(t):
    t["one"].script = [Raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabc")]
    return {"complete": t.get("/one").get("complete", True)}


@case({"complete": False})
def case_stream_reset_after_the_head_to_http_1(t):
    t["two"].script = [H2Answer(200, reset=2, after_head=True)]
    seen = t.get("/two")
    return {"complete": seen.get("complete", True) and "error" not in seen}


@case({"complete": False})
def case_stream_reset_after_the_head_to_http_2(t):
    t["two"].script = [H2Answer(200, reset=2, after_head=True)]
    return {"complete": t.get2("/two").get("complete", True)}


@case({"bodies": ["1", "2", "3"], "connections": 1})
def case_three_requests_on_one_connection(t):
    t["one"].drop_connections()
    t["one"].script = [Answer(200, b"1"), Answer(200, b"2", chunked=True), Answer(200, b"3")]
    with t.client() as client:
        bodies = [client.get("/one").body.decode() for _ in range(3)]
    return {"bodies": bodies, "connections": len({r.connection for r in t["one"].seen})}


@case({"bodies": ["1", "2", "3"]})
def case_three_requests_pipelined(t):
    t["one"].script = [Answer(200, b"1", delay_s=0.05), Answer(200, b"2"), Answer(200, b"3")]
    with t.client() as client:
        client.send(b"".join(client.head("GET", "/one", [("Host", "test")]) for _ in range(3)))
        return {"bodies": [client.read().body.decode() for _ in range(3)]}


@case({"order": ["fast", "slow"], "connections": 1})
def case_two_streams_at_once_to_http_2(t):
    t["two"].drop_connections()
    time.sleep(0.1)
    t["two"].script = [H2Answer(200, b"slow", delay_s=0.4), H2Answer(200, b"fast")]
    with t.h2() as client:
        slow, fast = client.start(path="/two"), None
        time.sleep(0.1)
        fast = client.start(path="/two")
        order = [client.finish(fast).body.decode()]
        early = slow not in client.ended
        order.append(client.finish(slow).body.decode())
    return {"order": order, "early": early, "connections": len({r.connection for r in t["two"].seen})}


@case({"statuses": [200] * 40})
def case_forty_streams_at_once(t):
    with t.h2() as client:
        streams = [client.start("POST", "/one" if i % 2 else "/two", body=b"x" * 3000 * i) for i in range(40)]
        return {"statuses": [client.finish(s).status for s in streams]}


@case({"statuses": [200, 200]})
def case_client_cancels_a_stream_and_the_others_go_on(t):
    t["two"].script = [H2Answer(200, b"x", delay_s=2)]
    with t.h2() as client:
        lost = client.start(path="/two")
        time.sleep(0.1)
        client.h2.reset_stream(lost, 8)
        client.flush()
        statuses = [client.request(path="/two").status, client.request(path="/one").status]
        time.sleep(0.2)
    return {"statuses": statuses, "origin told": t["two"].resets == [8] or t["two"].given_up == 1}


@case({"streams": 2})
def case_settings_tell_the_limit_of_streams(t):
    with t.h2("two-at-once") as client:
        client.request()
        return {"streams": client.h2.remote_settings.max_concurrent_streams}


@case({"alive": True})
def case_client_leaves_in_mid_response(t):
    t["one"].script = [Answer(200, BIG, body_delay_s=0.2)]
    with t.client() as client:
        client.send(client.head("GET", "/one", [("Host", "test")]))
        time.sleep(0.05)
    time.sleep(0.3)
    return {"alive": t.get("/one")["status"] == 200}


@case({"status": 200})
def case_http_2_only(t):
    return t.get2("/", listener="only2")


@case({"error": "closed"})
def case_http_2_only_refuses_http_1(t):
    return _refused(lambda: t.get("/", listener="only2"))


def _refused(ask_once):
    """A refusal may come as an answer in the other protocol or as a closed connection."""
    try:
        seen = ask_once()
    except Exception as e:
        seen = {"error": error_name(e)}
    return {"error": "closed"} if seen.get("status") != 200 else seen


@case({"error": "closed"})
def case_http_1_only_refuses_http_2(t):
    return _refused(lambda: t.get2("/", listener="only1"))


@case({"status": 503})
def case_reset_of_the_origin_to_http_2(t):
    t["one"].drop_connections()  # on a used connection, Pillion replays what is lost
    t["one"].script = [Reset()]
    return t.get2("/one")


@case({"first": "early", "finished": True})
def case_answer_before_the_request_is_complete(t):
    """An HTTP/2 origin that answers early: the client gets the head while it still sends."""
    with t.h2() as client:
        stream = client.start("POST", "/two", body=b"part", trailers=[("x-end", "1")])
        t["two"].script = []
        response = client.finish(stream)
        return {"first": "early" if response.status == 200 else response.status, "finished": stream in client.ended}


H2_PSEUDO = [
    ("authority and host that agree", None, [(":method", "GET"), (":scheme", "http"), (":authority", "a.test"),
                                             (":path", "/one"), ("host", "a.test")]),
    ("host instead of authority", None, [(":method", "GET"), (":scheme", "http"), (":path", "/one"),
                                         ("host", "b.test")]),
    ("no path", None, [(":method", "GET"), (":scheme", "http"), (":authority", "a.test")]),
    ("no method", None, [(":scheme", "http"), (":authority", "a.test"), (":path", "/one")]),
    ("empty path", None, [(":method", "GET"), (":scheme", "http"), (":authority", "a.test"), (":path", "")]),
    ("header name in capitals", None, [(":method", "GET"), (":scheme", "http"), (":authority", "a.test"),
                                       (":path", "/one"), ("X-Upper", "1")]),
    ("connection header", None, [(":method", "GET"), (":scheme", "http"), (":authority", "a.test"),
                                 (":path", "/one"), ("connection", "close")]),
    ("line break in a value", None, [(":method", "GET"), (":scheme", "http"), (":authority", "a.test"),
                                     (":path", "/one"), ("x-bad", "a\r\nx-smuggled: 1")]),
    ("space in the path", None, [(":method", "GET"), (":scheme", "http"), (":authority", "a.test"),
                                 (":path", "/one two")]),
    ("unknown pseudo header", None, [(":method", "GET"), (":scheme", "http"), (":authority", "a.test"),
                                     (":path", "/one"), (":other", "1")]),
]


def pseudo(t, fields):
    seen = t.get2(pseudo=fields)
    # A stream reset and a closed connection both refuse; which error code they carry is not compared.
    return seen if seen.get("status") else {"refused": True}


table(globals(), [(f"HTTP/2 head: {name}", expect, fields) for name, expect, fields in H2_PSEUDO], pseudo)
