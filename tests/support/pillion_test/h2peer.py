"""HTTP/2 peers on python3-h2: a client for one request at a time or several, and a scripted origin."""

import dataclasses
import json
import threading
import time

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.exceptions
import h2.settings

from .tcp import TcpServer, abort
from .wire import Response, connect

# A GOAWAY ends no stream that is open (RFC 9113 6.8); the library would refuse what comes on them.
_TRANSITIONS = h2.connection.H2ConnectionStateMachine._transitions
for _state in (h2.connection.ConnectionState.CLIENT_OPEN, h2.connection.ConnectionState.SERVER_OPEN):
    _TRANSITIONS[_state, h2.connection.ConnectionInputs.RECV_GOAWAY] = (None, _state)

WINDOW = 1 << 20


def _decoded(pairs):
    text = lambda v: v.decode("latin-1") if isinstance(v, bytes) else v  # noqa: E731
    return [(text(k), text(v)) for k, v in pairs or []]


class _Peer:
    """What client and server share: the pump between the socket and the state machine, and flow control."""

    def __init__(self, sock, client_side):
        self.sock = sock
        config = h2.config.H2Configuration(client_side=client_side, header_encoding=None,
                                           validate_outbound_headers=False, normalize_outbound_headers=False)
        self.h2 = h2.connection.H2Connection(config)
        self.lock = threading.RLock()
        self.h2.initiate_connection()
        self.h2.update_settings({h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: WINDOW})
        self.h2.increment_flow_control_window(1 << 24)
        self.flush()

    def flush(self):
        with self.lock:
            data = self.h2.data_to_send()
            if data:
                self.sock.sendall(data)

    def receive(self):
        """Reads once; returns the events, or None at the end of the connection."""
        data = self.sock.recv(65536)
        if not data:
            return None
        with self.lock:
            events = self.h2.receive_data(data)
            for event in events:
                if isinstance(event, h2.events.DataReceived) and event.flow_controlled_length:
                    self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            self.flush()
        return events

    def send_some(self, stream, data, end):
        """Sends as much as the windows allow; returns what is left."""
        with self.lock:
            while data:
                room = min(self.h2.local_flow_control_window(stream), self.h2.max_outbound_frame_size, len(data))
                if room <= 0:
                    break
                self.h2.send_data(stream, data[:room], end_stream=end and room == len(data))
                data = data[room:]
            self.flush()
        return data


class H2Client(_Peer):
    """A client. Requests take plain headers; the pseudo headers come first as HTTP/2 wants."""

    def __init__(self, port, tls=None, server_hostname=None, **kwargs):
        super().__init__(connect(port, tls=tls, server_hostname=server_hostname, **kwargs), True)
        self.scheme = "https" if tls else "http"
        self.responses = {}
        self.ended = set()
        self.resets = {}
        self.goaway = None
        self.closed = False
        self._pending = {}

    def start(self, method="GET", path="/", headers=(), body=None, authority="test", trailers=(), pseudo=None):
        """Begins a request and returns its stream id. `pseudo` replaces the usual pseudo headers."""
        stream = self.h2.get_next_available_stream_id()
        fields = pseudo or [(":method", method), (":scheme", self.scheme), (":authority", authority), (":path", path)]
        self.responses[stream] = Response()
        self.h2.send_headers(stream, list(fields) + list(headers), end_stream=body is None and not trailers)
        self.flush()
        if body is not None or trailers:
            self._pending[stream] = (body or b"", list(trailers))
            self._push(stream)
        return stream

    def _push(self, stream):
        data, trailers = self._pending[stream]
        left = self.send_some(stream, data, not trailers) if data else b""
        if left:
            self._pending[stream] = (left, trailers)
            return
        del self._pending[stream]
        with self.lock:
            if trailers:
                self.h2.send_headers(stream, trailers, end_stream=True)
            elif not data:
                self.h2.end_stream(stream)
            self.flush()

    def step(self):
        events = self.receive()
        if events is None:
            self.closed = True
            return False
        for event in events:
            self._on(event)
        for stream in [s for s in self._pending if s in self.resets or s in self.ended]:
            del self._pending[stream]
        for stream in list(self._pending):
            self._push(stream)
        return True

    def _on(self, event):
        stream = getattr(event, "stream_id", None)
        response = self.responses.get(stream)
        if isinstance(event, h2.events.ResponseReceived):
            headers = _decoded(event.headers)
            response.status = int(dict(headers)[":status"])
            response.headers = [(k, v) for k, v in headers if not k.startswith(":")]
        elif isinstance(event, h2.events.InformationalResponseReceived):
            response.interim.append(_decoded(event.headers))
        elif isinstance(event, h2.events.DataReceived):
            response.body += event.data
        elif isinstance(event, h2.events.TrailersReceived):
            response.trailers = _decoded(event.headers)
        elif isinstance(event, h2.events.StreamEnded):
            self.ended.add(stream)
        elif isinstance(event, h2.events.StreamReset):
            self.resets[stream] = int(event.error_code)
            if response:
                response.complete = False
        elif isinstance(event, h2.events.ConnectionTerminated):
            self.goaway = int(event.error_code)

    def finish(self, stream, limit_s=15):
        """Waits for the end of a stream; raises ConnectionError when the connection ends before it."""
        end = time.monotonic() + limit_s
        while stream not in self.ended and stream not in self.resets:
            if self.goaway:
                raise ConnectionError(f"goaway {self.goaway}")
            self.sock.settimeout(max(0.01, end - time.monotonic()))
            if not self.step():
                raise ConnectionError(f"the connection ended; goaway {self.goaway}")
        return self.responses[stream]

    def request(self, *args, **kwargs):
        return self.finish(self.start(*args, **kwargs))

    def close(self):
        self.sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


@dataclasses.dataclass
class H2Request:
    method: str = ""
    target: str = ""
    headers: list = dataclasses.field(default_factory=list)
    body: bytes = b""
    trailers: list = dataclasses.field(default_factory=list)
    connection: int = 0
    stream: int = 0
    version: str = "HTTP/2"

    def header(self, name, default=None):
        values = [v for k, v in self.headers if k == name]
        return ",".join(values) if values else default


@dataclasses.dataclass
class H2Answer:
    """A scripted answer: `reset` is an error code sent instead of (or, with `after_head`, after) the head."""
    status: int = 200
    body: bytes = b""
    headers: tuple = ()
    trailers: tuple = ()
    delay_s: float = 0
    reset: int | None = None
    after_head: bool = False
    goaway: bool = False
    drop: bool = False


class H2Origin(TcpServer):
    """An HTTP/2 origin with prior knowledge, or over TLS. Without a script it echoes as `Echo` does."""

    expected_errors = (OSError, ValueError, h2.exceptions.ProtocolError)

    def __init__(self, name, default=None, tls=None):
        self.default = default
        self.clear()
        super().__init__(name=name, tls=tls)

    def clear(self):
        self.script = []
        self.seen = []
        self.given_up = 0
        self.resets = []

    def handle(self, sock):
        peer = _Peer(sock, False)
        number, open_streams, unsent = self.accepted, {}, {}
        while (events := peer.receive()) is not None:
            for event in events:
                self._on(peer, number, open_streams, unsent, event)
            for stream, (data, trailers) in list(unsent.items()):
                self._push(peer, unsent, stream, data, trailers)

    def _on(self, peer, number, open_streams, unsent, event):
        stream = getattr(event, "stream_id", None)
        if isinstance(event, h2.events.RequestReceived):
            fields = _decoded(event.headers)
            known = dict(fields)
            open_streams[stream] = H2Request(known.get(":method", ""), known.get(":path", ""), fields,
                                             connection=number, stream=stream)
        elif isinstance(event, h2.events.DataReceived) and stream in open_streams:
            open_streams[stream].body += event.data
        elif isinstance(event, h2.events.TrailersReceived):
            open_streams[stream].trailers = _decoded(event.headers)
        elif isinstance(event, h2.events.StreamReset):
            self.resets.append(int(event.error_code))
            open_streams.pop(stream, None)
            unsent.pop(stream, None)
            self.given_up += 1
        elif isinstance(event, h2.events.StreamEnded) and stream in open_streams:
            request = open_streams.pop(stream)
            self.seen.append(request)
            answer = self.script.pop(0) if self.script else self.default
            threading.Thread(target=self._answer, args=(peer, unsent, request, answer or self._echo(request)),
                             daemon=True).start()

    def _echo(self, request):
        seen = {"origin": self.name, "method": request.method, "target": request.target, "headers": request.headers,
                "body_length": len(request.body)}
        return H2Answer(200, json.dumps(seen).encode(), (("content-type", "application/json"),))

    def _answer(self, peer, unsent, request, answer):
        time.sleep(answer.delay_s)
        try:
            with peer.lock:
                self._play(peer, unsent, request.stream, answer)
        except (OSError, h2.exceptions.ProtocolError):
            pass

    def _play(self, peer, unsent, stream, answer):
        if answer.drop:
            abort(peer.sock)
            return
        if answer.reset is None or answer.after_head:
            fields = [(":status", str(answer.status)), ("x-served-by", self.name), *answer.headers]
            bare = not answer.body and not answer.trailers and answer.reset is None
            peer.h2.send_headers(stream, fields, end_stream=bare)
            peer.flush()
            if answer.reset is None and not bare:
                self._push(peer, unsent, stream, answer.body, list(answer.trailers))
        if answer.reset is not None:
            peer.h2.reset_stream(stream, answer.reset)
        if answer.goaway:
            peer.h2.close_connection(0, last_stream_id=stream)
        peer.flush()

    @staticmethod
    def _push(peer, unsent, stream, data, trailers):
        with peer.lock:
            left = peer.send_some(stream, data, not trailers) if data else b""
            if left:
                unsent[stream] = (left, trailers)
                return
            unsent.pop(stream, None)
            if trailers:
                peer.h2.send_headers(stream, trailers, end_stream=True)
            peer.flush()
