"""How answers end in every dialect, whole and streamed: what they say, and what ended them."""
import json
from typing import Iterator, NamedTuple

from e2e_harness import Server

QUESTION = "Hello"


class Ending(NamedTuple):
    """Of an answer."""
    text: str  # or a call's arguments
    reason: str  # as it is told; empty where an error is
    error: str = ""  # its message
    status: int = 200


def told(ending: Ending, body: dict) -> Ending:
    """With the error that a body or an event is."""
    error = body["error"]
    return ending._replace(reason="", error=error if isinstance(error, str) else error["message"])


def chat_ending(events: Iterator[dict]) -> Ending:
    """Of chat completions and completions; a whole answer is one event."""
    ending = Ending("", "")
    for event in events:
        if "error" in event:
            return told(ending, event)
        for choice in event["choices"]:
            said = choice.get("delta") or choice.get("message") or {"content": choice.get("text")}
            arguments = "".join(call["function"].get("arguments") or "" for call in said.get("tool_calls") or [])
            ending = ending._replace(text=ending.text + (said.get("content") or "") + arguments, reason=choice["finish_reason"] or ending.reason)
    return ending


def messages_ending(events: Iterator[dict]) -> Ending:
    ending = Ending("", "")
    for event in events:
        if event["type"] == "error":
            return told(ending, event)
        if event["type"] == "message":
            blocks = [block["text"] if block["type"] == "text" else json.dumps(block["input"]) for block in event["content"]
                      if block["type"] in ("text", "tool_use")]
            return Ending("".join(blocks), event["stop_reason"])
        delta = event.get("delta", {})
        ending = ending._replace(text=ending.text + (delta.get("text") or delta.get("partial_json") or ""),
                                 reason=delta.get("stop_reason") or ending.reason)
    return ending


def responses_ending(events: Iterator[dict]) -> Ending:
    pieces = ""
    for event in events:
        if event.get("type", "").endswith(("output_text.delta", "function_call_arguments.delta")):
            pieces += event["delta"]
        answer = event.get("response", event)
        if answer.get("error"):
            return told(Ending(pieces, ""), answer)
        if answer.get("status") in ("completed", "incomplete"):
            texts = [item["arguments"] if item["type"] == "function_call" else item["content"][0]["text"] for item in answer["output"]
                     if item["type"] in ("function_call", "message")]
            return Ending("".join(texts), answer["status"])
    return Ending(pieces, "")


def ollama_ending(events: Iterator[dict]) -> Ending:
    ending = Ending("", "")
    for event in events:
        if "error" in event:
            return told(ending, event)
        said = event["message"]["content"] if "message" in event else event["response"]
        ending = ending._replace(text=ending.text + said, reason=event.get("done_reason") or ending.reason)
    return ending


READERS = {"/v1/chat/completions": chat_ending, "/v1/completions": chat_ending, "/v1/messages": messages_ending,
           "/v1/responses": responses_ending, "/api/chat": ollama_ending, "/api/generate": ollama_ending}


def events_of(response) -> Iterator[dict]:
    """Of a stream, or of a whole answer."""
    for line in response.read().decode().splitlines():
        if line.startswith("{"):
            yield json.loads(line)
        elif line.startswith("data: {"):
            yield json.loads(line[6:])


def ending_of(server: Server, path: str, fields: dict) -> Ending:
    connection = server.connect()
    connection.request("POST", path, json.dumps(fields), {"Content-Type": "application/json"})
    response = connection.getresponse()
    ending = READERS[path](events_of(response)) if response.status == 200 else told(Ending("", ""), json.loads(response.read()))
    connection.close()
    return ending._replace(status=response.status)


def says_whole(ending: Ending) -> bool:
    """Whether the server says that the answer ended by itself."""
    return ending.reason in ("stop", "tool_calls", "end_turn", "tool_use", "completed")


def restricted(form: str, pattern: str) -> dict[str, tuple[str, dict]]:
    """Requests of all dialects whose answers keep to a regular expression: name -> path and fields. `form` is regex, schema or tool; not every
    dialect has each."""
    text = {"type": "string", "pattern": pattern}
    parameters = {"type": "object", "properties": {"x": text}, "required": ["x"], "additionalProperties": False}
    format = {"type": "json_schema", "json_schema": {"name": "x", "schema": text}}
    chat = {"messages": [{"role": "user", "content": QUESTION}]}
    function = {"name": "look", "parameters": parameters}
    forced = {"tools": [{"type": "function", "function": function}], "tool_choice": "required"}
    if form == "regex":
        return {"chat": ("/v1/chat/completions", {**chat, "guided_regex": pattern}),
                "completions": ("/v1/completions", {"prompt": QUESTION, "guided_regex": pattern})}
    if form == "schema":
        return {"chat": ("/v1/chat/completions", {**chat, "response_format": format}),
                "completions": ("/v1/completions", {"prompt": QUESTION, "response_format": format}),
                "messages": ("/v1/messages", {**chat, "output_config": {"format": {"type": "json_schema", "schema": text}}}),
                "responses": ("/v1/responses", {"input": QUESTION, "text": {"format": {"type": "json_schema", "name": "x", "schema": text}}}),
                "ollama chat": ("/api/chat", {**chat, "format": text}),
                "ollama prompt": ("/api/generate", {"prompt": QUESTION, "format": text})}
    return {"chat": ("/v1/chat/completions", {**chat, **forced}),
            "messages": ("/v1/messages", {**chat, "tools": [{"name": "look", "input_schema": parameters}], "tool_choice": {"type": "any"}}),
            "responses": ("/v1/responses", {"input": QUESTION, "tools": [{"type": "function", **function}], "tool_choice": "required"})}


def sampled(path: str, seed: int, limit: int) -> dict:
    """As hot as it may be, in the dialect's words."""
    if path.startswith("/api/"):
        return {"options": {"temperature": 1, "seed": seed, "num_predict": limit}}
    return {"temperature": 1, "max_output_tokens" if path == "/v1/responses" else "max_tokens": limit,
            **({"seed": seed} if path in ("/v1/chat/completions", "/v1/completions") else {})}
