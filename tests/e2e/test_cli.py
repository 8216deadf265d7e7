"""The program's other commands, and the examples, which use the library as anyone may."""
import json
import shutil

import pytest

from e2e_harness import BINARY, MODEL, ROOT, Server, run_program
from e2e_pictures import encoded, question, shape

SHAPES = ROOT / "assets/pictures/shapes.png"


def test_run_answers_as_the_server_does(server: Server):
    result = run_program("run", MODEL, "What is Pippin?", "--temperature", "0", "--max-tokens", "48", "--stats")
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip() == server.text("What is Pippin?").strip()
    assert "tokens generated" in result.stderr


def test_run_shows_pictures_in_order(server: Server, tmp_path):
    files = []
    for kind, colour in (("circle", "red"), ("square", "blue")):
        files.append(tmp_path / f"{kind}.png")
        files[-1].write_bytes(encoded(shape(kind, colour)))
    ask = "What is in the first picture?"
    result = run_program("run", MODEL, ask, "--image", files[0], "--image", files[1], "--temperature", "0", "--max-tokens", "48")
    assert result.stdout.strip() == server.text(question(ask, *(file.read_bytes() for file in files))).strip()


def test_run_reads_the_prompt_from_standard_input():
    result = run_program("run", MODEL, "--temperature", "0", "--max-tokens", "48", input="What is Pippin?\n")
    assert result.returncode == 0 and "MLX" in result.stdout


def test_run_names_a_missing_picture():
    result = run_program("run", MODEL, "What is this?", "--image", "/no/such/picture.png")
    assert result.returncode == 1 and "/no/such/picture.png" in result.stderr


@pytest.mark.parametrize("place", ["share/pippin", "assets"])
def test_demo_is_found_beside_the_program(tmp_path, place):
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin/pippin"
    shutil.copy(BINARY, program)
    missing = run_program("run", "demo", "What is Pippin?", program=program)
    assert missing.returncode == 1 and "built-in model" in missing.stderr
    (tmp_path / place).mkdir(parents=True)
    (tmp_path / place / "demo-model").symlink_to(MODEL)
    result = run_program("run", "demo", "What is Pippin?", "--max-tokens", "48", program=program)
    assert result.returncode == 0 and "MLX" in result.stdout


def test_bench_measures():
    options = ["--batch", "1,2", "--prompt-tokens", "32", "--new-tokens", "4"]
    result = run_program("bench", MODEL, *options, "--json")
    assert result.returncode == 0, result.stderr
    report = json.loads(result.stdout)
    assert [(row["batch"], row["prompt_tokens"]) for row in report["results"]] == [(1, 32), (2, 32)]
    assert all(row["prefill_tokens_per_s"] > 0 and row["decode_tokens_per_s"] > 0 for row in report["results"])
    sampling = ["--temperature", "1", "--top-p", "0.95", "--top-k", "40"]
    table = run_program("bench", MODEL, *options, *sampling).stdout.splitlines()
    assert len(table) == 4 and "prefill" in table[1]
    assert run_program("bench", MODEL, *options, "--top-p", "0").returncode == 2


def test_help_and_mistakes():
    for arguments in ([], ["--help"], ["serve", "--help"], ["run", "--help"], ["bench", "--help"], ["--version"]):
        result = run_program(*arguments)
        assert result.returncode == 0 and "pippin" in result.stdout
    for arguments in (["serv"], ["serve", "--prot", "1"]):
        result = run_program(*arguments)
        assert result.returncode == 2 and "--help" in result.stderr


def test_the_generate_example(server: Server):
    result = run_program(MODEL, "What is Pippin?", program=BINARY.parent / "examples/example_generate")
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip() == server.text("What is Pippin?", max_tokens=200).strip()


def test_the_describe_image_example(server: Server):
    result = run_program(MODEL, SHAPES, program=BINARY.parent / "examples/example_describe_image")
    assert result.returncode == 0, result.stderr
    described, counted = result.stdout.strip().splitlines()
    assert server.text(question("Describe the picture.", SHAPES.read_bytes())) in described
    assert " [0 of " not in counted, "the second question read the picture again"


def test_an_unknown_command_is_named():
    ended = run_program("serv", "demo")
    assert ended.returncode == 2 and "no command 'serv'" in ended.stderr and "bench-serve" in ended.stderr


def test_without_arguments_the_help_is_printed():
    result = run_program()
    assert result.returncode == 0 and "serve" in result.stdout and "examples" in result.stdout


def test_an_unsupported_family_is_told_before_its_missing_files(tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "mamba"}')
    result = run_program("run", tmp_path, "hello")
    assert result.returncode == 1 and "tokenizer" not in result.stderr
    assert "'mamba' is not supported" in result.stderr and "qwen3_vl, qwen3_vl_moe" in result.stderr
