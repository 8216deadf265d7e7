"""Tests of `cmake --install`: the tree works wherever it is put, another MLX can take the place of the one it was built with, and
other projects are built against it."""
import json
import os
import pathlib
import shutil
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]


def install(component: str, prefix: pathlib.Path) -> None:
    build = pathlib.Path(os.environ["PIPPIN_BINARY"]).parent
    subprocess.run(["cmake", "--install", str(build), "--prefix", str(prefix), "--component", component], check=True, capture_output=True)


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """An installed tree, moved after its installation."""
    first = tmp_path_factory.mktemp("install")
    install("runtime", first / "here")
    assert not list(first.rglob("*.a")) and not (first / "here/include").exists()  # what packages hold
    install("development", first / "here")
    return shutil.move(first / "here", first / "there")


def libraries(program: pathlib.Path, env: dict[str, str] | None = None) -> str:
    return subprocess.run(["ldd", str(program)], check=True, capture_output=True, text=True, env=env).stdout


def test_the_moved_tree_answers_with_its_own_mlx_and_model(installed):
    program = installed / "bin/pippin"
    answer = subprocess.run([str(program), "run", "demo", "What is Pippin?", "--temperature", "0"], check=True,
                            capture_output=True, text=True, cwd="/", timeout=120)
    assert "Pippin" in answer.stdout
    if sys.platform == "linux":
        assert f"libmlx.so => {installed}/" in libraries(program).replace("bin/../", "")


if sys.platform == "linux":  # where the loader has a RUNPATH, which LD_LIBRARY_PATH overrides
    def test_another_mlx_found_first_is_used(installed, tmp_path):
        other = shutil.copy(installed / "lib/pippin/mlx/lib/libmlx.so", tmp_path)
        found = libraries(installed / "bin/pippin", {**os.environ, "LD_LIBRARY_PATH": str(tmp_path)})
        assert f"libmlx.so => {other}" in found


def test_what_shells_and_man_read_is_there(installed):
    assert (installed / "share/man/man1/pippin.1").read_text().startswith(".TH PIPPIN 1")
    for file in ("bash-completion/completions/pippin", "zsh/site-functions/_pippin", "fish/vendor_completions.d/pippin.fish"):
        assert "__complete" in (installed / "share" / file).read_text()


def build_examples(installed: pathlib.Path, build: pathlib.Path, target: str) -> None:
    subprocess.run(["cmake", "-G", "Ninja", "-S", str(ROOT / "examples"), "-B", str(build), f"-DCMAKE_PREFIX_PATH={installed}",
                    "-DCMAKE_EXPORT_COMPILE_COMMANDS=ON"], check=True, capture_output=True, text=True)
    subprocess.run(["cmake", "--build", str(build), "--target", target], check=True, capture_output=True, text=True)


def test_an_example_is_built_against_the_tree_and_answers(installed, tmp_path):
    build_examples(installed, tmp_path, "example_generate")
    for unit in json.loads((tmp_path / "compile_commands.json").read_text()):
        assert f"{installed}/include" in unit["command"] and f"{ROOT}/include" not in unit["command"]
    answer = subprocess.run([str(tmp_path / "example_generate"), str(installed / "share/pippin/demo-model"), "What is Pippin?"],
                            check=True, capture_output=True, text=True, cwd="/", timeout=120)
    assert "Pippin" in answer.stdout


def test_the_headers_are_the_public_ones(installed):
    public = {path.name for path in (ROOT / "include/pippin").iterdir()}
    assert {str(path.relative_to(installed / "include")) for path in (installed / "include").rglob("*.h")} == {f"pippin/{name}" for name in public}
