"""A log that nobody reads holds up nobody."""
import contextlib
import http.client
import json
import os
import socket
import subprocess
from typing import Iterator

import pytest

from e2e_harness import BINARY, MODEL, SLOWDOWN, wait_for

ASK = json.dumps({"messages": [{"role": "user", "content": "What is Pippin?"}], "max_tokens": 2})


class PipedServer:
    """A server whose log is a pipe; `log` is the end that is read."""

    def __init__(self, *options: str):
        self.log, self.log_input = os.pipe()
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.process = subprocess.Popen([BINARY, "serve", MODEL, "--port", str(self.port), *options], stderr=self.log_input)
        wait_for(lambda: self.status("GET", "/health") == 200, "an answer")

    def status(self, method: str, path: str, body: str | None = None) -> int:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20 * SLOWDOWN)
        try:
            connection.request(method, path, body, {"Content-Type": "application/json"})
            response = connection.getresponse()
            response.read()
            return response.status
        except OSError:
            return 0
        finally:
            connection.close()

    def fill(self) -> None:
        """Leaves the pipe no room, by a descriptor of its own: the server's has no flag of ours."""
        filler = os.open(f"/proc/self/fd/{self.log_input}", os.O_WRONLY | os.O_NONBLOCK)
        with contextlib.suppress(BlockingIOError):
            while True:
                os.write(filler, b"." * 4095 + b"\n")
        os.close(filler)

    def read(self) -> str:
        reader = os.open(f"/proc/self/fd/{self.log}", os.O_RDONLY | os.O_NONBLOCK)
        text = b""
        with contextlib.suppress(BlockingIOError):
            while piece := os.read(reader, 1 << 20):
                text += piece
        os.close(reader)
        return text.decode()


@pytest.fixture(params=["text", "json"])
def piped(request) -> Iterator[PipedServer]:
    server = PipedServer("--log-format", request.param)
    yield server
    if server.process.poll() is None:
        server.process.kill()
        server.process.wait()


def test_lines_are_dropped_and_answers_are_not(piped: PipedServer):
    piped.fill()
    for _ in range(20):
        assert piped.status("POST", "/v1/chat/completions", ASK) == 200
        assert piped.status("GET", "/no/such/route") == 404
    piped.read()
    assert piped.status("POST", "/v1/chat/completions", ASK) == 200
    seen = []

    def told() -> bool:
        seen.append(piped.read())
        return "dropped" in "".join(seen)

    wait_for(told, "how many lines were dropped")
    piped.fill()
    piped.process.terminate()
    assert piped.process.wait(timeout=30 * SLOWDOWN) == 0


def test_a_reader_that_leaves_ends_nothing(piped: PipedServer):
    os.close(piped.log)
    os.close(piped.log_input)
    for _ in range(5):
        assert piped.status("POST", "/v1/chat/completions", ASK) == 200
    piped.process.terminate()
    assert piped.process.wait(timeout=30 * SLOWDOWN) == 0
