"""What honest clients notice of an attack: their p99 under it, against that of a run in which a dummy burns the attacker's
CPU. Attack and dummy take turns, so that a machine that changes changes for both."""

import json
import os
import socket
import statistics
import subprocess
import tempfile
import time

import kit
from pillion_test import Proxy, find_binary, launch, parity

RATE = 400  # requests a second of the bystanders, open loop
CONNECTIONS = 8
SECONDS = 3
ROUNDS = 3
RATIO_MAX = 2.0
GROWTH_MAX = 128 << 20
TICK = os.sysconf("SC_CLK_TCK")

NGINX = """
daemon off; pid DIR/nginx.pid; error_log DIR/nginx.log; worker_processes 1;
events { worker_connections 4000; }
http { access_log off; keepalive_requests 1000000;
  client_body_temp_path DIR/b; proxy_temp_path DIR/p; fastcgi_temp_path DIR/f; scgi_temp_path DIR/s; uwsgi_temp_path DIR/u;
  server { listen 127.0.0.1:PORT backlog=1024; root DIR; location / { return 200 "a small answer\\n"; } location /big { } } }
"""
TEMPLATE = """
admin: ${admin}
static_resources:
  listeners:
  - name: web
    address: ${any}
    filter_chains: [{filters: [{name: envoy.filters.network.http_connection_manager, typed_config: {${hcm}, stat_prefix: w, request_headers_timeout: 2s, stream_idle_timeout: 3s, http_filters: ${router}, route_config: {name: r, virtual_hosts: [{name: all, domains: ["*"], routes: [{match: {prefix: /}, route: {cluster: a}}]}]}}}]}]
  clusters:
  - {name: a, connect_timeout: 1s, circuit_breakers: {thresholds: [{max_connections: 4000, max_pending_requests: 4000, max_requests: 4000}]}, load_assignment: ${load:a}}
"""


class Port:
    def __init__(self, port):
        self.port = port


class Stage:
    """nginx, the proxy with one worker, and the bystanders' client."""

    def __enter__(self):
        self.dir = tempfile.TemporaryDirectory(prefix="pillion-bystanders-")
        os.chmod(self.dir.name, 0o755)
        port = self._origin()
        self.proxy = Proxy("pillion", parity.expand(TEMPLATE, {"a": Port(port)}))
        self.pid = self.proxy.process.pid
        self.port = self.proxy.port("web")
        self.load = os.path.join(os.path.dirname(find_binary("pillion")), "perf_load")
        return self

    def _origin(self):
        with open(os.path.join(self.dir.name, "big"), "wb") as out:
            out.write(b"x" * 1000000)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        conf = os.path.join(self.dir.name, "nginx.conf")
        with open(conf, "w", encoding="ascii") as out:
            out.write(NGINX.replace("DIR", self.dir.name).replace("PORT", str(port)))
        self.nginx = launch.spawn(["nginx", "-c", conf, "-p", self.dir.name], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return port

    def __exit__(self, *_):
        self.proxy.stop()
        launch.stop(self.nginx)
        self.dir.cleanup()

    def memory(self):
        with open(f"/proc/{self.pid}/statm", encoding="ascii") as f:
            return int(f.read().split()[1]) * 4096

    def bystanders(self):
        """The latency of honest requests, in microseconds; every one must be answered with 200."""
        done = subprocess.run([self.load, "open", "--rate", str(RATE), "--connections", str(CONNECTIONS), "--seconds", str(SECONDS),
                               "--warm", "0.3", "--late-us", "1e9", "127.0.0.1", str(self.port)],
                              capture_output=True, text=True, timeout=60)
        if done.returncode:
            raise RuntimeError(f"a bystander's request failed: {done.stderr.strip()}")
        return json.loads(done.stdout)["latency_us"]


def cpu_s(pid):
    """CPU seconds of a process and of those of its children that it has waited for."""
    with open(f"/proc/{pid}/stat", encoding="ascii") as f:
        return sum(int(n) for n in f.read().rpartition(")")[2].split()[11:15]) / TICK


BURN = "import time\nwhile True:\n e = time.perf_counter() + %f\n while time.perf_counter() < e: pass\n time.sleep(%f)\n"


def burner(share):
    """A process that uses this share of a core, in slices of 2 ms."""
    share = min(max(share, 0.001), 1)
    busy = 0.002
    return launch.spawn(["python3", "-c", BURN % (busy, busy * (1 - share) / share)])


def measure(stage, name, start_attack):
    """`start_attack(port)` starts a process; what it writes to its standard output tells its rate."""
    attacked, burned, shares, told, most = [], [], [], "", stage.memory()
    before = most
    for _ in range(ROUNDS):
        attack = start_attack(stage.port)
        begin, used = time.monotonic(), cpu_s(attack.pid)
        attacked.append(stage.bystanders())
        most = max(most, stage.memory())
        shares.append((cpu_s(attack.pid) - used) / (time.monotonic() - begin))
        attack.terminate()
        told = (attack.communicate(timeout=20)[0] or b"").decode().strip() or told
        dummy = burner(statistics.median(shares))
        burned.append(stage.bystanders())
        launch.stop(dummy)
    under = statistics.median(l["p99"] for l in attacked)
    beside = statistics.median(l["p99"] for l in burned)
    ratio = under / beside
    line = kit.Line(name, 2, 2)
    line.notes = [f"{told}; attacker's CPU {statistics.median(shares):.2f} of a core; bystanders' p50 {statistics.median(l['p50'] for l in attacked):.0f} us "
                  f"(dummy: {statistics.median(l['p50'] for l in burned):.0f}), p99 {under:.0f} us (dummy: {beside:.0f}), ratio {ratio:.2f}; "
                  f"memory of the proxy {most >> 20} MB (before: {before >> 20})"]
    if ratio > RATIO_MAX:
        line.failures.append(f"the bystanders' p99 is {ratio:.2f} times that beside a dummy")
    if most - before > GROWTH_MAX:
        line.failures.append(f"memory grew by {(most - before) >> 20} MB")
    if stage.proxy.process.poll() is not None:
        line.failures.append(f"the proxy ended: {stage.proxy.complaint()}")
    line.passed -= len(line.failures)
    return line
