"""Requests as Claude Code and Codex send them, written from their public documentation and source: taken whole, and the
second turn of a session reads from the cache all that the first one read. What the demo model says to a result among so many tools
is not looked at."""
import json
import uuid

import pytest

from e2e_harness import MODEL, Server

SYSTEM = ("You are an interactive agent that helps with tasks of software engineering. Use the tools that you have. "
          "Be brief, and say where you found what you say. ") * 6
FILES = [("Read", "file_path"), ("Write", "file_path"), ("Edit", "file_path"), ("Glob", "pattern"), ("Grep", "pattern"),
         ("NotebookEdit", "path"), ("WebFetch", "url"), ("TodoWrite", "todos"), ("Task", "prompt"), ("Bash", "command"),
         ("BashOutput", "id"), ("KillShell", "id"), ("Skill", "name"), ("SlashCommand", "command"), ("ExitPlanMode", "plan"),
         ("mcp__git__log", "path"), ("mcp__git__diff", "path"), ("mcp__git__show", "ref"), ("mcp__db__query", "sql"),
         ("mcp__web__search", "query"), ("ListFiles", "path")]
QUESTION = "What is the weather in Paris?"
RESULT = json.dumps({"weather": "sunny", "temperature": 21})


def tools() -> list[tuple[str, str, dict]]:
    """Name, description and schema of more than twenty tools."""
    named = [(name, f"{name}: {argument}.", argument) for name, argument in FILES]
    named.append(("get_weather", "Get the weather in a city", "city"))
    # The demo model bears no more of such members.
    own = {"additionalProperties": False, "$schema": "http://json-schema.org/draft-07/schema#"}
    return [(name, description, {"type": "object", "properties": {argument: {"type": "string"}}, "required": [argument],
                                 **(own if name in ("Read", "Write", "Edit") else {})})
            for name, description, argument in named]


@pytest.fixture(scope="module")
def agents_server():
    with Server("--strict-fields") as running:
        yield running


def claude_code(turns: list[dict], session: str) -> tuple[dict, dict]:
    """Headers and body as of Claude Code 2, with another nonce at the head of each; top_k makes answers repeatable."""
    breakpoint = {"cache_control": {"type": "ephemeral"}}
    messages = [dict(turn) for turn in turns]
    messages[-1] = {**messages[-1], "content": [*messages[-1]["content"][:-1], {**messages[-1]["content"][-1], **breakpoint}]}
    headers = {"anthropic-version": "2023-06-01", "authorization": "Bearer none", "x-app": "cli",
               "anthropic-beta": "claude-code-20250219,interleaved-thinking-2025-05-14,context-management-2025-06-27,"
                                 "prompt-caching-scope-2026-01-05,effort-2025-11-24",
               "anthropic-dangerous-direct-browser-access": "true", "user-agent": "claude-cli/2.1.177 (external, cli)",
               "x-stainless-lang": "js", "x-stainless-retry-count": "0", "x-stainless-timeout": "600"}
    head = f"x-anthropic-billing-header: cc_version=2.1.177.{uuid.uuid4().hex[:3]}; cc_entrypoint=cli; cch={uuid.uuid4().hex[:5]};"
    body = {"model": MODEL.name, "max_tokens": 32000, "stream": True, "messages": messages, "temperature": 1, "top_k": 1,
            "system": [{"type": "text", "text": head},
                       {"type": "text", "text": "You are Claude Code, Anthropic's official CLI for Claude.", **breakpoint},
                       {"type": "text", "text": SYSTEM, "cache_control": {"type": "ephemeral", "ttl": "1h"}}],
            "tools": [{"name": name, "description": description, "input_schema": schema}
                      for name, description, schema in tools()],
            "metadata": {"user_id": json.dumps({"device_id": "d", "account_uuid": "", "session_id": session})},
            "thinking": {"type": "adaptive"}, "output_config": {"effort": "medium"},
            "context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]}}
    return headers, body


def stream_of(server: Server, path: str, body: dict, headers: dict | None = None) -> list[dict]:
    """The events' data."""
    connection = server.connect()
    connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json", **(headers or {})})
    response = connection.getresponse()
    text = response.read().decode()
    assert response.status == 200 and "X-Pippin-Ignored" not in response.headers, text
    connection.close()
    lines = [line[len("data: "):] for line in text.splitlines() if line.startswith("data: ")]
    return [json.loads(line) for line in lines if line != "[DONE]"]


def folded_message(events: list[dict]) -> tuple[list[dict], dict, str]:
    """The content as the client sends it back, the usage, and the stop reason."""
    usage = events[0]["message"]["usage"]
    content, inputs, reason = [], {}, None
    for event in events:
        if event["type"] == "content_block_start":
            content.append(dict(event["content_block"]))
            inputs[event["index"]] = ""
        elif event["type"] == "content_block_delta":
            delta, block = event["delta"], content[event["index"]]
            if delta["type"] == "input_json_delta":
                inputs[event["index"]] += delta["partial_json"]
            else:
                key = {"text_delta": "text", "thinking_delta": "thinking", "signature_delta": "signature"}[delta["type"]]
                block[key] += delta[key]
        elif event["type"] == "content_block_stop" and content[event["index"]]["type"] == "tool_use":
            content[event["index"]]["input"] = json.loads(inputs[event["index"]])
        elif event["type"] == "message_delta":
            usage, reason = {**usage, **event["usage"]}, event["delta"]["stop_reason"]
    return content, usage, reason


def test_claude_code(agents_server):
    session = str(uuid.uuid4())
    reminder = {"type": "text", "text": "<system-reminder>\nThe folder is /work.\n</system-reminder>"}
    turns = [{"role": "user", "content": [reminder]}, {"role": "user", "content": [{"type": "text", "text": QUESTION}]}]
    headers, body = claude_code(turns, session)
    counted = agents_server.post({key: body[key] for key in ("model", "messages", "system", "tools", "thinking")},
                                 "/v1/messages/count_tokens?beta=true", headers).body["input_tokens"]
    content, first, reason = folded_message(stream_of(agents_server, "/v1/messages?beta=true", body, headers))
    assert reason == "tool_use" and content[-1]["input"] == {"city": "Paris"}
    assert first["input_tokens"] + first["cache_read_input_tokens"] == counted > 1500

    result = {"type": "tool_result", "tool_use_id": content[-1]["id"], "content": RESULT}
    turns += [{"role": "assistant", "content": content}, {"role": "user", "content": [result]}]
    headers, body = claude_code(turns, session)
    content, second, reason = folded_message(stream_of(agents_server, "/v1/messages?beta=true", body, headers))
    assert reason in ("end_turn", "tool_use", "max_tokens") and content
    assert second["cache_read_input_tokens"] >= counted + first["output_tokens"] - 2

    turns[-1]["content"].append({"type": "text", "text": "What is Pippin?"})
    headers, body = claude_code(turns, session)
    _, third, _ = folded_message(stream_of(agents_server, "/v1/messages?beta=true", body, headers))
    assert third["cache_read_input_tokens"] >= counted


def test_claude_codes_smaller_requests(agents_server):
    headers, _ = claude_code([{"role": "user", "content": [{"type": "text", "text": "x"}]}], "s")
    quota = {"model": MODEL.name, "max_tokens": 1, "messages": [{"role": "user", "content": "quota"}],
             "metadata": {"user_id": "u"}}
    assert agents_server.post(quota, "/v1/messages?beta=true", headers).status == 200
    title = {"model": MODEL.name, "max_tokens": 32, "temperature": 0, "stream": True, "tools": [],
             "system": [{"type": "text", "text": "Write a title of few words."}],
             "messages": [{"role": "user", "content": [{"type": "text", "text": QUESTION}]}], "metadata": {"user_id": "u"}}
    content, _, reason = folded_message(stream_of(agents_server, "/v1/messages?beta=true", title, headers))
    assert [block["type"] for block in content] == ["text"] and reason in ("end_turn", "max_tokens")


def codex(items: list[dict], session: str) -> dict:
    """The body of Codex's requests: it keeps the conversation itself."""
    head = [{"type": "message", "role": "developer", "content": [{"type": "input_text", "text": "<permissions>\n"}]},
            {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "<environment_context>\n  <cwd>/work</cwd>"}]}]
    return {"model": MODEL.name, "instructions": SYSTEM, "input": head + items, "tool_choice": "auto", "parallel_tool_calls": False,
            "tools": [{"type": "function", "name": name, "description": description, "strict": False, "parameters": schema}
                      for name, description, schema in tools()],
            "reasoning": {"effort": "medium", "summary": "auto"}, "store": False, "stream": True,
            "include": ["reasoning.encrypted_content"], "prompt_cache_key": session, "text": {"verbosity": "medium"}}


def codex_turn(server: Server, items: list[dict], session: str) -> tuple[list[dict], dict]:
    headers = {"originator": "codex_cli_rs", "user-agent": "codex_cli_rs/0.77.0", "session_id": session,
               "conversation_id": session, "accept": "text/event-stream", "authorization": "Bearer none"}
    events = stream_of(server, "/v1/responses", codex(items, session), headers)
    assert events[-1]["type"] == "response.completed"
    done = [event["item"] for event in events if event["type"] == "response.output_item.done"]
    # As Codex stores them: without ids and status, reasoning without its raw text.
    keep = [{key: value for key, value in item.items() if key not in ("id", "status")} for item in done]
    for item in keep:
        if item["type"] == "reasoning":
            del item["content"]
    return keep, events[-1]["response"]["usage"]


def test_codex(agents_server):
    session = str(uuid.uuid4())
    items = [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": QUESTION}]}]
    said, first = codex_turn(agents_server, items, session)
    assert json.loads(said[-1]["arguments"]) == {"city": "Paris"} and first["input_tokens"] > 1500
    items += [*said, {"type": "function_call_output", "call_id": said[-1]["call_id"], "output": RESULT}]
    said, second = codex_turn(agents_server, items, session)
    assert said and second["input_tokens_details"]["cached_tokens"] >= first["total_tokens"] - 2


def test_claude_code_loads_tools(agents_server):
    """Newer ones keep tools back until the model searches for them; then they stand among the others, in the order of their names. The
    prompt begins as before all the same, and the model is told of them where they were found."""
    headers, body = claude_code([{"role": "user", "content": [{"type": "text", "text": QUESTION}]}], "s")
    body["tools"] = [{"name": "ToolSearch", "description": "Finds tools.", "input_schema": {"type": "object", "properties": {"query": {"type": "string"}}}},
                     {"name": "DeferredToolPlaceholder", "description": "Never call it.", "input_schema": {"type": "object", "properties": {}},
                      "defer_loading": True}]
    body["messages"].append({"role": "system", "content": "The following deferred tools are now available: get_weather"})
    body["thinking"] = {"type": "adaptive", "display": "omitted"}
    headers["anthropic-beta"] += ",mid-conversation-tool-changes-2026-07-01,advanced-tool-use-2025-11-20"
    _, first, _ = folded_message(stream_of(agents_server, "/v1/messages?beta=true", body, headers))
    read = first["input_tokens"] + first["cache_read_input_tokens"]

    weather = next(tool for tool in tools() if tool[0] == "get_weather")
    body["tools"].append({"name": weather[0], "description": weather[1], "input_schema": weather[2], "defer_loading": True})
    body["messages"] += [
        {"role": "assistant", "content": [{"type": "tool_use", "id": "toolu_1", "name": "ToolSearch", "input": {"query": "select:get_weather"}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_1", "content": [
            {"type": "tool_reference", "tool_name": "get_weather"}]}, {"type": "text", "text": QUESTION}]}]
    _, second, _ = folded_message(stream_of(agents_server, "/v1/messages?beta=true", body, headers))
    assert second["cache_read_input_tokens"] >= read - 16
    assert second["input_tokens"] + second["cache_read_input_tokens"] > read + 40  # the definition is read


def test_codex_groups_tools(agents_server):
    """Newer ones send functions of several agents in a namespace."""
    agents = {"type": "namespace", "name": "weather", "description": "Of the weather.", "tools": [
        {"type": "function", "name": "get_weather", "description": "Get the weather in a city", "strict": False, "parameters": {
            "type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"], "additionalProperties": False}}]}
    body = codex([{"type": "message", "role": "user", "content": [{"type": "input_text", "text": QUESTION}]}], "s")
    body |= {"tools": [agents], "tool_choice": "required", "parallel_tool_calls": True}
    first = stream_of(agents_server, "/v1/responses", body)[-1]["response"]
    call = first["output"][-1]
    assert (call["type"], call["namespace"], call["name"]) == ("function_call", "weather", "get_weather")
    assert list(json.loads(call["arguments"])) == ["city"]
    kept = [{key: value for key, value in item.items() if key not in ("id", "status")} for item in first["output"]]
    body["input"] += [*kept, {"type": "function_call_output", "call_id": call["call_id"], "output": RESULT}]
    body["tool_choice"] = "auto"
    usage = stream_of(agents_server, "/v1/responses", body)[-1]["response"]["usage"]
    assert usage["input_tokens_details"]["cached_tokens"] >= first["usage"]["input_tokens"] - 1
