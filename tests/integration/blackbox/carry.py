"""HTTP/1 inside of HTTP/2 (ALPN "pillion-h2"), with a peer that is no Pillion in the place of one."""

import contextlib
import tempfile
import threading

from pillion_test import Http1Client, HttpOrigin, certs
from pillion_test.h2peer import H2Client, H2Origin

from .kit import Scene, check, equal, test

TEMPLATE = """
admin: ${admin}
static_resources:
  listeners:
  - name: mutual
    address: ${any}
    filter_chains: [{transport_socket: ${server:true}, filters: ${http:a}}]
  - name: anybody
    address: ${any}
    filter_chains: [{transport_socket: ${server:false}, filters: ${http:a}}]
  - name: out
    address: ${any}
    filter_chains: [{filters: ${http:far}}]
  clusters:
  - {name: a, connect_timeout: 1s, load_assignment: ${load:a}}
  - name: far
    connect_timeout: 2s
    load_assignment: ${load:far}
    typed_extension_protocol_options: {${http_options} auto_config: {http2_protocol_options: {}}}}
    transport_socket: {name: tls, typed_config: {${tls_client}, common_tls_context: {tls_certificates: [{certificate_chain: {filename: DIR/peer.crt}, private_key: {filename: DIR/peer.key}}], validation_context: {trusted_ca: {filename: DIR/ca.crt}}}}}
"""
HTTP = ("[{name: envoy.filters.network.http_connection_manager, typed_config: {${hcm}, stat_prefix: %s, http_filters: "
        "${router}, route_config: {virtual_hosts: [{name: all, domains: ['*'], routes: [{match: {prefix: /}, route: "
        "{cluster: %s}}]}]}}}]")
SERVER = ("{name: tls, typed_config: {${tls_server}, require_client_certificate: %s, common_tls_context: "
          "{alpn_protocols: [h2, http/1.1], tls_certificates: [{certificate_chain: {filename: DIR/peer.crt}, "
          "private_key: {filename: DIR/peer.key}}], validation_context: {trusted_ca: {filename: DIR/ca.crt}}}}}")
NAMED = [("user-agent", "x"), ("x-custom", "v")]


@contextlib.contextmanager
def world(alpn=("http/1.1",)):
    """The proxy, an origin `a` of HTTP/1, and one `far` behind mutual TLS that agrees on one of `alpn`."""
    with tempfile.TemporaryDirectory(prefix="pillion-carry-") as directory:
        ca = certs.Authority(directory)
        crt, key = ca.issue("peer", "DNS:peer.test")
        tls = certs.server_context(crt, key, client_ca=ca.ca, alpn=list(alpn))
        far = HttpOrigin("far", tls=tls) if alpn[0] == "http/1.1" else H2Origin("far", tls=tls)
        template = TEMPLATE
        for name in ("a", "far"):
            template = template.replace("${http:%s}" % name, HTTP % (name, name))
        for required in ("true", "false"):
            template = template.replace("${server:%s}" % required, SERVER % required)
        with Scene(template.replace("DIR", directory), origins={"a": HttpOrigin("a"), "far": far}) as scene:
            yield scene, lambda names: certs.client_context(ca.ca, crt, key, alpn=names)


def carried(scene, tls, names, value, listener="mutual", headers=()):
    """A request with the field; (the status or None, what the origin saw of it, whether the connection still works)."""
    scene["a"].clear()
    with H2Client(scene.port(listener), tls=tls(names)) as client:
        agreed = client.sock.selected_alpn_protocol()
        stream = client.start(headers=[*NAMED, *headers, ("x-pillion-http1", value)])
        response = client.finish(stream)
        seen = scene["a"].seen[-1].headers if scene["a"].seen else None
        goes_on = client.request().status == 200
    return agreed, response.status, seen, goes_on


@test("carry: a peer with a certificate is believed, a stranger's field is dropped, and neither reaches the application")
def believed():
    with world() as (scene, tls):
        agreed, status, seen, _ = carried(scene, tls, ["pillion-h2", "h2"], "1,User-Agent,X-CuStOm")
        equal((agreed, status), ("pillion-h2", 200))
        check(("User-Agent", "x") in seen and ("X-CuStOm", "v") in seen, seen)
        strangers = [("mutual", ["h2"]), ("anybody", ["pillion-h2", "h2"])]
        for listener, names in strangers:
            agreed, status, seen, _ = carried(scene, tls, names, "1,User-Agent,X-CuStOm", listener)
            equal((agreed, status), ("h2", 200), listener)
            check(("user-agent", "x") in seen and ("x-custom", "v") in seen, listener, seen)
            check("x-pillion-http1" not in [k.lower() for k, _ in seen], listener, seen)


@test("carry: a field that is malformed, too long or there twice ends its own request only")
def malformed():
    with world() as (scene, tls):
        for value, more in (("2", ()), ("1,Host", ()), ("1;;;;,X", ()), ("1,User-Agent,X-CuStOm,Z", ()),
                            ("1,User-Agent\tX", ()), ("1" + ";" * 9000, ()), ("1", [("x-pillion-http1", "1")])):
            _, status, seen, goes_on = carried(scene, tls, ["pillion-h2"], value, headers=more)
            check(status in (400, 431), value[:20], status)
            check(seen is None, value[:20], seen)
            check(goes_on, value[:20], "the connection is over")


@test("carry: CONNECT to nowhere, and protocols that are none, open no tunnel")
def connect():
    with world() as (scene, tls), H2Client(scene.port("mutual"), tls=tls(["pillion-h2"])) as client:
        for fields in ([(":method", "CONNECT"), (":authority", "nowhere.test:1")],
                       *([(":method", "CONNECT"), (":protocol", protocol), (":scheme", "http"), (":authority", "a"),
                          (":path", "/")] for protocol in ("websocket", "a b", "a,b", "a/b/c", "/", "\x80", "x" * 5000))):
            stream = client.h2.get_next_available_stream_id()
            client.start(pseudo=fields, headers=[("x-pillion-http1", "1")])
            response = client.finish(stream)
            check(stream in client.resets or response.status >= 400, fields, response.status)
        equal(client.request().status, 200, "the connection goes on")
        check([r.method for r in scene["a"].seen] == ["GET"], scene["a"].seen)


@test("carry: an endpoint that speaks HTTP/1.1 only is found out once, and has a connection for each request then")
def only_http1():
    with world() as (scene, _):
        statuses = []

        def ask():
            with Http1Client(scene.port("out")) as client:
                statuses.append(client.get("/", [("X-CuStOm", "v")]).status)
        threads = [threading.Thread(target=ask) for _ in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        equal(statuses, [200] * 20)
        check(all(("X-CuStOm", "v") in r.headers for r in scene["far"].seen), scene["far"].seen)


@test("carry: towards a peer that agrees, names travel in the field, and an application's own one does not")
def sent():
    with world(("pillion-h2",)) as (scene, _), Http1Client(scene.port("out")) as client:
        equal(client.get("/", [("X-CuStOm", "v"), ("x-pillion-http1", "evil")]).status, 200)
        fields = scene["far"].seen[-1].headers
        equal([v for k, v in fields if k == "x-pillion-http1"], ["1,X-CuStOm"], fields)
        check(("x-custom", "v") in fields, fields)
    with world(("h2",)) as (scene, _), Http1Client(scene.port("out")) as client:
        equal(client.get("/", [("X-CuStOm", "v"), ("x-pillion-http1", "evil")]).status, 200)
        fields = scene["far"].seen[-1].headers
        check("x-pillion-http1" not in dict(fields) and ("x-custom", "v") in fields, fields)
