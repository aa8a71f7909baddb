#!/usr/bin/env python3
"""slowhttptest (slow heads, slow bodies, slow readers) while bystanders make requests: the attackers' time runs out."""

import subprocess
import time

import kit
from bystanders import Stage, measure

COUNT = 500
KINDS = {
    "slow heads": ["-H", "-i", "1", "-r", "250", "-x", "10"],
    "slow bodies": ["-B", "-i", "5", "-r", "250", "-s", "100000", "-x", "10"],
    "slow readers": ["-X", "-r", "250", "-w", "10", "-y", "20", "-n", "5", "-z", "5", "-k", "3"],
}


def attack(kind, port):
    path = "/big" if kind == "slow readers" else "/"
    return subprocess.Popen(["slowhttptest", *KINDS[kind], "-c", str(COUNT), "-l", "60", "-u", f"http://127.0.0.1:{port}{path}"],
                            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def run():
    lines = []
    with Stage() as stage:
        for kind in KINDS:
            line = measure(stage, f"slowhttptest: {kind}", lambda port, kind=kind: attack(kind, port))
            line.notes[0] = f"{COUNT} connections" + line.notes[0]
            # The limits end them: once the attack is over nothing of it is left but what its time allows.
            attacker = attack(kind, stage.port)
            time.sleep(6)
            ended = sum(stage.proxy.stat(f"http.w.{name}") for name in (
                "downstream_rq_header_timeout", "downstream_rq_idle_timeout", "downstream_cx_idle_timeout", "downstream_rq_timeout"))
            attacker.terminate()
            attacker.wait()
            line.cases += 1
            if ended == 0:
                line.failures.append("no attacker was ended by a time limit")
            else:
                line.passed += 1
                line.notes.append(f"{ended} requests or connections were ended by a time limit")
            lines.append(line)
    return lines


if __name__ == "__main__":
    kit.main(run)
