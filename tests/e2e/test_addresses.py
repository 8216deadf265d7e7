"""How clients find the server: addresses as people write them, and connections as programs hold them."""
import json
import socket

import pytest

from e2e_harness import MODEL, Server

HELLO = {"messages": [{"role": "user", "content": "hello"}], "max_tokens": 4}


@pytest.mark.parametrize("path", ["//v1/models", "/v1/models/", "/models", "/models/", "/v1/v1/models", "//v1//models//"])
def test_spellings_of_a_path(server: Server, path):
    reply = server.get(path)
    assert reply.status == 200 and [model["id"] for model in reply.body["data"]] == [MODEL.name]


@pytest.mark.parametrize("path", ["//v1/chat/completions", "/chat/completions", "/v1/chat/completions/", "/v1/v1/chat/completions"])
def test_chats_at_any_of_them(server: Server, path):
    assert server.post(HELLO, path).body["object"] == "chat.completion"


def test_errors_have_the_shape_of_the_path_that_was_meant(server: Server):
    for path in ("/messages", "//v1/messages/", "/v1/v1/messages"):
        assert server.post({}, path).body["type"] == "error"
    assert server.get("/v2/models").status == 404 and server.get("/v2").status == 404


def test_the_context_by_every_name(server: Server):
    [model] = server.get("/v1/models").body["data"]
    assert model["context_length"] == model["max_model_len"] == model["max_input_tokens"] > 0


@pytest.mark.parametrize("stream", [False, True])
def test_a_client_that_stops_sending_is_answered(server: Server, stream):
    body = json.dumps({**HELLO, "max_tokens": 64, "ignore_eos": True, "stream": stream}).encode()
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as client:
        client.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)
                       + body)
        client.shutdown(socket.SHUT_WR)
        answer = b""
        while piece := client.recv(1 << 16):
            answer += piece
    final = answer[answer.index(b"HTTP/1.1 200 OK"):]
    assert (b"data: [DONE]" if stream else b'"completion_tokens":64') in final


@pytest.mark.parametrize("name", ["a\0b", "\0"])
def test_messages_are_not_cut_at_nul(server: Server, name):
    error = server.post({**HELLO, "model": name}).error
    assert name.replace("\0", "\\u0000") in error["message"] and "this server has" in error["message"]


def test_limits_are_told_in_words(server: Server):
    assert server.post({**HELLO, "temperature": 3}).error["message"] == "'temperature' must be between 0 and 2"
    assert server.post({**HELLO, "timeout": 1e9}).error["message"] == "'timeout' must be between 0.001 and 1000000"
    assert server.post({**HELLO, "repeat_penalty": 0.5}).error["message"].endswith("got 0.5")
