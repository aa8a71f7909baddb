"""A small certificate authority by the openssl command, and TLS contexts made from it."""

import os
import ssl
import subprocess


def _openssl(*args):
    subprocess.run(["openssl", *args], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


class Authority:
    """A root and the leaves it signed, as PEM files in `directory`: NAME.crt, NAME.key and ca.crt."""

    def __init__(self, directory, name="ca"):
        self.directory = directory
        self.name = name
        os.makedirs(directory, exist_ok=True)
        self.ca = self.path(f"{name}.crt")
        _openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                 "-subj", f"/O=Pillion test/CN={name}", "-keyout", self.path(f"{name}.key"), "-out", self.ca,
                 "-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign,cRLSign")

    def path(self, file):
        return os.path.join(self.directory, file)

    def issue(self, name, *sans, days=2):
        """Signs a leaf with the subject CN=`name` and these subjectAltNames ("DNS:a", "URI:spiffe://b")."""
        key, csr, crt, ext = (self.path(f"{name}.{e}") for e in ("key", "csr", "crt", "ext"))
        with open(ext, "w", encoding="ascii") as out:
            out.write("basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\n"
                      "extendedKeyUsage=serverAuth,clientAuth\n")
            if sans:
                out.write(f"subjectAltName={','.join(sans)}\n")
        _openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/CN={name}",
                 "-keyout", key, "-out", csr)
        _openssl("x509", "-req", "-in", csr, "-CA", self.ca, "-CAkey", self.path(f"{self.name}.key"),
                 "-CAcreateserial", "-days", str(days), "-extfile", ext, "-out", crt)
        return crt, key


def server_context(crt, key, client_ca=None, alpn=None):
    """A server's context; with `client_ca` the client must show a certificate of that authority."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(crt, key)
    if client_ca:
        context.load_verify_locations(client_ca)
        context.verify_mode = ssl.CERT_REQUIRED
    if alpn:
        context.set_alpn_protocols(alpn)
    return context


def client_context(ca=None, crt=None, key=None, alpn=None, maximum=None):
    """A client's context; without `ca` it trusts anybody."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if ca:
        context.load_verify_locations(ca)
        context.verify_mode = ssl.CERT_REQUIRED
    if crt:
        context.load_cert_chain(crt, key)
    if alpn:
        context.set_alpn_protocols(alpn)
    if maximum:
        context.maximum_version = maximum
    return context
