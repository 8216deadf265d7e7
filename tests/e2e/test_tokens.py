"""What answers tell of their tokens, and several answers to one question, through the openai client."""
import math

import openai
import pytest

from e2e_harness import MODEL, Server

QUESTION = "What is Pippin?"
OPEN_QUESTION = "Tell me about yourself."


def content_of(answer: openai.types.chat.ChatCompletion) -> list:
    return answer.choices[0].logprobs.content


def said(tokens: list) -> str:
    return b"".join(bytes(token.bytes) for token in tokens).decode()


def streamed_tokens(server: Server, **options) -> list:
    return [token for chunk in server.ask(QUESTION, stream=True, **options) for choice in chunk.choices
            if choice.logprobs for token in choice.logprobs.content]


def test_logprobs_are_of_the_answers_tokens(server):
    answer = server.ask(QUESTION, logprobs=True, top_logprobs=5)
    tokens = content_of(answer)
    assert said(tokens) == answer.choices[0].message.content
    # The token that ends the answer is not among them.
    assert len(tokens) == answer.usage.completion_tokens - (answer.choices[0].finish_reason == "stop")
    for token in tokens:
        top = token.top_logprobs
        assert len(top) == 5 and top == sorted(top, key=lambda other: -other.logprob)
        # A greedy answer takes the likeliest each time.
        assert (top[0].token, top[0].logprob) == (token.token, token.logprob)
        assert sum(math.exp(other.logprob) for other in top) <= 1.0001


def test_logprobs_change_no_word(server):
    plain = server.text(QUESTION)
    assert server.text(QUESTION, logprobs=True) == plain
    assert content_of(server.ask(QUESTION, logprobs=True))[0].top_logprobs == []
    assert server.ask(QUESTION).choices[0].logprobs is None


def test_streamed_logprobs_are_the_same(server):
    whole = content_of(server.ask(QUESTION, logprobs=True, top_logprobs=2))
    assert streamed_tokens(server, logprobs=True, top_logprobs=2) == whole


def test_the_client_gathers_streamed_logprobs(server):
    with server.client().chat.completions.stream(
            model=MODEL.name, messages=[{"role": "user", "content": QUESTION}], temperature=0, max_tokens=200,
            logprobs=True, top_logprobs=1) as stream:
        final = stream.get_final_completion()
    assert said(content_of(final)) == final.choices[0].message.content


def test_no_token_behind_a_stop_string_is_told(server):
    full = server.text(QUESTION)
    stop = full.split()[4]
    answer = server.ask(QUESTION, logprobs=True, stop=stop)
    text = answer.choices[0].message.content
    assert text == full[:full.index(stop)]
    assert full.startswith(said(content_of(answer)))
    # The last token begins before the stop string and may reach into it.
    assert len(text) <= len(said(content_of(answer))) <= len(text) + len(stop)
    assert streamed_tokens(server, logprobs=True, stop=stop) == content_of(answer)


def test_the_stop_string_is_included_where_asked_for(server):
    full = server.text(QUESTION)
    stop = full.split()[4]
    text = server.text(QUESTION, stop=stop, extra_body={"include_stop_str_in_output": True})
    assert text == full[:full.index(stop)] + stop


def test_min_tokens_are_generated(server):
    short = server.ask("What is 12 + 30?")
    assert short.choices[0].finish_reason == "stop"
    wanted = short.usage.completion_tokens + 5
    longer = server.ask("What is 12 + 30?", extra_body={"min_tokens": wanted})
    assert longer.usage.completion_tokens >= wanted
    assert longer.choices[0].message.content.startswith(short.choices[0].message.content)


def test_token_ids_are_told(server):
    ask = {"max_tokens": 6, "extra_body": {"return_token_ids": True}}
    answer = server.ask(QUESTION, **ask)
    ids = answer.choices[0].token_ids
    assert len(ids) == 6 and len(answer.prompt_token_ids) == answer.usage.prompt_tokens
    told = server.post({"tokens": ids}, path="/detokenize").body
    assert told["prompt"] == answer.choices[0].message.content
    chunks = list(server.ask(QUESTION, stream=True, **ask))
    assert [i for chunk in chunks for choice in chunk.choices for i in choice.token_ids] == ids
    assert [chunk.prompt_token_ids for chunk in chunks if getattr(chunk, "prompt_token_ids", None)] == \
        [answer.prompt_token_ids]


def test_several_answers_come_to_one_question(server):
    ask = {"temperature": 2, "n": 4, "seed": 11, "max_tokens": 16}
    answer = server.ask(OPEN_QUESTION, **ask)
    texts = [choice.message.content for choice in answer.choices]
    assert [choice.index for choice in answer.choices] == [0, 1, 2, 3]
    assert len(set(texts)) > 1
    # The i-th has the seed + i.
    assert server.text(OPEN_QUESTION, temperature=2, seed=13, max_tokens=16) == texts[2]
    single = server.ask(OPEN_QUESTION, max_tokens=1)
    assert answer.usage.prompt_tokens == single.usage.prompt_tokens
    assert answer.usage.completion_tokens <= 64

    streamed = [""] * 4
    for chunk in server.ask(OPEN_QUESTION, stream=True, **ask):
        for choice in chunk.choices:
            streamed[choice.index] += choice.delta.content or ""
    assert streamed == texts


def test_one_prompt_is_computed_once_for_all_answers():
    with Server() as server:
        before = server.health()["tokens"]
        answer = server.ask("word " * 100, n=8, max_tokens=4)
        after = server.wait_until_idle()["tokens"]
        prompt = answer.usage.prompt_tokens
        assert after["prompt"] - before["prompt"] == 8 * prompt
        # Whole pages (of 16 tokens) are found by all but the first.
        assert after["cached"] - before["cached"] >= 7 * (prompt // 16 * 16)


@pytest.mark.parametrize("effort", ["none", "low", "high"])
def test_reasoning_effort_is_taken(server, effort):
    assert server.ask(QUESTION, max_tokens=2, reasoning_effort=effort).usage.completion_tokens == 2
