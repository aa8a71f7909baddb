#!/usr/bin/env python3
"""A real sidecar from the outside: captured connections, the real control plane, applications in Python.

    10.77.1.10  client   shop    calls
    10.77.1.11  web      shop    every kind of server; permissive unless a test says otherwise
    fd77::12    six      shop    is known by its IPv6 address only
    10.77.1.13  vault    vault   its namespace is strict
    10.77.0.1   outside  no mesh

Needs root (or subordinate uids), iptables and curl; grpcio (make deps-test). The network is of namespaces that end with
the test. Exit status 1 where something is missing: nothing is skipped.
"""

import os
import re
import signal
import socket
import ssl
import statistics
import sys
import threading
import time
import traceback

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "support"))

from pillion_test import certs, origin, tcp  # noqa: E402
from pillion_test.mesh import (GATEWAY, PILLION, ROOT, Mesh, missing_programs, run_in_own_machine,  # noqa: E402
                               wait_for, wire)

PYTHON = os.environ.get("PILLION_PYTHON") or os.path.join(
    os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "pillion", "python")
DEMO = os.path.join(ROOT, "examples", "shop", "demo")
BIG = 20 * 1024 * 1024
FIRST_BYTE_LIMIT_MS = 50

NAMESPACES = """
apiVersion: v1
kind: Namespace
metadata: {name: shop}
---
apiVersion: v1
kind: Namespace
metadata: {name: vault}
---
apiVersion: pillion.dev/v1alpha1
kind: MeshPolicy
metadata: {name: vault, namespace: vault}
spec: {mtls: {mode: Strict}}
"""
SHOP_POLICY = """
apiVersion: pillion.dev/v1alpha1
kind: MeshPolicy
metadata: {{name: shop, namespace: shop}}
spec: {{mtls: {{mode: {mtls}}}, egress: {{unknown: {unknown}}}}}
"""


def service(name, address, ports, app, namespace="shop"):
    """`address` is one ClusterIP, several, or None for a headless service; `ports` are (name or None, port, target)."""
    addresses = [address] if isinstance(address, str) or address is None else list(address)
    text = "\n".join("    - {" + (f"name: {n}, " if n else "") + f"port: {p}, targetPort: {t}}}" for n, p, t in ports)
    return (f"apiVersion: v1\nkind: Service\nmetadata: {{name: {name}, namespace: {namespace}}}\nspec:\n"
            f"  clusterIP: \"{addresses[0]}\"\n  clusterIPs: [{', '.join(repr(str(a)) for a in addresses)}]\n"
            f"  selector: {{app: {app}}}\n  ports:\n{text}\n")


def pod_document(name, namespace, *ips):
    return (f"apiVersion: v1\nkind: Pod\nmetadata:\n  name: {name}\n  namespace: {namespace}\n"
            f"  labels: {{app: {name}}}\n"
            f"  annotations: {{pillion.dev/sidecar: \"true\"}}\nspec: {{serviceAccountName: {name}}}\n"
            f"status:\n  podIP: \"{ips[0]}\"\n  podIPs: [{', '.join(f'{{ip: {ip!r}}}' for ip in ips)}]\n")


WEB, WEB6, BANNER, PLAIN, SIX, VAULT = ("10.78.0.10", "fd78::10", "10.78.0.12", "10.78.0.11", "fd78::12", "10.78.0.13")
SERVICES = [
    service("web", (WEB, WEB6), [("http", 80, 8080), ("tcp-echo", 9000, 9000), ("grpc", 50051, 50051)], "web"),
    service("plain", PLAIN, [(None, 8000, 8082)], "web"),
    service("banner", BANNER, [(None, 7000, 7000)], "web"),
    service("direct", None, [("http", 8083, 8083)], "web"),
    service("six", SIX, [("http", 80, 8080), ("tcp", 9000, 9000)], "six"),
    service("vault", VAULT, [("http", 80, 8080), ("tcp", 9000, 9000), ("any", 7000, 7000)], "vault", "vault"),
]
PODS = {"client": ("10.77.1.10", "fd77::10", "shop/client"), "web": ("10.77.1.11", "fd77::11", "shop/web"),
        "six": ("10.77.1.12", "fd77::12", "shop/six"), "vault": ("10.77.1.13", "fd77::13", "vault/vault")}
POD_IPS = {"client": ("10.77.1.10", "fd77::10"), "web": ("10.77.1.11", "fd77::11"), "six": ("fd77::12",),
           "vault": ("10.77.1.13",)}


class World:
    """The mesh and its applications."""

    def __init__(self, work):
        self.mesh = Mesh(work)
        self.mesh.raise_network({})
        self.set_policy()
        self.mesh.write("namespaces.yaml", NAMESPACES)
        self.mesh.write("services.yaml", "---\n".join(SERVICES))
        self.mesh.write("pods.yaml", "---\n".join(pod_document(name, PODS[name][2].split("/")[0], *ips)
                                                  for name, ips in POD_IPS.items()))
        self.mesh.start_control()
        for name, (ip, ip6, account) in PODS.items():
            setattr(self, name, self.mesh.add_pod(name, ip, ip6, account))
        for name, pod in self.mesh.pods.items():
            pod.run(PILLION, "init")
            self.mesh.start_sidecar(pod, POD_IPS[name][0])
        self.start_applications()
        for pod in self.mesh.pods.values():
            self.mesh.wait_ready(pod)

    def start_applications(self):
        http, server, banner = origin.HttpOrigin, tcp.TcpServer, tcp.server_first(b"220 hello\r\n")
        self.web_http = self.web.serve(http, "web", port=8080, host="::")
        self.web_plain = self.web.serve(http, "plain", port=8082)
        self.web_direct = self.web.serve(http, "direct", port=8083, host="::")
        self.undeclared = self.web.serve(server, port=8090, host="::")
        self.web_echo = self.web.serve(server, port=9000)
        self.web_banner = self.web.serve(server, banner, port=7000)
        self.six_http = self.six.serve(http, "six", port=8080, host="::")
        self.six_echo = self.six.serve(server, port=9000, host="::")
        self.vault_http = self.vault.serve(http, "vault", port=8080)
        self.vault_echo = self.vault.serve(server, port=9000)
        self.vault_banner = self.vault.serve(server, banner, port=7000)
        self.web.start("orders", [sys.executable, os.path.join(DEMO, "orders_server.py"), "0.0.0.0:50051"],
                       env={"PYTHONPATH": PYTHON})
        crt, key = certs.Authority(os.path.join(self.mesh.work, "ca")).issue("outside", "DNS:outside.example")
        self.outside_http = http("outside", host=GATEWAY, port=8000)
        self.outside_echo = server(host=GATEWAY, port=9000)
        self.outside_banner = server(banner, host=GATEWAY, port=7000)
        self.outside_tls = http("outside-tls", host=GATEWAY, port=9443, tls=certs.server_context(crt, key))

    def set_policy(self, mtls="Permissive", unknown="Allow"):
        self.mesh.write("shop-policy.yaml", SHOP_POLICY.format(mtls=mtls, unknown=unknown))


def echo(connection, text=b"ping"):
    """What a tcp.TcpServer that echoes answers to `text` and our FIN."""
    with connection as sock:
        sock.sendall(text)
        sock.shutdown(socket.SHUT_WR)
        answer = b""
        while data := sock.recv(65536):
            answer += data
    return answer


def attempt(ask):
    """What it gives, or the error's name: a connection that is refused may show as any of them."""
    try:
        return ask()
    except (OSError, wire.ProtocolError) as error:
        return type(error).__name__


def expect(value, wanted, what):
    assert value == wanted, f"{what}: {value!r} instead of {wanted!r}"


ECHOED = b"ping<fin after 4 bytes>"


# === destinations outside of the mesh ===

def outside_http(w):
    return attempt(lambda: w.client.http(GATEWAY, 8000).get("/out").status)


def outside_echo(w):
    return attempt(lambda: echo(w.client.connect(GATEWAY, 9000)))


def outside_tls(w):
    def ask():
        with w.client.http(GATEWAY, 9443, tls=certs.client_context(os.path.join(w.mesh.work, "ca", "ca.crt")),
                           server_hostname="outside.example") as client:
            return client.get("/tls").status
    return attempt(ask)


def outside_banner(w):
    def ask():
        with w.client.connect(GATEWAY, 7000) as sock:
            return sock.recv(100)
    return attempt(ask)


OUTSIDE = ((outside_http, 200), (outside_echo, ECHOED), (outside_tls, 200), (outside_banner, b"220 hello\r\n"))


def test_unknown_destinations_pass_are_denied_with_a_reason_and_pass_again(w):
    for ask, wanted in OUTSIDE:
        expect(ask(w), wanted, ask.__name__)
    seen = len(w.outside_http.seen)
    mark = len(w.client.log("proxy"))
    w.set_policy(unknown="Deny")
    wait_for(lambda: outside_echo(w) != ECHOED, 10, "Deny is in force")
    for ask, wanted in OUTSIDE:
        got = ask(w)
        assert got == b"" or isinstance(got, str), f"{ask.__name__}: {got!r}"
        assert got != "TimeoutError", ask.__name__
    expect(len(w.outside_http.seen), seen, "requests that reached the outside although it is denied")

    def told():
        lines = w.client.log_since(mark).splitlines()
        return [line for line in lines if f"{GATEWAY}:8000" in line and "BlackHoleCluster" in line]
    lines = wait_for(told, 5, "the log says why")
    print(f"     {lines[0]}")
    w.set_policy(unknown="Allow")
    wait_for(lambda: outside_echo(w) == ECHOED, 10, "Allow is in force again")
    for ask, wanted in OUTSIDE:
        expect(ask(w), wanted, ask.__name__)


# === the pod itself ===

def test_a_pod_calls_its_own_service_and_its_own_address(w):
    for host, port in ((WEB, 80), (w.web.ip, 8080), ("127.0.0.1", 8080), (w.web.ip6, 8080), (WEB6, 80)):
        with w.web.http(host, port) as client:
            expect(client.get("/own").status, 200, f"web asks {host}:{port}")
    expect(echo(w.web.connect(WEB, 9000)), ECHOED, "web's echo by its own ClusterIP")


def loops_of(pod):
    """Connections to a capture port itself that the pod's sidecar has seen so far."""
    return int(re.search(r"pillion\.looped_connections: (\d+)", pod.admin("/stats"))[1])


def test_the_proxys_own_ports_end_quickly(w):
    """From the application, from another pod and from outside, on every address: each connection ends by itself."""
    loops = loops_of(w.web)
    tried = 0
    descriptors = len(os.listdir(f"/proc/{w.web.processes['proxy'].pid}/fd"))
    for who, pod in (("web", w.web), ("client", w.client)):
        addresses = ("127.0.0.1", "::1", w.web.ip, w.web.ip6) if pod is w.web else (w.web.ip, w.web.ip6)
        for host in addresses:
            for port in (15001, 15006):
                began = time.monotonic()
                tried += 1

                def ask(pod=pod, host=host, port=port):
                    with pod.connect(host, port, limit_s=8) as sock:
                        sock.sendall(b"GET / HTTP/1.1\r\nHost: loop\r\n\r\n")
                        answer = b""
                        while data := sock.recv(65536):
                            answer += data
                        return answer
                answer = attempt(ask)
                took = time.monotonic() - began
                assert answer != "TimeoutError" and took < 8, f"{who} to [{host}]:{port}: {answer!r} after {took:.1f} s"
                assert answer in (b"", "ConnectionResetError", "ConnectionRefusedError", "BrokenPipeError"), answer
    wait_for(lambda: len(os.listdir(f"/proc/{w.web.processes['proxy'].pid}/fd")) <= descriptors + 4, 8,
             "the sidecar of web has let go of every connection")
    # One that was dialled again would be counted each time.
    more = loops_of(w.web) - loops
    assert more <= tried, f"the sidecar of web has seen {more} connections to its own ports for {tried}"
    with w.client.http(WEB, 80) as client:
        expect(client.get("/after").status, 200, "web still answers")


# === IPv6 ===

def test_ipv6_through_both_sidecars(w):
    w.six_http.seen.clear()
    with w.client.http(SIX, 80) as client:
        expect(client.get("/six").status, 200, "six by its ClusterIP")
    assert "sa/client" in (w.six_http.seen[-1].header("x-forwarded-client-cert") or ""), w.six_http.seen
    expect(echo(w.client.connect(SIX, 9000)), ECHOED, "echo of six")
    with w.client.http(WEB6, 80) as client:
        expect(client.get("/web6").status, 200, "web by its IPv6 ClusterIP")
    with w.six.http(WEB, 80) as client:
        expect(client.get("/from6").status, 200, "six calls web")
    with w.six.http(SIX, 80) as client:
        expect(client.get("/own").status, 200, "six calls itself")


def test_a_pod_of_both_families_is_reached_by_each_of_its_addresses(w):
    for host in (w.web.ip, w.web.ip6):
        with w.client.http(host, 8083) as client:
            expect(client.get("/direct").status, 200, f"a declared port of [{host}]")
        expect(echo(w.client.connect(host, 8090)), ECHOED, f"a port that nobody declared of [{host}]")


# === protocols that nobody declared ===

def test_a_server_that_speaks_first_is_heard_quickly(w):
    times = []
    for _ in range(20):
        began = time.monotonic()
        with w.client.connect(BANNER, 7000) as sock:
            expect(sock.recv(100), b"220 hello\r\n", "the banner")
            times.append(1000 * (time.monotonic() - began))
            sock.sendall(b"x")
            expect(sock.recv(10), b"x", "the echo after it")
    median = statistics.median(times)
    verdict = "within" if median < FIRST_BYTE_LIMIT_MS else "ABOVE"
    print(f"     first byte: median {median:.1f} ms, worst {max(times):.1f} ms, {verdict} {FIRST_BYTE_LIMIT_MS} ms")


def test_http_on_a_port_without_a_name_is_found_to_be_http(w):
    mark, web_mark = len(w.client.log("proxy")), len(w.web.log("proxy"))
    with w.client.http(PLAIN, 8000) as client:
        expect(client.get("/found-out").status, 200, "plain")
    for pod, begin in ((w.client, mark), (w.web, web_mark)):
        wait_for(lambda pod=pod, begin=begin: "/found-out" in pod.log_since(begin), 3,
                 f"the access log of {pod.name} has the path")
    identity = w.web_plain.seen[-1].header("x-forwarded-client-cert") or ""
    assert "sa/client" in identity, f"the application does not learn who called: {w.web_plain.seen[-1].headers}"
    with w.client.connect(PLAIN, 8000) as sock:
        sock.sendall(b"\x00\x01 not HTTP\r\n\r\n")  # this application takes it for a request
        assert sock.recv(10), "bytes that are not HTTP are answered"
    expect(w.web_plain.seen[-1].method, "\x00\x01", "bytes that are not HTTP arrive as they are")


# === mutual TLS by namespace ===

def plain_echo(host):
    return attempt(lambda: echo(wire.connect(9000, host=host, limit_s=5)))


def test_a_namespace_is_strict_for_raw_tcp_too_and_another_is_not(w):
    expect(plain_echo(w.web.ip), ECHOED, "plain TCP into the permissive namespace")
    assert plain_echo(w.vault.ip) != ECHOED, "plain TCP into the strict namespace"
    accepted = w.vault_echo.accepted
    for data in (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", b"\x16\x03\x01\x00\x02hi", b"ping"):
        for port in (8080, 9000, 7000, 8090):
            with wire.connect(port, host=w.vault.ip, limit_s=5) as sock:
                def ask(sock=sock, data=data):
                    sock.sendall(data)
                    sock.shutdown(socket.SHUT_WR)
                    return sock.recv(100)
                got = attempt(ask)
                refused = isinstance(got, str) or got == b"" or got[:1] == b"\x15"  # an alert of TLS
                assert refused and got != "TimeoutError", f"{port} {data}: {got}"
    expect(w.vault_echo.accepted, accepted, "connections that reached the application of vault")
    expect(echo(w.client.connect(VAULT, 9000)), ECHOED, "raw TCP with an identity")
    with w.client.http(VAULT, 80) as client:
        expect(client.get("/").status, 200, "HTTP with an identity")
    with w.client.connect(VAULT, 7000) as sock:
        expect(sock.recv(100), b"220 hello\r\n", "the server of a strict namespace speaks first")
    w.set_policy(mtls="Strict")
    wait_for(lambda: plain_echo(w.web.ip) != ECHOED, 10, "Strict is in force in shop")
    expect(echo(w.client.connect(WEB, 9000)), ECHOED, "raw TCP with an identity")
    w.set_policy()
    wait_for(lambda: plain_echo(w.web.ip) == ECHOED, 10, "Permissive is in force in shop")


# === what HTTP can do ===

def test_a_websocket_crosses_both_sidecars(w):
    for host, port, server in ((WEB, 80, w.web_http), (PLAIN, 8000, w.web_plain)):
        server.script.append(origin.Upgrade(headers=(("Sec-WebSocket-Accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="),)))
        with w.client.http(host, port) as client:
            client.send(client.head("GET", "/chat", [
                ("Host", "web.shop"), ("Connection", "Upgrade"), ("Upgrade", "websocket"),
                ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="), ("Sec-WebSocket-Version", "13")]))
            line = client.reader.line()
            assert line.startswith(b"HTTP/1.1 101"), f"{host}: {line}"
            fields = dict((k.lower(), v) for k, v in client.reader.fields())
            expect(fields.get("upgrade"), "websocket", host)
            assert "sec-websocket-accept" in fields, fields
            for text in (b"one", b"two" * 1000):
                client.send(text)
                got = b""
                while len(got.replace(b"[", b"").replace(b"]", b"")) < len(text):
                    got += client.sock.recv(65536)
                expect(got.replace(b"[", b"").replace(b"]", b""), text, "the echo of the WebSocket")
        seen = server.seen[-1]
        expect((seen.header("upgrade") or "").lower(), "websocket", "what the application was asked for")
        expect(seen.header("sec-websocket-key"), "dGhlIHNhbXBsZSBub25jZQ==", "the key")


def test_names_of_headers_arrive(w):
    with w.client.http(WEB, 80) as client:
        client.get("/h", headers=[("X-MiXed-Case", "Kept"), ("x-two", "a"), ("x-two", "b")])
    seen = w.web_http.seen[-1]
    expect(seen.header("x-mixed-case"), "Kept", "a header")
    expect(seen.all("x-two"), ["a", "b"], "a header twice")


def test_an_expectation_is_answered_before_the_body(w):
    with w.client.http(WEB, 80) as client:
        fields = [("Host", "a"), ("Expect", "100-continue"), ("Content-Length", "5")]
        client.send(client.head("POST", "/expect", fields))
        assert client.reader.line().startswith(b"HTTP/1.1 100"), "no 100 before the body"
        client.reader.fields()
        client.send(b"hello")
        expect(client.read("POST").status, 200, "the answer")
    expect(w.web_http.seen[-1].body, b"hello", "the body")


def test_large_bodies_both_ways(w):
    body = os.urandom(1 << 16) * (BIG >> 16)
    for host, port, server in ((WEB, 80, w.web_http), (SIX, 80, w.six_http)):
        server.script.append(origin.Answer(200, body, chunked=host == SIX))
        with w.client.http(host, port) as client:
            response = client.request("POST", "/big", body=body)
            expect(response.status, 200, "status")
            assert response.complete and response.body == body, f"{host}: {len(response.body)} bytes came back"
        assert server.seen[-1].body == body, f"{host}: {len(server.seen[-1].body)} bytes arrived"
        server.seen[-1].body = b""


def test_grpc_keeps_trailers_and_streams(w):
    text = w.client.run(sys.executable, os.path.join(DEMO, "orders_client.py"), f"{WEB}:50051",
                        env={**os.environ, "PYTHONPATH": PYTHON}).stdout
    for line in ("unary: order 42 OK orders-1", "status: NOT_FOUND no order of that name", "stream: 5 OK 5",
                 "duplex: ack 0, ack 1, ack 2 OK"):
        assert line in text, text


def test_a_headless_services_pods_are_reached_by_their_own_address(w):
    with w.client.http(w.web.ip, 8083) as client:
        expect(client.get("/headless").status, 200, "the pod")
    seen = w.web_direct.seen[-1]
    assert "sa/client" in (seen.header("x-forwarded-client-cert") or ""), f"not by mutual TLS: {seen.headers}"


# === a sidecar that starts, and one that dies ===

def test_connections_before_the_first_configuration_wait_for_it(w):
    w.mesh.kill_sidecar(w.six)
    os.kill(w.mesh.control.pid, signal.SIGSTOP)
    clients = []
    try:
        w.mesh.start_sidecar(w.six, w.six.ip6)
        for host in (WEB, WEB6):
            def connect(host=host):
                try:
                    return w.six.http(host, 80)
                except ConnectionRefusedError:
                    return None  # the process is still starting
            clients.append(wait_for(connect, 5, f"the connection to {host} is taken"))
            clients[-1].send(b"GET /early HTTP/1.1\r\nHost: a\r\n\r\n")
            clients[-1].sock.settimeout(0.1)
            expect(attempt(lambda: clients[-1].sock.recv(1)), "TimeoutError", f"{host} before there is a configuration")
    finally:
        os.kill(w.mesh.control.pid, signal.SIGCONT)
    for client in clients:
        client.sock.settimeout(10)
        expect(client.read().status, 200, "the answer once there is one")
        client.close()
    w.mesh.wait_ready(w.six)



def test_a_killed_sidecar_comes_back_and_nothing_else_changes(w):
    rules, results, stop = w.client.rules(), [], threading.Event()
    assert any("PILLION_OUTPUT" in line for line in rules), rules

    def load():
        while not stop.is_set():
            def ask():
                with w.client.http(WEB, 80, limit_s=5) as client:
                    return client.get("/load").status
            began, result = time.monotonic(), attempt(ask)
            results.append((began, time.monotonic(), result))
            time.sleep(0.01)
    threads = [threading.Thread(target=load, daemon=True) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        wait_for(lambda: len(results) > 20, 10, "requests before")
        open_connection = w.client.http(WEB, 80)
        expect(open_connection.get("/open").status, 200, "a connection that stays open")
        killed = time.monotonic()
        w.mesh.kill_sidecar(w.client)
        ended = attempt(lambda: open_connection.sock.recv(1))
        assert ended in (b"", "ConnectionResetError"), f"the open connection: {ended!r}"
        wait_for(lambda: len([1 for t, _, r in results if t > killed and r != 200]) > 10, 10,
                 "requests fail without a sidecar")
        w.mesh.start_sidecar(w.client)
        w.mesh.wait_ready(w.client)
        ready = time.monotonic()
        wait_for(lambda: len([1 for t, _, _ in results if t > ready]) > 50, 10, "requests after")
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    failed = {str(r) for _, t, r in results if t < killed and r != 200}
    expect(failed, set(), "failures before the kill")
    late = [r for t, _, r in results if t > ready]
    expect({r for r in late}, {200}, "results once the sidecar is ready")
    away = sorted({str(r) for t, _, r in results if killed < t < ready})
    print(f"     away for {1000 * (ready - killed):.0f} ms: {', '.join(away)}; afterwards {len(late)} served, 0 failed")
    expect(w.client.rules(), rules, "the capture rules")


def all_tests():
    return [(name, value) for name, value in globals().items() if name.startswith("test_")]


def run_tests(w, tests, wanted, began):
    """Those whose names have one of the words; all without. The exit status."""
    failed, passed = 0, 0
    for name, test in tests:
        if wanted and not any(word in name for word in wanted):
            continue
        start = time.monotonic()
        try:
            test(w)
            passed += 1
            print(f"ok   {name[5:].replace('_', ' ')} ({time.monotonic() - start:.1f} s)")
        except Exception as error:  # the others still have something to say
            failed += 1
            print(f"FAIL {name[5:].replace('_', ' ')} ({time.monotonic() - start:.1f} s): {error}")
            traceback.print_exc(file=sys.stdout)
    if failed:
        w.mesh.tell_logs()
    print(f"{passed} passed, {failed} failed in {time.monotonic() - began:.0f} s")
    return 1 if failed or not passed else 0


def main_inside(work, wanted):
    began = time.monotonic()
    try:
        w = World(work)
        print(f"ok   the mesh is up ({time.monotonic() - began:.1f} s)")
    except BaseException:
        traceback.print_exc()
        print("FAIL the mesh did not come up")
        for path in ("control.log", "client/proxy.log", "web/proxy.log", "six/proxy.log"):
            if os.path.exists(os.path.join(work, path)):
                with open(os.path.join(work, path), encoding="utf-8", errors="replace") as f:
                    print(f"--- {path}\n{f.read()[-2000:]}")
        return 1
    return run_tests(w, all_tests(), wanted, began)


def main():
    missing = missing_programs("unshare", "ip", "iptables", "nsenter", "setpriv", "curl", "openssl")
    missing += [path for path in (PILLION, os.path.join(PYTHON, "grpc")) if not os.path.exists(path)]
    if missing:
        print(f"FAIL missing: {', '.join(missing)} (make deps-test)")
        return 1
    return run_in_own_machine(__file__, *sys.argv[1:])


if __name__ == "__main__":
    assert ssl.HAS_TLSv1_3
    if sys.argv[1:2] == ["--inside"]:
        sys.stdout.reconfigure(line_buffering=True)
        sys.exit(main_inside(sys.argv[2], sys.argv[3:]))
    sys.exit(main())
