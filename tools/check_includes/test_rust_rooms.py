"""Tests of rust_rooms: small trees that keep or break the rule, and the rule's own consistency."""
import pathlib

import pytest

import rust_rooms as rule

SRC = pathlib.Path(__file__).resolve().parents[2] / "rust/src"


def messages(root: pathlib.Path, files: dict[str, str]) -> list[str]:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return [f"{file}:{line}: {message}" for file, line, message in rule.check_tree(root)]


def test_the_rooms_are_those_of_the_tree_and_stand_on_one_another():
    assert set(rule.ROOMS) == {path.name for path in SRC.iterdir() if path.is_dir()}
    assert rule.circle_in(rule.ROOMS) == []


def test_the_tree_keeps_the_rule():
    assert rule.check_tree(SRC) == []


@pytest.mark.parametrize("file, line, message", [
    ("base/memory.rs", "use crate::tokenizer::tokenizer::Tokenizer;", "base may not use tokenizer"),
    ("template/jinja.rs", "fn f() -> crate::grammar::compiler::Kind {}", "template may not use grammar"),
    ("masks/masks.rs", "use crate::schema::sizes;", "masks may not use schema"),
    ("digest.rs", "use crate::masks::words;", "rust/src itself may not use masks"),
    ("base/ffi.rs", "use crate::nowhere::x;", "crate::nowhere is no room of rust_rooms"),
    ("base/ffi.rs", "use crate::{base::memory, work};", "name each module by a path of its own, not crate::{...}"),
])
def test_a_room_above_is_refused(tmp_path, file, line, message):
    assert messages(tmp_path, {file: f"//! x\n{line}\n"}) == [f"{file}:2: {message}"]


def test_tests_and_comments_may_name_any(tmp_path):
    files = {"base/ffi.rs": "// see crate::grammar::compiler\n#[cfg(test)]\nmod tests {\n    use crate::grammar::compiler::x;\n}\n",
             "base/ffi_test.rs": "use crate::grammar::compiler::x;\n"}
    assert messages(tmp_path, files) == []


def test_a_circle_within_a_room_is_named(tmp_path):
    files = {"base/a.rs": "use crate::base::b::x;\n", "base/b.rs": "use crate::base::c;\n", "base/c.rs": "use crate::base::a::{x, y};\n"}
    assert messages(tmp_path, files) == ["base/a.rs:1: modules in a circle: base/a -> base/b -> base/c -> base/a"]


def test_a_long_file_is_named(tmp_path):
    assert messages(tmp_path, {"base/a.rs": "\n" * 451}) == ["base/a.rs:450: 451 lines; split it (at most 450)"]
