"""Forwarded headers: x-forwarded-for and its kin, x-forwarded-client-cert, x-request-id, via, server, host, path."""

from urllib.parse import quote

from pillion_test import Answer, Http1Client, certs
from pillion_test.parity import case, expand, table

CLIENT = "spiffe://mesh/ns/shop/sa/client"
SERVER = "spiffe://mesh/ns/shop/sa/server"
ROUTES = "{name: r, virtual_hosts: [{name: all, domains: ['*'], routes: [{match: {prefix: /}, route: {cluster: a}}]}]}"
MODES = ("SANITIZE", "FORWARD_ONLY", "APPEND_FORWARD", "SANITIZE_SET", "ALWAYS_FORWARD_ONLY")
TLS_LISTENER = """- name: NAME
    address: ${any}
    filter_chains:
    - transport_socket:
        name: envoy.transport_sockets.tls
        typed_config:
          ${tls_server}
          common_tls_context:
            tls_certificates: [{certificate_chain: {filename: "${dir}/server.crt"}, private_key: {filename: "${dir}/server.key"}}]
            validation_context: {trusted_ca: {filename: "${dir}/ca.crt"}}
      filters: [{name: envoy.filters.network.http_connection_manager, typed_config: {${hcm}, stat_prefix: x, EXTRA, http_filters: ${router}, route_config: ${routes}}}]
  """
PLAIN_LISTENER = """- name: NAME
    address: ${any}
    filter_chains: [{filters: [{name: envoy.filters.network.http_connection_manager, typed_config: {${hcm}, stat_prefix: x, EXTRA, http_filters: ${router}, route_config: ${routes}}}]}]
  """
DETAILS = "set_current_client_cert_details: {subject: true, uri: true, dns: true}"
EVERYTHING = "set_current_client_cert_details: {subject: true, uri: true, dns: true, cert: true, chain: true}"


def setup(stage):
    stage.http("a")
    ca = certs.Authority(stage.dir)
    ca.issue("server", "DNS:server.test", f"URI:{SERVER}")
    ca.issue("client", f"URI:{CLIENT}", "DNS:client.test", "DNS:also.test")
    ca.issue("dnsonly", "DNS:only.test")
    ca.issue("nosan")
    stage.values["routes"] = ROUTES
    text = ""
    for mode in MODES:
        extra = f"forward_client_cert_details: {mode}, {DETAILS}"
        text += TLS_LISTENER.replace("NAME", "tls " + mode).replace("EXTRA", extra)
        text += PLAIN_LISTENER.replace("NAME", "plain " + mode).replace("EXTRA", extra)
    text += TLS_LISTENER.replace("NAME", "tls bare").replace("EXTRA", "forward_client_cert_details: SANITIZE_SET")
    text += TLS_LISTENER.replace("NAME", "tls full").replace(
        "EXTRA", f"forward_client_cert_details: SANITIZE_SET, {EVERYTHING}")
    text += TLS_LISTENER.replace("NAME", "tls unset").replace("EXTRA", "generate_request_id: true")
    stage.values["xfcc_listeners"] = expand(text, stage.values)


def saw(name, *values):
    return lambda seen: [v for k, v in seen["origin"]["headers"] if k == name] == list(values)


XFF = "x-forwarded-for"
ROWS = [
    ("xff: kept inside the mesh", saw(XFF, "1.2.3.4"), "web", [(XFF, "1.2.3.4")]),
    ("xff: not made inside the mesh", saw(XFF), "web", []),
    ("xff: appended at the edge", saw(XFF, "1.2.3.4,127.0.0.1"), "edge", [(XFF, "1.2.3.4")]),
    ("xff: made at the edge", saw(XFF, "127.0.0.1"), "edge", []),
    ("xff: two headers", saw(XFF, "1.2.3.4,5.6.7.8,127.0.0.1"), "edge", [(XFF, "1.2.3.4"), (XFF, "5.6.7.8")]),
    ("xff: not appended when asked", saw(XFF, "1.2.3.4"), "skip", [(XFF, "1.2.3.4")]),
    ("xff: trusted hops at the edge", None, "edge-hops", [(XFF, "1.1.1.1, 2.2.2.2")]),
    ("xff: trusted hops inside", None, "hops", [(XFF, "1.1.1.1, 2.2.2.2, 3.3.3.3")]),
    ("xff: rubbish", None, "edge", [(XFF, "not an address")]),
    ("proto: made", saw("x-forwarded-proto", "http"), "web", []),
    ("proto: kept inside the mesh", saw("x-forwarded-proto", "https"), "web", [("x-forwarded-proto", "https")]),
    ("proto: replaced at the edge", saw("x-forwarded-proto", "http"), "edge", [("x-forwarded-proto", "https")]),
    ("proto: kept behind a trusted hop", saw("x-forwarded-proto", "https"), "edge-hops",
     [("x-forwarded-proto", "https"), (XFF, "1.1.1.1")]),
    ("proto: rubbish", None, "web", [("x-forwarded-proto", "gopher")]),
    ("internal: not at the edge", saw("x-envoy-internal"), "edge", [("x-envoy-internal", "true")]),
    ("internal: by address", saw("x-envoy-internal", "true"), "inside", []),
    ("internal: several hops are external", saw("x-envoy-internal"), "inside", [(XFF, "1.2.3.4")]),
    ("external address at the edge", None, "edge", []),
    ("external address of the client is replaced", None, "edge", [("x-envoy-external-address", "6.6.6.6")]),
    ("private headers are taken from outsiders", None, "edge",
     [("x-envoy-decorator-operation", "x"), ("x-envoy-retry-on", "5xx"), ("x-envoy-upstream-rq-timeout-ms", "9"),
      ("x-envoy-original-path", "/admin"), ("x-envoy-expected-rq-timeout-ms", "9"), ("x-envoy-force-trace", "1"),
      ("x-envoy-max-retries", "3"), ("x-envoy-downstream-service-cluster", "c"),
      ("x-envoy-hedge-on-per-try-timeout", "1"),
      ("x-envoy-upstream-alt-stat-name", "s"), ("x-envoy-ip-tags", "t"), ("x-envoy-attempt-count", "5")]),
    ("private headers inside the mesh", None, "web",
     [("x-envoy-decorator-operation", "x"), ("x-envoy-original-path", "/admin"), ("x-envoy-force-trace", "1"),
      ("x-envoy-downstream-service-cluster", "c"), ("x-envoy-ip-tags", "t"), ("x-envoy-attempt-count", "5")]),
    ("request id: made", saw("x-request-id", "<uuid>"), "web", []),
    ("request id: kept inside the mesh", saw("x-request-id", "my-own-id"), "web", [("x-request-id", "my-own-id")]),
    ("request id: replaced at the edge", saw("x-request-id", "<uuid>"), "edge", [("x-request-id", "my-own-id")]),
    ("request id: kept at the edge when asked", saw("x-request-id", "my-own-id"), "ids",
     [("x-request-id", "my-own-id")]),
    ("request id: not made when told", saw("x-request-id"), "no-ids", []),
    ("request id: kept when none is made", saw("x-request-id", "mine"), "no-ids", [("x-request-id", "mine")]),
    ("via", saw("via", "pillion-via"), "names", []),
    ("via appended", None, "names", [("via", "1.1 first")]),
    ("envoy's headers suppressed", None, "quiet", []),
]
table(globals(), ROWS, lambda t, listener, headers: t.get("/", headers, listener=listener,
                                                          keep=("x-envoy-expected-rq-timeout-ms",)))


@case(lambda seen: ["x-request-id", "my-own-id"] in seen["headers"])
def case_request_id_in_the_response(t):
    return t.get("/", [("x-request-id", "my-own-id")], listener="ids")


def server(t, listener, headers=()):
    t["a"].script = [Answer(200, b"x", headers)]
    seen = t.get("/", listener=listener, keep=("server",))
    return {"server": [v for k, v in seen["headers"] if k == "server"],
            "via": [v for k, v in seen["headers"] if k == "via"]}


ORIGIN = (("Server", "nginx"),)
table(globals(), [
    ("server: the name", {"server": ["our-name"]}, "names", ()),
    ("server: the origin's is replaced", {"server": ["our-name"]}, "names", ORIGIN),
    ("server: added when absent", {"server": ["our-name"]}, "server-absent", ()),
    ("server: kept when there", {"server": ["nginx"]}, "server-absent", ORIGIN),
    ("server: passed through", {"server": ["nginx"]}, "server-through", ORIGIN),
    ("server: none passed through", {"server": []}, "server-through", ()),
], server)

table(globals(), [
    ("host: port stripped", saw("host", "h.test"), "h.test:8080"),
    ("host: port stripped of an IPv6 address", saw("host", "[::1]"), "[::1]:8080"),
    ("host: no port", saw("host", "h.test"), "h.test"),
], lambda t, host: t.get("/", host=host, listener="ports"))

def refusal_without_words(seen):
    """Which part of a proxy refuses a path, and with which words, is its own affair."""
    if seen.get("status") == 400:
        seen.pop("body")
        seen["headers"] = [h for h in seen["headers"] if not h[0].startswith("content-")]
    return seen


table(globals(), [
    ("path: dots", None, "paths", "/a/b/../c"),
    ("path: dots at the end", None, "paths", "/a/b/.."),
    ("path: above the root", None, "paths", "/../../a"),
    ("path: slashes", None, "paths", "/a//b///c"),
    ("path: escaped letters", None, "paths", "/%61%62"),
    ("path: escaped dots", None, "paths", "/a/%2e%2e/b"),
    ("path: escaped slash", None, "paths", "/a%2Fb"),
    ("path: escaped backslash", None, "paths", "/a%5cb"),
    ("path: backslash", None, "paths", "/a\\b"),
    ("path: broken escape", None, "paths", "/a%zz"),
    ("path: zero byte", None, "paths", "/a%00"),
    ("path: query untouched", None, "paths", "/a/../b?x=/c/../d//e%2F"),
    ("path: fragment", None, "paths", "/a#b"),
    ("path: only an escaped slash is rejected", {"status": 400}, "paths-reject", "/a%2fb"),
    ("path: others are not", {"status": 200}, "paths-reject", "/a/%41"),
    ("path: untouched by default", {"status": 200}, "web", "/a//b/../c/%2e%2e/%41"),
    ("path: fragment by default", None, "web", "/a#b"),
], lambda t, listener, target: refusal_without_words(t.get(target, listener=listener)))

GIVEN = f"By=spiffe://mesh/other;Hash=abc;URI={CLIENT}"


def cleaned(t, text):
    """The header without what changes from run to run: the hash (by its form) and whole certificates."""
    with open(f"{t.dir}/client.crt", encoding="ascii") as f:
        pem = quote(f.read()[:60], safe="")[:40]
    parts = []
    for element in text.split(","):
        for pair in element.split(";"):
            key, _, value = pair.partition("=")
            if key == "Hash" and len(value) == 64:
                value = "<sha256>"
            elif key in ("Cert", "Chain"):
                value = "<this certificate>" if value.strip('"').startswith(pem[:10]) else value[:30]
            parts.append(f"{key}={value}")
        parts.append("/")
    return parts


def xfcc(t, listener, given, crt):
    tls = None
    if listener.startswith("tls"):
        own = (f"{t.dir}/{crt}.crt", f"{t.dir}/{crt}.key") if crt else (None, None)
        tls = certs.client_context(f"{t.dir}/ca.crt", *own)
    with Http1Client(t.port(listener), tls=tls) as client:
        client.get("/", [("X-Forwarded-Client-Cert", given)] if given else [])
    headers = t["a"].seen[-1].all("x-forwarded-client-cert")
    return {"count": len(headers), "parts": [cleaned(t, h) for h in headers]}


XFCC = [(f"xfcc: {mode}, {'TLS' if tls else 'plain'}, {'given' if given else 'none given'}", None,
         f"{'tls' if tls else 'plain'} {mode}", given, "client")
        for mode in MODES for tls in (True, False) for given in (GIVEN, None)]
XFCC += [
    ("xfcc: no certificate shown", {"count": 0}, "tls SANITIZE_SET", GIVEN, None),
    ("xfcc: no certificate shown, appending", None, "tls APPEND_FORWARD", GIVEN, None),
    ("xfcc: certificate without URI", {"count": 1}, "tls SANITIZE_SET", None, "dnsonly"),
    ("xfcc: certificate without SAN", {"count": 1}, "tls SANITIZE_SET", None, "nosan"),
    ("xfcc: no details asked", {"count": 1}, "tls bare", GIVEN, "client"),
    ("xfcc: all details", {"count": 1}, "tls full", GIVEN, "client"),
    ("xfcc: by default taken away", {"count": 0}, "tls unset", GIVEN, "client"),
]
table(globals(), XFCC, xfcc)


@case({"by": True, "uri": True, "subject": True, "dns": 2})
def case_xfcc_in_full(t):
    """The form that applications parse: By, Hash, Subject in quotes, URI, then each DNS name."""
    xfcc(t, "tls SANITIZE_SET", None, "client")
    text = t["a"].seen[-1].header("x-forwarded-client-cert")
    return {"by": text.startswith(f"By={SERVER};Hash="), "uri": f"URI={CLIENT}" in text,
            "subject": 'Subject="CN=client"' in text, "dns": text.count("DNS=")}
