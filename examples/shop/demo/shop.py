"""The shop: its control plane, its pods with their applications and sidecars, and what can be asked of them."""

import json
import os
import re
import shutil
import sys

from world import GATEWAY, PROXY_UID, DemoError, Pod, read_pods, run, wait_for

PILLION = os.environ["PILLION_BIN"]
PYTHON = os.environ["PILLION_PYTHON"]
HERE = os.path.dirname(os.path.abspath(__file__))
YAML = os.path.dirname(HERE)
CONTROL = f"{GATEWAY}:15010"
CONTROL_ADMIN = "127.0.0.1:15014"
CERTIFICATE_LIFETIME_S = 30
WEB = ("web-1", "web-2", "web-3", "web-canary")

HOSTS = {"10.78.0.10": ["web.shop", "web.shop.svc.cluster.local"],
         "10.78.0.20": ["orders.shop", "orders.shop.svc.cluster.local"],
         "10.78.0.30": ["nats.shop", "nats.shop.svc.cluster.local"]}

NGINX = """
worker_processes 1;
daemon off;
pid {dir}/nginx.pid;
error_log {dir}/nginx.error.log;
events {{ worker_connections 4096; }}
http {{
  log_format short '$msec $status $request_uri';
  access_log {dir}/access.log short;
  client_body_temp_path {dir}/tmp1; proxy_temp_path {dir}/tmp2; fastcgi_temp_path {dir}/tmp3;
  uwsgi_temp_path {dir}/tmp4; scgi_temp_path {dir}/tmp5;
  keepalive_requests 1000000;
  server {{
    listen 8080;
    location / {{ return 200 "{name} {version} {zone} client=$http_x_forwarded_client_cert\\n"; }}
    location /slow {{ root {dir}/files; limit_rate 16k; }}
  }}
  server {{
    listen 8081 http2;
    location / {{ grpc_pass grpc://orders.shop:50051; }}
  }}
}}
"""


class Shop:
    def __init__(self, machine):
        self.machine = machine
        self.pods = {}
        self.config = os.path.join(machine.work, "config")
        self.state = os.path.join(machine.work, "state")
        self.control_process = None
        self.plan = read_pods(os.path.join(YAML, "pods.yaml"))

    # === raising it ===

    def raise_all(self):
        self.machine.raise_network(HOSTS)
        os.makedirs(self.config)
        for name in os.listdir(YAML):
            if name.endswith(".yaml"):
                shutil.copy(os.path.join(YAML, name), self.config)
        self.start_control()
        for name in self.plan:
            self.add_pod(name)
        self.pods["intruder"] = Pod(self.machine, "intruder", "10.77.1.66")
        for name in self.plan:
            self.start_sidecar(self.pods[name])
        for name in self.plan:
            self.start_application(self.pods[name])
        for name in self.plan:
            self.wait_ready(self.pods[name])

    def add_pod(self, name):
        ip, zone, account = self.plan[name]
        self.pods[name] = Pod(self.machine, name, ip, zone, account)
        return self.pods[name]

    def start_control(self):
        self.control_process = self.machine.start(
            [PILLION, "control", "--config", self.config, "--state", self.state, "--listen", CONTROL, "--admin",
             CONTROL_ADMIN, "--certificate-lifetime", f"{CERTIFICATE_LIFETIME_S}s"],
            os.path.join(self.machine.work, "control.log"))
        wait_for(lambda: run("curl", "-sf", f"http://{CONTROL_ADMIN}/ready", check=False).returncode == 0, 10,
                 "the control plane is ready")

    def token(self, account):
        spiffe_id = f"spiffe://cluster.local/ns/shop/sa/{account}"
        return run(PILLION, "token", "--state", self.state, "--spiffe-id", spiffe_id, "--address",
                   CONTROL).stdout.strip()

    def start_sidecar(self, pod):
        token = pod.path("token")
        with open(token, "w", encoding="ascii") as out:
            out.write(self.token(pod.account) + "\n")
        os.chown(token, PROXY_UID, PROXY_UID)
        os.chmod(token, 0o600)
        pod.run(PILLION, "init")
        pod.start("proxy", [PILLION, "proxy", "--control-plane", CONTROL, "--join-token-file", token, "--service-node",
                            f"{pod.name}.shop", "--service-cluster", f"{pod.account}.shop", "--concurrency", "1",
                            "--drain-time-s", "8"], uid=PROXY_UID,
                  env={"POD_IP": pod.ip, "POD_NAME": pod.name, "POD_NAMESPACE": "shop"})

    def start_application(self, pod):
        if pod.name.startswith("web-"):
            version = "canary" if pod.name == "web-canary" else "stable"
            os.makedirs(pod.path("files/slow"), exist_ok=True)
            with open(pod.path("files/slow/file"), "wb") as out:
                out.truncate(16 * 1024 * (CERTIFICATE_LIFETIME_S + 2))  # takes longer than a certificate lives
            with open(pod.path("nginx.conf"), "w", encoding="ascii") as out:
                out.write(NGINX.format(dir=pod.dir, name=pod.name, version=version, zone=pod.zone))
            pod.start("nginx", ["nginx", "-c", pod.path("nginx.conf")])
        elif pod.account == "orders":
            pod.start("orders", [sys.executable, os.path.join(HERE, "orders_server.py"), "0.0.0.0:50051"],
                      env={"PYTHONPATH": PYTHON})
        elif pod.account == "nats":
            pod.start("nats", ["nats-server", "-a", "0.0.0.0", "-p", "4222"])

    def wait_ready(self, pod, limit_s=20):
        def ready():
            process = pod.processes["proxy"]
            if process.poll() is not None:
                raise DemoError(f"the sidecar of {pod.name} ended with {process.returncode}: "
                                f"{pod.log('proxy')[-2000:]}")
            return pod.run("curl", "-sf", "http://127.0.0.1:15000/ready", check=False).returncode == 0
        wait_for(ready, limit_s, f"the sidecar of {pod.name} is ready")
        if pod.name.startswith("web-"):
            wait_for(lambda: pod.run("curl", "-sf", "http://127.0.0.1:8080/", check=False).returncode == 0, limit_s,
                     f"nginx of {pod.name} answers")

    def restart_pod(self, name):
        pod = self.pods[name]
        self.start_sidecar(pod)
        self.start_application(pod)
        self.wait_ready(pod)

    # === asking it ===

    def curl(self, pod, *arguments, check=False):
        return self.pods[pod].run("curl", "-s", "--max-time", "10", *arguments, check=check)

    def admin(self, pod, path):
        return self.curl(pod, f"http://127.0.0.1:15000{path}").stdout

    def status(self):
        return json.loads(run("curl", "-s", f"http://{CONTROL_ADMIN}/status").stdout)

    def served(self):
        """Requests for / that each web replica has answered so far."""
        counts = {}
        for name in WEB:
            try:
                with open(self.pods[name].path("access.log"), encoding="ascii", errors="replace") as log:
                    counts[name] = sum(1 for line in log if line.endswith(" /\n"))
            except FileNotFoundError:
                counts[name] = 0
        return counts

    def served_since(self, before):
        return {name: count - before[name] for name, count in self.served().items()}

    # === changing it ===

    def edit(self, file, pattern, replacement):
        """Rewrites a file of the control plane's directory, as an editor would: whole, by a rename."""
        path = os.path.join(self.config, file)
        with open(path, encoding="utf-8") as f:
            before = f.read()
        after, n = re.subn(pattern, replacement, before)
        if n == 0:
            raise DemoError(f"{file} has nothing like {pattern!r}")
        with open(path + ".new", "w", encoding="utf-8") as f:
            f.write(after)
        os.rename(path + ".new", path)

    def set_weights(self, stable, canary):
        self.edit("web-route.yaml", r"(name: web-stable\s+port: 80\s+weight: )\d+", rf"\g<1>{stable}")
        self.edit("web-route.yaml", r"(name: web-canary\s+port: 80\s+weight: )\d+", rf"\g<1>{canary}")

    def set_mtls(self, mode):
        self.edit("mesh.yaml", r"mode: \w+", f"mode: {mode}")

    def set_locality(self, mode):
        self.edit("web.yaml", r"(locality:\s+mode: )\w+", rf"\g<1>{mode}")
