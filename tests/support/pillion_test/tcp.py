"""Plain TCP servers: one thread per connection, a handler in plain Python, and an end that is always reached."""

import socket
import struct
import threading
import time

IO_LIMIT_S = 15
DROP_LIMIT_S = 0.3
NOTICE_S = 0.03


def reset(sock):
    """Closes a socket with a TCP reset instead of a FIN. Only for the thread that uses the socket."""
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    except OSError:
        pass
    sock.close()


def abort(sock):
    """Makes the thread that reads from `sock` close it with a TCP reset.

    Closing it here would free its number while that thread may be about to read from it, and the next connection would
    get the same number.
    """
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        # Not the method of the object: that of a TLS socket would say goodbye. This sends nothing and wakes the reader.
        socket.socket.shutdown(sock, socket.SHUT_RD)
    except OSError:
        pass


class TcpServer:
    """Listens on `port` (0: one of its own) and calls `handler(sock)` in a thread for each connection.

    `accepted` counts connections; `addresses` are the peers' addresses. `tls` is an ssl.SSLContext of the server side.
    A handler that raises an OSError ends its connection only.
    """

    expected_errors = (OSError, ValueError)

    def __init__(self, handler=None, name="tcp", host="127.0.0.1", tls=None, port=0):
        self.name = name
        self.tls = tls
        if handler:
            self.handle = handler
        self.accepted = 0
        self._sockets = set()
        self._lock = threading.Lock()
        self._closed = False
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._listener = socket.create_server((host, port), family=family, backlog=512, dualstack_ipv6=host == "::")
        self.host, self.port = self._listener.getsockname()[:2]
        threading.Thread(target=self._accept, daemon=True).start()

    def handle(self, sock):
        """Echoes until the peer's FIN, then says so in one line and closes: half-close seen from the far side."""
        total = 0
        while data := sock.recv(65536):
            total += len(data)
            sock.sendall(data)
        sock.sendall(b"<fin after %d bytes>" % total)

    def _accept(self):
        while not self._closed:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            self.accepted += 1
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, raw):
        raw.settimeout(IO_LIMIT_S)
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with self._lock:
            self._sockets.add(raw)
        sock = raw
        try:
            if self.tls:
                sock = self.tls.wrap_socket(raw, server_side=True)
                with self._lock:
                    self._sockets.add(sock)
            self.handle(sock)
        except self.expected_errors:
            pass
        finally:
            with self._lock:
                self._sockets -= {raw, sock}
            sock.close()

    def drop_connections(self):
        """Resets every open connection, as a crash of the server would, and gives the peer time to notice."""
        with self._lock:
            sockets = list(self._sockets)
        for sock in sockets:
            abort(sock)
        end = time.monotonic() + DROP_LIMIT_S
        while self._sockets & set(sockets) and time.monotonic() < end:
            time.sleep(0.005)
        if sockets:
            time.sleep(NOTICE_S)

    def close(self):
        self._closed = True
        # A blocked accept() is woken by shutdown, not by close.
        try:
            self._listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self._listener.close()
        with self._lock:
            for sock in self._sockets:
                abort(sock)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class DeadPort:
    """A port that refuses connections: bound, so that nobody else gets it, but not listening."""

    def __init__(self, name="dead"):
        self.name = name
        self._sock = socket.socket()
        self._sock.bind(("127.0.0.1", 0))
        self.host, self.port = self._sock.getsockname()
        self.accepted = 0

    def close(self):
        self._sock.close()


def server_first(banner):
    """A handler for a server that speaks first: the banner, then an echo."""
    def handle(sock):
        sock.sendall(banner)
        while data := sock.recv(65536):
            sock.sendall(data)
    return handle


def half_close_reader(sock):
    """A handler that reads everything, answers only after the peer's FIN, and then closes."""
    total = 0
    while data := sock.recv(65536):
        total += len(data)
    sock.sendall(b"got %d" % total)


def early_finisher(sock):
    """A handler that sends and closes its own direction first, and then counts what still arrives."""
    sock.sendall(b"bye")
    sock.shutdown(socket.SHUT_WR)
    while sock.recv(65536):
        pass
