"""What is served, to whom, and what travels when a file changes."""

import statistics
import time

import grpc
from envoy.config.endpoint.v3 import endpoint_pb2
from envoy.config.route.v3 import route_pb2

from .kit import CLUSTER, ENDPOINT, LISTENER, ROUTE, AdsClient, Control, check, equal, test, wait_for

HOST = "web.shop.svc.cluster.local"
WEB_ROUTE = f"{HOST}:80"
CANARY = "outbound|80||web-canary.shop.svc.cluster.local"
STABLE = "outbound|80||web-stable.shop.svc.cluster.local"
ORDERS = "outbound|50051||orders.shop.svc.cluster.local"


def full_client(control, identity, **kwargs):
    client = AdsClient(control, identity, **kwargs)
    client.subscribe(CLUSTER)
    client.wait_names(CLUSTER, CANARY, STABLE, ORDERS)
    client.subscribe(ENDPOINT, [CANARY, STABLE, ORDERS])
    client.wait_names(ENDPOINT, CANARY, STABLE, ORDERS)
    client.subscribe(LISTENER)
    client.wait_names(LISTENER, "virtualOutbound", "virtualInbound", "10.78.0.10_80")
    client.subscribe(ROUTE, [WEB_ROUTE])
    client.wait_names(ROUTE, WEB_ROUTE)
    return client


def weights(client):
    config = client.message(ROUTE, WEB_ROUTE, route_pb2.RouteConfiguration)
    clusters = config.virtual_hosts[0].routes[0].route.weighted_clusters.clusters
    return [c.weight.value for c in clusters]


def settled(control):
    return wait_for(lambda: [p for p in control.status()["proxies"] if p["settled"]], what="a proxy is settled")


@test
def delta_and_sotw_serve_the_shop():
    with Control() as control:
        identity = control.identity("client")
        for delta in (True, False):
            with full_client(control, identity, delta=delta) as client:
                equal(weights(client), [90, 10], f"the weights (delta {delta})")
                load = client.message(ENDPOINT, ORDERS, endpoint_pb2.ClusterLoadAssignment)
                address = load.endpoints[0].lb_endpoints[0].endpoint.address.socket_address
                equal((address.address, address.port_value), ("10.77.2.21", 50051), "the endpoint of orders")
                proxy = settled(control)[0]
                equal(proxy["identity"], "spiffe://cluster.local/ns/shop/sa/client", "who is connected")
                equal(proxy["protocol"], "delta" if delta else "sotw", "the protocol")
                wait_for(lambda: control.status()["proxies"][0]["revision_acked"] == 1, what="revision 1 is accepted")
            wait_for(lambda: not control.status()["proxies"], what="the stream is gone from the status")


@test
def a_change_is_pushed_at_once_and_alone():
    with Control() as control:
        identity = control.identity("client")
        with full_client(control, identity) as client:
            settled(control)
            times = []
            for i in range(20):
                want = [80 - i, 20 + i]
                before = len(client.responses)
                began = time.monotonic()
                control.set_weights(*want)
                client.wait(lambda c: len(c.responses) > before, "the change is pushed")  # noqa: B023
                times.append(1000 * (client.responses[before][0] - began))
                equal(weights(client), want, "the weights")
                equal([r[1:] for r in client.responses[before:]], [(ROUTE, [WEB_ROUTE], [])], "what travelled")
                time.sleep(0.1)
            wait_for(lambda: control.status()["proxies"][0]["revision_acked"] == 21, what="revision 21 is accepted")
            median = statistics.median(times)
            check(median < 1000, f"a push takes {median:.0f} ms")
            return f"from the change of the file to the client: median of 20 {median:.1f} ms, largest {max(times):.1f} ms"


@test
def an_endpoint_change_sends_endpoints_only():
    with Control() as control:
        with full_client(control, control.identity("client")) as client:
            settled(control)
            before = len(client.responses)
            control.write("orders.yaml", control.read("orders.yaml").replace("ready: true", "ready: false"))
            client.wait(lambda c: len(c.responses) > before, "the change is pushed")
            check(client.quiet(), "more than one response came")
            equal([r[1:] for r in client.responses[before:]], [(ENDPOINT, [ORDERS], [])], "what travelled")


@test
def a_removed_service_is_withdrawn():
    with Control() as control:
        with full_client(control, control.identity("client")) as client:
            settled(control)
            nats = "outbound|4222||nats.shop.svc.cluster.local"
            check(nats in client.have(CLUSTER), "nats is not served")
            control.write("nats.yaml", "")
            client.wait(lambda c: nats not in c.resources[CLUSTER], "the cluster is withdrawn")
            check("10.78.0.30_4222" not in client.have(LISTENER), "its listener is still there")


@test
def a_reconnecting_client_is_sent_only_what_it_lacks():
    with Control() as control:
        identity = control.identity("client")
        with full_client(control, identity) as client:
            settled(control)
            had = {t: {n: v for n, (v, _) in client.have(t).items()} for t in (CLUSTER, ENDPOINT, LISTENER, ROUTE)}
        control.stop()
        control.start()
        with AdsClient(control, identity) as client:
            client.subscribe(CLUSTER, initial=had[CLUSTER])
            client.subscribe(ENDPOINT, list(had[ENDPOINT]), initial=had[ENDPOINT])
            client.subscribe(LISTENER, initial=had[LISTENER])
            client.subscribe(ROUTE, list(had[ROUTE]), initial=had[ROUTE])
            proxy = settled(control)[0]
            check(client.quiet(), "something was sent")
            equal((proxy["resources_sent"], client.responses), (0, []), "what was sent to a client that has everything")
            control.set_weights(50, 50)
            client.wait(lambda c: ROUTE in c.resources, "the change is pushed")
            equal([r[1:] for r in client.responses], [(ROUTE, [WEB_ROUTE], [])], "what travelled")


@test
def a_refusal_is_kept_with_its_text_and_nothing_is_sent_again():
    with Control() as control:
        identity = control.identity("client")
        refusing = [False]

        def refuse(resources):
            bad = [r[0] for r in resources if r[0] == WEB_ROUTE and refusing[0]]
            return f"{bad[0]}: weights look odd" if bad else None
        with full_client(control, identity, refuse=refuse, node_id="node-7") as client:
            settled(control)
            refusing[0] = True
            control.set_weights(70, 30)
            text = wait_for(lambda: control.status_text() if "weights look odd" in control.status_text() else None,
                            what="pillion status tells of the refusal")
            line = next(x for x in text.splitlines() if "weights look odd" in x)
            check("RouteConfiguration" in line and WEB_ROUTE in line, f"the line does not name the resource: {line}")
            check("node-7" in text and "rejected" in text, f"the table does not name the node: {text}")
            check(client.quiet(), "what was refused is sent again")
            equal(control.status()["proxies"][0]["revision_acked"], 1, "the revision that the proxy has")
            refusing[0] = False
            control.set_weights(60, 40)
            client.wait(lambda c: weights(c) == [60, 40], "the next version is pushed")
            wait_for(lambda: control.status()["proxies"][0]["revision_acked"] == 3, what="the refusal is over")
            check("weights look odd" not in control.status_text(), "the refusal is still shown")


def inbound_clusters(client):
    client.subscribe(CLUSTER)
    client.wait_names(CLUSTER, ORDERS)
    return sorted(n for n in client.have(CLUSTER) if n.startswith("inbound|"))


@test
def what_a_stream_may_read_follows_from_its_certificate():
    with Control() as control:
        web, client = control.identity("web"), control.identity("client")
        with AdsClient(control, web, node_id="sidecar~10.77.1.11~web-1.shop~x", pod_ip="10.77.1.11") as stream:
            check("inbound|8080||" in inbound_clusters(stream), "web is not served its inbound clusters")
        # The same claims, by another identity's certificate.
        with AdsClient(control, client, node_id="sidecar~10.77.1.11~web-1.shop~x", pod_ip="10.77.1.11") as stream:
            equal(inbound_clusters(stream), [], "the inbound clusters of whoever claims to be web")


@test
def a_stream_without_a_certificate_is_refused():
    with Control() as control:
        identity = control.identity("client")
        with AdsClient(control, identity, with_certificate=False) as client:
            client.subscribe(CLUSTER)
            equal(client.wait_error().code(), grpc.StatusCode.UNAUTHENTICATED, "the status")
            check("certificate" in client.error.details(), f"the message: {client.error.details()}")


@test
def an_unordinary_request_ends_its_stream_only():
    with Control() as control:
        identity = control.identity("client")
        with full_client(control, identity) as good, AdsClient(control, identity) as bad:
            bad.subscribe("")
            equal(bad.wait_error().code(), grpc.StatusCode.INVALID_ARGUMENT, "the status")
            control.set_weights(1, 99)
            good.wait(lambda c: weights(c) == [1, 99], "the other stream goes on")
