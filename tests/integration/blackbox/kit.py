"""What the black-box tests share: a list of tests, and a proxy between a client and scripted origins."""

import contextlib
import os
import tempfile

from pillion_test import HttpOrigin, Proxy, parity

TESTS = []


class Failed(Exception):
    """A test's own finding."""


def test(name):
    """Marks a test; its function is called without arguments and raises on failure. A text it returns is printed."""
    def mark(function):
        TESTS.append((name, function))
        return function
    return mark


def check(condition, *about):
    if not condition:
        raise Failed(" ".join(str(a) for a in about)[:1500])


def equal(have, want, about=""):
    check(have == want, f"{about}: have {have!r}, want {want!r}")


HTTP = """
admin: ${admin}
static_resources:
  listeners:
  - name: web
    address: ${any}
    filter_chains: [{filters: [{name: envoy.filters.network.http_connection_manager, typed_config: {${hcm}, stat_prefix: web, http_protocol_options: {enable_trailers: true}, http_filters: ${router}, route_config: {name: r, virtual_hosts: [{name: all, domains: ["*"], routes: [{match: {prefix: /none}, direct_response: {status: 404, body: {inline_string: none}}}, {match: {prefix: /}, route: {cluster: a}}]}]}}}]}]
  clusters:
  - {name: a, connect_timeout: 1s, typed_extension_protocol_options: ${h1_trailers}, load_assignment: ${load:a}}
"""


class Scene:
    """Origins, a bootstrap made from a template, and the running proxy; everything ends with the `with`."""

    def __init__(self, template=HTTP, kind="pillion", origins=None, args=(), concurrency=1):
        self.stack = contextlib.ExitStack()
        self.origins = origins or {"a": HttpOrigin("a")}
        for origin in self.origins.values():
            self.stack.callback(origin.close)
        self.dir = self.stack.enter_context(tempfile.TemporaryDirectory(prefix="pillion-blackbox-"))
        self.bootstrap = parity.expand(template, self.origins | {"dir": self.dir})
        try:
            self.proxy = self.stack.enter_context(
                Proxy(kind, self.bootstrap, args=args, directory=os.path.join(self.dir, "."), concurrency=concurrency))
        except BaseException:
            self.stack.close()
            raise
        self.ports = self.proxy.ports()

    def __getitem__(self, name):
        return self.origins[name]

    def port(self, name="web"):
        return self.ports[name]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stack.close()
