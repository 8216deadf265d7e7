#!/usr/bin/env python3
"""The demo: starts Pippin on a model, asks about words and a picture, shows what its cache saves, stops it again.

  demo.py --pippin build/release/pippin [--model DIR]

Python's standard library only. Exits 0 when all of it worked: answers came, the second question about the picture took its
prompt from the cache without running the vision encoder again, and the server drained and exited 0 on SIGTERM.
"""
import argparse
import base64
import http.client
import json
import pathlib
import signal
import socket
import subprocess
import sys
import tempfile
import time
from typing import Iterator, NamedTuple

ROOT = pathlib.Path(__file__).resolve().parents[2]
PICTURE = ROOT / "assets/pictures/shapes.png"
START_S = 600  # how long a start may take: a GPU's first one compiles kernels for minutes
PATIENCE_S = 10  # after so long a reader wants to know why


class Answer(NamedTuple):
    text: str
    first_ms: float  # from sending the request to the first piece of text
    usage: dict


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    """A running `pippin serve`; used with `with`, which stops it (and kills it when it does not stop)."""

    def __init__(self, pippin: str, model: str):
        self.port = free_port()
        self.log = tempfile.TemporaryFile(mode="w+")
        self.process = subprocess.Popen([pippin, "serve", model, "--host", "127.0.0.1", "--port", str(self.port)],
                                        stdout=self.log, stderr=subprocess.STDOUT)

    def __enter__(self) -> "Server":
        try:
            self.wait_until_ready()
        except BaseException:
            self.process.kill()
            raise
        return self

    def __exit__(self, *_) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()

    def wait_until_ready(self) -> None:
        start, said = time.monotonic(), False
        while time.monotonic() < start + START_S:
            if not said and time.monotonic() > start + PATIENCE_S:
                print("Still starting. (The first start on a GPU compiles kernels, which takes minutes.)\n", flush=True)
                said = True
            if self.process.poll() is not None:
                self.log.seek(0)
                sys.exit(f"demo: the server ended with status {self.process.returncode}:\n{self.log.read()}")
            try:
                if self.get("/health").get("status") == "ok":
                    return
            except (OSError, http.client.HTTPException, ValueError):
                pass
            time.sleep(0.05)
        sys.exit(f"demo: the server was not ready after {START_S} s")

    def get(self, path: str) -> dict:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        connection.request("GET", path)
        return json.loads(connection.getresponse().read())

    def events(self, body: dict) -> Iterator[dict]:
        """Posts a streamed chat completion and yields its chunks as they arrive."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=300)
        connection.request("POST", "/v1/chat/completions", json.dumps(body), {"Content-Type": "application/json"})
        response = connection.getresponse()
        if response.status != 200:
            sys.exit(f"demo: the server answered {response.status}: {response.read().decode()}")
        for line in response:
            if line.startswith(b"data: ") and line.strip() != b"data: [DONE]":
                yield json.loads(line[len(b"data: "):])

    def stop(self) -> int:
        """Sends SIGTERM and returns the exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=30)


def ask(server: Server, question: str, picture: pathlib.Path | None = None) -> Answer:
    """Asks one question, printing the answer as it arrives."""
    content: list[dict] = [{"type": "text", "text": question}]
    if picture:
        url = "data:image/png;base64," + base64.b64encode(picture.read_bytes()).decode()
        content.insert(0, {"type": "image_url", "image_url": {"url": url}})
    body = {"messages": [{"role": "user", "content": content}], "temperature": 0, "max_tokens": 128, "stream": True,
            "stream_options": {"include_usage": True}}
    print(f"You:     {question}\nPippin:  ", end="", flush=True)
    started = time.monotonic()
    first_ms, text, usage = 0.0, "", {}
    for event in server.events(body):
        if "error" in event:
            sys.exit(f"\ndemo: the stream ended with an error: {event['error']}")
        usage = event.get("usage") or usage
        for choice in event.get("choices", []):
            piece = choice["delta"].get("content") or ""
            if piece and not text:
                first_ms = 1000 * (time.monotonic() - started)
            text += piece
            print(piece, end="", flush=True)
    print(f"\n         ({usage['prompt_tokens']} tokens read, first word after {first_ms:.0f} ms)\n")
    if not text:
        sys.exit("demo: the answer is empty")
    return Answer(text, first_ms, usage)


def show_savings(first: Answer, second: Answer, runs: int) -> bool:
    """Prints what the second question about a picture took from the caches; whether it took all that it should."""
    cached = second.usage["prompt_tokens_details"]["cached_tokens"]
    print("What the caches saved on the second question about the same picture:")
    print(f"  {cached} of its {second.usage['prompt_tokens']} prompt tokens were read already (cached_tokens in the usage)")
    print(f"  the vision encoder ran {runs} time{'' if runs == 1 else 's'} for it")
    print(f"  first word after {second.first_ms:.0f} ms instead of {first.first_ms:.0f} ms\n")
    return cached > 0 and runs == 0


def demo(server: Server) -> bool:
    ask(server, "What is Pippin?")
    print(f"Picture: {PICTURE.relative_to(ROOT)}")
    first = ask(server, "Describe the picture.", PICTURE)
    runs_before = server.get("/health")["encoder"]["runs"]
    second = ask(server, "What colour is the square?", PICTURE)
    return show_savings(first, second, server.get("/health")["encoder"]["runs"] - runs_before)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pippin", required=True, help="the program")
    parser.add_argument("--model", default="demo", help="a model directory, or demo")
    args = parser.parse_args()
    with Server(args.pippin, args.model) as server:
        print(f"Pippin serves its {args.model} model at http://127.0.0.1:{server.port}\n")
        saved = demo(server)
        status = server.stop()
    if not saved:
        sys.exit("demo: the caches did not do their part")
    if status:
        sys.exit(f"demo: the server exited with status {status} on SIGTERM")
    print("The server has stopped. `make serve` starts one that stays.")


if __name__ == "__main__":
    main()
