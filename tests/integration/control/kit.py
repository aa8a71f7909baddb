"""What the tests of the control plane share: the real binary on a directory of its own, identities, ADS clients."""

import json
import os
import queue
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

from pillion_test import find_binary, wait_for
from pillion_test.launch import ROOT, private_address, spawn, stop

PYTHON = os.environ.get("PILLION_PYTHON") or os.path.join(
    os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "pillion", "python")
sys.path.append(PYTHON)

import grpc  # noqa: E402
from envoy.service.discovery.v3 import ads_pb2_grpc, discovery_pb2  # noqa: E402

PILLION = find_binary("pillion")
SHOP = os.path.join(ROOT, "examples", "shop")
FILES = ["mesh.yaml", "nats.yaml", "orders.yaml", "pods.yaml", "web-route.yaml", "web.yaml"]
LIMIT_S = 20

PREFIX = "type.googleapis.com/"
LISTENER = PREFIX + "envoy.config.listener.v3.Listener"
CLUSTER = PREFIX + "envoy.config.cluster.v3.Cluster"
ROUTE = PREFIX + "envoy.config.route.v3.RouteConfiguration"
ENDPOINT = PREFIX + "envoy.config.endpoint.v3.ClusterLoadAssignment"

TESTS = []


class Failed(Exception):
    """What was expected did not happen."""


def test(function):
    TESTS.append((function.__name__, function))
    return function


def check(condition, what):
    if not condition:
        raise Failed(what)


def equal(have, want, what):
    if have != want:
        raise Failed(f"{what}: have {have!r}, want {want!r}")


def spiffe(account, namespace="shop"):
    return f"spiffe://cluster.local/ns/{namespace}/sa/{account}"


class Control:
    """`pillion control` on a copy of the shop. Use it in a `with` statement."""

    def __init__(self, *args):
        self._directory = tempfile.TemporaryDirectory(prefix="pillion-control-")
        self.dir = self._directory.name
        self.config = os.path.join(self.dir, "config")
        self.state = os.path.join(self.dir, "state")
        os.mkdir(self.config)
        for name in FILES:
            shutil.copy(os.path.join(SHOP, name), self.config)
        self.args = list(args)
        self.log_path = os.path.join(self.dir, "control.log")
        self.address = "%s:%d" % private_address()
        self.admin = "%s:%d" % private_address()
        self.process = None
        self.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        # A process that is killed does not look for leaks.
        self.stop(signal.SIGTERM if os.environ.get("PILLION_SANITIZED") else signal.SIGKILL)
        self._directory.cleanup()

    def start(self):
        argv = [PILLION, "control", "--config", self.config, "--state", self.state, "--listen", self.address, "--admin",
                self.admin] + self.args
        with open(self.log_path, "ab") as log:
            self.process = spawn(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        wait_for(self.is_up, LIMIT_S, what="the control plane is up: " + self.log()[-1000:])

    def is_up(self):
        check(self.process.poll() is None, "the control plane has ended: " + self.log()[-1000:])
        try:
            return self.get("/ready")
        except OSError:
            return None

    def stop(self, sig=signal.SIGKILL):
        if self.process:
            stop(self.process, sig)
            self.process = None

    def log(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as f:
            return f.read()

    def get(self, path):
        with urllib.request.urlopen(f"http://{self.admin}{path}", timeout=5) as answer:
            return answer.read().decode()

    def status(self):
        return json.loads(self.get("/status"))

    def status_text(self):
        return run("status", "--admin", self.admin).stdout

    def read(self, name):
        with open(os.path.join(self.config, name), encoding="utf-8") as f:
            return f.read()

    def write(self, name, text):
        """As an editor does: whole, by a rename."""
        path = os.path.join(self.config, name)
        with open(path + ".tmp", "w", encoding="utf-8") as out:
            out.write(text)
        os.rename(path + ".tmp", path)

    def set_weights(self, stable, canary):
        weights = iter([stable, canary])
        self.write("web-route.yaml", re.sub(r"weight: \d+", lambda _: f"weight: {next(weights)}",
                                            self.read("web-route.yaml")))

    def token(self, account, *args, address=None):
        out = run("token", "--state", self.state, "--spiffe-id", spiffe(account), "--address", address or self.address,
                  *args)
        equal(out.returncode, 0, "the exit status of pillion token: " + out.stderr)
        return out.stdout.strip()

    def identity(self, account):
        """The directory of a fresh identity."""
        out = tempfile.mkdtemp(prefix=account + "-", dir=self.dir)
        done = run("identity", "--token", self.token(account), "--out", out, "--once")
        equal(done.returncode, 0, "the exit status of pillion identity: " + done.stderr)
        return out


def run(*args):
    return subprocess.run([PILLION, *args], capture_output=True, text=True, timeout=60, check=False)


def read_bytes(*path):
    with open(os.path.join(*path), "rb") as f:
        return f.read()


def channel(control, identity, with_certificate=True):
    """A TLS channel by the files of an identity; gRPC checks the server's address against its certificate."""
    ca = read_bytes(identity, "ca.pem")
    if with_certificate:
        credentials = grpc.ssl_channel_credentials(ca, read_bytes(identity, "key.pem"), read_bytes(identity, "cert.pem"))
    else:
        credentials = grpc.ssl_channel_credentials(ca)
    return grpc.secure_channel(control.address, credentials)


class AdsClient:
    """One ADS stream. It keeps what it was sent, acknowledges (or refuses), and tells what came in which response."""

    def __init__(self, control, identity, delta=True, node_id="test", pod_ip=None, user_agent="pillion", refuse=None,
                 with_certificate=True):
        self.delta = delta
        self.refuse = refuse or (lambda resources: None)
        self.resources = {}  # type -> name -> (version, Any)
        self.responses = []  # (monotonic time, type, [names], [removed])
        self.error = None
        self._versions = {}
        self._nonces = {}
        self._changed = threading.Condition()
        self._requests = queue.Queue()
        self._node = {"id": node_id, "cluster": "test", "user_agent_name": user_agent}
        if pod_ip:
            self._node["metadata"] = {"POD_IP": pod_ip}
        self._channel = channel(control, identity, with_certificate)
        stub = ads_pb2_grpc.AggregatedDiscoveryServiceStub(self._channel)
        method = stub.DeltaAggregatedResources if delta else stub.StreamAggregatedResources
        self._call = method(iter(self._requests.get, None))
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self._requests.put(None)
        self._call.cancel()
        self._thread.join()
        self._channel.close()

    def subscribe(self, type_url, names=(), initial=None):
        """Everything (listeners, clusters) where no names are given. SotW lists them all each time."""
        request = self._request(type_url)
        if self.delta:
            request.resource_names_subscribe.extend(names)
            for name, version in (initial or {}).items():
                request.initial_resource_versions[name] = version
        else:
            self._names = getattr(self, "_names", {})
            self._names[type_url] = list(names)
            self._fill(request, type_url)
        self._requests.put(request)

    def have(self, type_url):
        with self._changed:
            return dict(self.resources.get(type_url, {}))

    def message(self, type_url, name, kind):
        out = kind()
        check(self.have(type_url)[name][1].Unpack(out), f"{name} is not a {kind}")
        return out

    def wait(self, condition, what, limit_s=LIMIT_S):
        end = time.monotonic() + limit_s
        with self._changed:
            while not condition(self):
                if self.error is not None:
                    raise Failed(f"{what}: the stream has ended: {self.error}")
                if not self._changed.wait(max(0, end - time.monotonic())):
                    raise Failed(f"waited {limit_s} s until {what}")

    def wait_names(self, type_url, *names):
        self.wait(lambda c: set(names) <= set(c.resources.get(type_url, {})), f"{type_url} holds {names}")

    def wait_error(self):
        self._thread.join(LIMIT_S)
        check(self.error is not None, "the stream goes on")
        return self.error

    def quiet(self, seconds=0.6):
        """Nothing comes for a while: what is not to be sent has had its time."""
        before = len(self.responses)
        time.sleep(seconds)
        return len(self.responses) == before

    def _request(self, type_url):
        kind = discovery_pb2.DeltaDiscoveryRequest if self.delta else discovery_pb2.DiscoveryRequest
        request = kind(type_url=type_url)
        node = self._node
        if node:
            self._node = None
            request.node.id = node["id"]
            request.node.cluster = node["cluster"]
            request.node.user_agent_name = node["user_agent_name"]
            for key, value in node.get("metadata", {}).items():
                request.node.metadata[key] = value
        return request

    def _fill(self, request, type_url):
        request.resource_names.extend(self._names.get(type_url, []))
        request.version_info = self._versions.get(type_url, "")
        request.response_nonce = self._nonces.get(type_url, "")

    def _read(self):
        try:
            for response in self._call:
                self._take(response)
            error = "the server ended it"
        except grpc.RpcError as e:
            error = e
        with self._changed:
            self.error = error
            self._changed.notify_all()

    def _take(self, response):
        type_url = response.type_url
        if self.delta:
            got = [(r.name, r.version, r.resource) for r in response.resources]
            removed = list(response.removed_resources)
        else:
            got = [(name_of(any_), response.version_info, any_) for any_ in response.resources]
            removed = []
        problem = self.refuse(got)
        with self._changed:
            kept = self.resources.setdefault(type_url, {})
            if not problem:
                if not self.delta and type_url in (LISTENER, CLUSTER):
                    kept.clear()
                for name, version, any_ in got:
                    kept[name] = (version, any_)
                for name in removed:
                    kept.pop(name, None)
            self.responses.append((time.monotonic(), type_url, [g[0] for g in got], removed))
            self._changed.notify_all()
        self._answer(response, problem)

    def _answer(self, response, problem):
        request = self._request(response.type_url)
        self._nonces[response.type_url] = response.nonce
        if not self.delta:
            if not problem:
                self._versions[response.type_url] = response.version_info
            self._fill(request, response.type_url)
        request.response_nonce = response.nonce
        if problem:
            request.error_detail.code = 3
            request.error_detail.message = problem
        self._requests.put(request)


def name_of(any_):
    from envoy.config.cluster.v3 import cluster_pb2
    from envoy.config.endpoint.v3 import endpoint_pb2
    from envoy.config.listener.v3 import listener_pb2
    from envoy.config.route.v3 import route_pb2
    kind = {LISTENER: listener_pb2.Listener, CLUSTER: cluster_pb2.Cluster, ROUTE: route_pb2.RouteConfiguration,
            ENDPOINT: endpoint_pb2.ClusterLoadAssignment}[any_.type_url]
    message = kind()
    any_.Unpack(message)
    return message.cluster_name if any_.type_url == ENDPOINT else message.name
