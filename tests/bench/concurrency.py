#!/usr/bin/env python3
"""Tokens a second of a running cluster, with one request at a time and with several at once.

    python concurrency.py http://127.0.0.1:8479 [--clients 1 3 6] [--tokens 64] [--rounds 5]

Alternates between the numbers of clients; prints the median of each and its ratio to one client, and a line of JSON.
"""

import argparse
import concurrent.futures
import json
import statistics
import time
import urllib.request


def ask(url, model, tokens, salt):
    body = {"model": model, "prompt": f"Story number {salt}: once upon a time", "max_tokens": tokens,
            "temperature": 0, "ignore_eos": True}
    request = urllib.request.Request(url + "/v1/completions", json.dumps(body).encode(),
                                     {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=600) as reply:
        return json.load(reply)["usage"]["completion_tokens"]


def rate(url, model, clients, tokens, salt):
    start = time.perf_counter()
    with concurrent.futures.ThreadPoolExecutor(clients) as pool:
        jobs = [pool.submit(ask, url, model, tokens, salt * 100 + i) for i in range(clients)]
        total = sum(job.result() for job in jobs)
    return total / (time.perf_counter() - start)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("url")
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 3, 6])
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    with urllib.request.urlopen(options.url + "/v1/models") as reply:
        model = json.load(reply)["data"][0]["id"]
    rates = {clients: [] for clients in options.clients}
    for round_number in range(options.rounds + 1):  # the first one warms up
        for clients in options.clients:
            measured = rate(options.url, model, clients, options.tokens, round_number)
            if round_number > 0:
                rates[clients].append(measured)
    one = statistics.median(rates[options.clients[0]])
    for clients in options.clients:
        median = statistics.median(rates[clients])
        print(f"{clients:3} clients: {median:7.1f} tokens a second, {median / one:.2f} x")
    print(json.dumps({"model": model, "tokens": options.tokens, "rates": rates}))


if __name__ == "__main__":
    main()
