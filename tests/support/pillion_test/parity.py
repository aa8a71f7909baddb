"""The frame of the parity tests: one bootstrap file, two proxies, the same requests, and what may differ.

A topic is a bootstrap template (`parity/TOPIC.yaml`) and a Python module (`parity/TOPIC.py`) with `setup(stage)`, which
makes the origins, and cases marked by `@case`. A case gets a `Driver` and returns an observation: any JSON-able value.
The two observations must be equal; `expect` must hold for each of them, so that a case cannot pass by two proxies
failing alike.
"""

import hashlib
import json
import os
import re
import subprocess
import tempfile
import time

from .h2peer import H2Client, H2Origin
from .launch import Proxy
from .origin import HttpOrigin
from .tcp import DeadPort, TcpServer
from .wire import Eof, Http1Client, ProtocolError, Response

_TYPES = "type.googleapis.com/envoy.extensions."
_MACROS = {
    "any": "{socket_address: {address: 127.0.0.1, port_value: 0}}",
    "router": '[{name: envoy.filters.http.router, typed_config: {"@type": '
              f"{_TYPES}filters.http.router.v3.Router}}}}]",
    "hcm": f'"@type": {_TYPES}filters.network.http_connection_manager.v3.HttpConnectionManager',
    "tcp_proxy": f'"@type": {_TYPES}filters.network.tcp_proxy.v3.TcpProxy',
    "tls_server": f'"@type": {_TYPES}transport_sockets.tls.v3.DownstreamTlsContext',
    "tls_client": f'"@type": {_TYPES}transport_sockets.tls.v3.UpstreamTlsContext',
    "file_log": f'"@type": {_TYPES}access_loggers.file.v3.FileAccessLog',
    "tls_inspector": '{name: envoy.filters.listener.tls_inspector, typed_config: {"@type": '
                     f"{_TYPES}filters.listener.tls_inspector.v3.TlsInspector}}}}",
    "http_inspector": '{name: envoy.filters.listener.http_inspector, typed_config: {"@type": '
                      f"{_TYPES}filters.listener.http_inspector.v3.HttpInspector}}}}",
    "previous_hosts": '{name: envoy.retry_host_predicates.previous_hosts, typed_config: {"@type": '
                      f"{_TYPES}retry.host.previous_hosts.v3.PreviousHostsPredicate}}}}",
    "http_options": f'envoy.extensions.upstreams.http.v3.HttpProtocolOptions: {{"@type": '
                    f"{_TYPES}upstreams.http.v3.HttpProtocolOptions, ",
}
_MACROS["h2"] = "{" + _MACROS["http_options"] + "explicit_http_config: {http2_protocol_options: {}}}}"
_MACROS["h1_trailers"] = ("{" + _MACROS["http_options"] +
                          "explicit_http_config: {http_protocol_options: {enable_trailers: true}}}}")

# Headers that no case compares unless it asks for them, because their value is a measurement or a name. Each has a case
# of its own, so that a proxy without one of them fails once and not everywhere.
UNCOMPARED = {"date", "server", "x-envoy-upstream-service-time", "x-envoy-expected-rq-timeout-ms"}
_UUID = re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b")
_ADDRESS = re.compile(r"\b(127\.\d+\.\d+\.\d+):\d{4,5}\b")


def expand(template, values):
    """Replaces ${name} and ${kind:argument}; an unknown name is an error of the test, `${admin}` is left alone."""
    def endpoint(name):
        return f"{{endpoint: {address(name)}}}"

    def address(name):
        return f"{{address: {{socket_address: {{address: 127.0.0.1, port_value: {values[name].port}}}}}}}"

    def one(match):
        key, _, argument = match.group(1).partition(":")
        if key == "admin":
            return match.group(0)
        if key == "addr":
            return address(argument)
        if key == "ep":
            return endpoint(argument)
        if key == "port":
            return str(values[argument].port)
        if key == "load":
            endpoints = ", ".join(endpoint(n) for n in argument.split(","))
            return f"{{cluster_name: {argument.split(',')[0]}, endpoints: [{{lb_endpoints: [{endpoints}]}}]}}"
        return _MACROS[key] if key in _MACROS else str(values[key])
    return re.sub(r"\$\{([^}]+)\}", one, template)


class Stage:
    """The origins and the temporary directory of one topic; they stay the same for both proxies."""

    def __init__(self):
        self.values = {}
        self._tmp = tempfile.TemporaryDirectory(prefix="pillion-parity-")
        self.dir = self._tmp.name
        self.values["dir"] = self.dir

    def _add(self, name, thing):
        self.values[name] = thing
        return thing

    def http(self, *names, **kwargs):
        for name in names:
            self._add(name, HttpOrigin(name, **kwargs))
        return self.values[names[-1]]

    def http2(self, *names, **kwargs):
        for name in names:
            self._add(name, H2Origin(name, **kwargs))
        return self.values[names[-1]]

    def tcp(self, name, handler=None, **kwargs):
        return self._add(name, TcpServer(handler, name=name, **kwargs))

    def dead(self, name="dead"):
        return self._add(name, DeadPort(name))

    def origins(self):
        return [v for v in self.values.values() if hasattr(v, "clear")]

    def close(self):
        for value in self.values.values():
            if hasattr(value, "close"):
                value.close()
        self._tmp.cleanup()


def _own_addresses():
    """Envoy appends an address of the machine instead of 127.0.0.1 to x-forwarded-for; both mean this machine."""
    try:
        told = subprocess.run(["ip", "-j", "-4", "addr"], capture_output=True, check=True, timeout=5).stdout
        found = [a["local"] for link in json.loads(told) for a in link.get("addr_info", []) if "local" in a]
    except (OSError, ValueError, subprocess.SubprocessError):
        found = []
    return re.compile("|".join(rf"(?<![\d.]){re.escape(a)}(?![\d.])" for a in found if a != "127.0.0.1") or r"(?!)")


_OWN = _own_addresses()


def plain(text):
    """A text without what differs by nature: ids, client ports, the proxy's own name."""
    text = _UUID.sub("<uuid>", text)
    text = _OWN.sub("127.0.0.1", text)
    text = _ADDRESS.sub(r"\1:<port>", text)
    return text


def plain_headers(headers, keep=()):
    """Sorted [name, value] pairs with lower-case names; values of one name keep their order."""
    found = [[k.lower(), plain(v)] for k, v in headers if k.lower() not in UNCOMPARED - set(keep)]
    return sorted(found, key=lambda pair: pair[0])


def _body(body):
    if len(body) > 2000:
        return f"<{len(body)} bytes, sha256 {hashlib.sha256(body).hexdigest()[:16]}>"
    return plain(body.decode("latin-1"))


def _echoed(body):
    """The origin's description of the request when the body is one, else None."""
    try:
        seen = json.loads(body)
    except ValueError:
        return None
    return seen if isinstance(seen, dict) and "origin" in seen and "target" in seen else None


def _host(fields):
    """HTTP/2's :authority and HTTP/1's host are one thing."""
    return [["host" if k == ":authority" else k, v] for k, v in fields if k not in (":method", ":path")]


class Driver:
    """What a case works with: the running proxy, the origins, and requests that become observations."""

    def __init__(self, stage, proxy, ports):
        self.stage = stage
        self.proxy = proxy
        self._ports = ports
        self.dir = stage.dir

    def __getitem__(self, origin):
        return self.stage.values[origin]

    def port(self, listener="web"):
        return self._ports[listener]

    def client(self, listener="web", **kwargs):
        return Http1Client(self.port(listener), **kwargs)

    def h2(self, listener="web", **kwargs):
        return H2Client(self.port(listener), **kwargs)

    def get(self, target="/", headers=(), host="test", listener="web", method="GET", body=None, keep=(), **kwargs):
        """One request on a connection of its own, observed."""
        try:
            with self.client(listener, **kwargs) as client:
                return self.observe(client.request(method, target, headers, body, host), keep)
        except (Eof, ProtocolError, OSError) as e:
            return {"error": error_name(e)}

    def get2(self, target="/", headers=(), host="test", listener="web", method="GET", body=None, trailers=(), keep=(),
             pseudo=None, **kwargs):
        """The same over HTTP/2."""
        try:
            with self.h2(listener, **kwargs) as client:
                stream = client.start(method, target, headers, body, host, trailers, pseudo)
                seen = self.observe(client.finish(stream), keep)
                if stream in client.resets:
                    seen["reset"] = client.resets[stream]
                return seen
        except (Eof, ProtocolError, OSError) as e:
            return {"error": error_name(e)}

    def raw(self, data, listener="web", method="GET", answers=1):
        """Sends bytes as they are, observes that many answers, and whether the connection ends unannounced."""
        seen = []
        try:
            with self.client(listener) as client:
                client.send(data)
                for _ in range(answers):
                    seen.append(self.observe(client.read(method)))
                # Envoy waits up to a second before a close that it has announced; that wait is not worth the time.
                announced = ["connection", "close"] in seen[-1]["headers"]
                return {"answers": seen} | ({} if announced else {"goes on": not client.at_eof(0.05)})
        except (Eof, ProtocolError, OSError) as e:
            return {"answers": seen, "error": error_name(e)}

    def observe(self, response: Response, keep=()):
        seen = {"status": response.status, "headers": plain_headers(response.headers, keep)}
        if not response.complete:
            seen["complete"] = False
        if response.trailers:
            seen["trailers"] = plain_headers(response.trailers)
        if response.interim:
            seen["interim"] = len(response.interim)
        echo = _echoed(response.body)
        if echo:
            # The length of the echo depends on what differs by nature.
            seen["headers"] = [h for h in seen["headers"] if h[0] not in ("content-length", "transfer-encoding")]
            seen["origin"] = {"name": echo["origin"], "method": echo["method"], "target": echo["target"],
                              "headers": plain_headers(_host(echo["headers"]), keep),
                              "body_length": echo["body_length"]}
        else:
            seen["body"] = _body(response.body)
        return seen

    def shares(self, count, target="/", host="test", headers=(), listener="web"):
        """How many of `count` requests on one connection each origin answered (other answers by status)."""
        found = {}
        client = self.client(listener)
        for _ in range(count):
            response = client.get(target, headers, host)
            who = response.header("x-served-by") or str(response.status)
            found[who] = found.get(who, 0) + 1
            if (response.header("connection") or "").lower() == "close":
                client.close()
                client = self.client(listener)
        client.close()
        return found

    def log_lines(self, name, count, limit_s=15):
        """The first `count` lines of an access log in the stage's directory, once they are there."""
        path = os.path.join(self.dir, name)
        end = time.monotonic() + limit_s
        while True:
            with open(path, encoding="utf-8", errors="replace") as f:
                lines = f.read().splitlines()
            if len(lines) >= count or time.monotonic() > end:
                return lines
            time.sleep(0.02)


def error_name(e):
    if isinstance(e, (Eof, ConnectionError, BrokenPipeError)):
        return "closed"
    if isinstance(e, TimeoutError):
        return "no answer in time"
    return type(e).__name__


def near(counts, want, points=3):
    """{name: True} when each share is within `points` per cent points of `want` (per cent), else the share itself."""
    total = sum(counts.values()) or 1
    found = {}
    for name in sorted(set(counts) | set(want)):
        share = 100 * counts.get(name, 0) / total
        found[name] = True if abs(share - want.get(name, 0)) <= points else round(share, 1)
    return found


def case(expect=None, name=None):
    """Marks a case. `expect` is a partial observation, or a function of one that gives true.

    A case whose `strict` attribute is set is one where Pillion has to refuse what Envoy may take; see `_judge`.
    """
    def mark(function):
        function.parity = {"name": name or function.__name__.removeprefix("case_").replace("_", " "), "expect": expect}
        return function
    return mark


def table(module, rows, make, strict=False):
    """Adds a case to `module` (a globals() dict) for each row: (name, expect, *arguments of `make(driver, ...)`)."""
    for row in rows:
        title, expect, *arguments = row

        def run(driver, arguments=arguments):
            return make(driver, *arguments)
        run.parity = {"name": title, "expect": expect, "strict": strict}
        module["case " + title] = run


def cases_of(module):
    return [v for v in vars(module).values() if callable(v) and hasattr(v, "parity")]


def holds(expect, seen):
    """None when the observation is as expected, else the first difference in words."""
    if expect is None:
        return None
    if callable(expect):
        try:
            held = expect(seen)
        except (KeyError, TypeError, IndexError) as e:
            held = False
            seen = f"{type(e).__name__} {e} in {json.dumps(seen)[:500]}"
        return None if held else f"does not hold for {json.dumps(seen)[:600]}"
    if isinstance(expect, dict):
        if not isinstance(seen, dict):
            return f"want {expect!r}, have {seen!r}"
        for key, value in expect.items():
            if key not in seen:
                return f"{key} is missing in {json.dumps(seen)[:400]}"
            if problem := holds(value, seen[key]):
                return f"{key}: {problem}"
        return None
    return None if expect == seen else f"want {expect!r}, have {seen!r}"


def run_topic(module, template, kinds, chosen, report):
    """Runs one topic; `report(case name, problem or None)` is called for each case in the end."""
    stage = Stage()
    try:
        module.setup(stage)
        bootstrap = expand(template, stage.values)
        cases = [c for c in cases_of(module) if not chosen or chosen in c.parity["name"]]
        seen = {}
        for kind in kinds:
            seen[kind] = _run_kind(kind, stage, bootstrap, cases)
        for one in cases:
            report(one.parity["name"], _judge(one, kinds, seen))
    finally:
        stage.close()


def _run_kind(kind, stage, bootstrap, cases):
    for file in os.listdir(stage.dir):
        if file.endswith(".log"):
            os.unlink(os.path.join(stage.dir, file))
    found = {}
    try:
        proxy = Proxy(kind, bootstrap, args=())
    except (OSError, RuntimeError, TimeoutError) as e:
        # The reason is told once, so that it is not lost among the cases.
        rest = {c.parity["name"]: {"not run": "see the first case"} for c in cases}
        return rest | {cases[0].parity["name"]: {"not started": str(e)}} if cases else {}
    with proxy:
        ports = proxy.ports()
        for one in cases:
            for origin in stage.origins():
                origin.clear()
            try:
                found[one.parity["name"]] = one(Driver(stage, proxy, ports))
            except Exception as e:  # A case that cannot be observed is a result too.
                found[one.parity["name"]] = {"failed": f"{type(e).__name__}: {e}"}
            if proxy.process.poll() is not None:
                found[one.parity["name"]] = {"died": proxy.log_tail(1500)}
                break
    return {c.parity["name"]: found.get(c.parity["name"], {"not run": "the proxy died before"}) for c in cases}


_BROKEN = {"not started", "failed", "died", "not run"}


def _judge(one, kinds, seen):
    name = one.parity["name"]
    for kind in kinds:
        have = seen[kind][name]
        if isinstance(have, dict) and _BROKEN & set(have):
            return f"{kind}: {json.dumps(have)[:1500]}"
        if problem := holds(one.parity["expect"], seen[kind][name]):
            return f"{kind}: {problem}"
    if one.parity.get("strict"):
        return _judge_strict(seen, name)
    if len(kinds) == 2 and seen[kinds[0]][name] != seen[kinds[1]][name]:
        return "\n".join(differences(seen[kinds[0]][name], seen[kinds[1]][name], kinds))
    return None


def _judge_strict(seen, name):
    """Pillion refuses; with the same status as Envoy where that refuses with the usual 400."""
    ours = [a["status"] for a in seen["pillion"][name]["answers"]] if "pillion" in seen else [400]
    theirs = [a["status"] for a in seen["envoy"][name]["answers"]] if "envoy" in seen else []
    if any(status < 400 for status in ours):
        return f"pillion takes it: {json.dumps(seen['pillion'][name])[:600]}"
    if theirs == [400] and ours not in ([400], []):
        return f"envoy answers 400, pillion {ours}"
    return None


def differences(left, right, kinds, path=""):
    """The places where two observations differ, a line each."""
    if isinstance(left, dict) and isinstance(right, dict):
        return [line for key in sorted(set(left) | set(right), key=str)
                for line in differences(left.get(key), right.get(key), kinds, f"{path}.{key}")]
    if isinstance(left, list) and isinstance(right, list):
        only_left = [x for x in left if x not in right]
        only_right = [x for x in right if x not in left]
        if only_left or only_right:
            return [f"{path}: only {kinds[0]} {only_left!r}, only {kinds[1]} {only_right!r}"]
    return [] if left == right else [f"{path}: {kinds[0]} {left!r}, {kinds[1]} {right!r}"]
