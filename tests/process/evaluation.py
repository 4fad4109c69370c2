"""Runs `bramble eval` and `bramble perplexity`, and finds models and golden cases."""

import json
import os
import pathlib
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
GOLDEN = ROOT / "tests" / "golden"
BIN = pathlib.Path(os.environ["BRAMBLE_BIN"])

REAL = {"smollm2": "smollm2-135m-instruct-q4_1.gguf", "gemma3": "gemma-3-270m-q4_k_m.gguf"}


def real_model(name):
    """The path of a real model; skips the test where it is missing."""
    path = pathlib.Path(os.environ.get("BRAMBLE_MODELS", "")) / REAL[name]
    if not path.is_file():
        pytest.skip(f"{REAL[name]} is not in BRAMBLE_MODELS (tools/get-models fetches it)")
    return path


def bramble(*arguments, environment=None, timeout=600, programs=BIN):
    """Runs one verb; returns the finished process. programs: the folder of `bramble`, which starts the workers beside it."""
    return subprocess.run(
        [programs / "bramble", *map(str, arguments)],
        env={**os.environ, **(environment or {})},
        capture_output=True,
        text=True,
        timeout=timeout,
    )


def evaluate(model, ids, *arguments, environment=None, programs=BIN):
    """What `bramble eval --json` prints."""
    done = bramble("eval", model, "--ids", ",".join(map(str, ids)), "--json", *arguments, environment=environment,
                   programs=programs)
    assert done.returncode == 0, (done.returncode, done.stderr)
    return json.loads(done.stdout)


def perplexity(model, *arguments):
    done = bramble("perplexity", model, GOLDEN / "real" / "text.txt", "--json", *arguments)
    assert done.returncode == 0, (done.returncode, done.stderr)
    return json.loads(done.stdout)
