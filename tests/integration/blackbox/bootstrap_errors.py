"""Bootstrap files that cannot be honoured are refused, with the line and the field."""

import os
import re
import socket
import subprocess
import tempfile

from pillion_test import certs, find_binary, parity
from pillion_test.launch import private_address

from .kit import check, test

LIMIT_S = 15
HCM_LINES = """
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          ${hcm}
          stat_prefix: web
          http_filters: ${router}
"""
GOOD = """admin: ${admin}
static_resources:
  listeners:
  - name: web
    address: ${any}""" + HCM_LINES + """          route_config:
            name: r
            virtual_hosts:
            - name: all
              domains: ["*"]
              routes:
              - match: {prefix: /}
                route:
                  cluster: a
  clusters:
  - name: a
    connect_timeout: 1s
    load_assignment:
      cluster_name: a
      endpoints:
      - lb_endpoints:
        - endpoint:
            address:
              socket_address:
                address: 127.0.0.1
                port_value: 9
"""
# What to replace by what in the good file, and the field that the message has to name (a regular expression). The
# message must name the line of the first changed text, or of "# HERE" where the replacement has it. Not in the table is
# what Envoy runs (a scalar for a list of one, a key given twice, no filters at all).
BROKEN = [
    ("unknown top-level field", "static_resources:", "statik: 1 # HERE\nstatic_resources:", "statik"),
    ("unknown field of a listener", "    address: ${any}", "    adress: ${any}", "adress"),
    ("unknown field of a route", "                  cluster: a", "                  clustr: a", "clustr"),
    ("unknown field inside typed_config", "          stat_prefix: web", "          stat_prefx: web", "stat_prefx"),
    ("a string where a number belongs", "port_value: 9", "port_value: nine", "port_value"),
    ("a port out of range", "port_value: 9", "port_value: 99999", "port_value"),
    ("a negative number", "port_value: 9", "port_value: -1", "port_value"),
    ("a list where a message belongs", "                route:\n                  cluster: a",
     "                route: [a] # HERE", "route"),
    ("an empty list that must not be", '              domains: ["*"]', "              domains: []", "domains"),
    ("an unknown enum value",
     "    connect_timeout: 1s", "    connect_timeout: 1s\n    lb_policy: BEST # HERE", "lb_policy"),
    ("a duration without a unit", "connect_timeout: 1s", "connect_timeout: 1", "connect_timeout"),
    ("a duration that is words", "connect_timeout: 1s", "connect_timeout: soon", "connect_timeout"),
    ("a negative duration", "connect_timeout: 1s", "connect_timeout: -1s", "connect_timeout"),
    ("a bool that is words",
     "    connect_timeout: 1s", "    connect_timeout: 1s\n    use_tcp_for_dns_lookups: maybe # HERE",
     "use_tcp_for_dns_lookups"),
    ("a regular expression that does not compile",
     "match: {prefix: /}", 'match: {safe_regex: {regex: "a(b"}}', "regex"),
    ("a route without a match",
     "              - match: {prefix: /}\n                route:", "              - route: # HERE",
     "match"),
    ("a route to a cluster that does not exist",
     "                  cluster: a", "                  cluster: b", "cluster"),
    ("two clusters of one name",
     "  clusters:\n", "  clusters:\n  - {name: a, connect_timeout: 1s} \n", "name|clusters"),
    ("a domain twice", '              domains: ["*"]', '              domains: ["*", "*"]', "domains"),
    ("an unknown filter type", "${hcm}", '"@type": type.googleapis.com/envoy.extensions.filters.network.nothing.v3.No',
     "typed_config|@type"),
    ("a filter that is not built in", "http_filters: ${router}",
     'http_filters: [{name: lua, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua}}]',
     "http_filters|typed_config|@type"),
    ("two fields of one choice", "                  cluster: a", "                  cluster: a\n                  "
     "cluster_header: x # HERE", "cluster_header|cluster"),
    ("a status out of range", "                route:\n                  cluster: a",
     "                direct_response: {status: 99999} # HERE", "status"),
    ("broken YAML", "  clusters:\n", "  clusters: [\n", ""),
    ("a tab for indentation", "  clusters:\n", "\tclusters:\n", ""),
    ("an address that is none", "address: 127.0.0.1", "address: 300.1.2.3", "address"),
    ("an unknown access-log operator",
     "          stat_prefix: web", "          stat_prefix: web\n          access_log: "
     "[{name: f, typed_config: {${file_log}, path: /dev/null, log_format: {text_format_source: "
     "{inline_string: '%NOPE%'}}}}] # HERE", "inline_string"),
]
TLS = """
      transport_socket:
        name: tls
        typed_config:
          ${tls_server}
          common_tls_context:
            tls_certificates:
            - certificate_chain: {filename: CRT}
              private_key: {filename: KEY} # KEYLINE
"""


def refuse(text, directory, name="bootstrap.yaml"):
    """Runs Pillion on the text; returns its exit status and what it printed."""
    path = os.path.join(directory, name)
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)
    return start(path)


def start(path):
    try:
        done = subprocess.run([find_binary("pillion"), "proxy", "-c", path], capture_output=True, text=True,
                              timeout=LIMIT_S, stdin=subprocess.DEVNULL)
    except subprocess.TimeoutExpired:
        return None, "it runs on"
    return done.returncode, done.stdout + done.stderr


def complete(template):
    address = private_address()
    return parity.expand(template, {}).replace(
        "${admin}", f"{{address: {{socket_address: {{address: {address[0]}, port_value: {address[1]}}}}}}}")


def expect_refusal(code, said, path, lines, field):
    """One line says FILE:LINE and the field; the exit status is not 0 and no signal's."""
    check(code is not None, "it runs on instead of refusing the file")
    check(code > 0, f"exit status {code}: {said[-500:]}")
    found = [line for line in said.splitlines() if re.search(rf"{re.escape(path)}:\d+", line)]
    check(found, f"no line names {path}:LINE in: {said[-600:]}")
    numbers = [int(n) for line in found for n in re.findall(rf"{re.escape(path)}:(\d+)", line)]
    check(set(numbers) & lines, f"line {sorted(lines)} is meant, said is: {found[0]}")
    check(any(re.search(field, line) for line in found), f"the field {field} is not named: {found[0]}")


def changed_lines(text, good):
    """The lines that a message may name: the one marked, else the first that differs and the one after it."""
    lines = text.splitlines()
    for number, line in enumerate(lines, 1):
        if "# HERE" in line:
            return {number}
    for number, (a, b) in enumerate(zip(lines, good.splitlines()), 1):
        if a != b:
            return {number, number + 1}
    return set(range(1, len(lines) + 1))


def add(title, old, new, field):
    @test(f"bootstrap: {title} is refused with its line{' and field' if field else ''}")
    def run():
        check(GOOD.count(old) >= 1, f"the test's own pattern {old!r} is not in the file")
        with tempfile.TemporaryDirectory(prefix="pillion-bootstrap-") as directory:
            good = complete(GOOD)
            text = complete(GOOD.replace(old, new, 1))
            text = text.replace(text.splitlines()[0], good.splitlines()[0], 1)  # the same admin address
            code, said = refuse(text, directory)
            expect_refusal(code, said, os.path.join(directory, "bootstrap.yaml"),
                           changed_lines(text.replace("\t", "  "), good), field)


for row in BROKEN:
    add(*row)


def with_tls(crt, key):
    marker = "          http_filters: ${router}\n"
    socket_lines = TLS.replace("CRT", crt).replace("KEY}", key + "}").lstrip("\n")
    # The first line of the list's element carries the dash.
    text = GOOD.replace("    - filters:\n", "    -" + socket_lines[5:] + "      filters:\n", 1)
    assert marker in text
    return text


@test("bootstrap: a certificate file that is not there is refused with its name")
def missing_certificate():
    with tempfile.TemporaryDirectory(prefix="pillion-bootstrap-") as directory:
        code, said = refuse(complete(with_tls("/nonexistent.crt", "/nonexistent.key")), directory)
        check(code is not None and code > 0 and "/nonexistent." in said, code, said[-500:])


@test("bootstrap: a key that does not belong to its certificate is refused")
def wrong_key():
    with tempfile.TemporaryDirectory(prefix="pillion-bootstrap-") as directory:
        ca = certs.Authority(directory)
        crt, _ = ca.issue("one", "DNS:one.test")
        _, key = ca.issue("two", "DNS:two.test")
        code, said = refuse(complete(with_tls(crt, key)), directory)
        check(code is not None and code > 0, code, said[-500:])
        check("bootstrap.yaml:" in said or "two.key" in said, said[-500:])
        check("PRIVATE KEY" not in said, "the key is told")


@test("bootstrap: JSON is taken, and a fault in it is refused with its line")
def json_file():
    with tempfile.TemporaryDirectory(prefix="pillion-bootstrap-") as directory:
        text = '{\n "static_resources": {\n  "clusters": [\n   {"name": "a", "conect_timeout": "1s"}\n  ]\n }\n}\n'
        code, said = refuse(text, directory, "bootstrap.json")
        expect_refusal(code, said, os.path.join(directory, "bootstrap.json"), {4}, "conect_timeout")


@test("bootstrap: several faults are told at once")
def several():
    with tempfile.TemporaryDirectory(prefix="pillion-bootstrap-") as directory:
        text = complete(GOOD.replace("port_value: 9", "port_value: nine").replace("    connect_timeout: 1s",
                                                                                  "    conect_timeout: 1s"))
        code, said = refuse(text, directory)
        check(code, code)
        check("port_value" in said and "conect_timeout" in said, "only a part is told:", said[-500:])


@test("bootstrap: a file that is not there, an empty one, a folder")
def no_file():
    with tempfile.TemporaryDirectory(prefix="pillion-bootstrap-") as directory:
        for path in (os.path.join(directory, "none.yaml"), directory):
            code, said = start(path)
            check(code is not None and code > 0 and path in said, path, code, said[-300:])
        code, said = refuse(os.urandom(3000).decode("latin-1"), directory)
        check(code is not None and code > 0, "random bytes:", code, said[-300:])


@test("bootstrap: an admin or listener port that is taken is told")
def taken():
    with tempfile.TemporaryDirectory(prefix="pillion-bootstrap-") as directory, \
            socket.create_server(("127.0.0.1", 0)) as busy:
        port = busy.getsockname()[1]
        text = complete(GOOD.replace("    address: ${any}", "    address: {socket_address: {address: 127.0.0.1, "
                                                            f"port_value: {port}}}}}", 1))
        code, said = refuse(text, directory)
        check(code is not None and code > 0 and str(port) in said, code, said[-400:])
