"""The same bytes in other pieces: every request and response cut at every offset means the same."""

import time

import h2.config
import h2.connection

from pillion_test import Http1Client, Raw, connect
from pillion_test.parity import plain_headers

from .kit import Scene, check, equal, test

PAUSE_S = 0.0006

REQUESTS = {
    "GET": b"GET /a?b=c HTTP/1.1\r\nHost: test\r\nX-A: 1\r\n\r\n",
    "length": b"POST /p HTTP/1.1\r\nHost: test\r\nContent-Length: 5\r\n\r\nhello",
    "chunks":
        b"POST /p HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n1;e=1\r\n!\r\n0\r\nT: 1\r\n\r\n",
    "two pipelined": b"GET /1 HTTP/1.1\r\nHost: t\r\n\r\nGET /2 HTTP/1.1\r\nHost: t\r\n\r\n",
    "empty line first": b"\r\nGET / HTTP/1.1\r\nHost: t\r\n\r\n",
    "no route": b"GET /none HTTP/1.1\r\nHost: t\r\n\r\n",
    "HTTP/1.0": b"GET / HTTP/1.0\r\nHost: t\r\n\r\n",
    "two hosts": b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    "bad chunk": b"POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n",
    "length and chunks":
        b"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
}

RESPONSES = {
    "length": b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-A: 1\r\n\r\nhello",
    "chunks": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n1\r\n!\r\n0\r\nX-T: 1\r\n\r\n",
    "interim": b"HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 201 Made\r\nContent-Length: 2\r\n\r\nok",
    "no body": b"HTTP/1.1 204 No Content\r\nX-A: 1\r\n\r\n",
}


def answers(s, pieces, count):
    """What came back for these pieces, and what the origin saw."""
    s["a"].clear()
    with Http1Client(s.port(), limit_s=5) as client:
        for piece in pieces:
            try:
                client.send(piece)
            except OSError:
                break  # A bad request may be refused before its last byte.
            if len(pieces) > 1:
                time.sleep(PAUSE_S)
        found = [client.read() for _ in range(count)]
    return ([(r.status, r.body if r.status != 200 else b"") for r in found],
            [(r.method, r.target, r.body, plain_headers(r.headers), r.trailers) for r in s["a"].seen])


def cuts(data):
    """Every way to cut in two, then byte by byte."""
    return [(data[:i], data[i:]) for i in range(1, len(data))] + [tuple(data[i:i + 1] for i in range(len(data)))]


@test("splits: a request cut anywhere means the same")
def requests():
    total = 0
    with Scene() as s:
        for name, data in REQUESTS.items():
            count = 2 if name == "two pipelined" else 1
            whole = answers(s, [data], count)
            for pieces in cuts(data):
                # A bad request may reach the origin by its head before its fault is seen; only good ones are compared.
                have = answers(s, pieces, count)
                equal(have[0], whole[0], f"{name}, cut after {len(pieces[0])} of {len(data)}")
                if whole[0][0][0] < 400:
                    equal(have[1], whole[1], f"{name}, cut after {len(pieces[0])}: what the origin saw")
                total += 1
    return f"{total} cuts"


class Pieces(Raw):
    """A raw answer in pieces."""

    def __init__(self, pieces):
        super().__init__(b"", "keep")
        self.pieces = pieces

    def play(self, origin, conn, request):
        for piece in self.pieces:
            conn.sock.sendall(piece)
            time.sleep(PAUSE_S)
        return True


@test("splits: a response cut anywhere means the same")
def responses():
    total = 0
    with Scene() as s, Http1Client(s.port(), limit_s=5) as client:
        for name, data in RESPONSES.items():
            wanted = None
            for pieces in [(data,)] + cuts(data):
                s["a"].script = [Pieces(pieces)]
                r = client.get("/")
                have = (r.status, r.body, r.trailers, plain_headers(r.headers))
                wanted = wanted or have
                equal(have, wanted, f"{name}, cut after {len(pieces[0])} of {len(data)}")
                total += 1
    return f"{total} cuts"


def http2_bytes():
    """The bytes of a connection with one POST, its body and trailers."""
    peer = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True))
    peer.initiate_connection()
    peer.send_headers(1, [(":method", "POST"), (":scheme", "http"), (":authority", "test"), (":path", "/two"),
                          ("x-a", "1")])
    peer.send_data(1, b"hello")
    peer.send_headers(1, [("x-t", "1")], end_stream=True)
    return peer.data_to_send()


@test("splits: an HTTP/2 connection cut anywhere means the same")
def http2():
    data = http2_bytes()
    with Scene() as s:
        for pieces in [(data,)] + cuts(data):
            s["a"].clear()
            with connect(s.port(), limit_s=5) as sock:
                for piece in pieces:
                    sock.sendall(piece)
                    time.sleep(PAUSE_S)
                wait_end_of_stream(sock)
            seen = [(r.method, r.target, r.body) for r in s["a"].seen]
            equal(seen, [("POST", "/two", b"hello")], f"cut after {len(pieces[0])} of {len(data)}")
    return f"{len(data)} cuts"


def wait_end_of_stream(sock):
    """Reads frames up to one that ends stream 1."""
    buffer = b""
    while True:
        while len(buffer) < 9 or len(buffer) < 9 + int.from_bytes(buffer[:3], "big"):
            data = sock.recv(65536)
            check(data, "the connection ended before the answer")
            buffer += data
        length, kind, flags = int.from_bytes(buffer[:3], "big"), buffer[3], buffer[4]
        stream = int.from_bytes(buffer[5:9], "big") & 0x7fffffff
        check(kind not in (3, 7), f"the stream was reset or the connection given up, frame {kind}")
        buffer = buffer[9 + length:]
        if stream == 1 and kind in (0, 1) and flags & 1:
            return
