"""A prompt of 32,768 tokens beside running streams and short requests, at the demo model's size."""
import json
import pathlib
import threading
import time

from e2e_harness import MODEL, SLOWDOWN, Server, wait_for

CONTEXT = 36_864
PROMPT_TOKENS = 32_768 if SLOWDOWN < 8 else 4_096  # whose attention would take a sanitizer minutes
TARGET_MS = 100  # --max-itl-ms


def long_context_model(folder: pathlib.Path) -> pathlib.Path:
    """The demo model under a longer context, which its positions allow: what it says there is of no matter here."""
    model = folder / "long-demo"
    model.mkdir()
    for file in MODEL.iterdir():
        (model / file.name).symlink_to(file)
    config = json.loads((MODEL / "config.json").read_text())
    config["text_config"]["max_position_embeddings"] = CONTEXT
    (model / "config.json").unlink()
    (model / "config.json").write_text(json.dumps(config))
    return model


class Stream(threading.Thread):
    """Reads an answer and notes when its pieces came."""

    def __init__(self, server: Server):
        super().__init__(daemon=True)
        self.server = server
        self.times: list[float] = []
        self.stopped = threading.Event()

    def run(self) -> None:
        chunks = self.server.client().chat.completions.create(
            model="long-demo", messages=[{"role": "user", "content": "Tell me about yourself."}], stream=True,
            max_tokens=20_000, temperature=1, extra_body={"ignore_eos": True},
            logit_bias={str(token): -100 for token in range(16)})  # special tokens, which have no text
        for _ in chunks:
            self.times.append(time.monotonic())
            if self.stopped.is_set():
                chunks.close()
                return


def ask_at_leisure(server: Server, text: str) -> dict:
    connection = server.connect(timeout=900)
    connection.request("POST", "/v1/chat/completions",
                       json.dumps({"messages": [{"role": "user", "content": text}], "max_tokens": 1}))
    response = connection.getresponse()
    body = json.loads(response.read())
    assert response.status == 200, body
    return body


def test_streams_and_short_requests_go_on_beside_a_long_prompt(tmp_path):
    with Server("--kv-tokens", str(2 * CONTEXT), model=long_context_model(tmp_path)) as server:
        words = "What is Pippin? " * 100
        per_words = server.post({"messages": [{"role": "user", "content": words}], "max_tokens": 1}).body["usage"]["prompt_tokens"]
        text = words * (PROMPT_TOKENS // (per_words - 10) + 1)
        streams = [Stream(server) for _ in range(4)]
        for stream in streams:
            stream.start()
        wait_for(lambda: all(len(stream.times) > 20 for stream in streams), "the streams run")

        replies = []
        long = threading.Thread(target=lambda: replies.append(ask_at_leisure(server, text)))
        begun = time.monotonic()
        long.start()
        wait_for(lambda: server.health()["sequences"]["running"] == 5, "the long prompt is being read")
        waits = []
        while long.is_alive() and len(waits) < 5:
            started = time.monotonic()
            reply = server.post({"messages": [{"role": "user", "content": f"{len(waits)}. What is Pippin?"}], "max_tokens": 1})
            assert reply.status == 200
            waits.append(time.monotonic() - started)
        long.join()
        ended = time.monotonic()
        for stream in streams:
            stream.stopped.set()
        for stream in streams:
            stream.join()

        assert replies, "the long prompt was not answered"
        prompt_tokens = replies[0]["usage"]["prompt_tokens"]
        assert prompt_tokens >= PROMPT_TOKENS
        assert len(waits) >= 3, "the prompt was over too soon to tell"
        assert max(waits) < 1 * SLOWDOWN, waits
        gaps = sorted(b - a for stream in streams for a, b in zip(stream.times, stream.times[1:]) if a > begun and b < ended)
        p99 = 1000 * gaps[len(gaps) * 99 // 100]
        print(f"prompt of {prompt_tokens} tokens in {ended - begun:.1f} s; "
              f"{len(gaps)} gaps, p50 {1000 * gaps[len(gaps) // 2]:.0f} ms, p99 {p99:.0f} ms; "
              f"short requests {[round(1000 * wait) for wait in waits]} ms")
        assert p99 < 2 * TARGET_MS * SLOWDOWN
