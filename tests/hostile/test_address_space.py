"""Little memory: starts under a limit on address space. Loopback only, bounded in number and time."""
import contextlib
import resource
import socket
import subprocess
import tempfile
import time

import pytest

from e2e_harness import BINARY, MODEL, SLOWDOWN, Server

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
