"""Grammars that would take all time and memory harm nobody but who sends them."""
import http.client
import json
import re
import resource
import threading
import time
from typing import Iterator

import pytest

from e2e_harness import SLOWDOWN, Reply, Server
from hostile_harness import FIRST_TOKEN_S, Attack, Beside, cpu_seconds

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


def schema_format(schema: dict) -> dict:
    return {"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}}


def ask(server: Server, **fields) -> Reply:
    return server.post({"messages": QUESTION, "max_tokens": 30, **fields})


def hostile_requests() -> list[dict]:
    steps = [{"guided_regex": f"(a{{1000}}){{{1000 + i}}}"} for i in range(16)]
    return steps + [{"guided_regex": regex} for regex in REPEATS]


def test_compiling_is_bounded_and_others_go_on(server: Server, record_property) -> None:
    ask(server)  # what the first answer takes anyway
    beside = Beside(server, record_property, "19 regular expressions that explode")
    attack = Attack(server, [{"messages": QUESTION, "max_tokens": 30, **fields} for fields in hostile_requests()])
    others = []
    while attack.runs():
        others.append(ask(server, **schema_format({"type": "object", "properties": {f"x{len(others)}": {"type": "integer"}}})))
        beside.ask()
    for reply in attack.wait():
        assert reply.status == 400 or reply.status in RETRY and reply.headers["Retry-After"], reply.body
    assert len(attack.replies) == len(attack.threads)
    for reply in others:
        assert reply.status == 200, reply.body
    assert beside.growth < MAX_GROWTH
    started = cpu_seconds(server)
    time.sleep(1)
    assert cpu_seconds(server) - started < 0.2 * max(1, SLOWDOWN / 4), "its cores are not idle"
    beside.report()


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


def post_as(server: Server, address: str, **fields) -> int:
    """The status of an answer to a client of another address of this machine."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=120 * SLOWDOWN, source_address=(address, 0))
    body = json.dumps({"messages": QUESTION, "max_tokens": 4, **fields})
    connection.request("POST", "/v1/chat/completions", body, {"Content-Type": "application/json"})
    response = connection.getresponse()
    response.read()
    connection.close()
    return response.status


def test_a_client_with_many_schemas_leaves_turns_to_others(server: Server) -> None:
    """Whatever one client sends, another one's new schema waits for none of it: a compiling thread is free."""
    ended: list[int] = []
    def send(number: int) -> None:
        values = [f"{number} {i}" for i in range(16000)]  # takes half a second or so to compile
        ended.append(post_as(server, "127.0.0.2", **schema_format({"enum": values})))
    threads = [threading.Thread(target=send, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    while server.get("/v1/cache").body["grammars"]["compiled"] == 0 and not ended:
        time.sleep(0.02)
    before = len(ended)
    for number in range(4):
        schema = {"type": "object", "properties": {f"fair{number}": {"type": "boolean"}}}
        assert post_as(server, "127.0.0.3", **schema_format(schema)) == 200
    meanwhile = len(ended) - before
    for thread in threads:
        thread.join()
    assert set(ended) <= {200, 429}, ended
    assert meanwhile <= 8, f"{meanwhile} of the other's grammars came before"


def test_two_clients_with_the_worst_schemas_hold_up_no_third_one(server: Server, record_property) -> None:
    """Together they can hold all threads that compile what takes long; what takes little has turns of its own."""
    worst = [schema_format({"enum": [f"{number} {i}" for i in range(16000)]}) for number in range(8)] \
        + [{"guided_regex": f"(a{{1000}}){{{2000 + number}}}"} for number in range(8)]
    beside = Beside(server, record_property, "two clients with 16 schemas of the worst each")
    over = threading.Event()

    def send(address: str, fields: dict) -> None:
        while not over.is_set():
            post_as(server, address, **fields)

    threads = [threading.Thread(target=send, args=(address, fields)) for address in ("127.0.0.2", "127.0.0.4") for fields in worst]
    for thread in threads:
        thread.start()
    time.sleep(0.5)
    waits = []
    for number in range(8):
        schema = {"type": "object", "properties": {f"cheap{number}": {"type": "boolean"}}}
        started = time.monotonic()
        assert post_as(server, "127.0.0.3", **schema_format(schema)) == 200
        waits.append(time.monotonic() - started)
        beside.ask()
    over.set()
    for thread in threads:
        thread.join()
    beside.name += f" (a third one's new schema: {max(waits) * 1000:.0f} ms at most)"
    beside.report()
    assert max(waits) < FIRST_TOKEN_S, waits


@pytest.mark.parametrize("schema", [
    {"allOf": [{"enum": [f"value {i}" for i in range(200)]}] * 2},
    {"type": "object", "patternProperties": {f"^a{i}[b-z]{{1,20}}q{i}$": {} for i in range(300)}},
    {"type": "object", "required": [f"r{i}" for i in range(10000)]},
    {"type": "array", "prefixItems": [{"type": "integer"}] * 10000},
], ids=["allOf", "patternProperties", "required", "prefixItems"])
def test_reading_a_schema_is_bounded_before_it_begins(server: Server, schema: dict) -> None:
    reply = ask(server, **schema_format(schema))
    assert reply.status == 400 and reply.error["param"] == "response_format.json_schema.schema", reply.body
    assert "the schema" in reply.error["message"] and reply.seconds < 2 * SLOWDOWN


@pytest.mark.parametrize("step", [864, 3600, 9009, 86400, 999983, 1000000])
def test_large_steps_are_kept_to(server: Server, step: int) -> None:
    for seed in range(3):
        reply = ask(server, temperature=1.5, seed=seed, **schema_format({"type": "integer", "multipleOf": step}))
        assert reply.status == 200, reply.body
        choice = reply.body["choices"][0]
        assert choice["finish_reason"] == "stop" and int(choice["message"]["content"]) % step == 0, choice


def test_a_step_that_can_not_be_kept_to_is_named(server: Server) -> None:
    step = {"type": "integer", "multipleOf": 86400, "minimum": 0, "maximum": 10**12}
    reply = ask(server, **schema_format({"type": "object", "properties": {"time": step}, "required": ["time"]}))
    assert (reply.status, reply.error["param"]) == (400, "response_format.json_schema.schema")
    assert "#/properties/time" in reply.error["message"] and "multipleOf" in reply.error["message"]


def test_paths_of_tools_are_the_dialects_own(server: Server) -> None:
    def ask_in(path: str, strict: bool) -> Reply:
        schema = tool(strict)["function"]["parameters"]
        own = {"name": "look", "strict": strict, "input_schema" if path == "/v1/messages" else "parameters": schema}
        if path == "/v1/messages":
            fields = {"messages": QUESTION, "max_tokens": 60, "tools": [own], "tool_choice": {"type": "any"}}
        else:
            fields = {"input": "Hello", "max_output_tokens": 60, "tool_choice": "required",
                      "tools": [{"type": "web_search"}, {"type": "function", **own}]}
        return server.post(fields, path)
    for path, field in (("/v1/messages", "tools.0.input_schema"), ("/v1/responses", "tools.1.parameters")):
        field += ".properties.x.format"
        reply = ask_in(path, False)
        assert reply.status == 200, reply.body
        assert field in reply.headers["X-Pippin-Ignored"]
        refused = ask_in(path, True)
        assert refused.status == 400 and f"'{field}'" in refused.error["message"], refused.body
        if path == "/v1/responses":
            assert refused.error["param"] == field


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
    assert (refused.status, refused.error["param"]) == (400, path)
    assert path in refused.error["message"] and "start:" not in refused.error["message"]
