"""Load by h2load from the client's pod: a fixed rate for a fixed time, and what came of it."""

import re
import time

from world import DemoError

CONNECTIONS = 10


class Load:
    def __init__(self, shop, rate, seconds, url="http://web.shop/"):
        self.rate, self.seconds = rate, seconds
        self.began = time.monotonic()
        self.process = shop.pods["client"].start(
            "h2load", ["h2load", "--h1", "-t", "1", "-c", str(CONNECTIONS), "--rps", str(rate // CONNECTIONS), "-D",
                       str(seconds), url])
        self.log = shop.pods["client"].path("h2load.log")
        with open(self.log, "rb") as f:
            f.seek(0, 2)
            self.start = f.tell()

    def elapsed(self):
        return time.monotonic() - self.began

    def finish(self):
        """Waits for the end; gives the numbers, and raises where a request failed."""
        self.process.wait(self.seconds + 30)
        with open(self.log, encoding="utf-8", errors="replace") as f:
            f.seek(self.start)
            text = f.read()
        requests = re.search(r"requests: (\d+) total, (\d+) started, (\d+) done, (\d+) succeeded, (\d+) failed, "
                             r"(\d+) errored, (\d+) timeout", text)
        codes = re.search(r"status codes: (\d+) 2xx, (\d+) 3xx, (\d+) 4xx, (\d+) 5xx", text)
        if not requests or not codes:
            raise DemoError(f"h2load said nothing that counts: {text[-500:]}")
        _, _, done, succeeded, failed, errored, timeout = map(int, requests.groups())
        good, _, bad4, bad5 = map(int, codes.groups())
        if failed or errored or timeout or bad4 or bad5 or good != succeeded:
            raise DemoError(f"requests were lost: {requests.group(0)}; {codes.group(0)}")
        wanted = self.rate * self.seconds
        if done < 0.8 * wanted:
            raise DemoError(f"only {done} of about {wanted} requests were made: the machine did not carry the load")
        return done
