#!/usr/bin/env python3
"""Bramble beside llama.cpp: same machine, same file, same threads, alternating in one run.

    python beside_llama_cpp.py MODEL.gguf --bin build/release/bin [--threads 1 2] [--runs 5]

Needs `pip install --no-binary llama-cpp-python llama-cpp-python` (built from source for this CPU). Prints a table for
people and one line of JSON. Each figure is the median of the runs, each ratio the median of the ratios of neighbours.
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import time

# Runs in a process of its own, so that nobody's threads or memory are there while the other is measured.
RIVAL = """
import ctypes, json, sys, time
import numpy as np
import llama_cpp as ll
path, threads, prompt, tokens = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
ll.llama_backend_init()
silent = ll.llama_log_callback(lambda level, text, user: None)
ll.llama_log_set(silent, ctypes.c_void_p(0))
model = ll.llama_model_load_from_file(path.encode(), ll.llama_model_default_params())
params = ll.llama_context_default_params()
params.n_ctx, params.n_batch, params.n_ubatch = prompt + tokens + 8, 512, 512
params.n_threads = params.n_threads_batch = threads
context = ll.llama_init_from_model(model, params)
vocabulary = ll.llama_vocab_n_tokens(ll.llama_model_get_vocab(model))

def decode(ids):
    array = (ll.llama_token * len(ids))(*ids)
    if ll.llama_decode(context, ll.llama_batch_get_one(array, len(ids))) != 0:
        raise SystemExit("llama_decode failed")
    logits = ll.llama_get_logits_ith(context, -1)
    return int(np.ctypeslib.as_array(logits, (vocabulary,)).argmax())

for run in range(2):  # the first one warms up
    ll.llama_memory_clear(ll.llama_get_memory(context), True)
    ids = [(i * 7919 + run * 104729 + 11) % vocabulary for i in range(prompt)]
    start = time.perf_counter()
    last = decode(ids)
    middle = time.perf_counter()
    for _ in range(tokens - 1):
        last = decode([last])
    end = time.perf_counter()
print(json.dumps({"prefill": prompt / (middle - start), "decode": (tokens - 1) / (end - middle)}))
"""


def rival(model, threads, prompt, tokens):
    command = [sys.executable, "-c", RIVAL, str(model), str(threads), str(prompt), str(tokens)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"llama.cpp could not be measured:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def bramble(folder, model, threads, prompt, tokens):
    command = [folder / "bramble", "bench", str(model), "--threads", str(threads), "--json"]
    command += ["--prompt-tokens", str(prompt), "--tokens", str(tokens), "--repeat", "1"]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"bramble bench failed:\n{done.stderr[-2000:]}")
    report = json.loads(done.stdout)
    return {
        "prefill": report["prefill_tokens_per_second"],
        "decode": report["decode_tokens_per_second"],
        "read": report["nodes"][0]["read_bytes_per_second"],
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=pathlib.Path)
    parser.add_argument("--bin", type=pathlib.Path, default=pathlib.Path("build/release/bin"))
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--prompt-tokens", type=int, default=256)
    parser.add_argument("--tokens", type=int, default=64)
    options = parser.parse_args()

    report = {"model": options.model.name, "bytes": options.model.stat().st_size, "cpus": os.cpu_count(), "rows": []}
    print(f"{'threads':>7} {'':8} {'bramble':>9} {'llama.cpp':>9} {'ratio':>6}   tokens a second, medians of {options.runs}")
    for threads in options.threads:
        ours, theirs = [], []
        for _ in range(options.runs):
            ours.append(bramble(options.bin, options.model, threads, options.prompt_tokens, options.tokens))
            theirs.append(rival(options.model, threads, options.prompt_tokens, options.tokens))
            time.sleep(0.5)
        row = {"threads": threads, "read_bytes_per_second": statistics.median(o["read"] for o in ours)}
        for what in ("decode", "prefill"):
            row[what] = {
                "bramble": statistics.median(o[what] for o in ours),
                "llama_cpp": statistics.median(t[what] for t in theirs),
                "ratio": statistics.median(o[what] / t[what] for o, t in zip(ours, theirs)),
            }
            r = row[what]
            print(f"{threads:7} {what:8} {r['bramble']:9.1f} {r['llama_cpp']:9.1f} {r['ratio']:6.2f}")
        limit = row["read_bytes_per_second"] / report["bytes"]
        print(f"{threads:7} limit    {limit:9.1f}   what the measured reading of memory would allow in decode")
        report["rows"].append(row)
    print(json.dumps(report))


if __name__ == "__main__":
    main()
