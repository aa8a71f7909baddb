"""Access logs: formats, operators, response flags and details, filters."""

import json
import re
import time

from pillion_test import Answer, Close, Hang, Raw, Reset
from pillion_test.parity import case, plain, table

# Text that the operating system or the library words: only what stands before it is compared.
_WORDS = re.compile(r"\|[^}]*")


def setup(stage):
    stage.http("a")
    stage.dead("dead")


def count_lines(path):
    with open(path, encoding="utf-8", errors="replace") as f:
        return len(f.readlines())


def logged(t, log, act):
    """What `act` makes appear in that log (one line)."""
    path = f"{t.dir}/{log}.log"
    # Lines of earlier cases may still be on their way: the log is flushed every 50 ms.
    before = -1
    while before != (before := count_lines(path)):
        time.sleep(0.12)
    act()
    lines = t.log_lines(f"{log}.log", before + 1)[before:]
    if len(lines) != 1:
        raise RuntimeError(f"{log}: {lines}")
    return lines[0]


def field(number, value):
    return lambda seen: seen["fields"][number] == value


TEXT = ("method path protocol code flags long_flags details received sent x-a alternative cut served trailer cluster "
        "route authority scheme attempts percent none").split()


def text(t, target, script=(), headers=(("X-A", "abcdef"),), **kwargs):
    t["a"].script = list(script)
    line = logged(t, "text", lambda: t.get(target, headers, **kwargs))
    return dict(zip(TEXT, plain(line).split("~")))


ROWS = [
    ("text: plain", {"method": "GET", "path": "/ok?q=1", "protocol": "HTTP/1.1", "code": "200", "flags": "-",
                     "details": "via_upstream", "x-a": "abcdef", "alternative": "abcdef", "cut": "abc", "served": "a",
                     "cluster": "a", "authority": "test", "percent": "100%", "none": "-", "sent": "2"},
     "/ok?q=1", [Answer(200, b"ok")]),
    ("text: the route's name", {"route": "the-name"}, "/named", [Answer(200, b"ok")]),
    ("text: the rewritten path", {"path": "/other"}, "/rewritten", [Answer(200, b"ok")]),
    ("text: response trailers", {"trailer": "tv"}, "/ok", [Answer(200, b"x", chunked=True, trailers=(("x-t", "tv"),))]),
    ("text: no route", {"code": "404", "flags": "NR", "details": "route_not_found"}, "/none", []),
    ("text: no endpoint", {"code": "503", "flags": "UH", "details": "no_healthy_upstream"}, "/empty", []),
    ("text: no cluster", {"code": "503", "flags": "NC", "details": "cluster_not_found"}, "/nocluster", []),
    ("text: timeout", {"code": "504", "flags": "UT", "details": "response_timeout"}, "/short", [Hang()]),
    ("text: retries exhausted", {"code": "500", "flags": "URX", "attempts": "2"}, "/retry", [Answer(500), Answer(500)]),
    ("text: retried with success", {"code": "200", "flags": "-", "attempts": "2"}, "/retry",
     [Answer(500), Answer(200, b"x")]),
    ("text: the origin's own error", {"code": "503", "flags": "-", "details": "via_upstream"}, "/ok", [Answer(503)]),
    ("text: direct", {"code": "200", "flags": "-", "details": "direct_response", "sent": "6"}, "/direct", []),
    ("text: redirect", {"code": "301", "flags": "-", "details": "direct_response"}, "/redirect", []),
    ("text: rubbish from the origin", {"code": "502", "flags": "UPE"}, "/ok", [Raw(b"rubbish\r\n\r\n")]),
]
table(globals(), ROWS, lambda t, target, script: text(t, target, script))


def without_words(seen):
    """Details of a lost connection name it in words of the system, as in {connection_failure|...}."""
    seen["details"] = _WORDS.sub("", seen["details"])
    return seen


LOST = [
    ("text: refused", {"code": "503", "flags": "UF",
                       "details": "upstream_reset_before_response_started{remote_connection_failure}"}, "/dead", []),
    ("text: closed before the answer", {"code": "503", "flags": "UC", "details":
     "upstream_reset_before_response_started{connection_termination}"}, "/ok", [Close()]),
    ("text: reset before the answer", {"code": "503", "flags": "UC", "details":
     "upstream_reset_before_response_started{connection_termination}"}, "/ok", [Reset()]),
    ("text: lost in the body", {"code": "200", "flags": "UPE", "details":
     "upstream_reset_after_response_started{protocol_error}"}, "/ok",
     [Raw(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc")]),
]
table(globals(), LOST, lambda t, target, script: without_words(text(t, target, script)))


@case({"received": "1000", "method": "POST"})
def case_text_bytes_of_a_body(t):
    return text(t, "/ok", [Answer(200, b"y" * 300)], method="POST", body=b"x" * 1000)


@case({"protocol": "HTTP/2", "code": "200"})
def case_text_http_2(t):
    t["a"].script = [Answer(200, b"ok")]
    return dict(zip(TEXT, plain(logged(t, "text", lambda: t.get2("/ok"))).split("~")))


@case({"flags": "DC", "code": "0"})
def case_text_the_client_leaves(t):
    t["a"].script = [Hang()]

    def leave():
        with t.client() as client:
            client.send(client.head("GET", "/ok", [("Host", "test")]))
            time.sleep(0.1)
    return dict(zip(TEXT, plain(logged(t, "text", leave)).split("~")))


@case({"flags": "DPE", "code": "400"})
def case_text_a_bad_request(t):
    seen = dict(zip(TEXT, plain(logged(t, "text", lambda: t.raw(b"GET / HTTP/1.1\r\nHo st: x\r\n\r\n"))).split("~")))
    # The details name the parser's own error.
    seen["details"] = seen["details"].split(".")[0]
    return seen


@case(lambda seen: seen[0].startswith('"GET /ok'))
def case_the_default_format(t):
    """The default line without its times and ids: [START] "METHOD PATH PROTOCOL" CODE FLAGS RX TX DURATION ..."""
    t["a"].script = [Answer(200, b"ok")]
    line = logged(t, "default", lambda: t.get("/ok", [("User-Agent", "me"), ("X-Forwarded-For", "9.9.9.9")]))
    if not re.match(r"\[\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z\] ", line):
        raise RuntimeError(line)
    rest = line.split("] ", 1)[1]
    parts = re.findall(r'"[^"]*"|\S+', rest)
    return [plain(p) if i not in (5, 6) else p.isdigit() for i, p in enumerate(parts)]


@case(lambda seen: seen[0] == "127.0.0.1")
def case_addresses(t):
    t["a"].script = [Answer(200, b"ok")]
    line = logged(t, "addresses", lambda: t.get("/ok"))
    parts = line.split("|")
    parts[7] = parts[7] == str(t.port())
    return [plain(p) if isinstance(p, str) else p for p in parts]


@case(lambda seen: seen[5].startswith("127.0.0.1:"))
def case_addresses_of_a_refusal(t):
    parts = logged(t, "addresses", lambda: t.get("/dead")).split("|")
    parts[7] = parts[7] == str(t.port())
    parts[9] = parts[9] != "-"
    return [plain(p) if isinstance(p, str) else p for p in parts]


@case({"duration": True, "request": True, "start": True, "same second": True, "request id": True})
def case_times(t):
    t["a"].script = [Answer(200, b"ok", delay_s=0.1)]
    before = time.time()
    parts = logged(t, "times", lambda: t.get("/ok")).split("|")
    duration, request, response, tx, day, start, second, fraction, rx_head, tx_head = parts[:10]
    connection, rid, service, common = parts[10:]
    return {"duration": 95 <= int(duration) <= 400, "request": int(request) <= 50,
            "response": 95 <= int(response) <= 400, "tx": int(tx) <= 50,
            "day": day == time.strftime("%Y-%m-%d", time.gmtime(before)),
            "start": bool(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", start)),
            "same second": abs(int(second) - before) < 2, "fraction": bool(re.fullmatch(r"\d+\.\d{3}", fraction)),
            "heads": 40 < int(rx_head) < 400 and 40 < int(tx_head) < 400, "connection": int(connection) >= 0,
            "request id": len(rid) == 36, "service": service.isdigit(), "common": 95 <= int(common) <= 400}


@case({"method": "GET", "code": 200, "both": "GET 200", "missing": None, "constant": "text", "number": 7, "yes": True})
def case_json(t):
    t["a"].script = [Answer(200, b"ok")]
    return json.loads(logged(t, "json", lambda: t.get("/ok", [("X-A", 'quote " back \\ slash')])))


@case({"code": 404, "flags": "NR"})
def case_json_of_a_failure(t):
    return json.loads(logged(t, "json", lambda: t.get("/none")))


@case({"awkward": "caf\xe9"})
def case_json_of_a_value_that_is_utf_8(t):
    t["a"].script = [Answer(200, b"ok")]
    return json.loads(logged(t, "json", lambda: t.get("/ok", [("X-A", "caf\xc3\xa9")])))


@case({"line": True})
def case_json_of_a_value_that_is_not_utf_8(t):
    """The line is JSON all the same; how the byte is shown is compared."""
    t["a"].script = [Answer(200, b"ok")]
    line = logged(t, "json", lambda: t.get("/ok", [("X-A", "caf\xe9")]))
    return {"line": bool(json.loads(line)), "shown": json.loads(line)["awkward"]}


@case({"code": 200})
def case_json_without_empty_values(t):
    t["a"].script = [Answer(200, b"ok")]
    return json.loads(logged(t, "omitted", lambda: t.get("/ok")))


@case({"line": "<> <200>"})
def case_text_without_empty_values(t):
    t["a"].script = [Answer(200, b"ok")]
    return {"line": logged(t, "empty", lambda: t.get("/ok"))}


@case({"line": "/none 404"})
def case_filter_by_status(t):
    t["a"].script = [Answer(200, b"ok")]
    return {"line": logged(t, "failures", lambda: (t.get("/ok"), t.get("/none")))}


@case({"line": "/none 404"})
def case_filter_by_flag(t):
    t["a"].script = [Answer(500, b"ok")]
    return {"line": logged(t, "noroute", lambda: (t.get("/ok"), t.get("/none")))}
