"""Streamed chats, put together again as clients do that send the conversation back."""
import json
from typing import NamedTuple

import jsonschema

from e2e_harness import MODEL, Server

_TEXT = {"type": ["string", "null"]}
_NUMBER = {"type": ["number", "null"]}
_CALL = {"type": "object", "required": ["function"], "properties": {"index": _NUMBER, "id": _TEXT, "function": {
    "type": "object", "properties": {"name": _TEXT, "arguments": _TEXT}}}}
_DELTA = {"type": ["object", "null"], "properties": {"role": {"enum": ["assistant", "", None]}, "content": _TEXT, "reasoning_content": _TEXT,
                                                     "tool_calls": {"type": ["array", "null"], "items": _CALL}}}
_USAGE = {"type": ["object", "null"], "properties": {
    "prompt_tokens": _NUMBER, "completion_tokens": _NUMBER, "total_tokens": _NUMBER,
    "prompt_tokens_details": {"type": ["object", "null"], "properties": {"cached_tokens": _NUMBER}},
    "completion_tokens_details": {"type": ["object", "null"], "properties": {"reasoning_tokens": _NUMBER}}}}
# What the strictest of these clients, the AI SDK's provider for OpenAI-compatible servers, takes as a chunk.
CHUNK = jsonschema.Draft202012Validator({
    "type": "object", "required": ["choices"], "properties": {
        "id": _TEXT, "created": _NUMBER, "model": _TEXT, "usage": _USAGE, "choices": {"type": "array", "items": {
            "type": "object", "properties": {"delta": _DELTA, "finish_reason": _TEXT}}}}})


class Turn(NamedTuple):
    """One answer."""
    message: dict  # as the client keeps it
    usage: dict
    finish_reason: str
    ignored: str | None  # the names in X-Pippin-Ignored

    @property
    def cached(self) -> int:
        return self.usage["prompt_tokens_details"]["cached_tokens"]

    @property
    def calls(self) -> list[dict]:
        return self.message.get("tool_calls", [])


def sent(server: Server, path: str, body: dict, headers: dict[str, str]) -> tuple[list[dict], str | None]:
    """The events' data of a streamed answer, and what of the request was passed over."""
    connection = server.connect()
    connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json", **headers})
    response = connection.getresponse()
    text = response.read().decode()
    assert response.status == 200, text
    connection.close()
    lines = [line[len("data: "):] for line in text.splitlines() if line.startswith("data: ")]
    return [json.loads(line) for line in lines if line != "[DONE]"], response.headers["X-Pippin-Ignored"]


def folded(chunks: list[dict]) -> Turn:
    message, usage, reason = {"role": "assistant", "content": ""}, None, None
    for chunk in chunks:
        CHUNK.validate(chunk)
        usage = chunk.get("usage") or usage
        for choice in chunk["choices"]:
            delta, reason = choice["delta"], choice["finish_reason"] or reason
            message["content"] += delta.get("content") or ""
            if delta.get("reasoning_content"):
                message["reasoning_content"] = message.get("reasoning_content", "") + delta["reasoning_content"]
            for piece in delta.get("tool_calls") or []:
                calls = message.setdefault("tool_calls", [])
                if piece["index"] == len(calls):
                    calls.append({"id": piece["id"], "type": "function",
                                  "function": {"name": piece["function"]["name"], "arguments": ""}})
                calls[piece["index"]]["function"]["arguments"] += piece["function"]["arguments"]
    assert usage and reason
    return Turn(message, usage, reason, None)


def chat(server: Server, body: dict, headers: dict[str, str] | None = None) -> Turn:
    """One streamed turn, whose last chunk has the usage."""
    chunks, ignored = sent(server, "/v1/chat/completions", {"model": MODEL.name, **body, "stream": True}, headers or {})
    return folded(chunks)._replace(ignored=ignored)


def function_tools(named: list[tuple[str, str, dict[str, dict], list[str]]], **more) -> list[dict]:
    """Tools of (name, description, properties, required)."""
    return [{"type": "function", "function": {"name": name, "description": description, "parameters": {
        "type": "object", "properties": properties, "required": required, **more}}}
            for name, description, properties, required in named]
