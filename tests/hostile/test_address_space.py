"""Little memory: starts and requests under a limit on address space. Loopback only, bounded in number and time."""
import base64
import contextlib
import io
import random
import resource
import socket
import subprocess
import tempfile
import time
from typing import Iterator

import pytest
from PIL import Image

from e2e_harness import BINARY, MODEL, SLOWDOWN, Server
from hostile_harness import Attack

MB = 1_000_000
ASK = {"model": MODEL.name, "messages": [{"role": "user", "content": "What is Pippin?"}], "max_tokens": 4}


class LimitedServer(Server):
    """A server with so much address space. Where it has ended before it served, `ready` is false."""

    def __init__(self, megabytes: int, *options: str):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        command = [BINARY, "serve", MODEL, "--port", str(self.port), "--log-level", "error", *options]
        limit = (megabytes * MB, megabytes * MB)
        self.log = tempfile.TemporaryFile(mode="w+")
        self.process = subprocess.Popen(command, stderr=self.log, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, limit))
        self.ready = False
        end = time.monotonic() + 10 * SLOWDOWN
        while not self.ready and self.process.poll() is None:
            if time.monotonic() > end:
                self.process.kill()
                raise AssertionError(f"it neither serves nor ends: {self.logged()}")
            with contextlib.suppress(OSError):
                self.ready = self.get("/health").status == 200
            time.sleep(0.02)


@pytest.mark.parametrize("megabytes", [320, 350, 400, 500, 600, 800, 1000, 1200])
def test_a_start_serves_or_says_that_memory_is_missing(megabytes: int) -> None:
    started = time.monotonic()
    server = LimitedServer(megabytes)
    seconds = time.monotonic() - started
    if server.ready:
        print(f"{megabytes} MB: serves after {seconds:.1f} s")
        with server:
            assert server.post(ASK).status in (200, 503)
        return
    said = server.logged().strip()
    print(f"{megabytes} MB: ends with {server.process.returncode} after {seconds:.1f} s: {said}")
    assert server.process.returncode > 0 and len(said.splitlines()) == 1, said


def large_schema(number: int) -> dict:
    members = {f"m{number}_{i}": {"type": "string", "pattern": "^([a-z]{1,60} ?){1,60}$"} for i in range(60)}
    return {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "object", "properties": members}}}


def large_picture() -> str:
    data = io.BytesIO()
    Image.new("RGB", (6000, 6000), "red").save(data, "PNG")
    return "data:image/png;base64," + base64.b64encode(data.getvalue()).decode()


def hostile_requests() -> Iterator[dict]:
    words = random.Random(7)
    picture = {"type": "image_url", "image_url": {"url": large_picture()}}
    for number in range(3):
        yield {**ASK, "response_format": large_schema(number)}
        yield {**ASK, "guided_regex": f"(a{{1000}}){{{900 + number}}}"}
        yield {**ASK, "messages": [{"role": "user", "content": "".join(words.choices("ab \u4e2d\n7", k=500_000))}]}
        yield {**ASK, "messages": [{"role": "user", "content": "x"}] * 10_000}
        yield {**ASK, "messages": [{"role": "user", "content": [picture]}]}
        yield {**ASK, "tools": [{"type": "function", "function": {"name": f"f{i}", "parameters": {}}} for i in range(1000)]}


@pytest.mark.parametrize("megabytes", [1100, 1300, 1500])
def test_no_request_ends_a_server_without_memory(megabytes: int) -> None:
    with LimitedServer(megabytes, "--kv-tokens", "4096") as server:
        assert server.ready, server.logged()
        for again in range(2):
            attack = Attack(server, list(hostile_requests()))
            replies = attack.wait()
            assert server.process.poll() is None, server.logged()
            statuses = sorted(reply.status for reply in replies)
            print(f"{megabytes} MB: {statuses}")
            assert len(statuses) == len(attack.threads)  # each has its answer
            assert set(statuses) <= {200, 400, 413, 429, 503}, [reply.body for reply in replies]
            end = time.monotonic() + 10 * SLOWDOWN
            while (reply := server.post(ASK)).status != 200:  # memory comes back
                assert reply.status == 503 and time.monotonic() < end, reply
                time.sleep(0.2)
