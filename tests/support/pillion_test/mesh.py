"""Pods with real sidecars: network namespaces, captured connections and a control plane, for tests from the outside.

A test enters a pod's network with `pod.entered()`; sockets that are made there stay there, and belong to an uid that is
not the proxy's, as the application's do.
"""

import contextlib
import ctypes
import os
import shutil
import signal
import subprocess
import sys
import tempfile

from . import wire

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
sys.path.insert(0, os.path.join(ROOT, "examples", "shop", "demo"))

from world import GATEWAY, PROXY_UID, Machine, Pod, run, wait_for  # noqa: E402

PILLION = os.environ.get("PILLION_BIN", os.path.join(ROOT, "build", "pillion"))
CONTROL, CONTROL_ADMIN = f"{GATEWAY}:15012", "127.0.0.1:15014"
GATEWAY_V6 = "fd77::1"
CLONE_NEWNET = 0x40000000
LIBC = ctypes.CDLL(None, use_errno=True)


def run_in_own_machine(script, *arguments):
    """Runs `script --inside WORK` as root of private network, mount and process namespaces; returns its status."""
    work = tempfile.mkdtemp(prefix="pillion-mesh-")
    os.chmod(work, 0o755)
    user = [] if os.getuid() == 0 else ["--user", "--map-root-user", "--map-auto"]
    try:
        private = ["--net", "--mount", "--pid", "--fork", "--kill-child=KILL", "--mount-proc"]
        return subprocess.run(["unshare", *user, *private, sys.executable, os.path.abspath(script), "--inside", work,
                               *arguments], check=False).returncode
    finally:
        subprocess.run(["unshare", *user, "rm", "-rf", work], check=False)


# Opened once: what /proc shows of this process changes when its first thread enters a pod.
OWN_NETWORK = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)


def _set_network(descriptor):
    if LIBC.setns(descriptor, CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")


class MeshPod(Pod):
    """A pod with an IPv4 and an IPv6 address, and perhaps a sidecar. `account` is NAMESPACE/NAME."""

    def __init__(self, machine, name, ip, ip6, account):
        super().__init__(machine, name, ip, account=account)
        self.ip6 = ip6
        self.namespace = account.split("/")[0]
        run("ip", "-n", name, "address", "add", f"{ip6}/64", "dev", "eth0", "nodad")
        run("ip", "-n", name, "-6", "route", "add", "default", "via", GATEWAY_V6)

    @contextlib.contextmanager
    def entered(self):
        """This thread is in the pod's network."""
        with open(f"/run/netns/{self.name}", encoding="ascii") as network:
            _set_network(network.fileno())
        try:
            yield
        finally:
            _set_network(OWN_NETWORK)

    def serve(self, kind, *args, host="0.0.0.0", **kwargs):
        with self.entered():
            return kind(*args, host=host, **kwargs)

    def connect(self, host, port, **kwargs):
        with self.entered():
            return wire.connect(port, host=host, **kwargs)

    def http(self, host, port, **kwargs):
        with self.entered():
            return wire.Http1Client(port, host=host, **kwargs)

    def curl(self, *arguments):
        return self.run("curl", "-sS", "--max-time", "10", *arguments, check=False)

    def admin(self, path):
        return self.curl(f"http://127.0.0.1:15000{path}").stdout

    def log_since(self, mark):
        return self.log("proxy")[mark:]

    def rules(self):
        """What of the kernel's tables captures connections; the comments hold the time, the brackets count."""
        saved = [self.run(tool, "-t", "nat").stdout for tool in ("iptables-save", "ip6tables-save")]
        return [line for line in "".join(saved).splitlines() if not line.startswith(("#", ":"))]


class Mesh:
    """The machine, the control plane, and the pods; `config` is the directory of its YAML."""

    def __init__(self, work):
        self.work = work
        self.machine = Machine(work)
        self.config, self.state = os.path.join(work, "config"), os.path.join(work, "state")
        self.pods = {}
        self.control = None  # its process
        os.mkdir(self.config)

    def raise_network(self, hosts):
        self.machine.raise_network(hosts)
        run("ip", "address", "add", f"{GATEWAY_V6}/64", "dev", "shop", "nodad")

    def write(self, file, text):
        """Replaces a file of the control plane's directory whole, as editors do."""
        path = os.path.join(self.config, file)
        with open(path + ".new", "w", encoding="utf-8") as out:
            out.write(text)
        os.rename(path + ".new", path)

    def start_control(self):
        self.control = self.machine.start(
            [PILLION, "control", "--config", self.config, "--state", self.state, "--listen", CONTROL, "--admin",
             CONTROL_ADMIN], os.path.join(self.work, "control.log"))
        wait_for(lambda: run("curl", "-sf", f"http://{CONTROL_ADMIN}/ready", check=False).returncode == 0, 20,
                 "the control plane is ready")

    def add_pod(self, name, ip, ip6, account):
        self.pods[name] = MeshPod(self.machine, name, ip, ip6, account)
        return self.pods[name]

    def start_sidecar(self, pod, pod_ip=None):
        namespace, account = pod.account.split("/")
        token = pod.path("token")
        with open(token, "w", encoding="ascii") as out:
            out.write(run(PILLION, "token", "--state", self.state, "--spiffe-id",
                          f"spiffe://cluster.local/ns/{namespace}/sa/{account}", "--address", CONTROL).stdout)
        os.chown(token, PROXY_UID, PROXY_UID)
        os.chmod(token, 0o600)
        pod.start("proxy", [PILLION, "proxy", "--control-plane", CONTROL, "--join-token-file", token, "--service-node",
                            f"{pod.name}.{namespace}", "--service-cluster", f"{account}.{namespace}", "--concurrency",
                            "1", "--drain-time-s", "2"], uid=PROXY_UID,
                  env={"POD_IP": pod_ip or pod.ip, "POD_NAME": pod.name, "POD_NAMESPACE": namespace})

    def wait_ready(self, pod):
        def ready():
            assert pod.processes["proxy"].poll() is None, f"{pod.name}: the sidecar ended: {pod.log('proxy')[-2000:]}"
            return pod.run("curl", "-sf", "http://127.0.0.1:15000/ready", check=False).returncode == 0
        wait_for(ready, 20, f"the sidecar of {pod.name} is ready")

    def kill_sidecar(self, pod):
        """SIGKILL; nothing else of the pod changes."""
        process = pod.processes.pop("proxy")
        os.kill(process.pid, signal.SIGKILL)
        process.wait()

    def tell_logs(self):
        """The tail of every log, for whoever has to find out why a test failed."""
        logs = [os.path.join(self.work, "control.log")] + [pod.path("proxy.log") for pod in self.pods.values()]
        for path in logs:
            if os.path.exists(path):
                with open(path, encoding="utf-8", errors="replace") as f:
                    print(f"--- {os.path.relpath(path, self.work)}\n{f.read()[-3000:]}")


def missing_programs(*names):
    return [name for name in names if shutil.which(name) is None]


__all__ = ["CONTROL_ADMIN", "GATEWAY", "GATEWAY_V6", "Machine", "Mesh", "MeshPod", "PILLION", "PROXY_UID", "Pod", "ROOT",
           "missing_programs", "run", "run_in_own_machine", "wait_for", "wire"]
