"""POST /v1/completions, through the openai client."""
import math

import openai
import pytest

from e2e_harness import MODEL, Server

PROMPT = "Pippin is an"


def complete(server: Server, prompt=PROMPT, **options) -> openai.types.Completion:
    options = {"temperature": 0, "max_tokens": 12, **options}
    return server.client().completions.create(model=MODEL.name, prompt=prompt, **options)


def tokens_of(server: Server, text: str) -> list[int]:
    return server.post({"prompt": text}, path="/tokenize").body["tokens"]


def test_a_completion_has_openais_form(server):
    answer = complete(server)
    assert answer.object == "text_completion" and answer.id.startswith("cmpl-") and answer.model == MODEL.name
    assert answer.choices[0].text and answer.choices[0].logprobs is None
    assert answer.choices[0].finish_reason in ("length", "stop")
    assert answer.usage.prompt_tokens == len(tokens_of(server, PROMPT))
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens


def test_token_ids_are_the_text(server):
    text = complete(server).choices[0].text
    assert complete(server, tokens_of(server, PROMPT)).choices[0].text == text


def test_lists_are_answered_in_order(server):
    prompts = [PROMPT, "The red"]
    alone = [complete(server, prompt).choices[0].text for prompt in prompts]
    for form in (prompts, [tokens_of(server, prompt) for prompt in prompts]):
        together = complete(server, form, n=2)
        assert [choice.text for choice in together.choices] == [alone[0], alone[0], alone[1], alone[1]]
        assert [choice.index for choice in together.choices] == [0, 1, 2, 3]
    assert together.usage.prompt_tokens == sum(len(tokens_of(server, prompt)) for prompt in prompts)


def test_streamed_is_not_streamed(server):
    whole = complete(server, [PROMPT, "The red"], echo=True)
    texts, ends = ["", ""], ["", ""]
    chunks = list(complete(server, [PROMPT, "The red"], echo=True, stream=True, stream_options={"include_usage": True}))
    for chunk in chunks:
        for choice in chunk.choices:
            texts[choice.index] += choice.text
            ends[choice.index] += choice.finish_reason or ""
    assert texts == [choice.text for choice in whole.choices]
    assert ends == [choice.finish_reason for choice in whole.choices]
    assert texts[0].startswith(PROMPT)
    assert chunks[-1].usage.completion_tokens == whole.usage.completion_tokens


def test_logprobs_are_told(server):
    answer = complete(server, logprobs=3)
    told = answer.choices[0].logprobs
    assert "".join(told.tokens) == answer.choices[0].text
    assert [offset for offset in told.text_offset] == \
        [sum(map(len, told.tokens[:i])) for i in range(len(told.tokens))]
    for token, logprob, top in zip(told.tokens, told.token_logprobs, told.top_logprobs):
        assert max(top.values()) == pytest.approx(logprob, abs=1e-6) and top[token] == logprob
        assert sum(math.exp(value) for value in top.values()) <= 1.0001
    streamed = [token for chunk in complete(server, logprobs=3, stream=True) for choice in chunk.choices
                for token in choice.logprobs.tokens]
    assert streamed == told.tokens


def test_an_echo_tells_the_prompts_tokens(server):
    complete(server)  # what is cached is scored all the same
    alone = complete(server, logprobs=2)
    whole = complete(server, logprobs=2, echo=True).choices[0]
    told = whole.logprobs
    ids = tokens_of(server, PROMPT)
    assert "".join(told.tokens[:len(ids)]) == PROMPT and "".join(told.tokens) == whole.text
    assert told.token_logprobs[0] is None and told.top_logprobs[0] is None
    assert all(logprob <= 0 for logprob in told.token_logprobs[1:])
    assert told.text_offset == [sum(map(len, told.tokens[:i])) for i in range(len(told.tokens))]
    assert told.token_logprobs[len(ids):] == pytest.approx(alone.choices[0].logprobs.token_logprobs, abs=2e-2)
    streamed = [choice for chunk in complete(server, logprobs=2, echo=True, stream=True) for choice in chunk.choices]
    assert "".join(choice.text for choice in streamed) == whole.text
    assert [token for choice in streamed for token in choice.logprobs.tokens] == told.tokens


def test_an_echo_may_be_all(server):
    """As evaluation harnesses score texts."""
    texts = [PROMPT, "The red"]
    for options in ({}, {"stream": True}):
        answer = complete(server, texts, echo=True, logprobs=0, max_tokens=0, **options)
        choices = [choice for chunk in answer for choice in chunk.choices] if options else answer.choices
        told = ["".join(choice.text for choice in choices if choice.index == i) for i in range(2)]
        assert told == texts
    assert answer is not None and [choice.finish_reason for choice in choices if choice.finish_reason] == ["length", "length"]
    whole = complete(server, PROMPT, echo=True, logprobs=0, max_tokens=0)
    assert whole.usage.completion_tokens == 0 and "".join(whole.choices[0].logprobs.tokens) == PROMPT


def test_the_text_that_a_model_wrote_is_as_likely_as_it_said(server):
    """A greedy answer's tokens, scored as a prompt, have the probabilities that they were generated with."""
    ids = tokens_of(server, PROMPT)
    answer = complete(server, ids, logprobs=1, extra_body={"return_token_ids": True}).choices[0]
    scored = complete(server, ids + answer.token_ids, max_tokens=1, extra_body={"prompt_logprobs": 1}).choices[0].prompt_logprobs
    assert scored[0] is None and len(scored) == len(ids) + len(answer.token_ids)
    for token, logprob, entry in zip(answer.token_ids, answer.logprobs.token_logprobs, scored[len(ids):]):
        assert entry[str(token)]["logprob"] == pytest.approx(logprob, abs=2e-2)
        assert entry[str(token)]["rank"] == 1 and "decoded_token" in entry[str(token)]


def test_a_chats_prompt_is_told(server):
    answer = server.ask("What is Pippin?", extra_body={"prompt_logprobs": 2, "return_token_ids": True})
    told = answer.prompt_logprobs
    assert told[0] is None and len(told) == answer.usage.prompt_tokens
    for token, entry in zip(answer.prompt_token_ids[1:], told[1:]):
        assert str(token) in entry and 2 <= len(entry) <= 3
        assert sorted(value["rank"] for value in entry.values())[:2] == [1, 2]


def test_a_stop_string_and_a_limit_end_it(server):
    full = complete(server).choices[0].text
    stop = full.split()[1]
    assert complete(server, stop=stop).choices[0].text == full[:full.index(stop)]
    assert complete(server, max_tokens=openai.NOT_GIVEN, extra_body={"ignore_eos": True}).usage.completion_tokens == 16


@pytest.mark.parametrize("options, field", [
    ({"best_of": 2}, "best_of"),
    ({"suffix": "end"}, "suffix"),
    ({"max_tokens": 0}, "max_tokens"),
    ({"extra_body": {"prompt_logprobs": 1}, "stream": True}, "prompt_logprobs"),
    ({"extra_body": {"prompt_logprobs": 21}}, "prompt_logprobs"),
    ({"prompt": []}, "prompt"),
    ({"prompt": ""}, "prompt"),
    ({"prompt": [99999999]}, "prompt"),
    ({"n": 0}, "n"),
])
def test_what_is_not_supported_is_refused_by_name(server, options, field):
    with pytest.raises(openai.BadRequestError) as refused:
        complete(server, **options)
    assert refused.value.param == field
