"""The machine and what runs on it: processes that end with the run, their CPU time and memory, and who they all are."""

import contextlib
import os
import platform
import re
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.normpath(os.path.join(HERE, "..", ".."))
sys.path.insert(0, os.path.join(ROOT, "tests", "support"))

from pillion_test import connect, find_binary, wait_for  # noqa: E402
from pillion_test.certs import Authority  # noqa: E402
from pillion_test.launch import spawn, stop  # noqa: E402

BUILD = os.environ.get("PERF_BUILD", os.path.join(ROOT, "build"))


class Bench(contextlib.ExitStack):
    """What one row runs on: a directory, an authority, and processes that end when the row does."""

    def __init__(self):
        super().__init__()
        self.dir = self.enter_context(tempfile.TemporaryDirectory(prefix="pillion-perf-"))
        self._authority = None
        self._count = 0

    def place(self, name):
        """A directory of its own for one program."""
        self._count += 1
        path = os.path.join(self.dir, f"{self._count}-{name}")
        os.makedirs(path)
        return path

    def run(self, argv, place, wait=None):
        """Starts a program whose output goes to a file; returns its process id once `wait` (an address) answers."""
        log = self.enter_context(open(os.path.join(place, "log"), "ab"))
        process = spawn(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.callback(stop, process)
        if wait:
            listening(wait, process, os.path.join(place, "log"))
        return process.pid

    def certificates(self):
        """(ca, certificate, key, both in one file) of a workload that is a client and a server."""
        if not self._authority:
            self._authority = Authority(self.place("certs"))
            crt, key = self._authority.issue("sidecar", "URI:spiffe://cluster.local/ns/perf/sa/sidecar", "DNS:localhost")
            with open(self._authority.path("both.pem"), "w", encoding="ascii") as out:
                for path in (crt, key):
                    with open(path, encoding="ascii") as f:
                        out.write(f.read())
        at = self._authority
        return {"ca": at.ca, "crt": at.path("sidecar.crt"), "key": at.path("sidecar.key"), "pem": at.path("both.pem")}


def listening(address, process, log):
    def tried():
        if process.poll() is not None:
            with open(log, encoding="utf-8", errors="replace") as f:
                raise RuntimeError(f"{process.args[3:]} ended with {process.returncode}: {f.read()[-800:]}")
        try:
            connect(address[1], address[0], limit_s=1).close()
            return True
        except OSError:
            return False
    wait_for(tried, 10, 0.02, f"{address} to listen")


def fill(name, values):
    """A configuration template of config/ with its @names@ replaced."""
    with open(os.path.join(HERE, "config", name), encoding="utf-8") as f:
        return re.sub(r"@(\w+)@", lambda m: str(values[m[1]]), f.read())


def write(directory, name, text):
    path = os.path.join(directory, name)
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)
    return path


def cpu_us(pid):
    """User and system time of a process with all its threads, also those that ended.

    It is the process's CPU clock, which counts what utime and stime of /proc/PID/stat count, but in nanoseconds where
    those count hundredths of a second; so rounds can be short.
    """
    return time.clock_gettime_ns((~pid << 3) | 2) / 1e3


def memory_kb(pid):
    """RssAnon and VmRSS."""
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        text = f.read()
    return {"anon": int(re.search(r"RssAnon:\s+(\d+)", text)[1]), "rss": int(re.search(r"VmRSS:\s+(\d+)", text)[1])}


def command(*argv):
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    return (done.stdout + done.stderr).strip()


def commit():
    """The commit of the tree, with a plus when the proxy's sources differ from it."""
    name = command("git", "-C", ROOT, "rev-parse", "--short=12", "HEAD")
    changed = command("git", "-C", ROOT, "status", "--porcelain", "--untracked-files=no", "--", "proxy", "filters", "xds",
                      "certs", "perf/compare")
    return name + ("+" if changed else "")


def describe():
    """Which machine and which programs: part of every result."""
    with open("/proc/cpuinfo", encoding="utf-8") as f:
        cpu = re.search(r"model name\s*:\s*(.*)", f.read())
    found = {"machine": platform.machine(), "cpu": cpu[1] if cpu else "unknown", "cpus": os.cpu_count(),
             "kernel": platform.release()}
    programs = {"haproxy": ["haproxy", "-v"], "nginx": ["nginx", "-v"], "nghttpx": ["nghttpx", "--version"],
                "envoy": [find_binary("envoy"), "--version"]}
    for name, argv in programs.items():
        with contextlib.suppress(OSError, TypeError, AttributeError):
            found[name] = re.search(r"\b(\d+\.\d+\.\d+)", command(*argv))[1]
    return found


def pump_binary():
    """The pump, compiled when its source is newer."""
    binary, source = os.path.join(BUILD, "perf-pump"), os.path.join(HERE, "pump.c")
    if not os.path.exists(binary) or os.path.getmtime(binary) < os.path.getmtime(source):
        os.makedirs(BUILD, exist_ok=True)
        subprocess.run(["cc", "-O2", "-o", binary, source], check=True)
    return binary
