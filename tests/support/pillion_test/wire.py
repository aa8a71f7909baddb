"""An HTTP/1 client that writes exactly the bytes it is given and keeps the case and order of what it reads."""

import dataclasses
import socket

from .tcp import reset as reset_socket  # noqa: F401

CLIENT_LIMIT_S = 15


class ProtocolError(Exception):
    """The peer's bytes are not HTTP/1."""


class Eof(ProtocolError):
    """The connection ended before the message did; `partial` holds what had arrived."""

    def __init__(self, text, partial=b""):
        super().__init__(text)
        self.partial = partial


@dataclasses.dataclass
class Response:
    """One response. Headers and trailers are (name, value) pairs as they were on the wire."""
    status: int = 0
    version: str = ""
    reason: str = ""
    headers: list = dataclasses.field(default_factory=list)
    body: bytes = b""
    trailers: list = dataclasses.field(default_factory=list)
    interim: list = dataclasses.field(default_factory=list)
    framing: str = ""
    complete: bool = True

    def all(self, name):
        return [v for k, v in self.headers if k.lower() == name.lower()]

    def header(self, name, default=None):
        values = self.all(name)
        return ",".join(values) if values else default


class Reader:
    """Buffered reads of a socket by line and by count."""

    def __init__(self, sock):
        self.sock = sock
        self.buffer = b""

    def _fill(self):
        data = self.sock.recv(65536)
        if not data:
            raise Eof("end of connection", self.buffer)
        self.buffer += data

    def line(self, limit=1 << 20):
        while b"\n" not in self.buffer:
            if len(self.buffer) > limit:
                raise ProtocolError("the line is too long")
            self._fill()
        line, _, self.buffer = self.buffer.partition(b"\n")
        return line.rstrip(b"\r")

    def exactly(self, count):
        parts, have = [], 0
        while have < count:
            if not self.buffer:
                try:
                    self._fill()
                except Eof:
                    raise Eof(f"{count - have} bytes are missing", b"".join(parts)) from None
            part, self.buffer = self.buffer[:count - have], self.buffer[count - have:]
            parts.append(part)
            have += len(part)
        return b"".join(parts)

    def until_eof(self):
        parts = [self.buffer]
        self.buffer = b""
        while data := self.sock.recv(65536):
            parts.append(data)
        return b"".join(parts)

    def fields(self):
        """Header or trailer lines up to the empty line."""
        found = []
        while line := self.line():
            name, colon, value = line.partition(b":")
            if not colon:
                raise ProtocolError(f"no colon in {line!r}")
            found.append((name.decode("latin-1"), value.strip().decode("latin-1")))
        return found

    def chunks(self):
        """A chunked body; returns (body, trailers)."""
        body = []
        while True:
            size = int(self.line().split(b";")[0], 16)
            if size == 0:
                return b"".join(body), self.fields()
            body.append(self.exactly(size))
            self.line()


def connect(port, host="127.0.0.1", tls=None, server_hostname=None, limit_s=CLIENT_LIMIT_S, source=None):
    """A connected socket, wrapped in TLS when a context is given."""
    sock = socket.create_connection((host, port), limit_s, source_address=source)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if tls:
        try:
            return tls.wrap_socket(sock, server_hostname=server_hostname)
        except BaseException:
            sock.close()
            raise
    return sock


class Http1Client:
    """One connection. `get` makes the usual request; `send` and `read` allow any other."""

    def __init__(self, port, **kwargs):
        self.sock = connect(port, **kwargs)
        self.reader = Reader(self.sock)

    def send(self, data):
        self.sock.sendall(data)

    @staticmethod
    def head(method, target, headers, version="HTTP/1.1"):
        lines = [f"{method} {target} {version}"] + [f"{k}: {v}" for k, v in headers]
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")

    def request(self, method="GET", target="/", headers=(), body=None, host="test", version="HTTP/1.1"):
        """Sends one request and reads its response. A body gets a content-length unless headers frame it."""
        headers = list(headers)
        names = {k.lower() for k, _ in headers}
        if host is not None and "host" not in names:
            headers.insert(0, ("Host", host))
        if body is not None and not names & {"content-length", "transfer-encoding"}:
            headers.append(("Content-Length", str(len(body))))
        self.send(self.head(method, target, headers, version) + (body or b""))
        return self.read(method)

    def get(self, target="/", headers=(), host="test"):
        return self.request("GET", target, headers, None, host)

    def read(self, method="GET"):
        """Reads one response, with the 1xx ones before it in `interim`."""
        response = Response()
        while True:
            status_line = self.reader.line().decode("latin-1")
            parts = status_line.split(" ", 2)
            if len(parts) < 2 or not parts[0].startswith("HTTP/1."):
                raise ProtocolError(f"not a status line: {status_line!r}")
            response.version, response.status = parts[0], int(parts[1])
            response.reason = parts[2] if len(parts) > 2 else ""
            response.headers = self.reader.fields()
            if response.status >= 200 or response.status == 101:
                break
            response.interim.append((response.status, response.headers))
        self._read_body(response, method)
        return response

    def _read_body(self, response, method):
        if method == "HEAD" or response.status in (101, 204, 304):
            response.framing = "none"
            return
        try:
            if "chunked" in (response.header("transfer-encoding") or "").lower():
                response.framing = "chunked"
                response.body, response.trailers = self.reader.chunks()
            elif response.header("content-length") is not None:
                response.framing = "length"
                response.body = self.reader.exactly(int(response.header("content-length")))
            else:
                response.framing = "close"
                response.body = self.reader.until_eof()
        except (Eof, ConnectionResetError) as e:
            response.complete = False
            response.body = getattr(e, "partial", b"")

    def at_eof(self, limit_s=3):
        """True when the peer closes within the limit without a further byte, False when bytes or nothing come."""
        self.sock.settimeout(limit_s)
        try:
            return self.reader.buffer == b"" and self.sock.recv(1) == b""
        except ConnectionResetError:
            return True
        except TimeoutError:
            return False

    def close(self):
        self.sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
