"""Tests of embed: the C++ source holds every byte of the files."""
import pathlib
import re
import shutil
import subprocess

import embed

BYTES = bytes(range(256)) + b'"quoted" \\ ?? trigraph??/ \0007 ' + "é→".encode() + b"x" * 500


def test_every_byte_survives_the_compiler(tmp_path: pathlib.Path):
    text = embed.literal(BYTES)
    program = tmp_path / "a.cpp"
    program.write_text(f"#include <cstdio>\nconstexpr char file[] =\n{text};\n"
                       "int main() { fwrite(file, 1, sizeof(file) - 1, stdout); }\n")
    compiler = shutil.which("c++")
    subprocess.run([compiler, "-std=c++20", "-Wall", "-Wextra", "-Werror", str(program), "-o", str(tmp_path / "a")], check=True)
    assert subprocess.run([str(tmp_path / "a")], check=True, capture_output=True).stdout == BYTES


def test_files_are_found_by_name_and_tagged_by_content(tmp_path: pathlib.Path):
    page, vendor = tmp_path / "page", tmp_path / "vendor"
    (vendor / "deep").mkdir(parents=True)
    page.mkdir()
    (page / "b.js").write_text("b")
    (page / "index.html").write_text("")
    (page / "notes.md").write_text("not served")
    (vendor / "deep/a.js").write_text("b")
    (vendor / "stamp").write_text("not served")
    files = embed.collect(page, vendor)
    assert list(files) == ["b.js", "index.html", "vendor/deep/a.js"]
    tags = re.findall(r'\\"([0-9a-f]{20})\\"', embed.source(files))
    assert len(tags) == 3 and tags[0] == tags[2] != tags[1]
