"""The end of a proxy: SIGTERM drains, /drain_listeners and /quitquitquit."""

import threading
import time

from pillion_test import Answer, Http1Client, HttpOrigin, TcpServer, connect, wait_for
from pillion_test.h2peer import H2Client

from .kit import Scene, check, equal, test

TWO_WAYS = """
admin: ${admin}
static_resources:
  listeners:
  - name: inbound
    traffic_direction: INBOUND
    address: ${any}
    filter_chains: [{filters: [{name: envoy.filters.network.http_connection_manager, typed_config: {${hcm}, stat_prefix: i, http_filters: ${router}, route_config: {virtual_hosts: [{name: all, domains: ["*"], routes: [{match: {prefix: /}, route: {cluster: a}}]}]}}}]}]
  - name: outbound
    traffic_direction: OUTBOUND
    address: ${any}
    filter_chains: [{filters: [{name: envoy.filters.network.http_connection_manager, typed_config: {${hcm}, stat_prefix: o, http_filters: ${router}, route_config: {virtual_hosts: [{name: all, domains: ["*"], routes: [{match: {prefix: /}, route: {cluster: a}}]}]}}}]}]
  - name: tcp
    traffic_direction: INBOUND
    address: ${any}
    filter_chains: [{filters: [{name: envoy.filters.network.tcp_proxy, typed_config: {${tcp_proxy}, stat_prefix: t, cluster: echo}}]}]
  clusters:
  - {name: a, connect_timeout: 1s, load_assignment: ${load:a}}
  - {name: echo, connect_timeout: 1s, load_assignment: ${load:echo}}
"""
EXIT_LIMIT_S = 10


def scene():
    return Scene(TWO_WAYS, origins={"a": HttpOrigin("a"), "echo": TcpServer()})


def refused(port):
    """True when a new connection is refused, or ends without an answer."""
    try:
        with Http1Client(port, limit_s=2) as client:
            client.get("/")
        return False
    except Exception:  # Refused, reset, closed or silent: in every case not served.
        return True


def ended(s, limit_s=EXIT_LIMIT_S):
    wait_for(lambda: s.proxy.process.poll() is not None, limit_s, what="the proxy to end")
    equal(s.proxy.process.returncode, 0, "exit status")


@test("drain: SIGTERM without connections ends the proxy at once with status 0")
def idle():
    with scene() as s:
        start = time.monotonic()
        s.proxy.terminate()
        ended(s)
        return f"{(time.monotonic() - start) * 1000:.0f} ms"


@test("drain: a request in flight is answered, with connection: close, and new inbound connections are refused")
def in_flight():
    with scene() as s, Http1Client(s.port("inbound")) as client:
        s["a"].script = [Answer(200, b"late", delay_s=1.5)]
        client.send(client.head("GET", "/", [("Host", "t")]))
        wait_for(lambda: s["a"].seen, what="the request at the origin")
        s.proxy.terminate()
        wait_for(lambda: refused(s.port("inbound")), 3, 0.05, "new inbound connections to be refused")
        response = client.read()
        equal((response.status, response.body), (200, b"late"))
        check((response.header("connection") or "").lower() == "close", response.headers)
        check(client.at_eof(3), "the connection stays open")
        ended(s)


@test("drain: an idle inbound keep-alive connection is told by its next answer or closed")
def keep_alive():
    with scene() as s, Http1Client(s.port("inbound")) as client, Http1Client(s.port("outbound")) as other:
        equal(client.get("/").status, 200)
        equal(other.get("/").status, 200)
        s.proxy.terminate()
        time.sleep(0.2)
        try:
            response = client.get("/")
            check((response.header("connection") or "").lower() == "close", response.headers)
        except Exception as e:
            check("closed" in str(e).lower() or "end of connection" in str(e) or isinstance(e, OSError), repr(e))


@test("drain: outbound goes on while inbound finishes")
def outbound():
    with scene() as s, Http1Client(s.port("inbound")) as client, Http1Client(s.port("outbound")) as old:
        equal(old.get("/").status, 200)
        s["a"].script = [Answer(200, b"late", delay_s=2)]
        client.send(client.head("GET", "/", [("Host", "t")]))
        wait_for(lambda: len(s["a"].seen) == 2, what="the request at the origin")
        s.proxy.terminate()
        time.sleep(0.3)
        equal(old.get("/").status, 200, "on the open outbound connection")
        with Http1Client(s.port("outbound"), limit_s=3) as fresh:
            equal(fresh.get("/").status, 200, "on a new outbound connection")
        equal(client.read().status, 200)


@test("drain: an HTTP/2 client gets GOAWAY and its stream's answer")
def goaway():
    with scene() as s, H2Client(s.port("inbound")) as client:
        s["a"].script = [Answer(200, b"late", delay_s=1.5)]
        stream = client.start()
        wait_for(lambda: s["a"].seen, what="the request at the origin")
        s.proxy.terminate()
        response = client.finish(stream)
        equal((response.status, response.body), (200, b"late"))
        client.sock.settimeout(3)
        while client.goaway is None and client.step():
            pass
        equal(client.goaway, 0, "GOAWAY")
        client.close()
        ended(s)


@test("drain: a TCP connection is carried to its end")
def tcp_goes_on():
    with scene() as s, connect(s.port("tcp"), limit_s=5) as sock:
        sock.sendall(b"before")
        equal(sock.recv(100), b"before")
        s.proxy.terminate()
        time.sleep(0.5)
        sock.sendall(b"after")
        equal(sock.recv(100), b"after")
        sock.shutdown(1)
        while sock.recv(100):
            pass
        ended(s)


@test("drain: /ready says so")
def ready():
    with scene() as s, connect(s.port("tcp"), limit_s=5) as sock:
        sock.sendall(b"x")
        sock.recv(1)
        s.proxy.terminate()
        time.sleep(0.2)
        status, text = s.proxy.get("/ready")
        check(status == 503 and text.strip() == "DRAINING", status, text)


@test("drain: no request of a steady client fails while the proxy drains")
def steady():
    """A client that obeys connection: close and stops when it is refused loses nothing that it had sent."""
    with scene() as s:
        lost, done, stop = [], [0], threading.Event()

        def ask():
            while not stop.is_set():
                try:
                    client = Http1Client(s.port("inbound"), limit_s=5)
                except OSError:
                    return
                with client:
                    while not stop.is_set():
                        try:
                            response = client.get("/")
                        except Exception as e:
                            # An idle keep-alive connection may be closed under a request: that is HTTP/1's own race.
                            lost.append(repr(e))
                            return
                        done[0] += 1
                        if response.status != 200:
                            lost.append(response.status)
                        if (response.header("connection") or "").lower() == "close":
                            break
        threads = [threading.Thread(target=ask, daemon=True) for _ in range(4)]
        for thread in threads:
            thread.start()
        time.sleep(0.5)
        s.proxy.terminate()
        for thread in threads:
            thread.join(8)
        stop.set()
        equal(lost, [], f"of {done[0]} requests")
        return f"{done[0]} requests"


@test("drain: POST /quitquitquit ends the proxy, GET does not")
def quit_now():
    with scene() as s:
        check(s.proxy.get("/quitquitquit")[0] == 405, "GET is not refused")
        equal(s.proxy.get("/quitquitquit", "POST")[0], 200)
        ended(s)


@test("drain: POST /drain_listeners?inboundonly closes inbound only")
def drain_listeners():
    with scene() as s:
        equal(s.proxy.get("/drain_listeners?inboundonly", "POST")[0], 200)
        wait_for(lambda: refused(s.port("inbound")), 5, 0.05, "inbound to be refused")
        with Http1Client(s.port("outbound")) as client:
            equal(client.get("/").status, 200, "outbound")
        check(s.proxy.process.poll() is None, "the proxy ended")
