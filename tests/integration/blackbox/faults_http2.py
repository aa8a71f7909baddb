"""The fault classes of HTTP/2 and of floods (numbers of the list of thirty): each limit ends what crosses it, and counts."""

import struct
import time

from pillion_test import Answer, connect, reset_socket, wait_for

from .hostile import (CONTINUATION, DATA, END_HEADERS, END_STREAM, H2_ANSWERS, HEADERS, OPENING, PING, PREFACE, PRIORITY,
                      REQUEST, RST_STREAM, SETTINGS, WINDOW_UPDATE, TcpServer, clean_end, flood, frame, h2_server, memory,
                      scene, serves)
from .kit import check, equal, test

POST = b"\x83" + REQUEST[1:]
GROWTH_MAX = 64 << 20


def requests(count, after=b"", head=REQUEST, flags=END_HEADERS | END_STREAM):
    """`count` requests on streams of their own; `after` makes the frames that follow each from its stream id."""
    return b"".join(frame(HEADERS, flags, i, head) + (after(i) if after else b"") for i in range(1, 2 * count, 2))


def flooded(s, data, counter):
    """The flood ends its connection, is counted once under its name, and harms nobody else."""
    before, held = s.proxy.stat(f"http2.{counter}"), memory(s)
    flood(s, data)
    wait_for(lambda: s.proxy.stat(f"http2.{counter}") == before + 1, 5,
             what=f"http2.{counter} to count: it is {s.proxy.stat(f'http2.{counter}')}, was {before}")
    check(memory(s) - held < GROWTH_MAX, f"{counter}: memory grew by {(memory(s) - held) >> 20} MB")
    serves(s)


@test("fault_01_rapid_reset: requests that are reset at once end their connection, and nothing of them goes on")
def rapid_reset():
    with scene() as s:
        flooded(s, OPENING + requests(10000, lambda i: frame(RST_STREAM, 0, i, b"\0\0\0\x08")), "inbound_reset_frames_flood")
        wait_for(lambda: s.proxy.stat("cluster.a.upstream_rq_active") == 0, what="requests to the origin to be given up")
        check(s.proxy.stat("http.w.downstream_rq_active") == 0, "requests are still there")
        clean_end(s)


@test("fault_02_made_you_reset: errors that make us reset streams end the connection, and keep their slot until then")
def made_you_reset():
    errors = {"a window that overflows": lambda i: frame(WINDOW_UPDATE, 0, i, b"\x7f\xff\xff\xff"),
              "trailers that are none": lambda i: frame(HEADERS, END_HEADERS | END_STREAM, i, b"\x82")}
    with scene() as s:
        flooded(s, OPENING + requests(10000, head=b"\x82\x86"), "outbound_reset_frames_flood")
        for name, make in errors.items():
            s["a"].clear()
            flooded(s, OPENING + requests(10000, make, head=POST, flags=END_HEADERS), "outbound_reset_frames_flood")
            check(len(s["a"].seen) <= 1100, f"{name}: {len(s['a'].seen)} requests reached the origin")
        wait_for(lambda: s.proxy.stat("cluster.a.upstream_rq_active") == 0, what="requests to the origin to be given up")
        clean_end(s)


@test("fault_03_continuation: CONTINUATION frames and header bytes without end are cut off, also behind a refusal")
def continuation():
    with scene() as s:
        opened = OPENING + frame(HEADERS, 0, 1, REQUEST)
        flooded(s, opened + frame(CONTINUATION, 0, 1, b"\0\1a\1b") * 20000, "inbound_continuation_frames_flood")
        flooded(s, opened + frame(CONTINUATION, 0, 1) * 20000, "inbound_continuation_frames_flood")
        # One entry of the dynamic table, named again and again: 40 octets on the wire are 160 KB of fields.
        bomb = REQUEST + b"\x40\x01x\x7f\xa1\x1e" + b"v" * 4000 + b"\xbe" * 3000
        flooded(s, OPENING + frame(HEADERS, END_HEADERS | END_STREAM, 1, bomb), "header_overflow")
        clean_end(s)


@test("fault_04_control_frames: frames that want an answer end the connection, and a client that takes none is not heard")
def control_frames():
    with scene() as s:
        flooded(s, OPENING + frame(PING, 0, 0, b"12345678") * 50000, "inbound_ping_frames_flood")
        flooded(s, OPENING + frame(SETTINGS, 0, 0, struct.pack("!HI", 4, 1000)) * 20000, "inbound_settings_frames_flood")
        flooded(s, OPENING + frame(PRIORITY, 0, 1, b"\0\0\0\0\x10") * 20000, "inbound_priority_frames_flood")
        flooded(s, OPENING + frame(WINDOW_UPDATE, 0, 0, b"\0\0\0\1") * 20000, "inbound_window_update_frames_flood")
        flooded(s, OPENING + frame(HEADERS, END_HEADERS, 1, POST) + frame(DATA, 0, 1) * 20000, "inbound_empty_frames_flood")
        held = memory(s)
        with connect(s.port()) as sock:
            sock.settimeout(1)
            try:
                sock.sendall(OPENING)
                while True:
                    sock.sendall(frame(PING, 0, 0, b"12345678") * 900)
            except OSError:
                pass
        check(memory(s) - held < GROWTH_MAX, f"memory grew by {(memory(s) - held) >> 20} MB")
        serves(s)
        clean_end(s)


@test("fault_05_zero_window: what waits for a window that never opens is bounded, and its time runs out")
def zero_window():
    with scene(template=lambda t: t.replace("stat_prefix: w,", "stat_prefix: w, stream_idle_timeout: 1s,")) as s:
        s["a"].default = Answer(200, b"x" * 3000000)
        held = memory(s)
        socks = []
        for _ in range(20):
            sock = connect(s.port())
            sock.sendall(PREFACE + frame(SETTINGS, 0, 0, struct.pack("!HI", 4, 0)) + requests(20))
            socks.append(sock)
        time.sleep(0.6)
        grown = memory(s) - held
        check(grown < 400 << 20, f"{grown >> 20} MB are held for 400 requests")
        wait_for(lambda: s.proxy.stat("http.w.downstream_rq_active") == 0, 10, what="the requests' idle time to run out")
        equal(s.proxy.stat("http.w.downstream_rq_idle_timeout"), 400, "downstream_rq_idle_timeout")
        for sock in socks:
            reset_socket(sock)
        s["a"].default = Answer(200, b"ok")
        serves(s)
        clean_end(s)
        return f"{grown >> 20} MB held for 400 requests of 3 MB"


@test("fault_05_window_games: overflows, negative windows, halves of frames and sudden resets leave nothing behind")
def window_games():
    with scene() as s:
        s["a"].default = Answer(200, b"x" * 3000000)
        endings = [frame(WINDOW_UPDATE, 0, 0, b"\x7f\xff\xff\xff") * 2,
                   frame(WINDOW_UPDATE, 0, 1, b"\0\1\0\0") + frame(SETTINGS, 0, 0, struct.pack("!HI", 4, 1)),
                   frame(DATA, 0, 1, b"y" * 100)[:50], frame(7, 0, 0, b"\0" * 8), frame(RST_STREAM, 0, 1, b"\0\0\0\x08")]
        socks = []
        for number in range(20):
            sock = connect(s.port())
            sock.sendall(PREFACE + frame(SETTINGS, 0, 0, struct.pack("!HI", 4, 0)) + requests(20))
            socks.append((sock, endings[number % 5], number % 3))
        time.sleep(0.3)
        for sock, ending, kind in socks:
            sock.sendall(ending)
            time.sleep(0.01)
            reset_socket(sock) if kind else sock.close()
        s["a"].default = Answer(200, b"ok")
        serves(s)
        clean_end(s)


class Stalls(Answer):
    """Reads the head, and the body never."""
    before_body = True

    def play(self, origin, conn, request):
        time.sleep(3)
        return False


@test("fault_06_tiny_data: frames and chunks of one octet cost about what they carry")
def tiny_data():
    with scene() as s:
        s["a"].default = Stalls()
        held = memory(s)
        socks = []
        for _ in range(4):
            sock = connect(s.port(), limit_s=1)
            sock.sendall(OPENING + frame(HEADERS, END_HEADERS, 1, POST) + frame(DATA, 0, 1, b"x") * 60000)
            socks.append(sock)
            sock = connect(s.port(), limit_s=1)
            try:
                sock.sendall(b"POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * 500000)
            except OSError:
                pass  # Held back, as it should be.
            socks.append(sock)
        grown = memory(s) - held
        check(grown < 32 << 20, f"memory grew by {grown >> 20} MB")
        for sock in socks:
            reset_socket(sock)
        s["a"].default = Answer(200, b"ok")
        serves(s)
        clean_end(s)
        return f"memory grew by {grown >> 10} KB"


@test("fault_26_hostile_origin: GOAWAY in mid-stream, no streams allowed, frames after the end, floods and garbage")
def hostile_origin():
    answers = iter(range(10 ** 9))

    def handle(sock):
        h2_server(H2_ANSWERS[next(answers) % len(H2_ANSWERS)])(sock)

    with scene(two=TcpServer(handle)) as s:
        # A fault that meets the reset of the same origin is told as a reset, so some rounds may pass before all are seen.
        def seen():
            return (s.proxy.stat("cluster.two.upstream_cx_protocol_error") > 0
                    and s.proxy.stat("http2.inbound_ping_frames_flood") > 0)

        turn = 0
        while turn < len(H2_ANSWERS) * 3 or (turn < len(H2_ANSWERS) * 30 and not seen()):
            turn += 1
            with connect(s.port()) as sock:
                sock.settimeout(0.05)
                try:
                    sock.sendall(b"GET /two HTTP/1.1\r\nHost: t\r\n\r\n" if turn % 2 else
                                 b"POST /two HTTP/1.1\r\nHost: t\r\nContent-Length: 300000\r\n\r\n" + b"b" * 300000)
                    sock.recv(100)
                    sock.recv(100)
                except OSError:
                    pass
        check(seen(), "upstream_cx_protocol_error or a flood by an origin is not counted")
        serves(s)
        clean_end(s)


@test("fault_27_frame_bounds: sizes, paddings and tables at and beyond their bounds, of every frame")
def frame_bounds():
    open_post = frame(HEADERS, END_HEADERS, 1, POST)
    cases = [
        b"\xff\xff\xff" + frame(DATA, 0, 1)[3:], open_post + frame(DATA, 0, 1, b"x" * 16385),
        open_post + frame(DATA, 8, 1, b"\x05abc"), open_post + frame(DATA, 8, 1, b""), open_post + frame(DATA, 8, 1, b"\xff"),
        frame(HEADERS, END_HEADERS | 8, 1, b"\xff" + REQUEST), frame(HEADERS, END_HEADERS | 0x20, 1, b"\0\0"),
        frame(HEADERS, END_HEADERS, 1, b"\xff\xff\xff\xff\xff\xff\xff\xff\x7f"), frame(HEADERS, END_HEADERS, 1, b"\xbe"),
        frame(HEADERS, END_HEADERS, 1, b"\x3f\xff\xff\xff\x7f" + REQUEST), frame(HEADERS, END_HEADERS, 1, b"\x80"),
        frame(HEADERS, END_HEADERS, 1, b"\x40\x7f\xff\xff\xff\xff\x0fx"), frame(HEADERS, END_HEADERS, 1, b"\x00\x81\xff\x01a"),
        frame(SETTINGS, 0, 0, b"\0\x01\xff\xff\xff\xff") + frame(SETTINGS, 0, 0, b"\0\x01\0\0\0\0") + requests(20),
        frame(SETTINGS, 0, 0, b"\0\x05\0\0\0\0"), frame(SETTINGS, 0, 0, b"\0\x05\xff\xff\xff\xff"), frame(SETTINGS, 0, 0, b"\0"),
        frame(WINDOW_UPDATE, 0, 0, b"\0"), frame(PING, 0, 0, b"1"), frame(RST_STREAM, 0, 1, b"\0"), frame(PRIORITY, 0, 1, b"\0"),
        frame(7, 0, 0, b"\0"), frame(CONTINUATION, END_HEADERS, 1, REQUEST), frame(200, 255, 1, b"x" * 16000),
    ]
    with scene() as s:
        for data in cases:
            for pieces in ([data], [data[i:i + 1] for i in range(min(len(data), 60))]):
                with connect(s.port(), limit_s=0.05) as sock:
                    try:
                        sock.sendall(OPENING)
                        for piece in pieces:
                            sock.sendall(piece)
                        while sock.recv(65536):
                            pass
                    except OSError:
                        pass
        serves(s)
        # Nothing spins: a proxy that has nothing to do uses no time.
        before = cpu_ticks(s)
        time.sleep(0.5)
        check(cpu_ticks(s) - before <= 2, f"{cpu_ticks(s) - before} ticks of 10 ms were used while idle")
        clean_end(s)


def cpu_ticks(s):
    with open(f"/proc/{s.proxy.process.pid}/stat", encoding="ascii") as f:
        fields = f.read().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])
