"""Peers that mean harm: whatever they send or withhold, the proxy lives, serves others, and holds bounded memory."""

import random
import socket
import ssl
import struct
import tempfile
import threading
import time

from pillion_test import Answer, Http1Client, HttpOrigin, Raw, TcpServer, certs, connect, reset_socket, wait_for
from pillion_test.h2peer import H2Client, H2Origin
from pillion_test.tcp import abort

from .kit import Scene, check, equal, test

HCM = ("{name: envoy.filters.network.http_connection_manager, typed_config: {${hcm}, stat_prefix: w, "
       "http_filters: ${router}, route_config: {name: r, virtual_hosts: [{name: all, domains: [\"*\"], routes: "
       "[{match: {prefix: /two}, route: {cluster: two}}, {match: {prefix: /}, route: {cluster: a}}]}]}}}")
TEMPLATE = """
admin: ${admin}
static_resources:
  listeners:
  - {name: web, address: ${any}, filter_chains: [{filters: [HCM]}]}
  - name: tcp
    address: ${any}
    filter_chains: [{filters: [{name: envoy.filters.network.tcp_proxy, typed_config: {${tcp_proxy}, stat_prefix: t, cluster: raw}}]}]
  - name: any
    address: ${any}
    listener_filters: [${tls_inspector}, ${http_inspector}]
    listener_filters_timeout: 1s
    continue_on_listener_filters_timeout: true
    default_filter_chain: {filters: [{name: envoy.filters.network.tcp_proxy, typed_config: {${tcp_proxy}, stat_prefix: d, cluster: raw}}]}
    filter_chains: [{filter_chain_match: {application_protocols: [http/1.1, h2c]}, filters: [HCM]}]
  clusters:
  - {name: a, connect_timeout: 1s, load_assignment: ${load:a}}
  - {name: two, connect_timeout: 1s, typed_extension_protocol_options: ${h2}, load_assignment: ${load:two}}
  - {name: raw, connect_timeout: 1s, load_assignment: ${load:raw}}
""".replace("HCM", HCM)

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
END_STREAM, ACK, END_HEADERS = 1, 1, 4
# GET / of http://t, from HPACK's static table and one literal.
REQUEST = b"\x82\x86\x84\x41\x01t"


def frame(kind, flags, stream, payload=b""):
    return struct.pack("!I", len(payload))[1:] + struct.pack("!BBI", kind, flags, stream) + payload


OPENING = PREFACE + frame(SETTINGS, 0, 0)


def memory(s):
    """Resident bytes of the proxy."""
    with open(f"/proc/{s.proxy.process.pid}/statm", encoding="ascii") as f:
        return int(f.read().split()[1]) * 4096


def scene(template=lambda text: text, **kwargs):
    origins = {"a": HttpOrigin("a"), "two": kwargs.pop("two", None) or H2Origin("two"),
               "raw": kwargs.pop("raw", None) or TcpServer()}
    return Scene(template(TEMPLATE), origins=origins, **kwargs)


def serves(s):
    """The proxy is alive and answers an innocent client; its complaint otherwise."""
    check(s.proxy.process.poll() is None, "the proxy ended:", s.proxy.complaint())
    s["a"].script = []
    with Http1Client(s.port(), limit_s=10) as client:
        equal(client.get("/fine").status, 200, "an innocent client")


def clean_end(s):
    """SIGTERM ends the proxy with status 0: nothing has been lost track of."""
    s.proxy.terminate()
    wait_for(lambda: s.proxy.process.poll() is not None, 20, what="the proxy to end")
    equal(s.proxy.process.returncode, 0, s.proxy.complaint())


def send_all(sock, data, limit_s=10):
    """Sends what the peer takes; answers what it sent back until it ended the connection, or until the limit."""
    sock.settimeout(limit_s)
    got = []

    def read():
        try:
            while block := sock.recv(65536):
                got.append(block)
        except OSError:
            pass

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    try:
        sock.sendall(data)
    except OSError:
        pass
    reader.join(limit_s)
    return b"".join(got), not reader.is_alive()


def flood(s, data, limit_s=10):
    """A flood by one HTTP/2 connection: the proxy must end that connection."""
    with connect(s.port()) as sock:
        got, ended = send_all(sock, data, limit_s)
    check(ended, "the connection was not ended; it got", got[-100:])
    return got


@test("hostile HTTP/2: garbage frames of every kind do not harm the proxy")
def h2_garbage():
    rng = random.Random(7)
    with scene() as s:
        for _ in range(400):
            data = OPENING + frame(HEADERS, END_HEADERS | rng.choice([0, END_STREAM]), 1, REQUEST)
            for _ in range(rng.randrange(1, 12)):
                kind = rng.randrange(12)
                payload = rng.choice([REQUEST, rng.randbytes(rng.randrange(0, 40)), b"\0" * 4, b"\0" * 5, b"\0" * 8])
                data += frame(kind, rng.choice([0, 1, 4, 5, 8, 13, 0x20, 0x2d]), rng.choice([0, 1, 1, 3, 5, 2]), payload)
            with connect(s.port()) as sock:
                try:
                    sock.sendall(data)
                    sock.settimeout(0.005)
                    sock.recv(100)
                    sock.recv(10000)
                except OSError:
                    pass
                if rng.random() < 0.5:
                    reset_socket(sock)
        serves(s)
        clean_end(s)


@test("hostile HTTP/1: half requests, pipelined garbage and floods of headers end with their connection")
def h1_garbage():
    rng = random.Random(8)
    good = b"POST /p HTTP/1.1\r\nHost: t\r\nContent-Length: 5\r\n\r\nhello"
    chunked = b"POST /c HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nx-t: 1\r\n\r\n"
    parts = [good, chunked, b"GET / HTTP/1.1\r\nHost: t\r\n\r\n", rng.randbytes(200), b"\r\n" * 50, b"GET / HTTP/9.9\r\n\r\n",
             b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 50000, b"GET / HTTP/1.1\r\nx: " + b"y" * 200000,
             b"GET /" + b"z" * 200000, b"POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n",
             b"POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n5;" + b"e" * 100000,
             b"POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n" + b"t: t\r\n" * 20000,
             b"CONNECT t:1 HTTP/1.1\r\nHost: t\r\n\r\n",
             b"GET / HTTP/1.1\r\nHost: t\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\nmore",
             b"PUT / HTTP/1.1\r\nHost: t\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\n", OPENING]
    with scene() as s:
        for turn in range(300):
            data = b"".join(rng.choice(parts) for _ in range(rng.randrange(1, 6)))
            if rng.random() < 0.5:
                data = data[:rng.randrange(len(data))]
            with connect(s.port("any" if turn % 3 == 0 else "web")) as sock:
                sock.settimeout(0.01)
                try:
                    sock.sendall(data)
                    if rng.random() < 0.4:
                        sock.shutdown(socket.SHUT_WR)
                    sock.recv(100)
                except OSError:
                    pass
                if rng.random() < 0.5:
                    reset_socket(sock)
        serves(s)
        held = memory(s)
        check(held < 400 << 20, f"{held >> 20} MB are held")
        clean_end(s)


@test("hostile HTTP/1: many pipelined requests of a client that reads nothing are held back")
def pipeline():
    with scene() as s:
        s["a"].default = Answer(200, b"x" * 10000)
        serves(s)
        before = memory(s)
        with connect(s.port()) as sock:
            sock.settimeout(2)
            try:
                for _ in range(2000):
                    sock.sendall(b"GET / HTTP/1.1\r\nHost: t\r\n\r\n" * 100)
            except OSError:
                pass
            grown = memory(s) - before
            check(grown < 64 << 20, f"memory grew by {grown >> 20} MB")
            reset_socket(sock)
        serves(s)
        clean_end(s)


ANSWERS = [
    b"", b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhell", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhello and more",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno",
    b"HTTP/1.1 100 Continue\r\n\r\n" * 1000, b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\nhi",
    b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 30000, b"HTTP/1.1 200 OK\r\nx: " + b"y" * 300000,
    b"\x16\x03\x01\x02\0" * 100, b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
    b"HTTP/1.0 200 OK\r\n\r\nuntil", b"HTTP/1.1 204 No\r\nContent-Length: 5\r\n\r\nhello", b"HTTP/1.1 999 X\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n" + b"t: t\r\n" * 20000,
]


@test("hostile origin: whatever it answers, in whole or in part, the proxy lives and clients get an answer or an end")
def bad_origin():
    with scene() as s:
        for then in ("close", "reset", "keep"):
            for data in ANSWERS:
                for request in (b"GET / HTTP/1.1\r\nHost: t\r\n\r\n", OPENING + frame(HEADERS, 5, 1, REQUEST),
                                b"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 200000\r\n\r\n" + b"b" * 200000):
                    s["a"].script = [Raw(data, then)]
                    with connect(s.port()) as sock:
                        sock.settimeout(0.05)
                        try:
                            sock.sendall(request)
                            sock.recv(100)
                            sock.recv(100000)
                        except OSError:
                            pass
        serves(s)
        clean_end(s)


@test("fault_25_reentrancy: resets in the middle of bodies in both directions, many at once")
def crossed_resets():
    rng = random.Random(9)
    with scene() as s:
        class Breaks(Answer):
            before_body = True

            def play(self, origin, conn, request):
                conn.sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 5000000\r\n\r\n" + b"r" * rng.randrange(400000))
                if rng.random() < 0.5:
                    reset_socket(conn.sock)
                return False
        s["a"].default = Breaks()

        def attack():
            for _ in range(40):
                try:
                    with connect(s.port(), limit_s=2) as sock:
                        if rng.random() < 0.5:
                            sock.sendall(b"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 5000000\r\n\r\n" +
                                         b"q" * rng.randrange(400000))
                        else:
                            sock.sendall(OPENING + b"".join(frame(HEADERS, END_HEADERS, i, REQUEST) + frame(
                                DATA, 0, i, b"z" * 3000) for i in range(1, 11, 2)))
                        sock.recv(rng.randrange(1, 100000))
                        if rng.random() < 0.5:
                            abort(sock)
                except OSError:
                    pass
        threads = [threading.Thread(target=attack, daemon=True) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        s["a"].default = Answer(200, b"ok")
        serves(s)
        clean_end(s)


def h2_server(after):
    """A handler of an HTTP/2 origin: settings, then after each block that arrives the given bytes, or an end."""
    def handle(sock):
        sock.recv(65536)
        sock.sendall(frame(SETTINGS, 0, 0) + frame(SETTINGS, ACK, 0))
        turns = 0
        while sock.recv(65536) and turns < 50:
            turns += 1
            sock.sendall(after)
    return handle


H2_ANSWERS = [
    frame(GOAWAY, 0, 0, b"\0" * 8), frame(GOAWAY, 0, 0, b"\0\0\0\1\0\0\0\2"),
    frame(HEADERS, END_HEADERS, 1, b"\x88") + frame(GOAWAY, 0, 0, b"\0\0\0\1\0\0\0\0") + frame(DATA, 1, 1, b"late"),
    frame(HEADERS, END_HEADERS, 1, b"\x88") + frame(DATA, 0, 1, b"x") + frame(RST_STREAM, 0, 1, b"\0\0\0\x02"),
    frame(HEADERS, END_HEADERS, 1, b"\x88") + frame(DATA, 1, 1, b"x") + frame(DATA, 1, 1, b"again"),
    frame(HEADERS, END_HEADERS, 1, b"\x88") + frame(DATA, 0, 1, b"d" * 16384) * 200,
    frame(HEADERS, END_HEADERS, 7, b"\x88"), frame(DATA, 0, 1, b"no head"), frame(HEADERS, END_HEADERS, 1, b"\xff\xff\xff\xff\xff"),
    frame(PUSH_PROMISE, 4, 1, b"\0\0\0\2" + REQUEST), frame(PING, 0, 0, b"12345678") * 30000, b"HTTP/1.1 400 No\r\n\r\n",
    frame(SETTINGS, 0, 0, struct.pack("!HI", 3, 0)), frame(SETTINGS, 0, 0, struct.pack("!HI", 5, 1)),
    frame(HEADERS, END_HEADERS, 1, b"\x48\x03100") * 3000, frame(SETTINGS, 0, 0, struct.pack("!HI", 4, 0x7fffffff)) * 3000,
    frame(HEADERS, 0, 1, b"\x88") + frame(CONTINUATION, 0, 1, b"\x00\x01a\x01b") * 5000, frame(WINDOW_UPDATE, 0, 0, b"\x7f\xff\xff\xff") * 3,
]


@test("hostile TCP: half-open peers, floods without a reader and resets of either side")
def raw_tcp():
    rng = random.Random(10)

    def handle(sock):
        what = rng.randrange(5)
        if what == 0:
            abort(sock)
        elif what == 1:
            sock.shutdown(socket.SHUT_WR)
            while sock.recv(65536):
                pass
        elif what == 2:
            sock.settimeout(1)
            sock.sendall(b"f" * 30000000)
        elif what == 3:
            time.sleep(0.3)
        else:
            while data := sock.recv(65536):
                sock.sendall(data)

    with scene(raw=TcpServer(handle)) as s:
        hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"r" * 32

        def attack():
            for _ in range(25):
                try:
                    with connect(s.port(rng.choice(["tcp", "any"])), limit_s=0.3) as sock:
                        sock.sendall(rng.choice([b"x", hello, hello[:3], b"PRI * HT", b"G", b"b" * 3000000, PREFACE]))
                        if rng.random() < 0.5:
                            sock.shutdown(socket.SHUT_WR)
                        sock.recv(1000)
                        if rng.random() < 0.5:
                            abort(sock)
                except OSError:
                    pass
        threads = [threading.Thread(target=attack, daemon=True) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        serves(s)
        held = memory(s)
        check(held < 400 << 20, f"{held >> 20} MB are held")
        clean_end(s)


@test("hostile: SIGTERM, SIGUSR1 and the admin pages under load of all kinds")
def ends_under_load():
    with scene(concurrency=2) as s:
        stop = threading.Event()
        s["a"].default = Answer(200, b"y" * 200000)
        done = [0]

        def one():
            while not stop.is_set():
                try:
                    with Http1Client(s.port(), limit_s=2) as client:
                        for _ in range(20):
                            client.get("/")
                            done[0] += 1
                except Exception:  # The proxy is being ended.
                    time.sleep(0.01)

        def two():
            while not stop.is_set():
                try:
                    with H2Client(s.port(), limit_s=2) as client:
                        for stream in [client.start(path=p) for p in ("/", "/two", "/", "/two")]:
                            client.finish(stream, 2)
                        done[0] += 4
                except Exception:  # The proxy is being ended.
                    time.sleep(0.01)

        threads = [threading.Thread(target=work, daemon=True) for work in (one, one, two, two)]
        for thread in threads:
            thread.start()
        for turn in range(20):
            for page in ("/stats", "/stats/prometheus", "/clusters?format=json", "/config_dump", "/listeners", "/certs", "/memory"):
                s.proxy.get(page)
            s.proxy.process.send_signal(10)
        check(done[0] > 0, "no request was served")
        s.proxy.terminate()
        time.sleep(0.5)
        stop.set()
        wait_for(lambda: s.proxy.process.poll() is not None, 20, what="the proxy to end")
        equal(s.proxy.process.returncode, 0, s.proxy.complaint())
        return f"{done[0]} requests"


TLS = """
admin: ${admin}
static_resources:
  listeners:
  - {name: web, address: ${any}, filter_chains: [{filters: [HCM]}]}
  - name: secure
    address: ${any}
    filter_chains:
    - transport_socket:
        name: envoy.transport_sockets.tls
        typed_config:
          ${tls_server}
          common_tls_context:
            alpn_protocols: [h2, http/1.1]
            tls_certificates: [{certificate_chain: {filename: CERTS/server.crt}, private_key: {filename: CERTS/server.key}}]
      filters: [HCM]
  clusters:
  - {name: a, connect_timeout: 1s, load_assignment: ${load:a}}
  - name: two
    connect_timeout: 1s
    load_assignment: ${load:two}
    transport_socket: {name: envoy.transport_sockets.tls, typed_config: {${tls_client}, common_tls_context: {}}}
""".replace("HCM", HCM)


def flights(rng):
    """What a TLS client sends first, whole or harmed."""
    context = certs.client_context(alpn=["h2"])
    out = ssl.MemoryBIO()
    try:
        context.wrap_bio(ssl.MemoryBIO(), out).do_handshake()
    except ssl.SSLWantReadError:
        pass
    hello = bytearray(out.read())
    what = rng.randrange(4)
    if what == 0:
        return bytes(hello[:rng.randrange(len(hello))])
    if what == 1:
        hello[rng.randrange(len(hello))] ^= 1 << rng.randrange(8)
    if what == 2:
        return bytes(hello) + rng.randbytes(500)
    return bytes(hello)


@test("hostile TLS: handshakes that stop, harmed records, resets in mid-stream and a reader that stops")
def tls():
    rng = random.Random(11)
    size = 100 << 20
    with tempfile.TemporaryDirectory(prefix="pillion-hostile-") as directory:
        server = certs.Authority(directory).issue("server", "DNS:server.test")

        class Bulk(Answer):
            def play(self, origin, conn, request):
                conn.sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
                for _ in range(size >> 16):
                    conn.sock.sendall(b"x" * 65536)
                return True
        origins = {"a": HttpOrigin("a"), "two": HttpOrigin("two", tls=certs.server_context(*server))}
        with Scene(TLS.replace("CERTS", directory), origins=origins) as s:
            client = certs.client_context(alpn=["http/1.1"])
            held_open = []
            for turn in range(150):
                sock = connect(s.port("secure"))
                sock.settimeout(0.01)
                try:
                    sock.sendall(flights(rng))
                    sock.recv(100)
                    sock.sendall(rng.randbytes(100))
                    sock.recv(1)
                except OSError:
                    pass
                if turn % 3 == 0:
                    reset_socket(sock)
                elif turn % 3 == 1:
                    sock.close()
                else:
                    held_open.append(sock)
            # After a lawful handshake: bytes that are no record, below the TLS of the client.
            for turn in range(30):
                with connect(s.port("secure"), tls=client) as sock:
                    sock.sendall(b"GET / HTTP/1.1\r\nHost: t\r\n" + b"\r\n" * (turn % 2))
                    raw = socket.socket(fileno=sock.detach())
                    raw.sendall(rng.choice([rng.randbytes(300), b"\x17\x03\x03\x40\x00" + b"z" * 100, b"\x15\x03\x03\0\2\1\0"]))
                    if turn % 3:
                        abort(raw)
                    raw.close()
            serves(s)
            before = memory(s)
            readers = []
            for listener, path in (("secure", b"/"), ("secure", b"/two"), ("web", b"/two")):
                s["a"].script, s["two"].script = [Bulk()], [Bulk()]
                sock = connect(s.port(listener), tls=client if listener == "secure" else None)
                sock.sendall(b"GET " + path + b" HTTP/1.1\r\nHost: t\r\n\r\n")
                sock.recv(1000)
                readers.append(sock)
                time.sleep(0.4)
            grown = memory(s) - before
            check(grown < 48 << 20, f"memory grew by {grown >> 20} MB for three readers that stopped")
            for sock in readers[1:]:
                abort(sock)
            got = 0
            try:
                while got < size - 1000 and (block := readers[0].recv(1 << 20)):
                    got += len(block)
            except TimeoutError:
                pass
            check(got >= size - 1000, f"the body of {size} bytes ended after {got}")
            serves(s)
            for sock in readers + held_open:
                sock.close()
            clean_end(s)
            return f"memory grew by {grown >> 10} KB for three readers that stopped"
