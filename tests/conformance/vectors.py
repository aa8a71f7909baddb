#!/usr/bin/env python3
"""Our vectors of HTTP/1 messages: what clients may send and what origins may answer, and what must become of each.

    vectors.py [PART_OF_A_NAME]

The format of vectors/*.txt is told in vectors/README.
"""

import os
import re
import sys
import time

import kit
from blackbox.kit import Scene
from pillion_test import Http1Client, TcpServer, reset_socket
from pillion_test.wire import Eof, ProtocolError, Reader

HERE = os.path.dirname(os.path.abspath(__file__))
LIMIT_S = 3
WAIT_S = 0.25  # What would have come has come by then.
UPGRADE = """
admin: ${admin}
static_resources:
  listeners:
  - name: web
    address: ${any}
    filter_chains: [{filters: [{name: envoy.filters.network.http_connection_manager, typed_config: {${hcm}, stat_prefix: web, upgrade_configs: [{upgrade_type: websocket}], use_remote_address: true, xff_num_trusted_hops: 0, internal_address_config: {}, http_protocol_options: {enable_trailers: true}, http_filters: ${router}, route_config: {name: r, virtual_hosts: [{name: all, domains: ["*"], routes: [{match: {prefix: ""}, route: {cluster: a}}]}]}}}]}]
  clusters:
  - {name: a, connect_timeout: 1s, typed_extension_protocol_options: ${h1_trailers}, load_assignment: ${load:a}}
"""

_ESCAPE = re.compile(r"\\(x[0-9a-fA-F]{2}|[rnt0\\])")
_REPEAT = re.compile(r"\{(\d+)\*([^}]*)\}")
_OCTETS = {"r": "\r", "n": "\n", "t": "\t", "0": "\0", "\\": "\\"}


class Wrong(Exception):
    """A vector's expectation that does not hold."""


def unescape(text):
    text = _REPEAT.sub(lambda m: m.group(2) * int(m.group(1)), text)
    return _ESCAPE.sub(lambda m: _OCTETS.get(m.group(1)) or chr(int(m.group(1)[1:], 16)), text)


def load(file):
    """[(name, bytes, [expectation, ...])] of a vector file."""
    found, name, data, expected = [], None, [], []
    with open(os.path.join(HERE, "vectors", file), encoding="ascii") as lines:
        for line in [*lines, "== \n"]:
            line = line[:-1]
            if line.startswith("== "):
                if name:
                    found.append((name, "".join(data).encode("latin-1"), expected))
                name, data, expected = line[3:], [], []
            elif line.startswith("> "):
                expected.append(line[2:])
            elif name and not expected:
                open_end = re.search(r"(?<!\\)(\\\\)*\\$", line)
                data.append(unescape(line[:-1]) if open_end else unescape(line) + "\r\n")
    return found


class Seen:
    """One request that the origin got."""

    def __init__(self, line, headers, connection):
        self.method, self.target = line.split(" ")[:2]
        self.headers, self.connection = headers, connection
        self.body, self.trailers, self.whole = b"", [], False

    def header(self, name):
        values = [v for k, v in self.headers if k.lower() == name.lower()]
        return ",".join(values) if values else None

    def framing(self):
        if self.header("transfer-encoding") is not None:
            return self.header("transfer-encoding")
        length = self.header("content-length")
        return "none" if length is None else f"length {length}"


class Origin(TcpServer):
    """Keeps what it gets, whole or not, and answers each request with `answer`: bytes, and what to do behind them."""

    expected_errors = (OSError, ValueError, ProtocolError)
    OK = (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", "keep")

    def __init__(self, name):
        self.seen, self.answers = [], []
        super().__init__(name=name)

    def handle(self, sock):
        number, reader = self.accepted, Reader(sock)
        while True:
            request = Seen(reader.line().decode("latin-1"), reader.fields(), number)
            self.seen.append(request)
            if request.framing() == "chunked":
                request.body, request.trailers = reader.chunks()
            elif request.framing() != "none":
                request.body = reader.exactly(int(request.header("content-length")))
            request.whole = True
            data, then = self.answers.pop(0) if self.answers else self.OK
            if request.method == "HEAD" and (data, then) == self.OK:
                data = data[:-2]
            sock.sendall(data)
            if then == "reset":
                time.sleep(0.05)  # The peer must have read the bytes before the reset throws them away.
                return reset_socket(sock)
            if then == "close":
                return None


def shown(headers):
    return [f"{k}: {v}"[:80] for k, v in headers]


def check_message(words, message, framing):
    """One expectation about a message as it arrived; True when it was one."""
    kind, _, rest = words.partition(" ")
    if kind == "sees":
        if rest.startswith("no "):
            if message.header(rest[3:]) is not None:
                raise Wrong(f"{words}: it is there: {shown(message.headers)}")
            return True
        name, _, value = rest.partition(":")
        spelt = [k for k, _ in message.headers if k == name] or [k for k, _ in message.headers if name == name.lower()]
        if not spelt or message.header(name) != unescape(value[1:]):
            raise Wrong(f"{words}: got {shown(message.headers)}")
    elif kind == "framing":
        if framing != rest:
            raise Wrong(f"{words}: it is {framing}")
    elif kind == "body":
        if message.body != unescape(rest).encode("latin-1"):
            raise Wrong(f"{words}: it is {message.body[:80]!r}")
    elif kind == "trailer":
        name, _, value = rest.partition(": ")
        if (name, value) not in message.trailers:
            raise Wrong(f"{words}: they are {message.trailers}")
    else:
        return False
    return True


def read_statuses(client, methods):
    """Every final answer until the connection ends or stays silent; (statuses, interim statuses, ended)."""
    statuses, interim = [], []
    client.sock.settimeout(WAIT_S if not methods else LIMIT_S)
    while True:
        method = methods[len(statuses)] if len(statuses) < len(methods) else "GET"
        try:
            answer = client.read(method)
        except TimeoutError:
            return statuses, interim, False
        except (Eof, ConnectionResetError):
            return statuses, interim, True
        statuses.append(answer.status)
        interim += [status for status, _ in answer.interim]
        client.sock.settimeout(WAIT_S if len(statuses) >= len(methods) else LIMIT_S)


def run_request(s, data, expected, pause_s=0.0005):
    """`data`: the bytes, or a list of pieces that are sent one after another."""
    pieces = data if isinstance(data, list) else [data]
    origin = s["a"]
    origin.seen, origin.answers = [], []
    wanted = [e.split() for e in expected]
    refused = next((w[1:] or ["400"] for w in wanted if w[0] == "refused"), None)
    statuses = refused or next(w[1:] for w in wanted if w[0] == "status")
    methods = [w[1] for w in wanted if w[0] == "origin"] or ["GET"] * len(statuses)
    methods += ["GET"] * (len(statuses) - len(methods))
    stays = ["stays"] in wanted
    with Http1Client(s.port(), limit_s=LIMIT_S) as client:
        try:
            for piece in pieces:
                client.send(piece)
                if len(pieces) > 1:
                    time.sleep(pause_s)
        except (ConnectionResetError, BrokenPipeError):
            pass  # Refused before its end.
        if stays:
            client.sock.settimeout(LIMIT_S)
            answers = [client.read(method) for method in methods]
            have, interim = [a.status for a in answers], [i for a in answers for i, _ in a.interim]
            if [str(h) for h in have] == statuses and client.get("/again").status != 200:
                raise Wrong("stays: the next request is not answered with 200")
            ended = False
        else:
            have, interim, ended = read_statuses(client, methods)
    if [str(h) for h in have] != statuses:
        raise Wrong(f"the client got {have} and {'the end' if ended else 'no end'}, the origin {[(r.method, r.target[:60]) for r in origin.seen]}")
    if (refused or ["closes"] in wanted) and not ended:
        raise Wrong("the client's connection is not ended")
    if refused and origin.seen:
        raise Wrong(f"the origin got {[(r.method, r.target[:60], shown(r.headers)) for r in origin.seen]}")
    for words in (w for w in expected if w.startswith("interim")):
        if words.split()[1:] != [str(i) for i in interim]:
            raise Wrong(f"{words}: got {interim}")
    check_origin(origin, expected, stays)


def check_origin(origin, expected, asked_again):
    seen = [r for r in origin.seen if not (asked_again and r.target == "/again")]
    wanted = [e.split(" ", 1)[1] for e in expected if e.startswith("origin ")]
    have = [f"{r.method} {r.target}" for r in seen]
    if wanted and have != [unescape(w) for w in wanted]:
        raise Wrong(f"the origin got {have}")
    if any(r.whole for r in seen) == ("nothing whole" in expected) and seen:
        raise Wrong(f"the origin got {have}, {'whole' if seen[0].whole else 'not whole'}")
    at = -1
    for words in expected:
        if words.startswith("origin "):
            at += 1
        elif seen:
            check_message(words, seen[max(at, 0)], seen[max(at, 0)].framing())


def run_response(s, data, expected):
    origin = s["a"]
    origin.drop_connections()  # What was lost on a reused connection would be sent again.
    origin.seen = []
    wanted = [e.split() for e in expected]
    then = next((w[1] for w in wanted if w[0] == "then"), "keep")
    origin.answers = [(data, then)]
    asked = next((e.split(" ", 3)[1:] for e in expected if e.startswith("request ")), ["GET", "/"])
    headers = [("Connection", "Upgrade"), tuple(asked[2].split(": "))] if len(asked) > 2 else []
    refused = next(((w[1:] or ["502"])[0] for w in wanted if w[0] == "refused"), None)
    with Http1Client(s.port(), limit_s=LIMIT_S) as client:
        answer = client.request(asked[0], asked[1], headers)
        if asked[0] == "HEAD":
            client.at_eof(0.05)
    status = refused or next(w[1] for w in wanted if w[0] == "status")
    if str(answer.status) != status:
        raise Wrong(f"the client got {answer.status} {answer.body[:120]!r}")
    if answer.complete == (["cut"] in wanted):
        raise Wrong(f"the client's answer is {'whole' if answer.complete else 'cut'}: {answer.framing}, {answer.body[:80]!r}")
    interim = next((w[1:] for w in wanted if w[0] == "interim"), [])
    if [str(i) for i, _ in answer.interim] != interim:
        raise Wrong(f"interim: {[i for i, _ in answer.interim]}")
    framing = f"length {answer.header('content-length')}" if answer.framing == "length" else answer.framing
    for words in expected:
        check_message(words, answer, framing)
    check_reuse(s, wanted, refused)


def check_reuse(s, wanted, refused):
    if not (refused or ["reused"] in wanted or ["not", "reused"] in wanted):
        return
    with Http1Client(s.port(), limit_s=LIMIT_S) as client:
        again = client.get("/next")
    if again.status != 200:
        raise Wrong(f"the next request got {again.status}")
    same = s["a"].seen[-1].connection == s["a"].seen[0].connection
    if same != (["reused"] in wanted):
        raise Wrong(f"the next request travelled on {'the same' if same else 'another'} connection")


def suite(name, file, run_one, only):
    begin = time.monotonic()
    line = kit.Line(name, 0, 0)
    with Scene(UPGRADE, origins={"a": Origin("a")}) as s:
        for title, data, expected in load(file):
            if only not in title:
                continue
            line.cases += 1
            try:
                run_one(s, data, expected)
                line.passed += 1
            except (Wrong, OSError, ProtocolError, IndexError) as e:
                line.failures.append(f"{title}: {'' if isinstance(e, Wrong) else type(e).__name__ + ': '}{str(e)[:400]}")
                s["a"].drop_connections()
        if s.proxy.process.poll() is not None:
            line.failures.append(f"the proxy ended: {s.proxy.complaint()}")
    line.took_s = time.monotonic() - begin
    return line


def run(only=""):
    return [suite("vectors: HTTP/1 requests", "requests.txt", run_request, only),
            suite("vectors: HTTP/1 responses", "responses.txt", run_response, only)]


if __name__ == "__main__":
    part = sys.argv[1] if len(sys.argv) > 1 else ""
    kit.main(lambda: run(part))
