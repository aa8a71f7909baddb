"""The admin server: the same shapes as Envoy's, which are asked first so that the tests cannot be wrong about them."""

import re
import tempfile

from pillion_test import Http1Client, HttpOrigin, certs, find_binary

from .kit import Failed, Scene, check, equal, test

PAGE = """
node: {id: the-id, cluster: the-cluster}
admin: ${admin}
static_resources:
  listeners:
  - name: web
    address: ${any}
    filter_chains: [{filters: [{name: envoy.filters.network.http_connection_manager, typed_config: {${hcm}, stat_prefix: web, http_filters: ${router}, route_config: {name: the-routes, virtual_hosts: [{name: all, domains: ["*"], routes: [{match: {prefix: /}, route: {cluster: a}}]}]}}}]}]
  - name: secure
    address: ${any}
    filter_chains:
    - transport_socket:
        name: envoy.transport_sockets.tls
        typed_config:
          ${tls_server}
          common_tls_context:
            tls_certificates: [{certificate_chain: {filename: CRT}, private_key: {filename: KEY}}]
            validation_context: {trusted_ca: {filename: CA}}
      filters: [{name: envoy.filters.network.tcp_proxy, typed_config: {${tcp_proxy}, stat_prefix: t, cluster: a}}]
  clusters:
  - {name: a, connect_timeout: 1s, load_assignment: ${load:a}}
"""


def at(value, path):
    """Follows a path as "a.b[].c[web].d"; [] is the first element, [web] that of the name. Raises Failed where it ends."""
    for step in path.replace("[", ".[").split("."):
        named = re.fullmatch(r"\[(.+)\]", step)
        if named:
            value = next((one for one in value if one.get("name") == named[1]), None)
            check(value is not None, f"{path}: no element {step}")
        elif step == "[]":
            check(isinstance(value, list) and value, f"{path}: no element at {step}")
            value = value[0]
        else:
            check(isinstance(value, dict) and step in value, f"{path}: no {step}")
            value = value[step]
    return value


def both(function):
    """Runs `function(scene, directory)` against Envoy, then against Pillion; the failure says which."""
    for kind in ("envoy", "pillion"):
        if not find_binary(kind):
            raise Failed(f"needs {kind}")
        with tempfile.TemporaryDirectory(prefix="pillion-admin-") as directory:
            ca = certs.Authority(directory)
            crt, key = ca.issue("server", "DNS:server.test", "URI:spiffe://mesh/server")
            text = PAGE.replace("CRT", f'"{crt}"').replace("KEY", f'"{key}"').replace("CA}", f'"{ca.ca}"}}')
            with Scene(text, kind, {"a": HttpOrigin("a")}) as s:
                with Http1Client(s.port()) as client:
                    for _ in range(5):
                        client.get("/")
                try:
                    function(s)
                except Failed as e:
                    raise Failed(f"{kind}: {e}") from None


def shape(path, wanted):
    """A test that a JSON page has certain values; None asks only for presence, a type for that type."""
    def run(s):
        page = s.proxy.get_json(path)
        for where, want in wanted.items():
            have = at(page, where)
            if isinstance(want, type):
                check(isinstance(have, want), f"{where} is {have!r}")
            elif want is not None:
                equal(have, want, where)
    return run


PAGES = {
    "/server_info": {"version": str, "state": "LIVE", "uptime_current_epoch": str, "uptime_all_epochs": str,
                     "hot_restart_version": str, "command_line_options.concurrency": 1,
                     "command_line_options.config_path": str, "node.id": "the-id", "node.cluster": "the-cluster"},
    "/listeners?format=json": {"listener_statuses[web].name": "web",
                               "listener_statuses[web].local_address.socket_address.address": "127.0.0.1",
                               "listener_statuses[web].local_address.socket_address.port_value": int},
    "/clusters?format=json": {"cluster_statuses[].name": "a",
                              "cluster_statuses[].circuit_breakers.thresholds[].max_connections": 1024,
                              "cluster_statuses[].host_statuses[].address.socket_address.address": "127.0.0.1",
                              "cluster_statuses[].host_statuses[].address.socket_address.port_value": int,
                              "cluster_statuses[].host_statuses[].stats[].name": str,
                              "cluster_statuses[].host_statuses[].health_status.eds_health_status": "HEALTHY",
                              "cluster_statuses[].host_statuses[].weight": 1,
                              "cluster_statuses[].host_statuses[].locality": dict},
    "/certs": {"certificates[].ca_cert[].serial_number": str,
               "certificates[].ca_cert[].days_until_expiration": None,
               "certificates[].ca_cert[].valid_from": str,
               "certificates[].cert_chain[].path": str,
               "certificates[].cert_chain[].subject_alt_names": list,
               "certificates[].cert_chain[].expiration_time": str},
}


def add(path, wanted):
    @test(f"admin: {path} has Envoy's shape")
    def run():
        both(shape(path, wanted))


for _path, _wanted in PAGES.items():
    add(_path, _wanted)


@test("admin: /config_dump has Envoy's sections")
def config_dump():
    def run(s):
        dump = s.proxy.get_json("/config_dump")
        sections = {c["@type"].rpartition(".")[2]: c for c in dump["configs"]}
        for name in ("BootstrapConfigDump", "ClustersConfigDump", "ListenersConfigDump", "RoutesConfigDump"):
            check(name in sections, f"{name} is not among {sorted(sections)}")
        equal(at(sections["ClustersConfigDump"], "static_clusters[].cluster.name"), "a")
        equal(at(sections["ListenersConfigDump"], "static_listeners[].listener.name"), "web")
        equal(at(sections["RoutesConfigDump"], "static_route_configs[].route_config.name"), "the-routes")
        check("BEGIN" not in str(dump) and "PRIVATE" not in str(dump), "a key is in the dump")
    both(run)


# Names that dashboards and Istio's agent read.
STATS = {
    "http.web.downstream_rq_total": 5, "http.web.downstream_rq_2xx": 5, "http.web.downstream_cx_total": 1,
    "http.web.downstream_rq_completed": 5, "http.web.downstream_rq_active": 0,
    "cluster.a.upstream_rq_total": 5, "cluster.a.upstream_rq_2xx": 5, "cluster.a.upstream_rq_200": 5,
    "cluster.a.upstream_rq_completed": 5, "cluster.a.upstream_cx_total": 1, "cluster.a.upstream_cx_active": 1,
    "cluster.a.upstream_rq_active": 0, "cluster.a.upstream_rq_retry": 0, "cluster.a.upstream_rq_timeout": 0,
    "cluster.a.membership_total": 1, "cluster.a.membership_healthy": 1, "cluster.a.upstream_cx_http1_total": 1,
    "cluster.a.upstream_cx_connect_fail": 0, "cluster.a.upstream_rq_pending_total": 1,
    "server.live": 1, "server.state": 0, "listener_manager.total_listeners_active": 2,
    "listener_manager.workers_started": 1, "cluster_manager.active_clusters": None, "server.concurrency": 1,
}


@test("admin: /stats has the counters that dashboards read")
def stats():
    def run(s):
        lines = dict(line.split(": ", 1) for line in s.proxy.get("/stats")[1].splitlines() if ": " in line)
        wrong = [f"{name}: {lines.get(name)} instead of {want}" for name, want in STATS.items()
                 if name not in lines or (want is not None and lines[name] != str(want))]
        check(not wrong, "; ".join(wrong))
    both(run)


@test("admin: /stats takes filter, usedonly and format=json")
def stats_options():
    def run(s):
        some = s.proxy.get("/stats?filter=%5Ecluster.a.upstream_rq_2xx%24")[1].split()
        equal(some, ["cluster.a.upstream_rq_2xx:", "5"])
        used = s.proxy.get("/stats?usedonly")[1]
        check("cluster.a.upstream_rq_2xx: 5" in used and "upstream_rq_retry_overflow" not in used, "usedonly")
        page = s.proxy.get_json("/stats?format=json&filter=cluster.a.upstream_rq_total")
        check({"name": "cluster.a.upstream_rq_total", "value": 5} in page["stats"], page)
    both(run)


@test("admin: /stats/prometheus is in the exposition format, with Envoy's names")
def prometheus():
    def run(s):
        text = s.proxy.get("/stats/prometheus")[1]
        line = re.compile(r'^(# (TYPE|HELP) .*|[a-zA-Z_:][\w:]*(\{([a-zA-Z_]\w*="([^"\\]|\\.)*",?)*\})? '
                          r'[-+\d.eEInfNa]+)?$')
        bad = [one for one in text.splitlines() if not line.match(one)]
        check(not bad, f"not in the format: {bad[:3]}")
        for want in (r'envoy_cluster_upstream_rq_total\{envoy_cluster_name="a"\} 5',
                     r'envoy_http_downstream_rq_xx\{(envoy_response_code_class="2",envoy_http_conn_manager_prefix="web"|'
                     r'envoy_http_conn_manager_prefix="web",envoy_response_code_class="2")\} 5',
                     r"# TYPE envoy_cluster_upstream_rq_total counter",
                     r"# TYPE envoy_cluster_upstream_rq_time histogram",
                     r'envoy_cluster_upstream_rq_time_bucket\{[^}]*le="\+Inf"\} \d+'):
            check(re.search(want, text), f"no line like {want}")
        types = re.findall(r"^# TYPE (\S+)", text, re.M)
        equal(len(types), len(set(types)), "metrics declared twice")
    both(run)


@test("admin: /clusters and /listeners as text")
def text_pages():
    def run(s):
        host = f"127.0.0.1:{s['a'].port}"
        lines = s.proxy.get("/clusters")[1].splitlines()
        for want in ("a::default_priority::max_connections::1024", f"a::{host}::health_flags::healthy",
                     f"a::{host}::rq_total::5", f"a::{host}::cx_active::1", f"a::{host}::weight::1",
                     "a::added_via_api::false"):
            check(want in lines, f"no line {want} in {[x for x in lines if x.startswith('a::')][:40]}")
        listeners = s.proxy.get("/listeners")[1].splitlines()
        check(f"web::127.0.0.1:{s.port('web')}" in listeners, listeners)
    both(run)


@test("admin: /logging changes levels by POST only")
def logging():
    def run(s):
        equal(s.proxy.get("/logging?level=debug", "GET")[0], 405, "GET")
        status, text = s.proxy.get("/logging?level=debug", "POST")
        check(status == 200 and "debug" in text, status, text[:200])
        equal(s.proxy.get("/logging?level=nonsense", "POST")[0], 400, "nonsense")
        equal(s.proxy.get("/logging?level=warning", "POST")[0], 200)
    both(run)


@test("admin: /ready, /help and unknown pages")
def small_pages():
    def run(s):
        equal(s.proxy.get("/ready"), (200, "LIVE\n"))
        equal(s.proxy.get("/no-such-page")[0], 404)
        check("/config_dump" in s.proxy.get("/help")[1], "no list of pages")
        equal(s.proxy.get("/quitquitquit")[0], 405, "GET /quitquitquit")
        equal(s.proxy.get("/drain_listeners")[0], 405, "GET /drain_listeners")
    both(run)
