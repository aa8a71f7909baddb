"""Starts a proxy on a bootstrap file, finds its ports, and makes sure that nothing outlives the test."""

import atexit
import json
import os
import signal
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", "..", ".."))
START_LIMIT_S = 20
STOP_LIMIT_S = 5

_running = []


def find_binary(kind):
    """The path of the proxy program of that kind, or None."""
    if kind == "pillion":
        candidates = [os.environ.get("PILLION_BIN"), os.path.join(ROOT, "build", "pillion")]
    else:
        cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
        candidates = [os.environ.get("ENVOY_BIN"), os.path.join(cache, "pillion", "envoy", "envoy")]
    for path in candidates:
        if path and os.access(path, os.X_OK):
            return path
    return None


def wait_for(condition, limit_s=10, step_s=0.01, what="the condition"):
    """Calls `condition` until it gives something true, which is returned; raises TimeoutError after `limit_s`."""
    end = time.monotonic() + limit_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise TimeoutError(f"waited {limit_s} s for {what}")
        time.sleep(step_s)


_next_admin_port = 9900


def private_address():
    """An address and port for an admin server that no other test process uses.

    The address is made of this process's id, so that processes cannot race for it; the port lies below the range that
    the kernel gives to clients.
    """
    global _next_admin_port
    _next_admin_port += 1
    pid = os.getpid()
    return f"127.{64 + ((pid >> 16) & 63)}.{(pid >> 8) & 255}.{pid & 255}", _next_admin_port


def spawn(argv, **kwargs):
    """Starts a program that the kernel kills when this process dies, and that is killed at exit at the latest."""
    process = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", "--"] + argv, **kwargs)
    _running.append(process)
    return process


def stop(process, sig=signal.SIGKILL):
    """Ends one started program; SIGKILL follows when a milder signal does not do. Returns its exit status."""
    if process.poll() is None:
        process.send_signal(sig)
        try:
            process.wait(STOP_LIMIT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    if process in _running:
        _running.remove(process)
    return process.returncode


@atexit.register
def _stop_all():
    for process in list(_running):
        stop(process)


class Proxy:
    """One running proxy: `kind` is "pillion" or "envoy", `bootstrap` the text of the file.

    The bootstrap says `${admin}` where the admin address belongs and gives port 0 to its listeners; `port(name)` then
    tells where a listener is; `file` is the file's name, whose end says its format. Use it in a `with` statement.
    """

    def __init__(self, kind, bootstrap, *, admin=None, log_level="warning", concurrency=1, args=(), directory=None,
                 ready=True, env=None, file="bootstrap.yaml"):
        binary = find_binary(kind)
        if not binary:
            raise FileNotFoundError(f"there is no {kind} program; set {kind.upper()}_BIN")
        self.kind = kind
        self.admin = admin or private_address()
        self._own_directory = None
        if directory is None:
            self._own_directory = tempfile.TemporaryDirectory(prefix="pillion-test-")
            directory = self._own_directory.name
        self.file = os.path.join(directory, file)
        with open(self.file, "w", encoding="utf-8") as out:
            out.write(bootstrap.replace("${admin}", admin_stanza(self.admin)))
        self.log_path = os.path.join(directory, f"{kind}.log")
        self._log = open(self.log_path, "ab")
        argv = [binary] + (["proxy"] if kind == "pillion" else [])
        argv += ["-c", self.file, "--concurrency", str(concurrency), "-l", log_level]
        if kind == "envoy":
            argv += ["--disable-hot-restart", "--file-flush-interval-msec", "50", "--drain-time-s", "2"]
        self.process = spawn(argv + list(args), stdin=subprocess.DEVNULL, stdout=self._log, stderr=self._log,
                             env={**os.environ, **(env or {})})
        if ready:
            try:
                self.wait_ready()
            except BaseException:
                self.stop()
                raise

    def wait_ready(self, limit_s=START_LIMIT_S):
        """Waits until GET /ready says LIVE; raises with the end of the log when the proxy dies or takes too long."""
        def ready():
            if self.process.poll() is not None:
                raise RuntimeError(f"{self.kind} ended with {self.process.returncode}: {self.complaint()}")
            try:
                status, text = self.get("/ready")
            except OSError:
                return False
            return status == 200 and text.strip() == "LIVE"
        try:
            wait_for(ready, limit_s, 0.02, f"{self.kind} to be ready")
        except TimeoutError as e:
            raise TimeoutError(f"{e}\n{self.complaint()}") from None

    def get(self, path, method="GET", limit_s=5):
        """Asks the admin server; returns (status, text)."""
        request = urllib.request.Request(f"http://{self.admin[0]}:{self.admin[1]}{path}", method=method)
        try:
            with urllib.request.urlopen(request, timeout=limit_s) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as e:
            return e.code, e.read().decode(errors="replace")

    def get_json(self, path):
        status, text = self.get(path)
        if status != 200:
            raise RuntimeError(f"{self.kind} {path}: {status} {text[:200]}")
        return json.loads(text)

    def ports(self):
        """The port of each listener by name, as /listeners tells them."""
        found = {}
        for one in self.get_json("/listeners?format=json").get("listener_statuses", []):
            address = one.get("local_address", {}).get("socket_address")
            if address:
                found[one["name"]] = int(address.get("port_value", 0))
        return found

    def port(self, name):
        return self.ports()[name]

    def stat(self, name):
        """The value of one counter or gauge by its exact name; 0 when the proxy does not have it."""
        for line in self.get("/stats")[1].splitlines():
            key, _, value = line.partition(": ")
            if key == name:
                return int(value)
        return 0

    def complaint(self, limit=1200):
        """The lines of the log that tell of an error, each cut to a readable length."""
        lines = [line[:400] for line in self.log_tail(200000).splitlines()]
        bad = [line for line in lines if any(w in line.lower() for w in ("error", "critical", "fail"))]
        return "\n".join(bad or lines)[-limit:]

    def log_tail(self, limit=3000):
        with open(self.log_path, "rb") as f:
            return f.read()[-limit:].decode(errors="replace")

    def end_by_itself(self):
        try:
            self.get("/quitquitquit", "POST")
            self.process.wait(STOP_LIMIT_S)
        except (OSError, subprocess.TimeoutExpired) as e:
            print(f"the proxy does not end by itself: {e}")

    def terminate(self):
        self.process.send_signal(signal.SIGTERM)

    def stop(self):
        if self.kind == "pillion" and os.environ.get("PILLION_SANITIZED") and self.process.poll() is None:
            self.end_by_itself()  # a process that is killed does not look for leaks
        code = stop(self.process)
        self._log.close()
        if self._own_directory:
            self._own_directory.cleanup()
            self._own_directory = None
        return code

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


def admin_stanza(address):
    return f"{{address: {{socket_address: {{address: {address[0]}, port_value: {address[1]}}}}}}}"
