"""Tests of check_isa on small objects that keep or break the rule."""
import os
import pathlib
import subprocess

import pytest

import check_isa


def violations(folder: pathlib.Path, source: str, name: str = "isa_avx512.cpp") -> list[str]:
    """Compiles `source` and returns what check_isa says of the object."""
    path = folder / name
    path.write_text(source)
    subprocess.run([os.environ.get("CXX", "c++"), "-std=c++20", "-O1", "-c", str(path), "-o", f"{path}.o"], check=True)
    return check_isa.check(folder)


def in_namespace(namespace: str, body: str) -> str:
    return f"namespace {namespace} {{ {body} }}\n"


OURS = in_namespace("pippin::cpu::avx512", """
    inline __attribute__((noinline)) int twice(int x) { return x + x; }
    struct Lanes { __attribute__((noinline)) int first() const { return x; } int x; };
    template <class T> __attribute__((noinline)) T same(T x) { return x; }
    inline int& counter() { static int count = 0; return count; }
    int use(int x) {
      const auto local = [](auto y) __attribute__((noinline)) { return y + 1; };
      return twice(x) + Lanes{x}.first() + same(x) + local(x) + ++counter();
    }""")


def test_names_of_the_own_namespace_may_be_weak(tmp_path):
    assert violations(tmp_path, OURS) == []
    assert any(True for _ in check_isa.weak_symbols(tmp_path / "isa_avx512.cpp.o"))


@pytest.mark.parametrize("namespace", ["pippin", "pippin::cpu", "pippin::cpu::avx2", "pippin::cpu::avx512_vnni", "std2"])
def test_names_of_others_may_not(tmp_path, namespace):
    shared = in_namespace(namespace, "inline __attribute__((noinline)) int twice(int x) { return x + x; }")
    found = violations(tmp_path, shared + in_namespace(
        "pippin::cpu::avx512", f"int use(int x) {{ return ::{namespace}::twice(x); }}"))
    assert found == [f"isa_avx512.cpp.o: {namespace}::twice(int)"]


def test_the_longer_name_is_not_the_shorter(tmp_path):
    assert violations(tmp_path, OURS, "isa_avx512_vnni.cpp") != []


def test_a_template_of_the_standard_library_is_found(tmp_path):
    source = "#include <algorithm>\n" + in_namespace("pippin::cpu::avx512", "void order(int* p, int* q) { std::sort(p, q); }")
    assert any("introsort" in line for line in violations(tmp_path, source))


def test_a_folder_without_objects_is_a_violation(tmp_path):
    assert len(check_isa.check(tmp_path)) == 1
