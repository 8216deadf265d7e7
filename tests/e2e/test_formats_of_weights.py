"""Models in other formats than Hugging Face's, through the program: a GGUF file alone, and what convert writes."""
import json
import pathlib
import shutil

import pytest

from e2e_harness import ROOT, Server, run_program

GGUF = ROOT / "tests/golden/gguf"
TOKENIZER = ROOT / "src/text/testdata/tokenizers/byte_level"
QUESTION = "The red circle is left of the blue square."


@pytest.fixture(scope="module")
def twin(tmp_path_factory) -> pathlib.Path:
    """The file's numbers, tokenizer and template as a directory in Hugging Face's form."""
    folder = tmp_path_factory.mktemp("models") / "served"
    shutil.copytree(GGUF / "served", folder)
    shutil.copy(TOKENIZER / "tokenizer.json", folder)
    (folder / "tokenizer_config.json").write_text(json.dumps(
        {"eos_token": "<|im_end|>", "pad_token": "<|endoftext|>", "chat_template": "{{ bos_token }}{% for m in messages %}{{ m.content }}{% endfor %}"}))
    return folder


def answer(server: Server) -> dict:
    body = {"messages": [{"role": "user", "content": QUESTION}], "temperature": 0, "max_tokens": 24, "logprobs": True}
    return server.post(body).body


def test_a_gguf_file_alone_answers_as_its_twin(twin, tmp_path):
    options = ("--cpu-activations", "float32", "--cache-dir", str(tmp_path))
    with Server(*options, model=GGUF / "served.gguf") as server, Server(*options, model=twin) as other:
        assert server.get("/v1/models").body["data"][0]["id"] == "served"
        ours, theirs = answer(server), answer(other)
        assert ours["choices"][0]["message"] == theirs["choices"][0]["message"]
        assert ours["usage"] == theirs["usage"]
        tokens = [[t["token"] for t in a["choices"][0]["logprobs"]["content"]] for a in (ours, theirs)]
        assert tokens[0] == tokens[1] and len(tokens[0]) > 4


def test_a_directory_with_one_gguf_file_is_that_file(tmp_path):
    shutil.copy(GGUF / "served.gguf", tmp_path)
    result = run_program("run", tmp_path, QUESTION, "--temperature", "0", "--max-tokens", "8")
    assert result.returncode == 0, result.stderr
    shutil.copy(GGUF / "qwen3.gguf", tmp_path)
    result = run_program("run", tmp_path, QUESTION)
    assert result.returncode == 1 and "qwen3.gguf, served.gguf" in result.stderr


def test_a_tokenizer_without_tokenizer_json_is_the_same(twin, tmp_path):
    folder = tmp_path / "other"
    shutil.copytree(twin, folder)
    (folder / "tokenizer.json").unlink()
    tokenizer = json.loads((TOKENIZER / "tokenizer.json").read_text())
    (folder / "vocab.json").write_text(json.dumps({text: id for text, id in tokenizer["model"]["vocab"].items()}))
    (folder / "merges.txt").write_text("#version: 0.2\n" + "".join(" ".join(pair) + "\n" for pair in tokenizer["model"]["merges"]))
    config = json.loads((folder / "tokenizer_config.json").read_text())
    added = {str(token["id"]): token for token in tokenizer["added_tokens"]}
    (folder / "tokenizer_config.json").write_text(json.dumps(config | {"tokenizer_class": "Qwen2Tokenizer", "added_tokens_decoder": added}))
    options = ("--temperature", "0", "--max-tokens", "24", "--cpu-activations", "float32")
    answers = [run_program("run", model, QUESTION, *options) for model in (twin, folder)]
    assert answers[1].returncode == 0, answers[1].stderr
    assert answers[0].stdout == answers[1].stdout and answers[0].stdout
    converted = run_program("convert", folder, tmp_path / "small", "--bits", "8", "--group-size", "32")
    assert converted.returncode == 0 and (tmp_path / "small/tokenizer.json").exists(), converted.stderr


def test_a_damaged_file_is_an_error_that_names_it(tmp_path):
    (tmp_path / "cut.gguf").write_bytes((GGUF / "served.gguf").read_bytes()[:20000])
    result = run_program("run", tmp_path / "cut.gguf", QUESTION)
    assert result.returncode == 1 and "cut.gguf" in result.stderr and "truncated" in result.stderr


def test_convert_writes_a_model_that_runs(twin, tmp_path):
    result = run_program("convert", twin, tmp_path / "small", "--bits", "8", "--group-size", "32")
    assert result.returncode == 0, result.stderr
    config = json.loads((tmp_path / "small/config.json").read_text())
    assert config["quantization"] == {"group_size": 32, "bits": 8, "mode": "affine"}
    for model in (tmp_path / "small", twin):
        result = run_program("run", model, QUESTION, "--temperature", "0", "--max-tokens", "1", "--cpu-activations", "float32")
        assert result.returncode == 0, result.stderr
    again = run_program("convert", twin, tmp_path / "small", "--bits", "8")
    assert again.returncode == 1 and "exists already" in again.stderr


def test_convert_names_what_it_cannot(twin, tmp_path):
    result = run_program("convert", twin, tmp_path / "x", "--bits", "7")
    assert result.returncode == 1 and "7 bits" in result.stderr
    result = run_program("convert", twin, tmp_path / "x", "--recipe", "mixed_9")
    assert result.returncode == 2 and "mixed_4_6" in result.stderr
    assert not (tmp_path / "x").exists()
