"""No field that the openai and anthropic packages document is unknown to the server: each is done, has no effect or is refused by its
name. Null, a field counts as absent, so a request can name them all; under --strict-fields an unknown one is refused."""
import typing

import pytest
from anthropic.types import beta as messages_types
from anthropic.types.beta import message_count_tokens_params, message_create_params
from openai.types import chat as chat_types
from openai.types import completion_create_params
from openai.types import responses as responses_types
from openai.types.chat import completion_create_params as chat_create_params
from openai.types.responses import response_create_params, response_input_param
from openai.types.shared_params import reasoning

from e2e_harness import MODEL, Server

HEADERS = {"betas", "anthropic_beta"}  # of the package's fields, those that it sends as headers
USER = {"role": "user", "content": "hello"}
CHAT, COMPLETIONS, RESPONSES = "/v1/chat/completions", "/v1/completions", "/v1/responses"
MESSAGES, COUNT = "/v1/messages", "/v1/messages/count_tokens"
LEAST = {CHAT: {"messages": [USER], "max_tokens": 1}, COMPLETIONS: {"prompt": "hello", "max_tokens": 1},
         RESPONSES: {"input": "hello", "max_output_tokens": 1}, MESSAGES: {"messages": [USER], "max_tokens": 1}, COUNT: {"messages": [USER]}}
WHOLE = [(CHAT, chat_create_params.CompletionCreateParamsNonStreaming),
         (COMPLETIONS, completion_create_params.CompletionCreateParamsNonStreaming),
         (RESPONSES, response_create_params.ResponseCreateParamsNonStreaming),
         (MESSAGES, message_create_params.MessageCreateParamsNonStreaming),
         (COUNT, message_count_tokens_params.MessageCountTokensParams)]


@pytest.fixture(scope="module")
def strict_server():
    with Server("--strict-fields") as running:
        yield running


def names(params: type) -> set[str]:
    """Of a TypedDict's fields, with those of what it is made from."""
    bases = [base for base in getattr(params, "__orig_bases__", ()) if hasattr(base, "__annotations__")]
    return set(params.__annotations__).union(*[names(base) for base in bases])


def nulls(params: type, **given) -> dict:
    return {**{name: None for name in names(params) - HEADERS}, **given}


def known(server: Server, path: str, **members) -> None:
    reply = server.post({"model": MODEL.name, **LEAST[path], **members}, path)
    assert reply.status == 200, reply.body


@pytest.mark.parametrize("path, params", WHOLE, ids=[path for path, _ in WHOLE])
def test_fields(strict_server, path, params):
    assert "model" in names(params)
    known(strict_server, path, **{name: None for name in names(params) - HEADERS - {"model", *LEAST[path]}})


def test_members_of_chats(strict_server):
    text = nulls(chat_types.ChatCompletionContentPartTextParam, type="text", text="hello")
    call = nulls(chat_types.ChatCompletionMessageFunctionToolCallParam, id="c", type="function", function={"name": "f", "arguments": "{}"})
    known(strict_server, CHAT, messages=[
        nulls(chat_types.ChatCompletionDeveloperMessageParam, role="developer", content=[text]),
        nulls(chat_types.ChatCompletionUserMessageParam, role="user", content=[text]),
        nulls(chat_types.ChatCompletionAssistantMessageParam, role="assistant", content=[text], tool_calls=[call]),
        nulls(chat_types.ChatCompletionToolMessageParam, role="tool", content=[text], tool_call_id="c")])


def test_members_of_responses(strict_server):
    text = nulls(responses_types.ResponseInputTextParam, type="input_text", text="hello")
    said = nulls(responses_types.ResponseOutputTextParam, type="output_text", text="hello", annotations=[])
    known(strict_server, RESPONSES, reasoning=nulls(reasoning.Reasoning), text=nulls(responses_types.ResponseTextConfigParam),
          tools=[nulls(responses_types.FunctionToolParam, type="function", name="f")],
          prompt_cache_options=nulls(response_create_params.PromptCacheOptions), input=[
              nulls(responses_types.EasyInputMessageParam, type="message", role="user", content=[text]),
              nulls(responses_types.ResponseReasoningItemParam, type="reasoning", id="r", summary=[]),
              nulls(responses_types.ResponseOutputMessageParam, type="message", id="m", role="assistant", content=[said], status="completed"),
              nulls(responses_types.ResponseFunctionToolCallParam, type="function_call", call_id="c", name="f", arguments="{}"),
              nulls(response_input_param.FunctionCallOutput, type="function_call_output", call_id="c", output="1")])


def test_members_of_messages(strict_server):
    t = messages_types
    text = nulls(t.BetaTextBlockParam, type="text", text="hello")
    result = nulls(t.BetaToolResultBlockParam, type="tool_result", tool_use_id="t", content=[
        text, nulls(t.BetaToolReferenceBlockParam, type="tool_reference", tool_name="f")])
    found = nulls(t.BetaSearchResultBlockParam, type="search_result", title="t", source="s", content=[text])
    document = nulls(t.BetaRequestDocumentBlockParam, type="document", source={"type": "text", "media_type": "text/plain", "data": "hello"})
    known(strict_server, MESSAGES, system=[text], thinking=nulls(t.BetaThinkingConfigAdaptiveParam, type="adaptive"),
          output_config=nulls(t.BetaOutputConfigParam), context_management=nulls(t.BetaContextManagementConfigParam),
          tools=[nulls(t.BetaToolParam, name="f", input_schema={"type": "object"})],
          tool_choice=nulls(t.BetaToolChoiceAutoParam, type="auto"), messages=[
              nulls(t.BetaUserMessageParam, role="user", content=[text, document, found]),
              {"role": "assistant", "content": [
                  nulls(t.BetaThinkingBlockParam, type="thinking", thinking="Hm.", signature="s"), text,
                  nulls(t.BetaToolUseBlockParam, type="tool_use", id="t", name="f", input={})]},
              {"role": "user", "content": [result, text]},
              nulls(t.BetaSystemMessageParam, role="system", content=[text])])
