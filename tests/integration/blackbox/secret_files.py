"""Certificates that a bootstrap has from files by SDS, without any control plane."""

import json
import os
import tempfile

from pillion_test import Http1Client, Proxy, certs, parity, wait_for

from .kit import check, equal, test

SECRET = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret"
STATIC = """
admin: ${admin}
static_resources:
  listeners:
  - name: web
    address: ${any}
    filter_chains:
    - transport_socket:
        name: tls
        typed_config:
          ${tls_server}
          common_tls_context:
            tls_certificate_sds_secret_configs:
            - {name: server, sds_config: {path_config_source: {path: DIR/sds.json}}}
      filters: [{name: envoy.filters.network.http_connection_manager, typed_config: {${hcm}, stat_prefix: web, http_filters: ${router}, route_config: {name: r, virtual_hosts: [{name: all, domains: ["*"], routes: [{match: {prefix: /}, direct_response: {status: 200}}]}]}}}]
"""


def write(directory, crt, key):
    def read(name):
        with open(os.path.join(directory, name), encoding="ascii") as f:
            return {"inline_string": f.read()}

    secret = {"@type": SECRET, "name": "server",
              "tls_certificate": {"certificate_chain": read(f"{crt}.crt"), "private_key": read(f"{key}.key")}}
    path = os.path.join(directory, "sds.json")
    with open(path + ".new", "w", encoding="utf-8") as out:
        json.dump({"resources": [secret]}, out)
    os.rename(path + ".new", path)


@test("secret files: a static listener serves the file's certificate, follows it, and keeps it when the next is bad")
def static_listener():
    with tempfile.TemporaryDirectory(prefix="pillion-secrets-") as directory:
        ca = certs.Authority(directory)
        ca.issue("one", "DNS:one.test")
        ca.issue("two", "DNS:two.test")
        write(directory, "one", "one")
        with Proxy("pillion", parity.expand(STATIC.replace("DIR", directory), {}), directory=directory) as proxy:
            port = proxy.port("web")

            def served():
                with Http1Client(port, tls=certs.client_context(ca.ca)) as client:
                    equal(client.get("/").status, 200)
                    return client.sock.getpeercert()["subject"][0][0][1]

            equal(served(), "one")
            write(directory, "two", "one")
            told = "resources[0].tls_certificate: the key does not belong to the certificate"
            wait_for(lambda: told in proxy.log_tail(), what="the bad file is told in the log")
            equal(served(), "one")
            write(directory, "two", "two")
            wait_for(lambda: served() == "two", what="the new certificate is served")
            check("PRIVATE KEY" not in proxy.log_tail(), "a key is told in the log")
