"""Clients that are slow, answers that take too long, and memory: what is set aside for what, and what happens when it runs out."""
import json
import re
import socket
import time

import pytest

from e2e_harness import SLOWDOWN, Server, run_program, wait_for
from test_load import request_bytes

# Goes on for as long as it may, in text: special tokens, which have none, are ruled out.
LONG = {"messages": [{"role": "user", "content": "Tell me about yourself."}], "temperature": 0, "ignore_eos": True,
        "logit_bias": {str(token): -100 for token in range(16)}}


def chunks_of(stream: bytes) -> list[dict]:
    """The events of a streamed answer's bytes, HTTP's own framing left in between."""
    return [json.loads(data) for data in re.findall(rb"data: (\{.*?\})\n\n", stream)]


def slow_client(server: Server, body: dict) -> socket.socket:
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.settimeout(60 * SLOWDOWN)
    client.connect(("127.0.0.1", server.port))
    client.sendall(request_bytes({**body, "stream": True}))
    return client


def read_to_the_end(client: socket.socket) -> bytes:
    received = b""
    while b"[DONE]" not in received:
        piece = client.recv(1 << 16)
        assert piece, received[-300:]
        received += piece
    return received


def test_a_slow_reader_stops_its_own_sequence_only():
    body = {**LONG, "max_tokens": 3000}
    with Server() as server:
        expected = server.post(body).body["choices"][0]["message"]["content"]
        with slow_client(server, body) as slow:
            wait_for(lambda: server.health()["sequences"]["held"] == 1, "the slow one waits")
            before = server.health()["tokens"]["generated"]
            time.sleep(0.3)
            assert server.health()["tokens"]["generated"] == before, "it went on"
            assert "MLX" in server.text("What is Pippin?")
            assert server.health()["sequences"]["running"] == 1
            text = "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in chunks_of(read_to_the_end(slow)))
        assert text == expected
        pages = server.wait_until_idle()["pages"]
        assert pages["free"] + pages["cached"] == pages["total"]


def test_slow_readers_give_their_places_to_others():
    with Server("--max-sequences", "2") as server:
        slow = [slow_client(server, {**LONG, "max_tokens": 3000}) for _ in range(2)]
        wait_for(lambda: server.health()["sequences"]["held"] == 2, "both wait")
        assert "MLX" in server.text("What is Pippin?")
        for client in slow:
            client.close()
        server.wait_until_idle()


def test_time_is_up(server: Server):
    reply = server.post({**LONG, "max_tokens": 3000, "timeout": 0.1 * SLOWDOWN})
    assert reply.status == 504 and reply.error["code"] == "timeout" and reply.error["type"] == "server_error"
    assert reply.seconds < 2 * SLOWDOWN
    with socket.create_connection(("127.0.0.1", server.port), timeout=60 * SLOWDOWN) as client:
        client.sendall(request_bytes({**LONG, "max_tokens": 3000, "timeout": 0.1 * SLOWDOWN, "stream": True}))
        received = b""
        while b'"error"' not in received:
            received += client.recv(1 << 16)
    assert len(chunks_of(received)) > 2 and '"timeout"' in json.dumps(chunks_of(received)[-1])
    pages = server.wait_until_idle()["pages"]
    assert pages["free"] + pages["cached"] == pages["total"]


@pytest.mark.parametrize("timeout", [0, -1, "soon", 1e9])
def test_a_timeout_that_makes_no_sense_is_refused(server: Server, timeout):
    reply = server.post({**LONG, "timeout": timeout})
    assert reply.status == 400 and reply.error["param"] == "timeout"


def test_the_servers_own_limit_holds_for_all_and_in_the_queue():
    with Server("--request-timeout", str(0.2 * SLOWDOWN), "--max-sequences", "1") as server:
        for extra in ({}, {"timeout": 1000}):
            assert server.post({**LONG, "max_tokens": 3000, **extra}).status == 504
        assert "MLX" in server.text("What is Pippin?", max_tokens=16)


def test_an_allocation_failure_ends_its_requests_and_the_server_goes_on():
    expected = {}
    with Server() as server:
        for number in range(6):
            expected[number] = server.text(f"What is {number} plus {number}?")
    with Server("--fail-every", "40") as server:
        failed = 0
        for number in [*range(6)] * 6:
            reply = server.post({"messages": [{"role": "user", "content": f"What is {number} plus {number}?"}],
                                 "temperature": 0, "max_tokens": 48})
            if reply.status == 503:
                failed += 1
                assert reply.headers["Retry-After"] and "could not compute" in reply.error["message"]
            else:
                assert reply.body["choices"][0]["message"]["content"] == expected[number]
        assert failed > 0
        wait_for(lambda: server.metric("steps_failed_total") == failed, "the last one is counted, too")
        pages = server.wait_until_idle()["pages"]
        assert pages["free"] + pages["cached"] == pages["total"]
        assert server.get("/health").status == 200


def test_the_memory_is_shared_out_and_reported():
    with Server("--memory-gb", "0.4", "--max-context", "1024") as server:
        memory = server.get("/v1/cache").body["memory"]
        parts = [memory[f"{part}_bytes"] for part in ("weight", "activation", "grammar", "media", "decoded", "page")]
        assert all(parts) and sum(parts) <= memory["budget_bytes"] == int(0.4 * 2**30) <= memory["limit_bytes"]
        assert memory["budget_bytes"] - sum(parts) < 1 << 20, "what was named is used"
        cache = server.get("/v1/cache").body
        assert cache["pages"]["limit_bytes"] == memory["page_bytes"] and cache["media"]["limit_bytes"] == memory["media_bytes"]
        assert "memory in MB: 410 of" in server.logged()
        reply = server.post({"messages": [{"role": "user", "content": "What is Pippin? " * 400}]})
        assert reply.status == 400
        tokens, context = map(int, re.findall(r"\d+", reply.error["message"])[:2])
        assert tokens >= context == 1024


def test_a_budget_that_does_not_hold_the_model_is_refused():
    result = run_program("serve", "demo", "--port", "0", "--memory-gb", "0.02")
    assert result.returncode == 1 and "0.02 GB" in result.stderr and "weights" in result.stderr
    result = run_program("serve", "demo", "--port", "0", "--memory-gb", "100000")
    assert result.returncode == 1 and "this process may use" in result.stderr
    assert run_program("serve", "demo", "--memory-gb", "1", "--memory-fraction", "0.5").returncode == 2
