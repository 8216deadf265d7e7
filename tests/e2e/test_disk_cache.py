"""What one server has read and seen, the next one on the same folder need not."""
import http.client
import json
import os
import pathlib
import random
import resource
import socket
import subprocess
import time

import pytest

from e2e_harness import BINARY, MODEL, SLOWDOWN, Server, wait_for
from e2e_pictures import BLUE_SQUARE, RED_CIRCLE, question

DESCRIBE = question("Describe the picture.", RED_CIRCLE)


def entries(folder: pathlib.Path, kind: str = "*") -> list[pathlib.Path]:
    """The finished files of the cache."""
    return [file for file in folder.glob(f"*/{kind}/*/*") if file.is_file()]


def wait_for_entries(folder: pathlib.Path, kind: str, count: int) -> None:
    deadline = time.monotonic() + 30 * SLOWDOWN
    while len(entries(folder, kind)) < count:
        assert time.monotonic() < deadline, f"{len(entries(folder, kind))} {kind} of {count} were written"
        time.sleep(0.01)


def kill(server: Server) -> None:
    server.process.kill()
    server.process.wait()


def test_the_first_question_after_a_kill_is_read_from_disk(tmp_path):
    with Server("--cache-dir", str(tmp_path)) as server:
        before = server.ask(DESCRIBE)
        wait_for_entries(tmp_path, "pages", before.usage.prompt_tokens // 16)
        wait_for_entries(tmp_path, "features", 1)
        kill(server)
    with Server("--cache-dir", str(tmp_path)) as server:
        after = server.ask(DESCRIBE)
        assert after.choices[0].message.content == before.choices[0].message.content
        assert after.usage.prompt_tokens_details.cached_tokens >= (before.usage.prompt_tokens - 1) // 16 * 16
        # The same picture after other words: other pages, the same features.
        assert "circle" in server.text([{"type": "text", "text": "Look at this."}, *DESCRIBE])
        assert server.health()["encoder"]["runs"] == 0


def test_what_ends_in_order_leaves_everything(tmp_path):
    with Server("--cache-dir", str(tmp_path)) as server:
        before = server.ask(DESCRIBE)
    assert len(entries(tmp_path, "pages")) >= before.usage.prompt_tokens // 16
    assert len(entries(tmp_path, "features")) == 1


def test_killed_at_any_moment_it_answers_right_the_next_time(tmp_path):
    ask = [DESCRIBE, question("What colour is it?", BLUE_SQUARE), "What is Pippin?", "Tell me about yourself."]
    with Server() as server:
        expected = [server.text(content) for content in ask]
    dice = random.Random(1)
    for _ in range(6):
        with Server("--cache-dir", str(tmp_path)) as server:
            for content, text in zip(ask, expected):
                assert server.text(content) == text
            time.sleep(dice.random() * 0.02)
            kill(server)
    with Server("--cache-dir", str(tmp_path)) as server:
        for content, text in zip(ask, expected):
            answer = server.ask(content)
            assert answer.choices[0].message.content == text
            assert answer.usage.prompt_tokens_details.cached_tokens > 0
        assert "does not use" not in server.logged()
    assert not list((tmp_path / "unfinished").iterdir())


def test_broken_files_are_noticed_and_computed_again(tmp_path):
    with Server("--cache-dir", str(tmp_path)) as server:
        expected = server.text(DESCRIBE)
    for i, file in enumerate(sorted(entries(tmp_path))):
        data = bytearray(file.read_bytes())
        data[(i * 997) % len(data)] ^= 1
        file.write_bytes(data if i % 2 else data[: len(data) // 2])
    with Server("--cache-dir", str(tmp_path)) as server:
        answer = server.ask(DESCRIBE)
        assert answer.choices[0].message.content == expected
        assert answer.usage.prompt_tokens_details.cached_tokens == 0
        assert "does not use" in server.logged()


@pytest.mark.parametrize("option", [("--kv-dtype", "float32"), ("--page-size", "32"), ("--cpu-activations", "float32")])
def test_another_setup_finds_nothing(tmp_path, option):
    with Server("--cache-dir", str(tmp_path)) as server:
        server.ask(DESCRIBE)
    with Server("--cache-dir", str(tmp_path), *option) as server:
        assert server.ask(DESCRIBE).usage.prompt_tokens_details.cached_tokens == 0
        assert server.health()["encoder"]["runs"] == 1


def test_the_folder_keeps_to_its_size(tmp_path):
    limit = 2**30 // 1000
    with Server("--cache-dir", str(tmp_path), "--cache-disk-gb", "0.001") as server:
        for number in range(30):
            server.ask(f"Count from {number} to ten. " + "And again. " * 20, max_tokens=1)
    assert limit // 2 < sum(file.stat().st_size for file in entries(tmp_path)) <= limit * 1.001


def test_a_folder_that_cannot_be_used_is_done_without(tmp_path):
    (tmp_path / "file").write_text("no folder")
    for folder in ("/proc/nowhere", str(tmp_path / "file")):
        with Server("--cache-dir", folder, "--response-dir", folder) as server:
            assert "warning" in server.logged() and folder in server.logged()
            answer = server.client().responses.create(model=MODEL.name, input="What is Pippin?", max_output_tokens=4)
            assert server.client().responses.retrieve(answer.id).output_text == answer.output_text


def test_a_folder_that_is_read_only_is_done_without(tmp_path):
    tmp_path.chmod(0o555)
    # Root may write all the same, but without its capabilities not even what is its own.
    powerless = ["setpriv", "--bounding-set", "-all"] if os.geteuid() == 0 else []
    folders = ["--cache-dir", str(tmp_path), "--response-dir", str(tmp_path)]
    with Server(*folders, before=powerless) as server:
        warnings = [line for line in server.logged().splitlines() if "warning" in line and str(tmp_path) in line]
        assert len(warnings) == 2, server.logged()
        answer = server.client().responses.create(model=MODEL.name, input="What is Pippin?", max_output_tokens=4)
        assert server.client().responses.retrieve(answer.id).output_text == answer.output_text
    assert not any(tmp_path.iterdir())


def test_a_full_disk_is_done_without(tmp_path):
    """Full from the start: no file of this process may have a byte."""
    read, write = os.pipe()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen([BINARY, "serve", MODEL, "--port", str(port), "--cache-dir", tmp_path / "cache", "--response-dir",
                                tmp_path / "responses"], stderr=write,
                               preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0)))
    os.close(write)

    def status(method: str, path: str, body: dict | None = None) -> int:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60 * SLOWDOWN)
        try:
            connection.request(method, path, body and json.dumps(body), {"Content-Type": "application/json"})
            return connection.getresponse().status
        except OSError:
            return 0
        finally:
            connection.close()

    wait_for(lambda: process.poll() is not None or status("GET", "/health") == 200, "an answer")
    assert status("POST", "/v1/responses", {"input": "What is Pippin?", "max_output_tokens": 4}) == 200
    process.terminate()
    assert process.wait(timeout=60 * SLOWDOWN) == 0
    with os.fdopen(read) as log:
        assert "cannot keep a cache" in log.read()
