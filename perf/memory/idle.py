"""What an idle keep-alive connection costs the proxy: the growth of RssAnon over many of them, one request each."""

import contextlib
import os
import re
import socket
import ssl
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "tests", "support"))

from pillion_test import Proxy, certs  # noqa: E402
from pillion_test.origin import Answer, HttpOrigin  # noqa: E402
from pillion_test.parity import expand  # noqa: E402
from pillion_test.tcp import TcpServer  # noqa: E402

# What the proxy frees only some time after the last byte has been freed by then.
SETTLE_S = 3
REQUEST = b"GET / HTTP/1.1\r\nHost: idle.test\r\nUser-Agent: perf\r\n\r\n"

BOOTSTRAP = """
admin: ${admin}
static_resources:
  listeners:
  - name: main
    address: ${any}
    filter_chains: [{filters: [@filter@]@tls@}]
  clusters:
  - name: origin
    connect_timeout: 5s
    circuit_breakers: {thresholds: [{max_connections: 100000, max_pending_requests: 100000, max_requests: 100000, max_retries: 100000}]}
    load_assignment: ${load:origin}
"""
HTTP = ("{name: envoy.filters.network.http_connection_manager, typed_config: {${hcm}, stat_prefix: idle, codec_type: "
        "@codec@, generate_request_id: false, http_filters: ${router}, route_config: {virtual_hosts: [{name: all, "
        'domains: ["*"], routes: [{match: {prefix: /}, route: {cluster: origin}}]}]}}}')
TCP = "{name: envoy.filters.network.tcp_proxy, typed_config: {${tcp_proxy}, stat_prefix: idle, cluster: origin}}"
TLS = (", transport_socket: {name: tls, typed_config: {${tls_server}, require_client_certificate: true, "
       "common_tls_context: {alpn_protocols: [@alpn@], tls_certificates: [{certificate_chain: {filename: @dir@/server.crt},"
       " private_key: {filename: @dir@/server.key}}], validation_context: {trusted_ca: {filename: @dir@/ca.crt}}}}}")
# Name of the row: filter, codec, ALPN name ("" is plain text), greatest number of connections (the limit on open files).
KINDS = {
    "plain": (HTTP, "HTTP1", "", 10000),
    "mtls": (HTTP, "HTTP1", "http/1.1", 10000),
    "mtls_tcp": (TCP, "", "http/1.1", 4000),
    "mtls_h2": (HTTP, "HTTP2", "h2", 10000),
}


def memory_kb(pid):
    """RssAnon and RSS of a process, in KB."""
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        text = f.read()
    return int(re.search(r"RssAnon:\s+(\d+)", text)[1]), int(re.search(r"VmRSS:\s+(\d+)", text)[1])


def bootstrap(kind, origin, directory):
    filter_, codec, alpn, _ = KINDS[kind]
    text = BOOTSTRAP.replace("@filter@", filter_).replace("@codec@", codec)
    text = text.replace("@tls@", TLS.replace("@dir@", directory).replace("@alpn@", alpn) if alpn else "")
    return expand(text, {"origin": origin})


def frame(kind, flags, stream, payload=b""):
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


# :method GET, :scheme https, :path / by their static indices; :authority as a literal that is not indexed.
H2_REQUEST = (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0) + frame(4, 1, 0) +
              frame(1, 5, 1, b"\x82\x87\x84\x01\x09idle.test"))


def ask_h1(sock):
    sock.sendall(REQUEST)
    seen = b""
    while b"\r\n\r\n" not in seen or not seen.endswith(b"x"):
        seen += (more := sock.recv(4096))
        if not more:
            raise RuntimeError(f"the proxy closed after {seen!r}")
    if not seen.startswith(b"HTTP/1.1 200"):
        raise RuntimeError(f"the answer is {seen[:100]!r}")


def ask_h2(sock):
    sock.sendall(H2_REQUEST)
    seen = b""
    while True:
        seen += (more := sock.recv(4096))
        if not more:
            raise RuntimeError("the proxy closed")
        while len(seen) >= 9 and len(seen) >= 9 + (size := int.from_bytes(seen[:3], "big")):
            kind, flags, stream = seen[3], seen[4], int.from_bytes(seen[5:9], "big")
            if kind in (3, 7):
                raise RuntimeError(f"frame {kind} {seen[9:9 + size]!r}")
            if kind == 1 and seen[9] != 0x88:
                raise RuntimeError(f"the answer's head is {seen[9:9 + size]!r}")
            if stream == 1 and flags & 1:
                return
            seen = seen[9 + size:]


def echo(sock):
    reader = sock.makefile("rb")
    while reader.readline().strip():
        pass
    sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 97\r\n\r\n" + b"x" * 97)
    while sock.recv(4096):
        pass


def idle(kind, count=10000, settle_s=SETTLE_S, warm=20):
    """Bytes of RssAnon for each idle connection of a kind, and how the process stood before and after, in KB."""
    count = min(count, KINDS[kind][3])
    with contextlib.ExitStack() as stack:
        directory = stack.enter_context(tempfile.TemporaryDirectory(prefix="pillion-idle-"))
        context = None
        if KINDS[kind][2]:
            ca = certs.Authority(directory)
            ca.issue("server", "URI:spiffe://cluster.local/ns/shop/sa/web")
            crt, key = ca.issue("client", "URI:spiffe://cluster.local/ns/shop/sa/client")
            context = certs.client_context(ca.ca, crt, key, [KINDS[kind][2]])
        if kind == "mtls_tcp":
            origin = TcpServer(echo, name="origin")
        else:
            origin = HttpOrigin("origin", Answer(200, b"x" * 97))
        stack.callback(origin.close)
        proxy = stack.enter_context(Proxy("pillion", bootstrap(kind, origin, directory)))
        port = proxy.port("main")
        ask = ask_h2 if kind == "mtls_h2" else ask_h1
        sockets = stack.enter_context(contextlib.ExitStack())

        def open_one():
            sock = socket.create_connection(("127.0.0.1", port), 10)
            if context:
                sock = context.wrap_socket(sock)
            sockets.callback(sock.close)
            ask(sock)

        for _ in range(warm):
            open_one()
        time.sleep(settle_s)
        before = memory_kb(proxy.process.pid)
        for _ in range(count):
            open_one()
        time.sleep(settle_s)
        after = memory_kb(proxy.process.pid)
        if proxy.process.poll() is not None:
            raise RuntimeError("the proxy has ended")
    return {"bytes": round((after[0] - before[0]) * 1024 / count), "connections": count,
            "before_kb": before[0], "after_kb": after[0], "before_rss_kb": before[1], "after_rss_kb": after[1]}
