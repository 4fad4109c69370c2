#!/usr/bin/env python3
"""What being scraped costs a running cluster.

    python monitoring_cost.py http://127.0.0.1:8479 [--tls DIR] [--every 5] [--seconds 10] [--rounds 7]

Decodes with one client, in turns with and without a scrape of the coordinator and of every worker that it lists; prints the
medians and their ratio. Then what a scrape costs in processor time, which is the sharper figure on a machine that does other
things too. DIR is what `bramble certificate create --out DIR` made; BRAMBLE_API_KEY is the key, if there is one.
"""

import argparse
import json
import os
import re
import ssl
import statistics
import threading
import time
import urllib.parse
import urllib.request

SCRAPES = 200


class Cluster:
    def __init__(self, url, tls):
        self.url = url
        self.head = {"Authorization": f"Bearer {os.environ.get('BRAMBLE_API_KEY', '')}", "Content-Type": "application/json"}
        self.context = None
        if tls:
            self.context = ssl.create_default_context(cafile=f"{tls}/root.pem")
            self.context.load_cert_chain(f"{tls}/chain.pem", f"{tls}/key.pem")
            self.context.check_hostname = False  # the address is the board's, the name in the certificate the node's
        self.model = json.loads(self.get(url + "/v1/models"))["data"][0]["id"]
        targets = json.loads(self.get(url + "/bramble/v1/sd"))
        self.pages = [f"{url}/metrics"] + [f"{t['labels']['__scheme__']}://{t['targets'][0]}/metrics" for t in targets]

    def get(self, url, body=None):
        with urllib.request.urlopen(urllib.request.Request(url, body, self.head), timeout=600, context=self.context) as reply:
            return reply.read().decode()

    def decode(self, seconds, salt):
        """Tokens a second of one client."""
        tokens, start = 0, time.perf_counter()
        while time.perf_counter() - start < seconds:
            body = {"model": self.model, "prompt": f"Story {salt}: once", "max_tokens": 128, "temperature": 0, "ignore_eos": True}
            tokens += json.loads(self.get(self.url + "/v1/completions", json.dumps(body).encode()))["usage"]["completion_tokens"]
        return tokens / (time.perf_counter() - start)

    def scrape(self):
        return [self.get(page) for page in self.pages]

    def processor_seconds(self):
        """Of the daemons, one for each page."""
        return [float(re.search(r"^process_cpu_seconds_total (\S+)$", page, re.MULTILINE).group(1)) for page in self.scrape()]


def scraped(cluster, every, work):
    """What `work` returns, while somebody scrapes."""
    over = threading.Event()

    def scrape():
        while not over.is_set():
            cluster.scrape()
            over.wait(every)

    thread = threading.Thread(target=scrape)
    thread.start()
    try:
        return work()
    finally:
        over.set()
        thread.join()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("url")
    parser.add_argument("--tls")
    parser.add_argument("--every", type=float, default=5)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    cluster = Cluster(options.url, options.tls)
    cluster.decode(options.seconds, "warm")
    rates = {"without": [], "with": []}
    for turn in range(options.rounds):
        work = lambda: cluster.decode(options.seconds, turn)  # noqa: B023,E731
        # Who goes first takes turns too.
        for kind in ["without", "with"] if turn % 2 == 0 else ["with", "without"]:
            rates[kind].append(scraped(cluster, options.every, work) if kind == "with" else work())
    without, with_scrapes = (statistics.median(rates[kind]) for kind in ("without", "with"))
    print(f"{len(cluster.pages)} pages every {options.every:g} s: {without:.2f} tokens a second without, {with_scrapes:.2f} with"
          f" ({(without / with_scrapes - 1) * 100:+.2f} %)")  # fmt: skip
    before = cluster.processor_seconds()
    for _ in range(SCRAPES):
        cluster.scrape()
    spent = [(after - first) / (SCRAPES + 1) for first, after in zip(before, cluster.processor_seconds())]
    for page, seconds in zip(cluster.pages, spent):
        print(f"{page}: {seconds * 1e3:.2f} ms of processor time a scrape, {seconds / options.every * 100:.3f} % of one core")
    print(json.dumps({"rates": rates, "processor_seconds_per_scrape": dict(zip(cluster.pages, spent))}))


if __name__ == "__main__":
    main()
