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
from endings import ending_of, restricted, sampled, says_whole
from hostile_harness import FIRST_TOKEN_S, Attack, Beside, cpu_seconds, resident

QUESTION = [{"role": "user", "content": "Hello"}]
REPEATS = ["(a{1000}){1000}", "a{1000000}", "((a{100}){100}){100}"]
# Their lexers explode on the way: an answer must not look whole where they do.
EXPLODING = [r"(.{1,80}\n?){1,50}", r"^(\p{L}{1,50}\s?){1,50}$", "^([a-z]{1,100} ?){1,100}$", "^(.{1,20}\n?){1,20}$"]
# These do so where nobody has tried before: behind the beginning that is rehearsed.
LATE = ["^[a-z ]{130}([a-z ]{1,100} ?){1,100}$"]
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


def steps(count: int) -> list[dict]:
    """Schemas of 42 bytes, none of which another one's grammar would do for."""
    return [{"type": "integer", "multipleOf": 9999991 + 2 * number} for number in range(count)]


def test_steps_of_many_digits_harm_nobody(server: Server, record_property) -> None:
    """Sixteen of them: they took 8.6 GB and both cores for minutes, and other clients' new schemas were answered 400."""
    ask(server)
    server.request("DELETE", "/v1/cache")
    beside = Beside(server, record_property, "16 multiples of seven digits")
    attack = Attack(server, [{"messages": QUESTION, "max_tokens": 30, "temperature": 1, **schema_format(schema)} for schema in steps(16)])
    others = 0
    while attack.runs():
        new = {"type": "object", "properties": {f"other{others}": {"type": "integer"}}}
        assert post_as(server, "127.0.0.3", **schema_format(new)) == 200
        others += 1
        beside.ask()
    assert [reply.status for reply in attack.wait()] == [200] * 16, [reply.body for reply in attack.replies]
    held = server.get("/v1/cache").body["grammars"]
    assert held["kept"] >= 16 and 16 << 20 < held["bytes"] <= held["limit_bytes"]
    assert server.metric("grammar_bytes") == held["bytes"] and beside.growth < MAX_GROWTH
    assert server.request("DELETE", "/v1/cache").body["grammars"] == held["kept"]
    assert server.get("/v1/cache").body["grammars"]["bytes"] == 0
    assert resident(server) - beside.before < MAX_GROWTH / 4
    beside.report()


def begin(server: Server, schema: dict) -> tuple[http.client.HTTPConnection, http.client.HTTPResponse]:
    """An answer that nobody reads, of which more is to come than is computed in advance."""
    connection = server.connect()
    body = {"messages": QUESTION, "max_tokens": 1500, "stream": True, **schema_format(schema)}
    connection.request("POST", "/v1/chat/completions", json.dumps(body), {"Content-Type": "application/json"})
    return connection, connection.getresponse()


def test_full_is_busy_and_not_the_clients_fault() -> None:
    """Running answers hold their grammars until there is no room for one more. When they have ended it is there again, and what is kept
    gives way to what is asked for."""
    with Server("--memory-gb", "0.8") as small:
        lists = [{"type": "array", "items": schema, "minItems": 500} for schema in steps(40)]
        begun = []
        while not begun or begun[-1][1].status == 200:
            assert len(begun) < len(lists), "there is room for all"
            begun.append(begin(small, lists[len(begun)]))
        refused = begun[-1][1]
        assert len(begun) > 2 and refused.status in RETRY and int(refused.headers["Retry-After"]) > 0, refused.read()
        for connection, response in begun:
            response.close()
            connection.close()
        small.wait_until_idle()
        Attack(small, [{"messages": QUESTION, "max_tokens": 4, **schema_format(schema)} for schema in lists[:12]]).wait()
        for schema in lists[:12]:
            assert ask(small, **schema_format(schema)).status == 200
        held = small.get("/v1/cache").body["grammars"]
        assert 0 < held["bytes"] <= held["limit_bytes"] and held["busy"] > 0, held
        small.request("DELETE", "/v1/cache")
        assert small.get("/v1/cache").body["grammars"]["bytes"] == 0


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


def is_kept_to(form: str, pattern: str, text: str) -> bool:
    """Whether it is a whole answer."""
    try:
        said = text if form == "regex" else json.loads(text) if form == "schema" else json.loads(text)["x"]
    except (ValueError, KeyError):
        return False
    return re.fullmatch(pattern.replace(r"\p{L}", r"[^\W\d_]"), said) is not None


@pytest.mark.parametrize("form", ["regex", "schema", "tool"])
@pytest.mark.parametrize("pattern", EXPLODING + LATE)
def test_an_answer_only_ends_where_its_grammar_does(server: Server, form: str, pattern: str) -> None:
    """In every dialect: it is whole, or cut by max_tokens, or ends with an error; what can be known before is refused."""
    failed = []
    for name, (path, fields) in restricted(form, pattern).items():
        for stream in (False, True):
            ending = ending_of(server, path, {**sampled(path, 7, 300), **fields, "stream": stream})
            failed.append(bool(ending.error))
            if ending.error:
                assert not ending.reason and "too complex" in ending.error, (name, ending)
                assert ending.status == 400 or stream and ending.status == 200, (name, ending)
            elif says_whole(ending):
                assert is_kept_to(form, pattern, ending.text), (name, ending)
            else:
                assert ending.reason in ("length", "max_tokens", "incomplete"), (name, ending)
    assert all(failed) or pattern not in LATE  # or nothing was tried


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


@pytest.mark.parametrize("step", [864, 3600, 9009, 86400, 999983, 1000000, 9999991])
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
