"""OpenAI's Responses API, through the openai client with strict validation."""
import json
from typing import Literal

import openai
import pydantic
import pytest

from e2e_harness import MODEL, Server
from e2e_pictures import RED_CIRCLE, data_url

WEATHER = {"type": "function", "name": "get_weather", "description": "Get the weather in a city", "strict": False, "parameters": {
    "type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}}
WEATHER_IN_PARIS = "What is the weather in Paris?"
SUM = "What is 12 + 30?"


def client(server: Server) -> openai.OpenAI:
    return server.client(_strict_response_validation=True)


def ask(server: Server, question: str | list, **options):
    options = {"temperature": 0, "max_output_tokens": 96, **options}
    return client(server).responses.create(model=MODEL.name, input=question, **options)


def items_of(response) -> list[dict]:
    """The output without what differs from answer to answer."""
    return [item.model_dump(exclude={"id", "call_id"}, exclude_none=True) for item in response.output]


def test_an_answer_has_the_apis_form(server):
    response = ask(server, "What is Pippin?", instructions="You are a helpful assistant.", metadata={"a": "b"})
    assert response.object == "response" and response.status == "completed" and response.model == MODEL.name
    assert "MLX" in response.output_text and response.instructions == "You are a helpful assistant."
    assert response.usage.total_tokens == response.usage.input_tokens + response.usage.output_tokens
    assert response.metadata == {"a": "b"} and response.error is None and response.temperature == 0


@pytest.mark.parametrize("question, options", [
    ("What is Pippin?", {}), (SUM, {}), (SUM, {"reasoning": {"summary": "auto"}, "include": ["reasoning.encrypted_content"]}),
    (WEATHER_IN_PARIS, {"tools": [WEATHER]}), ("What is Pippin?", {"max_output_tokens": 3})])
def test_streamed_is_not_streamed(server, question, options):
    whole = ask(server, question, **options)
    with client(server).responses.stream(model=MODEL.name, input=question,
                                         **{"temperature": 0, "max_output_tokens": 96, **options}) as stream:
        events = list(stream)
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert events[0].type == "response.created" and events[1].type == "response.in_progress"
    last = events[-1]
    assert last.type == f"response.{whole.status}"
    assert items_of(last.response) == items_of(whole)
    assert last.response.usage.output_tokens == whole.usage.output_tokens
    done = [event.item for event in events if event.type == "response.output_item.done"]
    assert [item.id for item in done] == [item.id for item in last.response.output]
    text = "".join(event.delta for event in events if event.type == "response.output_text.delta")
    assert text == whole.output_text


def test_reasoning_comes_apart(server):
    response = ask(server, SUM)
    reasoning, message = response.output
    assert reasoning.type == "reasoning" and "42" in reasoning.content[0].text and reasoning.summary == []
    assert message.type == "message" and "42" in message.content[0].text
    assert 0 < response.usage.output_tokens_details.reasoning_tokens < response.usage.output_tokens
    summarized = ask(server, SUM, reasoning={"effort": "medium", "summary": "auto"}).output[0]
    assert summarized.summary[0].text == reasoning.content[0].text
    assert [item.type for item in ask(server, SUM, reasoning={"effort": "none"}).output] == ["message"]


@pytest.mark.parametrize("stored", [True, False])
def test_a_tool_is_called_and_answered(server, stored):
    first = ask(server, WEATHER_IN_PARIS, tools=[WEATHER], store=stored)
    call = first.output[-1]
    assert (call.type, call.name, json.loads(call.arguments)) == ("function_call", "get_weather", {"city": "Paris"})
    result = {"type": "function_call_output", "call_id": call.call_id,
              "output": json.dumps({"weather": "sunny", "temperature": 21})}
    if stored:
        final = ask(server, [result], tools=[WEATHER], previous_response_id=first.id)
        assert final.previous_response_id == first.id
    else:
        said = [item.model_dump(exclude_none=True) for item in first.output]
        final = ask(server, [{"role": "user", "content": WEATHER_IN_PARIS}, *said, result], tools=[WEATHER], store=False)
    assert "sunny" in final.output_text
    # All that the first turn read and wrote, but for the token that ended it.
    assert final.usage.input_tokens_details.cached_tokens >= first.usage.total_tokens - 2


@pytest.mark.parametrize("choice", ["required", {"type": "function", "name": "get_weather"}])
def test_a_call_can_be_forced(server, choice):
    call = ask(server, "What is Pippin?", tools=[WEATHER], tool_choice=choice).output[-1]
    assert call.type == "function_call" and list(json.loads(call.arguments)) == ["city"]


def test_a_web_search_beside_a_tool_is_left_out_and_told(server):
    raw = client(server).responses.with_raw_response.create(
        model=MODEL.name, input=WEATHER_IN_PARIS, temperature=0, max_output_tokens=96, tools=[{"type": "web_search"}, WEATHER])
    response = raw.parse()
    assert raw.headers["x-pippin-ignored"] == "tools.0" and [tool.name for tool in response.tools] == ["get_weather"]
    assert json.loads(response.output[-1].arguments) == {"city": "Paris"}


def test_json_of_a_schema_is_parsed(server):
    class Sky(pydantic.BaseModel):
        colour: Literal["red", "blue"]

    response = client(server).responses.parse(model=MODEL.name, input="What colour is the sky?", text_format=Sky,
                                              temperature=0, max_output_tokens=96)
    assert response.output_parsed.colour in ("red", "blue")


def test_conversations_go_on_by_id(server):
    first = ask(server, "My name is Anna. What is 2 + 3?", instructions="You are a helpful assistant.")
    second = ask(server, "What is my name?", previous_response_id=first.id, instructions="You are a helpful assistant.")
    assert "Anna" in second.output_text
    assert second.usage.input_tokens_details.cached_tokens >= first.usage.input_tokens - 1
    api = client(server)
    assert api.responses.retrieve(first.id) == first
    listed = api.responses.input_items.list(second.id, order="asc").data
    assert [item.type for item in listed][0] == "message" and listed[0].content[0].text.startswith("My name")
    assert listed[-1].content[0].text == "What is my name?"
    assert len(api.responses.input_items.list(second.id, limit=1).data) == 1
    api.responses.delete(first.id)
    with pytest.raises(openai.NotFoundError):
        api.responses.retrieve(first.id)
    with pytest.raises(openai.NotFoundError) as unknown:
        ask(server, "And now?", previous_response_id=first.id)
    assert unknown.value.param == "previous_response_id"


def test_what_shall_not_be_stored_is_not(server):
    response = ask(server, "What is Pippin?", store=False, max_output_tokens=2)
    with pytest.raises(openai.NotFoundError):
        client(server).responses.retrieve(response.id)


def test_it_sees_pictures(server):
    content = [{"type": "input_image", "image_url": data_url(RED_CIRCLE), "detail": "auto"},
               {"type": "input_text", "text": "What colour is it?"}]
    assert "red" in ask(server, [{"role": "user", "content": content}]).output_text.lower()


@pytest.mark.parametrize("options, field", [
    ({"background": True}, "background"), ({"tools": [{"type": "web_search"}]}, "tools.0.type"),
    ({"tool_choice": "required"}, "tool_choice"), ({"truncation": "some"}, "truncation"),
    ({"input": [{"role": "user", "content": [{"type": "input_file", "file_id": "f"}]}]}, "input.0.content.0.file_id")])
def test_errors_name_the_field(server, options, field):
    with pytest.raises(openai.BadRequestError) as refused:
        ask(server, options.pop("input", "hello"), **options)
    assert refused.value.param == field


def test_a_conversation_is_cut_to_the_context(server):
    """truncation auto: the oldest turns go, the instructions and the question stay; without, the request is refused."""
    turns = []
    for i in range(60):
        turns += [{"role": "user", "content": f"Note {i}: " + "red green blue " * 30}, {"role": "assistant", "content": "Noted."}]
    question = [*turns, {"role": "user", "content": "What is Pippin?"}]
    with pytest.raises(openai.BadRequestError):
        ask(server, question)
    response = ask(server, question, truncation="auto", instructions="You are a helpful assistant.")
    assert response.truncation == "auto" and response.status in ("completed", "incomplete")
    context = server.get("/v1/capabilities").body["max_model_len"]
    assert context * 3 // 4 < response.usage.input_tokens <= context - 96
    short = ask(server, "What is Pippin?", truncation="auto")
    assert "MLX" in short.output_text and short.usage.input_tokens < 100


def test_files_of_text_are_read(server):
    def tokens(part: dict) -> int:
        return ask(server, [{"role": "user", "content": [part]}], max_output_tokens=1).usage.input_tokens
    shown = "<document title=\"a.txt\">\nred green blue\n</document>"
    file = {"type": "input_file", "filename": "a.txt", "file_data": "data:text/plain;base64,cmVkIGdyZWVuIGJsdWU="}
    assert tokens(file) == tokens({"type": "input_text", "text": shown})
    chat = server.ask([{"type": "file", "file": {"filename": "a.txt", "file_data": file["file_data"]}}], max_tokens=1)
    assert chat.usage.prompt_tokens == server.ask(shown, max_tokens=1).usage.prompt_tokens
    counted = [server.anthropic().messages.count_tokens(model=MODEL.name, messages=[{"role": "user", "content": content}]).input_tokens
               for content in ([{"type": "document", "title": "a.txt",
                                 "source": {"type": "text", "media_type": "text/plain", "data": "red green blue"}}], shown)]
    assert counted[0] == counted[1]
    with pytest.raises(openai.BadRequestError) as refused:
        tokens({**file, "file_data": "data:application/pdf;base64,JVBERi0="})
    assert "PDF" in refused.value.message and refused.value.param == "input.0.content.0.file_data"
