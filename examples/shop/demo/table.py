"""A live line of who serves how much, at the bottom of a terminal, below what the steps say. Elsewhere there are only the
steps."""

import shutil
import sys
import threading

from shop import WEB

INTERVAL_S = 0.5


class Table:
    def __init__(self, shop):
        self.shop = shop
        self.stop = threading.Event()
        self.lock = threading.Lock()
        self.thread = threading.Thread(target=self.draw, daemon=True) if sys.stdout.isatty() else None

    def __enter__(self):
        if self.thread:
            self.thread.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        if self.thread:
            self.thread.join()
            self.write("")

    def say(self, text):
        with self.lock:
            print(("\r\x1b[K" if self.thread else "") + text, flush=True)

    def write(self, line):
        with self.lock:
            sys.stdout.write("\r\x1b[K" + line[:shutil.get_terminal_size().columns - 1] + ("\r" if line else ""))
            sys.stdout.flush()

    def draw(self):
        before = self.shop.served()
        while not self.stop.wait(INTERVAL_S):
            now = self.shop.served()
            cells = [f"{name} {(now[name] - before[name]) / INTERVAL_S:5.0f}/s" for name in WEB]
            self.write("    " + "   ".join(cells))
            before = now
