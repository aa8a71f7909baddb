"""WebSocket upgrades: the handshake, the bytes after it, and what is refused."""

import os
import time

from pillion_test import Answer, Raw, Upgrade
from pillion_test.parity import case, error_name, plain_headers
from pillion_test.wire import ProtocolError

HANDSHAKE = [("Host", "test"), ("Connection", "Upgrade"), ("Upgrade", "websocket"), ("Sec-WebSocket-Version", "13"),
             ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")]


def setup(stage):
    stage.http("a")


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
