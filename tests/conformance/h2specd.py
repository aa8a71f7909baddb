#!/usr/bin/env python3
"""h2specd as the upstream of our client side, cleartext and TLS: each of its ports plays one broken or odd server.

h2specd starts a client for each port with the URL of the port; ours is curl through the proxy, which has a cluster for
each port and chooses by the host.
"""

import re
import subprocess
import tempfile
import time

import kit
from pillion_test import Proxy, certs, launch, parity

FIRST_PORT = 30000
PORTS = 80  # More than h2specd has cases; checked.

TEMPLATE = """
admin: ${admin}
static_resources:
  listeners:
  - name: web
    address: ${any}
    filter_chains:
    - SERVER_TLS
      filters: [{name: envoy.filters.network.http_connection_manager, typed_config: {${hcm}, stat_prefix: w, http_filters: ${router}, route_config: {name: r, virtual_hosts: [HOSTS]}}}]
  clusters: [CLUSTERS]
"""
SERVER_TLS = """transport_socket: {name: envoy.transport_sockets.tls, typed_config: {${tls_server}, common_tls_context: {
        tls_certificates: [{certificate_chain: {filename: DIR/server.crt}, private_key: {filename: DIR/server.key}}]}}}"""
CLIENT_TLS = """, transport_socket: {name: envoy.transport_sockets.tls, typed_config: {${tls_client}, common_tls_context: {
        alpn_protocols: [h2]}}}"""

_CASE = re.compile(r"^\s*(✔|×)?\s*(\d+): (.*)$")
_SECTION = re.compile(r"^\s*(\d+(?:\.\d+)*\.) (.*)$")
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


def bootstrap(directory, address, tls):
    ports = range(FIRST_PORT, FIRST_PORT + PORTS)
    hosts = ", ".join(f'{{name: "h{p}", domains: ["{address}:{p}"], routes: [{{match: {{prefix: /}}, route: {{cluster: "c{p}"}}}}]}}'
                      for p in ports)
    clusters = ", ".join(
        f'{{name: "c{p}", connect_timeout: 1s, typed_extension_protocol_options: ${{h2}}, load_assignment: {{cluster_name: "c{p}", '
        f'endpoints: [{{lb_endpoints: [{{endpoint: {{address: {{socket_address: {{address: {address}, port_value: {p}}}}}}}}}]}}]}}'
        f'{CLIENT_TLS if tls else ""}}}' for p in ports)
    text = TEMPLATE.replace("SERVER_TLS", SERVER_TLS if tls else "name: plain").replace("HOSTS", hosts)
    return parity.expand(text.replace("CLUSTERS", clusters).replace("DIR", directory), {})


def cases(text):
    """[(name, problem or None)] of h2specd's report."""
    found, section, open_case = [], "", None
    for raw in text.split("Failures:")[0].splitlines():
        for part in raw.split("\r"):
            line = _COLOUR.sub("", part)
            if match := _CASE.match(line):
                mark, number, what = match.groups()
                open_case = [f"{section} {number}: {what}", None if mark == "✔" else "skipped" if not mark else ""]
                found.append(open_case)
            elif match := _SECTION.match(line):
                section, open_case = match.group(1), None
            elif open_case and open_case[1] is not None and line.strip():
                open_case[1] += " " + line.strip()
    return found


def one(name, directory, tls):
    begin = time.monotonic()
    address = launch.private_address()[0]
    with Proxy("pillion", bootstrap(directory, address, tls)) as proxy:
        curl = (f"curl -s -k -m 2 -o {directory}/body --connect-to ::127.0.0.1:{proxy.port('web')}")
        options = ["-t", "-c", f"{directory}/server.crt", "-k", f"{directory}/server.key"] if tls else []
        done = subprocess.run([kit.tool("h2specd"), "--strict", "-h", address, "-f", str(FIRST_PORT), "-e", curl, *options],
                              capture_output=True, text=True, timeout=300)
        alive = proxy.process.poll() is None
    found = cases(done.stdout)
    line = kit.Line(name, len(found), sum(problem is None for _, problem in found))
    line.failures = [f"{what}: {problem.strip()}" for what, problem in found if problem is not None]
    if done.returncode != 0 or not alive or not re.search(rf"\b{len(found)} tests?, {line.passed} passed", done.stdout):
        line.failures.append(f"status {done.returncode}, proxy alive: {alive}, the end of the report: {done.stdout[-300:]}")
    if len(found) > PORTS:
        line.failures.append(f"there are more cases than the {PORTS} ports that have a cluster")
    line.took_s = time.monotonic() - begin
    return line


def patiently(*args):
    """h2specd gives up at a case that takes 3 s, which a machine that stands still can make it do: once more, then."""
    line = one(*args)
    return one(*args) if any("Error: Timeout" in text for text in line.failures) else line


def run():
    with tempfile.TemporaryDirectory(prefix="pillion-h2specd-") as directory:
        certs.Authority(directory).issue("server", "DNS:localhost")
        return [patiently("h2specd --strict, cleartext", directory, False),
                patiently("h2specd --strict, TLS", directory, True)]


if __name__ == "__main__":
    kit.main(run)
