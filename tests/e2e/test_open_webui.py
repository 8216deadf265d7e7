"""A chat as Open WebUI holds it, and what it asks beside: written from its source. Its server sends on what the page gave it; a
conversation is sent as it was shown, pictures and all, and each turn reads from the cache what the one before it read."""
import json
import uuid

import pytest

from e2e_chats import Turn, chat, function_tools
from e2e_harness import MODEL, Server
from e2e_pictures import RED_CIRCLE, data_url

TEXT, NUMBER = {"type": "string"}, {"type": "integer"}
# Those of its own that a model with native calls is offered, and one of the user's.
TOOLS = function_tools([
    ("search_web", "Search the public web.", {"query": TEXT, "count": NUMBER}, ["query"]),
    ("fetch_url", "Fetch a web page.", {"url": TEXT}, ["url"]),
    ("get_current_timestamp", "Get the current Unix timestamp.", {}, []),
    ("calculate_timestamp", "Get the timestamp of a time ago.", {"days_ago": NUMBER, "weeks_ago": NUMBER}, []),
    ("search_memories", "Search the user's memories.", {"query": TEXT, "count": NUMBER}, ["query"]),
    ("add_memory", "Store a memory.", {"content": TEXT}, ["content"]),
    ("replace_memory_content", "Update a memory.", {"memory_id": TEXT, "content": TEXT}, ["memory_id", "content"]),
    ("delete_memory", "Delete a memory.", {"memory_id": TEXT}, ["memory_id"]),
    ("list_memories", "List all memories.", {}, []),
    ("search_notes", "Search notes.", {"query": TEXT, "count": NUMBER}, ["query"]),
    ("view_note", "View a note.", {"note_id": TEXT}, ["note_id"]),
    ("write_note", "Write a note.", {"title": TEXT, "content": TEXT}, ["title", "content"]),
    ("replace_note_content", "Update a note.", {"note_id": TEXT, "content": TEXT}, ["note_id", "content"]),
    ("search_chats", "Search previous chats.", {"query": TEXT, "count": NUMBER}, ["query"]),
    ("view_chat", "View a chat.", {"chat_id": TEXT}, ["chat_id"]),
    ("search_channels", "Search channels.", {"query": TEXT}, ["query"]),
    ("search_channel_messages", "Search messages of channels.", {"query": TEXT}, ["query"]),
    ("list_knowledge_bases", "List knowledge bases.", {"count": NUMBER, "skip": NUMBER}, []),
    ("query_knowledge_files", "Search knowledge files.", {"query": TEXT, "knowledge_ids": {"type": "array", "items": TEXT}}, ["query"]),
    ("view_knowledge_file", "Read a knowledge file.", {"file_id": TEXT}, ["file_id"]),
    ("generate_image", "Generate an image.", {"prompt": TEXT}, ["prompt"]),
    ("edit_image", "Edit images.", {"prompt": TEXT, "image_urls": {"type": "array", "items": TEXT}}, ["prompt", "image_urls"]),
    ("get_weather", "Get the weather in a city", {"city": TEXT}, ["city"]),
])
SYSTEM = "You are a helpful assistant. The user is Ada. Answer in one sentence where one is enough. Say so where you do not know. " * 4
HISTORY = "USER: What colour is it?\nASSISTANT: It is red."
# What it asks for beside the chat: prompts of one message, not streamed, each in its own words. The one for emojis has a limit.
TASKS = {
    "title": ("### Task:\nGenerate a concise, 3-5 word title with an emoji summarizing the chat history.\n### Guidelines:\n- Write it in the "
              "chat's primary language.\n### Output:\nJSON format: { \"title\": \"your concise title here\" }\n### Examples:\n"
              f"- {{ \"title\": \"📉 Stock Market Trends\" }}\n### Chat History:\n<chat_history>\n{HISTORY}\n</chat_history>",
              {"max_completion_tokens": 1000}),
    "tags": ("### Task:\nGenerate 1-3 broad tags categorizing the main themes of the chat history.\n### Output:\nJSON format: { \"tags\": "
             f"[\"tag1\", \"tag2\"] }}\n### Chat History:\n<chat_history>\n{HISTORY}\n</chat_history>", {}),
    "follow-ups": ("### Task:\nSuggest 3-5 relevant follow-up questions that the user might naturally ask next.\n### Output:\nJSON format: "
                   f"{{ \"follow_ups\": [\"Question 1?\"] }}\n### Chat History:\n<chat_history>\n{HISTORY}\n</chat_history>", {}),
    "autocomplete": ("### Task:\nYou are an autocompletion system. Continue the text in `<text>` based on the completion type in `<type>`.\n"
                     "#### Example 1:\n<type>General</type>\n<text>The sun was setting</text>\nOutput: { \"text\": \"over the lake.\" }\n---\n"
                     f"### Context:\n<chat_history>\n{HISTORY}\n</chat_history>\n<type>search query</type>\n<text>What is</text>\n#### Output:", {}),
    "queries": ("### Task:\nAnalyze the chat history to determine the necessity of generating search queries. Today's date is: 2026-11-24.\n"
                f"### Output:\n{{ \"queries\": [\"query1\"] }}\n### Chat History:\n<chat_history>\n{HISTORY}\n</chat_history>", {}),
    "image prompt": (f"### Task:\nGenerate a detailed prompt for an image generation task.\n### Chat History:\n{HISTORY}", {}),
    "emoji": ("Your task is to reflect the speaker's likely facial expression through a fitting emoji.\nMessage: \"\"\"hello\"\"\"",
              {"max_completion_tokens": 4}),
}


@pytest.fixture(scope="module")
def open_server():
    with Server() as running:
        yield running


def headers(chat_id: str) -> dict[str, str]:
    """With ENABLE_FORWARD_USER_INFO_HEADERS."""
    return {"Authorization": "Bearer none", "Accept": "*/*", "Accept-Encoding": "gzip, deflate, br", "User-Agent": "Python/3.11 aiohttp/3.13.2",
            "X-OpenWebUI-User-Name": "Ada%20L", "X-OpenWebUI-User-Id": "1b3f", "X-OpenWebUI-User-Email": "ada@example.com",
            "X-OpenWebUI-User-Role": "admin", "X-OpenWebUI-Chat-Id": chat_id, "X-OpenWebUI-Message-Id": str(uuid.uuid4())}


def ask(server: Server, messages: list[dict], **more) -> Turn:
    """One turn; temperature and limit as set in the chat's controls."""
    return chat(server, {"messages": messages, "temperature": 0, "max_tokens": 64, "stream_options": {"include_usage": True}, **more},
                headers("c1"))


def shown(turn: Turn) -> dict:
    """The answer as it is sent again: without what was thought."""
    return {"role": "assistant", "content": turn.message["content"]}


def test_the_models_are_listed(open_server):
    """To check a connection, and for its menu."""
    connection = open_server.connect()
    connection.request("GET", "/v1/models", headers={**headers("c"), "Content-Type": "application/json"})
    response = connection.getresponse()
    models = json.loads(response.read())
    connection.close()
    assert response.status == 200 and models["object"] == "list"
    assert [(model["id"], model["object"]) for model in models["data"]] == [(MODEL.name, "model")]


def test_a_chat_with_a_picture(open_server):
    messages = [{"role": "system", "content": SYSTEM},
                {"role": "user", "content": [{"type": "text", "text": "What colour is it?"},
                                             {"type": "image_url", "image_url": {"url": data_url(RED_CIRCLE)}}]}]
    first = ask(open_server, messages)
    assert "red" in first.message["content"].lower() and first.ignored is None
    messages += [shown(first), {"role": "user", "content": "What is Pippin?"}]
    second = ask(open_server, messages)
    assert "MLX" in second.message["content"]
    assert second.cached >= first.usage["total_tokens"] - 2
    # Asked again (Regenerate), and one answer changed by hand.
    assert ask(open_server, messages).cached >= second.usage["prompt_tokens"] - 1
    messages[-2] = {"role": "assistant", "content": "It is green."}
    assert ask(open_server, messages).cached >= first.usage["prompt_tokens"] - 16


def test_thoughts_are_not_sent_again(open_server):
    messages = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": "What is 17 + 25?"}]
    first = ask(open_server, messages)
    assert "42" in first.message["content"] and first.message["reasoning_content"]
    second = ask(open_server, [*messages, shown(first), {"role": "user", "content": "What is Pippin?"}])
    assert second.cached >= first.usage["prompt_tokens"] - 16


def test_native_calls(open_server):
    """Rounds of one answer: what was called is sent back as it was put together from the deltas, with their index."""
    messages = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": "What is the weather in Paris?"}]
    first = ask(open_server, messages, tools=TOOLS)
    assert first.calls and first.usage["prompt_tokens"] > 1000
    calls = [{"index": number, **call} for number, call in enumerate(first.calls)]
    results = [{"role": "tool", "tool_call_id": call["id"], "content": json.dumps({"weather": "sunny", "temperature": 21})} for call in calls]
    second = ask(open_server, [*messages, {"role": "assistant", "content": first.message["content"], "tool_calls": calls}, *results],
                 tools=TOOLS)
    assert second.cached >= first.usage["total_tokens"] - 2


def test_knowledge_around_the_question(open_server):
    """What was found in files stands around the last question alone, so the next turn knows the prompt up to there."""
    system = {"role": "system", "content": SYSTEM}
    around = ("### Task:\nRespond to the user query using the provided context.\n<context>\n<source id=\"1\" name=\"a.md\">Pippin runs on MLX."
              "</source>\n</context>\n\n<user_query>\nWhat is Pippin?\n</user_query>")
    first = ask(open_server, [system, {"role": "user", "content": around}])
    known = open_server.post({"messages": [system, {"role": "user", "content": "x"}]}, "/tokenize").body["count"]
    second = ask(open_server, [system, {"role": "user", "content": "What is Pippin?"}, shown(first), {"role": "user", "content": "hello"}])
    assert second.cached >= known - 32


@pytest.mark.parametrize("task", TASKS)
def test_tasks(open_server, task):
    content, more = TASKS[task]
    reply = open_server.post({"model": MODEL.name, "messages": [{"role": "user", "content": content}], "stream": False, "temperature": 0, **more},
                             headers=headers("c2"))
    assert reply.status == 200 and reply.headers["X-Pippin-Ignored"] is None
    assert isinstance(reply.body["choices"][0]["message"]["content"], str)
    assert reply.body["usage"]["completion_tokens"] <= more.get("max_completion_tokens", 4096)


def test_a_mixture_of_answers(open_server):
    content = "You have been provided with a set of responses from various models to the latest user query: \"hello\"\n\nResponses from models: Hi."
    assert ask(open_server, [{"role": "user", "content": content}]).message["content"]


def test_parameters_that_can_be_set(open_server):
    """The advanced ones, of which those for this kind of server are known."""
    controls = {"temperature": 0.8, "top_p": 0.9, "min_p": 0.05, "top_k": 40, "max_tokens": 16, "frequency_penalty": 0.1, "presence_penalty": 0.1,
                "seed": 42, "stop": ["###", "\n\n\n"], "logit_bias": {"5": -100}, "reasoning_effort": "low", "repeat_penalty": 1,
                "response_format": {"type": "json_object"}}
    turn = ask(open_server, [{"role": "user", "content": "hello"}], **controls)
    assert turn.ignored is None and turn.usage["completion_tokens"] <= 16


def test_parameters_of_other_servers(open_server):
    """Ollama's are sent on as they are, and so are those of the user's own making: named, or refused where they would change what is said."""
    ollamas = {"num_ctx": 8192, "num_batch": 512, "num_keep": 24, "num_thread": 8, "num_gpu": 99, "use_mmap": True, "keep_alive": "5m",
               "repeat_last_n": 64, "tfs_z": 1, "think": True}
    pages = {"chat_id": "c3", "session_id": "s", "id": "m", "features": {"web_search": False, "image_generation": False}, "variables": {},
             "background_tasks": {"title_generation": True}, "tool_ids": [], "files": [], "model_item": {"id": MODEL.name}, "params": {}}
    turn = ask(open_server, [{"role": "user", "content": "hello"}], metadata={"chat_id": "c3"}, **ollamas, **pages)
    assert turn.message["content"] and set(turn.ignored.split(", ")) == {*ollamas, *pages}
    for name, value in (("repeat_penalty", 1.1), ("mirostat", 1), ("typical_p", 0.5)):
        refused = open_server.post({"model": MODEL.name, "messages": [{"role": "user", "content": "hello"}], name: value})
        assert refused.status == 400 and refused.error["param"] == name


def test_a_page_that_speaks_for_itself():
    """Direct connections are the browser's own, from another origin."""
    page = "http://localhost:3000"
    with Server("--cors-origin", page) as server:
        connection = server.connect()
        connection.request("OPTIONS", "/v1/chat/completions", headers={
            "Origin": page, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization,content-type"})
        response = connection.getresponse()
        response.read()
        assert response.status in (200, 204) and response.headers["Access-Control-Allow-Origin"] == page
        allowed = response.headers["Access-Control-Allow-Headers"].lower()
        assert "authorization" in allowed and "content-type" in allowed
        connection.request("POST", "/v1/chat/completions", json.dumps({
            "model": MODEL.name, "messages": [{"role": "user", "content": "hello"}], "stream": True, "max_tokens": 8}),
            {"Origin": page, "Authorization": "Bearer ", "Content-Type": "application/json"})
        response = connection.getresponse()
        assert response.status == 200 and response.headers["Access-Control-Allow-Origin"] == page
        assert response.read().endswith(b"data: [DONE]\n\n")
        connection.close()
