"""Join tokens, first contact, renewal."""

import os
import subprocess
import tempfile
import time

import grpc

from .kit import (PILLION, Control, channel, check, equal, private_address, read_bytes, run, spawn, spiffe, stop, test, wait_for)


def openssl(*args, data=None):
    return subprocess.run(["openssl", *args], input=data, capture_output=True, check=True).stdout.decode()


def join(control, token, *args):
    out = tempfile.mkdtemp(dir=control.dir)
    return run("identity", "--token", token, "--out", out, "--once", *args), out


def refused(control, token, want, what, *args):
    done, out = join(control, token, *args)
    equal(done.returncode, 1, f"{what}: the exit status")
    check(want in done.stderr, f"{what}: {done.stderr}")
    check(token[:40] not in done.stderr and token[:40] not in control.log(), f"{what}: the token is in a log")
    check(not os.path.exists(os.path.join(out, "cert.pem")), f"{what}: a certificate was written")


@test
def a_token_becomes_the_identity_that_it_is_bound_to():
    with Control() as control:
        out = control.identity("web")
        cert = openssl("x509", "-in", os.path.join(out, "cert.pem"), "-noout", "-ext", "subjectAltName")
        check(f"URI:{spiffe('web')}" in cert, cert)
        openssl("verify", "-CAfile", os.path.join(out, "ca.pem"), os.path.join(out, "cert.pem"))
        equal(os.stat(os.path.join(out, "key.pem")).st_mode & 0o777, 0o600, "the mode of the key")
        key = openssl("pkey", "-in", os.path.join(out, "key.pem"), "-pubout")
        equal(key, openssl("x509", "-in", os.path.join(out, "cert.pem"), "-noout", "-pubkey"), "the key of the leaf")


@test
def tokens_that_are_not_good_are_refused():
    with Control() as control, Control() as other:
        token = control.token("web")
        altered = token[:-10] + ("A" if token[-10] != "A" else "B") + token[-9:]
        refused(control, altered, "not made by this control plane", "an altered token")
        short = control.token("web", "--ttl", "1s")
        time.sleep(1.1)
        refused(control, short, "expired", "an expired token")
        once = control.token("web", "--single-use")
        done, _ = join(control, once)
        equal(done.returncode, 0, "the first use: " + done.stderr)
        refused(control, once, "used already", "a used token")
        control.stop()
        control.start()
        refused(control, once, "used already", "a used token after a restart")
        # Another mesh's token: its root is not the one that answers, so the token is never sent there.
        foreign = other.token("web", address=control.address)
        refused(control, foreign, "certificate is refused", "a foreign token")
        # A server that holds the root's fingerprint, but not its key, cannot be the control plane.
        refused(control, control.token("web", address=other.address), "certificate is refused", "another server")
        check("signing" not in other.log(), "the other control plane was told a token")


@test
def only_the_control_plane_itself_is_told_a_token():
    with Control() as control:
        web = control.identity("web")
        host, port = private_address()
        server = spawn(["openssl", "s_server", "-accept", f"{host}:{port}", "-cert", os.path.join(web, "cert.pem"), "-cert_chain", os.path.join(web, "ca.pem"),
                        "-key", os.path.join(web, "key.pem"), "-alpn", "h2", "-quiet"], stdin=subprocess.PIPE,
                       stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        try:
            wait_for(lambda: _listens(port), what="openssl s_server listens")
            refused(control, control.token("client", address=f"{host}:{port}"), "is not the control plane",
                    "a workload that plays the control plane")
        finally:
            stop(server)
        check(b"Bearer" not in server.stdout.read(), "the workload was told the token")


def _listens(port):
    with open("/proc/net/tcp", encoding="ascii") as f:
        return any(line.split()[1].endswith(f":{port:04X}") and line.split()[3] == "0A" for line in f.readlines()[1:])


@test
def signing_needs_a_token_or_a_certificate():
    with Control() as control:
        identity = control.identity("web")
        csr = openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout",
                      os.path.join(control.dir, "new.key"), "-subj", "/CN=ignored").encode()
        request = b"\x0a" + bytes([csr.__len__() & 0x7f | 0x80, csr.__len__() >> 7]) + csr

        def call(data, with_certificate, metadata=()):
            with channel(control, identity, with_certificate) as c:
                method = c.unary_unary("/istio.v1.auth.IstioCertificateService/CreateCertificate")
                try:
                    return method(data, metadata=metadata, timeout=10)
                except grpc.RpcError as e:
                    return e.code()
        equal(call(request, False), grpc.StatusCode.UNAUTHENTICATED, "neither token nor certificate")
        equal(call(request, False, [("authorization", "Bearer nonsense")]), grpc.StatusCode.UNAUTHENTICATED, "nonsense")
        equal(call(b"\xff", True), grpc.StatusCode.INVALID_ARGUMENT, "what is no request")
        equal(call(b"\x0a\x01x", True), grpc.StatusCode.INVALID_ARGUMENT, "what is no CSR")
        answer = call(request, True)
        check(isinstance(answer, bytes) and answer.count(b"BEGIN CERTIFICATE") == 2, f"a renewal: {answer!r}")
        leaf = openssl("x509", "-noout", "-ext", "subjectAltName", data=answer[answer.index(b"-----BEGIN"):])
        check(spiffe("web") in leaf, f"the renewed certificate: {leaf}")
        token = control.token("client")
        answer = call(request, False, [("authorization", "Bearer " + token)])
        leaf = openssl("x509", "-noout", "-ext", "subjectAltName", data=answer[answer.index(b"-----BEGIN"):])
        check(spiffe("client") in leaf, f"the certificate by token: {leaf}")


@test
def certificates_are_renewed_while_it_runs_and_a_restart_needs_no_token():
    with Control("--certificate-lifetime", "6s") as control:
        out = os.path.join(control.dir, "web")
        log = open(os.path.join(control.dir, "identity.log"), "ab")
        process = spawn([PILLION, "identity", "--token", control.token("web", "--single-use"), "--out", out],
                        stdin=subprocess.DEVNULL, stdout=log, stderr=log)

        def serial():
            path = os.path.join(out, "cert.pem")
            return os.path.exists(path) and openssl("x509", "-in", path, "-noout", "-serial")
        first = wait_for(serial, what="the first certificate")
        key = read_bytes(out, "key.pem")
        second = wait_for(lambda: serial() != first and serial(), 20, what="the certificate is renewed")
        check(read_bytes(out, "key.pem") != key, "the key is the old one")
        equal(stop(process, 15), 0, "the exit status after SIGTERM")
        # The token is spent: what follows is by the certificate alone.
        process = spawn([PILLION, "identity", "--out", out, "--control-plane", control.address],
                        stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        wait_for(lambda: serial() != second, 20, what="it is renewed after a restart")
        stop(process, 15)
        log.close()
        done = run("identity", "--out", os.path.join(control.dir, "empty"), "--control-plane", control.address, "--once")
        equal(done.returncode, 1, "neither token nor files")
        check("join token" in done.stderr, done.stderr)


@test
def a_control_plane_that_comes_later_is_waited_for():
    with Control() as control:
        token = control.token("web")
        control.stop()
        out = os.path.join(control.dir, "web")
        process = spawn([PILLION, "identity", "--token", token, "--out", out, "--once"], stdin=subprocess.DEVNULL,
                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        control.start()
        equal(process.wait(30), 0, "the exit status")
        check(os.path.exists(os.path.join(out, "cert.pem")), "there is no certificate")


def make_authority(directory):
    """A root of somebody else's, and an intermediate of it that may sign workloads: (its chain, its key, the root)."""
    path = {name: os.path.join(directory, name) for name in ("root.key", "root.pem", "mid.key", "mid.csr", "mid.pem",
                                                             "mid.cnf", "chain.pem")}
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    openssl("req", "-x509", *curve, "-keyout", path["root.key"], "-out", path["root.pem"], "-subj", "/CN=corporate root",
            "-days", "2", "-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign,cRLSign")
    openssl("req", *curve, "-keyout", path["mid.key"], "-out", path["mid.csr"], "-subj", "/CN=mesh")
    with open(path["mid.cnf"], "w", encoding="ascii") as out:
        out.write("basicConstraints=critical,CA:TRUE,pathlen:0\nkeyUsage=critical,keyCertSign,cRLSign\n"
                  "subjectAltName=URI:spiffe://cluster.local\nsubjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n")
    openssl("x509", "-req", "-in", path["mid.csr"], "-CA", path["root.pem"], "-CAkey", path["root.key"], "-set_serial",
            "7", "-days", "1", "-extfile", path["mid.cnf"], "-out", path["mid.pem"])
    with open(path["chain.pem"], "wb") as out:
        out.write(read_bytes(path["mid.pem"]) + read_bytes(path["root.pem"]))
    return path["chain.pem"], path["mid.key"], path["root.pem"]


@test
def an_authority_that_is_given_signs_and_its_root_is_what_workloads_trust():
    with tempfile.TemporaryDirectory(prefix="pillion-ca-") as directory:
        chain, key, root = make_authority(directory)
        with Control("--ca-cert", chain, "--ca-key", key) as control:
            out = control.identity("web")
            cert, bundle = os.path.join(out, "cert.pem"), os.path.join(out, "ca.pem")
            openssl("verify", "-CAfile", root, "-untrusted", cert, cert)  # the intermediate stands behind the leaf
            equal(openssl("x509", "-in", bundle, "-noout", "-fingerprint"),
                  openssl("x509", "-in", root, "-noout", "-fingerprint"), "the root that the workload trusts")
            check(f"URI:{spiffe('web')}" in openssl("x509", "-in", cert, "-noout", "-ext", "subjectAltName"), "the name")
