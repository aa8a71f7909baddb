"""What the lint programs share: the files they look at and the waivers."""
import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
WAIVERS = ROOT / "tests/lint/waivers.txt"


def sources(*suffixes):
    for top in ("proxy", "filters", "xds", "certs", "k8s", "tests", "perf"):
        for path in sorted((ROOT / top).rglob("*")):
            if path.suffix in suffixes and path.is_file():
                yield path


def waivers():
    """{(rule, file): reason}; a line is `rule file reason…`."""
    out = {}
    if WAIVERS.exists():
        for number, line in enumerate(WAIVERS.read_text().splitlines(), 1):
            if not line.strip() or line.startswith("#"):
                continue
            parts = line.split(None, 2)
            if len(parts) < 3:
                sys.exit(f"{WAIVERS}:{number}: a waiver needs a rule, a file and a reason")
            out[(parts[0], parts[1])] = parts[2]
    return out


def finish(rule, complaints, summary):
    for line in complaints:
        print(line)
    print(f"{rule}: {summary}" + (f", {len(complaints)} complaints" if complaints else ""))
    sys.exit(1 if complaints else 0)
