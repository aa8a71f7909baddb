"""TLS on both sides."""

import ssl

from pillion_test import Http1Client, certs
from pillion_test.parity import case, table
from pillion_test.wire import ProtocolError

CLIENT = "spiffe://mesh/ns/shop/sa/client"


def setup(stage):
    ca = certs.Authority(stage.dir)
    foreign = certs.Authority(stage.dir, "foreign")
    server = ca.issue("server", "DNS:server.test", "URI:spiffe://mesh/ns/shop/sa/server")
    ca.issue("exact", "DNS:exact.test")
    ca.issue("client", f"URI:{CLIENT}")
    ca.issue("dnsclient", "DNS:client.test")
    ca.issue("other", "URI:spiffe://mesh/ns/shop/sa/other")
    ca.issue("longer", f"URI:{CLIENT}/more")
    ca.issue("nosan")
    foreign.issue("stranger", f"URI:{CLIENT}")
    origin = ca.issue("origin", "DNS:origin.test", "URI:spiffe://mesh/origin")
    stage.http("a")
    stage.http("secure", tls=certs.server_context(*origin))
    stage.http("demanding", tls=certs.server_context(*origin, client_ca=ca.ca))
    stage.http2("h2secure", tls=certs.server_context(*server, alpn=["h2"]))


def context(t, name=None, **kwargs):
    crt = (f"{t.dir}/{name}.crt", f"{t.dir}/{name}.key") if name else (None, None)
    return certs.client_context(f"{t.dir}/ca.crt", *crt, **kwargs)


def attempt(t, listener, tls, server_hostname=None):
    """One request; a refusal is the same whether it shows in the handshake or (TLS 1.3) at the first read."""
    try:
        with Http1Client(t.port(listener), tls=tls, server_hostname=server_hostname) as client:
            about = {"alpn": client.sock.selected_alpn_protocol(), "version": client.sock.version()} if tls else {}
            peer = client.sock.getpeercert() if tls else None
            if peer:
                about["subject"] = peer["subject"][0][0][1]
            return t.observe(client.get("/")) | about
    except (ssl.SSLError, OSError, ProtocolError):
        return {"refused": True}


REFUSED = {"refused": True}
CLIENTS = [
    ("client: URI SAN", {"status": 200, "version": "TLSv1.3"}, "client"),
    ("client: DNS SAN", {"status": 200}, "dnsclient"),
    ("client: no certificate", REFUSED, None),
    ("client: a SAN that is not listed", REFUSED, "other"),
    ("client: a SAN that only begins alike", REFUSED, "longer"),
    ("client: no SAN", REFUSED, "nosan"),
    ("client: another authority", REFUSED, "stranger"),
]
table(globals(), CLIENTS, lambda t, name: attempt(t, "mtls", context(t, name)))


@case(REFUSED)
def case_client_plain_text(t):
    return attempt(t, "mtls", None)


@case({"status": 200, "alpn": "http/1.1"})
def case_alpn_http_1(t):
    return attempt(t, "mtls", context(t, "client", alpn=["http/1.1"]))


@case({"status": 200})
def case_alpn_h2(t):
    return t.get2("/", listener="mtls", tls=context(t, "client", alpn=["h2", "http/1.1"]))


@case({"status": 200, "alpn": None})
def case_alpn_of_which_the_server_knows_none(t):
    return attempt(t, "mtls", context(t, "client", alpn=["spdy/3"]))


@case({"alpn": "h2"})
def case_alpn_in_the_server_s_order(t):
    with Http1Client(t.port("mtls"), tls=context(t, "client", alpn=["http/1.1", "h2"])) as client:
        return {"alpn": client.sock.selected_alpn_protocol()}


@case({"status": 200, "version": "TLSv1.3", "subject": "server"})
def case_no_certificate_is_asked(t):
    return attempt(t, "anyone", context(t))


@case(REFUSED)
def case_a_client_that_is_too_old(t):
    return attempt(t, "anyone", context(t, maximum=ssl.TLSVersion.TLSv1_2))


@case({"status": 200})
def case_tls_1_2_is_taken_by_default(t):
    return attempt(t, "mtls", context(t, "client", maximum=ssl.TLSVersion.TLSv1_2))


@case({"status": 200})
def case_optional_certificate_not_shown(t):
    return attempt(t, "optional", context(t))


@case({"status": 200})
def case_optional_certificate_shown(t):
    return attempt(t, "optional", context(t, "other"))


@case(REFUSED)
def case_optional_certificate_of_another_authority(t):
    return attempt(t, "optional", context(t, "stranger"))


CHAINS = [
    ("sni: exact", {"body": "exact", "subject": "exact"}, "exact.test", None),
    ("sni: capitals", {"body": "exact"}, "EXACT.test", None),
    ("sni: wildcard", {"body": "wild", "subject": "server"}, "a.wild.test", None),
    ("sni: wildcard, two labels", {"body": "wild"}, "a.b.wild.test", None),
    ("sni: the bare name under the wildcard", REFUSED, "wild.test", None),
    ("sni: unknown", REFUSED, "unknown.test", None),
    ("sni: none", REFUSED, None, None),
    ("alpn: chooses the chain", {"body": "special"}, None, ["special"]),
    ("alpn: does not beat the name", {"body": "exact"}, "exact.test", ["special"]),
]
table(globals(), CHAINS, lambda t, name, alpn: attempt(t, "chains", context(t, alpn=alpn), name))


@case({"body": "plain"})
def case_chain_for_plain_text(t):
    return attempt(t, "chains", None)


@case({"status": 200, "subject": "origin"})
def case_tls_passes_through_by_its_name(t):
    return attempt(t, "passthrough", context(t), "origin.test")


@case(REFUSED)
def case_tls_of_another_name_does_not_pass(t):
    return attempt(t, "passthrough", context(t), "other.test")


ORIGINS = [
    ("origin: not verified", {"status": 200}, "/unverified"),
    ("origin: verified", {"status": 200}, "/verified"),
    ("origin: another name", {"status": 503}, "/wrongname"),
    ("origin: another authority", {"status": 503}, "/wrongca"),
    ("origin: asks for a certificate", {"status": 200}, "/mutual"),
    ("origin: asks for one that we do not have", {"status": 503}, "/nocert"),
    ("origin: HTTP/2 by ALPN", {"status": 200}, "/h2"),
    ("origin: does not speak TLS", {"status": 503}, "/toplain"),
]


def upstream(t, target):
    """The words of the TLS library are not compared, only that the answer names a TLS failure."""
    seen = t.get(target, listener="up")
    if seen.get("status") == 503:
        seen["body"] = seen["body"].split("transport failure reason")[0]
        seen["headers"] = [h for h in seen["headers"] if h[0] != "content-length"]
    return seen


table(globals(), ORIGINS, upstream)


@case({"uris": [CLIENT]})
def case_origin_sees_our_certificate(t):
    t["demanding"].drop_connections()
    t.get("/mutual", listener="up")
    shown = t["demanding"].peer_certificates[-1]
    return {"uris": [v for k, v in shown["subjectAltName"] if k == "URI"]}
