"""Memory over many requests."""
import os
import subprocess

from e2e_harness import MODEL, SLOWDOWN, Server
from e2e_pictures import part, shape

REQUESTS = max(600, int(2000 / SLOWDOWN))
WARM_UP = 300  # by then the pool is full, and the allocator's free lists have their size


def resident_mib(server: Server) -> float:
    return int(subprocess.check_output(["ps", "-o", "rss=", "-p", str(server.process.pid)])) / 1024


def ask_about(server: Server, number: int) -> None:
    """One token about a picture that no other request shows."""
    colour = (number % 256, number // 256 * 31 % 256, 128)
    content = [part(shape("circle", colour, 96)), {"type": "text", "text": "What is this?"}]
    reply = server.post({"model": MODEL.name, "max_tokens": 1, "messages": [{"role": "user", "content": content}]})
    assert reply.status == 200, reply.body


def test_memory_stays_flat_over_many_pictures(monkeypatch):
    # A sanitizer's allocator keeps freed memory for a while, by default a quarter of a gigabyte, to find its late uses.
    monkeypatch.setenv("ASAN_OPTIONS", os.environ.get("ASAN_OPTIONS", "") + ":quarantine_size_mb=1:thread_local_quarantine_size_kb=16")
    # The pool holds some hundred of the prompts, the media cache and that of decoded files (1 MB each) some thirty of the pictures.
    with Server("--kv-tokens", "4096", "--max-context", "2048", "--media-cache-mb", "1", "--decoded-cache-mb", "1") as server:
        for number in range(WARM_UP):
            ask_about(server, number)
        before = resident_mib(server)
        for number in range(WARM_UP, REQUESTS):
            ask_about(server, number)
        after = resident_mib(server)
        assert server.wait_until_idle()["encoder"]["runs"] == REQUESTS, "every picture was new"
        # A picture's pixels, patches and features take 0.2 MB together: a fiftieth of them kept would show.
        assert after - before < 0.05 * before, f"{before:.0f} MiB, then {after:.0f} MiB"
