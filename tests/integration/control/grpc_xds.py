"""gRPC's own xDS client (the C core's, from Python) as a client of `pillion control`: no sidecar, the mesh's TLS."""

import json
import os
import subprocess
import sys
from concurrent import futures

import grpc

from .kit import PYTHON, Control, check, equal, read_bytes, test, wait_for

PLAIN, SECURE = "127.0.0.21", "127.0.0.22"

ECHO = """apiVersion: v1
kind: Service
metadata: {{name: {name}, namespace: shop}}
spec:
  selector: {{app: {name}}}
  ports: [{{name: grpc, port: 9000, targetPort: {port}}}]
---
apiVersion: v1
kind: Pod
metadata: {{name: {name}-1, namespace: shop, labels: {{app: {name}}}, annotations: {{pillion.dev/sidecar: "{sidecar}"}}}}
spec: {{serviceAccountName: echo}}
status: {{podIP: {ip}}}
"""

CLIENT = """
import grpc, grpc.experimental, sys
credentials = grpc.xds_channel_credentials(grpc.experimental.insecure_channel_credentials())
with grpc.secure_channel("xds:///" + sys.argv[1], credentials) as channel:
    answer = channel.unary_unary("/test.Echo/Say")(b"hello", timeout=20)
    sys.stdout.write(answer.decode())
"""


class Echo:
    """A gRPC server that says who called: the client's SPIFFE ID, if its certificate was asked for."""

    def __init__(self, ip, credentials=None):
        self.server = grpc.server(futures.ThreadPoolExecutor(2))
        handler = grpc.unary_unary_rpc_method_handler(self.say)
        self.server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("test.Echo", {"Say": handler})])
        add = self.server.add_insecure_port
        self.port = self.server.add_secure_port(f"{ip}:0", credentials) if credentials else add(f"{ip}:0")
        self.server.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.stop(0)

    @staticmethod
    def say(request, context):
        names = context.auth_context().get("peer_spiffe_id") or [b"nobody"]
        return request + b" from " + names[0]


def call(control, identity, target):
    files = {"certificate_file": os.path.join(identity, "cert.pem"), "private_key_file": os.path.join(identity, "key.pem"),
             "ca_certificate_file": os.path.join(identity, "ca.pem")}
    bootstrap = {
        "xds_servers": [{"server_uri": control.address, "channel_creds": [{"type": "tls", "config": files}],
                         "server_features": ["xds_v3"]}],
        "node": {"id": "grpc-client"},
        "certificate_providers": {"default": {"plugin_name": "file_watcher", "config": {**files,
                                                                                       "refresh_interval": "10s"}}}}
    done = subprocess.run([sys.executable, "-c", CLIENT, target], capture_output=True, text=True, timeout=60, check=False,
                          env={**os.environ, "PYTHONPATH": PYTHON, "GRPC_XDS_BOOTSTRAP_CONFIG": json.dumps(bootstrap)})
    return done.returncode, done.stdout, done.stderr


@test
def grpcs_own_xds_client_resolves_and_calls_a_service():
    with Control() as control:
        client, echo = control.identity("client"), control.identity("echo")
        credentials = grpc.ssl_server_credentials([(read_bytes(echo, "key.pem"), read_bytes(echo, "cert.pem"))],
                                                  read_bytes(echo, "ca.pem"), require_client_auth=True)
        with Echo(PLAIN) as plain, Echo(SECURE, credentials) as secure:
            control.write("plain.yaml", ECHO.format(name="plain", port=plain.port, sidecar="false", ip=PLAIN))
            control.write("secure.yaml", ECHO.format(name="secure", port=secure.port, sidecar="true", ip=SECURE))
            wait_for(lambda: control.status()["revision"] >= 2, what="the services are in force")
            equal(control.status()["errors"], [], "errors")
            code, out, err = call(control, client, "plain.shop.svc.cluster.local:9000")
            equal((code, out), (0, "hello from nobody"), f"plain text: {err[-2000:]}")
            code, out, err = call(control, client, "secure.shop.svc.cluster.local:9000")
            equal((code, out), (0, "hello from spiffe://cluster.local/ns/shop/sa/client"), f"TLS: {err[-2000:]}")
            # Whoever answers there must be who the mesh says it is.
            impostor = control.identity("web")
            credentials = grpc.ssl_server_credentials(
                [(read_bytes(impostor, "key.pem"), read_bytes(impostor, "cert.pem"))], read_bytes(impostor, "ca.pem"),
                require_client_auth=True)
            with Echo("127.0.0.23", credentials) as other:
                control.write("other.yaml", ECHO.format(name="other", port=other.port, sidecar="true", ip="127.0.0.23"))
                wait_for(lambda: "other.yaml" in control.get("/revisions"), what="the impostor's service is in force")
                code, out, _ = call(control, client, "other.shop.svc.cluster.local:9000")
                check(code != 0, f"an impostor was called: {out}")
