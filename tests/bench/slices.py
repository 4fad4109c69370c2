#!/usr/bin/env python3
"""One request alone: tokens a second of one worker, and of several that share every block.

    python slices.py MODEL [--bin build/release/bin] [--workers 2] [--rounds 3] [--tokens 48] [--prompt-tokens 256]

Each worker has one thread, so a machine needs as many idle cores as workers. Alternates between one worker, slices and a pipeline;
prints the median of each, its ratio to one worker, and a line of JSON.
"""

import argparse
import json
import statistics
import subprocess

WAYS = {"one worker": ("1", "pipeline"), "pipeline": (None, "pipeline"), "slices": (None, "slices")}


def measure(options, workers, sharding):
    command = [f"{options.bin}/bramble", "bench", options.model, "--workers", workers or str(options.workers),
               "--sharding", sharding, "--threads", "1", "--repeat", "3", "--tokens", str(options.tokens),
               "--prompt-tokens", str(options.prompt_tokens), "--context", str(options.prompt_tokens + options.tokens), "--json"]
    report = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout)
    return report["decode_tokens_per_second"], report["prefill_tokens_per_second"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("--bin", default="build/release/bin")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--tokens", type=int, default=48)
    parser.add_argument("--prompt-tokens", type=int, default=256)
    options = parser.parse_args()
    rates = {way: [] for way in WAYS}
    for _ in range(options.rounds):
        for way, (workers, sharding) in WAYS.items():
            rates[way].append(measure(options, workers, sharding))
    medians = {way: [statistics.median(column) for column in zip(*runs)] for way, runs in rates.items()}
    one = medians["one worker"]
    for way, (decode, prefill) in medians.items():
        print(f"{way:11} decode {decode:7.2f} tokens a second, {decode / one[0]:.2f} x; "
              f"prefill {prefill:8.1f}, {prefill / one[1]:.2f} x")
    print(json.dumps({"model": options.model, "workers": options.workers, "rates": rates}))


if __name__ == "__main__":
    main()
