"""TCP proxying."""

import hashlib
import os
import socket
import threading
import time

from pillion_test import connect, tcp
from pillion_test.parity import case, near

BULK = os.urandom(1 << 20) * 24


def setup(stage):
    stage.tcp("echo")
    stage.tcp("late", tcp.half_close_reader)
    stage.tcp("early", tcp.early_finisher)
    stage.tcp("first", tcp.server_first(b"first\n"))
    stage.tcp("second", tcp.server_first(b"second\n"))
    stage.tcp("resets", lambda sock: (sock.recv(10), tcp.reset(sock)))
    stage.dead("dead")


def read_all(sock):
    """Everything up to the end, and how it ended."""
    parts = []
    try:
        while data := sock.recv(65536):
            parts.append(data)
        return b"".join(parts), "fin"
    except ConnectionResetError:
        return b"".join(parts), "reset"
    except TimeoutError:
        return b"".join(parts), "nothing"


def send_aside(sock, data, half_close=False):
    """Sends in a thread; a connection that ends meanwhile is what the reading side tells."""
    def send():
        try:
            sock.sendall(data)
            if half_close:
                sock.shutdown(socket.SHUT_WR)
        except OSError:
            pass
    thread = threading.Thread(target=send, daemon=True)
    thread.start()
    return thread


def exchange(t, listener, data, half_close=True):
    with connect(t.port(listener), limit_s=5) as sock:
        sender = send_aside(sock, data)
        if half_close:
            sender.join(5)
            sock.shutdown(socket.SHUT_WR)
        got, end = read_all(sock)
    if len(got) > 1000:
        got = f"{len(got)} bytes, sha256 {hashlib.sha256(got).hexdigest()[:12]}".encode()
    return {"got": got.decode("latin-1"), "end": end}


@case({"got": "hello<fin after 5 bytes>", "end": "fin"})
def case_echo_with_half_close(t):
    return exchange(t, "echo", b"hello")


@case({"got": "got 7", "end": "fin"})
def case_answer_only_after_the_client_s_fin(t):
    return exchange(t, "late", b"1234567")


@case({"got": f"got {len(BULK)}", "end": "fin"})
def case_24_mb_up_then_half_close(t):
    return exchange(t, "late", BULK)


@case({"got": "got 0", "end": "fin"})
def case_half_close_without_a_byte(t):
    return exchange(t, "late", b"")


@case({"banner": "bye", "end": "fin", "still open": True})
def case_the_server_finishes_first(t):
    """The client may go on sending after the server's FIN."""
    with connect(t.port("early"), limit_s=5) as sock:
        banner, end = read_all(sock)
        sock.sendall(b"x" * 1000)
        time.sleep(0.1)
        try:
            sock.sendall(b"y" * 1000)
            still = True
        except OSError:
            still = False
        sock.shutdown(socket.SHUT_WR)
        return {"banner": banner.decode(), "end": end, "still open": still}


@case({"same": True})
def case_24_mb_echoed_while_it_is_sent(t):
    with connect(t.port("echo"), limit_s=10) as sock:
        send_aside(sock, BULK, half_close=True)
        got, end = read_all(sock)
    return {"same": got == BULK + b"<fin after %d bytes>" % len(BULK), "end": end}


@case({"same": True})
def case_a_reader_that_is_slow(t):
    """With the client not reading, the server's bytes wait and none is lost."""
    with connect(t.port("echo"), limit_s=10) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        send_aside(sock, BULK, half_close=True)
        time.sleep(0.5)
        got, _ = read_all(sock)
    return {"same": got.startswith(BULK)}


@case({"got": "first\n"})
def case_the_server_speaks_first(t):
    with connect(t.port("first"), limit_s=5) as sock:
        return {"got": sock.recv(100).decode()}


@case({"got": "first\nping"})
def case_the_server_speaks_first_then_the_client(t):
    with connect(t.port("first"), limit_s=5) as sock:
        got = sock.recv(100)
        sock.sendall(b"ping")
        return {"got": (got + sock.recv(100)).decode()}


@case({"got": ""})
def case_the_server_resets(t):
    # Whether the client sees a reset or a FIN is a choice of each proxy.
    seen = exchange(t, "resets", b"hello", half_close=False)
    return {"got": seen["got"], "ended": seen["end"] in ("fin", "reset")}


@case({"got": "", "ended": True})
def case_the_server_refuses(t):
    seen = exchange(t, "dead", b"", half_close=False)
    return {"got": seen["got"], "ended": seen["end"] in ("fin", "reset")}


@case({"got": "", "ended": True})
def case_no_server_at_all(t):
    seen = exchange(t, "nobody", b"", half_close=False)
    return {"got": seen["got"], "ended": seen["end"] in ("fin", "reset")}


@case({"all": True})
def case_another_server_after_a_refusal(t):
    got = [exchange(t, "attempts", b"x")["got"] for _ in range(10)]
    return {"all": all(g == "x<fin after 1 bytes>" for g in got)}


@case({"ended in time": True})
def case_idle_timeout(t):
    start = time.monotonic()
    with connect(t.port("idle"), limit_s=5) as sock:
        sock.sendall(b"x")
        read_all(sock)
    took = time.monotonic() - start
    return {"ended in time": 0.35 < took < 1.5 or round(took, 2)}


@case({"ended in time": True})
def case_idle_timeout_starts_anew_with_each_byte(t):
    start = time.monotonic()
    with connect(t.port("idle"), limit_s=5) as sock:
        for _ in range(3):
            sock.sendall(b"x")
            sock.recv(1)
            time.sleep(0.25)
        read_all(sock)
    took = time.monotonic() - start
    return {"ended in time": 0.85 < took < 2 or round(took, 2)}


@case({"server gone": True})
def case_the_client_s_reset_reaches_the_server(t):
    """Envoy may turn it into a FIN; in either case the server's connection ends."""
    ended = threading.Event()

    def handle(sock):
        try:
            while sock.recv(1000):
                pass
        except OSError:
            pass
        ended.set()
    t["echo"].handle, saved = handle, t["echo"].handle
    try:
        with connect(t.port("echo"), limit_s=5) as sock:
            sock.sendall(b"x")
            time.sleep(0.1)
            tcp.reset(sock)
        return {"server gone": ended.wait(3)}
    finally:
        t["echo"].handle = saved


@case(lambda seen: all(v is True for v in seen.values()))
def case_weighted_clusters(t):
    counts = {}
    for _ in range(1500):
        with connect(t.port("weighted"), limit_s=5) as sock:
            who = sock.recv(20).decode().strip()
            counts[who] = counts.get(who, 0) + 1
    return near(counts, {"first": 70, "second": 30}, 6)


@case({"line": "5 24 - echo 0 -"})
def case_access_log(t):
    path = f"{t.dir}/tcp.log"
    before = len(open(path, encoding="utf-8").readlines())
    exchange(t, "echo", b"hello")
    # Connections of earlier cases may be logged late, so the line is looked for and not counted.
    for line in t.log_lines("tcp.log", before + 1)[before:]:
        if line.startswith("5 "):
            return {"line": line}
    return {"line": None}


@case({"line": "0 0 UF,URX"})
def case_access_log_of_a_refusal(t):
    exchange(t, "dead", b"", half_close=False)
    return {"line": t.log_lines("dead.log", 1)[-1]}


@case({"total": 3, "active": 0})
def case_counters(t):
    before = t.proxy.stat("tcp.late.downstream_cx_total")
    for _ in range(3):
        exchange(t, "late", b"x")
    time.sleep(0.1)
    return {"total": t.proxy.stat("tcp.late.downstream_cx_total") - before,
            "active": t.proxy.stat("cluster.late.upstream_cx_active")}
