"""The official OpenAI client against a coordinator and three workers, all of them real processes."""

import concurrent.futures
import json
import socket
import time

import openai
import pytest

from cluster import KEY, Cluster, until
from models import chat_model

QUESTION = [{"role": "user", "content": "What is the capital of France? Answer in one sentence."}]


@pytest.fixture(scope="module")
def cluster():
    with Cluster(chat_model()) as running:
        yield running


@pytest.fixture(scope="module")
def client(cluster):
    return cluster.client()


def ask(client, cluster, messages=QUESTION, **fields):
    fields = {"temperature": 0, "max_tokens": 24, **fields}
    return client.chat.completions.create(model=cluster.name, messages=messages, **fields)


def joined(stream, index=0):
    """(text, finish reason) of one choice of a stream."""
    text, reason = "", None
    for chunk in stream:
        for choice in chunk.choices:
            if choice.index == index:
                text += choice.delta.content or ""
                reason = choice.finish_reason or reason
    return text, reason


def test_models_are_listed_and_retrieved(client, cluster):
    assert [model.id for model in client.models.list()] == [cluster.name]
    assert client.models.retrieve(cluster.name).id == cluster.name  # the client sends %2F
    assert json.loads(cluster.request("GET", f"/v1/models/{cluster.name}")[2])["id"] == cluster.name
    with pytest.raises(openai.NotFoundError) as error:
        client.models.retrieve("nobody/nothing")
    assert error.value.code == "model_not_found"


def test_a_chat_is_answered(client, cluster):
    reply = ask(client, cluster)
    choice = reply.choices[0]
    assert choice.message.role == "assistant" and choice.message.content
    assert choice.finish_reason in ("stop", "length")
    assert reply.usage.total_tokens == reply.usage.prompt_tokens + reply.usage.completion_tokens
    assert 1 <= reply.usage.completion_tokens <= 24
    assert reply.system_fingerprint.startswith("fp_")
    assert reply.model == cluster.name
    if "smollm2" in cluster.model:
        assert "Paris" in choice.message.content


@pytest.mark.parametrize("fields", [{}, {"temperature": 1, "seed": 7}, {"stop": ["is", " the"]}, {"max_tokens": 3}])
def test_a_stream_gives_the_text_of_the_whole_reply(client, cluster, fields):
    whole = ask(client, cluster, **fields).choices[0]
    text, reason = joined(ask(client, cluster, stream=True, **fields))
    assert (text, reason) == (whole.message.content, whole.finish_reason)


def test_a_stream_ends_with_the_usage_that_was_asked_for(client, cluster):
    chunks = list(ask(client, cluster, stream=True, stream_options={"include_usage": True}))
    assert all(chunk.usage is None for chunk in chunks[:-1])
    assert chunks[-1].choices == []
    assert chunks[-1].usage.completion_tokens == ask(client, cluster).usage.completion_tokens


def test_the_clients_own_stream_helper_is_content(client, cluster):
    whole = ask(client, cluster, max_tokens=200, stop=["."])
    with client.chat.completions.stream(
        model=cluster.name, messages=QUESTION, temperature=0, max_tokens=200, stop=["."]
    ) as stream:
        for _ in stream:
            pass
        if whole.choices[0].finish_reason == "stop":  # the helper raises on "length"
            assert stream.get_final_completion().choices[0].message.content == whole.choices[0].message.content


def test_completions_continue_texts_and_ids(client, cluster):
    text = client.completions.create(model=cluster.name, prompt="Once upon a time", temperature=0, max_tokens=8)
    assert text.choices[0].text and text.choices[0].finish_reason == "length"
    assert text.usage.completion_tokens == 8
    _, tokens = cluster.post("/tokenize", {"prompt": "Once upon a time"})
    by_ids = client.completions.create(model=cluster.name, prompt=tokens["tokens"], temperature=0, max_tokens=8)
    assert by_ids.choices[0].text == text.choices[0].text
    both = client.completions.create(
        model=cluster.name, prompt=["Once upon a time", "One two three"], temperature=0, max_tokens=8, n=2
    )
    assert [choice.index for choice in both.choices] == [0, 1, 2, 3]
    assert both.choices[0].text == both.choices[1].text == text.choices[0].text
    stream = client.completions.create(
        model=cluster.name, prompt="Once upon a time", temperature=0, max_tokens=8, stream=True
    )
    assert "".join(chunk.choices[0].text for chunk in stream) == text.choices[0].text


def test_an_echo_scores_the_prompt_as_the_answer_was_scored(client, cluster):
    fields = {"model": cluster.name, "temperature": 0, "logprobs": 2}
    first = client.completions.create(prompt="Once upon a time", max_tokens=6, echo=True, **fields).choices[0]
    assert first.text.startswith("Once upon a time")
    assert first.logprobs.token_logprobs[0] is None
    again = client.completions.create(prompt=first.text, max_tokens=0, echo=True, **fields).choices[0]
    if again.logprobs.tokens == first.logprobs.tokens:
        # The same ids, one by one or all at once: the same bits.
        assert again.logprobs.token_logprobs == first.logprobs.token_logprobs
    assert first.logprobs.text_offset == sorted(first.logprobs.text_offset)


def test_logprobs_are_those_of_the_tokens_that_were_drawn(client, cluster):
    choice = ask(client, cluster, logprobs=True, top_logprobs=3).choices[0]
    content = choice.logprobs.content
    assert b"".join(bytes(token.bytes) for token in content).decode(errors="replace").startswith(choice.message.content)
    for token in content:
        assert token.logprob <= 0 and len(token.top_logprobs) == 3
        assert token.logprob == token.top_logprobs[0].logprob  # greedy
        assert [top.logprob for top in token.top_logprobs] == sorted(
            (top.logprob for top in token.top_logprobs), reverse=True
        )


def test_seeds_have_64_bits(client, cluster):
    def draw(seed):
        return ask(client, cluster, temperature=2, seed=seed, max_tokens=16).choices[0].message.content

    assert draw(5) == draw(5)
    assert draw(5) != draw(5 + 2**32)
    assert draw(-1) == draw(2**64 - 1)


def test_several_choices_begin_with_the_one_that_is_given_alone(client, cluster):
    alone = ask(client, cluster, temperature=1, seed=11).choices[0].message.content
    several = ask(client, cluster, temperature=1, seed=11, n=3)
    assert [choice.index for choice in several.choices] == [0, 1, 2]
    assert several.choices[0].message.content == alone


def test_a_cached_prompt_changes_nothing_but_the_count(client, cluster):
    messages = [{"role": "user", "content": "Count: " + " ".join(str(i) for i in range(150))}]
    first = ask(client, cluster, messages, logprobs=True)
    second = ask(client, cluster, messages, logprobs=True)
    assert second.usage.prompt_tokens_details.cached_tokens > 0
    assert second.choices[0].to_dict() == first.choices[0].to_dict()


def test_several_clients_get_what_they_get_alone(client, cluster):
    chats = [[{"role": "user", "content": f"Tell me about the number {i}."}] for i in range(5)]
    alone = [ask(client, cluster, chat).choices[0].to_dict() for chat in chats]
    with concurrent.futures.ThreadPoolExecutor(len(chats)) as pool:
        together = list(pool.map(lambda chat: ask(client, cluster, chat).choices[0].to_dict(), chats))
    assert together == alone


def test_control_tokens_in_a_users_text_stay_text(cluster):
    def count(content):
        status, reply = cluster.post("/tokenize", {"messages": [{"role": "user", "content": content}]})
        assert status == 200, reply
        return reply["count"]

    assert count("<|im_end|>") > count("x") + 2


def test_errors_name_the_fault(client, cluster):
    with pytest.raises(openai.NotFoundError) as error:
        client.chat.completions.create(model="gpt-4", messages=QUESTION)
    assert error.value.code == "model_not_found" and error.value.param == "model"
    for fields, param in [
        ({"temperature": 3}, "temperature"),
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "robot", "content": ""}]}, "messages[0].role"),
        ({"stop": ""}, "stop"),
        ({"response_format": {"type": "json_object"}}, "response_format"),
        ({"top_logprobs": 3}, "top_logprobs"),
    ]:
        with pytest.raises(openai.BadRequestError) as error:
            ask(client, cluster, **fields)
        assert error.value.param == param
        assert error.value.request_id
    with pytest.raises(openai.BadRequestError) as error:
        ask(client, cluster, [{"role": "user", "content": "word " * 20000}])
    assert error.value.code == "context_length_exceeded"
    with pytest.raises(openai.AuthenticationError) as error:
        ask(cluster.client(key="not-the-key-0123456789"), cluster)
    assert error.value.code == "invalid_api_key"


def test_an_abandoned_stream_frees_its_place(client, cluster):
    stream = ask(client, cluster, stream=True, max_tokens=1000, extra_body={"ignore_eos": True})
    next(iter(stream))
    until(lambda: cluster.state()["serve"]["running"] == 1, 5, "the request runs")
    stream.close()
    until(lambda: cluster.state()["serve"]["running"] == 0, 1, "the place is free again")


def test_nonsense_on_the_socket_harms_nobody(client, cluster):
    host, port = cluster.address.rsplit(":", 1)
    address = (host, int(port))
    for data in [b"", b"\x00" * 1000, b"GET", b"\x16\x03\x01\x02\x00\x01", b"POST / HTTP/1.1\r\n" + b"a" * 100_000]:
        with socket.create_connection(address) as connection:
            connection.sendall(data)
    status, _, body = cluster.request("POST", "/v1/chat/completions", b" " * 100_000_000)
    assert status == 413 and json.loads(body)["error"]["message"]
    status, _, body = cluster.request("POST", "/v1/chat/completions", b'{"model": "x", ')
    assert status == 400 and "at byte 16" in json.loads(body)["error"]["message"]
    status, _, body = cluster.request("POST", "/v1/chat/completions", b"[" * 1_000_000)
    assert status == 400
    with socket.create_connection(address) as connection:
        request = f"GET /v1/models HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {KEY}\r\n\r\n".encode()
        connection.sendall(request * 3)
        connection.shutdown(socket.SHUT_WR)
        answers = connection.makefile("rb").read()
    assert answers.count(b"HTTP/1.1 200 OK") == 3
    assert ask(client, cluster).choices[0].message.content


def test_metrics_and_health_need_no_key(cluster):
    status, headers, body = cluster.request("GET", "/metrics", headers={"Authorization": ""})
    assert status == 200
    assert headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert b"bramble_" in body and b"vllm:generation_tokens_total" in body
    assert cluster.request("GET", "/health", headers={"Authorization": ""})[0] == 200
    assert cluster.request("GET", "/v1/models", headers={"Authorization": ""})[0] == 401


def test_a_lost_worker_is_named_within_two_seconds_and_the_rest_go_on():
    with Cluster(chat_model()) as cluster:
        client = cluster.client()
        before = ask(client, cluster).choices[0].message.content
        epoch = cluster.state()["epoch"]
        stream = ask(client, cluster, stream=True, max_tokens=1500, extra_body={"ignore_eos": True})
        next(iter(stream))
        lost = cluster.workers.pop(1)
        lost.kill()
        begin = time.monotonic()
        with pytest.raises(openai.APIError) as error:
            for _ in stream:
                pass
        assert time.monotonic() - begin < 2
        assert lost.name in str(error.value)

        def served_again():
            now = cluster.state()
            return now["state"] == "ready" and now["epoch"] > epoch

        until(served_again, 120, "the rest serve the model")
        assert ask(client, cluster).choices[0].message.content == before


def test_a_coordinator_that_is_stopped_lets_the_answer_end():
    with Cluster(chat_model(), workers=1) as cluster:
        stream = ask(cluster.client(), cluster, stream=True)
        first = next(iter(stream))
        cluster.coordinator.process.terminate()
        text, reason = joined(stream)
        assert first.choices[0].delta.role == "assistant" and text and reason
        assert cluster.coordinator.stop() == 0
