"""Why a row costs what it costs: system calls per request, and where the time goes; kept in the row's result file.

strace makes what it watches slower, so figures of cost are never taken here; calls per request hardly depend on it.
"""

import json
import os
import re
import signal
import subprocess
import tempfile
import threading
import time

import rounds
from machine import Bench
from place import Place
from report import load as read_result

WATCH_S = 2
SYMBOLS = 15


def system_calls(target, load, pid):
    """{call: times per request}, the most frequent first."""
    with tempfile.NamedTemporaryFile("r", prefix="pillion-strace-") as out:
        tracer = subprocess.Popen(["strace", "-f", "-c", "-q", "-o", out.name, "-p", str(pid)],
                                  stderr=subprocess.DEVNULL)
        try:
            time.sleep(0.3)  # It attaches to each thread.
            count = load(target.address, WATCH_S)
        finally:
            tracer.send_signal(signal.SIGINT)
            tracer.wait()
        calls = re.findall(r"^\s*[\d.]+\s+[\d.]+\s+\d+\s+(\d+)(?:\s+\d+)?\s+(\w+)$", out.read(), re.M)
    found = {name: round(int(times) / count, 3) for times, name in calls if name != "total"}
    return {name: times for name, times in sorted(found.items(), key=lambda one: -one[1]) if times >= 0.001}


def profile(target, load, pid):
    """The symbols that take the most time, in per cent, and the share of the kernel."""
    with tempfile.TemporaryDirectory(prefix="pillion-perf-record-") as directory:
        data = os.path.join(directory, "data")
        recorder = subprocess.Popen(["perf", "record", "-e", "cpu-clock", "-F", "1999", "-o", data, "-p", str(pid), "--",
                                     "sleep", str(WATCH_S)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        worker = threading.Thread(target=recorder.wait)
        worker.start()
        load(target.address, WATCH_S)
        worker.join()
        done = subprocess.run(["perf", "report", "-i", data, "--stdio", "--no-children", "--sort", "dso,symbol"],
                              capture_output=True, text=True, check=True, timeout=120)
    lines = re.findall(r"^\s*([\d.]+)%\s+(\S+)\s+\[([.k])\]\s+(.*?)(?:\s+-)*\s*$", done.stdout, re.M)
    kernel = sum(float(share) for share, _, where, _ in lines if where == "k")
    return {"kernel_percent": round(kernel, 1),
            "symbols": {f"{name} ({dso})": float(share) for share, dso, _, name in lines[:SYMBOLS]}}


def explain(row, options):
    """Explains a row of CPU time, for each contestant's processes."""
    told = {}
    with Bench() as bench, Place(options.place or row.place) as place:
        job, one_load = row.setup(bench)
        names = [n for n in options.choose(row) if "again" not in n]
        for target in rounds.started(row.start, bench, names, job):
            place.settle(target.pids)
            load = one_load[target.name] if isinstance(one_load, dict) else one_load
            told[target.name] = [{"system_calls_per_request": system_calls(target, load, pid),
                                  "profile": profile(target, load, pid)} for pid in target.pids]
            print(f"{row.name}: {target.name}\n{json.dumps(told[target.name], indent=1)}", flush=True)
    path = os.path.join(options.out, f"{row.name}.json")
    if result := read_result(path):
        result["explained"] = told
        return result
    return None
