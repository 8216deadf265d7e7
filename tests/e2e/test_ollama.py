"""Ollama's own client against the server."""
import json

import httpx
import ollama
import pytest

from e2e_harness import MODEL, SLOWDOWN, Server
from e2e_pictures import data_url, encoded, shape

NAME = MODEL.name
QUESTION = [{"role": "user", "content": "What is Pippin?"}]
GREEDY = {"temperature": 0, "num_predict": 24}


@pytest.fixture
def client(server: Server) -> ollama.Client:
    return ollama.Client(host=f"http://127.0.0.1:{server.port}", timeout=120 * SLOWDOWN)


def test_a_chat_says_what_openais_does(server, client):
    expected = server.ask(QUESTION[0]["content"], max_tokens=24)
    whole = client.chat(NAME, QUESTION, options=GREEDY)
    assert whole.message.content == expected.choices[0].message.content
    assert whole.message.role == "assistant" and whole.done
    assert whole.prompt_eval_count == expected.usage.prompt_tokens and whole.eval_count == expected.usage.completion_tokens
    assert whole.total_duration >= whole.prompt_eval_duration >= 0 and whole.eval_duration >= 0
    parts = list(client.chat(NAME, QUESTION, options=GREEDY, stream=True))
    assert "".join(part.message.content for part in parts) == whole.message.content
    assert [part.done for part in parts] == [False] * (len(parts) - 1) + [True]
    assert parts[-1].done_reason == whole.done_reason and parts[-1].eval_count == whole.eval_count
    assert len(parts) > 5


def test_a_prompt_is_a_short_chat(client):
    chat = client.chat(NAME, [{"role": "system", "content": "Be brief."}, *QUESTION], options=GREEDY)
    answer = client.generate(NAME, QUESTION[0]["content"], system="Be brief.", options=GREEDY)
    assert answer.response == chat.message.content
    raw = client.generate(NAME, "Pippin is", raw=True, options={**GREEDY, "num_predict": 4}, stream=True)
    assert sum(len(part.response) for part in raw) > 0


def test_a_format_is_kept_to(client):
    schema = {"type": "object", "properties": {"n": {"type": "integer", "minimum": 3, "maximum": 5}}, "required": ["n"],
              "additionalProperties": False}
    answer = client.chat(NAME, QUESTION, format=schema, options={"temperature": 0, "num_predict": 40})
    assert 3 <= json.loads(answer.message.content)["n"] <= 5


def test_a_picture_is_seen(server, client):
    picture = encoded(shape("circle", "red"))
    words = "What is in this picture?"
    expected = server.text([{"type": "image_url", "image_url": {"url": data_url(picture)}}, {"type": "text", "text": words}],
                           max_tokens=24)
    answer = client.chat(NAME, [{"role": "user", "content": words, "images": [picture]}], options=GREEDY)
    assert answer.message.content == expected
    assert client.generate(NAME, words, images=[picture], options=GREEDY).response == expected


def test_tools_and_their_results_are_taken(client):
    def weather(city: str) -> str:
        """What the weather is.

        Args:
            city: where
        """
        return city

    asked = client.chat(NAME, QUESTION, tools=[weather], options=GREEDY)
    assert asked.done
    call = {"function": {"name": "weather", "arguments": {"city": "Paris"}}}
    answer = client.chat(NAME, [*QUESTION, {"role": "assistant", "content": "", "tool_calls": [call]},
                                {"role": "tool", "tool_name": "weather", "content": "rain"}], tools=[weather], options=GREEDY)
    assert answer.done and answer.prompt_eval_count > asked.prompt_eval_count


def test_models_are_told_of(client):
    listed = client.list().models
    assert [model.model for model in listed] == [NAME] and listed[0].size > 0
    running = client.ps().models
    assert [model.name for model in running] == [NAME] and running[0].context_length > 0
    shown = client.show(NAME)
    assert {"completion", "vision"} <= set(shown.capabilities)
    architecture = shown.modelinfo["general.architecture"]
    assert shown.modelinfo[f"{architecture}.context_length"] == running[0].context_length
    assert client.generate(NAME).done_reason == "load"


def test_errors_are_ollamas(client):
    with pytest.raises(ollama.ResponseError, match="other") as unknown:
        client.chat("other", QUESTION)
    assert unknown.value.status_code == 404
    with pytest.raises(ollama.ResponseError, match="options.temperature") as wrong:
        client.chat(NAME, QUESTION, options={"temperature": 9})
    assert wrong.value.status_code == 400


def test_every_field_of_the_client_is_known(server):
    """The client's own request types, with all their fields, under --strict-fields."""
    from ollama import _types as types
    options = {name: None for name in types.Options.model_fields}
    with Server("--strict-fields") as strict:
        for path, kind, given in [("chat", types.ChatRequest, {"messages": QUESTION}), ("generate", types.GenerateRequest, {"prompt": "x"}),
                                  ("show", types.ShowRequest, {})]:
            fields = {name: None for name in kind.model_fields}
            body = {**fields, "model": NAME, "stream": False, **given}
            if "options" in fields:
                body["options"] = {**options, "num_predict": 1, "temperature": 0}
            if path == "show":
                del body["stream"]
            reply = httpx.post(f"http://127.0.0.1:{strict.port}/api/{path}", json=body, timeout=60 * SLOWDOWN)
            assert reply.status_code == 200, reply.text
