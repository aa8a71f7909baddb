"""Which results become which plots: latency against load, CPU per request, memory against connections and clusters."""

import os

import svg

_CPU = (("http1-64-2h", "HTTP/1.1"), ("http1-512-12h", "512 conns, 12 headers"), ("http2-to-1", "HTTP/2 to 1"),
        ("http2-to-2", "HTTP/2 to 2"), ("grpc", "gRPC"), ("tcp", "TCP"), ("pair", "mTLS pair, a side"))
_LATENCY = (("latency-http1", "HTTP/1.1"), ("latency-http2", "HTTP/2"), ("latency-pair", "mTLS pair"))
_IDLE = (("idle-plain", "plain"), ("idle-mtls", "mTLS"), ("idle-http2-mtls", "HTTP/2 over mTLS"))
_CLUSTERS = (("clusters-ads", "over ADS"), ("clusters-file", "from a JSON file"))


def cpu(results):
    groups = []
    for row, name in _CPU:
        found = results.get(row, {}).get("contestants", {})
        bars = {who: one["median"] for who, one in found.items() if "again" not in who}
        if bars:
            groups.append((name, bars))
    width = 140 * max(len(groups), 2)
    return svg.page([(svg.bar_chart("CPU of the proxy process per request", "us", groups, width), width)])


def latency(results):
    charts = []
    for row, name in _LATENCY:
        sweep = results.get(row, {}).get("sweep") or {}
        for quantile in ("p50", "p99"):
            series = {who: [(p["rate"], p[quantile]) for p in points] for who, points in sweep.items()}
            charts.append((svg.line_chart(f"{name}, {quantile}", "requests a second", "us", series, log=True), svg.WIDTH))
    return svg.page(charts)


def idle(results):
    charts = []
    for row, name in _IDLE:
        turns = results.get(row, {}).get("rounds") or {}
        series = {who: [(p["connections"], (p["anon"] - points[0]["anon"]) / 1024) for p in points]
                  for who, points in turns.items()}
        charts.append((svg.line_chart(f"idle connections, {name}", "connections", "RssAnon grown by, MB", series),
                       svg.WIDTH))
    return svg.page(charts)


def clusters(results):
    charts = []
    for row, name in _CLUSTERS:
        result = results.get(row, {})
        whole = {}
        for who, one in result.get("contestants", {}).items():
            last = {"clusters": result["rounds"][who][0]["clusters"], "rss": one["rss"] * 1024, "ready_s": one["median"]}
            whole[who] = one.get("sweep", []) + [last]
        memory = {who: [(p["clusters"], p["rss"] / 1024) for p in points] for who, points in whole.items()}
        ready = {who: [(p["clusters"], p["ready_s"]) for p in points] for who, points in whole.items()}
        charts.append((svg.line_chart(f"clusters {name}: memory", "clusters", "RSS, MB", memory, log=True), svg.WIDTH))
        charts.append((svg.line_chart(f"clusters {name}: time to ready", "clusters", "s", ready, log=True), svg.WIDTH))
    return svg.page(charts)


def make(results, out):
    """Writes the plots that there are results for; returns their names."""
    made = []
    for name, draw in (("cpu", cpu), ("latency", latency), ("idle", idle), ("clusters", clusters)):
        if drawn := draw(results):
            with open(os.path.join(out, f"{name}.svg"), "w", encoding="utf-8") as f:
                f.write(drawn)
            made.append(name)
    return made
