"""The demo of Pillion: a shop in a mesh on one machine. Started by demo.sh, which makes the namespaces.

Each step says what it does, does it, and checks it. The end is a summary and an exit status: 0 where every step came
out as it should.
"""

import argparse
import os
import shutil
import signal
import subprocess
import sys
import time

import steps
from load import Load
from shop import Shop
from table import Table
from world import DemoError, Machine


def leave(signal_number, _frame):
    sys.exit(128 + signal_number)


def show_logs(shop):
    for name, pod in shop.pods.items():
        text = pod.log("proxy")
        if text:
            print(f"--- the end of {name}'s sidecar log\n" + "\n".join(text.splitlines()[-8:]))
    control = os.path.join(shop.machine.work, "control.log")
    if os.path.exists(control):
        with open(control, encoding="utf-8", errors="replace") as f:
            print("--- the end of the control plane's log\n" + "".join(f.readlines()[-15:]))


def run_step(number, step, shop, say):
    say(f"\n{number:2}. {step.__doc__.strip()}")
    began = time.monotonic()
    try:
        for line in step(shop):
            say(f"    {line}")
        result = "ok"
    except (DemoError, subprocess.TimeoutExpired) as error:
        say(f"    FAILED: {error}")
        result = "FAILED"
        Load.stop_all()
    say(f"    {result} ({time.monotonic() - began:.1f} s)")
    return result == "ok"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--work", required=True)
    parser.add_argument("--only", default="", help="numbers of steps, 1,3,7")
    parser.add_argument("--keep-logs", default="", help="a directory that the pods' logs are copied to")
    arguments = parser.parse_args()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, leave)
    chosen = {int(n) for n in arguments.only.split(",") if n}
    shop = Shop(Machine(arguments.work))
    results = {}
    try:
        print("A shop in a mesh: client, web (3 replicas and a canary, 2 zones), orders (gRPC), nats, an intruder.")
        began = time.monotonic()
        try:
            shop.raise_all()
        except (DemoError, subprocess.TimeoutExpired) as error:
            print(f"The shop could not be raised: {error}")
            show_logs(shop)
            return 1
        print(f"    up in {time.monotonic() - began:.1f} s: every application runs unmodified behind a sidecar")
        with Table(shop) as table:
            for number, step in enumerate(steps.ALL, 1):
                if not chosen or number in chosen:
                    results[number] = run_step(number, step, shop, table.say)
    finally:
        if arguments.keep_logs:
            shutil.copytree(arguments.work, arguments.keep_logs, dirs_exist_ok=True,
                            ignore=shutil.ignore_patterns("token", "state", "tmp?", "slow"))
    failed = [number for number, good in results.items() if not good]
    if failed:
        show_logs(shop)
    print(f"\n{len(results) - len(failed)} of {len(results)} steps came out as they should"
          + (f"; failed: {', '.join(map(str, failed))}" if failed else ""))
    return 1 if failed else 0


sys.exit(main())
