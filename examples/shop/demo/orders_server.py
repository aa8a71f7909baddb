"""orders: a grpcio server with a unary and a streaming method, which answer with trailers and a status of their own.

    orders_server.py ADDRESS
"""

import sys
from concurrent import futures

import grpc


def get(request, context):
    context.set_trailing_metadata((("x-served-by", "orders-1"),))
    if request == b"none":
        context.abort(grpc.StatusCode.NOT_FOUND, "no order of that name")
    return b"order " + request


def watch(request, context):
    context.set_trailing_metadata((("x-served-by", "orders-1"), ("x-count", "5")))
    for i in range(5):
        yield b"%s %d" % (request, i)


def chat(requests, context):
    """Answers each message before the next one is sent: only a full-duplex path lets this end."""
    for request in requests:
        yield b"ack " + request


def main():
    server = grpc.server(futures.ThreadPoolExecutor(16))
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("shop.Orders", {
        "Get": grpc.unary_unary_rpc_method_handler(get),
        "Watch": grpc.unary_stream_rpc_method_handler(watch),
        "Chat": grpc.stream_stream_rpc_method_handler(chat),
    }),))
    if server.add_insecure_port(sys.argv[1]) == 0:
        sys.exit(f"cannot listen on {sys.argv[1]}")
    server.start()
    server.wait_for_termination()


main()
