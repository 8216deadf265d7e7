"""Grammars that would take all time and memory harm nobody but who sends them."""
import json
import os
import re
import resource
import threading
import time
from typing import Iterator

import pytest

from e2e_harness import SLOWDOWN, Reply, Server

QUESTION = [{"role": "user", "content": "Hello"}]
REPEATS = ["(a{1000}){1000}", "a{1000000}", "((a{100}){100}){100}"]
# Their lexers explode on the way: an answer must not look whole where they do.
EXPLODING = [r"(.{1,80}\n?){1,50}", r"^(\p{L}{1,50}\s?){1,50}$", "^([a-z]{1,100} ?){1,100}$"]
MAX_GROWTH = 400 << 20  # bytes: the grammars' share, two that are compiled, and what the heap keeps
RETRY = {429, 503}


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Server() as running:
        resource.prlimit(running.process.pid, resource.RLIMIT_AS, (6_000_000_000, 6_000_000_000))
        yield running


def resident(server: Server) -> int:
    with open(f"/proc/{server.process.pid}/statm", encoding="ascii") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def cpu_seconds(server: Server) -> float:
    with open(f"/proc/{server.process.pid}/stat", encoding="ascii") as stat:
        user, system = stat.read().rsplit(")", 1)[1].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def schema_format(schema: dict) -> dict:
    return {"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}}


def ask(server: Server, **fields) -> Reply:
    return server.post({"messages": QUESTION, "max_tokens": 30, **fields})


def hostile_requests() -> list[dict]:
    steps = [schema_format({"type": "integer", "multipleOf": 9999991 + 2 * i}) for i in range(16)]
    return steps + [{"guided_regex": regex} for regex in REPEATS]


def test_compiling_is_bounded_and_others_go_on(server: Server) -> None:
    ask(server)  # what the first answer takes anyway
    before = resident(server)
    replies: list[Reply] = []
    threads = [threading.Thread(target=lambda fields=fields: replies.append(ask(server, **fields)))
               for fields in hostile_requests()]
    for thread in threads:
        thread.start()
    highest = before
    others = []
    while any(thread.is_alive() for thread in threads):
        others.append(ask(server, **schema_format({"type": "object", "properties": {f"x{len(others)}": {"type": "integer"}}})))
        highest = max(highest, resident(server))
    for reply in replies:
        assert reply.status == 400 or reply.status in RETRY and reply.headers["Retry-After"], reply.body
    assert len(replies) == len(threads)
    for reply in others:
        assert reply.status == 200, reply.body
    assert highest - before < MAX_GROWTH
    started = cpu_seconds(server)
    time.sleep(1)
    assert cpu_seconds(server) - started < 0.2 * max(1, SLOWDOWN / 4), "its cores are not idle"


def test_kept_grammars_are_counted_and_freed(server: Server) -> None:
    for i in range(12):
        assert ask(server, **schema_format({"type": "integer", "multipleOf": 501 + 2 * i})).status == 200
    held = server.get("/v1/cache").body
    assert held["grammars"]["kept"] >= 1
    assert 1 << 20 < held["grammars"]["bytes"] <= held["grammars"]["limit_bytes"]
    assert held["memory"]["grammar_bytes"] == held["grammars"]["limit_bytes"]
    assert server.request("DELETE", "/v1/cache").body["grammars"] == held["grammars"]["kept"]
    after = server.get("/v1/cache").body["grammars"]
    assert (after["kept"], after["bytes"]) == (0, 0)


def finish_of(dialect: str, body: dict) -> tuple[str, str]:
    """An answer's text, and why it ended."""
    if dialect == "messages":
        return "".join(block.get("text", "") for block in body["content"]), body["stop_reason"]
    choice = body["choices"][0]
    return choice.get("text") or choice["message"]["content"], choice["finish_reason"]


@pytest.mark.parametrize("regex", EXPLODING)
def test_an_answer_only_ends_where_its_grammar_does(server: Server, regex: str) -> None:
    requests = {"chat": ("/v1/chat/completions", {"messages": QUESTION, "guided_regex": regex}),
                "completions": ("/v1/completions", {"prompt": "Hello", "guided_regex": regex})}
    for dialect, (path, fields) in requests.items():
        reply = server.post({"max_tokens": 120, "temperature": 1, "seed": 7, **fields}, path)
        if reply.status == 400:
            assert "too complex" in reply.error["message"]
            continue
        text, reason = finish_of(dialect, reply.body)
        whole = re.fullmatch(regex.replace(r"\p{L}", r"[^\W\d_]"), text)
        assert reason == "length" or whole, (dialect, text)


def test_references_that_loop_are_named(server: Server) -> None:
    reply = ask(server, **schema_format({"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/a"}}}))
    assert reply.status == 400
    assert "leads back to itself" in reply.error["message"]


def tool(strict: bool) -> dict:
    parameters = {"type": "object", "properties": {"x": {"type": "string", "format": "foo", "maxLength": 3}}, "required": ["x"]}
    return {"type": "function", "function": {"name": "look", "parameters": parameters, "strict": strict}}


def test_a_forced_tool_keeps_what_can_be_kept(server: Server) -> None:
    path = "tools.0.function.parameters.properties.x.format"
    reply = ask(server, tools=[tool(False)], tool_choice="required", max_tokens=60)
    assert reply.status == 200, reply.body
    assert path in reply.headers["X-Pippin-Ignored"]
    call = reply.body["choices"][0]["message"]["tool_calls"][0]["function"]
    assert len(json.loads(call["arguments"])["x"]) <= 3
    refused = ask(server, tools=[tool(True)], tool_choice="required")
    assert refused.status == 400
    assert path in refused.error["message"] and "start:" not in refused.error["message"]
