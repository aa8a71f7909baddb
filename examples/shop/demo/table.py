"""A live line of who serves how much, at the bottom of a terminal. Elsewhere it is silent."""

import sys
import threading

from shop import WEB

INTERVAL_S = 0.5


class Table:
    def __init__(self, shop):
        self.shop = shop
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self.draw, daemon=True) if sys.stdout.isatty() else None

    def __enter__(self):
        if self.thread:
            self.thread.start()

    def __exit__(self, *_):
        self.stop.set()
        if self.thread:
            self.thread.join()
            sys.stderr.write("\r\x1b[K")

    def draw(self):
        before = self.shop.served()
        while not self.stop.wait(INTERVAL_S):
            now = self.shop.served()
            cells = [f"{name} {(now[name] - before[name]) / INTERVAL_S:5.0f}/s" for name in WEB]
            sys.stderr.write("\r\x1b[K    " + "   ".join(cells) + "\r")
            sys.stderr.flush()
            before = now
