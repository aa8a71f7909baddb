"""The machine: one bridge, one network namespace a pod, and the processes in them. Everything lives in the private
namespaces that demo.sh made, so nothing is left when they end."""

import os
import re
import signal
import subprocess
import time

GATEWAY = "10.77.0.1"
PROXY_UID = 1337


class DemoError(Exception):
    """Something that a step expected did not come true; the text says what."""


def run(*argv, check=True, timeout=30, **kwargs):
    done = subprocess.run([str(a) for a in argv], capture_output=True, text=True, timeout=timeout, **kwargs)
    if check and done.returncode != 0:
        raise DemoError(f"{' '.join(map(str, argv))}: status {done.returncode}: {done.stdout}{done.stderr}".strip())
    return done


def wait_for(condition, limit_s, what, step_s=0.05):
    """What `condition` gives once it is true."""
    end = time.monotonic() + limit_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise DemoError(f"{what}: not within {limit_s} s")
        time.sleep(step_s)


class Machine:
    """The network, and who was started where."""

    def __init__(self, work):
        self.work = work
        self.processes = []

    def raise_network(self, hosts):
        run("mount", "-t", "tmpfs", "tmpfs", "/run")
        os.makedirs("/run/netns", exist_ok=True)
        hosts_file = os.path.join(self.work, "hosts")
        with open(hosts_file, "w", encoding="ascii") as out:
            out.write("127.0.0.1 localhost\n::1 localhost\n")
            for address, names in hosts.items():
                out.write(f"{address} {' '.join(names)}\n")
        os.chmod(hosts_file, 0o644)
        run("mount", "--bind", hosts_file, "/etc/hosts")
        run("ip", "link", "set", "lo", "up")
        run("ip", "link", "add", "shop", "type", "bridge")
        run("ip", "address", "add", f"{GATEWAY}/16", "dev", "shop")
        run("ip", "link", "set", "shop", "up")

    def start(self, argv, log, netns=None, uid=None, env=None):
        """Starts a program; its output goes to the file `log`."""
        argv = [str(a) for a in argv]
        if uid is not None:
            argv = ["setpriv", "--reuid", str(uid), "--regid", str(uid), "--clear-groups", "--"] + argv
        if netns is not None:
            argv = ["nsenter", f"--net=/run/netns/{netns}", "--"] + argv
        with open(log, "ab") as out:
            process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT,
                                       env=None if env is None else {**os.environ, **env}, start_new_session=True)
        self.processes.append(process)
        return process


class Pod:
    """A network namespace with an address, and in it an application and perhaps a sidecar."""

    def __init__(self, machine, name, ip, zone="", account=""):
        self.machine, self.name, self.ip, self.zone, self.account = machine, name, ip, zone, account
        self.dir = os.path.join(machine.work, name)
        self.processes = {}
        os.makedirs(self.dir, exist_ok=True)
        os.chmod(self.dir, 0o777)  # the sidecar and the application are different users
        run("ip", "netns", "add", name)
        veth = f"v{ip.split('.')[2]}-{ip.split('.')[3]}"
        run("ip", "link", "add", veth, "type", "veth", "peer", "name", "eth0", "netns", name)
        run("ip", "link", "set", veth, "master", "shop", "up")
        for argv in (["link", "set", "lo", "up"], ["address", "add", f"{ip}/16", "dev", "eth0"],
                     ["link", "set", "eth0", "up"], ["route", "add", "default", "via", GATEWAY]):
            run("ip", "-n", name, *argv)

    def path(self, file):
        return os.path.join(self.dir, file)

    def run(self, *argv, **kwargs):
        return run("nsenter", f"--net=/run/netns/{self.name}", "--", *argv, **kwargs)

    def start(self, what, argv, uid=None, env=None):
        self.processes[what] = self.machine.start(argv, self.path(what + ".log"), self.name, uid, env)
        return self.processes[what]

    def log(self, what):
        try:
            with open(self.path(what + ".log"), encoding="utf-8", errors="replace") as f:
                return f.read()
        except FileNotFoundError:
            return ""

    def kill_everything(self):
        """SIGKILL for each process in the pod's network, children included, as when a node takes a pod's cgroup."""
        own = os.stat(f"/run/netns/{self.name}").st_ino
        for entry in os.listdir("/proc"):
            if not entry.isdigit() or int(entry) == os.getpid():
                continue
            try:
                if os.stat(f"/proc/{entry}/ns/net").st_ino == own:
                    os.kill(int(entry), signal.SIGKILL)
            except (FileNotFoundError, ProcessLookupError, PermissionError):
                continue  # it ended by itself meanwhile
        for process in self.processes.values():
            process.wait()
        self.processes.clear()


def read_pods(path):
    """name -> (ip, zone, account) of the Pod documents; only what the demo's own file uses of YAML."""
    pods = {}
    with open(path, encoding="utf-8") as f:
        for document in f.read().split("\n---\n"):
            field = {key: value for key, value in re.findall(r"^\s+(\S+): (\S+)$", document, re.MULTILINE)}
            pods[field["name"]] = (field["podIP"], field["topology.kubernetes.io/zone"], field["serviceAccountName"])
    return pods
