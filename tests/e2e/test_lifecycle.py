"""Starting and stopping."""
import signal
import socket

import pytest

from e2e_harness import MODEL, SLOWDOWN, Server, run_program

LONG = {"role": "user", "content": "Tell me about yourself."}


def start_long_answer(server: Server, tokens: int):
    stream = server.client().chat.completions.create(model=MODEL.name, messages=[LONG], stream=True, max_tokens=tokens,
                                                     extra_body={"ignore_eos": True})
    next(stream)
    return stream


@pytest.mark.parametrize("signal_number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_lets_answers_end(signal_number):
    with Server() as server:
        idle = server.connect()
        idle.request("GET", "/health")
        idle.getresponse().read()
        stream = start_long_answer(server, 100)
        server.process.send_signal(signal_number)
        chunks = list(stream)
        assert chunks[-1].choices[0].finish_reason == "length"
        assert server.process.wait(timeout=30 * SLOWDOWN) == 0
        assert "stopped" in server.logged()
        with pytest.raises(OSError):
            socket.create_connection(("127.0.0.1", server.port), timeout=1)


def test_what_does_not_end_is_cut_off():
    with Server("--drain-seconds", "1") as server:
        stream = start_long_answer(server, 3500)
        server.process.send_signal(signal.SIGTERM)
        with pytest.raises(Exception):
            list(stream)
        assert server.process.wait(timeout=30 * SLOWDOWN) == 0


def test_a_second_signal_stops_at_once():
    with Server("--drain-seconds", "600") as server:
        stream = start_long_answer(server, 3500)
        server.process.send_signal(signal.SIGTERM)
        assert next(stream)
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(timeout=30 * SLOWDOWN) == 0


def test_a_port_in_use_is_named(server: Server):
    result = run_program("serve", MODEL, "--port", str(server.port))
    assert result.returncode == 1
    assert str(server.port) in result.stderr and "in use" in result.stderr


def test_a_wide_address_is_warned_of():
    with Server("--host", "0.0.0.0") as server:
        assert "no password" in server.logged()
    with Server() as server:
        assert "no password" not in server.logged()


def test_a_missing_model_is_explained(tmp_path):
    for model in ("/no/such/folder", str(tmp_path)):
        result = run_program("serve", model)
        assert result.returncode == 1
        assert model in result.stderr and "config.json" in result.stderr
