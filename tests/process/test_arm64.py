"""The same logits on emulated boards: a coordinator of this machine, and workers for arm64 in QEMU."""

import functools
import os
import pathlib
import shutil
import subprocess

import pytest
from evaluation import BIN, GOLDEN, bramble, evaluate

# A Raspberry Pi 4, a Pi 5, and everything there is: what their kernels use, and what a worker says it can use.
BOARDS = {
    "cortex-a72": ("neon", "portable neon"),
    "cortex-a76": ("dotprod", "portable neon dotprod"),
    "max": ("i8mm", "portable neon dotprod i8mm"),
}
# Every encoding that has ARM kernels, and every operation: experts, sinks, states, convolutions, an encoder, caps.
MODELS = [
    "gguf_llama_q4_0", "gguf_gpt2_q4_1", "gguf_gpt2_q5_0", "gguf_llama_q5_1", "gguf_gemma3_q8_0", "gguf_llama_q2_k",
    "gguf_llama_q3_k", "gguf_llama_q4_k_m", "gguf_llama_f16", "gguf_llama_bf16", "gguf_llama_iq4_xs", "llama_gqa_tied", "gemma2",
    "gpt_oss", "qwen2_moe", "mamba2", "lfm2", "bloom_6_heads",
]
PROMPT = [3, 17, 4, 60, 22, 9, 41]


@pytest.fixture(scope="module", params=BOARDS)
def board(request, tmp_path_factory):
    """(CPU model, folder with this machine's `bramble` and a `bramble-worker` that is emulated)."""
    if "BRAMBLE_ARM64" not in os.environ:
        pytest.skip("no build for arm64 in BRAMBLE_ARM64 (tests/run.sh --slow makes one)")
    build = pathlib.Path(os.environ["BRAMBLE_ARM64"])
    folder = tmp_path_factory.mktemp(request.param)
    # A copy, not a link: it looks for the worker beside itself.
    shutil.copy2(BIN / "bramble", folder)
    worker = folder / "bramble-worker"
    worker.write_text(
        f'#!/bin/sh\nexec qemu-aarch64-static -cpu {request.param} -L "{build.parent / "arm64-sysroot"}"'
        f' "{build / "bin" / "bramble-worker"}" "$@"\n'
    )
    worker.chmod(0o755)
    return request.param, folder


def version(programs, isa):
    """What `bramble-worker --version` says of its instruction sets."""
    environment = {**os.environ, "BRAMBLE_ISA": isa}
    done = subprocess.run([programs / "bramble-worker", "--version"], capture_output=True, text=True, check=True,
                          env=environment)
    return done.stdout.splitlines()[1:]


def test_a_worker_says_what_its_cpu_can_do(board):
    cpu, programs = board
    best, sets = BOARDS[cpu]
    assert version(programs, "auto") == [f"instruction sets: {sets}", f"chosen: {best}"]
    assert version(programs, "neon")[1] == "chosen: neon"
    for isa in ("dotprod", "i8mm"):
        missing = "" if isa in sets else ", which this CPU cannot run"
        assert version(programs, isa)[1] == f"chosen: {isa}{missing}"


def test_an_instruction_set_that_the_board_lacks_is_refused(board):
    cpu, programs = board
    done = bramble("eval", golden(MODELS[0]), "--ids", "1", "--json", environment={"BRAMBLE_ISA": "i8mm"},
                   programs=programs)
    if cpu == "max":
        assert done.returncode == 0, done.stderr
    else:
        assert done.returncode == 1 and "cannot run i8mm" in done.stderr, done.stderr


OPTIONS = ("--positions", "all", "--greedy", 4, "--threads", 2)


def golden(name):
    path = GOLDEN / "models" / name
    return path / "model.gguf" if (path / "model.gguf").is_file() else path


@functools.lru_cache
def defined(name):
    """What the definition gives: the portable kernels, on this machine."""
    return evaluate(golden(name), PROMPT, *OPTIONS, environment={"BRAMBLE_ISA": "portable"})


@pytest.mark.parametrize("name", MODELS)
def test_a_tiny_model_gives_the_same_bits(board, name):
    _, programs = board
    there = evaluate(golden(name), PROMPT, *OPTIONS, programs=programs)
    assert [p["sha256"] for p in there["positions"]] == [p["sha256"] for p in defined(name)["positions"]]
    assert there["greedy"] == defined(name)["greedy"]
