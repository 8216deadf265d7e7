"""Anthropic's Messages API, through the anthropic client with strict validation."""
import base64
import json

import anthropic
import pytest

from e2e_harness import MODEL, Server
from e2e_pictures import RED_CIRCLE, encoded

WEATHER = {"name": "get_weather", "description": "Get the weather in a city", "input_schema": {
    "type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}}
WEATHER_IN_PARIS = "What is the weather in Paris?"
SUM = "What is 12 + 30?"
PICTURE = {"type": "image", "source": {"type": "base64", "media_type": "image/png",
                                       "data": base64.b64encode(encoded(RED_CIRCLE)).decode()}}
GREEDY = {"temperature": 0}  # the client's newest version has no argument for it


def request(messages: list | str, **options) -> dict:
    messages = [{"role": "user", "content": messages}] if isinstance(messages, str) else messages
    return {"model": MODEL.name, "max_tokens": 96, "messages": messages, "extra_body": GREEDY, **options}


def ask(server: Server, messages: list | str, **options) -> anthropic.types.Message:
    return server.anthropic().messages.create(**request(messages, **options))


def prompt_tokens(usage) -> int:
    return usage.input_tokens + usage.cache_read_input_tokens + usage.cache_creation_input_tokens


def content_of(message: anthropic.types.Message) -> list[dict]:
    """The blocks without what differs from answer to answer."""
    return [block.model_dump(exclude={"id"}, exclude_none=True) for block in message.content]


def test_an_answer_has_anthropics_form(server):
    raw = server.anthropic().messages.with_raw_response.create(**request("What is Pippin?"))
    answer = raw.parse()
    assert answer.type == "message" and answer.role == "assistant" and answer.model == MODEL.name
    assert answer.id.startswith("msg_") and raw.headers["request-id"]
    [block] = answer.content
    assert block.type == "text" and "MLX" in block.text
    assert answer.stop_reason == "end_turn" and answer.stop_sequence is None
    assert answer.usage.output_tokens > 0 and answer.usage.cache_creation_input_tokens == 0


@pytest.mark.parametrize("question, options", [
    ("What is Pippin?", {}), (SUM, {"thinking": {"type": "adaptive"}}), (WEATHER_IN_PARIS, {"tools": [WEATHER]}),
    ("Weather in Oslo. And What is the weather in Rome?", {"tools": [WEATHER]}), ("What is Pippin?", {"max_tokens": 3})])
def test_streamed_is_not_streamed(server, question, options):
    whole = ask(server, question, **options)
    with server.anthropic().messages.stream(**request(question, **options)) as stream:
        names = [event.type for event in stream]
        streamed = stream.get_final_message()
    assert content_of(streamed) == content_of(whole)
    assert (streamed.stop_reason, streamed.stop_sequence) == (whole.stop_reason, whole.stop_sequence)
    assert streamed.usage.output_tokens == whole.usage.output_tokens
    assert prompt_tokens(streamed.usage) == prompt_tokens(whole.usage)
    assert names[0] == "message_start" and names[-1] == "message_stop"
    assert names.count("content_block_start") == names.count("content_block_stop") == len(whole.content)


def test_events_come_in_anthropics_order(server):
    connection = server.connect()
    body = request(SUM, stream=True, thinking={"type": "enabled", "budget_tokens": 1024}, **GREEDY)
    del body["extra_body"]
    connection.request("POST", "/v1/messages", json.dumps(body), {"Content-Type": "application/json"})
    text = connection.getresponse().read().decode()
    events = [json.loads(event.split("\ndata: ")[1]) for event in text.split("\n\n") if event.startswith("event: ")]
    kinds = [event.get("delta", {}).get("type", event["type"]) for event in events]
    assert kinds[:3] == ["message_start", "content_block_start", "ping"]
    runs = [kind for kind, before in zip(kinds, [None, *kinds]) if kind != before]
    assert runs[3:] == ["thinking_delta", "signature_delta", "content_block_stop", "content_block_start", "text_delta",
                        "content_block_stop", "message_delta", "message_stop"]
    assert events[0]["message"]["content"] == [] and events[0]["message"]["stop_reason"] is None
    connection.close()


def test_it_thinks_only_when_asked_to(server):
    plain = ask(server, SUM)
    assert [block.type for block in plain.content] == ["text"] and "42" in plain.content[0].text
    thought, said = ask(server, SUM, thinking={"type": "enabled", "budget_tokens": 1024}).content
    assert thought.type == "thinking" and "42" in thought.thinking and thought.signature
    assert said.type == "text" and "42" in said.text


def test_a_tool_is_called_and_answered(server):
    options = {"tools": [WEATHER], "thinking": {"type": "adaptive"}}
    first = ask(server, WEATHER_IN_PARIS, **options)
    assert first.stop_reason == "tool_use"
    call = first.content[-1]
    assert (call.type, call.name, call.input) == ("tool_use", "get_weather", {"city": "Paris"})
    result = {"type": "tool_result", "tool_use_id": call.id,
              "content": [{"type": "text", "text": json.dumps({"weather": "sunny", "temperature": 21})}]}
    final = ask(server, [{"role": "user", "content": WEATHER_IN_PARIS}, {"role": "assistant", "content": first.content},
                         {"role": "user", "content": [result]}], **options)
    assert final.stop_reason == "end_turn" and "sunny" in final.content[-1].text
    # All that the first turn read and wrote, but for the token that ended it.
    assert final.usage.cache_read_input_tokens >= prompt_tokens(first.usage) + first.usage.output_tokens - 2


def test_arguments_stream_as_they_are_generated(server):
    with server.anthropic().messages.stream(**request(WEATHER_IN_PARIS, tools=[WEATHER])) as stream:
        pieces = [event.partial_json for event in stream if event.type == "input_json"]
    assert len(pieces) > 3 and json.loads("".join(pieces)) == {"city": "Paris"}


def test_no_tool_is_called_when_none_may_be(server):
    answer = ask(server, WEATHER_IN_PARIS, tools=[WEATHER], tool_choice={"type": "none"})
    assert [block.type for block in answer.content] == ["text"]


@pytest.mark.parametrize("choice", [{"type": "any"}, {"type": "tool", "name": "get_weather"}])
def test_a_call_can_be_forced(server, choice):
    answer = ask(server, "What is Pippin?", tools=[WEATHER], tool_choice=choice)
    assert answer.stop_reason == "tool_use" and answer.content[-1].name == "get_weather"
    assert list(answer.content[-1].input) == ["city"]


def test_json_of_a_schema_is_said(server):
    schema = {"type": "object", "properties": {"colour": {"enum": ["red", "blue"]}}, "required": ["colour"],
              "additionalProperties": False}
    answer = ask(server, "What colour is the sky?", output_config={"format": {"type": "json_schema", "schema": schema}})
    assert json.loads(answer.content[-1].text)["colour"] in ("red", "blue")


def test_a_budget_ends_thinking(server):
    thought, said = ask(server, SUM, thinking={"type": "enabled", "budget_tokens": 4}).content
    full = ask(server, SUM, thinking={"type": "enabled", "budget_tokens": 1024}).content[0]
    assert thought.type == "thinking" and len(thought.thinking) < len(full.thinking) and said.type == "text"


def test_one_call_at_a_time(server):
    answer = ask(server, "Weather in Oslo. And What is the weather in Rome?", tools=[WEATHER],
                 tool_choice={"type": "auto", "disable_parallel_tool_use": True})
    assert [block.input for block in answer.content if block.type == "tool_use"] == [{"city": "Oslo"}]
    server.wait_until_idle()


def test_a_stop_sequence_is_named(server):
    full = ask(server, "What is Pippin?").content[0].text
    word = full.split()[3]
    answer = ask(server, "What is Pippin?", stop_sequences=["never seen", word])
    assert (answer.stop_reason, answer.stop_sequence) == ("stop_sequence", word)
    assert answer.content[0].text == full[:full.index(word)]


def test_max_tokens_ends_the_answer(server):
    answer = ask(server, "What is Pippin?", max_tokens=3)
    assert answer.stop_reason == "max_tokens" and answer.usage.output_tokens == 3


def test_it_sees_pictures(server):
    content = [PICTURE, {"type": "text", "text": "What colour is it?"}]
    assert "red" in ask(server, [{"role": "user", "content": content}]).content[0].text.lower()
    by_url = {"type": "image", "source": {"type": "url", "url": "data:image/png;base64," + PICTURE["source"]["data"]}}
    again = ask(server, [{"role": "user", "content": [by_url, content[1]]}])
    assert "red" in again.content[0].text.lower() and again.usage.cache_read_input_tokens > 16


@pytest.mark.parametrize("content, options", [
    ("What is 7 + 5?", {}), ("What is 8 + 5?", {"system": [{"type": "text", "text": "Answer in few words."}], "tools": [WEATHER]}),
    ([{"type": "text", "text": "Look: what shape is it?"}, PICTURE], {"thinking": {"type": "adaptive"}})])
def test_tokens_are_counted_as_they_are_used(server, content, options):
    messages = [{"role": "user", "content": content}]
    counted = server.anthropic().messages.count_tokens(model=MODEL.name, messages=messages, **options).input_tokens
    answer = ask(server, messages, max_tokens=1, **options)
    assert counted == prompt_tokens(answer.usage)


def test_what_was_not_cached_is_input(server):
    with Server() as own:
        question = "What is 9 + 5?"
        counted = own.anthropic().messages.count_tokens(model=MODEL.name, messages=request(question)["messages"]).input_tokens
        first = ask(own, question, max_tokens=1)
        assert first.usage.input_tokens == counted and first.usage.cache_read_input_tokens == 0
        again = ask(own, question, max_tokens=1)
        assert again.usage.input_tokens == 1 and again.usage.cache_read_input_tokens == counted - 1


def test_tokens_are_counted_beyond_the_context(server):
    text = "A long text. " * 5000
    assert server.anthropic().messages.count_tokens(model=MODEL.name, messages=request(text)["messages"]).input_tokens > 10000
    with pytest.raises(anthropic.BadRequestError) as refused:
        ask(server, text)
    assert "context" in refused.value.body["error"]["message"]


@pytest.mark.parametrize("options, field", [
    ({"max_tokens": -1}, "max_tokens"), ({"tools": [{"type": "web_search_20250305", "name": "web_search"}]}, "tools.0.type"),
    ({"messages": [{"role": "user", "content": [{"type": "document", "source": {"type": "base64", "media_type": "application/pdf",
                                                                               "data": "JVBERi0="}}]}]}, "messages.0.content.0.source.data"),
    ({"tools": [WEATHER], "tool_choice": {"type": "tool", "name": "other"}}, "tool_choice")])
def test_errors_name_the_field(server, options, field):
    with pytest.raises(anthropic.BadRequestError) as refused:
        server.anthropic().messages.create(**{**request("hello"), **options})
    body = refused.value.body
    assert body["type"] == "error" and body["error"]["type"] == "invalid_request_error"
    assert f"'{field}'" in body["error"]["message"]
    assert body["request_id"] == refused.value.response.headers["request-id"] == refused.value.request_id


def test_an_unknown_model_is_not_found(server):
    with pytest.raises(anthropic.NotFoundError) as refused:
        server.anthropic().messages.create(**{**request("hello"), "model": "claude-x"})
    assert refused.value.body["error"]["type"] == "not_found_error"


def test_models_are_listed(server):
    [model] = server.anthropic().models.list().data
    assert model.id == MODEL.name and model.type == "model" and model.lifecycle == "active"
    assert server.anthropic().models.retrieve(model.id) == model


def test_volatile_lines_are_taken_out_here_too(server):
    def cached(nonce: str) -> int:
        head = f"x-anthropic-billing-header: cc_version=2.1.177.01c; cc_entrypoint=cli; cch={nonce};"
        system = [{"type": "text", "text": head}, {"type": "text", "text": "You help with everything there is. " * 40}]
        return ask(server, "What is Pippin?", system=system, max_tokens=1).usage.cache_read_input_tokens

    cached("36ee5")
    assert cached("0aaa9") > 200


def test_a_stream_is_kept_alive_while_the_prompt_is_read():
    with Server("--keep-alive-seconds", "0.02", "--no-prefix-cache") as own:
        body = request("What is Pippin? " * 700, stream=True, max_tokens=4)
        del body["extra_body"]
        connection = own.connect()
        connection.request("POST", "/v1/messages", json.dumps(body), {"Content-Type": "application/json"})
        text = connection.getresponse().read().decode()
        connection.close()
        assert text.startswith(": keep-alive\n\n") and text.index("event: message_start") > text.index(": keep-alive")
        with own.anthropic().messages.stream(**request("What is Pippin? " * 700, max_tokens=4)) as stream:
            assert stream.get_final_message().usage.output_tokens == 4
