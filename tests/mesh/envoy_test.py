#!/usr/bin/env python3
"""Two real Envoys, with certificates from `pillion identity`, as the sidecars of a mesh that `pillion control` runs: the
shop's own YAML, captured connections, mutual TLS, and a change that takes effect live. Then Pillion takes the place of
each of the two: HTTP/1 crosses in both directions, over HTTP/2, as well as a WebSocket.

Needs root (or subordinate uids), iptables and Envoy (make deps-test). The network is of namespaces that end with it.
"""

import json
import os
import shutil
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(ROOT, "tests", "support"))

from pillion_test.mesh import (GATEWAY, PILLION, PROXY_UID, Machine, Pod, run, run_in_own_machine,  # noqa: E402
                               wait_for)

ENVOY = os.environ.get("ENVOY_BIN") or os.path.join(
    os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "pillion", "envoy", "envoy")
SHOP = os.path.join(ROOT, "examples", "shop")
CONTROL, ADMIN = f"{GATEWAY}:15012", "127.0.0.1:15014"
PODS = {"client": "10.77.1.10", "web-1": "10.77.1.11", "orders-1": "10.77.2.21"}
APPLICATION = """
import http.server
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        if self.headers.get("upgrade") == "websocket":
            self.send_response(101)
            self.send_header("Connection", "Upgrade")
            self.send_header("Upgrade", "websocket")
            self.end_headers()
            self.wfile.write(b"<" + self.rfile.read(4) + b">")
            self.rfile.read()
            self.close_connection = True
            return
        body = f"path={self.path} xfcc={self.headers.get('x-forwarded-client-cert')}\\n".encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
http.server.ThreadingHTTPServer(("0.0.0.0", 8080), Handler).serve_forever()
"""


def bootstrap(pod, directory, api_type):
    tls = {"certificate_chain": {"filename": f"{directory}/current/cert.pem"},
           "private_key": {"filename": f"{directory}/current/key.pem"}}
    name = "spiffe://cluster.local/ns/pillion-system/sa/pillion-control"
    context = {
        "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
        "common_tls_context": {
            "tls_params": {"tls_maximum_protocol_version": "TLSv1_3"},
            "tls_certificates": [tls],
            "validation_context": {
                "trusted_ca": {"filename": f"{directory}/current/ca.pem"},
                "match_typed_subject_alt_names": [{"san_type": "URI", "matcher": {"exact": name}}]}}}
    http2 = {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
        "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
        "explicit_http_config": {"http2_protocol_options": {}}}}
    host, port = CONTROL.split(":")
    return {
        "node": {"id": f"{pod.name}.shop", "cluster": f"{pod.account}.shop",
                 "metadata": {"POD_IP": pod.ip, "PILLION_TLS_FILES": directory}},
        "admin": {"address": {"socket_address": {"address": "127.0.0.1", "port_value": 15000}}},
        "dynamic_resources": {
            "ads_config": {"api_type": api_type, "transport_api_version": "V3",
                           "grpc_services": [{"envoy_grpc": {"cluster_name": "control"}}]},
            "lds_config": {"ads": {}, "resource_api_version": "V3"},
            "cds_config": {"ads": {}, "resource_api_version": "V3"}},
        "static_resources": {"clusters": [{
            "name": "control", "type": "STATIC", "connect_timeout": "2s", "typed_extension_protocol_options": http2,
            "transport_socket": {"name": "envoy.transport_sockets.tls", "typed_config": context},
            "load_assignment": {"cluster_name": "control", "endpoints": [{"lb_endpoints": [{"endpoint": {
                "address": {"socket_address": {"address": host, "port_value": int(port)}}}}]}]}}]}}


def write_config(directory):
    """The shop, with only the pods that are raised here, all of web's traffic to its stable version."""
    for name in ("mesh.yaml", "web.yaml"):
        shutil.copy(os.path.join(SHOP, name), directory)
    with open(os.path.join(SHOP, "pods.yaml"), encoding="utf-8") as f:
        documents = [d for d in f.read().split("\n---\n") if any(f"podIP: {ip}\n" in d + "\n" for ip in PODS.values())]
    with open(os.path.join(directory, "pods.yaml"), "w", encoding="utf-8") as out:
        out.write("\n---\n".join(documents))
    with open(os.path.join(SHOP, "web-route.yaml"), encoding="utf-8") as f:
        route = f.read().replace("weight: 90", "weight: 100").replace("weight: 10\n", "weight: 0\n")
    with open(os.path.join(directory, "web-route.yaml"), "w", encoding="utf-8") as out:
        out.write(route)


def start_pod(machine, state, name, api_type):
    pod = Pod(machine, name, PODS[name], account=name.split("-")[0])
    token = run(PILLION, "token", "--state", state, "--spiffe-id", f"spiffe://cluster.local/ns/shop/sa/{pod.account}",
                "--address", CONTROL).stdout.strip()
    directory = pod.path("identity")
    identity = pod.start("identity", [PILLION, "identity", "--token", token, "--out", directory], uid=PROXY_UID)
    wait_for(lambda: os.path.exists(f"{directory}/cert.pem") or identity.poll() is not None, 20, "a certificate")
    assert identity.poll() is None, pod.log("identity")
    with open(pod.path("envoy.json"), "w", encoding="utf-8") as out:
        json.dump(bootstrap(pod, directory, api_type), out)
    pod.run(PILLION, "init")
    pod.start("envoy", [ENVOY, "-c", pod.path("envoy.json"), "--concurrency", "1", "--disable-hot-restart", "-l", "info"],
              uid=PROXY_UID)
    wait_for(lambda: pod.run("curl", "-sf", "http://127.0.0.1:15000/ready", check=False).returncode == 0, 30,
             f"the Envoy of {name} is ready")
    return pod


def start_pillion(machine, state, pod):
    token = pod.path("token")
    with open(token, "w", encoding="ascii") as out:
        out.write(run(PILLION, "token", "--state", state, "--spiffe-id",
                      f"spiffe://cluster.local/ns/shop/sa/{pod.account}", "--address", CONTROL).stdout)
    os.chown(token, PROXY_UID, PROXY_UID)
    pod.start("proxy", [PILLION, "proxy", "--control-plane", CONTROL, "--join-token-file", token, "--service-node",
                        f"{pod.name}.shop", "--concurrency", "1"], uid=PROXY_UID,
              env={"POD_IP": pod.ip, "POD_NAME": pod.name, "POD_NAMESPACE": "shop"})
    wait_for(lambda: pod.run("curl", "-sf", "http://127.0.0.1:15000/ready", check=False).returncode == 0, 20,
             f"the Pillion of {pod.name} is ready")


WEBSOCKET = """
import socket
s = socket.create_connection(("web.shop", 80), 5)
s.sendall(b"GET /ws HTTP/1.1\\r\\nHost: web.shop\\r\\nConnection: Upgrade\\r\\nUpgrade: websocket\\r\\n\\r\\nping")
got = b""
while b"<ping>" not in got and (data := s.recv(4096)):
    got += data
print(got.decode())
"""


def check_pair(pod, who):
    """From the pod to web, over the two sidecars."""
    def get():
        return pod.run("curl", "-s", "--max-time", "5", "http://web.shop/pair", check=False).stdout
    answer = wait_for(lambda: told if "path=/rewritten" in (told := get()) else "", 20, f"{who}: web answers")
    assert f"URI=spiffe://cluster.local/ns/shop/sa/{pod.account}" in answer, answer
    told = pod.run(sys.executable, "-c", WEBSOCKET, check=False).stdout
    assert told.startswith("HTTP/1.1 101") and "<ping>" in told, told
    print(f"ok   {who}: a request and a WebSocket")


def http2_connections(pod):
    """How many connections of HTTP/2 the Envoy of web has served so far, by its own count."""
    text = pod.run("curl", "-s", "http://127.0.0.1:15000/stats?filter=http.inbound_8080.downstream_cx_http2_total").stdout
    return int(text.split(": ")[1]) if ": " in text else 0


def check_with_pillion(machine, state, pods):
    orders = Pod(machine, "orders-1", PODS["orders-1"], account="orders")
    pods["orders-1"] = orders
    orders.run(PILLION, "init")
    start_pillion(machine, state, orders)
    before = http2_connections(pods["web-1"])
    check_pair(orders, "from Pillion to Envoy")
    assert http2_connections(pods["web-1"]) == before + 1, "Envoy was not spoken HTTP/2 to, on one connection"
    pods["web-1"].processes["envoy"].kill()
    pods["web-1"].processes["envoy"].wait()
    start_pillion(machine, state, pods["web-1"])
    check_pair(pods["client"], "from Envoy to Pillion")
    check_pair(orders, "from Pillion to Pillion")


def main_inside(work):
    config, state = os.path.join(work, "config"), os.path.join(work, "state")
    os.mkdir(config)
    write_config(config)
    machine = Machine(work)
    machine.raise_network({"10.78.0.10": ["web.shop"]})
    machine.start([PILLION, "control", "--config", config, "--state", state, "--listen", CONTROL, "--admin", ADMIN],
                  os.path.join(work, "control.log"))
    wait_for(lambda: run("curl", "-sf", f"http://{ADMIN}/ready", check=False).returncode == 0, 20, "the control plane")
    pods = {}
    try:
        pods["web-1"] = start_pod(machine, state, "web-1", "GRPC")
        pods["client"] = start_pod(machine, state, "client", "DELTA_GRPC")
        check_all(config, pods)
        check_with_pillion(machine, state, pods)
        print("7 passed, 0 failed")
    except BaseException:
        print("--- control plane\n" + open(os.path.join(work, "control.log"), encoding="utf-8").read()[-3000:])
        for pod in pods.values():
            print(f"--- {pod.name}\n" + pod.log("envoy")[-3000:] + pod.log("proxy")[-3000:])
        raise


def check_all(config, pods):
    pods["web-1"].start("app", [sys.executable, "-c", APPLICATION])
    client = pods["client"]

    def get(path="/"):
        return client.run("curl", "-s", "--max-time", "5", "-w", "status=%{http_code}", f"http://web.shop{path}",
                          check=False).stdout
    answer = wait_for(lambda: get("/a") if "status=200" in get("/a") else None, 20, "web answers through two Envoys")
    assert "path=/a" in answer and "URI=spiffe://cluster.local/ns/shop/sa/client" in answer, answer
    print("ok   a captured request passes two Envoys, and web sees the client's SPIFFE ID")

    text = run(PILLION, "status", "--admin", ADMIN).stdout
    assert text.count("in force") == 2 and "delta" in text and "sotw" in text and "rejected" not in text, text
    print("ok   both have the revision in force, one by delta, one by state of the world; nothing is rejected")

    # Nobody may speak to web without an identity of the mesh.
    plain = run("curl", "-s", "--max-time", "5", "-o", "/dev/null", "-w", "%{http_code}", "http://10.77.1.11:8080/", check=False)
    assert plain.returncode != 0, plain.stdout
    print("ok   whoever has no identity is refused in strict mode")

    path = os.path.join(config, "web-route.yaml")
    with open(path, encoding="utf-8") as f:
        route = f.read()
    rewrite = ("    - filters:\n        - type: URLRewrite\n          urlRewrite:\n            path:\n"
               "              type: ReplaceFullPath\n              replaceFullPath: /rewritten\n      backendRefs:\n")
    with open(path + ".tmp", "w", encoding="utf-8") as out:
        out.write(route.replace("    - backendRefs:\n", rewrite))
    began = time.monotonic()
    os.rename(path + ".tmp", path)
    wait_for(lambda: "path=/rewritten" in get("/b"), 10, "the changed route is in force", step_s=0.01)
    print(f"ok   a changed route is in force at Envoy after {1000 * (time.monotonic() - began):.0f} ms")


def main():
    for program in (PILLION, ENVOY):
        if not os.access(program, os.X_OK):
            print(f"FAIL {program} is not there")
            return 1
    return run_in_own_machine(__file__)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--inside"]:
        main_inside(sys.argv[2])
    else:
        sys.exit(main())
