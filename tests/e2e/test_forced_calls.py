"""Calls that must come, in every format: the demo model, which saw one of them, is held to each, and what is read of its calls is valid under
the tools' schemas."""
import concurrent.futures
import json
import random

import jsonschema
import openai
import pytest

from e2e_harness import MODEL, SLOWDOWN, Server
from e2e_schemas import Generator

FORMATS = ["hermes", "llama3_json", "qwen3_coder", "minimax", "glm", "kimi_k2", "deepseek", "phi", "command_r", "granite", "nemotron", "mistral",
           "pythonic", "gemma3", "gemma4", "functiongemma"]
# Those whose calls begin with what text may as well begin with.
BARE = {"llama3_json", "command_r", "pythonic", "gemma3"}
CHECKER = jsonschema.Draft202012Validator.FORMAT_CHECKER

MAIL = {"type": "object", "properties": {
    "to": {"type": "string", "pattern": r"^[a-z]{2,8}@[a-z]{2,8}\.(com|org)$"},
    "subject": {"type": "string", "minLength": 1, "maxLength": 12},
    "day": {"type": "string", "format": "date"},
    "cc": {"anyOf": [{"type": "string", "maxLength": 6}, {"type": "null"}]},
    "urgent": {"type": "boolean"},
    "tags": {"type": "array", "items": {"type": "string", "maxLength": 5}, "maxItems": 2},
    "more": {"type": "object", "properties": {"n": {"type": "integer", "minimum": 1, "maximum": 9}, "none": {"type": "null"}},
             "required": ["n", "none"], "additionalProperties": False}},
    "required": ["to", "subject", "day", "cc", "urgent", "tags", "more"], "additionalProperties": False}
NOW = {"type": "object", "properties": {}, "additionalProperties": False}


def tool(name: str, parameters: dict, **more) -> dict:
    return {"type": "function", "function": {"name": name, "description": name, "parameters": parameters, **more}}


def ask(server: Server, tools: list[dict], seed: int, **options):
    return server.client().chat.completions.create(
        model=MODEL.name, messages=[{"role": "user", "content": "What is the weather in Paris?"}], tools=tools, temperature=1, seed=seed,
        **{"max_tokens": 700, **options})


def check(answer, parameters: dict[str, dict]) -> list:
    """Every call of the answer keeps to its tool's schema; there is no more to it, unless it was cut."""
    [choice] = answer.choices
    if choice.finish_reason == "length":
        return []
    assert choice.finish_reason == "tool_calls", answer
    assert not choice.message.content, answer
    for call in choice.message.tool_calls:
        jsonschema.validate(json.loads(call.function.arguments), parameters[call.function.name],
                            cls=jsonschema.Draft202012Validator, format_checker=CHECKER)
    return choice.message.tool_calls


def made_up(count: int) -> list[dict]:
    """Tools' schemas of growing difficulty. Names of arguments are plain: some formats write them without quotes."""
    dice, schemas = random.Random(5), []
    while len(schemas) < count:
        made = Generator(dice, len(schemas) / count)
        schema = made.object(1 + round(2 * made.difficulty))
        if "properties" in schema and "patternProperties" not in json.dumps(schema):
            schemas.append({**schema, **({"$defs": made.definitions} if made.definitions else {})})
    return json.loads(json.dumps(schemas).replace("unit\\u00e9", "unit"))


def answered(server: Server, number: int, parameters: dict) -> str:
    """What is wrong with the answer; of those that are cut, "cut"."""
    try:
        answer = ask(server, [tool("made_up", parameters)], number, tool_choice="required", parallel_tool_calls=False)
        return "" if check(answer, {"made_up": parameters}) else "cut"
    except (openai.BadRequestError, AssertionError, ValueError, jsonschema.ValidationError) as error:
        return f"{number}: {json.dumps(parameters)}\n  {error}"


@pytest.mark.parametrize("parser", FORMATS)
def test_calls_are_forced(parser):
    with Server("--tool-parser", parser) as server:
        parameters = {"mail": MAIL, "now": NOW}
        tools = [tool(name, schema) for name, schema in parameters.items()]
        for seed in range(2):
            check(ask(server, tools, seed, tool_choice="required"), parameters)
            for name in parameters:
                named = {"type": "function", "function": {"name": name}}
                [call] = check(ask(server, tools, seed, tool_choice=named, parallel_tool_calls=False), parameters)
                assert call.function.name == name
        strict = [tool("mail", MAIL, strict=True)]
        if parser in BARE:
            with pytest.raises(openai.BadRequestError) as refused:
                ask(server, strict, 0)
            assert refused.value.param == "tools" and "strict" in refused.value.message
        else:
            for call in ask(server, strict, 0).choices[0].message.tool_calls or []:
                jsonschema.validate(json.loads(call.function.arguments), MAIL)
        streamed(server, tools)
        schemas = made_up(16 if SLOWDOWN < 8 else 4)  # values are proved by the release
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            wrong = [problem for problem in pool.map(lambda one: answered(server, *one), enumerate(schemas)) if problem]
        assert wrong.count("cut") < max(2, len(schemas) // 4)
        assert set(wrong) <= {"cut"}, "\n".join(wrong)


def streamed(server: Server, tools: list[dict]) -> None:
    """The pieces of a stream are the answer."""
    options = {"tool_choice": {"type": "function", "function": {"name": "mail"}}, "parallel_tool_calls": False}
    [choice] = ask(server, tools, 3, **options).choices
    pieces = [chunk.choices[0].delta for chunk in ask(server, tools, 3, stream=True, **options) if chunk.choices]
    parts = [part.function.arguments or "" for delta in pieces for part in delta.tool_calls or []]
    assert "".join(parts) == choice.message.tool_calls[0].function.arguments


@pytest.mark.parametrize("parser, schema, keyword", [
    ("pythonic", {"type": "object", "patternProperties": {"^a": {"type": "string"}}}, "patternProperties"),
    ("gemma4", {"type": "array", "items": {"type": "string"}, "uniqueItems": True}, "uniqueItems"),
    ("glm", {"type": "string", "format": "regex"}, "format"),
    ("qwen3_coder", {"not": {"type": "string"}}, "not")])
def test_what_cant_be_kept_to_is_named(parser, schema, keyword):
    with Server("--tool-parser", parser) as server:
        parameters = {"type": "object", "properties": {"x": schema}, "required": ["x"]}
        with pytest.raises(openai.BadRequestError) as refused:
            ask(server, [tool("f", parameters, strict=True)], 0, tool_choice="required")
        assert refused.value.param.startswith("tools.0.function.parameters") and keyword in refused.value.message
        # Without "strict" the tool is kept, with what can be kept of its schema.
        ignored = server.post({"messages": [{"role": "user", "content": "Go."}], "tools": [tool("f", parameters)], "tool_choice": "required",
                               "max_tokens": 1}).headers["X-Pippin-Ignored"]
        assert ignored.startswith("tools.0.function.parameters")
