"""Requests as LangChain's ChatOpenAI and OpenAI classes make them, written from its source: agents' loops, structured output by either
way, and texts."""
import json

import jsonschema
import pytest

from e2e_chats import chat, function_tools
from e2e_harness import MODEL, Server

TEXT = {"type": "string"}
NAMES = ["calculator", "wikipedia", "arxiv", "requests_get", "requests_post", "python_repl", "terminal", "read_file", "write_file", "list_directory",
         "copy_file", "delete_file", "move_file", "file_search", "sql_db_query", "sql_db_schema", "sql_db_list_tables", "sql_db_query_checker",
         "google_search", "human"]
TOOLS = function_tools([(name, f"Useful for {name.replace('_', ' ')}.", {"query": {**TEXT, "description": "Input to the tool"}}, ["query"])
                        for name in NAMES] + [("get_weather", "Get the weather in a city", {"city": TEXT}, ["city"])])
PERSON = {"title": "Person", "description": "A person.", "type": "object", "properties": {
    "name": {"description": "The name", "title": "Name", "maxLength": 20, **TEXT},
    "age": {"anyOf": [{"type": "integer", "minimum": 0, "maximum": 150}, {"type": "null"}], "title": "Age"}},
    "required": ["name", "age"], "additionalProperties": False}


@pytest.fixture(scope="module")
def strict_server():
    with Server("--strict-fields") as running:
        yield running


def test_an_agents_loop(strict_server):
    """Streamed, with the usage in the stream (stream_usage)."""
    def body(messages: list[dict]) -> dict:
        return {"messages": messages, "temperature": 0.0, "max_completion_tokens": 64, "tools": TOOLS, "parallel_tool_calls": False,
                "stream_options": {"include_usage": True}}

    # Keys in the order of its dicts: content first.
    messages = [{"content": "You are a helpful assistant. Use the tools that you have. " * 8, "role": "system"},
                {"content": "What is the weather in Paris?", "role": "user"}]
    first = chat(strict_server, body(messages))
    assert first.calls and first.usage["prompt_tokens"] > 1000
    calls = [{"type": "function", "id": call["id"], "function": call["function"]} for call in first.calls]
    messages += [{"content": None, "role": "assistant", "tool_calls": calls},
                 *({"content": json.dumps({"weather": "sunny", "temperature": 21}), "role": "tool", "tool_call_id": call["id"]} for call in calls)]
    second = chat(strict_server, body(messages))
    assert second.cached >= first.usage["total_tokens"] - 2
    messages += [{"content": second.message["content"], "role": "assistant"}, {"content": "What is Pippin?", "role": "user", "name": "ada"}]
    assert chat(strict_server, body(messages)).cached >= first.usage["prompt_tokens"]


def test_structured_output_by_schema(strict_server):
    body = {"messages": [{"content": "Ada is 36.", "role": "user"}], "model": MODEL.name, "max_completion_tokens": 64, "stream": False, "temperature": 0,
            "response_format": {"type": "json_schema", "json_schema": {"name": "Person", "description": "A person.", "strict": True, "schema": PERSON}}}
    reply = strict_server.post(body)
    assert reply.status == 200, reply.body
    jsonschema.validate(json.loads(reply.body["choices"][0]["message"]["content"]), PERSON)


@pytest.mark.parametrize("choice", [{"type": "function", "function": {"name": "Person"}}, "required"])
def test_structured_output_by_a_call(strict_server, choice):
    """with_structured_output(method="function_calling"), and bind_tools(tool_choice="any")."""
    tool = {"type": "function", "function": {"name": "Person", "description": "A person.", "parameters": PERSON}}
    body = {"messages": [{"content": "Ada is 36.", "role": "user"}], "model": MODEL.name, "max_completion_tokens": 96, "temperature": 0, "tools": [tool],
            "tool_choice": choice, "parallel_tool_calls": False}
    reply = strict_server.post(body)
    assert reply.status == 200, reply.body
    (call,) = reply.body["choices"][0]["message"]["tool_calls"]
    assert call["function"]["name"] == "Person"
    jsonschema.validate(json.loads(call["function"]["arguments"]), PERSON)


def test_texts(strict_server):
    """The OpenAI class, whose defaults are all sent."""
    body = {"model": MODEL.name, "prompt": ["What is Pippin?", "hello"], "max_tokens": 16, "temperature": 0.7, "top_p": 1, "frequency_penalty": 0,
            "presence_penalty": 0, "n": 1, "best_of": 1, "seed": None, "logprobs": None, "logit_bias": {}, "user": "ada", "stop": None}
    reply = strict_server.post(body, "/v1/completions")
    assert reply.status == 200, reply.body
    assert [choice["index"] for choice in reply.body["choices"]] == [0, 1]
