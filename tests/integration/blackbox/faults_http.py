"""The fault classes of HTTP messages, names, paths and headers (numbers of the list of thirty)."""

import json
import os

from pillion_test import Answer, Http1Client, Raw, Response, Upgrade, connect, wait_for
from pillion_test.h2peer import H2Client
from pillion_test.wire import ProtocolError

from .hostile import END_HEADERS, END_STREAM, HEADERS, OPENING, REQUEST, clean_end, frame, memory, scene, serves
from .kit import Scene, check, equal, test

PAGE = """
admin: ${admin}
static_resources:
  listeners:
  - name: web
    address: ${any}
    filter_chains: [{filters: [{name: envoy.filters.network.http_connection_manager, typed_config: {${hcm}, stat_prefix: w, OPTIONS http_filters: ${router}, route_config: {name: r, virtual_hosts: [HOSTS]}}}]}]
  clusters:
  - {name: a, connect_timeout: 1s, load_assignment: ${load:a}}
"""
EVERYBODY = '{name: all, domains: ["*"], routes: [ROUTES {match: {prefix: /}, route: {cluster: a}}]}'


def page(options="", routes="", hosts=EVERYBODY, **kwargs):
    return Scene(PAGE.replace("OPTIONS", options).replace("HOSTS", hosts.replace("ROUTES", routes)), **kwargs)


def hpack(fields):
    """Literal fields without a table; names and values are bytes of any kind."""
    def text(value):
        return (bytes([len(value)]) if len(value) < 127 else b"\x7f" + bytes([len(value) - 127])) + value
    return b"".join(b"\0" + text(name) + text(value) for name, value in fields)


def ask_raw(s, fields, limit_s=1):
    """Sends one HTTP/2 request of these fields; whether the stream or the connection ended in an error or 4xx."""
    with connect(s.port(), limit_s=limit_s) as sock:
        sock.sendall(OPENING + frame(HEADERS, END_HEADERS | END_STREAM, 1, hpack(fields)))
        got = b""
        try:
            while block := sock.recv(65536):
                got += block
                kinds, at = [], 0
                while at + 9 <= len(got):
                    kinds.append((got[at + 3], int.from_bytes(got[at + 5:at + 9], "big"), got[at + 9:at + 10]))
                    at += 9 + int.from_bytes(got[at:at + 3], "big")
                if any(kind in (3, 7) for kind, _, _ in kinds):
                    return True
                heads = [first for kind, stream, first in kinds if kind == 1 and stream == 1]
                if heads:
                    return heads[0] in (b"\x8c", b"\x8d") or b"40" in got
        except TimeoutError:
            return False
    return True


GOOD = [(b":method", b"GET"), (b":scheme", b"http"), (b":path", b"/"), (b":authority", b"t")]


def changed(name, value):
    return [(n, value if n == name else v) for n, v in GOOD]


def raw_status(s, data, limit_s=3):
    with Http1Client(s.port(), limit_s=limit_s) as client:
        try:
            client.send(data)
        except OSError:
            pass
        return client.read().status


@test("fault_07_oversized_names: URLs, names and values count as they arrive, also those that never end")
def oversized_names():
    with scene() as s:
        big = b"n" * 70000
        for data in (b"GET /" + big + b" HTTP/1.1\r\nHost: t\r\n\r\n", b"GET / HTTP/1.1\r\nHost: t\r\n" + big + b": v\r\n\r\n",
                     b"GET / HTTP/1.1\r\nHost: t\r\nx: " + big, b"GET /" + big, big):
            equal(raw_status(s, data), 431, data[:30])
        check(s.proxy.stat("http.w.downstream_rq_too_large") >= 4, "downstream_rq_too_large does not count")
        counted = s.proxy.stat("http.w.downstream_rq_too_large")
        with H2Client(s.port()) as client:
            for path, headers in (("/" + "p" * 70000, ()), ("/", [("n" * 70000, "v")]), ("/", [("x", "v" * 70000)])):
                equal(client.finish(client.start(path=path, headers=headers)).status, 431, path[:10])
        equal(s.proxy.stat("http.w.downstream_rq_too_large"), counted + 3, "downstream_rq_too_large, HTTP/2")
        equal(s["a"].seen, [], "what the origin saw")
        held = memory(s)
        socks = [connect(s.port()) for _ in range(100)]
        for sock in socks:
            sock.sendall(b"GET / HTTP/1.1\r\nHost: t\r\nx: " + b"v" * 50000)
        grown = memory(s) - held
        check(grown < 100 * 200000, f"memory grew by {grown >> 10} KB for 100 heads of 50 KB that never end")
        for sock in socks:
            sock.close()
        s["a"].script = [Raw(b"HTTP/1.1 200 OK\r\nx: " + big + b"\r\n\r\n")]
        with Http1Client(s.port()) as client:
            equal(client.get("/").status, 502, "a response head above the limit")
        serves(s)
        clean_end(s)


SMUGGLING = [
    b"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 44\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: xchunked\r\nContent-Length: 4\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: t\r\nContent-Length:\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 0\r\nContent-Length: 44\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n0x0\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n1;\nx\r\n0\r\n\r\n",
    b"POST / HTTP/1.0\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
]


@test("fault_09_smuggling: no second request is read behind a message whose end is in doubt")
def smuggling():
    with scene() as s:
        for data in SMUGGLING:
            with Http1Client(s.port(), limit_s=3) as client:
                client.send(data + b"GET /smuggled HTTP/1.1\r\nHost: t\r\n\r\n")
                equal(client.read().status, 400, data)
                check(client.at_eof(2), "the connection goes on:", data)
        check(not any(r.target == "/smuggled" for r in s["a"].seen), "a request was smuggled")
        check(s.proxy.stat("http.w.downstream_cx_protocol_error") == len(SMUGGLING), "downstream_cx_protocol_error")
        serves(s)


@test("fault_10_truncated_lengths: names and values around 64 KiB and 128 KiB keep their length")
def truncated_lengths():
    with page("max_request_headers_kb: 1024,") as s, Http1Client(s.port()) as client:
        for length in (255, 256, 257, 65535, 65536, 65537, 65536 + 14, 131071, 131072, 131073):
            for name, value in (("n" * length, "v"), ("content-length" + "x" * (length - 14), "9"), ("x", "v" * length)):
                s["a"].clear()
                answer = client.request("POST", "/", [(name, value)], b"body")
                equal(answer.status, 200, f"{length} octets")
                seen = s["a"].seen[0]
                equal((seen.all(name) == [value], seen.body, seen.all("content-length")), (True, b"body", ["4"]),
                      f"{length} octets of {name[:5]}")


@test("fault_11_empty_names: a field without a name ends its message, in both protocols and both directions")
def empty_names():
    with scene() as s:
        equal(raw_status(s, b"GET / HTTP/1.1\r\nHost: t\r\n: v\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), 400)
        check(ask_raw(s, GOOD + [(b"", b"v")]), "HTTP/2 takes an empty name")
        equal(s["a"].seen, [], "what the origin saw")
        s["a"].script = [Raw(b"HTTP/1.1 200 OK\r\n: v\r\nContent-Length: 0\r\n\r\n", "keep")]
        with Http1Client(s.port()) as client:
            equal(client.get("/").status, 502, "an origin's empty name")
        serves(s)


INJECTED = b"x\r\nInjected: 1"


@test("fault_12_downgrade: nothing of an HTTP/2 request becomes a line of HTTP/1")
def downgrade():
    bad = [changed(name, value) for name in (b":method", b":path", b":authority", b":scheme")
           for value in (b"/" + INJECTED, b"a b", b"a\0", b"a\tb", b"a\nb", b"")]
    bad += [GOOD + [pair] for pair in ((b"x", INJECTED), (b"x", b"a\nb"), (b"x", b"a\rb"), (b"x", b"a\0b"), (b"x y", b"v"),
                                       (b"x:y", b"v"), (b"x\r\ny", b"v"), (b"X", b"v"), (b"transfer-encoding", b"chunked"),
                                       (b"connection", b"close"), (b"content-length", b"5"), (b"host", b"other"))]
    bad += [changed(b":authority", v) for v in (b"a,b", b"a/b", b"u@a", b"a#b", b"a?b", b"a:x")]
    bad += [changed(b":path", v) for v in (b"x", b"*", b"http://a/", b"/a#b")]
    with scene() as s:
        for fields in bad:
            check(ask_raw(s, fields), "was taken:", fields)
        equal([(r.method, r.target) for r in s["a"].seen], [], "what the origin saw")
        check(not ask_raw(s, GOOD + [(b"x", b"v")]), "a good request was refused")
        serves(s)
        clean_end(s)
    return f"{len(bad)} requests"


@test("fault_13_body_lengths: a body of another length than was declared ends its message, and its connection is not used")
def body_lengths():
    with scene() as s:
        for length, body in ((5, b"abc"), (3, b"abcde"), (0, b"a"), (10, b"")):
            s["a"].clear()
            with H2Client(s.port(), limit_s=3) as client:
                client.h2.config.validate_outbound_headers = False
                stream = client.h2.get_next_available_stream_id()
                data = frame(HEADERS, END_HEADERS, stream, hpack(
                    [(b":method", b"POST"), *GOOD[1:], (b"content-length", str(length).encode())]))
                client.sock.sendall(data + frame(0, END_STREAM, stream, body))
                got = b""
                try:
                    while b"\0\0\4\3\0" not in got and b" 400" not in got and (block := client.sock.recv(65536)):
                        got += block
                except TimeoutError:
                    check(False, f"length {length}, body {body}: no reset")
            check(not any(r.body == body and len(body) == length for r in s["a"].seen), "the origin got it whole")
        wait_for(lambda: s.proxy.stat("cluster.a.upstream_rq_active") == 0, what="the origin to be left alone")
        with Http1Client(s.port()) as client:
            s["a"].drop_connections()
            equal(client.get("/").status, 200)
            s["a"].clear()
            s["a"].script = [Raw(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok and more", "keep")]
            equal(client.get("/").body, b"ok", "the body")
            equal(client.get("/").status, 200)
            first, second = [r for r in s["a"].seen if r.method == "GET"][:2]
            check(first.connection != second.connection, "a connection with bytes left was used again")
            s["a"].script = [Raw(b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\nshort")]
            check(not client.get("/").complete, "a short body was passed on as whole")
        serves(s)
        clean_end(s)


@test("fault_14_tunnels: bytes pass only behind the answer that agrees, and h2c is never offered")
def tunnels():
    head = b"GET / HTTP/1.1\r\nHost: t\r\nConnection: Upgrade\r\nUpgrade: %s\r\n\r\n"
    with page("upgrade_configs: [{upgrade_type: websocket}],") as s:
        s["a"].script = [Answer(200, b"no")]
        with Http1Client(s.port(), limit_s=3) as client:
            client.send(head % b"websocket" + b"GET /smuggled HTTP/1.1\r\nHost: t\r\n\r\n")
            answer = client.read()
            equal((answer.status, answer.body), (200, b"no"))
            check(client.at_eof(2), "what follows a refused upgrade is read")
        equal([r.target for r in s["a"].seen], ["/"], "what the origin saw")
        for answer in (b"HTTP/1.1 101 S\r\nConnection: Upgrade\r\nUpgrade: other\r\n\r\n", b"HTTP/1.1 101 S\r\n\r\n"):
            s["a"].script = [Raw(answer + b"early", "keep")]
            equal(raw_status(s, head % b"websocket"), 502, answer)
        s["a"].clear()
        s["a"].script = [Upgrade()]
        with connect(s.port(), limit_s=3) as sock:
            sock.sendall(head % b"websocket" + b"early")
            got = b""
            while b"[early]" not in got:
                block = sock.recv(65536)
                check(block, "the tunnel ended", got)
                got += block
        s["a"].clear()
        equal(raw_status(s, head % b"h2c"), 200, "an upgrade that is not configured is an ordinary request")
        check(not any(r.header("upgrade") for r in s["a"].seen), "h2c was offered")


@test("fault_15_early_answers: answers before the end of a request, interim ones without end, resets between them")
def early_answers():
    class Early(Answer):
        before_body = True

    with scene() as s:
        for protocol in (1, 2):
            s["a"].script = [Early(200, b"early", close=True)]
            if protocol == 1:
                with Http1Client(s.port(), limit_s=5) as client:
                    client.send(client.head("POST", "/", [("Host", "t"), ("Content-Length", "100000")]) + b"x" * 1000)
                    equal(client.read().body, b"early")
            else:
                with H2Client(s.port(), limit_s=5) as client:
                    stream = client.h2.get_next_available_stream_id()
                    client.responses[stream] = Response()
                    client.h2.send_headers(stream, [(":method", "POST"), (":scheme", "http"), (":authority", "t"), (":path", "/")])
                    client.flush()
                    equal(client.finish(stream, 5).body, b"early")
        s["a"].script = [Raw(b"HTTP/1.1 103 Early\r\n\r\n" * 1000 + b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "keep")]
        with Http1Client(s.port()) as client:
            equal(client.get("/").status, 502, "interim answers without end")
        for then in ("reset", "close"):
            s["a"].script = [Raw(b"HTTP/1.1 103 Early\r\n\r\n", then)]
            with Http1Client(s.port()) as client:
                equal(client.get("/").status, 503, then)
        serves(s)
        clean_end(s)


@test("fault_16_paths: the path that is routed is the path that is forwarded, however it is spelt")
def paths():
    routes = "{match: {prefix: /admin}, direct_response: {status: 403}}, "
    options = "normalize_path: true, merge_slashes: true, path_with_escaped_slashes_action: UNESCAPE_AND_FORWARD, "
    refused = 0
    with page(options, routes) as s, Http1Client(s.port(), limit_s=5) as client:
        for target in ("/admin", "/x/../admin", "//admin", "/./admin", "/%61dmin", "/x/%2e%2e/admin", "/x%2f..%2fadmin",
                       "/%2e/admin/", "/x/..//admin?y", "/admin/../admin", "/x\\..\\admin", "///x///..///admin"):
            answer = client.get(target)
            check(answer.status == 403 or not s["a"].seen[0].target.startswith("/admin"), target, answer.status,
                  [r.target for r in s["a"].seen])
            refused += answer.status == 403
            s["a"].clear()
        check(refused >= 9, f"only {refused} of the spellings are the guarded path")
        equal(client.get("/a/./b//c/../d?x=/../y").status, 200)
        equal(s["a"].seen[0].target, "/a/b/d?x=/../y", "the path that is forwarded")
        for target in (b"/a#/../admin", b"/a\0"):
            equal(raw_status(s, b"GET " + target + b" HTTP/1.1\r\nHost: t\r\n\r\n"), 400, target)


@test("fault_17_hosts: case, port and a dot at the end do not lead past a host's routes")
def hosts():
    guarded = ('{name: guarded, domains: [admin.test], routes: [{match: {prefix: /}, direct_response: {status: 403}}]}, '
               '{name: all, domains: ["*"], routes: [{match: {prefix: /}, route: {cluster: a}}]}')
    with page("strip_any_host_port: true, strip_trailing_host_dot: true,", hosts=guarded) as s:
        with Http1Client(s.port()) as client:
            for host in ("admin.test", "ADMIN.test", "Admin.Test:80", "admin.test:8080", "admin.test.", "ADMIN.TEST.:80"):
                equal(client.get("/", host=host).status, 403, host)
            equal(client.get("http://ADMIN.test/", host="other").status, 403, "an absolute target")
        with H2Client(s.port()) as client:
            for host in ("admin.test", "ADMIN.test:80", "admin.test."):
                equal(client.request(authority=host).status, 403, host)
        equal(s["a"].seen, [], "what the origin saw")


@test("fault_18_many_values: a rule about a header looks at all of its lines")
def many_values():
    routes = ("{match: {prefix: /, headers: [{name: x-role, string_match: {contains: admin}}]}, direct_response: {status: 403}}, "
              "{match: {prefix: /, headers: [{name: x-one, string_match: {exact: a}}]}, direct_response: {status: 401}}, ")
    with page("", routes) as s, Http1Client(s.port()) as client, H2Client(s.port()) as two:
        for pairs, want in (([("x-role", "user"), ("x-role", "admin")], 403), ([("x-role", "admin"), ("x-role", "user")], 403),
                            ([("x-one", "b"), ("x-one", "a")], 401), ([("x-one", "b")], 200), ([("x-role", "user")], 200)):
            equal(client.get("/", pairs).status, want, pairs)
            equal(two.request(headers=pairs).status, want, ("HTTP/2", pairs))


@test("fault_19_spoofed_headers: what only proxies may say does not come in from outside")
def spoofed_headers():
    spoofed = [("x-envoy-original-path", "/admin"), ("x-envoy-internal", "true"), ("x-envoy-external-address", "10.0.0.1"),
               ("x-forwarded-client-cert", "By=spiffe://a;URI=spiffe://b"), ("x-envoy-retry-on", "5xx"),
               ("x-envoy-upstream-rq-timeout-ms", "1")]
    with page("use_remote_address: true, internal_address_config: {},") as s, Http1Client(s.port()) as client:
        equal(client.get("/", spoofed + [("x-forwarded-for", "10.9.9.9")]).status, 200)
        seen = s["a"].seen[0]
        for name, value in spoofed:
            check(value not in (seen.header(name) or ""), f"{name}: {seen.header(name)} came in")
        check((seen.header("x-forwarded-for") or "").endswith("127.0.0.1"), seen.header("x-forwarded-for"))


@test("fault_20_escaping: whatever clients send, a line of the log stays one line of JSON")
def escaping():
    log = ('access_log: [{name: f, typed_config: {${file_log}, path: "${dir}/log", log_format: {json_format: '
           '{path: "%REQ(:PATH)%", agent: "%REQ(USER-AGENT)%", host: "%REQ(:AUTHORITY)%"}}}}],')
    agents = [b'a"b', b"a\\", b"a\xff\xfe", b"\xe2\x82", b"{}", b"%s%n", b"a\tb", b"\xc3\xa9", b'","code":"200']
    with page(log) as s:
        for agent in agents:
            equal(raw_status(s, b"GET /\"x\\ HTTP/1.1\r\nHost: t\r\nUser-Agent: " + agent + b"\r\n\r\n"), 200, agent)
        path = os.path.join(s.dir, "log")

        def lines():
            with open(path, "rb") as f:
                return f.read().splitlines()
        wait_for(lambda: os.path.exists(path) and len(lines()) == len(agents), what="the lines of the log")
        for line, agent in zip(lines(), agents):
            told = json.loads(line.decode("utf-8"))
            equal(sorted(told), ["agent", "host", "path"], line)
            equal(told["path"], '/"x\\', line)


@test("fault_24_timeout_races: several times that run out at once end a request once")
def timeout_races():
    route = ("{match: {prefix: /}, route: {cluster: a, timeout: 0.06s, idle_timeout: 0.06s, retry_policy: {retry_on: "
             "'5xx,reset,connect-failure', num_retries: 3, per_try_timeout: 0.03s, per_try_idle_timeout: 0.03s, "
             "retry_back_off: {base_interval: 0.001s}}}}, ")
    with page("request_timeout: 0.06s, stream_idle_timeout: 0.06s,", route) as s:
        delays = [0, 0.02, 0.029, 0.03, 0.031, 0.059, 0.06, 0.061]
        statuses = {}
        for turn in range(80):
            s["a"].default = Answer(200 if turn % 2 else 503, b"x", delay_s=delays[turn % len(delays)],
                                    body_delay_s=delays[turn // 8 % len(delays)])
            if turn % 3:
                with Http1Client(s.port(), limit_s=5) as client:
                    try:
                        status = client.get("/").status
                    except ProtocolError:
                        status = "cut"
            else:
                with H2Client(s.port(), limit_s=5) as client:
                    status = client.request(path="/").status
            statuses[status] = statuses.get(status, 0) + 1
        equal(sum(statuses.values()), 80, "ends")
        s["a"].default = Answer(200, b"ok")
        wait_for(lambda: s.proxy.stat("http.w.downstream_rq_active") == 0, what="the requests to be over")
        clean_end(s)
        return str(statuses)
