"""What is on the wire between the pods, by tcpdump and tshark."""

import os
import time

from world import DemoError, run, wait_for


class Capture:
    """Records what crosses the bridge between pods with sidecars while the block runs."""

    def __init__(self, shop):
        self.shop = shop
        self.file = os.path.join(shop.machine.work, "wire.pcap")

    def __enter__(self):
        log = os.path.join(self.shop.machine.work, "tcpdump.log")
        pods = " or ".join(f"src host {ip}" for ip, _, _ in self.shop.plan.values())
        to = pods.replace("src", "dst")
        # Without the immediate mode the kernel hands packets over up to a second late, and the last ones never.
        self.process = self.shop.machine.start(
            ["tcpdump", "--immediate-mode", "-i", "shop", "-n", "-U", "-w", self.file, f"tcp and ({pods}) and ({to})"],
            log)
        wait_for(lambda: "listening on" in open(log, encoding="utf-8").read(), 5, "tcpdump listens")
        return self

    def __exit__(self, *_):
        time.sleep(0.3)
        self.process.terminate()
        self.process.wait(5)

    def ask(self, display_filter, *fields):
        ports = [8080, 8081, 50051, 4222]
        decode = [argument for port in ports for argument in ("-d", f"tcp.port=={port},tls")]
        output = [argument for field in fields for argument in ("-e", field)]
        return run("tshark", "-r", self.file, "-n", *decode, "-Y", display_filter, "-T", "fields", *output,
                   timeout=60).stdout.split()

    def verdict(self):
        carrying = len(self.ask("tcp.len > 0", "frame.number"))
        plain = self.ask("tcp.len > 0 and not tls and not tcp.segment_data and not tcp.reassembled_in", "frame.number")
        versions = set(self.ask("tls.handshake.type == 2", "tls.handshake.extensions.supported_version"))
        if carrying == 0 or not versions:
            raise DemoError(f"nothing was seen on the wire ({carrying} segments, {len(versions)} versions)")
        if versions != {"0x0304"}:
            raise DemoError(f"other versions of TLS than 1.3 were agreed: {versions}")
        with open(self.file, "rb") as f:
            content = f.read()
        secrets = (b"HTTP/1.1", b"GET /", b"shop.Orders", b"x-forwarded-client-cert")
        leaked = [word for word in secrets if word in content]
        if leaked:
            raise DemoError(f"plain text between the pods: {leaked}")
        if plain:
            raise DemoError(f"{len(plain)} of {carrying} segments are not TLS, the first is frame {plain[0]}")
        return f"on the wire between the pods: {carrying} segments with data, all TLS 1.3"
