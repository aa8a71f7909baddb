"""Virtual hosts and route matches."""

from pillion_test.parity import table


def setup(stage):
    """Every route answers directly, so there are no origins."""


def ok(body):
    return {"status": 200, "body": body}


NONE = {"status": 404, "body": ""}
HOSTS = [
    ("host exact", ok("exact"), "exact.test"),
    ("host exact in capitals", ok("exact"), "EXACT.Test"),
    ("host with a port that no domain names", NONE, "exact.test:80"),
    ("host with its port", ok("exact"), "port.test:8080"),
    ("host without its port", NONE, "port.test"),
    ("host by suffix", ok("suffix"), "a.suffix.test"),
    ("host by suffix, two labels", ok("suffix"), "a.b.suffix.test"),
    ("host by suffix needs something before it", NONE, ".suffix.test"),
    ("host that is the bare suffix", NONE, "suffix.test"),
    ("host by suffix that begins with a dash", ok("suffix"), "x-dash.test"),
    ("host by the longest suffix", ok("long suffix"), "a.long.suffix.test"),
    ("host by prefix", ok("prefix"), "prefix.org"),
    ("host by the longest prefix", ok("prefix"), "prefix.a.org"),
    ("host exact before wildcards", ok("both"), "prefix.suffix.test"),
    ("host by suffix before prefix", ok("suffix"), "prefix.b.suffix.test"),
    ("host without routes", NONE, "nothing.test"),
    ("host that only the star takes", NONE, "somewhere.else"),
]
table(globals(), HOSTS, lambda t, host: t.get("/", host=host))

PATHS = [
    ("path exact", ok("path exact"), "/exact"),
    ("path exact ignores the query", ok("path exact"), "/exact?x=1"),
    ("path exact is not a prefix", NONE, "/exact/"),
    ("path exact minds case", NONE, "/Exact"),
    ("path exact, any case", ok("path any case"), "/nocase"),
    ("path prefix, any case", ok("prefix any case"), "/prenocase/x"),
    ("path regex", ok("regex"), "/re/123"),
    ("path regex ignores the query", ok("regex"), "/re/123?x"),
    ("path regex matches the whole path", NONE, "/re/123/x"),
    ("path separated prefix itself", ok("separated prefix"), "/sep"),
    ("path separated prefix with more", ok("separated prefix"), "/sep/x"),
    ("path separated prefix with a query", ok("separated prefix"), "/sep?x"),
    ("path separated prefix in mid word", NONE, "/sepx"),
    ("path with an escape is not decoded", NONE, "/%65xact"),
    ("path: first match wins", ok("first"), "/first/second"),
    ("path: no route", NONE, "/none"),
    ("query: both parameters", ok("query a and b"), "/q?a=1&b"),
    ("query: order does not matter", ok("query a and b"), "/q?b=&a=1"),
    ("query: one missing", ok("query a number"), "/q?a=1"),
    ("query: regex", ok("query a number"), "/q?a=42&z=1"),
    ("query: regex matches the whole value", NONE, "/q?a=42x"),
    ("query: present", ok("query c"), "/q?c"),
    ("query: the first of two values counts", ok("query a number"), "/q?a=2&a=x"),
    ("query: none", NONE, "/q"),
    ("fraction of zero", NONE, "/never"),
    ("fraction of a hundred", ok("always"), "/always"),
]
table(globals(), PATHS, lambda t, target: t.get(target))

HEADERS = [
    ("header exact", ok("header exact"), [("X-Exact", "Value")]),
    ("header exact minds case", NONE, [("X-Exact", "value")]),
    ("header exact, two values are matched one by one",
     ok("header exact"), [("X-Exact", "Value"), ("X-Exact", "more")]),
    ("header exact, any case", ok("header exact any case"), [("X-NoCase", "VALUE")]),
    ("header prefix", ok("header prefix"), [("x-prefix", "abcdef")]),
    ("header prefix does not match", NONE, [("x-prefix", "xabc")]),
    ("header suffix", ok("header suffix"), [("x-suffix", "wxyz")]),
    ("header contains", ok("header contains"), [("x-contains", "amidst")]),
    ("header contains, in the second value", ok("header contains"), [("x-contains", "a"), ("x-contains", "amidst")]),
    ("header regex", ok("header regex"), [("x-regex", "abc1")]),
    ("header regex matches the whole value", NONE, [("x-regex", "abc12")]),
    ("header range, first", ok("header range"), [("x-range", "10")]),
    ("header range, last", ok("header range"), [("x-range", "19")]),
    ("header range, its end is outside", NONE, [("x-range", "20")]),
    ("header range, not a number", NONE, [("x-range", "1x")]),
    ("header range, empty", NONE, [("x-range", "")]),
    ("header present", ok("header present"), [("x-present", "")]),
    ("header present, and another absent", NONE, [("x-present", "1"), ("x-absent", "1")]),
    ("header inverted", ok("header inverted"), [("x-go", "1"), ("x-invert", "good")]),
    ("header inverted, bad value", NONE, [("x-go", "1"), ("x-invert", "bad")]),
    ("header inverted, missing", NONE, [("x-go", "1")]),
    ("header missing counts as empty", ok("header missing is empty"), [("x-try-empty", "1")]),
    ("header missing counts as empty, but it is there", NONE, [("x-try-empty", "1"), ("x-empty", "1")]),
]
table(globals(), HEADERS, lambda t, headers: t.get("/h", headers))

OTHER = [
    ("method", ok("method post"), "POST", "/m", "test", []),
    ("method in other letters", NONE, "GET", "/m", "test", []),
    ("authority as a header", ok("authority"), "GET", "/m", "auth.test", []),
    # A direct response to a gRPC request has its text in grpc-message and not in the body.
    ("grpc by content type", {"status": 200, "body": ""}, "POST", "/grpc", "test",
     [("content-type", "application/grpc")]),
    ("grpc with a suffix", {"status": 200, "body": ""}, "POST", "/grpc", "test",
     [("content-type", "application/grpc+proto")]),
    ("grpc-web is not grpc", NONE, "POST", "/grpc", "test", [("content-type", "application/grpc-web")]),
]
table(globals(), OTHER, lambda t, method, target, host, headers: t.get(target, headers, host, method=method, body=b""))
