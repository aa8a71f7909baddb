"""Calls orders in each way and prints what came back, one line a call.

    orders_client.py TARGET
"""

import queue
import sys

import grpc


def main():
    with grpc.insecure_channel(sys.argv[1]) as channel:
        get = channel.unary_unary("/shop.Orders/Get")
        answer, call = get.with_call(b"42", timeout=10)
        print("unary:", answer.decode(), call.code().name, dict(call.trailing_metadata()).get("x-served-by"))
        try:
            get(b"none", timeout=10)
        except grpc.RpcError as error:
            print("status:", error.code().name, error.details())
        stream = channel.unary_stream("/shop.Orders/Watch")(b"item", timeout=10)
        items = [item.decode() for item in stream]
        print("stream:", len(items), stream.code().name, dict(stream.trailing_metadata()).get("x-count"))
        questions = queue.Queue()
        answers = channel.stream_stream("/shop.Orders/Chat")(iter(questions.get, None), timeout=10)
        said = []
        for i in range(3):  # each question waits for the answer before it
            questions.put(b"%d" % i)
            said.append(next(answers).decode())
        questions.put(None)
        print("duplex:", ", ".join(said), answers.code().name)


main()
