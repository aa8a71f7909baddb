"""The rows of the table: what each measures, for whom, and what is to be reached."""

import dataclasses
import os
import typing

import load
import peers
import rounds
from machine import Bench
from peers import Job
from place import Place

PUMPS = ("pump", "pump again")


@dataclasses.dataclass
class CpuRow:
    """CPU microseconds per request in a closed loop. `setup(bench)` gives the job and the load."""
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
    unit: str = "us"

    def run(self, options, progress):
        with Bench() as bench, Place(options.place or self.place) as place:
            job, one_load = self.setup(bench)
            targets = rounds.started(self.start, bench, options.choose(self), job)
            place.settle([pid for t in targets for pid in t.pids])
            seconds = options.seconds or self.seconds
            found = rounds.interleave(targets, lambda t: rounds.cpu_round(t, one_load, seconds), options.rounds,
                                      progress)
        return self.conclude(found) | {"seconds": seconds, "place": options.place or self.place}

    def conclude(self, found):
        told = {"unit": self.unit, "contestants": {n: rounds.summary(r) for n, r in found.items()}, "rounds": found}
        if not set(self.control) <= set(found):
            return told | {"verdict": "no verdict: the control was not run"}
        control = rounds.control(found, self.control)
        told["control"] = control
        if control["spread"] > rounds.SPREAD_MOST:
            return told | {"verdict": f"refused: the control's spread is {control['spread']:.3f}"}
        if "pillion" not in found:
            return told | {"verdict": "no verdict: pillion was not run"}
        told["judgements"] = rounds.judge(found, "pillion", self.bounds, control["spread"])
        if len(found["pillion"]) < rounds.LEAST:
            return told | {"verdict": f"no verdict: {len(found['pillion'])} rounds, at least {rounds.LEAST}"}
        return told | {"verdict": verdict(told["judgements"])}


def verdict(judgements):
    return "reached" if all(j["reached"] for j in judgements) else "missed"


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


BELOW_HTTP1 = (("pump", 1.15), ("haproxy", 1), ("nginx", 1), ("nghttpx", 1))
ALL_HTTP1 = PUMPS + ("haproxy", "nginx", "nghttpx", "envoy", "pillion")
BELOW_HTTP2 = (("haproxy", 1), ("nghttpx", 1))
ALL_HTTP2 = PUMPS + ("haproxy", "nghttpx", "envoy", "pillion")

ROWS = [
    CpuRow("tcp", "TCP pass-through", "1.05 x pump", tcp(64), PUMPS + ("haproxy", "envoy", "pillion"),
           (("pump", 1.05),)),
    *(CpuRow(f"http1-{c}-{h}h", f"HTTP/1.1 to HTTP/1.1, {c} connection{'s' * (c > 1)}, {h} request headers",
             "1.15 x pump, below HAProxy, nginx, nghttpx", http1(c, headers), ALL_HTTP1, BELOW_HTTP1,
             place="one" if c == 1 else "split")
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
]
