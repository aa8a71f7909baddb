"""Detection of the protocol on the first bytes, and servers that speak first."""

import statistics
import time

from pillion_test import Http1Client, HttpOrigin, TcpServer, connect, tcp
from pillion_test.h2peer import H2Client

from .kit import Scene, check, equal, test

# One port for everything: HTTP goes to the HTTP filter, anything else through as TCP to the same kind of server.
DETECT = """
admin: ${admin}
static_resources:
  listeners:
  - name: NAME
    address: ${any}
    listener_filters: [${tls_inspector}, ${http_inspector}]
    filter_chains:
    - filter_chain_match: {application_protocols: ["http/1.0", "http/1.1", "h2c"]}
      filters: [{name: envoy.filters.network.http_connection_manager, typed_config: {${hcm}, stat_prefix: h, http_filters: ${router}, route_config: {virtual_hosts: [{name: all, domains: ["*"], routes: [{match: {prefix: /}, route: {cluster: a}, response_headers_to_add: [{header: {key: x-by-http, value: "1"}}]}]}]}}}]
    - filters: [{name: envoy.filters.network.tcp_proxy, typed_config: {${tcp_proxy}, stat_prefix: t, cluster: TARGET}}]
  clusters:
  - {name: a, connect_timeout: 1s, load_assignment: ${load:a}}
  - {name: first, connect_timeout: 1s, load_assignment: ${load:first}}
  - {name: quiet, connect_timeout: 1s, load_assignment: ${load:quiet}}
""".replace("NAME", "web")
BANNER = b'INFO {"server_id":"x","version":"2.9"}\r\n'
LIMIT_S = 0.050


def scene(target):
    return Scene(DETECT.replace("TARGET", target), origins={
        "a": HttpOrigin("a"), "first": TcpServer(tcp.server_first(BANNER)), "quiet": TcpServer()})


@test("detection: a server that speaks first is heard without configuration (median under 50 ms is wanted)")
def speaks_first():
    times = []
    with scene("first") as s:
        for _ in range(21):
            start = time.monotonic()
            with connect(s.port(), limit_s=5) as sock:
                equal(sock.recv(100), BANNER)
            times.append(time.monotonic() - start)
    median = statistics.median(times)
    return (f"first {times[0] * 1000:.1f} ms, median {median * 1000:.1f} ms, slowest {max(times) * 1000:.1f} ms"
            f"{'' if median < LIMIT_S else ': TOO SLOW'}")


@test("detection: both sides talk after the server's greeting")
def talks_after():
    with scene("first") as s, connect(s.port(), limit_s=5) as sock:
        equal(sock.recv(100), BANNER)
        for word in (b"PING\r\n", b"GET / HTTP/1.1\r\n\r\n"):
            sock.sendall(word)
            equal(sock.recv(100), word, "echo")


@test("detection: HTTP/1 goes to the HTTP filter")
def http1():
    with scene("quiet") as s, Http1Client(s.port()) as client:
        equal(client.get("/").header("x-by-http"), "1")
        equal(s["quiet"].accepted, 0, "connections to the TCP server")


@test("detection: HTTP/2 goes to the HTTP filter")
def http2():
    with scene("quiet") as s, H2Client(s.port()) as client:
        equal(client.request().header("x-by-http"), "1")


@test("detection: HTTP/1 byte by byte goes to the HTTP filter")
def slow_http1():
    with scene("quiet") as s, Http1Client(s.port()) as client:
        for i in client.head("GET", "/", [("Host", "t")]):
            client.send(bytes([i]))
            time.sleep(0.003)
        equal(client.read().header("x-by-http"), "1")


@test("detection: a client that takes its time still speaks HTTP")
def late_http1():
    """The proxy may have dialled the TCP server meanwhile; as long as that is silent, nothing is decided."""
    with scene("quiet") as s, Http1Client(s.port()) as client:
        time.sleep(0.4)
        equal(client.get("/").header("x-by-http"), "1")


@test("detection: unknown bytes go through as TCP, and all of them")
def other():
    with scene("quiet") as s:
        for data in (b"\x00\x01binary", b"PROTO x\r\n", b"*1\r\n$4\r\nPING\r\n"):
            with connect(s.port(), limit_s=5) as sock:
                sock.sendall(data)
                got = b""
                while len(got) < len(data):
                    more = sock.recv(100)
                    check(more, f"{data!r}: the connection ended after {got!r}")
                    got += more
                equal(got, data)


@test("detection: a client that sends nothing and leaves costs nothing")
def silent():
    with scene("quiet") as s:
        for _ in range(50):
            connect(s.port()).close()
        with Http1Client(s.port()) as client:
            equal(client.get("/").status, 200)
        check(s.proxy.process.poll() is None, "the proxy died")


@test("detection: half-close of a client that spoke unknown bytes reaches the server")
def half_close():
    with scene("quiet") as s, connect(s.port(), limit_s=5) as sock:
        sock.sendall(b"?\n")
        sock.shutdown(1)
        got = b""
        while data := sock.recv(100):
            got += data
        equal(got, b"?\n<fin after 2 bytes>")
