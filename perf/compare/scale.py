"""10,000 clusters of 5 endpoints: from a JSON file and over ADS, the time to ready and the memory then.

The ADS server is a script with prebuilt answers, so that its own time is that of sending them: delta ADS, first the
clusters, then all of their endpoints once the proxy has asked for each, then a listener whose route leads to the first
cluster. The clock runs from the first byte of the first answer, in a file's case from the start of the process, until
/ready says LIVE; a request through the listener then shows that it is true.
"""

import dataclasses
import json
import os
import statistics
import subprocess
import sys
import time
import urllib.request
from concurrent import futures

import load
import peers
from machine import Bench, memory_kb, write
from memory import conclude, judged
from pillion_test import find_binary
from pillion_test.launch import private_address, spawn, stop
from rounds import Refused

LIMIT_S = 60
ENDPOINTS = 5
STEPS = (1, 1000, 2500, 5000, 10000)
_TYPE = "type.googleapis.com/envoy."
_CLUSTER, _ENDPOINTS = _TYPE + "config.cluster.v3.Cluster", _TYPE + "config.endpoint.v3.ClusterLoadAssignment"
_LISTENER = _TYPE + "config.listener.v3.Listener"


def name_of(number):
    return f"outbound|8080||service-{number:05}.shop.svc.cluster.local"


def assignment(number, origin):
    """The first cluster is real, so that a request can be served; nobody asks the others for anything."""
    def address(i):
        return origin if number == 0 else (f"10.{number >> 8}.{number & 255}.{i + 1}", 8080)
    return {"cluster_name": name_of(number), "endpoints": [{"lb_endpoints": [
        {"endpoint": {"address": {"socket_address": {"address": address(i)[0], "port_value": address(i)[1]}}}}
        for i in range(ENDPOINTS)]}]}


def listener(address):
    manager = {"@type": _TYPE + "extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
               "stat_prefix": "front", "http_filters": [{"name": "envoy.filters.http.router", "typed_config": {
                   "@type": _TYPE + "extensions.filters.http.router.v3.Router"}}],
               "route_config": {"name": "front", "virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [
                   {"match": {"prefix": "/"}, "route": {"cluster": name_of(0)}}]}]}}
    return {"name": "front", "address": socket(address), "filter_chains": [{"filters": [
        {"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]}]}


def socket(address):
    return {"socket_address": {"address": address[0], "port_value": address[1]}}


def file_bootstrap(count, origin, admin, front):
    clusters = [{"name": name_of(n), "type": "STATIC", "connect_timeout": "1s", "load_assignment": assignment(n, origin)}
                for n in range(count)]
    return {"admin": {"address": socket(admin)}, "static_resources": {"listeners": [listener(front)],
                                                                      "clusters": clusters}}


def ads_bootstrap(ads, admin):
    service = {"api_type": "DELTA_GRPC", "transport_api_version": "V3",
               "grpc_services": [{"envoy_grpc": {"cluster_name": "ads"}}]}
    source = {"ads": {}, "resource_api_version": "V3"}
    http2 = {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
        "@type": _TYPE + "extensions.upstreams.http.v3.HttpProtocolOptions",
        "explicit_http_config": {"http2_protocol_options": {}}}}
    cluster = {"name": "ads", "connect_timeout": "1s", "typed_extension_protocol_options": http2, "load_assignment": {
        "cluster_name": "ads", "endpoints": [{"lb_endpoints": [{"endpoint": {"address": socket(ads)}}]}]}}
    return {"admin": {"address": socket(admin)}, "node": {"id": "perf", "cluster": "perf"},
            "dynamic_resources": {"ads_config": service, "lds_config": source, "cds_config": source},
            "static_resources": {"clusters": [cluster]}}


class Ads:
    """Delta ADS for one proxy at a time, of answers that are bytes already."""

    def __init__(self, count, origin, front):
        cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
        sys.path.append(os.path.join(cache, "pillion", "python"))
        import grpc
        from envoy.service.discovery.v3 import discovery_pb2
        self.count = count
        self.answered_at = None
        self._answers = _build_answers(count, origin, front, discovery_pb2)
        self._server = grpc.server(futures.ThreadPoolExecutor(4))
        self._server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(
            "envoy.service.discovery.v3.AggregatedDiscoveryService", {
                "DeltaAggregatedResources": grpc.stream_stream_rpc_method_handler(
                    self._serve, request_deserializer=discovery_pb2.DeltaDiscoveryRequest.FromString,
                    response_serializer=lambda answer: answer)})])
        self.address = ("127.0.0.1", self._server.add_insecure_port("127.0.0.1:0"))
        self._server.start()

    def _serve(self, requests, _):
        wanted, sent = {}, set()
        for request in requests:
            if request.error_detail.message:
                print(f"the proxy refuses: {request.error_detail.message[:300]}", file=sys.stderr)
            names = wanted.setdefault(request.type_url, set())
            names.update(request.resource_names_subscribe)
            # Endpoints go out once all are asked for: what is asked for is what an answer must hold.
            whole = request.type_url != _ENDPOINTS or len(names) >= self.count
            if request.type_url in self._answers and whole and request.type_url not in sent:
                sent.add(request.type_url)
                if request.type_url == _CLUSTER:
                    self.answered_at = time.monotonic()
                yield self._answers[request.type_url]

    def close(self):
        self._server.stop(0)


def _build_answers(count, origin, front, discovery_pb2):
    from envoy.config.cluster.v3 import cluster_pb2
    from envoy.config.endpoint.v3 import endpoint_pb2
    from envoy.config.listener.v3 import listener_pb2
    from envoy.extensions.filters.http.router.v3 import router_pb2  # noqa: F401
    from envoy.extensions.filters.network.http_connection_manager.v3 import (  # noqa: F401
        http_connection_manager_pb2)
    from google.protobuf import json_format
    eds = {"eds_config": {"ads": {}, "resource_api_version": "V3"}}
    made = {_CLUSTER: [(name_of(n), {"name": name_of(n), "type": "EDS", "connect_timeout": "1s",
                                     "eds_cluster_config": eds}) for n in range(count)],
            _ENDPOINTS: [(name_of(n), assignment(n, origin)) for n in range(count)],
            _LISTENER: [("front", listener(front))]}
    kinds = {_CLUSTER: cluster_pb2.Cluster, _ENDPOINTS: endpoint_pb2.ClusterLoadAssignment,
             _LISTENER: listener_pb2.Listener}
    answers = {}
    for kind, resources in made.items():
        answer = discovery_pb2.DeltaDiscoveryResponse(type_url=kind, nonce="1", system_version_info="1")
        for name, resource in resources:
            one = answer.resources.add(name=name, version="1")
            one.resource.Pack(json_format.ParseDict(resource, kinds[kind]()))
        answers[kind] = answer.SerializeToString()
    return answers


def run_proxy(bench, kind, bootstrap, admin):
    """Starts it and waits for LIVE; returns its process, when it was started and when it was ready."""
    place = bench.place(kind)
    path = write(place, "bootstrap.json", json.dumps(bootstrap))
    argv = [find_binary(kind)] + (["proxy"] if kind == "pillion" else ["--disable-hot-restart"])
    log = bench.enter_context(open(os.path.join(place, "log"), "ab"))
    started = time.monotonic()
    process = spawn(argv + ["-c", path, "--concurrency", "1", "-l", "warning"], stdin=subprocess.DEVNULL, stdout=log,
                    stderr=log)
    bench.callback(stop, process)
    while time.monotonic() < started + LIMIT_S and process.poll() is None:
        try:
            with urllib.request.urlopen(f"http://{admin[0]}:{admin[1]}/ready", timeout=LIMIT_S) as answer:
                if answer.read().strip() == b"LIVE":
                    return process, started, time.monotonic()
        except OSError:
            pass  # Not listening yet, or 503.
        time.sleep(0.002)
    with open(os.path.join(place, "log"), encoding="utf-8", errors="replace") as f:
        raise Refused(f"{kind} is not ready after {LIMIT_S} s or has ended: {f.read()[-600:]}")


def once(kind, count, over_ads):
    """{"ready_s", "anon", "rss"} of one start."""
    with Bench() as bench:
        origin, admin, front = peers.origin(bench)["http1"], private_address(), private_address()
        if over_ads:
            ads = Ads(count, origin, front)
            bench.callback(ads.close)
            process, _, ready = run_proxy(bench, kind, ads_bootstrap(ads.address, admin), admin)
            took = ready - ads.answered_at
        else:
            process, started, ready = run_proxy(bench, kind, file_bootstrap(count, origin, admin, front), admin)
            took = ready - started
        load.touch(front)
        time.sleep(1)
        return {"clusters": count, "ready_s": round(took, 4)} | memory_kb(process.pid)


@dataclasses.dataclass
class ScaleRow:
    name: str
    title: str
    to_reach: str
    over_ads: bool
    ready_s: float
    rss_mb: float = 60
    who: tuple = ("envoy", "pillion")
    unit: str = "s, MB"

    def run(self, options, progress):
        turns, contestants = {}, {}
        for number, kind in enumerate(options.choose(self)):
            turns[kind] = [once(kind, STEPS[-1], self.over_ads) for _ in range(5)]
            sweep = [once(kind, count, self.over_ads) for count in STEPS[:-1]]
            ready = statistics.median(t["ready_s"] for t in turns[kind])
            rss = statistics.median(t["rss"] for t in turns[kind]) / 1024
            contestants[kind] = {"median": ready, "rss": round(rss, 1), "text": f"{ready:.2f} s, {rss:.0f} MB",
                                 "sweep": sweep}
            progress(number + 1)
        bounds = []
        if one := contestants.get("pillion"):
            bounds = [judged("s to ready", one["median"], self.ready_s), judged("MB RSS", one["rss"], self.rss_mb)]
        return conclude({"contestants": contestants, "rounds": turns, "judgements": bounds, "unit": self.unit})
