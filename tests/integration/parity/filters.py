"""The filter chain and fault injection."""

import threading
import time

from pillion_test.parity import case, table

ALL = "{numerator: 100}"
NAME = '"@type": type.googleapis.com/envoy.extensions.filters.http.fault.v3.HTTPFault'
CONFIG = '"@type": type.googleapis.com/envoy.config.route.v3.FilterConfig'
ROUTER = ('{name: envoy.filters.http.router, typed_config: {"@type": '
          "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}")
FORMAT = ("%REQ(:PATH)% %RESPONSE_CODE% %RESPONSE_FLAGS% %RESPONSE_FLAGS_LONG% %RESPONSE_CODE_DETAILS% "
          "%UPSTREAM_CLUSTER% %ROUTE_NAME% %BYTES_SENT%\\n")
ABORT = f"abort: {{http_status: 503, percentage: {ALL}}}"
DELAY = f"delay: {{fixed_delay: 0.4s, percentage: {ALL}}}"
MUTATION = '"@type": type.googleapis.com/envoy.extensions.filters.http.header_mutation.v3.'


def append(key, value, more=""):
    return f"{{append: {{header: {{key: {key}, value: '{value}'}}{more}}}}}"


def mutations(request, response):
    return f"mutations: {{request_mutations: [{', '.join(request)}], response_mutations: [{', '.join(response)}]}}"


def both(value):
    """Adds a header to requests and responses; replaces another; takes a third away and puts it back."""
    changes = [append("x-by", value), append("x-last", value, ", append_action: OVERWRITE_IF_EXISTS_OR_ADD"),
               append("x-first", value, ", append_action: ADD_IF_ABSENT"),
               append("x-there", value, ", append_action: OVERWRITE_IF_EXISTS"),
               "{remove: X-Gone}", append("x-gone", value), append("x-empty", ""),
               append("x-kept", "", ", keep_empty_value: true")]
    return mutations(changes + [append("x-path", "%REQ(:PATH)%"), append("via", value), "{remove: x-secret}"],
                     changes + [append("x-to", "%REQ(x-by)%"), "{remove: x-served-by}", append("x-vary", value)])


def changing(name, value, more=""):
    return f"{{name: {name}, typed_config: {{{MUTATION}HeaderMutation, {more}{both(value)}}}}}"


CHAINS = {
    "headers": f"{changing('outer', 'outer')}, {{name: fault, typed_config: {{{NAME}, headers: [{{name: x-f, "
               f"present_match: true}}], {ABORT}}}}}, {changing('inner', 'inner')}",
    "specific": changing("outer", "outer", "most_specific_header_mutations_wins: true, "),
    "web": f"{{name: fault, typed_config: {{{NAME}}}}}",
    "always": f"{{name: fault, typed_config: {{{NAME}, {ABORT}}}}}",
    "dormant": f"{{name: fault, disabled: true, typed_config: {{{NAME}, {ABORT}}}}}",
    "two": f"{{name: slow, typed_config: {{{NAME}, delay: {{fixed_delay: 0.4s, percentage: {ALL}}}}}}}, {{name: fault, "
           f"typed_config: {{{NAME}, upstream_cluster: a, abort: {{http_status: 429, percentage: {ALL}}}}}}}",
    "busy": f"{{name: fault, typed_config: {{{NAME}, max_active_faults: 1, "
            f"delay: {{fixed_delay: 0.6s, percentage: {ALL}}}}}}}",
}
GRPC = [("content-type", "application/grpc"), ("te", "trailers")]


def route(prefix, settings, more="", action="route: {cluster: a}"):
    return (f"{{match: {{prefix: {prefix}}}, name: r{prefix[1:]}, {action}, {more}"
            f"typed_per_filter_config: {{fault: {{{NAME}, {settings}}}}}}}")


def wrapped(prefix, what):
    return (f"{{match: {{prefix: {prefix}}}, route: {{cluster: a}}, "
            f"typed_per_filter_config: {{fault: {{{CONFIG}, {what}}}}}}}")


def setup(stage):
    stage.http("a", "b")
    stage.http2("h2")
    stage.dead("dead")
    for listener, filters in CHAINS.items():
        stage.values["filters_" + listener] = f"[{filters}, {ROUTER}]"
    stage.values["header_routes"] = header_routes()
    stage.values["log"] = (
        '[{name: f, typed_config: {"@type": type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog, '
        f'path: "{stage.dir}/all.log", log_format: {{text_format_source: {{inline_string: "{FORMAT}"}}}}}}}}]')
    added = 'response_headers_to_add: [{header: {key: x-route, value: "1"}}], '
    none = "abort: {http_status: 503, percentage: {numerator: 0}}"
    routes = [
        route("/abort", ABORT, added),
        route("/dead", ABORT, added, "route: {cluster: dead}"),
        route("/nocluster", ABORT, added, "route: {cluster_header: x-to}"),
        route("/direct", ABORT, added, "direct_response: {status: 200, body: {inline_string: direct}}"),
        route("/redirect", ABORT, added, "redirect: {path_redirect: /there}"),
        route("/grpc", f"abort: {{grpc_status: 8, percentage: {ALL}}}"),
        route("/teapot", f"abort: {{http_status: 418, percentage: {ALL}}}"),
        route("/never", none),
        route("/unset", "abort: {http_status: 503}"),
        route("/delay", DELAY),
        route("/both", f"{DELAY}, {ABORT}"),
        route("/cluster-a", f"upstream_cluster: a, {ABORT}"),
        route("/cluster-b", f"upstream_cluster: b, {ABORT}"),
        route("/node", f"downstream_nodes: [n1, n2], {ABORT}"),
        route("/header", f"headers: [{{name: x-f, string_match: {{exact: 'yes'}}}}, "
                         f"{{name: ':method', string_match: {{exact: GET}}}}], {ABORT}"),
        route("/asked", f"delay: {{header_delay: {{}}, percentage: {ALL}}}, "
                        f"abort: {{header_abort: {{}}, percentage: {ALL}}}"),
        route("/idle", f"delay: {{fixed_delay: 5s, percentage: {ALL}}}", "", "route: {cluster: a, idle_timeout: 0.3s}"),
        route("/short", f"delay: {{fixed_delay: 0.4s, percentage: {ALL}}}", "", "route: {cluster: a, timeout: 0.3s}"),
        route("/h2", DELAY, "", "route: {cluster: h2}"),
        route("/weights", none, "", "route: {weighted_clusters: {clusters: [{name: a, weight: 1, "
              f"typed_per_filter_config: {{fault: {{{NAME}, {ABORT}}}}}}}]}}}}"),
        wrapped("/off", "disabled: true"),
        wrapped("/wrapped", f"config: {{{NAME}, abort: {{http_status: 501, percentage: {ALL}}}}}"),
        "{match: {prefix: /host}, route: {cluster: a}}",
    ]
    stage.values["routes"] = (
        "{name: r, virtual_hosts: [{name: all, domains: [test], routes: [" + ", ".join(routes) + "], "
        f"typed_per_filter_config: {{fault: {{{NAME}, abort: {{http_status: 502, percentage: {ALL}}}}}}}}}]}}")
    stage.values["plain_routes"] = (
        "{name: r, virtual_hosts: [{name: all, domains: [test], require_tls: NONE, routes: ["
        + wrapped("/off", "disabled: true") + ", " + wrapped("/on", "config: {}") + ", "
        "{match: {prefix: /b}, route: {cluster: b}}, "
        "{match: {prefix: /}, route: {cluster: a}}]}, {name: tls, domains: [secret], require_tls: ALL, routes: ["
        "{match: {prefix: /}, route: {cluster: a}}]}]}")


def header_routes():
    def of(level):
        return f"typed_per_filter_config: {{outer: {{{MUTATION}HeaderMutationPerRoute, {both(level)}}}}}"
    return ("{name: r, virtual_hosts: [{name: all, domains: [test], routes: ["
            f"{{match: {{prefix: /route}}, route: {{cluster: a}}, {of('route')}}}, "
            f"{{match: {{prefix: /weights}}, route: {{weighted_clusters: {{clusters: [{{name: a, weight: 1, "
            f"{of('cluster')}}}]}}}}, {of('route')}}}, "
            f"{{match: {{prefix: /off}}, route: {{cluster: a}}, typed_per_filter_config: "
            f"{{outer: {{{CONFIG}, disabled: true}}}}}}, "
            "{match: {prefix: /direct}, direct_response: {status: 200, body: {inline_string: direct}}}, "
            "{match: {prefix: /redirect}, redirect: {path_redirect: /there}}, "
            "{match: {prefix: /dead}, route: {cluster: dead}}, "
            "{match: {prefix: /h2}, route: {cluster: h2}}, "
            f"{{match: {{prefix: /a}}, route: {{cluster: a}}}}], {of('host')}}}], {of('table')}}}")


def lines(t):
    try:
        with open(f"{t.dir}/all.log", encoding="utf-8") as f:
            return f.read().splitlines()
    except OSError:
        return []


def timed(t, target, act=None, **kwargs):
    """The observation, its access log line, and whether it took as long as the delays of this topic."""
    before = len(lines(t))
    start = time.monotonic()
    seen = act() if act else t.get(target, **kwargs)
    took = time.monotonic() - start
    seen["late"] = took >= 0.38
    seen["log"] = t.log_lines("all.log", before + 1)[before:]
    # Envoy ends a connection whose request's body it has not read by the time of the answer: a matter of chance.
    seen["headers"] = [h for h in seen.get("headers", []) if h[0] != "connection"]
    return seen


TABLE = [
    ("abort", {"status": 503, "body": "fault filter abort"}, "/abort", {}),
    ("abort of HEAD", {"status": 503}, "/abort", {"method": "HEAD"}),
    ("abort of POST", {"status": 503}, "/abort", {"method": "POST", "body": b"x" * 100}),
    ("abort before a dead endpoint", {"status": 503}, "/dead", {}),
    ("abort before a missing cluster", {"status": 503}, "/nocluster", {}),
    ("abort of a direct response", {"status": 503, "body": "fault filter abort"}, "/direct", {}),
    ("abort of a redirect", {"status": 503}, "/redirect", {}),
    ("abort with another status", {"status": 418}, "/teapot", {}),
    ("abort with a gRPC status, not gRPC", {"status": 200}, "/grpc", {}),
    ("abort with a gRPC status", {"status": 200}, "/grpc", {"headers": GRPC, "method": "POST", "body": b""}),
    ("abort with an HTTP status of gRPC", {"status": 200}, "/abort", {"headers": GRPC, "method": "POST", "body": b""}),
    ("nought per cent", {"status": 200}, "/never", {}),
    ("a share that is not set", {"status": 200}, "/unset", {}),
    ("delay", {"status": 200, "late": True}, "/delay", {}),
    ("delay of HEAD", {"status": 200, "late": True}, "/delay", {"method": "HEAD"}),
    ("delay of POST", {"status": 200, "late": True}, "/delay", {"method": "POST", "body": b"x" * 5000}),
    ("delay of a large POST", {"status": 200, "late": True}, "/delay", {"method": "POST", "body": b"x" * 3_000_000}),
    ("delay, then abort", {"status": 503, "late": True}, "/both", {}),
    ("the cluster is meant", {"status": 503}, "/cluster-a", {}),
    ("another cluster is meant", {"status": 200}, "/cluster-b", {}),
    ("no node", {"status": 200}, "/node", {}),
    ("another node", {"status": 200}, "/node", {"headers": [("x-envoy-downstream-service-node", "n3")]}),
    ("the node is meant", {"status": 503}, "/node", {"headers": [("x-envoy-downstream-service-node", "n2")]}),
    ("no header", {"status": 200}, "/header", {}),
    ("the header is meant", {"status": 503}, "/header", {"headers": [("x-f", "yes")]}),
    ("one of two headers", {"status": 200}, "/header", {"headers": [("x-f", "yes")], "method": "DELETE"}),
    ("nothing asked", {"status": 200, "late": False}, "/asked", {}),
    ("asked for an abort", {"status": 404}, "/asked", {"headers": [("x-envoy-fault-abort-request", "404")]}),
    ("asked for too small a status", {"status": 200}, "/asked", {"headers": [("x-envoy-fault-abort-request", "100")]}),
    ("asked for no number", {"status": 200}, "/asked", {"headers": [("x-envoy-fault-abort-request", "x")]}),
    ("asked for gRPC's", {"status": 200}, "/asked", {"headers": GRPC + [("x-envoy-fault-abort-grpc-request", "5")],
                                                     "method": "POST", "body": b""}),
    ("asked for a delay", {"status": 200, "late": True}, "/asked",
     {"headers": [("x-envoy-fault-delay-request", "400")]}),
    ("asked for no delay", {"late": False}, "/asked", {"headers": [("x-envoy-fault-delay-request", "0")]}),
    ("asked for nought per cent", {"status": 200}, "/asked",
     {"headers": [("x-envoy-fault-abort-request", "404"), ("x-envoy-fault-abort-request-percentage", "0")]}),
    ("asked for more than all", {"status": 404}, "/asked",
     {"headers": [("x-envoy-fault-abort-request", "404"), ("x-envoy-fault-abort-request-percentage", "200")]}),
    ("asked where it may not be", {"status": 200}, "/never", {"headers": [("x-envoy-fault-abort-request", "404")]}),
    ("the stream is idle during the delay", None, "/idle", {}),
    ("the route's time begins after the delay", {"status": 200, "late": True}, "/short", {}),
    ("delay before HTTP/2", {"status": 200, "late": True}, "/h2", {"method": "POST", "body": b"x" * 200_000}),
    ("switched off for a route", {"status": 200}, "/off", {}),
    ("wrapped", {"status": 501}, "/wrapped", {}),
    ("of the virtual host", {"status": 502}, "/host", {}),
    ("of a weighted cluster", {"status": 503}, "/weights", {}),
    ("no route: nothing said", {"status": 404}, "/nothing", {}),
    ("no virtual host", {"status": 404}, "/abort", {"host": "other"}),
    ("always: no route is needed", {"status": 503}, "/nothing", {"host": "other", "listener": "always"}),
    ("always: no TLS is needed", {"status": 503}, "/", {"host": "secret", "listener": "always"}),
    ("always: off for a route", {"status": 200}, "/off", {"listener": "always"}),
    ("always: on for a route", {"status": 503}, "/on", {"listener": "always"}),
    ("dormant", {"status": 200}, "/", {"listener": "dormant"}),
    ("dormant: on for a route", {"status": 503}, "/on", {"listener": "dormant"}),
    ("dormant: off for a route", {"status": 200}, "/off", {"listener": "dormant"}),
    ("two filters", {"status": 429, "late": True}, "/", {"listener": "two"}),
    ("two filters, one is meant", {"status": 200, "late": True}, "/b", {"listener": "two"}),
    ("a TLS redirect after a delay", {"status": 301, "late": True}, "/", {"host": "secret", "listener": "two"}),
]


def over_http1(t, target, kwargs):
    return timed(t, target, **kwargs)


table(globals(), TABLE, over_http1)


def over_http2(t, target, kwargs):
    return timed(t, target, lambda: t.get2(target, **kwargs))


table(globals(), [(f"HTTP/2: {name}", expect, target, kwargs) for name, expect, target, kwargs in TABLE
                  if target in ("/abort", "/grpc", "/delay", "/both", "/asked")], over_http2)


SENT = [("x-by", "client"), ("x-gone", "client"), ("x-there", "client"), ("x-secret", "client"), ("x-first", "client")]
HEADERS = [(f"headers of {what}", None, target, {"listener": listener, "headers": SENT + more} | kwargs)
           for what, target, more, kwargs in [
               ("a request", "/a", [], {}), ("a POST", "/a", [], {"method": "POST", "body": b"x" * 50_000}),
               ("HEAD", "/a", [], {"method": "HEAD"}), ("a route", "/route", [], {}),
               ("a weighted cluster", "/weights", [], {}), ("a route without", "/off", [], {}),
               ("a direct response", "/direct", [], {}), ("a redirect", "/redirect", [], {}),
               ("a dead endpoint", "/dead", [], {}), ("no route", "/none", [], {}), ("HTTP/2", "/h2", [], {}),
               ("an abort", "/a", [("x-f", "1")], {}), ("an abort on a route", "/route", [("x-f", "1")], {})]
           for listener in ["headers"]]
table(globals(), HEADERS, over_http1)
table(globals(), [(f"{name}, the most specific last", expect, target, kwargs | {"listener": "specific"})
                  for name, expect, target, kwargs in HEADERS], over_http1)
table(globals(), [(f"{name}, gRPC", expect, target, kwargs | {"headers": kwargs["headers"] + GRPC, "method": "POST",
                                                              "body": b"12345"})
                  for name, expect, target, kwargs in HEADERS[-3:]], over_http2)


@case({"status": 400})
def case_headers_of_a_bad_request(t):
    return t.raw(b"GET /a HTTP/1.1\r\nHost: test\r\nBad Name: x\r\n\r\n", "headers")["answers"][0]


@case(lambda seen: seen["answers"][0]["status"] == 503)
def case_abort_of_an_upgrade(t):
    return t.raw(b"GET /abort HTTP/1.1\r\nHost: test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")


@case({"statuses": [503, 200, 503], "bodies": [18, None, 18]})
def case_the_connection_goes_on_after_an_abort(t):
    with t.client() as client:
        answers = [client.get(target) for target in ("/abort", "/never", "/abort")]
        return {"statuses": [a.status for a in answers],
                "bodies": [len(a.body) if a.status == 503 else None for a in answers]}


@case({"statuses": [503, 503, 503]})
def case_streams_are_delayed_apart(t):
    """Three delays of 0.4 s on one connection take 0.4 s."""
    with t.h2() as client:
        start = time.monotonic()
        streams = [client.start("GET", "/both", [], None, "test", (), None) for _ in range(3)]
        found = [client.finish(s).status for s in streams]
        return {"statuses": found, "apart": time.monotonic() - start < 1.1}


@case({"gone": True})
def case_the_client_leaves_during_a_delay(t):
    before = len(lines(t))
    with t.client() as client:
        client.send(b"GET /delay HTTP/1.1\r\nHost: test\r\n\r\n")
        time.sleep(0.1)
    log = t.log_lines("all.log", before + 1)[before:]
    time.sleep(0.5)
    return {"gone": not t["a"].seen, "log": log}


@case({"codes": [200, 200], "late": [True, False]})
def case_one_fault_at_a_time(t):
    seen = {}

    def ask(name):
        start = time.monotonic()
        seen[name] = (t.get("/", listener="busy").get("status"), time.monotonic() - start > 0.4)
    first = threading.Thread(target=ask, args=("first",))
    first.start()
    time.sleep(0.15)
    ask("second")
    first.join()
    return {"codes": [seen["first"][0], seen["second"][0]], "late": [seen["first"][1], seen["second"][1]]}


NAMES = [f"http.{prefix}.fault.{name}" for prefix in ("always", "busy", "two")
         for name in ("aborts_injected", "delays_injected", "active_faults", "faults_overflow")]


@case(lambda seen: seen["http.busy.fault.faults_overflow"] == 1 and seen["http.busy.fault.active_faults"] == 0)
def case_stats_of_all_cases_before(t):
    return {name: t.proxy.stat(name) for name in NAMES}
