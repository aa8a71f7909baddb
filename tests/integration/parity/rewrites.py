"""Rewrites, redirects and direct responses."""

import os

from pillion_test.parity import case, table


def setup(stage):
    stage.http("a")
    with open(os.path.join(stage.dir, "answer.txt"), "w", encoding="ascii") as f:
        f.write("from a file\n")


def to(target, **headers):
    """The origin saw this target (and was the one that answered)."""
    def check(seen):
        have = dict(map(tuple, seen["origin"]["headers"]))
        return seen["origin"]["target"] == target and all(have.get(k) == v for k, v in headers.items())
    return check


REWRITES = [
    ("nothing to rewrite", to("/same?q=1", host="test"), "/same?q=1"),
    ("prefix", to("/new/x"), "/pre/x"),
    ("prefix keeps the query", to("/new/x?a=/pre/"), "/pre/x?a=/pre/"),
    ("prefix with nothing after it", to("/new/"), "/pre/"),
    ("prefix to the root doubles the slash", to("//x"), "/root/x"),
    ("prefix to the root", to("/"), "/root"),
    ("exact path", to("/changed?q"), "/exact?q"),
    ("separated prefix", to("/s2/x"), "/sep/x"),
    ("regex with groups", to("/two/one/rest?q=1"), "/rx/one/two/rest?q=1"),
    ("regex that does not match", to("/rx/one"), "/rx/one"),
    ("host literal", to("/host", host="literal.test"), "/host"),
    ("host literal, the old one forwarded", to("/fwdhost", host="literal.test"), "/fwdhost"),
    ("host from the path", to("/pathhost/abc/d", host="abc.test"), "/pathhost/abc/d"),
    ("host of the endpoint", to("/autohost"), "/autohost"),
]
table(globals(), REWRITES, lambda t, target: t.get(target))


@case(to("/hdrhost", host="new.test"))
def case_host_from_a_header(t):
    return t.get("/hdrhost", [("x-new-host", "new.test")])


@case(to("/hdrhost", host="test"))
def case_host_from_a_header_that_is_missing(t):
    return t.get("/hdrhost")


@case({"status": 301})
def case_require_tls(t):
    return t.get("/x?y", host="secure.test")


def location(status, value):
    return lambda seen: seen["status"] == status and ["location", value] in seen["headers"]


REDIRECTS = [
    ("redirect host", location(301, "http://other.test/r/host?q=1"), "/r/host?q=1"),
    ("redirect path", location(301, "http://test/moved?q=1"), "/r/path?q=1"),
    ("redirect path with a query of its own", location(301, "http://test/moved?own=1"), "/r/q2?q=1"),
    ("redirect prefix", location(301, "http://test/n/x?q=1"), "/r/prefix/x?q=1"),
    ("redirect regex", location(301, "http://test/x/a/b?q=1"), "/r/rx/a/b?q=1"),
    ("redirect to https", location(301, "https://test/r/https/a?q"), "/r/https/a?q"),
    ("redirect scheme", location(301, "ftp://test/r/scheme"), "/r/scheme"),
    ("redirect port", location(301, "http://test:8443/r/port"), "/r/port"),
    ("redirect everything", location(301, "https://o.test:99/p"), "/r/all"),
    ("redirect 302", location(302, "http://test/m"), "/r/302"),
    ("redirect 303", location(303, "http://test/m"), "/r/303"),
    ("redirect 307", location(307, "http://test/m"), "/r/307"),
    ("redirect 308", location(308, "http://test/m"), "/r/308"),
    ("redirect without the query", location(301, "http://o.test/r/strip"), "/r/strip?secret=1"),
    ("redirect with an added header", location(301, "http://test/m"), "/r/headers"),
]
table(globals(), REDIRECTS, lambda t, target: t.get(target))

REDIRECT_HOSTS = [
    ("redirect to https drops port 80", location(301, "https://h.test/r/https"), "/r/https", "h.test:80"),
    ("redirect to https keeps another port", location(301, "https://h.test:8080/r/https"), "/r/https", "h.test:8080"),
    ("redirect port replaces one", location(301, "http://h.test:8443/r/port"), "/r/port", "h.test:8080"),
    ("redirect of an IPv6 host", location(301, "http://[::1]:8443/r/port"), "/r/port", "[::1]:8080"),
]
table(globals(), REDIRECT_HOSTS, lambda t, target, host: t.get(target, host=host))

DIRECT = [
    ("direct 200", {"status": 200, "body": "hello\n"}, "/d/200", "GET"),
    ("direct HEAD", {"status": 200, "body": ""}, "/d/200", "HEAD"),
    ("direct 204", {"status": 204, "body": ""}, "/d/204", "GET"),
    ("direct 503", {"status": 503, "body": "gone"}, "/d/503", "GET"),
    ("direct bytes", {"status": 418, "body": "hello"}, "/d/bytes", "GET"),
    ("direct from a file", {"status": 200, "body": "from a file\n"}, "/d/file", "GET"),
    ("direct with headers", {"status": 200, "body": "{}"}, "/d/headers", "GET"),
]
table(globals(), DIRECT, lambda t, target, method: t.get(target, method=method))


@case({"status": 200, "body": "hello\n"})
def case_direct_to_a_post_with_a_body(t):
    return t.get("/d/200", method="POST", body=b"x" * 100000)


@case(lambda seen: [s["body"] for s in seen] == ["hello\n", "gone", "hello\n"])
def case_direct_three_on_one_connection(t):
    with t.client() as client:
        return [t.observe(client.get(target)) for target in ("/d/200", "/d/503", "/d/200")]
