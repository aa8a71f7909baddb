"""The ten steps. Each says in its first line what it shows, does it, yields what came out, and raises DemoError where
that is not what it should be."""

import os
import re
import signal
import statistics
import sys
import time

from load import Load
from nats_check import first_byte_ms, publish_and_receive
from shop import CERTIFICATE_LIFETIME_S, CONTROL_ADMIN, HERE, PILLION, PYTHON, WEB
from wire import Capture
from world import DemoError, run, wait_for

RATE = 500
SERVER_FIRST_MS_MAX = 50
SHARE_POINTS_MAX = 3


def expect(condition, what):
    if not condition:
        raise DemoError(what)


def shares(served):
    total = max(1, sum(served.values()))
    return {name: 100 * n / total for name, n in served.items()}


def canary_share(shop, seconds):
    before = shop.served()
    time.sleep(seconds)
    return shares(shop.served_since(before))["web-canary"]


def spread(served):
    return ", ".join(f"{name} {share:.0f} %" for name, share in shares(served).items())


def everyday_traffic(shop):
    """curl reaches every replica by the service's name; only TLS 1.3 is on the wire; gRPC passes unharmed"""
    with Capture(shop) as capture:
        seen = set()

        def all_seen():
            seen.add(shop.curl("client", "http://web.shop/").stdout.split(" ")[0])
            return seen >= set(WEB)
        wait_for(all_seen, 20, f"all of {', '.join(WEB)} answer")
        answer = shop.curl("client", "http://web.shop/").stdout.strip()
        yield f"curl http://web.shop/ -> {answer}"
        expect("URI=spiffe://cluster.local/ns/shop/sa/client" in answer, "web does not see the client's identity")
        grpc = shop.pods["client"].run(sys.executable, os.path.join(HERE, "orders_client.py"), "web.shop:50051",
                                       env={**os.environ, "PYTHONPATH": PYTHON, "GRPC_DNS_RESOLVER": "native"},
                                       timeout=60).stdout
        for line in ("unary: order 42 OK orders-1", "status: NOT_FOUND no order of that name", "stream: 5 OK 5",
                     "duplex: ack 0, ack 1, ack 2 OK"):
            expect(line in grpc, f"gRPC through web: {line!r} is missing in {grpc!r}")
        yield "gRPC through web to orders: " + "; ".join(grpc.strip().splitlines())
    yield capture.verdict()


def strangers(shop):
    """the intruder, who has no sidecar, is refused in strict mode (the log says why) and served in permissive mode"""
    def ask():
        url = f"http://{shop.plan['web-1'][0]}:8080/"
        return shop.curl("intruder", "-o", "/dev/null", "-w", "%{http_code} %{errormsg}", url)
    refused = ask()
    expect(refused.returncode != 0, f"the intruder was served in strict mode: {refused.stdout}")
    yield f"strict: curl says {refused.stdout.strip()!r}"
    intruder = shop.pods["intruder"].ip

    def told():
        lines = [line for line in shop.pods["web-1"].log("proxy").splitlines() if intruder in line]
        return next((line for line in lines if re.search(r"TLS|plain", line)), None)
    yield f"web-1's log: {wait_for(told, 5, 'the log of web-1 says why the intruder was refused')}"
    shop.set_mtls("Permissive")
    try:
        wait_for(lambda: ask().returncode == 0, 5, "the intruder is served in permissive mode")
        yield "permissive: served"
    finally:
        shop.set_mtls("Strict")
    wait_for(lambda: ask().returncode != 0, 5, "the intruder is refused again")
    yield "strict again: refused again"


def a_dead_replica(shop):
    """under 500 requests a second every process of web-1 is killed: no request fails; it is ejected, and comes back"""
    load = Load(shop, RATE, 14)
    time.sleep(2)
    address = shop.plan["web-1"][0]
    shop.pods["web-1"].kill_everything()

    def ejected():
        return next((line for line in shop.admin("client", "/clusters").splitlines()
                     if address in line and "failed_outlier_check" in line), None)
    yield f"/clusters of the client: {wait_for(ejected, 4, 'web-1 is shown as ejected', 0.02)}"
    shop.restart_pod("web-1")
    before = shop.served()["web-1"]
    wait_for(lambda: shop.served()["web-1"] > before + 20, 10, "web-1 serves again after its restart")
    yield f"{load.finish()} requests, none failed; web-1 serves again"


def canary(shop):
    """the canary's weight goes from 10 to 50 per cent in the YAML under load: the share follows, no request fails"""
    load = Load(shop, RATE, 18)
    time.sleep(1)
    for weight in (10, 50):
        shop.set_weights(100 - weight, weight)
        time.sleep(0.3)
        share = canary_share(shop, 7)
        yield f"weight {weight}: share {share:.1f} %"
        expect(abs(share - weight) <= SHARE_POINTS_MAX, f"the share is {share:.1f} %, not within 3 points of {weight}")
    yield f"{load.finish()} requests, none failed"
    shop.set_weights(90, 10)


def near_zone(shop):
    """the policy prefers the client's zone; the zone dies: traffic moves to the other, and back, and no request fails"""
    shop.set_weights(100, 0)
    shop.set_locality("PreferSameZone")
    load = Load(shop, RATE, 20)

    def settle(names, limit_s, what):
        def only():
            before = shop.served()
            time.sleep(0.3)
            now = shop.served_since(before)
            settled = sum(now.values()) > 50 and all((n > 0) == (name in names) for name, n in now.items())
            return now if settled else None
        return wait_for(only, limit_s, what)
    near, far = ("web-1", "web-2"), ("web-3",)
    yield "near zone: " + spread(settle(near, 5, "all requests stay in the near zone"))
    for name in near:
        shop.pods[name].kill_everything()
    yield "it dies: " + spread(settle(far, 5, "all requests go to the other zone"))
    for name in near:
        shop.restart_pod(name)
    yield "it returns: " + spread(settle(near, 10, "all requests are back in the near zone"))
    yield f"{load.finish()} requests, none failed"
    shop.set_locality("None")
    shop.set_weights(90, 10)


def nats(shop):
    """NATS, whose server speaks first and which nothing declares, works between pods"""
    received = publish_and_receive(shop)
    yield f"published from web-2, received in client: {received}"
    times = [first_byte_ms(shop) for _ in range(20)]
    median = statistics.median(times)
    yield f"the server's first byte: median of {len(times)} connections {median:.1f} ms, largest {max(times):.1f} ms"
    expect(median < SERVER_FIRST_MS_MAX, f"a person would notice {median:.1f} ms")


def no_control_plane(shop):
    """the control plane is killed: traffic goes on; it returns: proxies reconnect, and are sent nothing they have"""
    load = Load(shop, RATE, 9)
    time.sleep(1)
    shop.control_process.kill()
    shop.control_process.wait()
    time.sleep(2)
    shop.start_control()

    def all_back():
        proxies = shop.status()["proxies"]
        return proxies if len(proxies) == len(shop.plan) and all(p["settled"] for p in proxies) else None
    proxies = wait_for(all_back, 12, "every proxy is connected again")
    sent = sum(p["resources_sent"] for p in proxies)
    yield f"{len(proxies)} proxies reconnected; resources sent to them: {sent}"
    expect(sent == 0, "something was sent that the proxies already had")
    yield f"{load.finish()} requests, none failed"


def broken_yaml(shop):
    """a broken YAML is dropped in: refused with its line, traffic untouched"""
    load = Load(shop, RATE, 4)
    path = os.path.join(shop.config, "broken.yaml")
    with open(path, "w", encoding="ascii") as out:
        out.write("apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata:\n  name: broken\n"
                  "  namespace: shop\nspec:\n  parentRefs:\n    - kind: Service\n      group: \"\"\n      name: web\n"
                  "  rules:\n    - backendRefs:\n        - name: nowhere\n          port: 80\n")

    def told():
        text = run(PILLION, "status", "--admin", CONTROL_ADMIN, check=False).stdout
        return next((line.strip() for line in text.splitlines() if re.search(r"broken\.yaml:\d+", line)), None)
    try:
        yield f"pillion status: {wait_for(told, 5, 'pillion status names the broken file and line')}"
        ready = run("curl", "-s", f"http://{CONTROL_ADMIN}/ready").stdout
        expect("broken.yaml" in ready, f"/ready does not speak of the broken file: {ready!r}")
    finally:
        os.remove(path)
    wait_for(lambda: told() is None, 5, "the complaint is gone with the file")
    yield f"{load.finish()} requests, none failed"


def rotation(shop):
    """certificates that live for seconds are renewed: no request fails and no long connection is cut"""
    def serial():
        found = re.search(r'"serial_number": *"(\w+)"', shop.admin("client", "/certs"))
        expect(found is not None, "/certs shows no certificate")
        return found.group(1)
    first = serial()
    slow = shop.pods["client"].start("slow", ["curl", "-sf", "-o", "/dev/null", "-w",
                                              "%{size_download} bytes in %{time_total} s", "http://web.shop/slow/file"])
    load = Load(shop, RATE, CERTIFICATE_LIFETIME_S - 5)
    yield f"{load.finish()} requests, none failed"
    now = serial()
    expect(first != now, "the certificate was not renewed in its lifetime")
    yield f"the client's certificate was {first[:12]}…, is {now[:12]}…"
    slow.wait(60)
    expect(slow.returncode == 0, f"the long download was cut: curl ended with {slow.returncode}")
    yield f"a download across the rotation: {shop.pods['client'].log('slow').splitlines()[-1]}"


def start_and_stop(shop):
    """a replica gets SIGTERM under load and drains; an application that starts before its sidecar's configuration waits"""
    load = Load(shop, RATE, 8)
    time.sleep(2)
    pod = shop.pods["web-2"]
    began = time.monotonic()
    proxy = pod.processes["proxy"]
    proxy.terminate()
    proxy.wait(20)
    yield f"web-2's sidecar drained and ended with {proxy.returncode} after {time.monotonic() - began:.1f} s"
    expect(proxy.returncode == 0, "the drained sidecar did not end with 0")
    pod.kill_everything()
    yield f"{load.finish()} requests, none failed"
    shop.restart_pod("web-2")
    late = shop.pods["client"]
    late.kill_everything()
    shop.control_process.send_signal(signal.SIGSTOP)  # nobody configures the sidecar that starts now
    try:
        shop.start_sidecar(late)
        wait_for(lambda: ":15001" in late.run("ss", "-ltn").stdout, 5, "the sidecar has bound its capture port")
        early = late.start("early", ["curl", "-sf", "--max-time", "10", "http://web.shop/"])
        time.sleep(1)
        expect(early.poll() is None, "the early request did not wait for the sidecar's configuration")
    finally:
        shop.control_process.send_signal(signal.SIGCONT)
    early.wait(15)
    expect(early.returncode == 0, f"the early request was lost: curl ended with {early.returncode}")
    yield f"asked before the sidecar had its configuration, answered after: {late.log('early').splitlines()[-1]}"


ALL = [everyday_traffic, strangers, a_dead_replica, canary, near_zone, nats, no_control_plane, broken_yaml, rotation,
       start_and_stop]
