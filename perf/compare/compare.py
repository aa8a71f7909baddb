#!/usr/bin/env python3
"""CPU time per request of Pillion beside Envoy, HAProxy and a bare byte pump, on this machine, in one run.

    compare.py [--rounds 15] [--seconds 1] [--only http1,tcp] [--proxies pump,envoy] [--connections 64]

Each proxy has one worker; nginx is the origin. Rounds are short and interleaved, because a machine that others use
drifts by 10 to 30 per cent; what is told is the median over rounds of each proxy's ratio to the pump in the same round,
with the ratio of a second pump to the first as the control: differences smaller than the control's are nothing. A round
with an error or an answer other than 200 ends the run with an error. The table goes to stdout, all figures to
perf/results/compare.json.
"""

import argparse
import contextlib
import json
import os
import platform
import re
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.join(HERE, "..", "..")
sys.path.insert(0, os.path.join(ROOT, "tests", "support"))

from pillion_test import Proxy, connect, find_binary, wait_for  # noqa: E402
from pillion_test.launch import private_address, spawn, stop  # noqa: E402
from pillion_test.parity import expand  # noqa: E402

BODY = "x" * 97
TICKS = os.sysconf("SC_CLK_TCK")
# Name, what it is, the tool, and the port of the origin to which the pump carries the same bytes.
WORKLOADS = {
    "http1": ("HTTP/1.1 to HTTP/1.1", "wrk", "h1"),
    "h2to1": ("HTTP/2 to HTTP/1.1", "h2load", "h2"),
    "h2to2": ("HTTP/2 to HTTP/2", "h2load", "h2"),
    "tcp": ("TCP pass-through (HTTP/1.1 bytes)", "wrk", "h1"),
}
PROXIES = ["pump", "pump again", "haproxy", "envoy", "pillion"]


def fill(name, values):
    """A configuration template with its @names@ replaced."""
    with open(os.path.join(HERE, name), encoding="utf-8") as f:
        return re.sub(r"@(\w+)@", lambda m: str(values[m[1]]), f.read())


def write(directory, name, text):
    path = os.path.join(directory, name)
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)
    return path


class Target:
    """A running proxy: its process and, for each workload, where it listens."""

    def __init__(self, name, pids, addresses):
        self.name = name
        self.pids = pids
        self.addresses = addresses

    def cpu_s(self, workload):
        """User and system time of the process, all its threads."""
        with open(f"/proc/{self.pid(workload)}/stat", encoding="ascii") as f:
            fields = f.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def pid(self, workload):
        return self.pids[workload] if isinstance(self.pids, dict) else self.pids

    def memory_kb(self):
        with open(f"/proc/{self.pid('http1')}/status", encoding="ascii") as f:
            return int(re.search(r"VmRSS:\s+(\d+)", f.read())[1])


def listening(address):
    def tried():
        try:
            connect(address[1], address[0], limit_s=1).close()
            return True
        except OSError:
            return False
    wait_for(tried, 10, 0.02, f"{address} to listen")


def start_origin(stack, directory):
    ip, h1 = private_address()
    _, h2 = private_address()
    path = write(directory, "nginx.conf", fill("origin.nginx.conf", {"dir": directory, "ip": ip, "h1": h1, "h2": h2,
                                                                      "body": BODY}))
    run(stack, ["nginx", "-c", path, "-p", directory, "-e", "stderr"], directory)
    listening((ip, h1))
    return {"origin": ip, "h1": h1, "h2": h2}


def run(stack, argv, directory):
    """Starts a program whose output goes to a file, until the end of the run."""
    log = stack.enter_context(open(os.path.join(directory, os.path.basename(argv[0]) + ".log"), "ab"))
    process = spawn(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    stack.callback(stop, process)
    return process.pid


def start_pump(stack, directory, origin, name):
    binary = os.path.join(directory, "pump")
    if not os.path.exists(binary):
        subprocess.run(["cc", "-O2", "-o", binary, os.path.join(HERE, "pump.c")], check=True)
    pids, addresses = {}, {}
    for workload, (_, _, port) in WORKLOADS.items():
        address = addresses[workload] = private_address()
        argv = [binary, address[0], str(address[1]), origin["origin"], str(origin[port])]
        pids[workload] = run(stack, argv, directory)
        listening(address)
    return Target(name, pids, addresses)


def start_haproxy(stack, directory, origin):
    addresses = {w: private_address() for w in WORKLOADS}
    values = origin | {w: port for w, (_, port) in addresses.items()} | {"ip": addresses["tcp"][0]}
    pid = run(stack, ["haproxy", "-db", "-q", "-f", write(directory, "haproxy.cfg", fill("haproxy.cfg", values))],
              directory)
    listening(addresses["tcp"])
    return Target("haproxy", pid, addresses)


def start_bootstrap(stack, directory, origin, kind):
    place = os.path.join(directory, kind)
    os.makedirs(place)
    proxy = stack.enter_context(Proxy(kind, expand(fill("bootstrap.yaml", origin), {}), directory=place))
    ports = proxy.ports()
    return Target(kind, proxy.process.pid, {w: ("127.0.0.1", ports[w]) for w in WORKLOADS})


def load(tool, address, options):
    """Runs the load; returns the number of good answers, and raises RuntimeError where there was any other."""
    url = f"http://{address[0]}:{address[1]}/"
    if tool == "wrk":
        argv = ["wrk", "-t1", f"-c{options.connections}", f"-d{options.seconds}s", url]
    else:
        argv = ["h2load", "-t1", "-c8", "-m32", f"-D{options.seconds}", url]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=options.seconds + 30)
    text = done.stdout
    if tool == "wrk":
        count = re.search(r"(\d+) requests in", text)
        bad = re.search(r"(Non-2xx.*|Socket errors.*)", text)
    else:
        count = re.search(r"status codes: (\d+) 2xx, 0 3xx, 0 4xx, 0 5xx", text)
        bad = re.search(r"([1-9]\d* failed|[1-9]\d* errored|[1-9]\d* timeout)", text)
    if done.returncode or bad or not count or int(count[1]) == 0:
        raise RuntimeError(f"{' '.join(argv)}: {bad[1] if bad else text[-800:] + done.stderr[-400:]}")
    return int(count[1])


def one_round(target, workload, options):
    """CPU microseconds per request, and requests per second."""
    _, tool, _ = WORKLOADS[workload]
    before, start = target.cpu_s(workload), time.monotonic()
    count = load(tool, target.addresses[workload], options)
    took = time.monotonic() - start
    return {"us": (target.cpu_s(workload) - before) * 1e6 / count, "rps": count / took, "requests": count}


def measure(targets, options):
    results = {}
    for workload in options.only:
        for target in targets:
            one_round(target, workload, options)  # Warms connections and caches, and is not counted.
        rounds = {t.name: [] for t in targets}
        for number in range(options.rounds):
            # The order turns, so that nobody always runs after the same neighbour.
            for target in targets[number % len(targets):] + targets[:number % len(targets)]:
                rounds[target.name].append(one_round(target, workload, options))
        print(f"{workload}: {options.rounds} rounds done", file=sys.stderr, flush=True)
        results[workload] = {name: summary(found, rounds["pump"]) for name, found in rounds.items()}
    return results


def summary(found, floor):
    us = [r["us"] for r in found]
    ratios = [r["us"] / f["us"] for r, f in zip(found, floor)]
    return {"us_median": round(statistics.median(us), 2), "us_min": round(min(us), 2), "us_max": round(max(us), 2),
            "ratio_median": round(statistics.median(ratios), 3), "ratio_min": round(min(ratios), 3),
            "ratio_max": round(max(ratios), 3), "rps_median": round(statistics.median(r["rps"] for r in found)),
            "requests": sum(r["requests"] for r in found), "rounds": found}


def table(results, targets, options):
    names = [t.name for t in targets]
    lines = ["| work, CPU us per request (ratio to the pump) | " + " | ".join(names) + " |",
             "|---|" + "--:|" * len(names)]
    for workload, by_name in results.items():
        cells = [f"{by_name[n]['us_median']:.1f} ({by_name[n]['ratio_median']:.2f})" for n in names]
        lines.append(f"| {WORKLOADS[workload][0]} | " + " | ".join(cells) + " |")
    memory = " | ".join(f"{t.memory_kb() / 1024:.0f}" for t in targets)
    lines.append(f"| resident memory after the run, MB | {memory} |")
    lines.append("")
    lines.append(f"One worker each, nginx as origin, {len(BODY)}-byte body; HTTP/1.1 and TCP: {options.connections} "
                 f"connections, HTTP/2: 8 connections x 32 streams; medians of {options.rounds} interleaved rounds of "
                 f"{options.seconds} s; {os.cpu_count()} CPUs shared by load, origin and proxy.")
    return "\n".join(lines)


def versions():
    found = {"machine": platform.machine(), "kernel": platform.release(), "cpus": os.cpu_count()}
    programs = {"haproxy": ["haproxy", "-v"], "nginx": ["nginx", "-v"], "envoy": [find_binary("envoy"), "--version"]}
    for name, argv in programs.items():
        with contextlib.suppress(OSError, TypeError):
            done = subprocess.run(argv, capture_output=True, text=True, timeout=10)
            found[name] = (done.stdout + done.stderr).strip().splitlines()[0].rpartition("version: ")[2]
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--seconds", type=int, default=1, help="length of one round of one proxy")
    parser.add_argument("--connections", type=int, default=64, help="of wrk")
    parser.add_argument("--only", default=",".join(WORKLOADS), help="workloads, of: %(default)s")
    parser.add_argument("--proxies", default=",".join(PROXIES), help="of: %(default)s; the pump always runs")
    parser.add_argument("--out", default=os.path.join(ROOT, "perf", "results", "compare.json"))
    options = parser.parse_args()
    options.only = options.only.split(",")
    wanted = options.proxies.split(",")
    if unknown := (set(options.only) - set(WORKLOADS)) | (set(wanted) - set(PROXIES)):
        parser.error(f"unknown: {' '.join(sorted(unknown))}")
    with contextlib.ExitStack() as stack:
        directory = stack.enter_context(tempfile.TemporaryDirectory(prefix="pillion-compare-"))
        origin = start_origin(stack, directory)
        targets = [start_pump(stack, directory, origin, "pump")]
        if "pump again" in wanted:
            targets.append(start_pump(stack, directory, origin, "pump again"))
        if "haproxy" in wanted:
            targets.append(start_haproxy(stack, directory, origin))
        targets += [start_bootstrap(stack, directory, origin, kind) for kind in ("envoy", "pillion") if kind in wanted]
        try:
            results = measure(targets, options)
        except RuntimeError as e:
            print(f"a round had errors, so there is no result: {e}", file=sys.stderr)
            return 1
        text = table(results, targets, options)
        memory = {t.name: t.memory_kb() for t in targets}
    print(text)
    os.makedirs(os.path.dirname(options.out), exist_ok=True)
    with open(options.out, "w", encoding="utf-8") as f:
        json.dump({"when": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "rounds": options.rounds,
                   "seconds": options.seconds, "connections": options.connections, "versions": versions(),
                   "memory_kb": memory, "results": results}, f, indent=1)
    return 0


if __name__ == "__main__":
    sys.exit(main())
