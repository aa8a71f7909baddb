"""DNS clusters, original destination by header, outlier detection."""

import time

from pillion_test import Answer
from pillion_test.parity import case


def setup(stage):
    stage.http("a", "b", "c")
    stage.dead("dead")


def to(t, cluster, headers=()):
    return t.get("/", [("x-cluster", cluster), *headers])


def shares(t, cluster, count):
    return t.shares(count, headers=[("x-cluster", cluster)])


@case({"a": 10, "b": 10})
def case_strict_dns(t):
    return shares(t, "strict", 20)


@case({"a": 5})
def case_logical_dns(t):
    return shares(t, "logical", 5)


@case({"status": 503, "body": "no healthy upstream"})
def case_a_name_that_does_not_exist(t):
    return to(t, "unknown-name")


@case({"name": "b"})
def case_original_destination_by_header(t):
    seen = to(t, "by-header", [("x-envoy-original-dst-host", f"127.0.0.1:{t['b'].port}")])
    return {"name": seen["origin"]["name"]}


@case({"status": 503})
def case_original_destination_by_header_that_is_missing(t):
    return to(t, "by-header")


class Failing:
    """Sets what an origin answers for the time of a `with`."""

    def __init__(self, origin, status):
        self.origin, self.answer = origin, Answer(status, b"no")

    def __enter__(self):
        self.saved, self.origin.default = self.origin.default, self.answer

    def __exit__(self, *_):
        self.origin.default = self.saved


@case({"failures": 3, "after": {"b": 15, "c": 15}})
def case_ejection_on_5xx(t):
    with Failing(t["a"], 500):
        first = [to(t, "eject")["status"] for _ in range(9)]
        time.sleep(0.05)
        after = shares(t, "eject", 30)
        active = t.proxy.stat("cluster.eject.outlier_detection.ejections_active")
    return {"failures": first.count(500), "after": after, "active": active}


@case({"back": True})
def case_return_after_the_ejection(t):
    # The case before ejected "a" for a second; the sweep runs every 0.2 s.
    time.sleep(1.6)
    return {"back": shares(t, "eject", 30).get("a", 0) == 10}


@case({"failures": 2, "after": {"b": 15, "c": 15}})
def case_ejection_on_gateway_failures(t):
    with Failing(t["a"], 503):
        first = [to(t, "eject-gateway")["status"] for _ in range(9)]
        after = shares(t, "eject-gateway", 30)
    return {"failures": first.count(503), "after": after}


@case({"failures": 2, "after": {"a": 15, "b": 15}})
def case_ejection_of_an_endpoint_that_refuses(t):
    first = [to(t, "eject-refused")["status"] for _ in range(9)]
    return {"failures": first.count(503), "after": shares(t, "eject-refused", 30)}


@case({"failures": 10})
def case_detection_that_only_watches(t):
    with Failing(t["a"], 500):
        return {"failures": [to(t, "watch-only")["status"] for _ in range(30)].count(500)}


@case({"flags": "/failed_outlier_check"})
def case_clusters_page_tells_the_ejection(t):
    lines = t.proxy.get("/clusters")[1].splitlines()
    health = [line.split("::") for line in lines if line.startswith("eject-refused::") and "::health_flags::" in line]
    dead = [h for h in health if h[1].endswith(f":{t['dead'].port}")][0]
    return {"flags": dead[3], "others": sorted(h[3] for h in health if h is not dead)}
