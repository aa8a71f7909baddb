"""Publishes or subscribes by the NATS client library.

    nats_client.py URL publish SUBJECT COUNT | URL subscribe SUBJECT COUNT
"""

import asyncio
import sys

import nats


async def main(url, what, subject, count):
    connection = await nats.connect(url, connect_timeout=10)
    if what == "publish":
        for i in range(count):
            await connection.publish(subject, f"{subject}-{i}".encode())
        await connection.flush(10)
    else:
        subscription = await connection.subscribe(subject)
        await connection.flush(10)
        print("subscribed", flush=True)
        for _ in range(count):
            print((await subscription.next_msg(10)).data.decode(), flush=True)
    await connection.close()


asyncio.run(main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])))
