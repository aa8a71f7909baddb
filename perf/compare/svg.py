"""Charts as SVG text: lines over two axes, and groups of bars. Several charts stand side by side in one file."""

import math
from html import escape

COLOURS = {"pump": "#888888", "direct": "#bbbbbb", "haproxy": "#1f77b4", "nginx": "#2ca02c", "nghttpx": "#9467bd",
           "envoy": "#ff7f0e", "pillion": "#d62728"}
WIDTH, HEIGHT = 420, 300
_LEFT, _RIGHT, _TOP, _BOTTOM = 58, 12, 34, 40


def nice_ticks(low, high, count=5):
    """Round numbers from at most `low` to at least `high`."""
    if high <= low:
        high = low + 1
    raw = (high - low) / count
    power = 10 ** math.floor(math.log10(raw))
    step = next(m * power for m in (1, 2, 2.5, 5, 10) if m * power >= raw)
    first, last = math.floor(low / step), math.ceil(high / step)
    return [step * n for n in range(first, last + 1)]


def label(value):
    if value >= 1000:
        return f"{value / 1000:g}k"
    return f"{value:g}"


def text(x, y, words, anchor="middle", size=11, more=""):
    return (f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}" fill="#222" {more}>'
            f"{escape(words)}</text>")


class _Frame:
    """Maps values to places within one chart."""

    def __init__(self, xs, ys, log):
        self.log = log
        self.x_ticks = nice_ticks(0, max(xs))
        if log:
            self.y_ticks = [10.0 ** n for n in range(math.floor(math.log10(min(ys))), math.ceil(math.log10(max(ys))) + 1)]
            if len(self.y_ticks) < 2:
                self.y_ticks.append(self.y_ticks[-1] * 10)
        else:
            self.y_ticks = nice_ticks(0, max(ys))

    def x(self, value):
        return _LEFT + (WIDTH - _LEFT - _RIGHT) * value / self.x_ticks[-1]

    def y(self, value):
        low, high = self.y_ticks[0], self.y_ticks[-1]
        part = math.log(value / low) / math.log(high / low) if self.log else (value - low) / (high - low)
        return HEIGHT - _BOTTOM - (HEIGHT - _TOP - _BOTTOM) * part


def _axes(frame, title, x_title, y_title):
    out = [text(WIDTH / 2, 18, title, size=13, more='font-weight="bold"'), text(WIDTH / 2, HEIGHT - 8, x_title),
           text(14, HEIGHT / 2, y_title, more=f'transform="rotate(-90 14 {HEIGHT / 2})"')]
    for tick in frame.y_ticks:
        y = frame.y(tick)
        out.append(f'<path d="M{_LEFT} {y:.1f}H{WIDTH - _RIGHT}" stroke="#ddd"/>' +
                   text(_LEFT - 5, y + 4, label(tick), "end"))
    return out


def line_chart(title, x_title, y_title, series, log=False):
    """`series` is {name: [(x, y)]}."""
    points = [p for line in series.values() for p in line]
    if not points:
        return None
    frame = _Frame([p[0] for p in points], [p[1] for p in points], log)
    out = _axes(frame, title, x_title, y_title)
    out += [text(frame.x(t), HEIGHT - _BOTTOM + 15, label(t)) for t in frame.x_ticks]
    for number, (name, line) in enumerate(series.items()):
        colour = COLOURS.get(name, "#444")
        path = "".join(f"{'L' if i else 'M'}{frame.x(x):.1f} {frame.y(y):.1f}" for i, (x, y) in enumerate(line))
        out.append(f'<path d="{path}" fill="none" stroke="{colour}" stroke-width="{3 if name == "pillion" else 1.7}"/>')
        out += [f'<circle cx="{frame.x(x):.1f}" cy="{frame.y(y):.1f}" r="2.5" fill="{colour}"/>' for x, y in line]
        out.append(_legend(_LEFT + 8, _TOP + 10 + 14 * number, name))
    return "".join(out)


def _legend(x, y, name):
    return (f'<rect x="{x}" y="{y - 8}" width="10" height="10" fill="{COLOURS.get(name, "#444")}"/>' +
            text(x + 14, y + 1, name, "start"))


def bar_chart(title, y_title, groups, width):
    """`groups` is [(label, {name: value})]; bars stand in groups, each with its value above it."""
    values = [v for _, bars in groups for v in bars.values()]
    if not values:
        return None
    frame = _Frame([1], values, False)
    out = [text(width / 2, 18, title, size=13, more='font-weight="bold"'),
           text(14, HEIGHT / 2, y_title, more=f'transform="rotate(-90 14 {HEIGHT / 2})"')]
    for tick in frame.y_ticks:
        y = frame.y(tick)
        out.append(f'<path d="M{_LEFT} {y:.1f}H{width - _RIGHT}" stroke="#ddd"/>' +
                   text(_LEFT - 5, y + 4, label(tick), "end"))
    room = (width - _LEFT - _RIGHT) / len(groups)
    for number, (name, bars) in enumerate(groups):
        left = _LEFT + room * number + room * 0.08
        each = room * 0.84 / max(len(bars), 1)
        for place, (who, value) in enumerate(bars.items()):
            x, y = left + each * place, frame.y(value)
            out.append(f'<rect x="{x:.1f}" y="{y:.1f}" width="{each * 0.9:.1f}" height="{frame.y(0) - y:.1f}" '
                       f'fill="{COLOURS.get(who, "#444")}"/>' + text(x + each * 0.45, y - 2, f"{value:.3g}", size=8))
        out.append(text(left + room * 0.42, HEIGHT - _BOTTOM + 15, name, size=10))
    names = dict.fromkeys(n for _, bars in groups for n in bars)
    out += [_legend(_LEFT + 8 + 80 * i, HEIGHT - 10, n) for i, n in enumerate(names)]
    return "".join(out)


def page(charts):
    """One file of the charts that are there, side by side: [(chart, width)]."""
    x, body = 0, []
    for chart, width in charts:
        if chart:
            body.append(f'<g transform="translate({x} 0)">{chart}</g>')
            x += width
    if not body:
        return None
    return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{x}" height="{HEIGHT}" viewBox="0 0 {x} {HEIGHT}" '
            f'font-family="sans-serif"><rect width="{x}" height="{HEIGHT}" fill="#fff"/>' + "\n".join(body) + "</svg>\n")
