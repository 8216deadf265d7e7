"""Every family of models end to end: the golden checkpoints, served with a tokenizer of numbered words, answer with the
tokens of their reference implementation."""
import json
import pathlib
import shutil
import struct
import subprocess

import numpy as np
import pytest

from e2e_harness import BINARY, ROOT, Server

GOLDEN = ROOT / "tests/golden"
NAMES = ["llama-bf16", "mistral-mlx-4bit", "qwen2-bf16", "gemma3_text-bf16", "gemma3_text-mlx-8bit", "ministral3-bf16",
         "mistral3-bf16", "qwen3-bf16-sharded", "lfm2-bf16", "lfm2-mlx-4bit", "qwen3_5-f32", "qwen3_5-mlx-4bit",
         "gemma4_text-bf16", "gemma4-bf16", "gemma4-mlx-4bit", "gemma3n-bf16"]
VOCAB_SIZE = 151


def read_ints(file: pathlib.Path, name: str) -> list[int]:
    """An int32 tensor of a safetensors file."""
    data = file.read_bytes()
    size = struct.unpack("<Q", data[:8])[0]
    begin, end = json.loads(data[8:8 + size])[name]["data_offsets"]
    return np.frombuffer(data[8 + size + begin:8 + size + end], np.int32).tolist()


def longest_cases(name: str) -> list[str]:
    """The last two of a checkpoint; they go from few to many tokens."""
    return [case["name"] for case in json.loads((GOLDEN / f"{name}.golden.json").read_text())["cases"]][-2:]


def with_tokenizer(name: str, folder: pathlib.Path) -> pathlib.Path:
    """The checkpoint with token i written as "wi"."""
    directory = folder / name
    shutil.copytree(GOLDEN / name, directory)
    words = {f"w{i}": i for i in range(VOCAB_SIZE)}
    (directory / "tokenizer.json").write_text(json.dumps({
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": [], "normalizer": None,
        "pre_tokenizer": {"type": "WhitespaceSplit"}, "post_processor": None, "decoder": None,
        "model": {"type": "WordLevel", "vocab": words, "unk_token": "w2"}}))
    (directory / "tokenizer_config.json").write_text(json.dumps(
        {"eos_token": "w1", "chat_template": "{% for m in messages %}{{ m.content }} {% endfor %}"}))
    return directory


@pytest.mark.parametrize("name", NAMES)
def test_answers_are_the_references(name, tmp_path):
    arrays = GOLDEN / f"{name}.golden.safetensors"
    with Server("--cpu-activations", "float32", model=with_tokenizer(name, tmp_path)) as server:
        for case in longest_cases(name):
            prompt, wanted = (read_ints(arrays, f"{case}.{kind}") for kind in ("tokens", "decode_tokens"))
            for _ in range(2):  # the second time from the cache
                body = {"model": name, "prompt": prompt, "temperature": 0, "max_tokens": len(wanted), "return_token_ids": True}
                answer = server.post(body, "/v1/completions").body
                assert answer["choices"][0]["token_ids"] == wanted
            assert answer["usage"]["prompt_tokens_details"]["cached_tokens"] > 0


@pytest.mark.parametrize("name", ["lfm2-bf16", "qwen3_5-f32"])
def test_a_recurrent_models_second_turn_computes_its_new_tokens(name, tmp_path):
    prompt = read_ints(GOLDEN / f"{name}.golden.safetensors", "text_33.tokens")
    options = ("--cache-dir", str(tmp_path / "cache"), "--snapshot-tokens", "16")
    model = with_tokenizer(name, tmp_path)

    def ask(server: Server, tokens: list[int]) -> tuple[list[int], int]:
        body = {"model": name, "prompt": tokens, "temperature": 0, "max_tokens": 8, "ignore_eos": True, "return_token_ids": True}
        answer = server.post(body, "/v1/completions").body
        return answer["choices"][0]["token_ids"], answer["usage"]["prompt_tokens_details"]["cached_tokens"]

    with Server(*options, "--no-prefix-cache", model=model) as server:
        first = ask(server, prompt)[0]
        turn_two = prompt + first + [5, 6, 7]
        expected = ask(server, turn_two)[0]
    with Server(*options, model=model) as server:
        assert ask(server, prompt) == (first, 0)
        ask(server, list(range(20, 60)))  # another request between
        # No step has computed the answer's last token.
        assert ask(server, turn_two) == (expected, len(prompt) + 7)
        report = server.get("/v1/cache").body
        assert report["states"]["snapshots"] > 3 and report["memory"]["state_bytes"] > 0
    with Server(*options, model=model) as server:
        answer, cached = ask(server, turn_two)
        assert answer == expected and cached >= len(turn_two) - 3 - 16


PIXEL = ("data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==")


@pytest.mark.parametrize("name", ["gemma4-bf16", "gemma3n-bf16"])
def test_a_picture_is_refused_where_the_tower_is_not_supported(name, tmp_path):
    content = [{"type": "image_url", "image_url": {"url": PIXEL}}, {"type": "text", "text": "w3"}]
    with Server(model=with_tokenizer(name, tmp_path)) as server:
        answer = server.post({"model": name, "max_tokens": 1, "messages": [{"role": "user", "content": content}]}, "/v1/chat/completions")
        assert answer.status == 400 and "takes no pictures" in answer.body["error"]["message"]


def test_run_asks_a_family(tmp_path):
    directory = with_tokenizer("llama-bf16", tmp_path)
    done = subprocess.run([BINARY, "run", directory, "w3 w7 w11", "--max-tokens", "4"], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() and all(word.startswith("w") for word in done.stdout.split())


def test_an_unknown_family_is_named_with_the_known_ones(tmp_path):
    directory = with_tokenizer("llama-bf16", tmp_path)
    config = json.loads((directory / "config.json").read_text()) | {"model_type": "unheard_of"}
    (directory / "config.json").write_text(json.dumps(config))
    done = subprocess.run([BINARY, "run", directory, "w3"], capture_output=True, text=True, timeout=120)
    assert done.returncode != 0
    assert "unheard_of" in done.stderr and "gemma3_text" in done.stderr
