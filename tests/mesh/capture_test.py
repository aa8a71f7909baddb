#!/usr/bin/env python3
"""Shows with real sockets what the rules of `pillion init` capture and what they leave alone.

Two network namespaces, "pod" and "peer", joined by a veth pair. In the pod listen stand-ins for the proxy's two capture
ports, which answer with the original destination they see, and an application; in the peer listens a server. Needs root
and iptables; the binary is PILLION_BIN, or build/pillion of this tree. Exit status 77: skipped, with the reason.
"""

import ctypes
import os
import re
import selectors
import shutil
import signal
import socket
import struct
import subprocess
import sys
import traceback
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PILLION = os.environ.get("PILLION_BIN", os.path.join(ROOT, "build", "pillion"))
POD = f"pillion-cap-{os.getpid()}-pod"
PEER = f"pillion-cap-{os.getpid()}-peer"
CLONE_NEWNET = 0x40000000
SO_ORIGINAL_DST = 80  # The same number for IPv4 (at SOL_IP) and IPv6 (at SOL_IPV6).
APP_UID, PROXY_ID = 1000, 1337
TIMEOUT_S = 5
LIBC = ctypes.CDLL(None, use_errno=True)

# The pod's and the peer's address, and a second address of the peer in another network.
POD_IP = {4: "10.77.0.1", 6: "fd77::1"}
PEER_IP = {4: "10.77.0.2", 6: "fd77::2"}
FAR_IP = {4: "10.78.0.2", 6: "fd78::2"}
BIND_IP = {4: "127.0.0.6", 6: "::6"}
LOOPBACK = {4: "127.0.0.1", 6: "::1"}


def run(*args, check=True, input=None):
    done = subprocess.run(args, input=input, capture_output=True, text=True)
    if check and done.returncode != 0:
        raise AssertionError(f"{' '.join(args)}: status {done.returncode}: {done.stdout}{done.stderr}")
    return done


def in_pod(*args, **kwargs):
    return run("ip", "netns", "exec", POD, *args, **kwargs)


def init(*args, check=True):
    return in_pod(PILLION, "init", *args, check=check)


def enter(namespace):
    with open(f"/run/netns/{namespace}") as handle:
        if LIBC.setns(handle.fileno(), CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "setns")


def text_of(address):
    host, port = address[0], address[1]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def original_destination(connection):
    if connection.family == socket.AF_INET:
        raw = connection.getsockopt(socket.SOL_IP, SO_ORIGINAL_DST, 16)
        return text_of((socket.inet_ntop(socket.AF_INET, raw[4:8]), struct.unpack("!H", raw[2:4])[0]))
    raw = connection.getsockopt(socket.IPPROTO_IPV6, SO_ORIGINAL_DST, 28)
    return text_of((socket.inet_ntop(socket.AF_INET6, raw[8:24]), struct.unpack("!H", raw[2:4])[0]))


def serve(namespace, ports, ready):
    """Listens on each port, IPv4 and IPv6, and answers with who took the connection and what it saw."""
    enter(namespace)
    selector = selectors.DefaultSelector()
    for port, label in ports.items():
        for family, address in ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")):
            listener = socket.socket(family, socket.SOCK_STREAM)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            listener.bind((address, port))
            listener.listen(64)
            selector.register(listener, selectors.EVENT_READ, label)
    os.write(ready, b"x")
    while True:
        for key, _ in selector.select():
            connection, peer = key.fileobj.accept()
            with connection:
                captured = key.data in ("outbound", "inbound")
                seen = original_destination(connection) if captured else f"from {peer[0]}"
                connection.sendall(f"{key.data} {seen}".encode())


def start_server(namespace, ports):
    readable, writable = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            LIBC.prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG: never outlives the test, however that ends.
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            serve(namespace, ports, writable)
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(1)
    os.close(writable)
    if os.read(readable, 1) != b"x":
        raise AssertionError(f"the server in {namespace} did not start")
    os.close(readable)
    return pid


def connect(namespace, host, port, uid=APP_UID, gid=APP_UID, bind=None, mark=None):
    """The answer that a process with these ids gets from host:port, or the name of the error."""
    readable, writable = os.pipe()
    pid = os.fork()
    if pid == 0:
        answer = ""
        try:
            enter(namespace)
            if mark is None:  # Setting a mark needs root; the owner match looks at who made the socket.
                os.setgroups([])
                os.setgid(gid)
                os.setuid(uid)
            client = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
            client.settimeout(TIMEOUT_S)
            if mark is not None:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, mark)
            if bind is not None:
                client.bind((bind, 0))
            client.connect((host, port))
            while chunk := client.recv(4096):
                answer += chunk.decode()
        except OSError as error:
            answer = f"{type(error).__name__}: {error}"
        finally:
            os.write(writable, answer.encode())
            os._exit(0)
    os.close(writable)
    with os.fdopen(readable) as pipe:
        answer = pipe.read()
    os.waitpid(pid, 0)
    return answer


def rules(family):
    """The nat table without comments (they hold the time) and counters."""
    saved = in_pod("iptables-save" if family == 4 else "ip6tables-save", "-t", "nat").stdout
    return [re.sub(r"\[\d+:\d+\]", "", line) for line in saved.splitlines() if not line.startswith("#")]


def handles():
    """The kernel's ruleset with the handle of each rule: a rule that is written anew gets a new one."""
    ruleset = in_pod("nft", "-a", "list", "ruleset").stdout
    return re.sub(r"counter packets \d+ bytes \d+", "", ruleset)


def lo_addresses():
    return sorted(re.findall(r"inet6? (\S+)", in_pod("ip", "address", "show", "lo").stdout))


class World:
    """Namespaces, wires and servers; remove() may be called at any time and twice."""

    def __init__(self):
        self.servers = []

    def raise_it(self):
        for name in (POD, PEER):
            run("ip", "netns", "add", name)
            run("ip", "-n", name, "link", "set", "lo", "up")
        run("ip", "-n", POD, "link", "add", "eth0", "type", "veth", "peer", "name", "eth0", "netns", PEER)
        for name, addresses in ((POD, POD_IP), (PEER, PEER_IP)):
            run("ip", "-n", name, "address", "add", f"{addresses[4]}/24", "dev", "eth0")
            run("ip", "-n", name, "address", "add", f"{addresses[6]}/64", "dev", "eth0", "nodad")
            run("ip", "-n", name, "link", "set", "eth0", "up")
        for version, length in ((4, 24), (6, 64)):
            flag = f"-{version}"
            nodad = ["nodad"] if version == 6 else []
            run("ip", "-n", PEER, "address", "add", f"{FAR_IP[version]}/{length}", "dev", "eth0", *nodad)
            run("ip", "-n", POD, flag, "route", "add", "default", "via", PEER_IP[version])
            run("ip", "-n", PEER, flag, "route", "add", "default", "via", POD_IP[version])
        self.servers.append(start_server(POD, {15001: "outbound", 15006: "inbound", 8080: "app", 22: "ssh",
                                               9050: "metrics", 15021: "health"}))
        self.servers.append(start_server(PEER, {80: "peer", 5432: "database"}))

    def remove(self):
        for pid in self.servers:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        self.servers.clear()
        for name in (POD, PEER):
            run("ip", "netns", "delete", name, check=False)


class CaptureTest(unittest.TestCase):
    world = World()

    @classmethod
    def setUpClass(cls):
        cls.addClassCleanup(cls.world.remove)
        cls.world.raise_it()

    def setUp(self):
        # Before each test something of another's stands in the table, and it must be there afterwards.
        for tool in ("iptables", "ip6tables"):
            in_pod(tool, "-t", "nat", "-A", "OUTPUT", "-p", "udp", "-m", "udp", "--dport", "53", "-m", "comment",
                   "--comment", "of another: PILLION_OUTPUT", "-j", "REDIRECT", "--to-ports", "15053")
            in_pod(tool, "-t", "nat", "-N", "OTHERS")
            in_pod(tool, "-t", "nat", "-A", "PREROUTING", "-j", "OTHERS")
        self.before = {4: rules(4), 6: rules(6)}
        self.addresses = lo_addresses()

    def tearDown(self):
        init("--clean")
        self.assertEqual(self.before, {4: rules(4), 6: rules(6)}, "clean must leave the tables as before")
        self.assertEqual(self.addresses, lo_addresses())
        for tool in ("iptables", "ip6tables"):
            in_pod(tool, "-t", "nat", "-F")
            in_pod(tool, "-t", "nat", "-X")

    def both(self, expected, host, port, namespace=POD, **kwargs):
        """Asserts for IPv4 and IPv6; {pod}, {peer} and {far} in `expected` stand for bare addresses."""
        for version in (4, 6):
            brackets = "[{}]" if version == 6 else "{}"
            words = {"pod": brackets.format(POD_IP[version]), "peer": brackets.format(PEER_IP[version]),
                     "far": brackets.format(FAR_IP[version]), "pod_ip": POD_IP[version],
                     "peer_ip": PEER_IP[version], "bind_ip": BIND_IP[version], "loopback": LOOPBACK[version]}
            options = {k: (v[version] if isinstance(v, dict) else v) for k, v in kwargs.items()}
            with self.subTest(version=version):
                answer = connect(namespace, host[version], port, **options)
                self.assertEqual(expected.format(**words), answer)

    def test_nothing_is_captured_without_rules(self):
        self.both("peer from {pod_ip}", PEER_IP, 80)
        self.both("app from {peer_ip}", POD_IP, 8080, namespace=PEER)

    def test_outbound_of_the_application_is_captured_with_its_destination(self):
        init()
        self.both("outbound {peer}:80", PEER_IP, 80)
        self.both("outbound {far}:5432", FAR_IP, 5432)
        self.both("outbound {peer}:81", PEER_IP, 81)  # Nobody listens there: the proxy gets to say so.
        self.both("outbound {peer}:80", PEER_IP, 80, uid=0, gid=0)

    def test_the_proxy_leaves_untouched_by_either_id(self):
        init()
        self.both("peer from {pod_ip}", PEER_IP, 80, uid=PROXY_ID, gid=PROXY_ID)
        self.both("peer from {pod_ip}", PEER_IP, 80, uid=PROXY_ID, gid=APP_UID)
        self.both("peer from {pod_ip}", PEER_IP, 80, uid=APP_UID, gid=PROXY_ID)

    def test_the_application_talks_to_itself_untouched(self):
        init()
        self.both("app from {loopback}", LOOPBACK, 8080)
        self.both("app from {pod_ip}", POD_IP, 8080)
        self.assertEqual("app from 127.0.0.1", connect(POD, "127.0.0.53", 8080))

    def test_the_proxy_calling_its_own_pod_comes_in_as_all_others_do(self):
        init("--exclude-inbound-ports", "9000-9100")
        self.both("inbound {pod}:8080", POD_IP, 8080, uid=PROXY_ID, gid=PROXY_ID)
        self.both("inbound {pod}:8080", POD_IP, 8080, uid=PROXY_ID, gid=APP_UID)
        self.both("metrics from {pod_ip}", POD_IP, 9050, uid=PROXY_ID, gid=PROXY_ID)
        self.both("app from {loopback}", LOOPBACK, 8080, uid=PROXY_ID, gid=PROXY_ID)

    def test_the_inbound_side_reaches_the_application_from_its_bind_address(self):
        init()
        self.both("app from {bind_ip}", POD_IP, 8080, uid=PROXY_ID, gid=PROXY_ID, bind=BIND_IP)
        self.both("app from {bind_ip}", LOOPBACK, 8080, uid=PROXY_ID, gid=PROXY_ID, bind=BIND_IP)

    def test_inbound_is_captured_except_for_the_proxys_own_ports(self):
        init()
        self.both("inbound {pod}:8080", POD_IP, 8080, namespace=PEER)
        self.both("inbound {pod}:22", POD_IP, 22, namespace=PEER)
        self.both("inbound {pod}:4444", POD_IP, 4444, namespace=PEER)
        self.both("health from {peer_ip}", POD_IP, 15021, namespace=PEER)

    def test_excluded_inbound_ports_and_sources_are_left_alone(self):
        init("--exclude-inbound-ports", "22, 9000-9100")
        self.both("ssh from {peer_ip}", POD_IP, 22, namespace=PEER)
        self.both("metrics from {peer_ip}", POD_IP, 9050, namespace=PEER)
        self.both("inbound {pod}:8080", POD_IP, 8080, namespace=PEER)
        init("--annotation", f"config.linkerd.io/skip-subnets={FAR_IP[4]}/24,{FAR_IP[6]}/64")
        self.both("inbound {pod}:22", POD_IP, 22, namespace=PEER)
        for version in (4, 6):
            self.assertEqual(f"app from {FAR_IP[version]}", connect(PEER, POD_IP[version], 8080, bind=FAR_IP[version]))

    def test_excluded_outbound_ports_networks_and_owners_are_left_alone(self):
        init("--exclude-outbound-ports", "5432", "--exclude-outbound-cidrs", "10.78.0.0/16,fd78::/16",
             "--exclude-uids", "4001", "--exclude-gids", "4002")
        self.both("database from {pod_ip}", PEER_IP, 5432)
        self.both("peer from {pod_ip}", FAR_IP, 80)
        self.both("outbound {peer}:80", PEER_IP, 80)
        self.both("peer from {pod_ip}", PEER_IP, 80, uid=4001)
        self.both("peer from {pod_ip}", PEER_IP, 80, gid=4002)

    def test_includes_capture_what_they_name_and_no_more(self):
        init("--include-outbound-cidrs", "10.78.0.0/16,fd78::/16", "--include-outbound-ports", "5432",
             "--include-inbound-ports", "8080")
        self.both("outbound {far}:80", FAR_IP, 80)
        self.both("outbound {peer}:5432", PEER_IP, 5432)
        self.both("peer from {pod_ip}", PEER_IP, 80)
        self.both("inbound {pod}:8080", POD_IP, 8080, namespace=PEER)
        self.both("ssh from {peer_ip}", POD_IP, 22, namespace=PEER)
        init("--include-outbound-cidrs", "", "--include-inbound-ports", "")
        self.both("peer from {pod_ip}", FAR_IP, 80)
        self.both("app from {peer_ip}", POD_IP, 8080, namespace=PEER)

    def test_the_annotations_of_istio_users_mean_the_same(self):
        init("--annotation", "traffic.sidecar.istio.io/excludeOutboundPorts=5432",
             "--annotation", "traffic.sidecar.istio.io/excludeOutboundIPRanges=10.78.0.0/16,fd78::/16",
             "--annotation", "traffic.sidecar.istio.io/excludeInboundPorts=22")
        self.both("database from {pod_ip}", PEER_IP, 5432)
        self.both("peer from {pod_ip}", FAR_IP, 80)
        self.both("ssh from {peer_ip}", POD_IP, 22, namespace=PEER)
        self.both("outbound {peer}:80", PEER_IP, 80)

    def test_excluded_interfaces_are_left_alone_in_both_directions(self):
        init("--exclude-interfaces", "eth+")
        self.both("peer from {pod_ip}", PEER_IP, 80)
        self.both("app from {peer_ip}", POD_IP, 8080, namespace=PEER)

    def test_rerouted_interfaces_come_in_as_outbound(self):
        init("--reroute-interfaces", "eth0")
        self.assertEqual("outbound 10.99.0.9:443", connect(PEER, "10.99.0.9", 443))
        self.assertEqual("outbound [fd99::9]:443", connect(PEER, "fd99::9", 443))

    def test_a_packet_mark_stands_for_the_proxy_where_ids_cannot(self):
        init("--mark", "0x500/0xf00")
        self.both("peer from {pod_ip}", PEER_IP, 80, mark=0x539)
        self.both("inbound {pod}:8080", POD_IP, 8080, mark=0x500)
        self.both("app from {bind_ip}", POD_IP, 8080, mark=0x500, bind=BIND_IP)
        self.both("outbound {peer}:80", PEER_IP, 80, mark=0x600)
        self.both("outbound {peer}:80", PEER_IP, 80, uid=PROXY_ID, gid=PROXY_ID)

    def test_without_ipv6_only_ipv4_is_captured(self):
        init()
        init("--ipv6", "off")
        self.assertEqual(self.before[6], rules(6))
        self.assertEqual("outbound 10.77.0.2:80", connect(POD, PEER_IP[4], 80))
        self.assertEqual("peer from fd77::1", connect(POD, PEER_IP[6], 80))
        self.assertEqual(0, init("--ipv6", "off", "--verify").returncode)

    def test_a_second_run_changes_nothing(self):
        self.assertIn("are in force", init("--exclude-outbound-ports", "25,587").stdout)
        first = handles()
        self.assertIn("were in force", init("--exclude-outbound-ports", "25,587").stdout)
        self.assertEqual(first, handles())
        self.assertIn("there was nothing", (init("--clean") and init("--clean")).stdout)

    def test_another_configuration_replaces_the_rules_and_jumps_stay_single(self):
        init("--exclude-outbound-ports", "80")
        self.both("peer from {pod_ip}", PEER_IP, 80)
        init()
        self.both("outbound {peer}:80", PEER_IP, 80)
        for version in (4, 6):
            jumps = [line for line in rules(version) if line.startswith(("-A OUTPUT", "-A PREROUTING"))]
            self.assertEqual(4, len(jumps), jumps)

    def test_verify_names_each_difference_and_init_repairs_it(self):
        self.assertEqual(1, init("--verify", check=False).returncode)
        init()
        self.assertEqual(0, init("--verify").returncode)
        in_pod("iptables", "-t", "nat", "-D", "PILLION_INBOUND", "1")
        in_pod("iptables", "-t", "nat", "-A", "OUTPUT", "-p", "tcp", "-j", "PILLION_OUTPUT")
        in_pod("ip6tables", "-t", "nat", "-I", "PILLION_OUTPUT", "-p", "tcp", "--dport", "81", "-j", "RETURN")
        in_pod("ip", "address", "delete", "::6/128", "dev", "lo")
        state = handles()
        found = init("--verify", check=False)
        self.assertEqual(1, found.returncode)
        self.assertEqual(state, handles(), "verify changes nothing")
        self.assertEqual(["IPv4 OUTPUT: has a rule too many: -p tcp -j PILLION_OUTPUT",
                          "IPv4 PILLION_INBOUND: lacks the rule: -p tcp -m tcp --dport 15000 -j RETURN",
                          "IPv6 PILLION_OUTPUT: has a rule too many: -p tcp -m tcp --dport 81 -j RETURN",
                          "IPv6 address ::6 is not on lo"], found.stdout.splitlines())
        init()
        self.assertEqual(0, init("--verify").returncode)

    def test_the_order_of_rules_is_part_of_verify(self):
        init()
        in_pod("iptables", "-t", "nat", "-D", "PILLION_OUTPUT", "-j", "PILLION_REDIRECT")
        in_pod("iptables", "-t", "nat", "-I", "PILLION_OUTPUT", "-j", "PILLION_REDIRECT")
        found = init("--verify", check=False)
        self.assertEqual(1, found.returncode)
        self.assertRegex(found.stdout, r"^IPv4 PILLION_OUTPUT: rule 1 is in another order")

    def test_a_dry_run_touches_nothing_and_its_text_is_what_iptables_restore_takes(self):
        shown = init("--dry-run").stdout
        self.assertEqual(self.before, {4: rules(4), 6: rules(6)})
        v4, v6 = shown.split("# IPv6", 1)
        in_pod("iptables-restore", "--noflush", input=v4)
        in_pod("ip6tables-restore", "--noflush", input="# IPv6" + v6)
        in_pod("ip", "address", "add", "::6/128", "dev", "lo")
        self.assertEqual(0, init("--verify").returncode)

    def test_a_bad_value_is_refused_by_name_and_touches_nothing(self):
        refused = init("--exclude-outbound-ports", "80,70000", check=False)
        self.assertEqual(2, refused.returncode)
        self.assertIn("--exclude-outbound-ports", refused.stderr)
        self.assertIn('"70000"', refused.stderr)
        self.assertEqual(self.before, {4: rules(4), 6: rules(6)})

    def test_what_the_kernel_refuses_is_told_in_its_words(self):
        # In a user namespace that maps root alone there is no uid 1337 (components.md 4); the mark works there.
        inside = ["ip", "netns", "exec", POD, "unshare", "--user", "--map-root-user", "--net", "sh", "-c"]
        refused = run(*inside, f"ip link set lo up; {PILLION} init", check=False)
        self.assertEqual(1, refused.returncode, refused)
        self.assertIn("restore failed with status", refused.stderr)
        run(*inside, f"ip link set lo up; {PILLION} init --mark 0x539 && {PILLION} init --mark 0x539 --verify")


def main():
    missing = [tool for tool in ("ip", "nft", "iptables-save", "ip6tables-save", "unshare") if not shutil.which(tool)]
    reason = "root" if os.geteuid() != 0 else ", ".join(missing)
    if not reason and not os.access(PILLION, os.X_OK):
        reason = f"the binary {PILLION}"
    if reason:
        print(f"skipped: needs {reason}")
        return 77
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(1))
    try:
        unittest.main(verbosity=1)
    finally:
        CaptureTest.world.remove()


if __name__ == "__main__":
    sys.exit(main())
