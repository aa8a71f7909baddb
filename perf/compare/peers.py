"""The proxies that are compared, each started for the same job: what comes in, what goes out, and TLS on either side."""

import dataclasses
import os

from load import generator
from machine import Bench, fill, listening, pump_binary, write
from pillion_test import Proxy
from pillion_test.launch import private_address
from pillion_test.parity import expand

BODY = "x" * 97


@dataclasses.dataclass
class Job:
    """`front` and `back` are "http1", "http2" or "tcp"; TLS is mutual, with the certificate of the bench."""
    front: str
    back: str
    origin: tuple
    front_tls: bool = False
    back_tls: bool = False
    websocket: bool = False
    agreed: bool = False


@dataclasses.dataclass
class Target:
    """A running contestant: the processes whose CPU time counts (one a side), and where the load goes."""
    name: str
    pids: list
    address: tuple


def start(bench: Bench, name, job: Job):
    """Starts the contestant `name` ("haproxy", "pump again", "pillion, 2 workers"...) for the job."""
    kind = name.replace(",", "").split()[0]
    address = private_address()
    if name.endswith("2 workers"):
        return Target(name, [_bootstrap(bench, kind, job, address, workers=2)], address)
    pid = {"pump": _pump, "haproxy": _haproxy, "nginx": _nginx, "nghttpx": _nghttpx, "envoy": _bootstrap,
           "pillion": _bootstrap}[kind](bench, kind, job, address)
    return Target(name, [pid], address)


def start_pair(bench: Bench, name, job: Job):
    """Two sidecars: HTTP/1.1 from the application, HTTP/2 over mutual TLS between them, the job's origin behind.

    A Pillion is configured as the control plane of a mesh does it: what is spoken is agreed by ALPN.
    """
    inbound = start(bench, name, Job("http2", job.back, job.origin, front_tls=True))
    outbound = start(bench, name, Job(job.front, "http2", inbound.address, back_tls=True,
                                        agreed=name.startswith("pillion")))
    return Target(name, [outbound.pids[0], inbound.pids[0]], outbound.address)


def _pump(bench, kind, job, address):
    argv = [pump_binary(), address[0], str(address[1]), job.origin[0], str(job.origin[1])]
    return bench.run(argv, bench.place(kind), address)


def _haproxy(bench, kind, job, address):
    tls = bench.certificates() if job.front_tls or job.back_tls else None
    bind, server = "", "pool-low-conn 64" if job.back == "http1" else ""
    if job.front_tls:
        bind = f"ssl crt {tls['pem']} ca-file {tls['ca']} verify required alpn h2,http/1.1"
    elif job.front == "http2":
        bind = "proto h2"
    if job.back_tls:
        server += f" ssl crt {tls['pem']} ca-file {tls['ca']} verify required"
        server += " alpn h2" if job.back == "http2" else ""
    elif job.back == "http2":
        server = "proto h2"
    place = bench.place(kind)
    tcp = job.front == "tcp"
    path = write(place, "haproxy.cfg", fill("haproxy.cfg", {
        "ip": address[0], "port": address[1], "origin": job.origin[0], "origin_port": job.origin[1], "bind": bind,
        "server": server, "mode": "tcp" if tcp else "http", "reuse": "" if tcp else "http-reuse always"}))
    return bench.run(["haproxy", "-db", "-f", path], place, address)


def _nginx(bench, kind, job, address):
    place = bench.place(kind)
    path = write(place, "nginx.conf", fill("nginx.conf", {
        "dir": place, "ip": address[0], "port": address[1], "origin": job.origin[0], "origin_port": job.origin[1],
        "connection": '"upgrade"; proxy_set_header Upgrade websocket' if job.websocket else '""'}))
    return bench.run(["nginx", "-c", path, "-p", place, "-e", "stderr"], place, address)


def _nghttpx(bench, kind, job, address):
    back = "h2" if job.back == "http2" else "http/1.1"
    argv = ["nghttpx", "--conf=/dev/null", "--single-process", "--workers=1", "--backlog=4096",
            "--worker-frontend-connections=0", "--backend-connections-per-host=1024", "--no-via",
            "--backend-keep-alive-timeout=600s", "--frontend-keep-alive-timeout=600s",
            "--frontend-http2-max-concurrent-streams=256", "--backend-http2-max-concurrent-streams=256",
            f"--frontend={address[0]},{address[1]};no-tls",
            f"--backend={job.origin[0]},{job.origin[1]};;proto={back}"]
    return bench.run(argv, bench.place(kind), address)


_TLS = "envoy.transport_sockets.tls"
_MANAGER = ("{name: envoy.filters.network.http_connection_manager, typed_config: {${hcm}, stat_prefix: front, "
            "codec_type: AUTO, generate_request_id: false, http_filters: ${router}, route_config: {virtual_hosts: "
            "[{name: all, domains: ['*'], routes: [{match: {prefix: /}, route: {cluster: origin, timeout: 15s, "
            "retry_policy: {retry_on: 'connect-failure,refused-stream,unavailable,cancelled', num_retries: 2}}}]}]}}}")
_TUNNEL = "{name: envoy.filters.network.tcp_proxy, typed_config: {${tcp_proxy}, stat_prefix: front, cluster: origin}}"
_AGREED = "{${http_options}auto_config: {http2_protocol_options: {allow_connect: true}}}}"
_UPGRADE = "http_filters: ${router}, upgrade_configs: [{upgrade_type: websocket}]"


def tls_context(tls, side, alpn):
    chain = (f"{{tls_certificates: [{{certificate_chain: {{filename: {tls['crt']}}}, private_key: {{filename: "
             f"{tls['key']}}}}}], validation_context: {{trusted_ca: {{filename: {tls['ca']}}}}}, "
             f"alpn_protocols: [{', '.join(alpn)}]}}")
    more = ", require_client_certificate: true" if side == "server" else ""
    return (f"transport_socket: {{name: {_TLS}, typed_config: {{${{tls_{side}}}, common_tls_context: {chain}"
            f"{more}}}}}")


def bootstrap_text(bench, job, address):
    tls = bench.certificates() if job.front_tls or job.back_tls else None
    http2 = job.back == "http2"
    alpn = ["h2", "http/1.1"] if job.agreed else ["h2"] if http2 else ["http/1.1"]
    manager = _MANAGER.replace("http_filters: ${router}", _UPGRADE) if job.websocket else _MANAGER
    text = fill("bootstrap.yaml", {
        "ip": address[0], "port": address[1], "origin": job.origin[0], "origin_port": job.origin[1],
        "filter": _TUNNEL if job.front == "tcp" else manager,
        "front_tls": tls_context(tls, "server", ["h2", "http/1.1"]) if job.front_tls else "",
        "protocol": f"typed_extension_protocol_options: {_AGREED if job.agreed else '${h2}'}" if http2 else "",
        "back_tls": tls_context(tls, "client", alpn) if job.back_tls else ""})
    return expand(text, {})


def _bootstrap(bench, kind, job, address, workers=1):
    place = bench.place(kind)
    proxy = bench.enter_context(Proxy(kind, bootstrap_text(bench, job, address), directory=place,
                                      concurrency=workers))
    listening(address, proxy.process, os.path.join(place, f"{kind}.log"))
    return proxy.process.pid


def origin(bench):
    """nginx, the origin of most rows: {"http1": address, "http2": address}."""
    ip, http1 = private_address()
    _, http2 = private_address()
    place = bench.place("origin")
    write(place, "1m", "y" * 1024 * 1024)
    path = write(place, "nginx.conf", fill("origin.conf", {"dir": place, "ip": ip, "http1": http1, "http2": http2,
                                                           "body": BODY}))
    bench.run(["nginx", "-c", path, "-p", place, "-e", "stderr"], place, (ip, http1))
    return {"http1": (ip, http1), "http2": (ip, http2)}


def websocket_origin(bench):
    address = private_address()
    bench.run([generator(), "echo", *map(str, address)], bench.place("echo"), address)
    return address


def grpc_origin(bench):
    """nghttpd as the origin of unary calls: a message of 40 bytes, and the status in trailers after it.

    It is chosen because it answers any POST once the request has ended, with a body and with trailers, at little cost
    and with nobody's gRPC library between; a server of that kind costs more than the proxies that are measured.
    """
    address = private_address()
    place = bench.place("grpc")
    write(place, "Get.grpc", "\0\0\0\0\x28" + "m" * 40)
    mime = write(place, "mime.types", "application/grpc grpc\n")
    argv = ["nghttpd", "--no-tls", "-a", address[0], f"--htdocs={place}", f"--mime-types-file={mime}",
            "--max-concurrent-streams=256", "--trailer=grpc-status: 0", str(address[1])]
    bench.run(argv, place, address)
    return address
