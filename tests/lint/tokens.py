"""Tokens that may not appear, each with its reason. tests/ is free of most of them."""
import re

from common import ROOT, finish, sources, waivers

RULES = [
    # (name, pattern, reason, folders that may)
    ("coroutine", r"\bco_(await|return|yield)\b", "g++ 12 destroys temporaries of a co_await twice", ()),
    ("std_function", r"\bstd::function\b", "a capture of this outlives its owner; bind a member or use an interface",
     ("tests/", "xds/translate/", "proxy/cli/", "filters/")),
    ("thread", r"\bstd::(jthread|thread|async)\b", "threads are made in worker and event only",
     ("tests/", "proxy/worker/", "proxy/event/")),
    ("clock", r"(chrono::\w+_clock\b|::now\(\)|\bclock_gettime\b|\bgettimeofday\b)", "time comes from base/time or an executor",
     ("tests/", "perf/", "proxy/base/time.cc")),
    ("rand", r"\b(s?rand|random)\(\)", "use base/random: seeded, one per executor", ("tests/",)),
    ("sleep", r"\b(u|nano)?sleep(_for|_until)?\(", "wait for an event, not for a time", ("tests/", "perf/")),
    ("delete_this", r"\bdelete this\b", "nobody deletes itself", ()),
    ("uv_close", r"\buv_close\(", "only event::Handle closes", ("proxy/event/",)),
    ("using_namespace", r"^using namespace (?!std::chrono_literals)", "not in headers", ("tests/",)),
]


def main():
    excused = waivers()
    complaints, files = [], 0
    for path in sources(".h", ".cc"):
        name = str(path.relative_to(ROOT))
        files += 1
        for number, line in enumerate(path.read_text().splitlines(), 1):
            code = line.split("//")[0]
            for rule, pattern, reason, homes in RULES:
                if rule == "using_namespace" and path.suffix != ".h":
                    continue
                if re.search(pattern, code) and not name.startswith(tuple(homes)) and (rule, name) not in excused:
                    complaints.append(f"{name}:{number}: {rule}: {reason}")
    finish("tokens", complaints, f"{files} files, {len(RULES)} rules")


main()
