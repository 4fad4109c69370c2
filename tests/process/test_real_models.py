"""The real models against other implementations (tests/golden/real/README.md)."""

import json
import math

import pytest
from evaluation import GOLDEN, evaluate, perplexity, real_model

MODELS = ["smollm2", "gemma3"]


def cases(name):
    return json.loads((GOLDEN / "real" / f"{name}.json").read_text())


def same_ids_until(margin, ours, theirs, margins):
    """Compares greedy ids up to the first step whose margin is below `margin`; returns how many were compared."""
    compared = 0
    for a, b, m in zip(ours, theirs, margins):
        if m < margin:
            break
        assert a == b, f"step {compared}: {a}, expected {b} (margin {m})"
        compared += 1
    return compared


@pytest.mark.parametrize("name", MODELS)
def test_float_activations_give_the_reference_logits(name):
    model = real_model(name)
    compared = 0
    for prompt in cases(name)["prompts"]:
        got = evaluate(model, prompt["ids"], "--activations", "f32", "--greedy", 48, "--all")
        logits = got["positions"][0]["logits"]
        for token, logit in prompt["f32"]["last"]["top"]:
            assert abs(logits[token] - logit) <= 0.001, (prompt["name"], token)
        compared += same_ids_until(0.01, got["greedy"]["ids"], prompt["f32"]["greedy"], prompt["f32"]["margin"])
    assert compared > 100


@pytest.mark.parametrize("name", MODELS)
def test_eight_bit_activations_are_no_further_off_than_llama_cpp(name):
    model = real_model(name)
    ours, theirs, compared = [], [], 0
    for prompt in cases(name)["prompts"]:
        got = evaluate(model, prompt["ids"], "--greedy", 48, "--all")
        logits = got["positions"][0]["logits"]
        default = dict(map(tuple, prompt["default"]["last"]["top"]))
        for token, logit in prompt["f32"]["last"]["top"]:
            if token in default:
                ours.append(logits[token] - logit)
                theirs.append(default[token] - logit)
        compared += same_ids_until(0.3, got["greedy"]["ids"], prompt["f32"]["greedy"], prompt["f32"]["margin"])
    rms = [math.sqrt(sum(d * d for d in list) / len(list)) for list in (ours, theirs)]
    print(f"{name}: rms {rms[0]:.4f}, llama.cpp {rms[1]:.4f}, {compared} greedy ids compared")
    assert rms[0] <= rms[1]
    assert compared > 20


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("mode,tolerance", [("f32", 0.001), ("int8", 0.01)])
def test_perplexity(name, mode, tolerance):
    model = real_model(name)
    expected = cases(name)["perplexity"]["f32"]
    # The true mode is slow: its smaller window is enough there; the whole text passes Gemma's sliding window.
    for chunk in ["256"] if mode == "f32" else ["256", "512", "whole"]:
        got = perplexity(model, "--activations", mode, "--chunk", 0 if chunk == "whole" else chunk)
        assert got["terms"] == expected[chunk]["positions"]
        print(f"{name} {mode} {chunk}: {got['perplexity']:.4f}, reference {expected[chunk]['ppl']:.4f}")
        assert got["perplexity"] == pytest.approx(expected[chunk]["ppl"], rel=tolerance)
