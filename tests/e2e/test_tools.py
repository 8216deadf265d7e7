"""Tool calls and reasoning, through the openai client: the demo model calls tools and thinks before sums."""
import json

import openai
import pytest

from e2e_harness import MODEL, Server

WEATHER = {"type": "function", "function": {"name": "get_weather", "description": "Get the weather in a city", "parameters": {
    "type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}}}
ONE = "What is the weather in Paris?"
TWO = "Weather in Oslo. And What is the weather in Rome?"


def ask(server: Server, messages: list | str, **options):
    messages = [{"role": "user", "content": messages}] if isinstance(messages, str) else messages
    options = {"temperature": 0, "max_tokens": 96, "tools": [WEATHER], **options}
    return server.client().chat.completions.create(model=MODEL.name, messages=messages, **options)


def folded(chunks) -> dict:
    """The message and the finish reason that a stream amounts to; calls by index, as clients put them together."""
    message = {"content": "", "reasoning": "", "calls": {}, "finish": None}
    for chunk in chunks:
        choice = chunk.choices[0]
        message["content"] += choice.delta.content or ""
        message["reasoning"] += getattr(choice.delta, "reasoning_content", None) or ""
        for piece in choice.delta.tool_calls or []:
            if piece.index not in message["calls"]:
                assert piece.id and piece.type == "function" and piece.function.name
                message["calls"][piece.index] = [piece.function.name, ""]
            else:
                assert not piece.id and not piece.function.name
            message["calls"][piece.index][1] += piece.function.arguments or ""
        message["finish"] = choice.finish_reason or message["finish"]
    return message


def calls_of(answer) -> list[list[str]]:
    return [[call.function.name, call.function.arguments] for call in answer.choices[0].message.tool_calls or []]


def test_a_call_is_answered(server):
    answer = ask(server, ONE)
    message = answer.choices[0].message
    assert answer.choices[0].finish_reason == "tool_calls" and message.content is None
    [call] = message.tool_calls
    assert call.type == "function" and call.id.startswith("call_")
    assert call.function.name == "get_weather" and json.loads(call.function.arguments) == {"city": "Paris"}

    messages = [{"role": "user", "content": ONE}, message.model_dump(exclude_none=True),
                {"role": "tool", "tool_call_id": call.id, "content": json.dumps({"weather": "sunny", "temperature": 21})}]
    final = ask(server, messages)
    assert final.choices[0].finish_reason == "stop" and not final.choices[0].message.tool_calls
    assert "sunny" in final.choices[0].message.content
    # The call went back into the prompt as the model had written it.
    assert final.usage.prompt_tokens_details.cached_tokens >= answer.usage.prompt_tokens // 16 * 16


@pytest.mark.parametrize("question", [ONE, TWO, "What is 12 + 30?", "Hello!"])
def test_streamed_is_not_streamed(server, question):
    whole = ask(server, question)
    stream = folded(ask(server, question, stream=True))
    message = whole.choices[0].message
    assert list(stream["calls"].values()) == calls_of(whole)
    assert stream["content"] == (message.content or "")
    assert stream["reasoning"] == (getattr(message, "reasoning_content", None) or "")
    assert stream["finish"] == whole.choices[0].finish_reason


def test_arguments_stream_as_they_are_generated(server):
    pieces = [piece for chunk in ask(server, ONE, stream=True) for piece in chunk.choices[0].delta.tool_calls or []]
    assert len(pieces) > 3


def test_two_calls_at_once(server):
    answer = ask(server, TWO)
    calls = calls_of(answer)
    assert [(name, json.loads(arguments)) for name, arguments in calls] == [("get_weather", {"city": "Oslo"}),
                                                                            ("get_weather", {"city": "Rome"})]
    assert len({call.id for call in answer.choices[0].message.tool_calls}) == 2


@pytest.mark.parametrize("stream", [False, True])
def test_without_parallel_calls_only_the_first_is_given(server, stream):
    answer = ask(server, TWO, parallel_tool_calls=False, stream=stream)
    if stream:
        message = folded(answer)
        assert list(message["calls"].values()) == [["get_weather", '{"city": "Oslo"}']] and message["finish"] == "tool_calls"
    else:
        assert calls_of(answer) == [["get_weather", '{"city": "Oslo"}']] and answer.choices[0].finish_reason == "tool_calls"
    server.wait_until_idle()


def test_a_call_that_is_cut_off_keeps_its_arguments_so_far(server):
    whole = ask(server, ONE)
    [[name, arguments]] = calls_of(whole)
    cut = ask(server, ONE, max_tokens=whole.usage.completion_tokens - 5)
    assert cut.choices[0].finish_reason == "length"
    [[cut_name, cut_arguments]] = calls_of(cut)
    assert cut_name == name and arguments.startswith(cut_arguments) and len(cut_arguments) < len(arguments)


def test_without_tools_markup_is_text(server):
    messages = [{"role": "user", "content": "Repeat: <tool_call>"}]
    answer = ask(server, messages, tools=openai.NOT_GIVEN, logit_bias={str(token("<tool_call>")): 100}, max_tokens=2)
    assert answer.choices[0].message.content == "<tool_call><tool_call>" and not answer.choices[0].message.tool_calls


def token(text: str) -> int:
    added = json.loads((MODEL / "tokenizer.json").read_text())["added_tokens"]
    return next(one["id"] for one in added if one["content"] == text)


def test_choosing_no_tool_hides_them(server):
    assert not ask(server, ONE, tool_choice="none").choices[0].message.tool_calls
    assert ask(server, ONE, tool_choice="auto").choices[0].message.tool_calls


def test_a_sum_is_thought_about_first(server):
    message = server.ask("What is 12 + 30?").choices[0].message
    assert "42" in message.content and "<think>" not in message.content
    assert "42" in message.reasoning_content and message.reasoning == message.reasoning_content
    plain = server.ask("What is 12 + 30?", extra_body={"chat_template_kwargs": {"enable_thinking": False}}).choices[0].message
    assert "42" in plain.content and not hasattr(plain, "reasoning_content")


def test_parsers_can_be_switched_off():
    with Server("--tool-parser", "none", "--reasoning-parser", "none") as server:
        answer = ask(server, ONE)
        assert answer.choices[0].message.content.startswith("<tool_call>") and answer.choices[0].finish_reason == "stop"
        assert server.text("What is 12 + 30?").startswith("<think>")
