#!/usr/bin/env python3
"""h2spec --strict against our server side: HTTP/2 by prior knowledge, and over TLS by ALPN."""

import subprocess
import tempfile
import time
import xml.etree.ElementTree as xml

import kit
from blackbox.kit import Scene
from pillion_test import Answer, HttpOrigin, certs

HCM = ("{name: envoy.filters.network.http_connection_manager, typed_config: {${hcm}, stat_prefix: w, "
       "http_filters: ${router}, route_config: {name: r, virtual_hosts: [{name: all, domains: [\"*\"], routes: "
       "[{match: {prefix: /}, route: {cluster: a}}]}]}}}")
TEMPLATE = """
admin: ${admin}
static_resources:
  listeners:
  - {name: web, address: ${any}, filter_chains: [{filters: [HCM2]}]}
  - name: secure
    address: ${any}
    filter_chains:
    - transport_socket:
        name: envoy.transport_sockets.tls
        typed_config:
          ${tls_server}
          common_tls_context:
            alpn_protocols: [h2, http/1.1]
            tls_certificates: [{certificate_chain: {filename: CERTS/server.crt}, private_key: {filename: CERTS/server.key}}]
      filters: [HCM]
  clusters:
  - {name: a, connect_timeout: 1s, load_assignment: ${load:a}}
""".replace("HCM2", HCM.replace("{${hcm},", "{${hcm}, codec_type: HTTP2,")).replace("HCM", HCM)

# h2spec tests RFC 7540; where RFC 9113 says otherwise, the case and the reason stand here.
EXCEPTIONS = {
    "http2/5.3.1: Sends PRIORITY frame that depend on itself":
        "RFC 9113 5.3 has no dependencies any more, and we say so in SETTINGS_NO_RFC7540_PRIORITIES",
}


def attributes(case):
    return f"{case.get('package')}: {case.get('classname')}"


def one(name, port, directory, *options):
    """One run of h2spec; its report is read, not its text."""
    begin = time.monotonic()
    report = f"{directory}/{name.replace(' ', '_')}.xml"
    done = subprocess.run([kit.tool("h2spec"), "--strict", "-h", "127.0.0.1", "-p", str(port), "-j", report, *options],
                          capture_output=True, text=True, timeout=300)
    try:
        cases = list(xml.parse(report).getroot().iter("testcase"))
    except OSError:
        return kit.Line(name, 0, 0, [f"no report: {(done.stdout + done.stderr)[-500:]}"])
    line = kit.Line(name, len(cases), 0)
    for case in cases:
        trouble = [child for child in case if child.tag in ("failure", "error", "skipped")]
        what = attributes(case)
        if not trouble:
            line.passed += 1
        elif what in EXCEPTIONS:
            line.exceptions.append(f"{what}: {EXCEPTIONS[what]}")
        else:
            text = " ".join((trouble[0].text or trouble[0].tag).split())
            line.failures.append(f"{what}: {text[:300]}")
    line.took_s = time.monotonic() - begin
    return line


def run():
    with tempfile.TemporaryDirectory(prefix="pillion-h2spec-") as directory:
        certs.Authority(directory).issue("server", "DNS:localhost")
        origins = {"a": HttpOrigin("a", default=Answer(200, b"h2spec wants a body of more than a few bytes\n"))}
        with Scene(TEMPLATE.replace("CERTS", directory), origins=origins) as s:
            return [one("h2spec --strict, cleartext", s.port("web"), directory),
                    one("h2spec --strict, TLS", s.port("secure"), directory, "-t", "-k")]


if __name__ == "__main__":
    kit.main(run)
