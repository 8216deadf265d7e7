"""Answers that keep to a schema, an expression, a choice or a grammar; calls that must come; thinking with an end."""
import concurrent.futures
import json
import os
import re
from typing import Literal

import jsonschema
import openai
import pydantic
import pytest

from e2e_harness import MODEL, Server
from e2e_schemas import make_schemas

# All of the 1,000 that a release is held to: PIPPIN_TEST_SCHEMAS=1000.
NUM_SCHEMAS = int(os.environ.get("PIPPIN_TEST_SCHEMAS", "200"))
FORMATS = jsonschema.Draft202012Validator.FORMAT_CHECKER


class Item(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid")
    colour: Literal["red", "green", "blue"]
    count: int = pydantic.Field(ge=1, le=20)


class Order(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid")
    name: str = pydantic.Field(max_length=20)
    items: list[Item] = pydantic.Field(min_length=1, max_length=3)
    note: str | None = pydantic.Field(max_length=20)


def sampled(server: Server, content: str = "What is Pippin?", **options):
    options = {"temperature": 1, "max_tokens": 400, "seed": 7, **options}
    return server.client().chat.completions.create(model=MODEL.name, messages=[{"role": "user", "content": content}], **options)


def text_of(answer) -> str:
    assert answer.choices[0].finish_reason == "stop", answer
    return answer.choices[0].message.content


@pytest.mark.parametrize("seed", range(5))
def test_parse_gives_a_model(server, seed):
    answer = server.client().chat.completions.parse(
        model=MODEL.name, messages=[{"role": "user", "content": "I want 3 red circles."}], response_format=Order,
        temperature=1, seed=seed, max_tokens=400)
    assert isinstance(answer.choices[0].message.parsed, Order)


GBNF = r"""
root  ::= value
value ::= "[" (value ("," value)*)? "]" | word
word  ::= [a-z]{1,6} # a word
"""


@pytest.mark.parametrize("options", [{"structured_outputs": {"grammar": GBNF}}, {"guided_grammar": GBNF}, {"grammar": GBNF}])
def test_llama_cpps_grammars_hold(server, options):
    for seed in range(4):
        text = text_of(sampled(server, extra_body=options, seed=seed, max_tokens=1000))
        assert isinstance(json.loads(re.sub("[a-z]+", '"x"', text)), (str, list))
    with pytest.raises(openai.BadRequestError) as refused:
        sampled(server, extra_body={name: "root ::= other" if name != "structured_outputs" else {"grammar": "root ::= other"} for name in options})
    assert "other" in refused.value.message


def test_a_stream_is_the_same(server):
    schema = {"type": "json_schema", "json_schema": {"name": "order", "strict": True, "schema": Order.model_json_schema()}}
    whole = text_of(sampled(server, response_format=schema))
    chunks = list(sampled(server, response_format=schema, stream=True, stream_options={"include_usage": True}))
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == whole
    assert chunks[-1].usage.completion_tokens == sampled(server, response_format=schema).usage.completion_tokens
    Order.model_validate_json(whole)


def test_any_object(server):
    for seed in range(3):
        answer = sampled(server, response_format={"type": "json_object"}, seed=seed, max_tokens=60)
        if answer.choices[0].finish_reason == "stop":
            assert isinstance(json.loads(answer.choices[0].message.content), dict)
        else:
            assert answer.choices[0].message.content.startswith("{")


def test_what_vllms_clients_send(server):
    for body in ({"guided_regex": "[a-c]{3}-[0-9]{2}"}, {"structured_outputs": {"regex": "[a-c]{3}-[0-9]{2}"}}):
        assert re.fullmatch("[a-c]{3}-[0-9]{2}", text_of(sampled(server, extra_body=body)))
    for body in ({"guided_choice": ["positive", "negative"]}, {"structured_outputs": {"choice": ["positive", "negative"]}}):
        assert text_of(sampled(server, extra_body=body)) in ("positive", "negative")
    grammar = 'start: "x" "=" NUMBER\nNUMBER: /[0-9]{1,3}/'
    for body in ({"guided_grammar": grammar}, {"structured_outputs": {"grammar": grammar}}):
        assert re.fullmatch("x=[0-9]{1,3}", text_of(sampled(server, extra_body=body)))
    schema = {"type": "array", "items": {"type": "integer", "minimum": 0, "maximum": 9}, "minItems": 2, "maxItems": 2}
    for body in ({"guided_json": schema}, {"guided_json": json.dumps(schema)}, {"structured_outputs": {"json": schema}}):
        jsonschema.validate(json.loads(text_of(sampled(server, extra_body=body))), schema)


def test_forced_words_are_counted(server):
    """Whatever is forced is part of the answer, of its usage and of its limit."""
    sentence = "The picture shows a cat that sits on a chair by the window and looks at the birds outside."
    answer = sampled(server, extra_body={"guided_choice": [sentence]})
    assert text_of(answer) == sentence and answer.usage.completion_tokens > 15
    cut = sampled(server, extra_body={"guided_choice": [sentence]}, max_tokens=5)
    assert cut.choices[0].finish_reason == "length" and cut.usage.completion_tokens == 5
    assert sentence.startswith(cut.choices[0].message.content)


def test_stop_strings_hold_for_forced_words(server):
    answer = sampled(server, extra_body={"guided_choice": ["one two three four"]}, stop=["three"])
    assert text_of(answer) == "one two "


def test_the_answer_may_be_thought_about_first(server):
    body = {"guided_regex": r"12 \+ 30 = [0-9]{2}"}
    message = server.ask("What is 12 + 30?", extra_body=body, max_tokens=96).choices[0].message
    assert message.content == "12 + 30 = 42" and "42" in message.reasoning_content
    plain = server.ask("What is 12 + 30?", extra_body={**body, "chat_template_kwargs": {"enable_thinking": False}})
    assert re.fullmatch(body["guided_regex"], plain.choices[0].message.content)
    assert not getattr(plain.choices[0].message, "reasoning_content", None)


@pytest.mark.parametrize("name", ["thinking_token_budget", "thinking_budget"])
def test_thinking_has_a_budget(server, name):
    def thought(budget: int | None):
        message = server.ask("What is 12 + 30?", extra_body={} if budget is None else {name: budget}, max_tokens=96).choices[0].message
        return getattr(message, "reasoning_content", None) or "", message.content

    free, answer = thought(None)
    assert len(free) > 8 and "42" in answer
    cut, answer = thought(3)
    assert free.startswith(cut) and len(cut) < len(free) and "<" not in cut and answer and "think>" not in answer
    none, answer = thought(0)
    assert not none and answer
    assert thought(1000)[0] == free


# ---- tools

WEATHER = {"type": "function", "function": {"name": "get_weather", "description": "Get the weather in a city", "parameters": {
    "type": "object", "properties": {"city": {"type": "string", "maxLength": 20}}, "required": ["city"], "additionalProperties": False}}}
ADD = {"type": "function", "function": {"name": "add", "description": "Add two numbers", "parameters": {
    "type": "object", "properties": {"a": {"type": "integer", "minimum": 0, "maximum": 99}, "b": {"type": "integer", "minimum": 0, "maximum": 99}},
    "required": ["a", "b"], "additionalProperties": False}}}


def check_calls(answer, allowed: set[str]) -> list:
    assert answer.choices[0].finish_reason == "tool_calls", answer
    calls = answer.choices[0].message.tool_calls
    assert calls and not answer.choices[0].message.content
    for call in calls:
        tool = {"get_weather": WEATHER, "add": ADD}[call.function.name]
        assert call.function.name in allowed
        jsonschema.validate(json.loads(call.function.arguments), tool["function"]["parameters"])
    return calls


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("choice, allowed", [
    ("required", {"get_weather", "add"}),
    ({"type": "function", "function": {"name": "add"}}, {"add"}),
    ({"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [{"type": "function", "function": {"name": "get_weather"}}]}},
     {"get_weather"})])
def test_calls_are_forced(server, choice, allowed, seed):
    answer = sampled(server, "Hello!", tools=[WEATHER, ADD], tool_choice=choice, parallel_tool_calls=False, seed=seed)
    assert len(check_calls(answer, allowed)) == 1


def test_a_forced_call_is_sensible(server):
    answer = sampled(server, "What is the weather in Paris?", tools=[WEATHER, ADD], tool_choice="required", temperature=0)
    [call] = check_calls(answer, {"get_weather"})
    assert json.loads(call.function.arguments) == {"city": "Paris"}


def test_a_forced_call_needs_no_format(server):
    """Some clients send both, with the same schema: an answer that calls has no text for the format to speak of."""
    schema = {"name": "city", "schema": {"type": "object", "properties": {"town": {"type": "string"}}}}
    answer = sampled(server, "Hello!", tools=[WEATHER], tool_choice="required", response_format={"type": "json_schema", "json_schema": schema})
    check_calls(answer, {"get_weather"})


def test_strict_tools_keep_to_their_schemas(server):
    strict = {**WEATHER, "function": {**WEATHER["function"], "strict": True}}
    answer = sampled(server, "What is the weather in Paris?", tools=[strict], temperature=0)
    check_calls(answer, {"get_weather"})
    assert "Pippin" in text_of(sampled(server, "What is Pippin?", tools=[strict], temperature=0))


def test_json_or_calls(server):
    schema = {"type": "json_schema", "json_schema": {"name": "n", "schema": {"enum": ["left", "right"]}}}
    answer = sampled(server, "What is the weather in Paris?", tools=[WEATHER], response_format=schema, temperature=0)
    check_calls(answer, {"get_weather"})
    assert json.loads(text_of(sampled(server, "Hello!", tools=[WEATHER], tool_choice="none", response_format=schema))) in ("left", "right")


def test_forced_calls_need_a_format_that_is_known():
    with Server("--tool-parser", "none") as server:
        with pytest.raises(openai.BadRequestError) as refused:
            sampled(server, tools=[WEATHER], tool_choice="required")
        assert refused.value.param == "tool_choice" and "format" in refused.value.message


# ---- schemas

def answer_to(server: Server, number: int, schema: dict, refused: str) -> tuple[str, int]:
    """What is wrong with the answer, empty where nothing is; and how often one was cut. An answer that max_tokens cuts says so (finish_reason
    "length"); as a client would, it is asked for again with another seed, twice."""
    for attempt in range(3):
        problem, cut = judge(server, number + 10_000 * attempt, schema, refused)
        if not cut:
            break
    return problem, attempt


def judge(server: Server, seed: int, schema: dict, refused: str) -> tuple[str, bool]:
    body = {"messages": [{"role": "user", "content": "Make something up."}], "temperature": 1, "seed": seed, "max_tokens": 2000,
            "response_format": {"type": "json_schema", "json_schema": {"name": "made_up", "schema": schema}}}
    reply = server.post(body)
    if reply.status == 400 and reply.error["param"] == "response_format.json_schema.schema":
        message = reply.error["message"]
        return ("" if refused and refused in message else f"refused: {message}"), False
    if reply.status != 200:
        return f"status {reply.status}: {reply.body}", False
    [choice] = reply.body["choices"]
    text = choice["message"]["content"]
    if refused:
        return f"answered in spite of {refused}: {text}", False
    if choice["finish_reason"] != "stop":
        return f"{choice['finish_reason']} after {reply.body['usage']['completion_tokens']} tokens: {text[:200]}", True
    try:
        jsonschema.validate(json.loads(text), schema, cls=jsonschema.Draft202012Validator, format_checker=FORMATS)
    except (ValueError, jsonschema.ValidationError) as error:
        return f"invalid: {text[:500]}: {error}", False
    return "", False


def test_made_up_schemas_are_kept_to(server):
    """Sixteen at a time, at temperature 1: every answer is valid, or the schema is refused by the name of what is not supported."""
    schemas = make_schemas(NUM_SCHEMAS)
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        results = list(pool.map(lambda one: answer_to(server, one[0], *one[1]), enumerate(schemas)))
    wrong, again = [problem for problem, _ in results], sum(attempts for _, attempts in results)
    problems = [f"{number}: {json.dumps(schema)}\n  {problem}" for number, ((schema, _), problem)
                in enumerate(zip(schemas, wrong)) if problem]
    print(f"{len(schemas)} schemas, {sum(bool(name) for _, name in schemas)} of them refused; asked again: {again}")
    assert not problems, f"{len(problems)} of {len(schemas)}:\n" + "\n".join(problems[:20])
    assert again <= len(schemas) // 100
