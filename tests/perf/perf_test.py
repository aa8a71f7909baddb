#!/usr/bin/env python3
"""Tests of the measuring itself: what `make perf` concludes from figures, and what its load generator counts.

Nothing here depends on how fast the machine is: figures are given, and servers are slow on purpose by much more than
any hiccup.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import types
import xml.dom.minidom

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.normpath(os.path.join(HERE, "..", ".."))
BUILD = os.path.dirname(os.environ.get("PILLION_BIN", os.path.join(ROOT, "build", "pillion")))
os.environ["PERF_BUILD"] = BUILD
sys.path[:0] = [os.path.join(ROOT, "perf", "compare"), os.path.join(ROOT, "tests", "support")]

import report  # noqa: E402
import rounds  # noqa: E402
import svg  # noqa: E402
from pillion_test.tcp import TcpServer  # noqa: E402

GENERATOR = os.path.join(BUILD, "perf_load")
STALL_S = 0.4


def turns(*values):
    return [{"value": v} for v in values]


def noisy(base, width, count=15):
    """Values around `base`, as far apart as `width` says, in an order that favours nobody."""
    return turns(*(base * (1 + width * ((n * 7 % count) / (count - 1) - 0.5)) for n in range(count)))


def concluded(pillion, again, count=15, bound=1.0):
    found = {"pump": noisy(10, 0.02, count), "pump again": again, "pillion": pillion}
    told = {"control": rounds.control(found, ("pump", "pump again")), "rounds": found}
    told["judgements"] = rounds.judge(found, "pillion", [("pump", bound)], told["control"]["spread"])
    return told, rounds.verdict(told, ("pump", "pump again"))


def test_a_ratio_at_its_bound_is_reached_and_one_above_bound_and_spread_is_missed():
    same = turns(*(t["value"] * 1.15 for t in noisy(10, 0.02)))
    told, verdict = concluded(same, noisy(10, 0.02), bound=1.15)
    assert verdict == "reached" and abs(told["judgements"][0]["ratio"] - 1.15) < 1e-9, told["judgements"]
    more = turns(*(t["value"] * 1.25 for t in noisy(10, 0.02)))
    assert concluded(more, noisy(10, 0.02), bound=1.15)[1] == "missed"


def test_a_ratio_within_the_spread_above_its_bound_is_reached():
    again = turns(*(t["value"] * (1 + (0.03 if n % 2 else -0.03)) for n, t in enumerate(noisy(10, 0.02))))
    told, _ = concluded(noisy(10, 0.02), again)
    assert 0.02 < told["control"]["spread"] <= 0.05, told["control"]
    slower = turns(*(t["value"] * 1.02 for t in noisy(10, 0.02)))
    assert concluded(slower, again)[1] == "reached"


def test_a_control_that_is_too_wide_refuses_the_row():
    again = turns(*(t["value"] * (1.3 if n % 2 else 0.8) for n, t in enumerate(noisy(10, 0.02))))
    assert concluded(noisy(5, 0.02), again)[1].startswith("refused: the control's spread is 0.")


def test_fewer_than_fifteen_rounds_give_no_verdict():
    assert concluded(noisy(5, 0.02, 14), noisy(10, 0.02, 14), 14)[1] == "no verdict: 14 rounds, at least 15"


def test_a_row_one_of_whose_peers_was_not_run_has_no_verdict():
    told, _ = concluded(noisy(5, 0.02), noisy(10, 0.02))
    pair = ("pump", "pump again")
    assert rounds.verdict(told, pair, ["pump", "nginx"]) == "no verdict: nginx was not run"
    assert rounds.verdict(told, pair, ["pump"]) == "reached"


def test_ratios_are_of_the_same_round():
    """The machine is twice as slow in every other round; the ratio does not notice."""
    found = {"pump": turns(*(10, 20) * 8), "pillion": turns(*(11, 22) * 8)}
    assert rounds.ratios(found, "pillion", "pump") == [1.1] * 16


def test_an_error_in_a_round_refuses_the_row():
    def one(target):
        raise RuntimeError(f"Non-2xx from {target.name}")
    try:
        rounds.interleave([types.SimpleNamespace(name="envoy")], one, 3)
    except rounds.Refused as e:
        assert "Non-2xx from envoy" in str(e)
        return
    raise AssertionError("not refused")


def test_a_refused_run_does_not_replace_a_result_that_counts():
    row = types.SimpleNamespace(name="tcp", title="TCP", to_reach="1.05 x pump")
    with tempfile.TemporaryDirectory() as out:
        options = types.SimpleNamespace(out=out, rounds=15)
        report.save(row, {"verdict": "missed", "unit": "us"}, options)
        report.save(row, {"verdict": "refused: the control's spread is 0.090", "unit": "us"}, options)
        with open(os.path.join(out, "tcp.json"), encoding="utf-8") as f:
            held = json.load(f)
        assert held["verdict"] == "missed"
        line = report.table([row], {"tcp": held}).splitlines()[2]
        assert held["commit"] in line and "**missed**" in line, line
        assert os.path.exists(os.path.join(out, "tcp.refused.json"))


def test_plots_are_xml_and_have_every_series():
    chart = svg.line_chart("a < b", "x", "y", {"pillion": [(1, 10), (5, 200)], "envoy": [(1, 20)]}, log=True)
    text = svg.page([(chart, svg.WIDTH), (None, 10)])
    xml.dom.minidom.parseString(text)
    assert "pillion" in text and "envoy" in text and "a &lt; b" in text


class Origin(TcpServer):
    """Answers each GET; from the tenth on its connection it stalls once, for STALL_S."""

    def __init__(self, status="200 OK", stalls=False):
        self.answer = f"HTTP/1.1 {status}\r\nContent-Length: 2\r\n\r\nok".encode()
        self.stalls = stalls
        super().__init__()

    def handle(self, sock):
        seen = 0
        while data := sock.recv(65536):
            for _ in range(data.count(b"\r\n\r\n")):
                seen += 1
                if self.stalls and seen == 10:
                    time.sleep(STALL_S)
                sock.sendall(self.answer)


def generate(origin, *options, before_end=None):
    argv = [GENERATOR, "open", "--late-us", "100000", "--connections", "1", "--warm", "0", *options, "127.0.0.1",
            str(origin.port)]
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if before_end:
        before_end(process)
    out, err = process.communicate(timeout=60)
    return process.returncode, out, err


def test_latency_is_counted_from_when_a_request_should_have_been_sent():
    """A stall of 0.4 s in 1 s holds up some 40 of 100 requests. Who counts from the sending sees one slow request."""
    with Origin(stalls=True) as origin:
        status, out, err = generate(origin, "--rate", "100", "--seconds", "1")
    assert status == 0, err
    found = json.loads(out)["latency_us"]
    assert found["max"] >= STALL_S * 1e6 and found["p90"] >= STALL_S * 1e6 / 2, found


def test_an_answer_that_is_not_200_ends_the_run():
    with Origin(status="503 Service Unavailable") as origin:
        status, out, err = generate(origin, "--rate", "100", "--seconds", "0.2")
    assert status == 1 and not out and "503" in err, (status, out, err)


def test_a_generator_that_was_late_itself_reports_nothing():
    def hold(process):
        time.sleep(0.3)
        process.send_signal(signal.SIGSTOP)
        time.sleep(0.5)
        process.send_signal(signal.SIGCONT)
    with Origin() as origin:
        status, out, err = generate(origin, "--rate", "200", "--seconds", "1", before_end=hold)
    assert status == 3 and not out and "late from the schedule" in err, (status, out, err)


def main():
    failed = 0
    tests = [(name, function) for name, function in globals().items() if name.startswith("test_")]
    for name, function in tests:
        try:
            function()
            print(f"ok   {name.removeprefix('test_').replace('_', ' ')}", flush=True)
        except Exception as e:  # Whatever ends a test is its result.
            failed += 1
            print(f"FAIL {name}: {type(e).__name__}: {e}", flush=True)
    print(f"{len(tests) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
