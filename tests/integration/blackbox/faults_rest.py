"""The fault classes of descriptors and of TLS (numbers of the list of thirty)."""

import os
import resource
import ssl
import subprocess
import tempfile
import time

from pillion_test import Http1Client, HttpOrigin, TcpServer, certs, connect, wait_for

from .hostile import clean_end, scene, serves
from .kit import Scene, check, equal, test

PAGE = """
admin: ${admin}
static_resources:
  listeners:
  - name: secure
    address: ${any}
    filter_chains:
    - transport_socket:
        name: envoy.transport_sockets.tls
        typed_config:
          ${tls_server}
          require_client_certificate: true
          common_tls_context:
            tls_certificates: [{certificate_chain: {filename: DIR/server.crt}, private_key: {filename: DIR/server.key}}]
            validation_context: {trusted_ca: {filename: DIR/ca.crt}, match_typed_subject_alt_names: [{san_type: URI, matcher: {exact: "spiffe://mesh/good"}}]}
      filters: [{name: envoy.filters.network.http_connection_manager, typed_config: {${hcm}, stat_prefix: w, http_filters: ${router}, route_config: {name: r, virtual_hosts: [{name: all, domains: ["*"], routes: [{match: {prefix: /up}, route: {cluster: up}}, {match: {prefix: /}, route: {cluster: a}}]}]}}}]
OTHER  - name: web
    address: ${any}
    filter_chains: [{filters: [{name: envoy.filters.network.http_connection_manager, typed_config: {${hcm}, stat_prefix: p, http_filters: ${router}, route_config: {name: r, virtual_hosts: [{name: all, domains: ["*"], routes: [{match: {prefix: /}, route: {cluster: up}}]}]}}}]}]
  clusters:
  - {name: a, connect_timeout: 1s, load_assignment: ${load:a}}
  - name: up
    connect_timeout: 1s
    load_assignment: ${load:up}
    transport_socket:
      name: envoy.transport_sockets.tls
      typed_config: {${tls_client}, common_tls_context: {validation_context: {trusted_ca: {filename: DIR/ca.crt}, match_typed_subject_alt_names: [{san_type: DNS, matcher: {exact: up.test}}]}}}
"""
# A listener of the same certificate that takes another client.
SECURE = PAGE[PAGE.index("  - name: secure"):PAGE.index("OTHER")]
PAGE = PAGE.replace("OTHER", SECURE.replace("name: secure", "name: other").replace("mesh/good", "mesh/other"))


def issue(authority, name, extensions):
    """A leaf with exactly these extensions."""
    crt, key, csr, ext = (authority.path(f"{name}.{e}") for e in ("crt", "key", "csr", "ext"))
    with open(ext, "w", encoding="ascii") as out:
        out.write(extensions)
    def openssl(*args):
        subprocess.run(["openssl", *args], check=True, capture_output=True)
    openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=up.test", "-keyout", key, "-out", csr)
    openssl("x509", "-req", "-in", csr, "-CA", authority.ca, "-CAkey", authority.path(f"{authority.name}.key"),
            "-CAcreateserial", "-days", "2", "-extfile", ext, "-out", crt)
    return crt, key


class Secure(Scene):
    """A listener that wants client certificates, and an origin behind TLS whose certificate a test chooses."""

    def __init__(self, up_extensions="subjectAltName=DNS:up.test\n", up=None):
        self.tmp = tempfile.TemporaryDirectory(prefix="pillion-faults-")
        self.authority = certs.Authority(self.tmp.name)
        self.authority.issue("server", "DNS:server.test")
        chosen = issue(self.authority, "up", up_extensions)
        up = up or HttpOrigin("up", tls=certs.server_context(*chosen))
        super().__init__(PAGE.replace("DIR", self.tmp.name), origins={"a": HttpOrigin("a"), "up": up})
        self.stack.callback(self.tmp.cleanup)

    def get(self, extensions, name="client", path="/", maximum=None):
        """The status for a client with such a certificate, or None when it is refused."""
        crt, key = issue(self.authority, name, extensions) if extensions else (None, None)
        context = certs.client_context(self.authority.ca, crt, key, maximum=maximum)
        try:
            with Http1Client(self.port("secure"), tls=context, limit_s=3) as client:
                return client.get(path).status
        except (OSError, ssl.SSLError):
            return None
        except Exception as e:  # An end without an answer, as the tests' HTTP client tells it.
            check("end of connection" in str(e), e)
            return None


GOOD = "subjectAltName=URI:spiffe://mesh/good\nextendedKeyUsage=clientAuth\n"


@test("fault_08_descriptors: without descriptors left connections are refused, those that are there go on, and it passes")
def descriptors():
    with scene() as s:
        serves(s)
        pid = s.proxy.process.pid
        limits = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (len(os.listdir(f"/proc/{pid}/fd")) + 40, limits[1]))
        with Http1Client(s.port(), limit_s=5) as early:
            equal(early.get("/").status, 200)
            socks = []
            for _ in range(150):
                try:
                    socks.append(connect(s.port(), limit_s=2))
                except OSError:
                    break
            time.sleep(0.3)
            equal(early.get("/").status, 200, "a connection that was there before")
            before = ticks(pid)
            time.sleep(0.5)
            check(ticks(pid) - before <= 15, "the proxy spins")
            for sock in socks:
                sock.close()
        wait_for(lambda: answered(s), 10, what="the proxy to serve again")
        check(listener_stat(s, "downstream_cx_no_descriptors") > 0, "the refusals are not counted")
        resource.prlimit(pid, resource.RLIMIT_NOFILE, limits)
        serves(s)
        clean_end(s)


def answered(s):
    try:
        with Http1Client(s.port(), limit_s=1) as client:
            return client.get("/").status == 200
    except Exception:  # Refused, or cut off: not yet.
        return False


def listener_stat(s, name):
    return sum(int(line.split(": ")[1]) for line in s.proxy.get("/stats")[1].splitlines()
               if line.startswith("listener.") and line.split(": ")[0].endswith(name))


def ticks(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as f:
        fields = f.read().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


@test("fault_21_names_in_certificates: only the whole name of the right kind, of a certificate for that use, is taken")
def names_in_certificates():
    with Secure() as s:
        equal(s.get(GOOD), 200, "the good certificate")
        for what, extensions in {
                "another URI": GOOD.replace("good", "goodness"), "a shorter URI": GOOD.replace("/good", ""),
                "the URI as DNS": GOOD.replace("URI:spiffe://mesh/good", "DNS:good"),
                "the URI in an e-mail": GOOD.replace("URI:spiffe://mesh/good", "email:spiffe@mesh"),
                "another case": GOOD.replace("good", "GOOD"), "no name": "extendedKeyUsage=clientAuth\n",
                "for servers only": GOOD.replace("clientAuth", "serverAuth"), "for code": GOOD.replace("clientAuth", "codeSigning"),
                "the URI in a name of another kind": "subjectAltName=otherName:1.2.3.4;UTF8:spiffe://mesh/good\nextendedKeyUsage=clientAuth\n",
        }.items():
            equal(s.get(extensions), None, what)
        equal(s.get(None), None, "no certificate")
        other = certs.Authority(os.path.join(s.tmp.name, "other"))
        own, s.authority = s.authority, other
        crt, key = issue(other, "client", GOOD)
        s.authority = own
        try:
            with Http1Client(s.port("secure"), tls=certs.client_context(own.ca, crt, key), limit_s=3) as client:
                check(client.get("/").status is None, "a certificate of another authority was taken")
        except Exception as e:  # As it should be; but not by the check above.
            check("was taken" not in str(e), e)
        equal(len(s["a"].seen), 1, "what the origin saw")
    for what, extensions, want in (
            ("the name", "subjectAltName=DNS:up.test\n", 200), ("only in the subject", "basicConstraints=CA:FALSE\n", 503),
            ("a wildcard inside", "subjectAltName=DNS:u*.test\n", 503), ("two wildcards", "subjectAltName=DNS:*.*\n", 503),
            ("as URI", "subjectAltName=URI:up.test\n", 503), ("another name", "subjectAltName=DNS:up.test.evil\n", 503),
            ("for clients only", "subjectAltName=DNS:up.test\nextendedKeyUsage=clientAuth\n", 503)):
        with Secure(extensions) as s, Http1Client(s.port()) as client:
            equal(client.get("/").status, want, f"an origin with {what}")


@test("fault_22_resumption: a session of one listener opens no door of another, whose clients are others")
def resumption():
    with Secure() as s:
        resumed = 0
        crt, key = issue(s.authority, "client", GOOD)
        for maximum in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            context = certs.client_context(s.authority.ca, crt, key, maximum=maximum)
            session = None
            for _ in range(2):
                with connect(s.port("secure")) as raw, context.wrap_socket(raw, session=session) as sock:
                    sock.sendall(b"GET / HTTP/1.1\r\nHost: t\r\n\r\n")
                    check(b" 200 " in sock.recv(1000), "not served")
                    resumed += sock.session_reused
                    session = sock.session
            for offered in (session, None):
                try:
                    with connect(s.port("other")) as raw, context.wrap_socket(raw, session=offered) as sock:
                        sock.sendall(b"GET / HTTP/1.1\r\nHost: t\r\n\r\n")
                        got = sock.recv(1000)
                except OSError:
                    got = b""
                check(b"HTTP" not in got, f"{maximum}: the other listener answered", got)
        return f"{resumed} of 2 sessions were resumed where they were made"


@test("fault_23_around_tls: plain bytes before, beside and instead of TLS are no part of what it protects")
def around_tls():
    with Secure() as s:
        for data in (b"GET / HTTP/1.1\r\nHost: t\r\n\r\n", b"\x15\x03\x01\0\2\1\0GET / HTTP/1.1\r\n\r\n", b"\x17\x03\x03\0\4GET "):
            with connect(s.port("secure"), limit_s=3) as sock:
                sock.sendall(data)
                try:
                    got = sock.recv(1000)
                except OSError:
                    got = b""
                check(b"HTTP" not in got, "answered in plain text", got)
        equal(s["a"].seen, [], "what the origin saw")
        equal(s.get(GOOD), 200)

    def speaks_first(sock):
        sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nplain")
        sock.recv(1000)
    with Secure(up=TcpServer(speaks_first)) as s, Http1Client(s.port()) as client:
        answer = client.get("/")
        equal((answer.status, b"plain" in answer.body), (503, False), "an origin that answers in plain text")
