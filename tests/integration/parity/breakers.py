"""Circuit breakers."""

import time

from pillion_test import Answer, connect
from pillion_test.h2peer import H2Answer
from pillion_test.parity import case

SLOW = 0.5


def setup(stage):
    stage.http("a")
    stage.http2("two")
    stage.tcp("raw")


def together(t, target, count, gap_s=0.04):
    """Starts `count` requests, one after the other without waiting, on a connection each; observes all answers."""
    clients = []
    for _ in range(count):
        client = t.client()
        client.send(client.head("GET", target, [("Host", "test")]))
        clients.append(client)
        time.sleep(gap_s)
    seen = [t.observe(c.read()) for c in clients]
    for client in clients:
        client.close()
    return seen


def statuses(seen):
    return {"statuses": [s["status"] for s in seen], "refusal": next((s for s in seen if s["status"] == 503), None)}


OVERFLOW = {"body": "upstream connect error or disconnect/reset before headers. reset reason: overflow"}


@case({"statuses": [200, 200, 503], "refusal": OVERFLOW})
def case_pending_requests(t):
    t["a"].drop_connections()
    t["a"].script = [Answer(200, b"x", delay_s=SLOW)] * 2
    return statuses(together(t, "/pending1", 3))


@case({"statuses": [503]})
def case_no_pending_request_allowed(t):
    """A first request has to wait for its connection, so that a limit of zero lets none through."""
    return statuses(together(t, "/pending0", 1))


@case({"statuses": [200, 200, 503, 503], "refusal": OVERFLOW})
def case_active_requests(t):
    t["two"].script = [H2Answer(200, b"x", delay_s=SLOW)] * 4
    return statuses(together(t, "/requests", 4))


@case({"statuses": [200, 503]})
def case_the_default_priority_has_its_own_limit(t):
    t["two"].script = [H2Answer(200, b"x", delay_s=SLOW)] * 4
    return statuses(together(t, "/low", 2))


@case({"statuses": [200, 200, 200, 503]})
def case_the_high_priority_has_its_own_limit(t):
    t["two"].script = [H2Answer(200, b"x", delay_s=SLOW)] * 4
    return statuses(together(t, "/high", 4))


@case({"statuses": [200, 200]})
def case_the_limit_is_free_again(t):
    first = together(t, "/low", 1) + together(t, "/low", 1)
    return statuses(first)


@case({"statuses": [500], "attempts": 1})
def case_retries(t):
    t["a"].script = [Answer(500, b"no")]
    seen = statuses(together(t, "/retries", 1))
    return seen | {"attempts": len(t["a"].seen)}


@case({"attempts": 6})
def case_retry_budget(t):
    """Four failures, a budget of two concurrent retries: the others keep the first answer.

    The back-off may be as short as nothing: no failure comes before all four have asked, and slow second answers keep
    the two retries under way."""
    t["a"].script = [Answer(500, b"no", delay_s=SLOW)] * 4 + [Answer(200, b"x", delay_s=SLOW)] * 2
    seen = together(t, "/budget", 4, 0.02)
    return {"statuses": sorted(s["status"] for s in seen), "attempts": len(t["a"].seen)}


@case({"connections": 3})
def case_one_request_per_connection(t):
    for _ in range(3):
        t.get("/one-each")
        time.sleep(0.05)
    return {"connections": len({r.connection for r in t["a"].seen}),
            "asked to close": [r.header("connection") for r in t["a"].seen]}


@case({"second": b"".decode()})
def case_tcp_connections(t):
    with connect(t.port("tcp"), limit_s=3) as one:
        one.sendall(b"x")
        one.recv(1)
        with connect(t.port("tcp"), limit_s=3) as two:
            try:
                second = two.recv(10)
            except ConnectionResetError:
                second = b""
        one.sendall(b"y")
        return {"second": second.decode(), "first goes on": one.recv(1).decode()}


@case({"line": "/low 503 UO upstream_reset_before_response_started{overflow}"})
def case_the_access_log_tells(t):
    t["two"].script = [H2Answer(200, b"x", delay_s=SLOW)]
    before = len(open(f"{t.dir}/breakers.log", encoding="utf-8").readlines())
    together(t, "/low", 2)
    lines = t.log_lines("breakers.log", before + 2)[before:]
    return {"line": [line for line in lines if " 503 " in line][0]}


@case({"upstream_rq_pending_overflow": 1})
def case_counter_of_pending_requests(t):
    t["a"].drop_connections()
    t["a"].script = [Answer(200, b"x", delay_s=SLOW)] * 2
    return counted(t, "/pending1", 3, "cluster.pending1.", "upstream_rq_pending_overflow")


@case({"upstream_rq_active_overflow": 1})
def case_counter_of_active_requests(t):
    t["two"].script = [H2Answer(200, b"x", delay_s=SLOW)]
    return counted(t, "/low", 2, "cluster.high.", "upstream_rq_active_overflow")


def counted(t, target, count, prefix, name):
    before = t.proxy.stat(prefix + name)
    together(t, target, count)
    return {name: t.proxy.stat(prefix + name) - before}
