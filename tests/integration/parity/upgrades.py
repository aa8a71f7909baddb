"""WebSocket and other upgrades: the handshake, the bytes after it, and what is refused; and the same over HTTP/2, where
an upgrade is an extended CONNECT (RFC 8441): by clients that speak it, and between two proxies, each with each.
"""

import os
import time

from pillion_test import Answer, Raw, Upgrade
from pillion_test.launch import Proxy
from pillion_test.parity import case, error_name, expand, plain_headers, table
from pillion_test.wire import ProtocolError, Response

# The second of two proxies: takes upgrades over HTTP/2 (or not), and speaks HTTP/1 to the origin.
RELAY = """
admin: ${admin}
static_resources:
  listeners:
  - name: in
    address: ${any}
    filter_chains: [{filters: [{name: envoy.filters.network.http_connection_manager, typed_config: {${hcm},
      stat_prefix: in, http_filters: ${router}, http2_protocol_options: {allow_connect: ${allowed}},
      upgrade_configs: [{upgrade_type: websocket}, {upgrade_type: chat/2}],
      route_config: {virtual_hosts: [{name: all, domains: ["*"], routes: [{match: {prefix: /}, route: {cluster: a}}]}]}}}]}]
  clusters:
  - {name: a, connect_timeout: 1s, load_assignment: ${load:a}}
"""

HANDSHAKE = [("Host", "test"), ("Connection", "Upgrade"), ("Upgrade", "websocket"), ("Sec-WebSocket-Version", "13"),
             ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")]


class Relay:
    """A proxy that stays the same while Envoy and Pillion take turns in front of it."""

    def __init__(self, stage, kind, allowed=True):
        self._proxy = Proxy(kind, expand(RELAY, {**stage.values, "allowed": str(allowed).lower()}))
        self.port = self._proxy.port("in")

    def close(self):
        self._proxy.stop()


def setup(stage):
    stage.http("a")
    stage.values["envoy"] = Relay(stage, "envoy")
    stage.values["pillion"] = Relay(stage, "pillion")
    stage.values["closed"] = Relay(stage, "pillion", allowed=False)


def shake(t, target="/", headers=None, listener="web", answer=None, early=b"", talk=(b"ping",), wait_s=0):
    """The handshake, then `talk` block by block; observes what came back and what the origin saw."""
    t["a"].script = [answer or Upgrade(headers=(("Sec-WebSocket-Accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="),))]
    try:
        with t.client(listener) as client:
            client.send(client.head("GET", target, headers or HANDSHAKE) + early)
            response = client.read()
            seen = t.observe(response)
            if response.status == 101:
                time.sleep(wait_s)
                seen["echo"] = _talk(client, talk, early)
    except (OSError, ProtocolError) as e:
        seen = {"error": error_name(e)}
    seen["saw"] = [[r.target, plain_headers(r.headers)] for r in t["a"].seen]
    return seen


def _talk(client, talk, early):
    got = []
    for block in ([early] if early else []) + list(talk):
        if block is not early:
            client.send(block)
        want, have = len(block), b""
        while len(have.replace(b"[", b"").replace(b"]", b"")) < want:
            have += client.reader.buffer or client.sock.recv(65536)
            client.reader.buffer = b""
        got.append(have.replace(b"[", b"").replace(b"]", b"") == block)
    return got


@case({"status": 101, "echo": [True]})
def case_websocket(t):
    return shake(t)


@case({"status": 101, "echo": [True] * 3})
def case_many_bytes(t):
    # Without brackets in the data, so that the echo's own can be taken out.
    data = os.urandom(200000).replace(b"[", b"").replace(b"]", b"")
    return shake(t, talk=(b"a", data, b"b"))


@case({"status": 101, "echo": [True, True]})
def case_bytes_sent_before_the_answer(t):
    return shake(t, early=b"early")


@case({"status": 101})
def case_names_in_other_letters(t):
    seen = shake(t, headers=[("host", "test"), ("connection", "keep-alive, UPGRADE"), ("upgrade", "WebSocket")])
    # The options of one connection are not those of the next.
    seen["saw"] = [[target, [h for h in headers if h[0] != "connection"]] for target, headers in seen["saw"]]
    return seen


@case({"status": 101, "echo": [True]})
def case_path_rewritten(t):
    return shake(t, "/rewritten/x")


@case({"status": 101, "echo": [True]})
def case_the_route_s_timeout_does_not_apply(t):
    return shake(t, "/short", wait_s=0.5)


@case({"status": 400, "body": "no"})
def case_the_origin_refuses(t):
    return shake(t, answer=Answer(400, b"no"))


@case({"status": 200, "tunnel": False})
def case_the_origin_answers_plainly(t):
    """A 200 opens no tunnel. Envoy drops the body of such an answer, which nobody has to copy."""
    seen = shake(t, answer=Answer(200, b"plain"))
    return {"status": seen["status"], "tunnel": "echo" in seen, "saw": seen["saw"]}


@case({"status": 403})
def case_switched_off_by_the_route(t):
    return shake(t, "/off")


@case({"status": 403})
def case_not_configured(t):
    return shake(t, "/", listener="none")


@case({"status": 101})
def case_configured_by_the_route(t):
    return shake(t, "/on", listener="none")


@case({"status": 403})
def case_another_protocol(t):
    return shake(t, headers=[("Host", "test"), ("Connection", "Upgrade"), ("Upgrade", "irc")])


@case({"status": 200})
def case_upgrade_to_http_2(t):
    """The old upgrade to h2c is not an upgrade that a proxy follows."""
    headers = [("Host", "test"), ("Connection", "Upgrade, HTTP2-Settings"), ("Upgrade", "h2c"),
               ("HTTP2-Settings", "AAMAAABkAAQAAP__")]
    return shake(t, headers=headers, answer=Answer(200, b"x"))


@case({"ended": True})
def case_the_origin_ends(t):
    t["a"].script = [Raw(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nbye")]
    with t.client() as client:
        client.send(client.head("GET", "/", HANDSHAKE))
        status = client.read().status
        client.sock.settimeout(5)
        rest = client.reader.until_eof()
    return {"status": status, "rest": rest.decode(), "ended": True}


@case({"closed in time": True})
def case_idle_stream(t):
    t["a"].script = [Upgrade()]
    with t.client() as client:
        client.send(client.head("GET", "/", HANDSHAKE))
        client.read()
        start = time.monotonic()
        client.at_eof(5)
        took = time.monotonic() - start
    # Envoy may hold the socket a second longer for the peer's FIN.
    return {"closed in time": 0.9 < took < 3 or round(took, 2)}


# === over HTTP/2 ===

CHAT = [("Host", "test"), ("Connection", "Upgrade"), ("Upgrade", "chat/2"), ("X-Chat", "1")]
BYTES = os.urandom(200000).replace(b"[", b"").replace(b"]", b"")


def lower(fields):
    """Options of a connection are the same in any letters; HTTP/2 has none, so each proxy writes its own."""
    return [[k, v.lower()] if k == "connection" else [k, v] for k, v in fields]


def between(t, listener, how):
    """What the client and the origin see of an upgrade that crosses from proxy to proxy as HTTP/2."""
    seen = shake(t, listener=listener, **how)
    # Of the head of a 101, HTTP/2 carries what is not about the connection.
    seen["headers"] = [h for h in lower(seen.get("headers", [])) if h[0] not in ("transfer-encoding", "content-length")]
    seen["saw"] = [[target, lower(fields)] for target, fields in seen["saw"]]
    return seen


table(globals(), [
    (f"over HTTP/2, {name}, {listener}", expect, listener, how)
    for listener in ("to-envoy", "to-pillion")
    for name, expect, how in (
        ("websocket", {"status": 101, "echo": [True]}, {}),
        ("many bytes", {"status": 101, "echo": [True] * 3}, {"talk": (b"a", BYTES, b"b")}),
        ("bytes before the answer", {"status": 101, "echo": [True, True]}, {"early": b"early"}),
        ("another protocol", {"status": 101, "echo": [True]},
         {"headers": CHAT, "answer": Upgrade("chat/2", headers=(("X-Chat", "2"),))}),
        ("refused by the origin", {"status": 400, "body": "no"}, {"answer": Answer(400, b"no")}),
        ("not enabled", {"status": 403}, {"headers": [("Host", "test"), ("Connection", "Upgrade"), ("Upgrade", "irc")]}),
    )
], between)


@case(lambda seen: seen.get("status", 503) >= 500 or "error" in seen)
def case_over_HTTP_2_not_offered_by_the_next(t):
    """There is no tunnel, and the client is told; with which words is not compared."""
    seen = shake(t, listener="to-closed")
    return {"status": seen["status"], "saw": seen["saw"]} if "status" in seen else {"error": seen["error"]}


def connect2(t, listener, protocol, answer=None, block=b"ping"):
    """An extended CONNECT by an HTTP/2 client."""
    t["a"].script = [answer or Upgrade(protocol)]
    fields = [(":method", "CONNECT"), (":protocol", protocol), (":scheme", "http"), (":authority", "test"),
              (":path", "/chat?x=1"), ("sec-websocket-version", "13")]
    try:
        with t.h2(listener) as client:
            stream = client.h2.get_next_available_stream_id()
            client.responses[stream] = Response()
            client.h2.send_headers(stream, fields)
            client.flush()
            client.sock.settimeout(5)
            while client.responses[stream].status == 0 and stream not in client.resets and client.step():
                pass
            seen = {"status": client.responses[stream].status}
            if seen["status"] == 200:
                client.send_some(stream, block, False)
                while len(client.responses[stream].body) < len(block) + 2 and client.step():
                    pass
                seen["echo"] = client.responses[stream].body.decode()
                client.h2.end_stream(stream)
                client.flush()
                client.finish(stream)
    except (OSError, ProtocolError) as e:
        seen = {"error": error_name(e)}
    seen["saw"] = [[r.method, r.target, lower(plain_headers(r.headers))] for r in t["a"].seen]
    return seen


@case({"tunnel": False, "saw": []})
def case_CONNECT_by_a_client_where_it_is_not_offered(t):
    """The request is malformed then; whether the stream or the connection ends is not compared."""
    seen = connect2(t, "not-taking", "websocket")
    return {"tunnel": "echo" in seen or seen.get("status") == 200, "saw": seen["saw"]}


table(globals(), [
    ("CONNECT by a client, websocket", {"status": 200, "echo": "[ping]"}, "taking", "websocket"),
    ("CONNECT by a client, another protocol", {"status": 200, "echo": "[ping]"}, "taking", "chat/2"),
    ("CONNECT by a client, not enabled", {"status": 403}, "taking", "irc"),
    ("CONNECT by a client, refused by the origin", {"status": 404}, "taking", "websocket", Answer(404, b"no")),
], connect2)
