"""NATS between pods, with its own client library, and how long its first byte takes through the mesh."""

import os
import sys

from shop import HERE, PYTHON
from world import DemoError, wait_for

# Run in a pod: connects, waits for the server's greeting, and prints the milliseconds that took.
FIRST_BYTE = """
import socket, time
start = time.monotonic()
with socket.create_connection(("nats.shop", 4222), 10) as s:
    s.settimeout(10)
    assert s.recv(4096).startswith(b"INFO ")
    print((time.monotonic() - start) * 1000)
"""


def client(shop, pod, *arguments):
    argv = [sys.executable, os.path.join(HERE, "nats_client.py"), "nats://nats.shop:4222", *arguments]
    return shop.pods[pod], argv, {"PYTHONPATH": PYTHON}


def publish_and_receive(shop):
    pod, argv, env = client(shop, "client", "subscribe", "orders", "3")
    subscriber = pod.start("subscriber", argv, env=env)
    wait_for(lambda: "subscribed" in pod.log("subscriber"), 15, "the subscriber is there")
    pod, argv, env = client(shop, "web-2", "publish", "orders", "3")
    pod.run(*argv, env={**os.environ, **env})
    subscriber.wait(15)
    received = shop.pods["client"].log("subscriber").split("subscribed")[-1].split()
    if received != ["orders-0", "orders-1", "orders-2"]:
        raise DemoError(f"the subscriber received {received}")
    return ", ".join(received)


def first_byte_ms(shop):
    return float(shop.pods["client"].run(sys.executable, "-c", FIRST_BYTE).stdout)
