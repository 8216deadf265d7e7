"""Answers that the request begins, in every dialect: a last message of the assistant's is continued."""
import json

import ollama
import pytest

from e2e_harness import MODEL, Server
from test_harmony import harmony  # noqa: F401  the fixture

QUESTION = "What is Pippin?"
SUM = "What is 12 + 30?"
PAGE = 16  # tokens
TOOL = {"type": "function", "function": {"name": "get_weather", "description": "Get the weather in a city", "parameters": {
    "type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}}}
GO_ON = {"continue_final_message": True, "add_generation_prompt": False}


def user(text: str) -> dict:
    return {"role": "user", "content": text}


def assistant(text: str | None, **more) -> dict:
    return {"role": "assistant", "content": text, **more}


def chat(server: Server, messages: list[dict], status: int = 200, **fields) -> dict:
    reply = server.post({"messages": messages, "temperature": 0, "max_tokens": 96, **fields})
    assert reply.status == status, reply.body
    return reply.body


def said(body: dict) -> str:
    return body["choices"][0]["message"]["content"]


def cached(body: dict) -> int:
    return body["usage"]["prompt_tokens_details"]["cached_tokens"]


def half(text: str) -> str:
    """Some words of it: a token ends with each."""
    words = text.split(" ")
    return " ".join(words[:len(words) // 2])


def test_the_answer_goes_on_where_it_was_begun(server):
    whole = said(chat(server, [user(QUESTION)]))
    begun = half(whole)
    rest = chat(server, [user(QUESTION), assistant(begun)], **GO_ON)
    assert begun + said(rest) == whole
    stream = server.client().chat.completions.create(
        model=MODEL.name, temperature=0, max_tokens=96, stream=True, messages=[user(QUESTION), assistant(begun)], extra_body=GO_ON)
    assert begun + "".join(chunk.choices[0].delta.content or "" for chunk in stream) == whole
    # What comes by default is a message of its own.
    assert chat(server, [user(QUESTION), assistant(begun)])["usage"]["prompt_tokens"] > rest["usage"]["prompt_tokens"]


def test_its_cached_beginning_is_found_before_and_after(server):
    question = "Tell me about pippins, apples and pears. " * 8 + QUESTION
    whole = said(chat(server, [user(question)], max_tokens=40))
    begun = half(whole)
    first = chat(server, [user(question), assistant(begun)], **GO_ON)
    again = chat(server, [user(question), assistant(begun)], **GO_ON)
    assert said(again) == said(first)
    assert cached(again) >= again["usage"]["prompt_tokens"] // PAGE * PAGE - PAGE
    # The next turn has it all as one message.
    later = chat(server, [user(question), assistant(begun + said(first)), user("And?")], max_tokens=5)
    known = first["usage"]["prompt_tokens"] + first["usage"]["completion_tokens"]
    assert cached(later) >= known - PAGE


def test_the_prompt_ends_within_the_message(server):
    shown = server.post({"messages": [user("hi"), assistant("So ")], **GO_ON}, "/apply-template").body["prompt"]
    assert shown.endswith("<|im_start|>assistant\nSo ")
    tokens = server.post({"messages": [user("hi"), assistant("So ")], **GO_ON}, "/tokenize").body["tokens"]
    assert server.post({"tokens": tokens}, "/detokenize").body["prompt"] == shown
    closed = server.post({"messages": [user("hi")], "add_generation_prompt": False}, "/apply-template").body["prompt"]
    assert closed.endswith("hi<|im_end|>\n")


def test_a_thought_goes_on(server):
    whole = chat(server, [user(SUM)])["choices"][0]["message"]
    thought = whole["reasoning_content"]
    begun = half(thought)
    rest = chat(server, [user(SUM), assistant("", reasoning_content=begun)], **GO_ON)["choices"][0]["message"]
    assert begun + rest["reasoning_content"] == thought and rest["content"] == whole["content"]


def test_behind_a_text_nothing_is_thought(server):
    whole = chat(server, [user(SUM)])["choices"][0]["message"]
    begun = assistant(half(whole["content"]), reasoning_content=whole["reasoning_content"])
    rest = chat(server, [user(SUM), begun], **GO_ON)["choices"][0]["message"]
    assert begun["content"] + rest["content"] == whole["content"] and "reasoning_content" not in rest
    rest = chat(server, [user(SUM), assistant("The sum is")], **GO_ON)["choices"][0]["message"]
    assert rest["content"] and "reasoning_content" not in rest


def test_a_form_holds_for_all_of_it(server):
    yes_or_no = {"structured_outputs": {"choice": ["yes", "no"]}}
    assert said(chat(server, [user("Well?"), assistant("ye")], **GO_ON, **yes_or_no)) == "s"
    assert said(chat(server, [user("Well?"), assistant("no")], **GO_ON, **yes_or_no)) == ""
    error = chat(server, [user("Well?"), assistant("maybe")], 400, **GO_ON, **yes_or_no)["error"]
    assert "begins" in error["message"]
    schema = {"type": "object", "properties": {"sum": {"type": "integer"}}, "required": ["sum"], "additionalProperties": False}
    begun = '{"sum": '
    rest = chat(server, [user(SUM), assistant(begun)], **GO_ON,
                response_format={"type": "json_schema", "json_schema": {"name": "s", "schema": schema}})
    assert list(json.loads(begun + said(rest))) == ["sum"] and rest["choices"][0]["finish_reason"] == "stop"


def test_with_tools(server):
    question = "What is the weather in Paris?"
    [call] = chat(server, [user(question)], tools=[TOOL])["choices"][0]["message"]["tool_calls"]
    begun = '<tool_call>{"name": "get_weather", "arguments": {"city'
    [choice] = chat(server, [user(question), assistant(begun)], tools=[TOOL], **GO_ON)["choices"]
    [again] = choice["message"]["tool_calls"]
    assert again["function"] == call["function"] and choice["finish_reason"] == "tool_calls" and not choice["message"]["content"]
    # A text before a call that is asked for is none.
    assert chat(server, [user(question), assistant("I say")], 400, tools=[TOOL], tool_choice="required", **GO_ON)


def test_what_can_not_be_continued_is_refused(server):
    made = [{"id": "c", "type": "function", "function": {"name": "get_weather", "arguments": "{}"}}]
    for messages in ([user("hi")], [user("hi"), assistant("Look:", tool_calls=made)],
                     [user("hi"), assistant("<think>no</think>so")]):  # the template shows it otherwise
        assert chat(server, messages, 400, **GO_ON)["error"]["param"] == "messages"
    both = {"continue_final_message": True, "add_generation_prompt": True}
    assert chat(server, [user("hi"), assistant("So")], 400, **both)["error"]["param"] == "add_generation_prompt"


def test_anthropics_prefill(server):
    client = server.anthropic()
    fields = {"model": MODEL.name, "max_tokens": 96, "extra_body": {"temperature": 0}}
    [whole] = client.messages.create(messages=[user(QUESTION)], **fields).content
    begun = half(whole.text)
    messages = [user(QUESTION), assistant(begun)]
    answer = client.messages.create(messages=messages, **fields)
    assert begun + answer.content[0].text == whole.text and answer.stop_reason == "end_turn"
    with client.messages.stream(messages=messages, **fields) as stream:
        assert begun + "".join(stream.text_stream) == whole.text
    counted = client.messages.count_tokens(model=MODEL.name, messages=messages).input_tokens
    assert counted == answer.usage.input_tokens + answer.usage.cache_read_input_tokens
    [empty] = client.messages.create(messages=[user(QUESTION), assistant("")], **fields).content
    assert empty.text == whole.text


def test_anthropics_thought_goes_on(server):
    client = server.anthropic()
    fields = {"model": MODEL.name, "max_tokens": 96, "extra_body": {"temperature": 0}, "thinking": {"type": "adaptive"}}
    thought, text = client.messages.create(messages=[user(SUM)], **fields).content
    begun = half(thought.thinking)
    rest, same = client.messages.create(
        messages=[user(SUM), {"role": "assistant", "content": [{"type": "thinking", "thinking": begun, "signature": ""}]}], **fields).content
    assert begun + rest.thinking == thought.thinking and same.text == text.text


def ollama_chat(server: Server, messages: list[dict], **fields) -> dict:
    reply = server.post({"model": MODEL.name, "messages": messages, "stream": False, "options": {"temperature": 0, "num_predict": 96}, **fields},
                        "/api/chat")
    assert reply.status == 200, reply.body
    return reply.body


def test_ollamas_last_message_goes_on(server):
    whole = ollama_chat(server, [user(QUESTION)])
    begun = half(whole["message"]["content"])
    messages = [user(QUESTION), assistant(begun)]
    rest = ollama_chat(server, messages)
    assert begun + rest["message"]["content"] == whole["message"]["content"]
    parts = list(ollama.Client(host=f"http://127.0.0.1:{server.port}").chat(MODEL.name, messages, options={"temperature": 0}, stream=True))
    assert begun + "".join(part.message.content for part in parts) == whole["message"]["content"]
    same = chat(server, messages, **GO_ON)["usage"]
    assert rest["prompt_eval_count"] == same["prompt_tokens"] and cached({"usage": same}) >= same["prompt_tokens"] // PAGE * PAGE - PAGE
    # One that says nothing begins nothing.
    assert ollama_chat(server, [user(QUESTION), assistant("")])["message"] == whole["message"]


def test_ollamas_thought_goes_on(server):
    whole = ollama_chat(server, [user(SUM)], think=True)["message"]
    begun = half(whole["thinking"])
    rest = ollama_chat(server, [user(SUM), assistant("", thinking=begun)], think=True)["message"]
    assert begun + rest["thinking"] == whole["thinking"] and rest["content"] == whole["content"]
    said = half(whole["content"])
    rest = ollama_chat(server, [user(SUM), assistant(said, thinking=whole["thinking"])])["message"]
    assert said + rest["content"] == whole["content"] and "thinking" not in rest


def test_ollamas_format_holds_for_all_of_it(server):
    schema = {"type": "object", "properties": {"sum": {"type": "integer"}}, "required": ["sum"], "additionalProperties": False}
    begun = '{"sum": '
    rest = ollama_chat(server, [user(SUM), assistant(begun)], format=schema)
    assert list(json.loads(begun + rest["message"]["content"])) == ["sum"] and rest["done_reason"] == "stop"
    refused = server.post({"model": MODEL.name, "messages": [user(SUM), assistant("Well")], "format": schema}, "/api/chat")
    assert refused.status == 400 and "begins" in refused.body["error"]


@pytest.mark.parametrize("stored", [False, True])
def test_a_response_that_was_cut_goes_on(server, stored):
    client = server.client()
    fields = {"model": MODEL.name, "temperature": 0}
    whole = client.responses.create(input=QUESTION, **fields).output_text
    cut = client.responses.create(input=QUESTION, max_output_tokens=6, **fields)
    assert cut.status == "incomplete" and whole.startswith(cut.output_text)
    if stored:
        rest = client.responses.create(input=[], previous_response_id=cut.id, **fields)
    else:
        items = [user(QUESTION), *(item.model_dump(exclude_none=True) for item in cut.output)]
        rest = client.responses.create(input=items, **fields)
    assert cut.output_text + rest.output_text == whole and rest.status == "completed"
    # Later they are one message: as if it had never been cut.
    later = client.responses.create(input="And?", previous_response_id=rest.id, max_output_tokens=5, **fields) if stored else \
        client.responses.create(input=[*items, *(item.model_dump(exclude_none=True) for item in rest.output), user("And?")],
                                max_output_tokens=5, **fields)
    usual = chat(server, [user(QUESTION), assistant(whole), user("And?")], max_tokens=5)
    assert later.usage.input_tokens == usual["usage"]["prompt_tokens"]


def test_gpt_oss_messages_go_on(harmony):  # noqa: F811
    yes_or_no = {"structured_outputs": {"choice": ["yes", "no"]}}
    shown = harmony.post({"messages": [user("hi"), assistant("So it is")], **GO_ON}, "/apply-template").body["prompt"]
    assert shown.endswith("<|start|>assistant<|channel|>final<|message|>So it is")
    message = chat(harmony, [user("hi"), assistant("So it is")], max_tokens=8, ignore_eos=True, **GO_ON)["choices"][0]["message"]
    assert message["content"] and "reasoning_content" not in message
    assert said(chat(harmony, [user("Well?"), assistant("ye")], **GO_ON, **yes_or_no)) == "s"
    assert chat(harmony, [user("Well?"), assistant("maybe")], 400, **GO_ON, **yes_or_no)
    thinking = [user("Well?"), assistant("", reasoning_content="So")]
    message = chat(harmony, thinking, ignore_eos=True, thinking_budget=4, **GO_ON, **yes_or_no)["choices"][0]["message"]
    assert message["reasoning_content"] and message["content"] in ("yes", "no")
