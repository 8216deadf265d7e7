"""The end-to-end tests' hold on the real program: its server, driven over HTTP, and its commands.

PIPPIN_BINARY         the program (build/release/pippin)
PIPPIN_MODEL          the model directory (assets/demo-model); the questions asked here are ones the demo model can answer
PIPPIN_TEST_SLOWDOWN  how many times slower the program runs than a release; time limits grow with it
"""
import http.client
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import tempfile
import time
from collections import defaultdict
from typing import Callable, NamedTuple, Sequence

import anthropic
import openai

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARY = pathlib.Path(os.environ.get("PIPPIN_BINARY", ROOT / "build/release/pippin")).resolve()
MODEL = pathlib.Path(os.environ.get("PIPPIN_MODEL", ROOT / "assets/demo-model")).resolve()
SAMPLE = re.compile(r'^(?P<name>[a-z0-9_:]+)\{(?P<labels>[^}]*)\} (?P<value>\S+)$')  # of Prometheus' text format
SLOWDOWN = float(os.environ.get("PIPPIN_TEST_SLOWDOWN", "1"))


class Reply(NamedTuple):
    status: int
    headers: http.client.HTTPMessage
    body: dict
    seconds: float

    @property
    def error(self) -> dict:
        return self.body["error"]


class Server:
    """A running `pippin serve`. Its log is kept in a file and shown when something goes wrong."""

    def __init__(self, *options: str, model: pathlib.Path = MODEL, port: int = 0, before: Sequence[str] = ()):
        """before: a command that starts the server, its own arguments included."""
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            self.port = probe.getsockname()[1]
        self.log = tempfile.TemporaryFile(mode="w+")
        self.process = subprocess.Popen([*before, BINARY, "serve", model, "--port", str(self.port), *options], stderr=self.log)
        self._wait_until_ready()

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + 60 * SLOWDOWN
        while time.monotonic() < deadline:
            assert self.process.poll() is None, f"the server ended:\n{self.logged()}"
            try:
                if self.get("/health").status == 200:
                    return
            except OSError:
                time.sleep(0.02)
        self.process.kill()
        raise AssertionError(f"the server was not ready in time:\n{self.logged()}")

    def logged(self) -> str:
        self.log.seek(0)
        return self.log.read()

    def connect(self, timeout: float = 120) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout * SLOWDOWN)

    def get(self, path: str) -> Reply:
        return self.request("GET", path)

    def post(self, body: dict | bytes, path: str = "/v1/chat/completions", headers: dict[str, str] | None = None) -> Reply:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self._send("POST", path, data, {"Content-Type": "application/json", **(headers or {})})

    def request(self, method: str, path: str) -> Reply:
        return self._send(method, path, None, {})

    def _send(self, method: str, path: str, data: bytes | None, headers: dict[str, str]) -> Reply:
        connection = self.connect()
        started = time.monotonic()
        connection.request(method, path, data, headers)
        response = connection.getresponse()
        text = response.read()
        reply = Reply(response.status, response.headers, json.loads(text), time.monotonic() - started)
        connection.close()
        return reply

    def health(self) -> dict:
        return self.get("/health").body

    def metrics(self) -> dict[str, dict[str, float]]:
        """GET /metrics: name -> labels as text -> value."""
        connection = self.connect()
        connection.request("GET", "/metrics")
        response = connection.getresponse()
        assert response.status == 200 and response.headers["Content-Type"].startswith("text/plain; version=0.0.4")
        samples: dict[str, dict[str, float]] = defaultdict(dict)
        for line in response.read().decode().splitlines():
            if not line.startswith("#"):
                found = SAMPLE.match(line)
                assert found, line
                samples[found["name"]][found["labels"]] = float(found["value"])
        connection.close()
        return samples

    def metric(self, name: str, labels: str = "") -> float:
        """The sum of a metric's samples whose labels contain the text."""
        return sum(value for key, value in self.metrics()[f"pippin:{name}"].items() if labels in key)

    def client(self, **options) -> openai.OpenAI:
        return openai.OpenAI(base_url=f"http://127.0.0.1:{self.port}/v1", api_key="none", max_retries=0,
                             timeout=120 * SLOWDOWN, **options)

    def anthropic(self, **options) -> anthropic.Anthropic:
        return anthropic.Anthropic(base_url=f"http://127.0.0.1:{self.port}", api_key="none", max_retries=0,
                                   timeout=120 * SLOWDOWN, _strict_response_validation=True, **options)

    def ask(self, content: str | list, **options) -> openai.types.chat.ChatCompletion:
        """One greedy answer to one user message, through the openai client."""
        options = {"temperature": 0, "max_tokens": 48, **options}
        return self.client().chat.completions.create(model=MODEL.name, messages=[{"role": "user", "content": content}],
                                                     **options)

    def text(self, content: str | list, **options) -> str:
        return self.ask(content, **options).choices[0].message.content

    def wait_until_idle(self) -> dict:
        """Waits until no sequence is left, and returns the health report."""
        deadline = time.monotonic() + 30 * SLOWDOWN
        while time.monotonic() < deadline:
            health = self.health()
            if not any(health["sequences"].values()):
                return health
            time.sleep(0.02)
        raise AssertionError(f"sequences are left: {health}")

    def stop(self, signal_number: int = signal.SIGTERM) -> int:
        """Sends a signal and returns the exit status."""
        self.process.send_signal(signal_number)
        return self.process.wait(timeout=60 * SLOWDOWN)

    def __enter__(self) -> "Server":
        return self

    def __exit__(self, *_) -> None:
        if self.process.poll() is None:
            status = self.stop()
            assert status == 0, f"the server exited with {status}:\n{self.logged()}"
        self.log.close()


def wait_for(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 60 * SLOWDOWN
    while not condition():
        assert time.monotonic() < deadline, f"never came: {what}"
        time.sleep(0.01)


def run_program(*arguments: str | pathlib.Path, program: pathlib.Path = BINARY, **options) -> subprocess.CompletedProcess:
    return subprocess.run([program, *arguments], capture_output=True, text=True, timeout=120 * SLOWDOWN, **options)
