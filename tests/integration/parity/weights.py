"""Shares of traffic, within five points over 2000 requests."""

from pillion_test.parity import case, near, table

COUNT = 2000


def setup(stage):
    stage.http("a", "b", "c")


def right(seen):
    return all(v is True for v in seen.values())


# Chance alone moves a share of one half by 1.1 points (one standard deviation) in 2000 requests: five points are passed
# once in a hundred thousand, three were in one run of twenty.
POINTS = 5
ROWS = [
    ("three clusters", right, "/three", {"a": 80, "b": 15, "c": 5}),
    ("weights that are not per cent", right, "/total", {"a": 25, "b": 75}),
    ("a weight of zero", right, "/zero", {"b": 100}),
    ("a runtime fraction", right, "/fraction", {"a": 30, "b": 70}),
    ("endpoint weights", right, "/endpoints", {"a": 60, "b": 30, "c": 10}),
    ("round robin is even", right, "/even", {"a": 100 / 3, "b": 100 / 3, "c": 100 / 3}),
    ("locality weights", right, "/localities", {"a": 75, "b": 12.5, "c": 12.5}),
]
table(globals(), ROWS, lambda t, target, want: near(t.shares(COUNT, target), want, POINTS))


@case(right)
def case_random_is_even(t):
    return near(t.shares(COUNT, "/random"), {"a": 100 / 3, "b": 100 / 3, "c": 100 / 3}, POINTS)


@case(right)
def case_least_request_is_even_when_idle(t):
    return near(t.shares(COUNT, "/least"), {"a": 100 / 3, "b": 100 / 3, "c": 100 / 3}, POINTS)


@case({"differences": True})
def case_round_robin_goes_round(t):
    """In any three requests in a row each endpoint answers once."""
    with t.client() as client:
        order = [client.get("/even").header("x-served-by") for _ in range(30)]
    return {"differences": all(len(set(order[i:i + 3])) == 3 for i in range(0, 28))}


@case({"b": 1})
def case_cluster_by_header(t):
    return t.shares(1, "/by-header", headers=[("x-cluster", "b")])


@case({"status": 503})
def case_cluster_by_header_that_does_not_exist(t):
    return t.get("/by-header", [("x-cluster", "nobody")])


@case({"status": 404})
def case_cluster_that_does_not_exist_with_its_own_code(t):
    return t.get("/no-such", [("x-cluster", "nobody")])
