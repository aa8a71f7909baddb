"""The real proxy under a control plane of which the test says every response: what it refuses, and what it waits for."""

import json
import os
import queue
import tempfile
import threading
import time
from concurrent import futures

import grpc
from envoy.config.cluster.v3 import cluster_pb2
from envoy.config.listener.v3 import listener_pb2
from envoy.config.route.v3 import route_pb2
from envoy.extensions.filters.http.router.v3 import router_pb2  # noqa: F401: for what is in an Any
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2  # noqa: F401
from envoy.extensions.transport_sockets.tls.v3 import secret_pb2, tls_pb2  # noqa: F401
from envoy.service.discovery.v3 import ads_pb2_grpc, discovery_pb2
from google.protobuf import json_format
from pillion_test import Http1Client, Proxy, certs, parity
from pillion_test.launch import private_address

from .kit import CLUSTER, LISTENER, PREFIX, ROUTE, check, equal, test, wait_for

SECRET = PREFIX + "envoy.extensions.transport_sockets.tls.v3.Secret"
KINDS = {LISTENER: listener_pb2.Listener, CLUSTER: cluster_pb2.Cluster, ROUTE: route_pb2.RouteConfiguration,
         SECRET: secret_pb2.Secret}
TYPES = PREFIX + "envoy.extensions."
IN_CHAIN = "filter_chains[0].transport_socket.typed_config.common_tls_context."

BOOTSTRAP = """
admin: ${admin}
node: {id: scripted, cluster: test}
dynamic_resources:
  ads_config: {api_type: DELTA_GRPC, transport_api_version: V3, grpc_services: [{envoy_grpc: {cluster_name: ads}}]}
  lds_config: {ads: {}, resource_api_version: V3}
  cds_config: {ads: {}, resource_api_version: V3}
static_resources:
  clusters:
  - name: ads
    connect_timeout: 1s
    typed_extension_protocol_options: ${h2}
    load_assignment: {cluster_name: ads, endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: 127.0.0.1, port_value: PORT}}}}]}]}
"""


class AdsServer(ads_pb2_grpc.AggregatedDiscoveryServiceServicer):
    """Delta ADS without TLS, for one proxy."""

    def __init__(self):
        self._changed = threading.Condition()
        self._subscribed = {}  # type -> names; "*" where everything is meant
        self._verdicts = {}  # nonce -> "" or the text of the refusal
        self._responses = queue.Queue()
        self._nonce = 0
        self._server = grpc.server(futures.ThreadPoolExecutor(4))
        ads_pb2_grpc.add_AggregatedDiscoveryServiceServicer_to_server(self, self._server)
        self.port = self._server.add_insecure_port("127.0.0.1:0")
        self._server.start()

    def close(self):
        self._responses.put(None)
        self._server.stop(0)

    def DeltaAggregatedResources(self, request_iterator, context):
        threading.Thread(target=self._read, args=(request_iterator,), daemon=True).start()
        yield from iter(self._responses.get, None)

    def _read(self, requests):
        try:
            for request in requests:
                self._take(request)
        except grpc.RpcError:
            pass  # the proxy has ended

    def _take(self, request):
        with self._changed:
            first = request.type_url not in self._subscribed
            names = self._subscribed.setdefault(request.type_url, set())
            names |= set(request.resource_names_subscribe) or ({"*"} if first else set())
            names -= set(request.resource_names_unsubscribe)
            if request.response_nonce:
                self._verdicts[request.response_nonce] = request.error_detail.message
            self._changed.notify_all()

    def _wait(self, condition, what):
        with self._changed:
            check(self._changed.wait_for(condition, 10), f"waited until {what}")

    def wait_subscribed(self, type_url, *names):
        self._wait(lambda: set(names) <= self._subscribed.get(type_url, set()), f"{names} of {type_url} are wanted")

    def push(self, type_url, *resources, removed=()):
        """Sends the resources (as dictionaries) and returns the verdict: "" is an ACK."""
        self._wait(lambda: type_url in self._subscribed, f"{type_url} is wanted")
        self._nonce += 1
        response = discovery_pb2.DeltaDiscoveryResponse(type_url=type_url, nonce=str(self._nonce),
                                                        removed_resources=removed)
        for resource in resources:
            message = json_format.ParseDict(resource, KINDS[type_url]())
            out = response.resources.add(name=message.name, version=str(self._nonce))
            out.resource.Pack(message)
        self._responses.put(response)
        self._wait(lambda: response.nonce in self._verdicts, "the response is judged")
        return self._verdicts[response.nonce]


class Scene:
    """A control plane, its proxy, an authority, and a listener "web" that answers 200 over TLS."""

    def __init__(self):
        self._directory = tempfile.TemporaryDirectory(prefix="pillion-ads-")
        self.dir = self._directory.name
        self.ca = certs.Authority(self.dir)
        self.ads = AdsServer()
        self.address = private_address()
        text = parity.expand(BOOTSTRAP.replace("PORT", str(self.ads.port)), {})
        self.proxy = Proxy("pillion", text, directory=self.dir, ready=False)
        self.push(CLUSTER)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.proxy.stop()
        self.ads.close()
        self._directory.cleanup()

    def push(self, type_url, *resources, **kwargs):
        return self.ads.push(type_url, *resources, **kwargs)

    def pair(self, crt, key=None):
        """A TlsCertificate of files that were issued under these names."""
        return {"certificate_chain": {"inline_string": self.read(f"{crt}.crt")},
                "private_key": {"inline_string": self.read(f"{key or crt}.key")}}

    def read(self, name):
        with open(os.path.join(self.dir, name), encoding="ascii") as f:
            return f.read()

    def write_secret_file(self, path, name, pair):
        text = json.dumps({"resources": [{"@type": SECRET, "name": name, "tls_certificate": pair}]})
        with open(path + ".new", "w", encoding="utf-8") as out:
            out.write(text)
        os.rename(path + ".new", path)

    def listener(self, tls=None, rds=None):
        manager = {"@type": TYPES + "filters.network.http_connection_manager.v3.HttpConnectionManager",
                   "stat_prefix": "web",
                   "http_filters": [{"name": "envoy.filters.http.router",
                                     "typed_config": {"@type": TYPES + "filters.http.router.v3.Router"}}]}
        if rds:
            manager["rds"] = rds
        else:
            manager["route_config"] = routes("inline")
        chain = {"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]}
        if tls:
            chain["transport_socket"] = {"name": "tls", "typed_config": {
                "@type": TYPES + "transport_sockets.tls.v3.DownstreamTlsContext", "common_tls_context": tls}}
        return {"name": "web", "address": {"socket_address": {"address": self.address[0],
                                                              "port_value": self.address[1]}},
                "filter_chains": [chain]}

    def served(self):
        """The common name of the certificate that a new connection is served with."""
        with Http1Client(self.address[1], host=self.address[0], tls=certs.client_context(self.ca.ca)) as client:
            equal(client.get("/").status, 200, "the status")
            return client.sock.getpeercert()["subject"][0][0][1]

    def status(self):
        with Http1Client(self.address[1], host=self.address[0]) as client:
            return client.get("/").status

    def is_ready(self):
        return self.proxy.get("/ready")[0] == 200


def routes(name):
    return {"name": name, "virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [
        {"match": {"prefix": "/"}, "direct_response": {"status": 200}}]}]}


def sds(name, source=None):
    return {"tls_certificate_sds_secret_configs": [{"name": name, "sds_config": source or {"ads": {}}}]}


@test
def a_listener_whose_key_is_another_s_is_refused_and_the_last_good_one_serves():
    with Scene() as s:
        s.ca.issue("one", "DNS:one.test")
        s.ca.issue("two", "DNS:two.test")
        equal(s.push(LISTENER, s.listener({"tls_certificates": [s.pair("one")]})), "", "the good listener")
        s.proxy.wait_ready()
        equal(s.served(), "one", "served with")
        said = s.push(LISTENER, s.listener({"tls_certificates": [s.pair("two", "one")]}))
        check(f"web: {IN_CHAIN}tls_certificates[0]: the key does not belong to the certificate" in said, said)
        said = s.push(LISTENER, s.listener({"tls_certificates": [s.pair("two")],
                                            "tls_params": {"ecdh_curves": ["P-257"]}}))
        check(f"web: {IN_CHAIN}tls_params.ecdh_curves: " in said, said)
        equal(s.served(), "one", "served with, after the refusals")
        equal(s.push(LISTENER, s.listener({"tls_certificates": [s.pair("two")]})), "", "the next good listener")
        wait_for(lambda: s.served() == "two", what="the new certificate is served")
        check("PRIVATE KEY" not in s.proxy.log_tail(1_000_000), "a key is told in the log")


@test
def a_cluster_with_an_unknown_cipher_is_refused():
    with Scene() as s:
        context = {"@type": TYPES + "transport_sockets.tls.v3.UpstreamTlsContext",
                   "common_tls_context": {"tls_params": {"cipher_suites": ["NO-SUCH-CIPHER"]}}}
        said = s.push(CLUSTER, {"name": "out", "transport_socket": {"name": "tls", "typed_config": context}})
        check("out: transport_socket.typed_config.common_tls_context.tls_params.cipher_suites: " in said, said)


@test
def a_bad_secret_is_refused_and_the_last_good_one_serves():
    with Scene() as s:
        s.ca.issue("one", "DNS:one.test")
        s.ca.issue("two", "DNS:two.test")
        equal(s.push(LISTENER, s.listener(sds("server"))), "", "the listener")
        s.ads.wait_subscribed(SECRET, "server")
        said = s.push(SECRET, {"name": "server", "validation_context": {"trusted_ca": {
            "inline_string": s.read("ca.crt")}}})
        check("server: validation_context: does not fit its use: listener web wants a tls_certificate" in said, said)
        equal(s.push(SECRET, {"name": "server", "tls_certificate": s.pair("one")}), "", "the good secret")
        s.proxy.wait_ready()
        equal(s.served(), "one", "served with")
        said = s.push(SECRET, {"name": "server", "tls_certificate": s.pair("two", "one")})
        check("server: tls_certificate: the key does not belong to the certificate" in said, said)
        equal(s.served(), "one", "served with, after the refusal")
        equal(s.push(SECRET, {"name": "server", "tls_certificate": s.pair("two")}), "", "the next good secret")
        wait_for(lambda: s.served() == "two", what="the new certificate is served")


@test
def a_listener_of_ads_has_its_certificate_from_a_file():
    with Scene() as s:
        for name in ("one", "two", "three"):
            s.ca.issue(name, f"DNS:{name}.test")
        first, second = os.path.join(s.dir, "first.json"), os.path.join(s.dir, "second.json")

        def of_file(path):
            return s.listener(sds("server", {"path_config_source": {"path": path}}))

        equal(s.push(LISTENER, of_file(first)), "", "the listener")
        time.sleep(0.5)
        check(not s.is_ready(), "the listener does not wait for its file")
        s.write_secret_file(first, "server", s.pair("one"))
        s.proxy.wait_ready()
        equal(s.served(), "one", "served with")
        s.write_secret_file(first, "server", s.pair("two"))
        wait_for(lambda: s.served() == "two", what="the file's new certificate is served")
        # Another file with a secret of the same name, which is not there yet: the first one serves until it is.
        equal(s.push(LISTENER, of_file(second)), "", "the listener of the second file")
        s.write_secret_file(first, "server", s.pair("one"))
        wait_for(lambda: s.served() == "one", what="the first file is read while it serves")
        s.write_secret_file(second, "server", s.pair("three"))
        wait_for(lambda: s.served() == "three", what="the second file's certificate is served")
        s.write_secret_file(first, "server", s.pair("two"))
        time.sleep(0.5)
        equal(s.served(), "three", "served with, after a change of the file that nobody names any more")


@test
def routes_are_waited_for_as_long_as_initial_fetch_timeout_says():
    def by_rds(timeout):
        return {"route_config_name": "r", "config_source": {"ads": {}, "initial_fetch_timeout": timeout}}

    with Scene() as s:
        start = time.monotonic()
        equal(s.push(LISTENER, s.listener(rds=by_rds("1s"))), "", "the listener")
        s.proxy.wait_ready()
        took = time.monotonic() - start
        check(0.9 < took < 5, f"ready after {took:.1f} s")
        equal(s.status(), 404, "without routes")
        equal(s.push(ROUTE, routes("r")), "", "the routes")
        wait_for(lambda: s.status() == 200, what="the routes are used")
    with Scene() as s:
        equal(s.push(LISTENER, s.listener(rds=by_rds("0s"))), "", "the listener")
        time.sleep(2)
        check(not s.is_ready(), "zero does not wait")
        equal(s.push(ROUTE, routes("r")), "", "the routes")
        s.proxy.wait_ready()
        equal(s.status(), 200, "with routes")
