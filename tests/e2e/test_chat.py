"""Chats of words, through the openai client."""
import asyncio
import json

import openai
import pytest

from e2e_harness import MODEL, Server

QUESTIONS = ["What is Pippin?", "What is 12 + 30?", "What can you do?"]


def stream(server: Server, content, **options) -> list[openai.types.chat.ChatCompletionChunk]:
    return list(server.ask(content, stream=True, **options))


def joined(chunks: list[openai.types.chat.ChatCompletionChunk]) -> str:
    return "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)


def test_an_answer_has_openais_form(server):
    answer = server.ask("What is Pippin?")
    assert answer.object == "chat.completion" and answer.model == MODEL.name and answer.id.startswith("chatcmpl-")
    assert [choice.index for choice in answer.choices] == [0]
    assert answer.choices[0].message.role == "assistant"
    assert "MLX" in answer.choices[0].message.content
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens
    assert answer.usage.completion_tokens > 0 and answer.usage.prompt_tokens_details.cached_tokens >= 0


@pytest.mark.parametrize("question", QUESTIONS)
def test_streamed_is_not_streamed(server, question):
    whole = server.ask(question)
    chunks = stream(server, question, stream_options={"include_usage": True})
    assert joined(chunks) == whole.choices[0].message.content
    assert len({chunk.id for chunk in chunks}) == 1
    assert chunks[0].choices[0].delta.role == "assistant"
    assert chunks[-2].choices[0].finish_reason == whole.choices[0].finish_reason
    assert chunks[-1].choices == [] and chunks[-1].usage.completion_tokens == whole.usage.completion_tokens
    assert all(chunk.usage is None for chunk in chunks[:-1])


def test_usage_is_streamed_only_when_asked_for(server):
    chunks = stream(server, "What is Pippin?")
    assert all(chunk.usage is None for chunk in chunks)
    assert chunks[-1].choices[0].finish_reason == "stop"


def test_max_tokens_ends_the_answer(server):
    for name in ("max_tokens", "max_completion_tokens"):
        answer = server.ask("What is Pippin?", **{"max_tokens": openai.NOT_GIVEN, name: 3})
        assert answer.choices[0].finish_reason == "length" and answer.usage.completion_tokens == 3


def test_a_stop_string_ends_the_answer(server):
    full = server.text("What is Pippin?")
    word = full.split()[3]
    for stop in (word, ["never seen", word]):
        answer = server.ask("What is Pippin?", stop=stop)
        assert answer.choices[0].message.content == full[:full.index(word)]
        assert answer.choices[0].finish_reason == "stop"
        assert joined(stream(server, "What is Pippin?", stop=stop)) == full[:full.index(word)]


def test_a_seed_repeats_an_answer(server):
    def drawn(seed: int) -> str:
        return server.text("Tell me about yourself.", temperature=2, seed=seed, max_tokens=24)

    assert drawn(1) == drawn(1)
    assert len({drawn(seed) for seed in range(4)}) > 1


def test_a_seed_repeats_an_answer_in_a_batch(server):
    def request(seed: int) -> dict:
        return {"model": MODEL.name, "messages": [{"role": "user", "content": "Tell me about yourself."}],
                "temperature": 1, "seed": seed, "max_tokens": 24}

    async def together() -> list[str]:
        async with openai.AsyncOpenAI(base_url=str(server.client().base_url), api_key="none") as client:
            answers = await asyncio.gather(*(client.chat.completions.create(**request(seed)) for seed in range(6)))
        return [answer.choices[0].message.content for answer in answers]

    alone = [server.client().chat.completions.create(**request(seed)).choices[0].message.content for seed in range(6)]
    assert asyncio.run(together()) == alone


def token_id(text: str) -> str:
    return str(json.loads((MODEL / "tokenizer.json").read_text())["model"]["vocab"][text])


def test_a_bias_decides(server):
    assert server.text("What is Pippin?", temperature=0, max_tokens=8, logit_bias={token_id("a"): 100}) == "aaaaaaaa"


def test_penalties_look_at_the_answer(server):
    def answer(**penalty) -> str:
        # Two tokens far above all others, and more steps than their logits can be apart.
        return server.text("What is Pippin?", temperature=0, max_tokens=64, logit_bias={token_id("a"): 100, token_id("b"): 100},
                           **penalty)

    assert set(answer(frequency_penalty=2)[-16:]) == {"a", "b"}, "each gets less likely with every use"
    assert len(set(answer(frequency_penalty=-2)[-16:])) == 1, "or likelier"


def test_earlier_turns_are_seen_and_read_from_the_cache(server):
    client = server.client()
    messages = [{"role": "system", "content": "You are a helpful assistant. " * 4},
                {"role": "user", "content": "My name is Anna. What is 2 + 3?"}]

    def ask() -> openai.types.chat.ChatCompletion:
        return client.chat.completions.create(model=MODEL.name, messages=messages, temperature=0, max_tokens=48)

    first = ask()
    assert ask().choices[0].message.content == first.choices[0].message.content, "cached differs from uncached"
    messages += [{"role": "assistant", "content": first.choices[0].message.content},
                 {"role": "user", "content": "What is my name?"}]
    second = ask()
    assert "Anna" in second.choices[0].message.content
    # All whole pages (of 16 tokens) of what the first question read.
    assert second.usage.prompt_tokens_details.cached_tokens >= first.usage.prompt_tokens // 16 * 16 > 0


def test_neutral_and_harmless_fields_are_taken(server):
    answer = server.client().chat.completions.with_raw_response.create(
        model=MODEL.name, messages=[{"role": "user", "content": "What is Pippin?"}], max_tokens=4, n=1, logprobs=False,
        frequency_penalty=0, presence_penalty=0, logit_bias={}, response_format={"type": "text"}, user="me",
        metadata={"a": "b"}, store=False, service_tier="auto", top_p=1, parallel_tool_calls=True,
        extra_body={"top_k": 20, "min_p": 0.05, "prompt_cache_key": "k", "repetition_penalty": 1.0,
                    "chat_template_kwargs": {"enable_thinking": False}})
    assert "X-Pippin-Ignored" not in answer.headers
    assert answer.parse().usage.completion_tokens == 4


def test_unknown_fields_are_named_in_a_header(server):
    answer = server.client().chat.completions.with_raw_response.create(
        model=MODEL.name, messages=[{"role": "user", "content": "What is Pippin?"}], max_tokens=1,
        extra_body={"tempature": 0, "no_such_field": {}})
    assert answer.headers["X-Pippin-Ignored"] == "tempature, no_such_field"
    assert "tempature" in server.logged()


def test_tools_are_shown_to_the_model(server):
    tool = {"type": "function", "function": {"name": "get_weather", "description": "The weather of a city.", "parameters": {
        "type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}}}
    plain = server.ask("What is the weather in Paris?")
    with_tool = server.ask("What is the weather in Paris?", tools=[tool])
    without = server.ask("What is the weather in Paris?", tools=[tool], tool_choice="none")
    assert with_tool.usage.prompt_tokens > plain.usage.prompt_tokens
    assert without.usage.prompt_tokens == plain.usage.prompt_tokens
    assert with_tool.choices[0].message.tool_calls[0].function.name == "get_weather"


def test_models_are_listed(server):
    client = server.client()
    models = client.models.list().data
    assert [model.id for model in models] == [MODEL.name]
    assert client.models.retrieve(MODEL.name).owned_by == "pippin"
    assert models[0].max_model_len > 0
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("gpt-9")


def test_an_unknown_model_is_not_found(server):
    with pytest.raises(openai.NotFoundError) as refused:
        server.client().chat.completions.create(model="gpt-9", messages=[{"role": "user", "content": "hi"}])
    assert refused.value.code == "model_not_found" and refused.value.param == "model"


def test_answers_carry_the_requests_id(server):
    assert server.post({"messages": []}, headers={"X-Request-Id": "mine-7"}).headers["X-Request-Id"] == "mine-7"
