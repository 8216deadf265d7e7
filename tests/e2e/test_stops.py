"""What ends an answer: stop strings, which look at text alone, and max_tokens at every token, which leaves no markup in a call.

In every dialect that has them, whole and streamed: both must say the same."""
import json
from typing import Callable, NamedTuple

import ollama
import pytest

from e2e_harness import MODEL, Server
from test_harmony import FREE, THINKING, harmony  # noqa: F401  the fixture

SUM = "What is 12 + 30?"  # the model thinks before it answers
WEATHER = "What is the weather in Paris?"  # it calls the tool
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
FUNCTION = {"name": "get_weather", "description": "Get the weather in a city", "parameters": SCHEMA}


class Said(NamedTuple):
    """An answer, whatever the dialect."""
    text: str
    reasoning: str
    calls: list[tuple[str, str]]  # names and arguments
    finish: str  # as chat completions have it
    stop: str | None = None  # which stop string is told


def chat(server: Server, question: str, stream: bool, stop: list[str] | None = None, limit: int = 96, **extra) -> Said:
    fields = {"model": "", "temperature": 0, "max_tokens": limit, "messages": [{"role": "user", "content": question}],
              "tools": [{"type": "function", "function": FUNCTION}], **({"stop": stop} if stop else {}), "extra_body": extra}
    if not stream:
        [choice] = server.client().chat.completions.create(**fields).choices
        message = choice.message
        calls = [(call.function.name, call.function.arguments) for call in message.tool_calls or []]
        return Said(message.content or "", getattr(message, "reasoning_content", None) or "", calls, choice.finish_reason)
    text = reasoning = finish = ""
    calls: list[list[str]] = []
    for chunk in server.client().chat.completions.create(**fields, stream=True):
        [choice] = chunk.choices
        text += choice.delta.content or ""
        reasoning += getattr(choice.delta, "reasoning_content", None) or ""
        for piece in choice.delta.tool_calls or []:
            if piece.function.name:
                calls.append([piece.function.name, ""])
            calls[piece.index][1] += piece.function.arguments or ""
        finish = choice.finish_reason or finish
    return Said(text, reasoning, [(name, arguments) for name, arguments in calls], finish)


def messages(server: Server, question: str, stream: bool, stop: list[str] | None = None, limit: int = 96, **extra) -> Said:
    fields = {"model": MODEL.name, "max_tokens": limit, "messages": [{"role": "user", "content": question}],
              "tools": [{"name": "get_weather", "input_schema": SCHEMA}], "thinking": {"type": "adaptive"},
              "extra_body": {"temperature": 0, **extra}, **({"stop_sequences": stop} if stop else {})}
    client = server.anthropic()
    pieces = ""
    if stream:
        with client.messages.stream(**fields) as events:
            pieces = "".join(event.delta.partial_json for event in events
                             if event.type == "content_block_delta" and event.delta.type == "input_json_delta")
            answer = events.get_final_message()
    else:
        answer = client.messages.create(**fields)
    texts = {kind: "".join(getattr(block, kind, "") for block in answer.content if block.type == kind) for kind in ("text", "thinking")}
    calls = [(block.name, pieces or json.dumps(block.input)) for block in answer.content if block.type == "tool_use"]
    finish = {"end_turn": "stop", "stop_sequence": "stop", "max_tokens": "length", "tool_use": "tool_calls"}[answer.stop_reason]
    assert (answer.stop_reason == "stop_sequence") <= bool(answer.stop_sequence)
    return Said(texts["text"], texts["thinking"], calls, finish, answer.stop_sequence)


def responses(server: Server, question: str, stream: bool, limit: int = 96) -> Said:
    fields = {"model": MODEL.name, "temperature": 0, "max_output_tokens": limit, "input": question, "tools": [{"type": "function", **FUNCTION}]}
    if stream:
        *_, last = server.client().responses.create(**fields, stream=True)
        answer = last.response
    else:
        answer = server.client().responses.create(**fields)
    reasoning = "".join(part.text for item in answer.output if item.type == "reasoning" for part in item.content or [])
    calls = [(item.name, item.arguments) for item in answer.output if item.type == "function_call"]
    finish = "length" if answer.status == "incomplete" else "tool_calls" if calls else "stop"
    return Said(answer.output_text, reasoning, calls, finish)


def ollama_chat(server: Server, question: str, stream: bool, stop: list[str] | None = None, limit: int = 96) -> Said:
    client = ollama.Client(host=f"http://127.0.0.1:{server.port}")
    answer = client.chat(MODEL.name, [{"role": "user", "content": question}], tools=[{"type": "function", "function": FUNCTION}], stream=stream,
                         options={"temperature": 0, "num_predict": limit, "stop": stop or []})
    parts = list(answer) if stream else [answer]
    calls = [(call.function.name, json.dumps(call.function.arguments)) for part in parts for call in part.message.tool_calls or []]
    finish = "tool_calls" if calls and parts[-1].done_reason == "stop" else parts[-1].done_reason
    return Said("".join(part.message.content or "" for part in parts), "".join(part.message.thinking or "" for part in parts), calls, finish)


STREAMED = pytest.mark.parametrize("stream", [False, True])
WITH_STOPS = pytest.mark.parametrize("ask", [chat, messages, ollama_chat])


@WITH_STOPS
@STREAMED
def test_a_thought_is_passed_over(server, ask: Callable, stream: bool):
    whole = ask(server, SUM, stream)
    assert whole.reasoning and whole.text and whole.finish == "stop"
    for word in ("<think>", "</think>", "think", "\n"):  # all of the thought's words are the answer's, too
        assert word not in whole.text and ask(server, SUM, stream, [word]) == whole, word


@WITH_STOPS
@STREAMED
def test_the_answer_is_not(server, ask: Callable, stream: bool):
    whole = ask(server, SUM, stream)
    for word in whole.text.split():  # most are in the thought before
        said = ask(server, SUM, stream, ["never said", word])
        assert (said.text, said.reasoning) == (whole.text[:whole.text.index(word)], whole.reasoning)
        assert said.finish == "stop"
        assert said.stop == (word if ask is messages else None)


@WITH_STOPS
@STREAMED
def test_no_call_is_cut_by_one(server, ask: Callable, stream: bool):
    whole = ask(server, WEATHER, stream)
    assert [name for name, _ in whole.calls] == ["get_weather"] and whole.finish == "tool_calls"
    for word in ("Paris", "city", '"', "}", "<tool_call>", "</tool_call>", "arguments", "get_weather", " "):
        assert ask(server, WEATHER, stream, [word]) == whole, word


@STREAMED
def test_gpt_oss_channels_are_looked_at_apart(harmony, stream):  # noqa: F811
    """The thought that the model makes up is as long as its budget; the answer is what is asked for."""
    fields = {**THINKING, **FREE, "thinking_budget": 12, "tool_choice": "none", "structured_outputs": {"choice": ["so it is"]}}
    whole = chat(harmony, SUM, stream, **fields)
    assert len(whole.reasoning) > 5 and whole.text == "so it is"
    for stop in sorted({*whole.reasoning} - {*whole.text}):
        assert chat(harmony, SUM, stream, [stop], **fields) == whole, stop
    said = chat(harmony, SUM, stream, ["it"], **fields)
    assert said == Said("so ", whole.reasoning, [], "stop")


def test_a_text_is_all_looked_at(server):
    """It has no thoughts and calls, whatever it says."""
    fields = {"prompt": "<|im_start|>user\nWhat is 12 + 30?<|im_end|>\n<|im_start|>assistant\n", "max_tokens": 60, "temperature": 0}
    [whole] = server.post(fields, "/v1/completions").body["choices"]
    [said] = server.post({**fields, "stop": "</think>"}, "/v1/completions").body["choices"]
    before = whole["text"].partition("</think>")[0]
    assert said["text"] == before and said["finish_reason"] == "stop"
    lines = [json.loads(line[6:]) for line in stream_of(server, {**fields, "stop": "</think>", "stream": True}) if line.startswith("data: {")]
    assert "".join(choice["text"] for line in lines for choice in line["choices"]) == before


def stream_of(server: Server, fields: dict) -> list[str]:
    connection = server.connect()
    connection.request("POST", "/v1/completions", json.dumps(fields), {"Content-Type": "application/json"})
    return connection.getresponse().read().decode().splitlines()


@pytest.mark.parametrize("ask", [chat, messages, responses, ollama_chat])
@STREAMED
@pytest.mark.parametrize("question", [SUM, WEATHER])
def test_max_tokens_cuts_anywhere(server, ask: Callable, stream: bool, question: str):
    """What is said is the beginning of the whole answer, and nothing else: no markup of a call or thought."""
    whole = ask(server, question, stream)
    assert whole.finish != "length"
    limit = 0
    while True:
        limit += 1
        said = ask(server, question, stream, limit=limit)
        if said.finish != "length":
            break
        assert limit < 90
        assert whole.text.startswith(said.text.rstrip()) and whole.reasoning.startswith(said.reasoning.rstrip())
        assert [name for name, _ in said.calls] == [name for name, _ in whole.calls][:len(said.calls)]
        for (_, cut), (_, all_of_it) in zip(said.calls, whole.calls):
            assert cut == "{}" or all_of_it.startswith(cut)  # Anthropic's whole answers and Ollama's hold objects
    assert said == whole and limit > 5
