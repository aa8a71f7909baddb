"""Safe replay: a request lost with a reused connection is sent again where that cannot do harm, and only there."""

import time

from pillion_test import Answer, Close, Http1Client, Raw, Reset

from .kit import Scene, check, equal, test


def second(script, method="GET", body=None, headers=(), settle_s=0.05):
    """Makes a reused connection by a first request, then sends the second, to which the origin does `script`.

    Returns (status of the second, how often the origin saw it, the lengths of the bodies it saw).
    """
    with Scene() as s, Http1Client(s.port()) as client:
        equal(client.get("/first").status, 200, "the first request")
        time.sleep(settle_s)
        s["a"].script = list(script)
        response = client.request(method, "/second", headers, body)
        seen = [r for r in s["a"].seen if r.target == "/second"]
        first = [r for r in s["a"].seen if r.target == "/first"]
        if seen:
            equal(seen[0].connection, first[0].connection, "the second request is not on the reused connection")
        return response.status, len(seen), [len(r.body) for r in seen]


REPLAYED = [
    ("GET, closed without an answer", [Close()], "GET", None),
    ("GET, reset without an answer", [Reset()], "GET", None),
    ("HEAD, closed without an answer", [Close()], "HEAD", None),
    ("PUT with a body, closed without an answer", [Close()], "PUT", b"x" * 1000),
    ("PUT with 60 KB, closed without an answer", [Close()], "PUT", b"x" * 60000),
    ("DELETE, reset without an answer", [Reset()], "DELETE", None),
    ("OPTIONS, closed without an answer", [Close()], "OPTIONS", None),
]
KEPT = [
    ("POST that the origin read", [Close()], "POST", b"x"),
    ("POST that the origin read, reset", [Reset()], "POST", b"x"),
    ("PATCH that the origin read", [Close()], "PATCH", b"x"),
    ("GET of which a part of the answer came", [Raw(b"HTTP/1.1 200 OK\r\nX-A: ")], "GET", None),
    ("PUT with a body beyond the replay buffer", [Close()], "PUT", b"x" * 500000),
]


def add(title, script, method, body, times):
    @test(f"safe replay: {title}: {'sent again' if times == 2 else 'not sent again'}")
    def run():
        status, count, bodies = second(script, method, body)
        equal(count, times, "how often the origin saw it")
        if times == 2:
            equal(status, 200)
            equal(bodies, [len(body or b"")] * 2, "bodies")
        else:
            check(status in (502, 503), status)


for row in REPLAYED:
    add(*row, 2)
for row in KEPT:
    add(*row, 1)


@test("safe replay: GET on a fresh connection that closes is not sent again")
def fresh():
    with Scene() as s, Http1Client(s.port()) as client:
        s["a"].script = [Close()]
        status = client.get("/").status
        equal((status, len(s["a"].seen)), (503, 1))


@test("safe replay: once, not for ever")
def bounded():
    """Each further try is on a fresh connection, for which the rule does not hold."""
    status, count, _ = second([Close()] * 20)
    check(status == 503 and count <= 3, f"status {status} after {count} tries")


@test("safe replay: POST after the origin's idle close is served")
def idle_close():
    """The origin closes each connection right after its answer and says nothing of it.

    A request that crosses the FIN on its way is reset after it was received, and may have run: it gets its 503.
    """
    with Scene() as s, Http1Client(s.port()) as client:
        s["a"].close_after = 1
        for number in range(50):
            equal(client.request("POST", "/", body=b"x").status, 200, f"request {number}")
            time.sleep(0.01)


@test("safe replay: a race of 300 requests against idle closes loses none")
def race():
    """The origin closes 1 to 6 ms after its answer, about when the next request comes."""
    with Scene() as s, Http1Client(s.port()) as client:
        class ThenClose(Answer):
            number = 0

            def play(self, origin, conn, request):
                super().play(origin, conn, request)
                ThenClose.number += 1
                time.sleep(0.001 * (ThenClose.number % 6 + 1))
                return False
        s["a"].default = ThenClose(200, b"x")
        lost = 0
        for number in range(300):
            method, body = ("GET", None) if number % 2 else ("PUT", b"body")
            lost += client.request(method, "/", body=body).status != 200
            time.sleep(0.001 * (number % 8))
        equal(lost, 0, "lost requests")
