"""The same logits and the same text whatever computes them."""

import itertools
import json
import os
import subprocess

import pytest
from evaluation import BIN, GOLDEN, bramble, evaluate, real_model

TINY = ["llama_gqa_tied", "gemma3_text", "gpt2", "gguf_llama_q4_k_m", "exl2_llama_mixed"]
PROMPT = [3, 17, 4, 60, 22, 9, 41]


def results(report):
    """What must not change."""
    return [p["sha256"] for p in report["positions"]], report["greedy"]


def instruction_sets():
    """Those that this machine's CPU can run, the best first."""
    said = subprocess.run([BIN / "bramble-worker", "--version"], capture_output=True, text=True, check=True).stdout
    line = next(line for line in said.splitlines() if line.startswith("instruction sets: "))
    return line.removeprefix("instruction sets: ").split()[::-1]


def variants():
    """Workers, threads, instruction set; the first is the reference."""
    yield 1, 1, "portable"
    sets = itertools.cycle(instruction_sets())
    for workers, threads in itertools.product([1, 2, 3, 5], [1, 2]):
        yield workers, threads, next(sets)
    yield 3, 2, "portable"


@pytest.mark.parametrize("name", TINY)
def test_a_tiny_model_gives_the_same_bits_on_any_workers(name):
    path = GOLDEN / "models" / name
    model = path / "model.gguf" if (path / "model.gguf").is_file() else path
    layers = json.loads(bramble("inspect", model, "--json").stdout)["layers"]
    reference = None
    for workers, threads, isa in variants():
        if workers > layers + 2:
            continue
        got = results(
            evaluate(model, PROMPT, "--greedy", 12, "--positions", "all", "--workers", workers, "--threads", threads,
                     environment={"BRAMBLE_ISA": isa})
        )
        reference = reference or got
        assert got == reference, f"{workers} workers, {threads} threads, {isa}"


def test_a_real_model_gives_the_same_bits_on_any_workers():
    model = real_model("smollm2")
    ids = [504, 3575, 282, 4649, 314]
    reference = None
    for workers, threads, isa in variants():
        report = evaluate(model, ids, "--greedy", 8, "--positions", "all", "--workers", workers, "--threads", threads,
                          environment={"BRAMBLE_ISA": isa})
        # The output matrix alone is more than a fifth: a fifth stage may not make the slowest one faster.
        stages = len({stage["node"] for stage in report["plan"]["stages"]})
        assert min(workers, 4) <= stages <= workers
        reference = reference or results(report)
        assert results(report) == reference, f"{workers} workers, {threads} threads, {isa}"


@pytest.mark.parametrize("workers", [2, 3, 5])
def test_a_real_model_gives_the_same_bits_in_slices(workers):
    model = real_model("smollm2")
    ids = [504, 3575, 282, 4649, 314]
    arguments = ("--greedy", 8, "--positions", "all", "--threads", 1)
    alone = evaluate(model, ids, *arguments)
    shared = evaluate(model, ids, *arguments, "--workers", workers, "--sharding", "slices")
    stages = shared["plan"]["stages"]
    assert [stage["member"] for stage in stages] == list(range(workers))
    # Nobody holds much more than its share; the first also has the table of tokens.
    for stage in stages[1:]:
        assert stage["weight_bytes"] < alone["plan"]["stages"][0]["weight_bytes"] * 0.75
    assert results(shared) == results(alone)


def test_a_prompt_at_once_and_token_by_token_give_the_same_bits():
    model = GOLDEN / "models" / "llama_gqa_tied"
    decoded = evaluate(model, PROMPT, "--greedy", 6)["greedy"]["ids"]
    whole = evaluate(model, PROMPT + decoded[:-1], "--positions", "all", "--all")
    # The last logits of the longer prompt are those from which the last greedy id was drawn.
    last = whole["positions"][-1]["logits"]
    assert max(range(len(last)), key=lambda i: (last[i], -i)) == decoded[-1]
    stepwise = evaluate(model, PROMPT + decoded[:3], "--positions", "all")
    count = len(PROMPT) + 3
    assert [p["sha256"] for p in stepwise["positions"]] == [p["sha256"] for p in whole["positions"][:count]]


def test_a_model_that_no_worker_can_hold_runs_on_several():
    model = real_model("smollm2")
    alone = bramble("eval", model, "--ids", "1,2,3", "--memory", "110M", "--json")
    assert alone.returncode == 1
    assert "fit" in alone.stderr and "MiB" in alone.stderr, alone.stderr
    together = evaluate(model, [1, 2, 3], "--memory", "110M", "--workers", 3)
    plenty = evaluate(model, [1, 2, 3])
    assert results(together) == results(plenty)


def test_an_instruction_set_that_the_cpu_lacks_is_refused_by_name():
    model = GOLDEN / "models" / "llama_gqa_tied"
    done = bramble("eval", model, "--ids", "1", "--json", environment={"BRAMBLE_ISA": "sparc"})
    assert done.returncode == 1 and "sparc" in done.stderr, done.stderr
    assert os.environ.get("BRAMBLE_ISA") is None
