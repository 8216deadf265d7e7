"""A session as OpenCode holds it, written from its source and that of the AI SDK's provider for OpenAI-compatible servers, through
which it speaks: taken whole, whatever is asked, and each turn reads from the cache all that the one before read. Among tools that
are described at such length the demo model says things that no tokenizer would cut as they came; so that what was said is read
from the cache, too, is seen with the same tools in few words."""
import json
import uuid

import pytest

from e2e_chats import Turn, chat, function_tools
from e2e_harness import MODEL, Server
from e2e_pictures import RED_CIRCLE, data_url

TEXT, NUMBER, FLAG = {"type": "string"}, {"type": "number"}, {"type": "boolean"}
TODO = {"type": "array", "items": {"type": "object", "additionalProperties": False, "required": ["content", "status", "priority"],
                                   "properties": {"content": TEXT, "status": TEXT, "priority": TEXT}}}
QUESTION = {"type": "array", "items": {"type": "object", "required": ["question", "options"], "properties": {
    "question": TEXT, "options": {"type": "array", "items": {"type": "object", "properties": {"label": TEXT}}}}}}
# In the order of their names, as they are sent: the program's own, and those of two MCP servers.
TOOLS = function_tools([
    ("bash", "Runs a command in the shell.", {"command": TEXT, "timeout": NUMBER, "workdir": TEXT, "description": TEXT},
     ["command", "description"]),
    ("edit", "Replaces text in a file.", {"filePath": TEXT, "oldString": TEXT, "newString": TEXT, "replaceAll": FLAG},
     ["filePath", "oldString", "newString"]),
    ("github_create_issue", "Creates an issue.", {"repo": TEXT, "title": TEXT, "body": TEXT}, ["repo", "title"]),
    ("github_get_issue", "Reads an issue.", {"repo": TEXT, "number": NUMBER}, ["repo", "number"]),
    ("github_list_issues", "Lists issues.", {"repo": TEXT, "state": {"enum": ["open", "closed"]}}, ["repo"]),
    ("github_list_pulls", "Lists pull requests.", {"repo": TEXT}, ["repo"]),
    ("github_search_code", "Searches code.", {"query": TEXT}, ["query"]),
    ("glob", "Finds files by name.", {"pattern": TEXT, "path": TEXT}, ["pattern"]),
    ("grep", "Searches in files.", {"pattern": TEXT, "path": TEXT, "include": TEXT}, ["pattern"]),
    ("list", "Lists a folder.", {"path": TEXT, "ignore": {"type": "array", "items": TEXT}}, []),
    ("lsp_diagnostics", "Tells what the compiler says.", {"path": TEXT}, ["path"]),
    ("postgres_describe", "Describes a table.", {"table": TEXT}, ["table"]),
    ("postgres_query", "Runs a query.", {"sql": TEXT}, ["sql"]),
    ("question", "Asks the user.", {"questions": QUESTION}, ["questions"]),
    ("read", "Reads a file.", {"filePath": TEXT, "offset": NUMBER, "limit": NUMBER}, ["filePath"]),
    ("skill", "Loads a skill.", {"name": TEXT}, ["name"]),
    ("task", "Lets a subagent do something.", {"description": TEXT, "prompt": TEXT, "subagent_type": TEXT},
     ["description", "prompt", "subagent_type"]),
    ("todoread", "Reads the list of todos.", {}, []),
    ("todowrite", "Writes the list of todos.", {"todos": TODO}, ["todos"]),
    ("webfetch", "Fetches a page.", {"url": TEXT, "format": {"type": "string", "enum": ["text", "markdown", "html"], "default": "markdown"}},
     ["url"]),
    ("websearch", "Searches the web.", {"query": TEXT, "numResults": NUMBER}, ["query"]),
    ("write", "Writes a file.", {"content": TEXT, "filePath": TEXT}, ["content", "filePath"]),
], **{"$schema": "http://json-schema.org/draft-07/schema#", "additionalProperties": False})
FEW_WORDS = [{"type": "function", "function": {"name": tool["function"]["name"], "description": tool["function"]["name"], "parameters": {
    "type": "object", "properties": {}}}} for tool in TOOLS] + function_tools([
        ("get_weather", "Get the weather in a city", {"city": TEXT}, ["city"])], additionalProperties=False)
SYSTEM = ("You are opencode, an interactive CLI tool that helps users with software engineering tasks. Answer in few words. Prefer "
          "reading to guessing.\n" * 3 + "\nHere is some useful information about the environment you are running in:\n<env>\n"
          "  Working directory: /work\n  Is directory a git repo: yes\n  Platform: linux\n  Today's date: Tue Nov 24 2026\n</env>\n"
          "<files>\n  src/\n    main.cpp\n</files>\nInstructions from: /work/AGENTS.md\n# Rules\n- Run the tests.\n")
TITLE_SYSTEM = "You are a title generator. You output ONLY a thread title. Nothing else.\n\n<rules>\n- At most 50 characters.\n</rules>"


@pytest.fixture(scope="module")
def strict_server():
    with Server("--strict-fields", "--served-model-name", MODEL.name, "--served-model-name", "claude-local") as running:
        yield running


def headers(session: str) -> dict[str, str]:
    return {"authorization": "Bearer none", "x-session-affinity": session, "X-Session-Id": session, "accept": "*/*",
            "user-agent": "opencode/1.4.3 ai-sdk/openai-compatible/2.0.41 ai-sdk/provider-utils/4.0.19 runtime/bun/1.3.9"}


def body(messages: list[dict], **more) -> dict:
    """Members that are undefined in the client are not sent; the limit is the one that its configuration gives the model."""
    return {"max_tokens": 128, "temperature": 0, "messages": messages, "stream_options": {"include_usage": True}, **more}


def ask(server: Server, session: str, messages: list[dict], **more) -> Turn:
    return chat(server, body(messages, **{"tools": TOOLS, "tool_choice": "auto", **more}), headers(session))


def repaired(function: dict) -> dict:
    """The call as it is sent back: its arguments parsed and written anew, and where they can't be, of the tool for that."""
    try:
        name, arguments = function["name"], json.loads(function["arguments"])
    except json.JSONDecodeError as error:
        name, arguments = "invalid", {"tool": function["name"], "error": f"JSON parsing failed: {error.msg}"}
    return {"name": name, "arguments": json.dumps(arguments, separators=(",", ":"), ensure_ascii=False)}


def told_on(turn: Turn) -> list[dict]:
    """The answer as the provider sends it back, and each call's result."""
    message = {"role": "assistant", "content": turn.message["content"] or (None if turn.calls else "")}
    if "reasoning_content" in turn.message:
        message["reasoning_content"] = turn.message["reasoning_content"]
    results = []
    for number, call in enumerate(turn.calls):
        message.setdefault("tool_calls", []).append({**call, "function": repaired(call["function"])})
        results.append({"role": "tool", "tool_call_id": call["id"], "content": f"<file>\n0000{number}| int main() {{}}\n</file>"})
    return [message, *results]


def test_a_session(strict_server):
    session = f"ses_{uuid.uuid4().hex}"
    messages = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": "Read the file src/main.cpp."}]
    first = ask(strict_server, session, messages)
    assert first.usage["prompt_tokens"] > 1500
    # A title is asked for beside the first turn.
    title = chat(strict_server, {"max_tokens": 32000, "temperature": 0.5, "stream_options": {"include_usage": True}, "messages": [
        {"role": "system", "content": TITLE_SYSTEM}, {"role": "user", "content": "Generate a title for this conversation:\n"},
        messages[-1]]}, headers(session))
    assert title.message["content"]

    # Turns go on until one calls nothing; here one that answers, and one more.
    messages += told_on(first)
    if not first.calls:
        messages.append({"role": "user", "content": "continue"})
    second = ask(strict_server, session, messages)
    assert second.cached >= first.usage["prompt_tokens"] - 1
    # A file that the user names comes as what reading it gave, in parts of one message.
    messages += [*told_on(second), {"role": "user", "content": [
        {"type": "text", "text": "What is in @src/main.cpp?"},
        {"type": "text", "text": "Called the Read tool with the following input: {\"filePath\":\"/work/src/main.cpp\"}"},
        {"type": "text", "text": "<file>\n00001| int main() {}\n</file>"}]}]
    third = ask(strict_server, session, messages)
    assert third.cached >= second.usage["prompt_tokens"] - 1


def test_a_session_whose_calls_are_looked_at(strict_server):
    messages = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": "What is the weather in Paris?"}]
    first = ask(strict_server, "ses_0", messages, tools=FEW_WORDS)
    assert first.finish_reason == "tool_calls" and json.loads(first.calls[0]["function"]["arguments"]) == {"city": "Paris"}
    messages += told_on(first)
    messages[-1]["content"] = json.dumps({"weather": "sunny", "temperature": 21})
    second = ask(strict_server, "ses_0", messages, tools=FEW_WORDS)
    assert second.finish_reason == "stop" and second.cached >= first.usage["total_tokens"] - 2
    messages += [*told_on(second), {"role": "user", "content": "What is Pippin?"}]
    assert ask(strict_server, "ses_0", messages, tools=FEW_WORDS).cached >= second.usage["total_tokens"] - 2


def test_pictures_that_tools_read(strict_server):
    """A tool's result is text; its pictures follow in a user's message."""
    session = f"ses_{uuid.uuid4().hex}"
    call = {"id": "call_1", "type": "function", "function": {"name": "read", "arguments": "{\"filePath\":\"/work/a.png\"}"}}
    messages = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": "Look at a.png"},
                {"role": "assistant", "content": None, "tool_calls": [call]},
                {"role": "tool", "tool_call_id": "call_1", "content": "Image read successfully"},
                {"role": "user", "content": [{"type": "text", "text": "Attached image(s) from tool result:"},
                                             {"type": "image_url", "image_url": {"url": data_url(RED_CIRCLE)}}]}]
    first = ask(strict_server, session, messages)
    second = ask(strict_server, session, [*messages, *told_on(first), {"role": "user", "content": "continue"}])
    assert second.cached >= first.usage["prompt_tokens"]


def test_breakpoints_of_models_that_are_named_after_claude(strict_server):
    """It marks the ends of what shall be cached in messages, or in their last part."""
    mark = {"cache_control": {"type": "ephemeral"}}
    messages = [{"role": "system", "content": SYSTEM, **mark}, {"role": "user", "content": "What is Pippin?", **mark}]
    first = ask(strict_server, "ses_1", messages, model="claude-local")
    messages += [{**told_on(first)[0], **mark}, {"role": "user", "content": [
        {"type": "text", "text": "What colour is it?"}, {"type": "image_url", "image_url": {"url": data_url(RED_CIRCLE)}, **mark}]}]
    second = ask(strict_server, "ses_1", messages, model="claude-local")
    assert second.cached >= first.usage["prompt_tokens"] - 1


def test_what_a_model_may_be_configured_with(strict_server):
    messages = [{"role": "user", "content": "What is Pippin?"}]
    for variant in ({"reasoning_effort": "high"}, {"top_p": 0.95, "frequency_penalty": 0.1}, {"seed": 7, "stop": ["\n\n"]}, {"user": "u"},
                    {"chat_template_kwargs": {"enable_thinking": False}}, {"response_format": {"type": "json_object"}}):
        assert chat(strict_server, body(messages, **variant), headers("ses_2")).usage["completion_tokens"] > 0
    refused = strict_server.post({"model": MODEL.name, "messages": messages, "chat_template_args": {"enable_thinking": True}})
    assert refused.status == 400 and "chat_template_args" in refused.error["message"]


def test_compaction(strict_server):
    """A long session is told again in a summary, by another system prompt and without tools."""
    messages = [{"role": "system", "content": "You are a helpful AI assistant tasked with summarizing conversations."},
                {"role": "user", "content": "What is Pippin?"}, {"role": "assistant", "content": "A server."},
                {"role": "user", "content": "Provide a detailed prompt for continuing our conversation above."}]
    assert chat(strict_server, body(messages), headers("ses_3")).message["content"]
