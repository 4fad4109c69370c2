"""/v1/embeddings and `bramble embed`, over a pipeline of workers."""

import base64
import json
import math
import os
import pathlib
import struct

import openai
import pytest
from cluster import Cluster
from evaluation import GOLDEN, bramble, evaluate

BERT = GOLDEN / "models" / "bert"
NAME = "bramble/test:1"
INPUTS = [[17, 4, 60, 22, 9], [3], list(range(40, 90)), [17, 4, 60, 22, 9]]


@pytest.fixture(scope="module")
def cluster():
    with Cluster(BERT, workers=3) as cluster:
        yield cluster


def numbers(text):
    """What a base64 embedding holds."""
    data = base64.b64decode(text, validate=True)
    return list(struct.unpack(f"<{len(data) // 4}f", data))


def test_a_batch_of_ids_gives_a_vector_each(cluster):
    assert len({stage["node"] for stage in cluster.state()["plan"]["stages"]}) > 1
    reply = cluster.client().embeddings.create(model=NAME, input=INPUTS, encoding_format="float")
    assert reply.object == "list" and reply.model == NAME
    assert [data.index for data in reply.data] == [0, 1, 2, 3]
    assert reply.usage.prompt_tokens == reply.usage.total_tokens == sum(map(len, INPUTS))
    for data in reply.data:
        assert data.object == "embedding" and len(data.embedding) == 64
        assert math.isclose(math.fsum(x * x for x in data.embedding), 1, rel_tol=1e-5)
    assert reply.data[0].embedding == reply.data[3].embedding
    assert reply.data[0].embedding != reply.data[1].embedding


def test_an_input_alone_in_a_batch_and_on_one_worker_gives_the_same_bits(cluster):
    client = cluster.client()
    # The official client asks for base64 by itself and decodes it.
    together = client.embeddings.create(model=NAME, input=INPUTS)
    for ids, data in zip(INPUTS, together.data):
        alone = client.embeddings.create(model=NAME, input=ids)
        assert alone.data[0].embedding == data.embedding
        local = evaluate(BERT, ids)["sequence"]["embedding"]["values"]
        assert struct.pack("<64f", *local) == struct.pack("<64f", *data.embedding)


def test_floats_and_base64_are_the_same_numbers(cluster):
    status, floats = cluster.post("/v1/embeddings", {"model": NAME, "input": [INPUTS[0]]})
    assert status == 200
    status, coded = cluster.post(
        "/v1/embeddings", {"model": NAME, "input": [INPUTS[0]], "encoding_format": "base64"}
    )
    assert status == 200
    values = floats["data"][0]["embedding"]
    assert struct.pack("<64f", *values) == base64.b64decode(coded["data"][0]["embedding"])


def test_dimensions_keep_the_first_numbers_at_length_1(cluster):
    client = cluster.client()
    whole = client.embeddings.create(model=NAME, input=INPUTS[0]).data[0].embedding
    short = client.embeddings.create(model=NAME, input=INPUTS[0], dimensions=10).data[0].embedding
    length = math.sqrt(math.fsum(x * x for x in whole[:10]))
    assert len(short) == 10
    assert all(math.isclose(a, b / length, rel_tol=1e-6, abs_tol=1e-7) for a, b in zip(short, whole))
    assert client.embeddings.create(model=NAME, input=INPUTS[0], dimensions=64).data[0].embedding == whole


def test_a_batch_larger_than_the_queue_is_answered(cluster):
    inputs = [[i % 256, 7, (3 * i) % 256] for i in range(600)]
    reply = cluster.client().embeddings.create(model=NAME, input=inputs)
    assert len(reply.data) == 600
    assert reply.data[0].embedding == cluster.client().embeddings.create(model=NAME, input=inputs[0]).data[0].embedding


@pytest.mark.parametrize(
    "fields, param",
    [
        ({}, "input"),
        ({"input": []}, "input"),
        ({"input": [[]]}, "input"),
        ({"input": [["a"]]}, "input[0]"),
        ({"input": [256]}, "input"),
        ({"input": [-1]}, "input"),
        ({"input": 7}, "input"),
        ({"input": [[1], {}]}, "input"),
        ({"input": "a text for a model without a tokenizer"}, "input"),
        ({"input": list(range(97))}, "input"),
        ({"input": [[1]] * 2049}, "input"),
        ({"input": [1], "encoding_format": "hex"}, "encoding_format"),
        ({"input": [1], "dimensions": 0}, "dimensions"),
        ({"input": [1], "dimensions": 65}, "dimensions"),
        ({"input": [1], "model": "another"}, "model"),
    ],
)
def test_a_wrong_field_is_named(cluster, fields, param):
    status, body = cluster.post("/v1/embeddings", {"model": NAME, **fields})
    assert status in (400, 404), body
    assert body["error"]["param"] == param, body
    assert body["error"]["type"] == ("not_found_error" if status == 404 else "invalid_request_error")
    assert body["error"]["message"]


def test_an_encoder_writes_no_text(cluster):
    with pytest.raises(openai.BadRequestError):
        cluster.client().completions.create(model=NAME, prompt=[1, 2, 3], max_tokens=4)
    done = bramble("eval", BERT, "--ids", "1,2,3", "--greedy", "2")
    assert done.returncode == 1 and "vectors" in done.stderr, done.stderr


def test_a_model_that_writes_text_gives_no_embeddings():
    done = bramble("embed", GOLDEN / "models" / "llama_gqa_tied", "a text", "--json")
    assert done.returncode == 1 and done.stderr, done.stderr


def minilm():
    path = pathlib.Path(os.environ.get("BRAMBLE_MODELS", "")) / "all-minilm-l6-v2"
    if not (path / "model.safetensors").is_file():
        pytest.skip("all-minilm-l6-v2 is not in BRAMBLE_MODELS (tools/get-models fetches it)")
    return path


def test_a_real_model_embeds_as_the_reference_does_on_any_workers():
    model = minilm()
    expected = json.loads((GOLDEN / "real" / "minilm.json").read_text())["sentences"]
    hashes = None
    for workers in [1, 3]:
        done = bramble("embed", model, "--workers", workers, "--json", "--", *[s["text"] for s in expected])
        assert done.returncode == 0, done.stderr
        got = [json.loads(line) for line in done.stdout.splitlines()]
        assert len(got) == len(expected)
        for mine, reference in zip(got, expected):
            assert mine["tokens"] == reference["tokens"], reference["text"]
            cosine = math.fsum(a * b for a, b in zip(mine["embedding"], reference["embedding"]))
            cosine /= math.sqrt(math.fsum(b * b for b in reference["embedding"]))
            assert cosine >= 0.9999, (reference["text"], cosine)
        hashes = hashes or [line["sha256"] for line in got]
        assert [line["sha256"] for line in got] == hashes, f"{workers} workers"
