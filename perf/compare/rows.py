"""The rows of the table: what each measures, for whom, and what is to be reached."""

import dataclasses
import os
import typing

import load
import peers
import rounds
from latency import LatencyRow
from machine import Bench
from memory import IdleRow, OneRouteRow
from peers import Job
from place import Place
from scale import ScaleRow

PUMPS = ("pump", "pump again")


@dataclasses.dataclass
class CpuRow:
    """CPU microseconds per request in a closed loop. `setup(bench)` gives the job and the load, or a load by name."""
    name: str
    title: str
    to_reach: str
    setup: typing.Callable
    who: tuple
    bounds: tuple
    control: tuple = PUMPS
    start: typing.Callable = staticmethod(peers.start)
    seconds: int = 1
    place: str = "split"
    subject: str = "pillion"
    unit: str = "us"

    def run(self, options, progress):
        with Bench() as bench, Place(options.place or self.place) as place:
            job, one_load = self.setup(bench)
            targets = rounds.started(self.start, bench, options.choose(self), job)
            place.settle([pid for t in targets for pid in t.pids])
            seconds = options.seconds or self.seconds
            loads = one_load if isinstance(one_load, dict) else dict.fromkeys((t.name for t in targets), one_load)
            found = rounds.interleave(targets, lambda t: rounds.cpu_round(t, loads[t.name], seconds), options.rounds,
                                      progress)
        return self.conclude(found) | {"seconds": seconds, "place": options.place or self.place}

    def conclude(self, found):
        told = {"unit": self.unit, "contestants": {n: rounds.summary(r) for n, r in found.items()}, "rounds": found}
        if set(self.control) <= set(found):
            told["control"] = rounds.control(found, self.control)
            if self.subject in found:
                told["judgements"] = rounds.judge(found, self.subject, self.bounds, told["control"]["spread"])
        return told | {"verdict": rounds.verdict(told, self.control, [reference for reference, _ in self.bounds])}


def http1(connections, headers, path="/"):
    def setup(bench):
        return Job("http1", "http1", peers.origin(bench)["http1"]), load.wrk(connections, headers, path)
    return setup


def tcp(connections, path="/"):
    def setup(bench):
        return Job("tcp", "tcp", peers.origin(bench)["http1"]), load.wrk(connections, load.API_HEADERS, path)
    return setup


def http2(back):
    def setup(bench):
        # The pump carries the bytes of HTTP/2 as they are, so its origin is always the one of HTTP/2; see start_http2.
        return Job("http2", back, peers.origin(bench)), load.h2load(8, 32)
    return setup


def start_http2(bench, name, job):
    back = "http2" if name.startswith("pump") else job.back
    return peers.start(bench, name, Job(job.front, back, job.origin[back]))


def grpc(bench):
    message = os.path.join(bench.place("message"), "message")
    with open(message, "wb") as f:
        f.write(b"\0\0\0\0\x14" + b"q" * 20)
    headers = ["content-type: application/grpc", "te: trailers", "user-agent: grpc-c++/1.60.0", "grpc-timeout: 10S"]
    return Job("http2", "http2", peers.grpc_origin(bench)), load.h2load(8, 32, "/Get.grpc", headers, message)


def pair(bench):
    return Job("http1", "http1", peers.origin(bench)["http1"]), load.wrk(64, load.API_HEADERS)


def handshake(bench):
    job = Job("http1", "http1", peers.origin(bench)["http1"], front_tls=True)
    return job, load.own("connect", "--connections", 8, *load.tls_options(bench.certificates()))


def handshake_resumed(bench):
    job, full = handshake(bench)
    resumed = load.own("connect", "--resume", "--connections", 8, *load.tls_options(bench.certificates()))
    return job, {name: full if name.endswith("full") else resumed for name in RESUMED}


def websocket(bench):
    job = Job("http1", "http1", peers.websocket_origin(bench), websocket=True)
    return job, load.own("websocket", "--connections", 64)


def idle(front, tls):
    return lambda bench: Job(front, "http1", peers.origin(bench)["http1"], front_tls=tls)


def latency_http1(bench):
    origin = peers.origin(bench)["http1"]
    return Job("http1", "http1", origin), ["--header", load.API_HEADERS[0]], origin


def latency_http2(bench):
    origin = peers.origin(bench)
    return Job("http2", "http2", origin), ["--http2", "--connections", 8, "--streams", 32], origin["http2"]


BELOW_HTTP1 = (("pump", 1.15), ("haproxy", 1), ("nginx", 1), ("nghttpx", 1))
ALL_HTTP1 = PUMPS + ("haproxy", "nginx", "nghttpx", "envoy", "pillion")
BELOW_HTTP2 = (("haproxy", 1), ("nghttpx", 1))
ALL_HTTP2 = PUMPS + ("haproxy", "nghttpx", "envoy", "pillion")
RESUMED = ("haproxy", "haproxy again", "envoy", "pillion, full", "pillion")

ROWS = [
    CpuRow("tcp", "TCP pass-through", "1.05 x pump", tcp(64), PUMPS + ("haproxy", "envoy", "pillion"),
           (("pump", 1.05),)),
    # A turn at 512 connections takes two seconds, so that making the connections is little of it.
    *(CpuRow(f"http1-{c}-{h}h", f"HTTP/1.1 to HTTP/1.1, {c} connection{'s' * (c > 1)}, {h} request headers",
             "1.15 x pump, below HAProxy, nginx, nghttpx", http1(c, headers), ALL_HTTP1, BELOW_HTTP1,
             place="one" if c == 1 else "split", seconds=2 if c == 512 else 1)
      for h, headers in ((2, load.API_HEADERS), (12, load.BROWSER_HEADERS)) for c in (1, 64, 512)),
    CpuRow("http2-to-1", "HTTP/2 to HTTP/1.1", "below HAProxy, nghttpx", http2("http1"), ALL_HTTP2, BELOW_HTTP2,
           start=start_http2),
    CpuRow("http2-to-2", "HTTP/2 to HTTP/2", "below HAProxy, nghttpx", http2("http2"), ALL_HTTP2, BELOW_HTTP2,
           start=start_http2),
    CpuRow("grpc", "gRPC, unary", "below HAProxy, nghttpx", grpc, ALL_HTTP2, BELOW_HTTP2),
    # The pump does no TLS, and what disturbs TLS is not what disturbs a pump: the control is the peer's own second pair.
    CpuRow("pair", "a pair of sidecars, HTTP/1.1 application, mTLS between, each side", "below HAProxy's pair (HTTP/2)",
           pair, ("haproxy", "haproxy again", "envoy", "pillion"), (("haproxy", 1),), ("haproxy", "haproxy again"),
           start=peers.start_pair),
    CpuRow("http1-1mb", "1 MB response, HTTP/1.1", "0.85 x pump", http1(16, load.API_HEADERS, "/1m"),
           PUMPS + ("haproxy", "nginx", "nghttpx", "envoy", "pillion"), (("pump", 0.85),), seconds=2),
    CpuRow("tcp-1mb", "1 MB response, TCP", "0.85 x pump", tcp(16, "/1m"), PUMPS + ("haproxy", "envoy", "pillion"),
           (("pump", 0.85),), seconds=2),
    # For the reason given at the pair, the control of handshakes is a second HAProxy too.
    CpuRow("handshake", "full mTLS handshake, one request, close", "at most HAProxy's", handshake,
           ("haproxy", "haproxy again", "envoy", "pillion"), (("haproxy", 1),), ("haproxy", "haproxy again")),
    CpuRow("handshake-resumed", "the same, resumed with (EC)DHE", "0.6 x our own full", handshake_resumed, RESUMED,
           (("pillion, full", 0.6),), ("haproxy", "haproxy again")),
    CpuRow("websocket", "WebSocket frames of 97 bytes to and fro", "1.05 x pump", websocket, ALL_HTTP1,
           (("pump", 1.05),)),
    # Two workers must be able to run at the same time as each other, so nobody has a core of his own.
    CpuRow("two-workers", "two workers, HTTP/1.1, 64 connections", "1.1 x one worker", http1(64, load.API_HEADERS),
           ("pillion", "pillion again", "pillion, 2 workers"), (("pillion", 1.1),), ("pillion", "pillion again"),
           place="free", subject="pillion, 2 workers", seconds=2),
    LatencyRow("latency-http1", "added latency, HTTP/1.1, open loop at half of the knee", "p50, p99: best peer",
               latency_http1, ALL_HTTP1, PUMPS, peers.start),
    LatencyRow("latency-http2", "added latency, HTTP/2, open loop at half of the knee", "p50, p99: best peer",
               latency_http2, ALL_HTTP2, PUMPS, start_http2),
    LatencyRow("latency-pair", "added latency, the mTLS pair, open loop at half of the knee", "p50, p99: best peer",
               latency_http1, ("haproxy", "haproxy again", "envoy", "pillion"), ("haproxy", "haproxy again"),
               peers.start_pair),
    IdleRow("idle-plain", "idle keep-alive connection, plain", "1.4 KB", idle("http1", False), (),
            ("haproxy", "nginx", "nghttpx", "envoy", "pillion"), 1.4),
    IdleRow("idle-mtls", "idle keep-alive connection, mTLS", "22 KB", idle("http1", True), (),
            ("haproxy", "envoy", "pillion"), 22),
    IdleRow("idle-http2-mtls", "idle connection, HTTP/2 over mTLS", "40 KB", idle("http2", True), ("--http2",),
            ("haproxy", "envoy", "pillion"), 40),
    OneRouteRow("memory", "memory, one route, RssAnon", "8 MB", ("haproxy", "nginx", "nghttpx", "envoy", "pillion"), 8),
    ScaleRow("clusters-ads", "10,000 clusters x 5 endpoints over ADS: ready, RSS", "0.5 s, 60 MB", True, 0.5),
    ScaleRow("clusters-file", "10,000 clusters x 5 endpoints from a JSON file: ready, RSS", "1 s, 60 MB", False, 1),
]
