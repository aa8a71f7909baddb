"""Who may include whom (ARCHITECTURE.md, "Layers"). Also finds cycles between files and prints the largest."""
import re
import sys

from common import ROOT, finish, sources

LEVEL = {"base": 0, "event": 1, "http": 1, "config": 1, "net": 2, "rpc": 3, "upstream": 4, "filter": 5, "route": 5,
         "downstream": 6, "worker": 7, "admin": 8, "cli": 9}
PURE = {"http", "config"}  # bytes in and values out: they see base only
PROXY_FOR = {
    "filters": {"base", "event", "http", "config", "net", "rpc", "upstream", "filter"},
    "xds/api": {"base"},
    "xds/translate": {"base", "config"},
    "xds/client": {"base", "event", "http", "config", "net", "rpc"},
    "xds/control": {"base", "event", "http", "config", "net", "rpc"},
    "certs": {"base", "event", "net", "rpc"},
    "k8s": {"base"},
    "k8s/client": {"base", "event", "http", "config", "net", "rpc"},
}
OUTSIDE_FOR = {  # besides its own folder
    "xds/translate": {"xds/api"},
    "xds/client": {"xds/api", "xds/translate"},
    "xds/control": {"xds/api", "xds/translate", "certs", "k8s/client"},
    "filters": {"xds/api", "xds/translate", "filters"},
}
THIRD_PARTY = {  # header prefix -> folders that may see it
    "uv.h": ("proxy/event", "proxy/net"),
    "openssl/": ("proxy/net", "certs"),
    "ares.h": ("proxy/net",),
    "llhttp.h": ("proxy/http",),
    "nghttp2/": ("proxy/http",),
    "re2/": ("proxy/config", "xds/api"),
    "google/protobuf": ("xds", "filters"),
    "yaml-cpp/": ("xds", "k8s/inject"),
}

CYCLE_MAX = 1  # modules: none needs another that needs it


def room(path):
    """proxy/net/tcp.h -> ("proxy", "net"); xds/api/yaml.h -> ("xds/api", None)."""
    parts = path.split("/")
    if parts[0] == "proxy":
        return ("proxy", parts[1] if len(parts) > 2 else "main")
    for key in (f"{parts[0]}/{parts[1]}", parts[0]):
        if key in PROXY_FOR:
            return (key, None)
    return (parts[0], None)


def allowed(source, target):
    kind, layer = room(source)
    target_kind, target_layer = room(target)
    if kind in ("tests", "perf") or layer in ("main", "cli"):
        return True
    if kind == "proxy":
        if target_kind != "proxy":
            return False
        if layer == target_layer:
            return True
        if layer in PURE:
            return target_layer == "base"
        return LEVEL[target_layer] < LEVEL[layer]
    if target_kind == "proxy":
        return target_layer in PROXY_FOR[kind]
    return target_kind == kind or target_kind in OUTSIDE_FOR.get(kind, ())


def module(path):
    """The files of a folder whose names begin with the same word are one module: document.h, document_builder.cc."""
    folder, _, name = path.rpartition("/")
    return f"{folder}/{re.split('[_.]', name)[0]}"


def largest_cycle(graph):
    """Size of the largest strongly connected component (Tarjan), in modules."""
    index, low, stack, on, counter, best = {}, {}, [], set(), [0], [1, []]

    def visit(v):
        index[v] = low[v] = counter[0]
        counter[0] += 1
        stack.append(v)
        on.add(v)
        for w in graph.get(v, ()):
            if w not in index:
                visit(w)
                low[v] = min(low[v], low[w])
            elif w in on:
                low[v] = min(low[v], index[w])
        if low[v] == index[v]:
            component = []
            while True:
                w = stack.pop()
                on.discard(w)
                component.append(w)
                if w == v:
                    break
            if len(component) > best[0]:
                best[0], best[1] = len(component), component

    sys.setrecursionlimit(10000)
    for v in list(graph):
        if v not in index:
            visit(v)
    return best


def main():
    complaints, graph, files = [], {}, 0
    for path in sources(".h", ".cc"):
        name = str(path.relative_to(ROOT))
        files += 1
        for number, line in enumerate(path.read_text().splitlines(), 1):
            m = re.match(r'#include\s+["<]([^">]+)[">]', line)
            if not m:
                continue
            target = m.group(1)
            if (ROOT / target).exists() and "/" in target:
                if not allowed(name, target):
                    complaints.append(f"{name}:{number}: may not include {target} (ARCHITECTURE.md, Layers)")
                graph.setdefault(module(name), set()).add(module(target))
            elif not name.startswith(("tests/", "perf/")):
                for prefix, homes in THIRD_PARTY.items():
                    if target.startswith(prefix) and not name.startswith(homes):
                        complaints.append(f"{name}:{number}: {target} is at home in {', '.join(homes)} only")
    for v in graph:
        graph[v].discard(v)
    size, members = largest_cycle(graph)
    if size > CYCLE_MAX:
        complaints.append("include cycle: " + " ".join(sorted(members)))
    finish("layers", complaints, f"{files} files, largest include cycle: {size} (at most {CYCLE_MAX})")


main()
