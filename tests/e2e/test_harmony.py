"""gpt-oss's format, where each mark of a message is one special token: a budget for its thoughts, forced answers, stop tokens.

The model is the demo model with these tokens added and a template that speaks the format, so what it thinks makes no sense; what
is asked of the server's part in it can be told for sure.
"""
import json
import pathlib
from typing import Iterator

import pytest

from e2e_harness import MODEL, Server

MARKS = ["<|start|>", "<|end|>", "<|message|>", "<|channel|>", "<|constrain|>", "<|return|>", "<|call|>"]
TEMPLATE = """\
{%- for m in messages -%}
{%- if m.thinking -%}{{ '<|start|>assistant<|channel|>analysis<|message|>' + m.thinking + '<|end|>' }}{%- endif -%}
{%- set channel = '<|channel|>final' if m.role == 'assistant' else '' -%}
{{- '<|start|>' + m.role + channel + '<|message|>' + m.content + '<|end|>' -}}
{%- endfor -%}
{{- '<|start|>assistant' -}}
{%- if enable_thinking is defined and enable_thinking -%}{{- '<|channel|>analysis<|message|>' -}}{%- endif -%}
"""
CLOSE = "<|end|><|start|>assistant<|channel|>final<|message|>"
THINKING = {"chat_template_kwargs": {"enable_thinking": True}}  # the template opens the thought
TOOL = {"type": "function", "function": {"name": "now", "parameters": {
    "type": "object", "properties": {"zone": {"enum": ["UTC"]}}, "required": ["zone"], "additionalProperties": False}}}
FREE = {"ignore_eos": True}  # nothing but the budget ends a thought


def write_model(folder: pathlib.Path) -> None:
    for file in MODEL.iterdir():
        if file.name not in ("tokenizer.json", "chat_template.jinja"):
            (folder / file.name).symlink_to(file)
    tokenizer = json.loads((MODEL / "tokenizer.json").read_text())
    first = 1 + max(max(tokenizer["model"]["vocab"].values()), *(token["id"] for token in tokenizer["added_tokens"]))
    plain = {"special": True, "normalized": False, "lstrip": False, "rstrip": False, "single_word": False}
    tokenizer["added_tokens"] += [{"id": first + number, "content": mark, **plain} for number, mark in enumerate(MARKS)]
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    (folder / "chat_template.jinja").write_text(TEMPLATE)


@pytest.fixture(scope="module")
def harmony(tmp_path_factory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("model") / "harmony"
    folder.mkdir()
    write_model(folder)
    with Server(model=folder) as running:
        yield running


def answer(server: Server, **fields) -> dict:
    """The choice, and what it used, of one greedy answer."""
    body = {"messages": [{"role": "user", "content": "What is 12 + 30?"}], "temperature": 0, "max_tokens": 40, **fields}
    reply = server.post(body)
    assert reply.status == 200, reply.body
    return {**reply.body["choices"][0], "usage": reply.body["usage"]}


def tokens(server: Server, text: str) -> list[int]:
    return server.post({"prompt": text, "add_special_tokens": False}, "/tokenize").body["tokens"]


def test_the_format_is_found_and_its_marks_are_tokens(harmony):
    told = harmony.get("/v1/capabilities").body
    assert (told["tool_parser"], told["reasoning_parser"]) == ("harmony", "harmony")
    for mark in MARKS:
        assert len(tokens(harmony, mark)) == 1


@pytest.mark.parametrize("budget", [1, 6])
@pytest.mark.parametrize("stream", [False, True])
def test_a_budget_closes_the_thought_by_its_tokens(harmony, budget, stream):
    endless = answer(harmony, **THINKING, **FREE)
    assert endless["message"]["reasoning_content"] and not endless["message"]["content"]
    if stream:
        client = harmony.client()
        events = client.chat.completions.create(
            model="harmony", messages=[{"role": "user", "content": "What is 12 + 30?"}], temperature=0, max_tokens=40, stream=True,
            extra_body={**THINKING, **FREE, "thinking_budget": budget})
        deltas = [event.choices[0].delta for event in events if event.choices]
        thought = "".join(getattr(delta, "reasoning_content", None) or "" for delta in deltas)
        said = "".join(delta.content or "" for delta in deltas)
    else:
        choice = answer(harmony, **THINKING, **FREE, thinking_budget=budget, return_token_ids=True)
        ids, close = choice["token_ids"], tokens(harmony, CLOSE)
        assert ids[budget:budget + len(close)] == close and not set(ids[:budget]) & set(close)
        assert choice["usage"]["completion_tokens_details"]["reasoning_tokens"] <= budget
        thought, said = choice["message"]["reasoning_content"], choice["message"]["content"]
    assert endless["message"]["reasoning_content"].startswith(thought.strip())
    assert len(thought) < len(endless["message"]["reasoning_content"])
    assert said and "<|" not in thought + said


def test_a_budget_of_none_answers_at_once(harmony):
    for opened in ({}, THINKING):
        message = answer(harmony, **opened, **FREE, thinking_budget=0)["message"]
        assert message["content"] and not message.get("reasoning_content")


def test_structured_output_follows_a_closed_thought(harmony):
    schema = {"type": "object", "properties": {"sum": {"type": "integer"}}, "required": ["sum"], "additionalProperties": False}
    choice = answer(harmony, **THINKING, thinking_budget=5, max_tokens=96,
                    response_format={"type": "json_schema", "json_schema": {"name": "sum", "schema": schema}})
    assert choice["finish_reason"] == "stop"
    assert list(json.loads(choice["message"]["content"])) == ["sum"]
    assert choice["usage"]["completion_tokens_details"]["reasoning_tokens"] <= 5


def test_a_forced_call_follows_a_closed_thought(harmony):
    choice = answer(harmony, **THINKING, thinking_budget=5, max_tokens=96, tools=[TOOL], tool_choice="required")
    assert choice["finish_reason"] == "tool_calls" and not choice["message"]["content"]
    (call,) = choice["message"]["tool_calls"]
    assert call["function"]["name"] == "now" and json.loads(call["function"]["arguments"]) == {"zone": "UTC"}
    assert choice["usage"]["completion_tokens_details"]["reasoning_tokens"] <= 5


def test_offered_tools_follow_a_closed_thought(harmony):
    choice = answer(harmony, **THINKING, **FREE, thinking_budget=5, tools=[TOOL])
    assert choice["usage"]["completion_tokens_details"]["reasoning_tokens"] <= 5
    assert choice["message"]["content"] or choice["message"]["tool_calls"]


@pytest.mark.parametrize("words", ["<|end|> ends a message", "<|channel|>analysis<|message|>", "<|return|>", "é<|call|>梨"])
def test_text_that_spells_a_mark_is_content(harmony, words):
    for budget in (0, 3):
        choice = answer(harmony, **THINKING, thinking_budget=budget, max_tokens=96, structured_outputs={"choice": [words]})
        assert choice["message"]["content"] == words and choice["finish_reason"] == "stop"


def test_the_formats_own_stop_tokens_end_an_answer(harmony):
    """The checkpoint's generation_config.json does not name them."""
    for mark in ("<|return|>", "<|call|>"):
        (token,) = tokens(harmony, mark)
        choice = answer(harmony, logit_bias={token: 100})
        assert choice["finish_reason"] == "stop" and choice["usage"]["completion_tokens"] == 1


def test_anthropics_budget_is_the_same(harmony):
    body = {"model": "harmony", "max_tokens": 40, "messages": [{"role": "user", "content": "What is 12 + 30?"}], "temperature": 0,
            "thinking": {"type": "enabled", "budget_tokens": 4}}
    reply = harmony.post(body, "/v1/messages")
    assert reply.status == 200, reply.body
    full = harmony.post({**body, "thinking": {"type": "enabled", "budget_tokens": 1000}}, "/v1/messages").body["content"]
    thought, said = ("".join(block.get(kind, "") for block in reply.body["content"]) for kind in ("thinking", "text"))
    assert full[0]["thinking"].startswith(thought) and 0 < len(thought) < len(full[0]["thinking"])
    assert said and reply.body["usage"]["output_tokens_details"]["thinking_tokens"] <= 4
