"""Tests of tidy: which sources are read as one, and that clang-tidy finds what .clang-tidy asks for."""
import pathlib

import pytest

import tidy

HEAD = '#include "x.h"\n\nnamespace pippin {\n'


def source(local: str, rest: str = "") -> str:
    return f"{HEAD}namespace {{\n\n{local}\n\n}}  // namespace\n\n{rest}\n}}  // namespace pippin\n"


@pytest.mark.parametrize("line, name", [
    ("constexpr int limit = 3;", "limit"),
    ("constexpr double bounds[] = {1, 2};", "bounds"),
    ("std::string as_word(const json::value& value) {\n}", "as_word"),
    ("template <class T>\nT* find(T& all) {\n}", "find"),
    ("class Watch {\n};", "Watch"),
    ("enum class Stage { a, b };", "Stage"),
    ("using Clock = std::chrono::steady_clock;", "Clock"),
    ("namespace fs = std::filesystem;", "fs"),
    ("[[noreturn]] void throw_it() {\n}", "throw_it"),
])
def test_local_names(line, name):
    assert name in tidy.local_names(source(line))


def test_what_others_may_use_is_not_local():
    assert "shared" not in tidy.local_names(source("int own() {\n}", "int shared() {\n}\n"))


def test_no_batch_has_a_local_name_twice():
    sources = {"a": source("int one() {\n}"), "b": source("int two() {\n}"), "c": source("int one() {\n}")}
    assert tidy.batches(sources) == [["a", "b"], ["c"]]


def test_a_batch_has_an_end():
    batches = tidy.batches({str(i): "" for i in range(tidy.MOST + 1)})
    assert [len(batch) for batch in batches] == [tidy.MOST, 1]


def command(*options: str) -> tuple[str, ...]:
    return ("c++", "-std=c++20", *options, "-o", "FILE.o", "-c", "FILE")


@pytest.fixture
def faulty(tmp_path) -> pathlib.Path:
    """A source of src/ that uses a string after it was moved from."""
    file = tmp_path / "src/faulty.cpp"
    file.parent.mkdir()
    file.write_text("#include <string>\nstd::size_t f(std::string a) {\n  const std::string b = std::move(a);\n  return a.size() + b.size();\n}\n")
    return file


def test_a_fault_is_found_beside_a_source_that_does_not_go_with_it(tmp_path, faulty):
    other = faulty.with_name("other.cpp")
    other.write_text("inline int f = 0;\nint g() { return f; }\n")
    said = tidy.tidy(tmp_path / "out", command(), [str(faulty), str(other)])
    assert "bugprone-use-after-move" in said and "clang-diagnostic-error" not in said
