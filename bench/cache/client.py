"""A running `pippin serve`, and questions to it whose answers are timed as they stream in. Python's own library alone."""
import dataclasses
import http.client
import json
import pathlib
import signal
import socket
import subprocess
import tempfile
import time

START_S = 900  # a new GPU machine compiles kernels for minutes


@dataclasses.dataclass
class Answer:
    ttft: float  # seconds until the first words of the answer
    latency: float  # until its end
    text: str
    prompt_tokens: int
    cached_tokens: int
    media_cached: int


class Refused(Exception):
    """The server answered with an error."""


class Server:
    def __init__(self, program: pathlib.Path, model: pathlib.Path, options: list[str]):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.log = tempfile.TemporaryFile(mode="w+")
        command = [str(program), "serve", str(model), "--port", str(self.port), "--max-body-mb", "256", *options]
        self.process = subprocess.Popen(command, stderr=self.log)
        self._wait_until_ready()

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                self.get("/health")
                return
            except OSError:
                time.sleep(0.05)
        self.process.kill()
        self.log.seek(0)
        raise RuntimeError(f"the server did not start:\n{self.log.read()[-3000:]}")

    def _connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=3600)

    def request(self, method: str, path: str) -> dict:
        connection = self._connect()
        connection.request(method, path)
        body = json.loads(connection.getresponse().read())
        connection.close()
        return body

    def get(self, path: str) -> dict:
        return self.request("GET", path)

    def encoder_runs(self) -> int:
        return self.get("/health")["encoder"]["runs"]

    def ask(self, messages: list[dict], max_tokens: int) -> Answer:
        """One streamed answer of exactly max_tokens tokens, greedily. Writing the JSON is not timed; sending it is."""
        body = json.dumps({"messages": messages, "max_tokens": max_tokens, "temperature": 0, "ignore_eos": True,
                           "stream": True, "stream_options": {"include_usage": True}}).encode()
        connection = self._connect()
        start = time.perf_counter()
        connection.request("POST", "/v1/chat/completions", body, {"Content-Type": "application/json"})
        response = connection.getresponse()
        if response.status != 200:
            raise Refused(json.loads(response.read())["error"]["message"])
        answer = read_stream(response, start)
        connection.close()
        return answer

    def __enter__(self) -> "Server":
        return self

    def __exit__(self, *_) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(timeout=120)
        self.log.close()


def read_stream(lines, start: float) -> Answer:
    """Reads server-sent events, an iterable of lines, to their end."""
    text, usage, first = [], None, None
    for line in lines:
        if not line.startswith(b"data: ") or line.strip() == b"data: [DONE]":
            continue
        event = json.loads(line[6:])
        if "error" in event:
            raise Refused(event["error"]["message"])
        for choice in event["choices"]:
            if choice["delta"].get("content"):
                first = first or time.perf_counter()
                text.append(choice["delta"]["content"])
        usage = event.get("usage") or usage
    end = time.perf_counter()
    if usage is None:
        raise Refused("the stream ended before its usage")
    details = usage["prompt_tokens_details"]
    return Answer((first or end) - start, end - start, "".join(text), usage["prompt_tokens"], details["cached_tokens"],
                  details.get("media_cached", 0))
