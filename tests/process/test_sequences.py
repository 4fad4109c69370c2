"""Models with states or an encoder: the same bits on any workers, and text from an encoder-decoder."""

import json

import pytest
from evaluation import GOLDEN, bramble, evaluate

MODELS = GOLDEN / "models"
PROMPT = [3, 17, 4, 60, 22, 9, 41, 128, 200, 7, 7, 90]


def results(report):
    """What must not change."""
    return [p["sha256"] for p in report["positions"]], report["greedy"], report.get("sequence")


@pytest.mark.parametrize("name", ["mamba2", "lfm2", "t5", "bert", "modernbert"])
def test_one_worker_and_three_give_the_same_bits(name):
    model = MODELS / name
    encoder = name.endswith("bert")
    arguments = ["--positions", "all", *([] if encoder else ["--greedy", 12])]
    reference = results(evaluate(model, PROMPT, *arguments, environment={"BRAMBLE_ISA": "portable"}))
    assert (reference[2] is not None) == encoder
    for workers, threads in [(1, 2), (3, 1), (3, 2)]:
        report = evaluate(model, PROMPT, *arguments, "--workers", workers, "--threads", threads)
        assert len({stage["node"] for stage in report["plan"]["stages"]}) >= min(workers, 2)
        assert results(report) == reference, f"{workers} workers, {threads} threads"


def test_an_answer_goes_on_where_a_longer_beginning_says():
    model = MODELS / "t5"
    expected = json.loads((model / "expected.json").read_text())["prompts"][-1]
    report = evaluate(model, expected["encoder_ids"], "--greedy", 8, "--workers", 2)
    ids = report["greedy"]["ids"]
    assert ids == expected["greedy_from_start_ids"][:8]
    begun = [expected["decoder_ids"][0], *ids[:4]]
    rest = evaluate(model, expected["encoder_ids"], "--decoder-ids", ",".join(map(str, begun)), "--greedy", 4)
    assert rest["greedy"]["ids"] == ids[4:]


def test_a_decoder_takes_no_source():
    done = bramble("eval", MODELS / "mamba2", "--ids", "1,2", "--decoder-ids", "0")
    assert done.returncode == 1 and "encoder" in done.stderr, done.stderr
