"""Results as files, as lines on the terminal, and as the table of the README."""

import json
import os
import time

import plots
from machine import ROOT, commit, describe

RESULTS = os.path.join(ROOT, "perf", "results")
_COLUMNS = ("pump", "haproxy", "nginx", "nghttpx", "envoy", "pillion")
_BEGIN, _END = "<!-- make perf: begin -->\n", "<!-- make perf: end -->\n"


def save(row, found, options):
    """Writes the row's file and returns what it says. A refused run does not replace a result that counts."""
    result = {"row": row.name, "title": row.title, "to_reach": row.to_reach, "verdict": found.pop("verdict"),
              "commit": commit(), "date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "machine": describe(),
              "round_count": options.rounds} | found
    held = load(os.path.join(options.out, f"{row.name}.json")) or {}
    # What was tried, where the row is missed, is written by hand.
    result |= {key: held[key] for key in ("tries", "explained") if key in held}
    counts = result["verdict"] in ("reached", "missed") or held.get("verdict") not in ("reached", "missed")
    write(result, options.out, "" if counts else ".refused")
    return result


def write(result, out, kind=""):
    with open(os.path.join(out, f"{result['row']}{kind}.json"), "w", encoding="utf-8") as f:
        f.write(_compact(dict(result)))


def _compact(result):
    """JSON with one line for each round, so that a change of results reads as one."""
    rounds = result.pop("rounds", None)
    text = json.dumps(result, indent=1)
    if rounds is None:
        return text + "\n"
    result["rounds"] = rounds
    lines = []
    for name, turns in rounds.items():
        rows = ",\n   ".join(json.dumps({k: _short(v) for k, v in turn.items()}) for turn in turns)
        lines.append(f'  {json.dumps(name)}: [\n   {rows}]')
    return text[:-2] + ',\n "rounds": {\n' + ",\n".join(lines) + "}\n}\n"


def _short(value):
    if isinstance(value, list):
        return [_short(v) for v in value]
    return round(value, 4) if isinstance(value, float) else value


def load(path):
    try:
        with open(path, encoding="utf-8") as f:
            return json.load(f)
    except FileNotFoundError:
        return None


def figure(value):
    if value is None:
        return ""
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def shown(one):
    """A contestant's cell."""
    return one.get("text") or figure(one["median"])


def lines(result):
    """What the terminal is told of one row."""
    told = [f"{result['row']}: {result['title']}"]
    for name, one in result.get("contestants", {}).items():
        sides = f" (sides {', '.join(figure(s) for s in one['sides_median'])})" if "sides_median" in one else ""
        rate = f", {one['rps_median']} a second" if "rps_median" in one else ""
        span = f" ({figure(one['min'])} to {figure(one['max'])})" if "min" in one else ""
        told.append(f"  {name:16} {shown(one):>8}{'' if 'text' in one else ' ' + result['unit']}{span}{sides}{rate}")
    if control := result.get("control"):
        told.append(f"  control: {control['of'][1]} / {control['of'][0]} {control['ratio']:.3f}, "
                    f"spread {control['spread']:.3f}")
    for one in result.get("judgements", []):
        word = "reached" if one["reached"] else "missed"
        told.append(f"  {one['what']}: {_judged(one)}, at most {one['bound']:g}: {word}")
    return "\n".join(told + [f"  {result['verdict']}"])


def _judged(one):
    return f"{one['ratio']:.3f} (+{one['spread']:.3f} allowed)" if one.get("spread") else figure(one["ratio"])


def _told(judgement):
    """"p50 pillion / nginx" at 1.01 is told as "p50 1.01 nginx"; a bound that is no ratio, as its value and name."""
    left, slash, reference = judgement["what"].rpartition(" / ")
    if not slash:
        return f"{figure(judgement['ratio'])} {judgement['what']}"
    quantile = left.split()[0] + " " if left.startswith("p") and left[1].isdigit() else ""
    return f"{quantile}{judgement['ratio']:.2f} {reference}"


def _line(row, result):
    if not result:
        return f"| {row.title} | {row.to_reach} |" + " |" * (len(_COLUMNS) + 3)
    cells = []
    for name in _COLUMNS:
        who = getattr(row, "subject", name) if name == "pillion" else name
        one = result.get("contestants", {}).get(who)
        cells.append(shown(one) if one else "")
    ratios = "; ".join(_told(j) for j in result.get("judgements", []))
    spread = f"{result['control']['spread']:.3f}" if "control" in result else ""
    return (f"| {row.title}, {result['unit']} | {row.to_reach} | {' | '.join(cells)} | {ratios} | {spread} | "
            f"**{result['verdict']}** ({result['commit']}) |")


def table(rows, results):
    head = ["| work | to reach | " + " | ".join(_COLUMNS) + " | ratio to | spread | verdict (commit) |",
            "|---|---|" + "--:|" * len(_COLUMNS) + "---|--:|---|"]
    body = [_line(row, results.get(row.name)) for row in rows]
    counts = {}
    for row in rows:
        word = results[row.name]["verdict"].split(":")[0] if row.name in results else "not run"
        counts[word] = counts.get(word, 0) + 1
    told = ", ".join(f"{n} {word}" for word, n in sorted(counts.items()))
    machines = sorted({f"{r['machine']['cpu']}, {r['machine']['cpus']} CPUs, Linux {r['machine']['kernel']}"
                       for r in results.values()})
    return "\n".join(head + body + ["", f"{len(rows)} rows: {told}. Measured on: {'; '.join(machines)}.", ""])


def make(rows, out):
    """table.md from all of the results; the README's copy of it, when it has the place for one."""
    results = {row.name: found for row in rows if (found := load(os.path.join(out, f"{row.name}.json")))}
    text = table(rows, results)
    made = plots.make(results, out)
    with open(os.path.join(out, "table.md"), "w", encoding="utf-8") as f:
        f.write(text + "".join(f"\n![{name}]({name}.svg)" for name in made) + "\n")
    text += "".join(f"\n![{name}](perf/results/{name}.svg)" for name in made) + "\n"
    readme = os.path.join(ROOT, "README.md")
    if out == RESULTS:
        with open(readme, encoding="utf-8") as f:
            before, begin, rest = f.read().partition(_BEGIN)
        if begin and _END in rest:
            with open(readme, "w", encoding="utf-8") as f:
                f.write(before + begin + text + _END + rest.partition(_END)[2])
    print(text)
