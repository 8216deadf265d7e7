"""What the caches hold and save, as usage and /v1/cache say; and that memory returns when they are cleared."""
import random
import re
import subprocess
from typing import Iterator

import pytest

import e2e_pictures as pictures
from e2e_harness import MODEL, Server
from e2e_pictures import RED_CIRCLE, part, question

DESCRIBE = "Describe the picture."
PICTURE_TOKENS = 16  # of 112 x 112 pixels, resized to 128 x 128: patches of 16, four to a token


@pytest.fixture
def own_server() -> Iterator[Server]:
    with Server() as running:
        yield running


def details(server: Server, content, **options) -> dict[str, int]:
    return server.ask(content, **options).usage.prompt_tokens_details.model_dump()


def test_tokens_of_pictures_that_no_encoder_read_are_counted(own_server):
    assert details(own_server, "What is Pippin?")["media_cached"] == 0
    assert details(own_server, question(DESCRIBE, RED_CIRCLE))["media_cached"] == 0
    # Read from the attention cache; then, after other words, from the media cache alone.
    assert details(own_server, question("What colour is it?", RED_CIRCLE))["media_cached"] == PICTURE_TOKENS
    moved = [{"type": "text", "text": "Look at this."}, part(RED_CIRCLE), {"type": "text", "text": DESCRIBE}]
    again = details(own_server, moved)
    assert again["media_cached"] == PICTURE_TOKENS and again["cached_tokens"] < PICTURE_TOKENS
    both = [part(RED_CIRCLE), part(pictures.shape("square", "blue", 112)), {"type": "text", "text": DESCRIBE}]
    assert details(own_server, both)["media_cached"] == PICTURE_TOKENS
    last = list(own_server.ask(moved, stream=True, stream_options={"include_usage": True}))[-1]
    assert last.usage.prompt_tokens_details.media_cached == PICTURE_TOKENS


def long_prompt(seed: int) -> str:
    """About 2,800 tokens that no other seed's prompt begins with."""
    return " ".join(random.Random(seed).choices(["red", "blue", "circle", "square", "left", "right"], k=2800))


def resident_bytes(server: Server) -> int:
    return 1024 * int(subprocess.run(["ps", "-o", "rss=", "-p", str(server.process.pid)], check=True, capture_output=True,
                                     text=True).stdout)


def test_clearing_gives_the_memory_back(own_server):
    answers = [own_server.text(question(DESCRIBE, RED_CIRCLE)), own_server.text("What is 12 + 30?")]
    for seed in range(3):
        own_server.ask(long_prompt(seed), max_tokens=1)
    own_server.wait_until_idle()
    report = own_server.get("/v1/cache").body
    cached = report["pages"]["cached_bytes"]
    assert cached > 20e6 and report["pages"]["in_use"] == 0
    assert report["media"]["entries"] == 1 and report["media"]["bytes"] > 0

    before = resident_bytes(own_server)
    cleared = own_server.request("DELETE", "/v1/cache").body
    freed = before - resident_bytes(own_server)
    assert cleared["pages"] == report["pages"]["cached"] and cleared["media"] == 1
    # Every cached page was written, so was resident. All pages are free now: of each layer's two pools only a page of the
    # system at either end may stay, which others share. 1 MB is more than all of that.
    assert cleared["freed_bytes"] >= cached - 1e6 and freed >= cached - 1e6

    report = own_server.get("/v1/cache").body
    assert report["pages"]["free"] == report["pages"]["total"] and report["media"]["bytes"] == 0
    assert own_server.text(question(DESCRIBE, RED_CIRCLE)) == answers[0]
    assert own_server.text("What is 12 + 30?") == answers[1]
    assert own_server.get("/v1/cache").body["encoder"]["runs"] == report["encoder"]["runs"] + 1


def test_a_nonce_at_the_head_of_an_agents_prompt_breaks_no_prefix(own_server):
    def cached(nonce: str) -> int:
        head = f"x-anthropic-billing-header: cc_version=2.1.177.01c; cc_entrypoint=cli; cch={nonce};"
        answer = own_server.client().chat.completions.create(model="demo-model", max_tokens=1, messages=[
            {"role": "system", "content": [{"type": "text", "text": head}, {"type": "text", "text": long_prompt(9)}]},
            {"role": "user", "content": "What is Pippin?"}])
        return answer.usage.prompt_tokens_details.cached_tokens

    assert cached("36ee5") == 0
    assert cached("0aaa9") > 2500
    assert own_server.get("/v1/cache").body["volatile_lines_removed"] == 2


def test_a_conversation_that_breaks_is_told_with_both_texts(own_server):
    def turns(time: str) -> list[dict]:
        return [{"role": "system", "content": f"{long_prompt(4)} It is {time} now. {long_prompt(5)[:400]}"},
                {"role": "user", "content": "What is Pippin?"}]

    def ask(messages: list[dict]) -> str:
        return own_server.client().chat.completions.create(
            model="demo-model", max_tokens=24, temperature=0, messages=messages).choices[0].message.content

    def told() -> list[str]:
        return [line for line in own_server.logged().splitlines() if "[cache]" in line]

    first = ask(turns("10:00:31"))
    goes_on = [{"role": "assistant", "content": first}, {"role": "user", "content": "What is 12 + 30?"}]
    ask(turns("10:00:31") + goes_on)
    ask([*turns("10:00:31"), {"role": "user", "content": "And now?"}])  # another first turn: no answer was lost
    assert told() == []
    ask(turns("10:00:45") + goes_on)
    [line] = told()
    position = int(line.split("up to token ")[1].split()[0])
    assert 2500 < position < 2900
    assert re.search(r'the cache has "31?.*", this prompt "45?', line), line


@pytest.mark.parametrize("bits", ["8", "4"])
def test_quantized_pages_answer_and_are_found_again(server, bits: str):
    """Over HTTP, pictures and the second turn of a conversation included; what a page takes shrinks as documented."""
    with Server("--kv-bits", bits) as quantized:
        asked = question(DESCRIBE, RED_CIRCLE)
        answer = quantized.ask(asked)
        assert answer.choices[0].message.content == server.text(asked)
        turns = [{"role": "user", "content": asked}, {"role": "assistant", "content": answer.choices[0].message.content},
                 {"role": "user", "content": "And what is 12 + 30?"}]
        usage = quantized.client().chat.completions.create(model=MODEL.name, messages=turns, temperature=0).usage
        first_turn = answer.usage.prompt_tokens + answer.usage.completion_tokens
        assert usage.prompt_tokens_details.cached_tokens >= first_turn - 2  # the turn's end may be written otherwise
        page = [s.get("/v1/cache").body["pages"]["cached_bytes"] / s.health()["pages"]["cached"] for s in (server, quantized)]
        assert page[1] < page[0] * (0.6 if bits == "8" else 0.35)
