"""Bad requests: each is answered with a 4xx that names the field, quickly, and the server goes on."""
import struct
import zlib

import pytest

from e2e_harness import SLOWDOWN, Server
from e2e_pictures import RED_CIRCLE, data_url, encoded

HELLO = [{"role": "user", "content": "hello"}]


def huge_png() -> bytes:
    """A PNG whose header promises 60,000 x 60,000 pixels."""
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)) +
            chunk(b"IDAT", zlib.compress(b"\0" * 1000)) + chunk(b"IEND", b""))


def with_picture(url: str) -> dict:
    return {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": url}}]}]}


def with_file(file: bytes) -> dict:
    return with_picture(data_url(file))


PICTURE = "messages.0.content.0.image_url"
CASES = {
    "malformed JSON": (b'{"messages": [', 400, "body"),
    "no JSON at all": (b"hello", 400, "body"),
    "an empty body": (b"", 400, "body"),
    "a list": (b"[]", 400, "body"),
    "deep nesting": (b"[" * 100_000, 400, "body"),
    "invalid UTF-8": (b'{"messages": [{"role": "user", "content": "\xff\xfe"}]}', 400, "body"),
    "a lone surrogate": (b'{"messages": [{"role": "user", "content": "\\ud800"}]}', 400, "body"),
    "no messages": ({}, 400, "messages"),
    "empty messages": ({"messages": []}, 400, "messages"),
    "messages of the wrong type": ({"messages": "hello"}, 400, "messages"),
    "a message of the wrong type": ({"messages": ["hello"]}, 400, "messages.0"),
    "a role of the wrong type": ({"messages": [{"role": 1, "content": "x"}]}, 400, "messages.0.role"),
    "an unknown role": ({"messages": [{"role": "robot", "content": "x"}]}, 400, "messages.0.role"),
    "content of the wrong type": ({"messages": [{"role": "user", "content": 5}]}, 400, "messages.0.content"),
    "an unknown part": ({"messages": [{"role": "user", "content": [{"type": "hologram"}]}]}, 400,
                        "messages.0.content.0.type"),
    "audio": ({"messages": [{"role": "user", "content": [{"type": "input_audio", "input_audio": {}}]}]}, 400,
              "messages.0.content.0.type"),
    "a temperature of the wrong type": ({"messages": HELLO, "temperature": "hot"}, 400, "temperature"),
    "a temperature out of range": ({"messages": HELLO, "temperature": 3}, 400, "temperature"),
    "a negative max_tokens": ({"messages": HELLO, "max_tokens": -5}, 400, "max_tokens"),
    "stream of the wrong type": ({"messages": HELLO, "stream": "yes"}, 400, "stream"),
    "too many answers": ({"messages": HELLO, "n": 129}, 400, "n"),
    "logprobs without being asked for": ({"messages": HELLO, "top_logprobs": 2}, 400, "top_logprobs"),
    "an unknown format": ({"messages": HELLO, "response_format": {"type": "yaml"}}, 400, "response_format.type"),
    "a schema that can't be kept to": ({"messages": HELLO, "response_format": {"type": "json_schema", "json_schema": {
        "name": "x", "schema": {"type": "array", "uniqueItems": True}}}}, 400, "response_format.json_schema.schema"),
    "a broken regex": ({"messages": HELLO, "structured_outputs": {"regex": "("}}, 400, "structured_outputs.regex"),
    "two formats": ({"messages": HELLO, "guided_regex": "a", "guided_choice": ["a"]}, 400, "guided_choice"),
    "a negative budget": ({"messages": HELLO, "thinking_token_budget": -1}, 400, "thinking_token_budget"),
    "a penalty out of range": ({"messages": HELLO, "frequency_penalty": 2.5}, 400, "frequency_penalty"),
    "a bias of an unknown token": ({"messages": HELLO, "logit_bias": {"99999999": 1}}, 400, "logit_bias"),
    "a forced tool without tools": ({"messages": HELLO, "tool_choice": "required"}, 400, "tool_choice"),
    "an unknown model": ({"messages": HELLO, "model": "gpt-9"}, 404, "model"),
    "a prompt longer than the context": ({"messages": [{"role": "user", "content": "word " * 100_000}]}, 400, "messages"),
    "a body of 20 MB": ({"messages": [{"role": "user", "content": "x" * 20_000_000}]}, 413, "body"),
    "a truncated PNG": (with_file(encoded(RED_CIRCLE, "PNG")[:-40]), 400, PICTURE),
    "a truncated JPEG": (with_file(encoded(RED_CIRCLE, "JPEG")[:400]), 400, PICTURE),
    "an empty picture": (with_file(b""), 400, PICTURE),
    "no picture at all": (with_file(b"hello"), 400, PICTURE),
    "a picture of 60,000 x 60,000": (with_file(huge_png()), 413, PICTURE),
    "broken base64": (with_picture("data:image/png;base64,?!"), 400, PICTURE),
    "a file URL": (with_picture("file:///etc/passwd"), 400, PICTURE),
    "a path": (with_picture("/etc/passwd"), 400, PICTURE),
    "a link-local URL": (with_picture("http://169.254.169.254/latest/meta-data"), 400, PICTURE),
    "a loopback URL": (with_picture("http://127.0.0.1:1/x.png"), 400, PICTURE),
    "another scheme": (with_picture("gopher://example.com/x"), 400, PICTURE),
    "a URL of the wrong type": (with_picture(7), 400, PICTURE + ".url"),
}


@pytest.mark.parametrize("name", CASES)
def test_bad_requests_are_named(server: Server, name: str):
    body, status, field = CASES[name]
    for stream in (False, True):
        if isinstance(body, dict):
            body = {**body, "stream": body.get("stream", stream)}
        reply = server.post(body)
        assert reply.status == status, reply.body
        assert reply.error["param"] == field, reply.error
        assert reply.error["type"] == "invalid_request_error" and reply.error["message"]
        assert reply.seconds < 1 * SLOWDOWN, f"took {reply.seconds:.2f} s"
    assert server.health()["status"] == "ok"


def test_unknown_paths_and_methods(server: Server):
    assert server.get("/v1/nothing").status == 404
    reply = server.get("/v1/chat/completions")
    assert reply.status == 405 and reply.headers["Allow"] == "POST"


@pytest.mark.parametrize("path, body", [
    ("/v1/chat/completions", {"messages": [{"role": "user", "content": "word " * 5_000}]}),
    ("/v1/completions", {"prompt": "word " * 5_000}),
    ("/v1/responses", {"input": "word " * 5_000}),
    ("/v1/messages", {"max_tokens": 5, "messages": [{"role": "user", "content": "word " * 5_000}]})])
def test_agents_are_told_that_a_prompt_is_too_long(server: Server, path: str, body: dict):
    """By the code or the words that make them shorten the conversation."""
    reply = server.post(body, path=path)
    assert reply.status == 400
    assert reply.error["message"].removeprefix("messages: ").startswith("prompt is too long: 5")
    if path != "/v1/messages":
        assert reply.error["code"] == "context_length_exceeded"


def test_it_still_answers(server: Server):
    """Runs after the others: what they sent has left no trace."""
    assert "MLX" in server.text("What is Pippin?")
    health = server.wait_until_idle()
    assert health["pages"]["free"] + health["pages"]["cached"] == health["pages"]["total"]


def test_strict_servers_refuse_unknown_fields():
    with Server("--strict-fields", "--served-model-name", "tiny", "--max-body-mb", "1") as server:
        reply = server.post({"model": "tiny", "messages": HELLO, "tempature": 1})
        assert reply.status == 400 and reply.error["param"] == "tempature"
        assert server.post({"model": "tiny", "messages": HELLO, "user": "me", "max_tokens": 1}).status == 200
        assert server.get("/v1/models").body["data"][0]["id"] == "tiny"
        assert server.post({"messages": [{"role": "user", "content": "x" * 2_000_000}]}).status == 413
