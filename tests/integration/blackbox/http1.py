"""HTTP/1 as unmodified applications use it: header case, HTTP/1.0, bodies that nobody reads."""

import time

from pillion_test import Answer, Http1Client, Raw, connect

from .kit import Scene, check, equal, test

MIXED = [("Host", "Test.Example"), ("X-MiXeD", "1"), ("x-lower", "2"), ("X-UPPER", "3"), ("SOAPAction", "urn:x"),
         ("Content-MD5", "q"), ("X-MiXeD", "4")]


@test("header case: the origin sees the client's names as they were written, in their order")
def request_case():
    with Scene() as s, Http1Client(s.port()) as client:
        client.send(client.head("GET", "/", MIXED))
        equal(client.read().status, 200)
        names = [k for k, _ in s["a"].seen[0].headers]
        for name in {k for k, _ in MIXED}:
            equal(names.count(name), [k for k, _ in MIXED].count(name), f"{name} in {names}")
        order = [n for n in names if n in ("x-lower", "X-UPPER", "SOAPAction", "Content-MD5")]
        equal(order, ["x-lower", "X-UPPER", "SOAPAction", "Content-MD5"], "order")


@test("header case: the client sees the origin's names as they were written")
def response_case():
    headers = (("ETag", '"1"'), ("WWW-Authenticate", "Basic"), ("x-lower", "1"), ("X-UPPER", "2"), ("DNT", "0"))
    with Scene() as s, Http1Client(s.port()) as client:
        s["a"].script = [Answer(200, b"x", headers)]
        names = [k for k, _ in client.get("/").headers]
        for name, _ in headers:
            check(name in names, name, "is not in", names)


@test("header case: of trailers too, in both directions")
def trailer_case():
    with Scene() as s, Http1Client(s.port()) as client:
        s["a"].script = [Answer(200, b"x", chunked=True, trailers=(("X-ChecKsum", "1"),))]
        client.send(client.head("POST", "/", [("Host", "t"), ("Transfer-Encoding", "chunked")]) +
                    b"1\r\na\r\n0\r\nX-SeNt: 1\r\n\r\n")
        equal(client.read().trailers, [("X-ChecKsum", "1")], "response trailers")
        equal(s["a"].seen[0].trailers, [("X-SeNt", "1")], "request trailers")


def old(s, data):
    """Sends one request of HTTP/1.0 and reads up to the end of the connection."""
    with Http1Client(s.port(), limit_s=5) as client:
        client.send(data)
        response = client.read()
        return response, client


@test("HTTP/1.0: a request with a host is served, and the connection ends")
def http10():
    with Scene() as s, Http1Client(s.port()) as client:
        s["a"].script = [Answer(200, b"hello")]
        client.send(b"GET /x HTTP/1.0\r\nHost: test\r\n\r\n")
        response = client.read()
        equal((response.status, response.body), (200, b"hello"))
        check(client.at_eof(3), "the connection does not end")
        equal(s["a"].seen[0].version, "HTTP/1.1", "towards the origin")


@test("HTTP/1.0: a request without a host is served")
def http10_without_host():
    with Scene() as s:
        s["a"].script = [Answer(200, b"hello")]
        response, _ = old(s, b"GET /x HTTP/1.0\r\n\r\n")
        equal((response.status, response.body), (200, b"hello"))
        equal(len(s["a"].seen[0].all("host")), 1, "hosts towards the origin")


@test("HTTP/1.0: keep-alive when the client asks for it")
def http10_keep_alive():
    with Scene() as s, Http1Client(s.port()) as client:
        for number in range(2):
            s["a"].script = [Answer(200, b"%d" % number)]
            client.send(b"GET /x HTTP/1.0\r\nHost: test\r\nConnection: keep-alive\r\n\r\n")
            response = client.read()
            equal(response.body, b"%d" % number)
            check("keep-alive" in (response.header("connection") or "").lower(), response.headers)


@test("HTTP/1.0: chunks of the origin reach the client as plain bytes up to the end")
def http10_chunks():
    with Scene() as s:
        s["a"].script = [Answer(200, b"chunked body", chunked=True)]
        response, _ = old(s, b"GET /x HTTP/1.0\r\nHost: test\r\n\r\n")
        equal(response.body, b"chunked body")
        check(response.framing in ("close", "length"), response.framing, response.headers)


@test("HTTP/1.0: a request with a transfer coding is refused")
def http10_transfer_encoding():
    with Scene() as s:
        response, _ = old(s, b"POST /x HTTP/1.0\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")
        equal(response.status, 400)


@test("an origin of HTTP/1.0 is served and not reused")
def origin_of_http10():
    with Scene() as s, Http1Client(s.port()) as client:
        s["a"].script = [Raw(b"HTTP/1.0 200 OK\r\nServer: old\r\n\r\nuntil the end"), Answer(200, b"second")]
        equal(client.get("/").body, b"until the end")
        equal(client.get("/").body, b"second")
        equal(len({r.connection for r in s["a"].seen}), 2, "connections")


@test("a body that nobody reads does not cost the client its answer")
def unread_body():
    with Scene() as s, Http1Client(s.port(), limit_s=5) as client:
        response = client.request("POST", "/none", body=b"x" * 300000)
        equal((response.status, response.body), (404, b"none"))
        if (response.header("connection") or "").lower() != "close":
            equal(client.get("/").status, 200, "the next request")


@test("a bad request gets 400 and the connection ends")
def bad_request_closes():
    with Scene() as s, Http1Client(s.port(), limit_s=5) as client:
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n")
        response = client.read()
        equal(response.status, 400)
        check((response.header("connection") or "").lower() == "close", response.headers)
        check(client.at_eof(3), "the connection does not end")
        equal(s["a"].seen, [], "what the origin saw")


@test("an answer in mid-request reaches the client")
def early_answer():
    """The origin answers after the head, without reading the body."""
    class Early(Answer):
        before_body = True

    with Scene() as s, Http1Client(s.port(), limit_s=5) as client:
        s["a"].script = [Early(413, b"too large", close=True)]
        client.send(client.head("POST", "/", [("Host", "t"), ("Content-Length", "1000000")]) + b"x" * 1000)
        response = client.read()
        equal((response.status, response.body), (413, b"too large"))


@test("a slow client does not make the proxy buffer the whole body")
def back_pressure():
    """30 MB towards a client that does not read: the origin can send only what buffers hold."""
    size = 30 << 20
    with Scene() as s:
        class Counting(Answer):
            sent = 0

            def play(self, origin, conn, request):
                conn.sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
                while Counting.sent < size:
                    Counting.sent += conn.sock.send(b"x" * 65536)
                return True
        s["a"].script = [Counting()]
        with connect(s.port()) as sock:
            sock.sendall(b"GET / HTTP/1.1\r\nHost: t\r\n\r\n")
            time.sleep(1)
            held = Counting.sent
            check(held < size // 2, f"{held} bytes were taken from the origin while the client read nothing")
            got = 0
            while got < size:
                data = sock.recv(1 << 20)
                check(data, f"the body ended after {got} bytes")
                got += len(data)
    return f"{held >> 10} KB in flight before the origin was held"
