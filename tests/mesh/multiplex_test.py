#!/usr/bin/env python3
"""Two sidecars that know each other: requests of HTTP/1 are multiplexed over one connection of HTTP/2 between them, and
everything that HTTP/2 cannot carry still arrives as it was sent: the spelling of names, the version, upgrades.

The mesh is the one of sidecar_test.py, with a service more, whose protocol nobody declared and which speaks HTTP/2. What
is asked of a port declared as HTTP is asked of one that is not declared, too. Needs what that test needs, and ss.
"""

import os
import sys
import threading
import time
import traceback

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "support"))
sys.path.insert(0, HERE)

import sidecar_test as base  # noqa: E402
from pillion_test import origin  # noqa: E402
from pillion_test.mesh import PILLION, missing_programs, run_in_own_machine, wait_for  # noqa: E402
from sidecar_test import PLAIN, PYTHON, WEB, attempt, expect  # noqa: E402

GUESS = "10.78.0.20"
TOGETHER = 40
base.SERVICES.append(base.service("guess", GUESS, [(None, 50053, 50053)], "web"))


def targets(w):
    """(name, address, port, application, its port): HTTP by declaration, and by what the first bytes show."""
    return (("declared", WEB, 80, w.web_http, 8080), ("found out", PLAIN, 8000, w.web_plain, 8082))


def between(w, port):
    """The connections of the client's sidecar to web's sidecar for that port."""
    lines = w.client.run("ss", "-Htn", "state", "established", "dst", f"{w.web.ip}:{port}").stdout.splitlines()
    return [line.split()[2] for line in lines]


def at_application(w, port):
    lines = w.web.run("ss", "-Htn", "state", "established", "src", f":{port}").stdout.splitlines()
    return len([line for line in lines if "127.0.0.6" in line])


def test_many_requests_at_once_share_one_connection(w):
    for name, host, port, server, target in targets(w):
        server.default = origin.Answer(200, b"slow", delay_s=1.5)
        clients = [w.client.http(host, port) for _ in range(TOGETHER)]
        try:
            for number, client in enumerate(clients):
                client.send(client.head("GET", f"/{number}", [("Host", "web.shop")]))
            wait_for(lambda: at_application(w, target) >= TOGETHER, 5, f"{name}: {TOGETHER} requests at the application")
            ways = between(w, target)
            expect([client.read().status for client in clients], [200] * TOGETHER, name)
        finally:
            server.default = origin.Echo()
            for client in clients:
                client.close()
        print(f"     {name}: {TOGETHER} requests at once, connections between the sidecars: {len(ways)}")
        expect(len(ways), 1, f"{name}: connections between the sidecars")


def test_names_arrive_as_they_were_spelled(w):
    for name, host, port, server, _ in targets(w):
        server.script.append(origin.Answer(200, b"x", (("ETag", "1"), ("x-lower", "2"), ("X-CuStOm-Too", "3")),
                                           chunked=True, trailers=(("X-SuM", "4"),)))
        with w.client.http(host, port) as client:
            sent = [("Host", "web.shop"), ("X-CuStOm", "v"), ("x-lower", "a"), ("X-Lower", "b"), ("Cookie", "a=1"),
                    ("Cookie", "b=2"), ("DNT", "1"), ("Transfer-Encoding", "chunked")]
            client.send(client.head("POST", "/h", sent) + b"2\r\nhi\r\n0\r\nX-ReQ-Sum: 5\r\n\r\n")
            response = client.read("POST")
        seen = server.seen[-1]
        for field in sent[1:-1]:
            assert field in seen.headers, f"{name}: {field} is not in {seen.headers}"
        expect(seen.trailers, [("X-ReQ-Sum", "5")], f"{name}: trailers of the request")
        for field in (("ETag", "1"), ("x-lower", "2"), ("X-CuStOm-Too", "3"), ("X-Served-By", server.name)):
            assert field in response.headers, f"{name}: {field} is not in {response.headers}"
        expect(response.trailers, [("X-SuM", "4")], f"{name}: trailers of the response")


def test_curl_sees_the_names_too(w):
    w.web_http.script.append(origin.Answer(200, b"x\n", (("X-MiXeD", "1"),)))
    told = w.client.curl("-i", "-H", "X-cUrL: v", f"http://{WEB}/curl").stdout
    assert "X-MiXeD: 1" in told, told
    assert ("X-cUrL", "v") in w.web_http.seen[-1].headers, w.web_http.seen[-1].headers


def test_an_application_cannot_say_how_names_are_spelled(w):
    for name, host, port, server, _ in targets(w):
        server.script.append(origin.Answer(200, b"x", (("X-Pillion-HTTP1", "1,x-SERVED-by"), ("a", "b"))))
        with w.client.http(host, port) as client:
            response = client.get("/h", [("x-pillion-http1", "1,USER-AGENT"), ("User-Agent", "test")])
        expect(response.status, 200, name)
        fields = server.seen[-1].headers + response.headers
        assert not [k for k, _ in fields if k.lower() == "x-pillion-http1"], f"{name}: {fields}"
        assert ("User-Agent", "test") in fields and ("X-Served-By", server.name) in fields, f"{name}: {fields}"


def test_clients_of_http_1_0(w):
    for name, host, port, server, _ in targets(w):
        server.script.append(origin.Answer(200, b"ten", chunked=True))
        with w.client.http(host, port) as client:
            client.send(b"GET /ten HTTP/1.0\r\nHost: web.shop\r\nX-TeN: 1\r\n\r\n")
            response = client.read()
            expect((response.status, response.body, response.framing), (200, b"ten", "close"), name)
        assert ("X-TeN", "1") in server.seen[-1].headers, server.seen[-1].headers
    wait_for(lambda: '"GET /ten HTTP/1.0"' in w.web.log("proxy"), 3, "the log of web's sidecar has the version")


def test_connection_close_ends_its_own_connection_only(w):
    for name, host, port, _, target in targets(w):
        with w.client.http(host, port) as stays, w.client.http(host, port) as goes:
            expect(stays.get("/stays").status, 200, name)
            before = between(w, target)
            expect(goes.get("/goes", [("Connection", "close")]).status, 200, name)
            assert goes.at_eof(), f"{name}: the connection that was to be closed is open"
            expect(stays.get("/stays").status, 200, f"{name}: the other one")
            expect(between(w, target), before, f"{name}: the connection between the sidecars")


def test_an_application_that_closes_ends_one_exchange_only(w):
    for name, host, port, server, target in targets(w):
        with w.client.http(host, port) as client, w.client.http(host, port) as other:
            expect(other.get("/other").status, 200, name)
            before = between(w, target)
            server.script.append(origin.Raw(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort", "reset"))
            response = attempt(lambda: client.get("/cut"))
            assert isinstance(response, str) or not response.complete, f"{name}: a response cut short looks whole"
            expect(other.get("/other").status, 200, f"{name}: the other one")
            expect(between(w, target), before, f"{name}: the connection between the sidecars")


def test_a_websocket_beside_other_requests(w):
    for name, host, port, server, target in targets(w):
        server.script.append(origin.Upgrade(headers=(("Sec-WebSocket-Accept", "x"),)))
        with w.client.http(host, port) as socket, w.client.http(host, port) as client:
            socket.send(socket.head("GET", "/chat", [("Host", "web.shop"), ("Connection", "Upgrade"),
                                                     ("Upgrade", "websocket"), ("Sec-WebSocket-Key", "k")]))
            expect(socket.read().status, 101, name)
            assert ("Sec-WebSocket-Key", "k") in server.seen[-1].headers, server.seen[-1].headers
            expect(client.get("/beside").status, 200, name)
            socket.send(b"hello")
            expect(socket.reader.exactly(7), b"[hello]", f"{name}: the echo")
            expect(len(between(w, target)), 1, f"{name}: connections between the sidecars")


def test_grpc_on_a_port_that_nobody_declared(w):
    """It reaches the application as HTTP/2, although the port beside it, found out too, is spoken HTTP/1 to."""
    w.web.start("guess", [sys.executable, os.path.join(base.DEMO, "orders_server.py"), "0.0.0.0:50053"],
                env={"PYTHONPATH": PYTHON})

    def ask():
        told = w.client.run(sys.executable, os.path.join(base.DEMO, "orders_client.py"), f"{GUESS}:50053", check=False,
                            env={**os.environ, "PYTHONPATH": PYTHON}).stdout
        return told if "unary: order 42 OK" in told else ""
    text = wait_for(ask, 10, "orders answers")
    assert "duplex: ack 0, ack 1, ack 2 OK" in text, text


def test_a_sidecar_that_drains_loses_no_request(w):
    stop, results = threading.Event(), []

    def load(host, port):
        with w.client.http(host, port) as client:
            while not stop.is_set():
                results.append(attempt(lambda: client.get("/load").status))
    threads = [threading.Thread(target=load, args=target[1:3], daemon=True) for target in targets(w) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        time.sleep(0.5)
        # The listener is made anew and the old one drains: its connections hear GOAWAY and end.
        before = between(w, 8080)
        w.set_policy(mtls="Strict")
        wait_for(lambda: not set(before) & set(between(w, 8080)), 15, "the connection between the sidecars is another")
        time.sleep(0.5)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
        w.set_policy()
    expect({r for r in results}, {200}, f"results of {len(results)} requests")
    print(f"     {len(results)} requests, none failed, across the end of the connection that carried them")


def main_inside(work, wanted):
    began = time.monotonic()
    try:
        w = base.World(work)
    except BaseException:
        traceback.print_exc()
        print("FAIL the mesh did not come up")
        return 1
    print(f"ok   the mesh is up ({time.monotonic() - began:.1f} s)")
    tests = [(name, value) for name, value in globals().items() if name.startswith("test_")]
    return base.run_tests(w, tests, wanted, began)


def main():
    missing = missing_programs("unshare", "ip", "iptables", "nsenter", "setpriv", "curl", "openssl", "ss")
    missing += [path for path in (PILLION, os.path.join(PYTHON, "grpc")) if not os.path.exists(path)]
    if missing:
        print(f"FAIL missing: {', '.join(missing)} (make deps-test)")
        return 1
    return run_in_own_machine(__file__, *sys.argv[1:])


if __name__ == "__main__":
    if sys.argv[1:2] == ["--inside"]:
        sys.stdout.reconfigure(line_buffering=True)
        sys.exit(main_inside(sys.argv[2], sys.argv[3:]))
    sys.exit(main())
