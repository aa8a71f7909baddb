"""An HTTP/1 origin whose every answer is scripted.

A behaviour is an object with `play(origin, conn, request)`; it returns True when the connection may be used again. The
origin takes the next behaviour from its `script` and, when that is empty, its `default`. It records what it saw, with
the case and order of the header names.
"""

import dataclasses
import json
import threading
import time

from .tcp import TcpServer, reset
from .wire import Eof, ProtocolError, Reader


@dataclasses.dataclass
class Request:
    method: str = ""
    target: str = ""
    version: str = ""
    headers: list = dataclasses.field(default_factory=list)
    body: bytes = b""
    trailers: list = dataclasses.field(default_factory=list)
    connection: int = 0
    time: float = 0.0

    def all(self, name):
        return [v for k, v in self.headers if k.lower() == name.lower()]

    def header(self, name, default=None):
        values = self.all(name)
        return ",".join(values) if values else default


class Conn:
    """One connection of an origin: its number, its socket and its buffered reader."""

    def __init__(self, number, sock):
        self.number = number
        self.sock = sock
        self.reader = Reader(sock)
        self.requests = 0


@dataclasses.dataclass
class Answer:
    """A complete answer. `delay_s` comes before the head, `body_delay_s` between head and body."""
    status: int = 200
    body: bytes = b""
    headers: tuple = ()
    chunked: bool = False
    trailers: tuple = ()
    delay_s: float = 0
    body_delay_s: float = 0
    close: bool = False
    interim: bytes = b""
    framed: bool = True
    reason: str = "Scripted"

    def play(self, origin, conn, request):
        time.sleep(self.delay_s)
        headers = [("X-Served-By", origin.name)] + list(self.headers)
        bodiless = request.method == "HEAD" or self.status in (204, 304)
        if self.chunked:
            headers.append(("Transfer-Encoding", "chunked"))
        elif self.framed and self.status not in (204, 304):
            headers.append(("Content-Length", str(len(self.body))))
        if self.close:
            headers.append(("Connection", "close"))
        head = "".join(f"{k}: {v}\r\n" for k, v in headers)
        conn.sock.sendall(self.interim + f"HTTP/1.1 {self.status} {self.reason}\r\n{head}\r\n".encode("latin-1"))
        time.sleep(self.body_delay_s)
        if not bodiless:
            conn.sock.sendall(self._framed_body())
        return not self.close and self.framed

    def _framed_body(self):
        if not self.chunked:
            return self.body
        parts = [b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces(self.body)]
        trailers = "".join(f"{k}: {v}\r\n" for k, v in self.trailers).encode("latin-1")
        return b"".join(parts) + b"0\r\n" + trailers + b"\r\n"


def pieces(body, size=16000):
    return [body[i:i + size] for i in range(0, len(body), size)]


class Echo:
    """Answers 200 with a JSON description of the request: the default."""

    def play(self, origin, conn, request):
        seen = {"origin": origin.name, "method": request.method, "target": request.target,
                "headers": request.headers, "body_length": len(request.body)}
        return Answer(200, json.dumps(seen).encode(), (("Content-Type", "application/json"),)).play(
            origin, conn, request)


@dataclasses.dataclass
class Raw:
    """Exactly these bytes, then: "keep" the connection, "close" it or "reset" it."""
    data: bytes
    then: str = "close"
    delay_s: float = 0

    def play(self, origin, conn, request):
        time.sleep(self.delay_s)
        conn.sock.sendall(self.data)
        if self.then == "reset":
            # The peer must have read the bytes before the reset throws them away.
            time.sleep(0.1)
            reset(conn.sock)
        return self.then == "keep"


@dataclasses.dataclass
class Close:
    """Ends the connection with a FIN and without an answer."""
    delay_s: float = 0

    def play(self, origin, conn, request):
        time.sleep(self.delay_s)
        return False


@dataclasses.dataclass
class Reset:
    """Ends the connection with a TCP reset and without an answer."""
    delay_s: float = 0

    def play(self, origin, conn, request):
        time.sleep(self.delay_s)
        reset(conn.sock)
        return False


@dataclasses.dataclass
class Hang:
    """Answers nothing until the peer gives up, and records that it did."""

    def play(self, origin, conn, request):
        try:
            conn.sock.recv(1)
        except OSError:
            pass
        origin.given_up += 1
        return False


@dataclasses.dataclass
class Upgrade:
    """Answers 101 and then echoes bytes, each block in brackets, until the peer ends."""
    protocol: str = "websocket"
    headers: tuple = ()

    def play(self, origin, conn, request):
        extra = "".join(f"{k}: {v}\r\n" for k, v in self.headers)
        conn.sock.sendall(("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n"
                           f"Upgrade: {self.protocol}\r\n{extra}\r\n").encode())
        data = conn.reader.buffer
        conn.reader.buffer = b""
        while data or (data := conn.sock.recv(65536)):
            conn.sock.sendall(b"[" + data + b"]")
            data = b""
        return False


class HttpOrigin(TcpServer):
    """The origin. `close_after` closes each connection without a word after that many answers."""

    expected_errors = (OSError, ValueError, ProtocolError)

    def __init__(self, name, default=None, tls=None, close_after=0, **listen):
        self.default = default or Echo()
        self.close_after = close_after
        self._guard = threading.Lock()
        self.clear()
        super().__init__(name=name, tls=tls, **listen)

    def clear(self):
        """Forgets the script and what was seen; open connections stay."""
        self.script = []
        self.seen = []
        self.given_up = 0
        self.peer_certificates = []

    def handle(self, sock):
        with self._guard:
            conn = Conn(self.accepted, sock)
        if self.tls:
            self.peer_certificates.append(sock.getpeercert())
        while self._one(conn):
            pass

    def _one(self, conn):
        try:
            request = self._read_head(conn)
        except (Eof, ProtocolError):
            return False
        with self._guard:
            behaviour = self.script.pop(0) if self.script else self.default
            self.seen.append(request)
        if not getattr(behaviour, "before_body", False):
            self._read_body(conn, request)
        again = behaviour.play(self, conn, request)
        conn.requests += 1
        return again and not (self.close_after and conn.requests >= self.close_after)

    def _read_head(self, conn):
        line = conn.reader.line().decode("latin-1")
        parts = line.split(" ")
        if len(parts) != 3:
            raise ProtocolError(line)
        return Request(*parts, headers=conn.reader.fields(), connection=conn.number, time=time.monotonic())

    def _read_body(self, conn, request):
        if (request.header("expect") or "").lower() == "100-continue":
            conn.sock.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        if "chunked" in (request.header("transfer-encoding") or "").lower():
            request.body, request.trailers = conn.reader.chunks()
        elif request.header("content-length"):
            request.body = conn.reader.exactly(int(request.header("content-length")))
