"""Load by h2load from the client's pod: a fixed rate for a fixed time, and what came of it."""

import re
import time

from world import DemoError

CONNECTIONS = 10


class Load:
    running = []  # so that a step that fails does not leave its load to the next one

    def __init__(self, shop, rate, seconds, url="http://web.shop/"):
        self.rate, self.seconds = rate, seconds
        self.pod, self.name = shop.pods["client"], f"h2load-{time.monotonic_ns()}"
        self.process = self.pod.start(
            self.name, ["h2load", "--h1", "-t", "1", "-c", str(CONNECTIONS), "--rps", str(rate // CONNECTIONS), "-D",
                        str(seconds), url])
        Load.running.append(self)

    @staticmethod
    def stop_all():
        while Load.running:
            load = Load.running.pop()
            load.process.kill()
            load.process.wait()

    def finish(self):
        """Waits for the end; gives the numbers, and raises where a request failed."""
        self.process.wait(self.seconds + 30)
        Load.running.remove(self)
        text = self.pod.log(self.name)
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
