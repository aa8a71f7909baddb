"""Ten thousand clusters of five endpoints: the time until the proxy is ready, and its memory then."""

import contextlib
import json
import os
import queue
import sys
import threading
import time
from concurrent import futures

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "..", "tests", "support"))
sys.path.append(os.environ.get("PILLION_PYTHON") or os.path.join(
    os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "pillion", "python"))

from pillion_test import Proxy, wait_for  # noqa: E402
from pillion_test.launch import private_address  # noqa: E402
from pillion_test.parity import expand  # noqa: E402

from idle import memory_kb  # noqa: E402

ENDPOINTS = 5
PREFIX = "type.googleapis.com/"
CLUSTER = PREFIX + "envoy.config.cluster.v3.Cluster"
ENDPOINT = PREFIX + "envoy.config.endpoint.v3.ClusterLoadAssignment"
LISTENER = PREFIX + "envoy.config.listener.v3.Listener"
ADS_BOOTSTRAP = """
admin: ${admin}
node: {id: many, cluster: perf}
dynamic_resources:
  ads_config: {api_type: @type@, transport_api_version: V3, grpc_services: [{envoy_grpc: {cluster_name: ads}}]}
  lds_config: {ads: {}, resource_api_version: V3}
  cds_config: {ads: {}, resource_api_version: V3}
static_resources:
  clusters:
  - name: ads
    connect_timeout: 1s
    typed_extension_protocol_options: ${h2}
    load_assignment: {cluster_name: ads, endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: 127.0.0.1, port_value: @port@}}}}]}]}
"""


def name_of(number):
    return f"outbound|8080||service-{number:05}.namespace-{number % 50}.svc.cluster.local"


def assignment(number):
    """A ClusterLoadAssignment as a dictionary."""
    def endpoint(i):
        host = number * ENDPOINTS + i
        address = f"10.{host >> 16 & 255}.{host >> 8 & 255}.{host & 255}"
        return {"endpoint": {"address": {"socket_address": {"address": address, "port_value": 8080}}}}
    return {"cluster_name": name_of(number),
            "endpoints": [{"locality": {"region": "region-1", "zone": f"zone-{number % 3}"},
                           "lb_endpoints": [endpoint(i) for i in range(ENDPOINTS)]}]}


def cluster(number, eds):
    out = {"name": name_of(number), "type": "EDS" if eds else "STATIC", "connect_timeout": "5s",
           "circuit_breakers": {"thresholds": [{"max_connections": 10000, "max_requests": 10000}]},
           "outlier_detection": {"consecutive_5xx": 5}}
    if eds:
        out["eds_cluster_config"] = {"eds_config": {"ads": {}, "resource_api_version": "V3"}}
    else:
        out["load_assignment"] = assignment(number)
    return out


def listener():
    types = PREFIX + "envoy.extensions.filters."
    manager = {"@type": types + "network.http_connection_manager.v3.HttpConnectionManager", "stat_prefix": "many",
               "http_filters": [{"name": "envoy.filters.http.router",
                                 "typed_config": {"@type": types + "http.router.v3.Router"}}],
               "route_config": {"name": "many", "virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [
                   {"match": {"prefix": "/"}, "route": {"cluster": name_of(0)}}]}]}}
    return {"name": "main", "address": {"socket_address": {"address": "127.0.0.1", "port_value": 0}}, "filter_chains": [
        {"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]}]}


def known(proxy):
    return proxy.stat("cluster_manager.active_clusters")


def wait_ready(proxy, limit_s=60):
    """Seconds of waiting; asks seldom enough not to be what is measured."""
    def ready():
        if proxy.process.poll() is not None:
            raise RuntimeError(f"ended with {proxy.process.returncode}: {proxy.complaint()}")
        with contextlib.suppress(OSError):
            return proxy.get("/ready")[0] == 200
        return False
    wait_for(ready, limit_s, 0.005, "the proxy to be ready")


def report(proxy, took_s, want, settle_s):
    if (have := known(proxy)) != want:
        raise RuntimeError(f"the proxy knows {have} clusters, not {want}")
    time.sleep(settle_s)
    anon, rss = memory_kb(proxy.process.pid)
    return {"seconds": round(took_s, 3), "rss_mb": round(rss / 1024, 1), "rss_anon_mb": round(anon / 1024, 1)}


def from_json(count=10000, kind="pillion", settle_s=1):
    """From the start of the process on a JSON bootstrap to a ready proxy, and its memory then."""
    address = private_address()
    text = json.dumps({
        "admin": "ADMIN", "static_resources": {"listeners": [listener()],
                                               "clusters": [cluster(i, False) for i in range(count)]}}, indent=1)
    text = text.replace('"ADMIN"', json.dumps({"address": {"socket_address": {
        "address": address[0], "port_value": address[1]}}}))
    start = time.monotonic()
    with Proxy(kind, text, admin=address, file="many.json", ready=False) as proxy:
        wait_ready(proxy)
        return report(proxy, time.monotonic() - start, count, settle_s)


class ManyServer:
    """An ADS server whose responses are serialized before anybody asks; says when it gave its first answer."""

    def __init__(self, count, delta):
        import grpc
        from envoy.config.cluster.v3 import cluster_pb2
        from envoy.config.endpoint.v3 import endpoint_pb2
        from envoy.config.listener.v3 import listener_pb2
        from envoy.extensions.filters.http.router.v3 import router_pb2  # noqa: F401: for what is in an Any
        from envoy.extensions.filters.network.http_connection_manager.v3 import (  # noqa: F401
            http_connection_manager_pb2)
        from envoy.service.discovery.v3 import discovery_pb2
        from google.protobuf import json_format

        self.first_answer = None
        self.errors = []
        self._out = queue.Queue()
        self._acknowledged = queue.Queue()
        self._nonces = 0
        self._ended = grpc.RpcError
        self._responses = {}
        self._request = discovery_pb2.DeltaDiscoveryRequest if delta else discovery_pb2.DiscoveryRequest
        make = self._make = discovery_pb2.DeltaDiscoveryResponse if delta else discovery_pb2.DiscoveryResponse
        resources = {CLUSTER: [json_format.ParseDict(cluster(i, True), cluster_pb2.Cluster()) for i in range(count)],
                     ENDPOINT: [json_format.ParseDict(assignment(i), endpoint_pb2.ClusterLoadAssignment())
                                for i in range(count)],
                     LISTENER: [json_format.ParseDict(listener(), listener_pb2.Listener())]}
        self._messages = resources[CLUSTER]
        for type_url, messages in resources.items():
            response = make(type_url=type_url, nonce=type_url)
            for message in messages:
                if delta:
                    name = message.cluster_name if type_url == ENDPOINT else message.name
                    response.resources.add(name=name, version="1").resource.Pack(message)
                else:
                    response.version_info = "1"
                    response.resources.add().Pack(message)
            self._responses[type_url] = response.SerializeToString()
        method = "DeltaAggregatedResources" if delta else "StreamAggregatedResources"
        handler = grpc.stream_stream_rpc_method_handler(self._serve)
        self._server = grpc.server(futures.ThreadPoolExecutor(2), options=[("grpc.max_send_message_length", -1)])
        self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(
            "envoy.service.discovery.v3.AggregatedDiscoveryService", {method: handler}),))
        self.port = self._server.add_insecure_port("127.0.0.1:0")
        self._server.start()

    def _serve(self, requests, _context):
        threading.Thread(target=self._read, args=(requests,), daemon=True).start()
        yield from iter(self._out.get, None)

    def _read(self, requests):
        answered = set()
        try:
            for raw in requests:
                request = self._request.FromString(raw)
                self.errors += [request.error_detail.message] if request.error_detail.message else []
                self._acknowledged.put(request.response_nonce)
                if request.type_url in answered or request.type_url not in self._responses:
                    continue
                answered.add(request.type_url)
                if self.first_answer is None:
                    self.first_answer = time.monotonic()
                self._out.put(self._responses[request.type_url])
        except self._ended:
            pass  # The proxy has.

    def change(self, number, timeout_s):
        """Sends one cluster with another timeout and waits until it is acknowledged (delta only)."""
        self._nonces += 1
        nonce = f"change {self._nonces}"
        changed = self._messages[number]
        changed.connect_timeout.seconds = timeout_s
        response = self._make(type_url=CLUSTER, nonce=nonce)
        response.resources.add(name=changed.name, version=nonce).resource.Pack(changed)
        self._out.put(response.SerializeToString())
        while self._acknowledged.get(timeout=20) != nonce:
            pass

    def close(self):
        self._out.put(None)
        self._server.stop(0)


@contextlib.contextmanager
def over_ads(delta, count, kind):
    server = ManyServer(count, delta)
    try:
        text = expand(ADS_BOOTSTRAP.replace("@port@", str(server.port)).replace(
            "@type@", "DELTA_GRPC" if delta else "GRPC"), {})
        with Proxy(kind, text, ready=False) as proxy:
            wait_ready(proxy)
            yield server, proxy
        if server.errors:
            raise RuntimeError(f"refused: {server.errors[0]}")
    finally:
        server.close()


def from_ads(delta, count=10000, kind="pillion", settle_s=1):
    """From the control plane's first answer to a ready proxy, and its memory then."""
    with over_ads(delta, count, kind) as (server, proxy):
        return report(proxy, time.monotonic() - server.first_answer, count + 1, settle_s)


def one_change(count=10000, changes=100, kind="pillion"):
    """CPU of the proxy, and the time until it acknowledges, for a change of one cluster, in milliseconds."""
    def cpu_ms(pid):
        with open(f"/proc/{pid}/stat", encoding="ascii") as f:
            fields = f.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) * 1000 / os.sysconf("SC_CLK_TCK")

    with over_ads(True, count, kind) as (server, proxy):
        time.sleep(1)
        pid = proxy.process.pid
        before, start = cpu_ms(pid), time.monotonic()
        for i in range(changes):
            server.change(i * count // changes, 6 + i % 2)
        took = time.monotonic() - start
        return {"cpu_ms": round((cpu_ms(pid) - before) / changes, 2), "ms": round(took * 1000 / changes, 2),
                "changes": changes}
