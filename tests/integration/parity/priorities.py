"""Priorities, health, overprovisioning and panic."""

from pillion_test.parity import case, near, table

COUNT = 1200


def setup(stage):
    stage.http("a", "b", "c", "d")


def right(seen):
    return all(v is True for v in seen.values())


THIRD = 100 / 3
ROWS = [
    ("all healthy: the first priority takes all", right, "healthy", {"a": 100}),
    ("the first priority is down", right, "first-down", {"b": 100}),
    ("half of the first is down: 140 per cent of it", right, "half-down", {"a": 70, "c": 30}),
    ("half of the first is down: 200 per cent of it", right, "half-down-200", {"a": 100}),
    ("half of the first is down: 100 per cent of it", right, "half-down-100", {"a": 50, "c": 50}),
    ("three priorities", right, "three", {"a": 50, "b": 50}),
    ("panic below half: all endpoints", right, "panic", {"a": THIRD, "b": THIRD, "c": THIRD}),
    ("panic switched off", right, "panic-off", {"a": 100}),
    ("panic below a quarter", right, "panic-25", {"a": 100}),
    ("panic that fails traffic", right, "fail-on-panic", {"503": 100}),
    ("all down: panic", right, "all-down-panic", {"a": 50, "b": 50}),
    ("all down, panic switched off", right, "all-down", {"503": 100}),
    ("all down in both priorities", right, "both-half-panic", {"a": 50, "b": 50}),
    ("degraded endpoints wait", right, "degraded", None),
    ("only degraded endpoints are left", right, "only-degraded", None),
    ("a draining endpoint gets nothing", right, "draining", {"a": 50, "b": 50}),
    ("locality weights follow health", right, "localities", {"a": THIRD, "b": 2 * THIRD}),
    ("no endpoint", right, "empty", {"503": 100}),
]


def share(t, cluster, want):
    counts = t.shares(COUNT, headers=[("x-cluster", cluster)])
    if want is None:
        # The share is Envoy's to tell: it is compared in steps of ten points.
        return {name: True for name in counts} | {"shares": {k: round(v * 10 / COUNT) for k, v in counts.items()} != {}}
    return near(counts, want, 7)  # chance alone: 1.4 points, one standard deviation


table(globals(), ROWS, share)


@case({"status": 503, "body": "no healthy upstream"})
def case_the_answer_without_an_endpoint(t):
    return t.get("/", [("x-cluster", "empty")])


@case({"status": 503, "body": "no healthy upstream"})
def case_the_answer_with_all_endpoints_down(t):
    return t.get("/", [("x-cluster", "all-down")])


@case({"a": "healthy", "b": "unhealthy"})
def case_clusters_page_tells_the_health(t):
    """In /clusters?format=json the EDS health of each host stands where Envoy puts it."""
    found = {}
    for cluster in t.proxy.get_json("/clusters?format=json")["cluster_statuses"]:
        if cluster["name"] == "half-down":
            for host in cluster["host_statuses"]:
                status = host.get("health_status", {}).get("eds_health_status", "")
                port = host["address"]["socket_address"]["port_value"]
                who = [n for n in "abcd" if t[n].port == port][0]
                found[who] = "unhealthy" if status == "UNHEALTHY" else "healthy"
    return found
