"""Tokens, templates and what the server says of itself."""
from e2e_harness import MODEL

HELLO = [{"role": "user", "content": "What is Pippin?"}]


def test_tokens_go_there_and_back(server):
    for text in ("What is Pippin?", "Größe 苹果 🙂\n"):
        told = server.post({"model": MODEL.name, "prompt": text, "return_token_strs": True}, path="/tokenize").body
        assert told["count"] == len(told["tokens"]) == len(told["token_strs"])
        assert server.post({"tokens": told["tokens"]}, path="/detokenize").body["prompt"] == text
    assert server.post({"content": "What is Pippin?"}, path="/tokenize").body["tokens"] == \
        server.post({"prompt": "What is Pippin?", "add_special_tokens": False}, path="/tokenize").body["tokens"]


def test_a_chat_is_rendered_as_it_is_answered(server):
    prompt = server.post({"messages": HELLO}, path="/apply-template").body["prompt"]
    tokens = server.post({"messages": HELLO}, path="/tokenize").body
    assert "What is Pippin?" in prompt
    assert server.post({"tokens": tokens["tokens"]}, path="/detokenize").body["prompt"] == prompt
    assert tokens["count"] == server.ask("What is Pippin?", max_tokens=1).usage.prompt_tokens


def test_errors_name_the_field(server):
    assert server.post({"tokens": [99999999]}, path="/detokenize").error["param"] == "tokens"
    assert server.post({"prompt": "x", "model": "gpt-9"}, path="/tokenize").status == 404
    assert server.post({"messages": []}, path="/apply-template").error["param"] == "messages"


def test_the_server_says_what_it_can(server):
    told = server.get("/v1/capabilities").body
    assert told["model"] == MODEL.name and "text" in told["modalities"]["input"]
    assert "POST /v1/chat/completions" in told["routes"] and "GET /v1/capabilities" in told["routes"]
    assert "logprobs" in told["fields"]["/v1/chat/completions"]
    assert server.get("/version").body["version"]
