#!/usr/bin/env python3
"""A real MariaDB through two sidecars, with no word about it in the configuration: its server speaks first, and its port
has no name. The client is MariaDB's own.

    10.77.1.10  client   shop   mariadb
    10.77.1.11  db       shop   mariadbd on 3306, behind the Service db (10.78.0.10)

Needs root (or subordinate uids), iptables, mariadb-server-core and mariadb-client-core (make deps-test). The network is
of namespaces that end with the test. Exit status 1 where something is missing: nothing is skipped.
"""

import os
import pwd
import shutil
import statistics
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "support"))

from pillion_test.mesh import PILLION, Mesh, missing_programs, run, run_in_own_machine, wait_for, wire  # noqa: E402

CONFIG = """
apiVersion: v1
kind: Service
metadata: {name: db, namespace: shop}
spec:
  clusterIP: 10.78.0.10
  selector: {app: db}
  ports:
    - {port: 3306, targetPort: 3306}
---
apiVersion: pillion.dev/v1alpha1
kind: MeshPolicy
metadata: {name: strict, namespace: shop}
spec: {mtls: {mode: Strict}}
---
"""
POD = """apiVersion: v1
kind: Pod
metadata:
  name: %(name)s
  namespace: shop
  labels: {app: %(name)s}
  annotations: {pillion.dev/sidecar: "true"}
spec: {serviceAccountName: %(name)s}
status: {podIP: %(ip)s}
"""
PODS = {"client": "10.77.1.10", "db": "10.77.1.11"}
DB = "10.78.0.10"
ROWS, ROW_BYTES = 2000, 1000  # about two megabytes in one answer
FIRST_BYTE_LIMIT_MS = 50
TRIES = 20


def start_mariadb(mesh, pod):
    data = os.path.join(mesh.work, "mariadb")
    os.mkdir(data)
    shutil.chown(data, "nobody")
    run("mariadb-install-db", "--no-defaults", f"--datadir={data}", "--user=nobody", "--skip-test-db",
        "--auth-root-authentication-method=normal", timeout=60)
    pod.start("mariadbd", ["mariadbd", "--no-defaults", f"--datadir={data}", f"--socket={data}/socket", "--port=3306",
                           "--bind-address=0.0.0.0", "--skip-grant-tables", "--skip-name-resolve",
                           f"--pid-file={data}/pid"], uid=pwd.getpwnam("nobody").pw_uid)
    wait_for(lambda: "ready for connections" in pod.log("mariadbd"), 30, "mariadbd is up")


def query(client, sql, **kwargs):
    return client.run("mariadb", "--no-defaults", "--host", DB, "--port", "3306", "--user", "root", "--skip-ssl",
                      "--connect-timeout=10", "--batch", "--skip-column-names", "-e", sql, **kwargs).stdout


def first_byte_ms(client):
    began = time.monotonic()
    with client.connect(DB, 3306, limit_s=10) as sock:
        greeting = sock.recv(4096)
    assert b"MariaDB" in greeting, greeting
    return 1000 * (time.monotonic() - began)


def check_all(mesh):
    client = mesh.pods["client"]
    version = query(client, "select version()").strip()
    assert "MariaDB" in version, version
    print(f"ok   the client of MariaDB logs in and asks: {version}")

    count = query(client, f"create database shop; use shop; create table orders (id int primary key, note varchar({ROW_BYTES})); "
                  f"insert into orders select seq, repeat('x', {ROW_BYTES}) from seq_1_to_{ROWS}; "
                  "select count(*), sum(length(note)) from orders").split()
    assert count == [str(ROWS), str(ROWS * ROW_BYTES)], count
    rows = query(client, "select id, note from shop.orders order by id").splitlines()
    assert rows == [f"{i}\t{'x' * ROW_BYTES}" for i in range(1, ROWS + 1)], f"{len(rows)} rows, or not as they were written"
    print(f"ok   {ROWS} rows are written and read back whole, {ROWS * ROW_BYTES // 1000} kB in one answer")

    refused = client.run("mariadb", "--no-defaults", "--host", DB, "--user", "root", "--skip-ssl", "-e", "select nothing",
                         check=False)
    assert refused.returncode != 0 and "Unknown column 'nothing'" in refused.stderr, refused.stderr
    print("ok   an error of the server arrives as the server said it")

    times = [first_byte_ms(client) for _ in range(TRIES)]
    median = statistics.median(times)
    verdict = "within" if median < FIRST_BYTE_LIMIT_MS else "ABOVE"
    print(f"ok   the greeting arrives: median {median:.1f} ms of {TRIES}, worst {max(times):.1f} ms, {verdict} "
          f"{FIRST_BYTE_LIMIT_MS} ms")

    # Whoever has no certificate waits for a greeting in vain: the sidecar waits for a handshake.
    with wire.connect(3306, host=PODS["db"], limit_s=1) as sock:
        try:
            got = sock.recv(4096)
        except (ConnectionResetError, TimeoutError):
            got = b""
    assert got == b"", f"a stranger without a certificate was answered: {got}"
    print("ok   the database does not speak to a stranger without a certificate")
    print("5 passed, 0 failed")


def main_inside(work):
    mesh = Mesh(work)
    mesh.raise_network({})
    mesh.write("mesh.yaml", CONFIG + "---\n".join(POD % {"name": name, "ip": ip} for name, ip in PODS.items()))
    mesh.start_control()
    for number, (name, ip) in enumerate(PODS.items()):
        pod = mesh.add_pod(name, ip, f"fd77::1{number}", f"shop/{name}")
        pod.run(PILLION, "init")
        mesh.start_sidecar(pod)
    try:
        start_mariadb(mesh, mesh.pods["db"])
        for pod in mesh.pods.values():
            mesh.wait_ready(pod)
        check_all(mesh)
    except BaseException:
        mesh.tell_logs()
        print(f"--- mariadbd\n{mesh.pods['db'].log('mariadbd')[-2000:]}")
        raise


def main():
    missing = missing_programs("unshare", "ip", "iptables", "nsenter", "setpriv", "mariadbd", "mariadb",
                               "mariadb-install-db")
    if missing or not os.path.exists(PILLION):
        print(f"FAIL missing: {', '.join(missing) or PILLION} (make deps-test)")
        return 1
    return run_in_own_machine(__file__)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--inside"]:
        sys.stdout.reconfigure(line_buffering=True)
        main_inside(sys.argv[2])
    else:
        sys.exit(main())
