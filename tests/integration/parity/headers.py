"""Headers added and removed on each level, append actions and formatters."""

from pillion_test import Answer
from pillion_test.parity import case


def setup(stage):
    stage.http("a")


def saw(**want):
    """The origin saw exactly these values of these headers ("-" in a name is "_" here)."""
    def check(seen):
        fields = seen["origin"]["headers"]
        return all([v for k, v in fields if k == name.replace("_", "-")] == values for name, values in want.items())
    return check


def got(**want):
    """The same for the headers of the response."""
    def check(seen):
        return all([v for k, v in seen["headers"] if k == name.replace("_", "-")] == values
                   for name, values in want.items())
    return check


@case(saw(x_level=["cluster", "route", "vhost", "config"]))
def case_request_levels_most_specific_first(t):
    return t.get("/levels")


@case(saw(x_keep=["1"], x_drop_cluster=[], x_drop_route=[], x_drop_vhost=[], x_drop_config=[]))
def case_request_removals_of_all_levels(t):
    names = ("x-drop-cluster", "X-Drop-Route", "x-drop-vhost", "X-DROP-CONFIG", "x-keep")
    return t.get("/levels", [(n, "1") for n in names])


@case(got(x_level=["origin", "cluster", "route", "vhost", "config"], x_secret=[], x_route_secret=[], x_open=["1"]))
def case_response_levels(t):
    t["a"].script = [Answer(200, b"", (("x-level", "origin"), ("X-Secret", "s"), ("x-route-secret", "s"),
                                       ("x-open", "1")))]
    return t.get("/levels")


@case(saw(x_level=["vhost", "config"]))
def case_request_levels_without_the_inner_ones(t):
    return t.get("/")


@case(saw(x_internal=[]))
def case_internal_only_header_of_an_outsider(t):
    return t.get("/", [("x-internal", "1")])


@case(saw(x_append=["old", "new"], x_if_absent=["old"], x_overwrite=["new"], x_only_if_there=["new"]))
def case_request_actions_on_present_headers(t):
    return t.get("/actions", [(n, "old") for n in ("x-append", "x-if-absent", "x-overwrite", "x-only-if-there")])


@case(saw(x_append=["new"], x_if_absent=["new"], x_overwrite=["new"], x_only_if_there=[]))
def case_request_actions_on_absent_headers(t):
    return t.get("/actions")


@case(saw(x_append=["a", "b", "new"], x_overwrite=["new"]))
def case_request_actions_on_repeated_headers(t):
    return t.get("/actions", [("x-append", "a"), ("x-append", "b"), ("x-overwrite", "a"), ("x-overwrite", "b")])


@case(got(x_append=["old", "new"], x_if_absent=["old"], x_overwrite=["new"], x_only_if_there=["new"]))
def case_response_actions_on_present_headers(t):
    names = ("x-append", "x-if-absent", "x-overwrite", "x-only-if-there")
    t["a"].script = [Answer(200, b"", tuple((n, "old") for n in names))]
    return t.get("/actions")


@case(saw(x_client=["127.0.0.1"], x_copy=["<value>"], x_alt=["value"], x_cut=["val"], x_protocol=["HTTP/1.1"],
          x_percent=["100%"], x_cluster=["a"]))
def case_request_formatters(t):
    return t.get("/format", [("x-in", "value")])


@case()
def case_request_formatters_of_missing_headers(t):
    return t.get("/format")


@case(got(x_code=["201"], x_from=["a"], x_route=["the-route"]))
def case_response_formatters(t):
    t["a"].script = [Answer(201, b"ok")]
    return t.get("/format", [("x-in", "v")])


@case(saw(x_mixed_case=[], user_agent=[]))
def case_removal_ignores_case(t):
    return t.get("/remove", [("x-mixed-CASE", "1"), ("User-Agent", "me")])


@case(got(x_gone=[], x_served_by=[], x_stays=["1"]))
def case_response_removal_ignores_case(t):
    t["a"].script = [Answer(200, b"", (("x-GONE", "1"), ("X-Stays", "1")))]
    return t.get("/remove")


@case(got(x_level=["vhost", "config"]))
def case_direct_response_gets_the_outer_levels(t):
    return t.get("/direct")


@case(saw(x_level=["config"]))
def case_the_outermost_overwrites_by_default(t):
    return t.get("/", listener="general")


@case(saw(x_level=["route"]))
def case_the_most_specific_wins_when_asked(t):
    return t.get("/", listener="specific")


@case(lambda seen: ["x-envoy-expected-rq-timeout-ms", "15000"] in seen["origin"]["headers"])
def case_the_request_tells_the_timeout(t):
    return t.get("/", keep=("x-envoy-expected-rq-timeout-ms",))


@case({"names": ["date", "server", "x-envoy-upstream-service-time"]})
def case_the_response_has_a_date_a_server_and_the_service_time(t):
    with t.client() as client:
        names = {k.lower() for k, _ in client.get("/").headers}
    return {"names": sorted(names & {"date", "server", "x-envoy-upstream-service-time"})}


@case(lambda seen: ["date", "Sat, 01 Jan 2000 00:00:00 GMT"] in seen["headers"])
def case_the_date_of_the_origin_is_kept(t):
    t["a"].script = [Answer(200, b"", (("Date", "Sat, 01 Jan 2000 00:00:00 GMT"),))]
    return t.get("/", keep=("date",))


@case(saw(cookie=["a=1", "b=2"]))
def case_repeated_request_headers_stay_apart(t):
    return t.get("/", [("Cookie", "a=1"), ("Cookie", "b=2"), ("X-Own", "x"), ("X-Own", "y")])


@case(got(set_cookie=["a=1", "b=2"]))
def case_repeated_response_headers_stay_apart(t):
    t["a"].script = [Answer(200, b"", (("Set-Cookie", "a=1"), ("Set-Cookie", "b=2"), ("X-Own", "x"), ("X-Own", "y")))]
    return t.get("/")


@case(saw(x_hop=[], keep_alive=[], proxy_connection=[]))
def case_hop_by_hop_headers_do_not_pass(t):
    return t.get("/", [("Connection", "x-hop"), ("X-Hop", "1"), ("Keep-Alive", "timeout=5"),
                       ("Proxy-Connection", "keep-alive"), ("TE", "gzip")])
