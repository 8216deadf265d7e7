"""Calls of earlier turns that come back as no object, or with numbers that no double holds: whatever the text, the conversation goes on, and
what was read of it stays cached."""
import json

import pytest

from e2e_harness import Server

QUESTION = "What is the weather in Paris?"
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
TOOL = {"type": "function", "function": {"name": "get_weather", "description": "Get the weather in a city", "parameters": SCHEMA}}
BIG = '{"id": 123456789012345678901234567890, "x": [1e400, 18446744073709551616, 0.1000000000000000055511151231257827]}'


def go_on(server: Server, message: dict, **more) -> dict:
    results = [{"role": "tool", "tool_call_id": call["id"], "content": "cut off"} for call in message.get("tool_calls") or []]
    reply = server.post({"messages": [{"role": "user", "content": QUESTION}, message, *results], "tools": [TOOL], "max_tokens": 4, **more})
    assert reply.status == 200, reply
    assert reply.headers["X-Pippin-Ignored"] is None
    return reply.body["usage"]


def test_a_call_that_max_tokens_cut_comes_back_and_is_cached(server):
    """At every token, from the name to the last brace."""
    seen = set()
    for max_tokens in range(2, 30):
        reply = server.post({"messages": [{"role": "user", "content": QUESTION}], "tools": [TOOL], "tool_choice": "required",
                             "temperature": 0, "max_tokens": max_tokens})
        message, usage = reply.body["choices"][0]["message"], reply.body["usage"]
        if reply.body["choices"][0]["finish_reason"] != "length":
            break
        calls = message.get("tool_calls") or []
        seen.update(call["function"]["arguments"] for call in calls)
        if not calls and message["content"] is None:
            continue  # not even a name: nothing that could be sent back
        cached = go_on(server, message)["prompt_tokens_details"]["cached_tokens"]
        # The answer's own tokens that the cut has split may be others; none of the prompt's are.
        assert cached >= usage["prompt_tokens"] - 1, (max_tokens, message)
        if calls and calls[0]["function"]["arguments"]:
            assert cached >= usage["total_tokens"] - 3, (max_tokens, message)
    assert any(text and not text.endswith("}") for text in seen), seen


@pytest.mark.parametrize("arguments", ["[]", "5", '"x"', "null", "", '{"city": "Par', BIG, '{"x": 1e99999999999}', '{"x": NaN}'])
def test_any_text_is_taken_in_every_dialect(server, arguments):
    call = {"id": "call_1", "type": "function", "function": {"name": "get_weather", "arguments": arguments}}
    go_on(server, {"role": "assistant", "content": None, "tool_calls": [call]})
    reply = server.post({"input": [{"role": "user", "content": QUESTION},
                                   {"type": "function_call", "call_id": "c", "name": "get_weather", "arguments": arguments},
                                   {"type": "function_call_output", "call_id": "c", "output": "?"}], "max_output_tokens": 4},
                        "/v1/responses")
    assert reply.status == 200, reply
    # Anthropic's clients send what they could read of it: a JSON value, whose digits are the body's.
    value = arguments if arguments in ("[]", "5", '"x"', "null", BIG, '{"x": 1e99999999999}') else json.dumps(arguments)
    body = ('{"max_tokens": 4, "messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": [{"type": "tool_use", '
            '"id": "t", "name": "get_weather", "input": ' + value + '}]}, {"role": "user", "content": [{"type": "tool_result", '
            '"tool_use_id": "t", "content": "?"}]}]}')
    reply = server.post(body.encode(), "/v1/messages")
    assert reply.status == 200, reply
    # Ollama's have objects, or what they could read.
    body = ('{"stream": false, "options": {"num_predict": 4}, "messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "", '
            '"tool_calls": [{"function": {"name": "get_weather", "arguments": ' + value + '}}]}, {"role": "tool", "content": "?"}]}')
    reply = server.post(body.encode(), "/api/chat")
    assert reply.status == 200 and reply.headers["X-Pippin-Ignored"] is None, reply


def test_numbers_keep_their_digits_into_the_prompt(server):
    call = {"id": "call_1", "type": "function", "function": {"name": "get_weather", "arguments": BIG}}
    prompt = server.post({"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": None, "tool_calls": [call]},
                                       {"role": "user", "content": "On."}]}, "/apply-template").body["prompt"]
    assert f'"arguments": {BIG}' in prompt
