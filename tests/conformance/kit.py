"""What the conformance suites share: the line that each prints, and a way to run one alone.

A suite is a file with `run()`, which returns Lines. Whoever runs it prints them: name, cases, passed. A case that may
differ is no failure when the suite names it with its reason (`exceptions`); it is printed under the line.
"""

import dataclasses
import os
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "integration"), os.path.join(HERE, "..", "support")]


@dataclasses.dataclass
class Line:
    name: str
    cases: int
    passed: int
    failures: list = dataclasses.field(default_factory=list)
    exceptions: list = dataclasses.field(default_factory=list)
    notes: list = dataclasses.field(default_factory=list)
    took_s: float = 0

    def good(self):
        return self.cases > 0 and not self.failures and self.passed + len(self.exceptions) == self.cases

    def show(self):
        excepted = f", {len(self.exceptions)} excepted" if self.exceptions else ""
        print(f"{'ok  ' if self.good() else 'FAIL'} {self.name + ':':44} {self.cases:5} cases, {self.passed:5} passed{excepted}"
              f" ({self.took_s:.1f} s)")
        for what, texts in (("failed", self.failures), ("excepted", self.exceptions), ("", self.notes)):
            for text in texts:
                print(f"       {what + ': ' if what else ''}{text}")
        sys.stdout.flush()


def tool(name):
    """The path of a program that `.ci/deps-test` built into the cache."""
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    path = os.path.join(cache, "pillion", "conformance", name)
    if not os.access(path, os.X_OK):
        raise FileNotFoundError(f"{path} is missing: run make deps-test")
    return path


def run_suites(suites):
    """Runs (name, function) pairs and prints their lines; returns an exit status."""
    start = time.monotonic()
    lines = []
    for name, function in suites:
        begin = time.monotonic()
        try:
            found = function()
        except Exception as e:  # Whatever ends a suite is its result.
            found = [Line(name, 0, 0, [f"{type(e).__name__}: {e}"])]
        for line in found:
            line.took_s = line.took_s or (time.monotonic() - begin) / len(found)
            line.show()
        lines += found
    failed = sum(not line.good() for line in lines)
    print(f"---- {time.monotonic() - start:.1f} s")
    print(f"{len(lines) - failed} suites passed, {failed} failed; "
          f"{sum(line.cases for line in lines)} cases, {sum(line.passed for line in lines)} passed")
    return 1 if failed or not lines else 0


def main(run):
    """The end of each suite's file: runs it alone."""
    sys.exit(run_suites([(os.path.basename(sys.argv[0]), run)]))
