"""The closed loops that load a proxy: each runs for some seconds and returns how many good answers it had.

An answer that is not good, an error or a timeout raises RuntimeError: a row with one has no result.
"""

import json
import os
import re
import subprocess

from machine import BUILD

# What a browser sends, with the host twelve; an API client's two are the host and what it accepts.
API_HEADERS = ["Accept: */*"]
BROWSER_HEADERS = [
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
    "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8",
    "Accept-Language: en-US,en;q=0.5",
    "Accept-Encoding: gzip, deflate, br, zstd",
    "Referer: https://shop.example/catalogue?page=3&sort=price",
    "Cookie: session=5f2c9a7b1d3e4f60718293a4b5c6d7e8; theme=dark; basket=17-3,22-1,90-2; consent=1",
    "Cache-Control: no-cache",
    "Upgrade-Insecure-Requests: 1",
    "Sec-Fetch-Dest: document",
    "Sec-Fetch-Mode: navigate",
    "Sec-Fetch-Site: same-origin",
]


def _run(argv, seconds):
    name = " ".join(str(a) for a in argv[:4])
    try:
        done = subprocess.run([str(a) for a in argv], capture_output=True, text=True, timeout=seconds + 30, check=False)
    except subprocess.TimeoutExpired:
        raise RuntimeError(f"{name} ... did not end in time") from None
    return done, f"{name} ... : {done.stdout[-600:]}{done.stderr[-400:]}"


def wrk(connections, headers=(), path="/"):
    def load(address, seconds):
        argv = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s"]
        for header in headers:
            argv += ["-H", header]
        done, told = _run(argv + [f"http://{address[0]}:{address[1]}{path}"], seconds)
        count = re.search(r"(\d+) requests in", done.stdout)
        bad = re.search(r"Non-2xx|Socket errors", done.stdout)
        if done.returncode or bad or not count or int(count[1]) == 0:
            raise RuntimeError(told)
        return int(count[1])
    return load


def h2load(connections, streams, path="/", headers=(), data=None):
    def load(address, seconds):
        argv = ["h2load", "-t1", f"-c{connections}", f"-m{streams}", f"-D{seconds}"]
        for header in headers:
            argv += ["-H", header]
        if data:
            argv += ["-d", data]
        done, told = _run(argv + [f"http://{address[0]}:{address[1]}{path}"], seconds)
        count = re.search(r"status codes: (\d+) 2xx, 0 3xx, 0 4xx, 0 5xx", done.stdout)
        bad = re.search(r"[1-9]\d* (failed|errored|timeout)", done.stdout)
        if done.returncode or bad or not count or int(count[1]) == 0:
            raise RuntimeError(told)
        return int(count[1])
    return load


def own(mode, *options):
    """Our own generator (perf/openloop) as a closed loop: "connect" or "websocket"."""
    def load(address, seconds):
        argv = [generator(), mode, "--seconds", seconds, *options, *address]
        done, told = _run(argv, seconds)
        if done.returncode:
            raise RuntimeError(told)
        return json.loads(done.stdout)["requests"]
    return load


def open_loop(address, rate, seconds, options=()):
    """Latencies in us at a rate that does not depend on the answers; RuntimeError when the generator was late itself."""
    argv = [generator(), "open", "--rate", rate, "--seconds", seconds, *options, *address]
    done, told = _run(argv, seconds)
    if done.returncode == 3:
        raise Late(told)
    if done.returncode:
        raise RuntimeError(told)
    return json.loads(done.stdout)


def touch(address):
    """A few requests, for what they leave behind."""
    open_loop(address, 10, 0.5, ["--connections", 1, "--late-us", 1e9])


class Late(RuntimeError):
    """The generator could not keep its own schedule."""


def generator():
    path = os.path.join(BUILD, "perf_load")
    if not os.path.exists(path):
        raise RuntimeError(f"there is no {path}: ninja -C {BUILD} perf_load")
    return path


def tls_options(tls):
    return ["--ca", tls["ca"], "--cert", tls["crt"], "--key", tls["key"]]
