"""A program of three lines with two libraries, in the place of pippin: what the packaging does is the same, in a second."""
import os
import pathlib
import subprocess

SOURCES = {"a": "int a() { return 40; }", "b": "int a(); int b() { return a() + 2; }",
           "pippin": '#include <cstdio>\nint b(); int main(int n, char** all) { std::printf("%d %s\\n", b(), n > 1 ? all[1] : ""); }'}


def compile_all(folder: pathlib.Path) -> None:
    """Compiles liba.so.1 and libb.so.1 into folders of their own, as if they were packages, and bin/pippin."""
    for name, text in SOURCES.items():
        (folder / f"{name}.cpp").write_text(text)
    for name in ("system", "own", "tree/bin"):
        (folder / name).mkdir(parents=True)
    shared = ["-shared", "-fPIC"]
    compiler = os.environ.get("CXX", "c++")
    for command in (
            [*shared, "-Wl,-soname,liba.so.1", "a.cpp", "-o", "system/liba.so.1"],
            [*shared, "-Wl,-soname,libb.so.1", "b.cpp", "system/liba.so.1", "-o", "own/libb.so.1"],
            ["pippin.cpp", "own/libb.so.1", "-Wl,-rpath-link,system", "-Wl,-rpath,$ORIGIN/../lib/pippin", "-o", "tree/bin/pippin"]):
        subprocess.run([compiler, "-O1", *command], check=True, cwd=folder)


def run(program: pathlib.Path, *arguments: str) -> str:
    """Runs a program where the dynamic linker has no help."""
    environment = {name: value for name, value in os.environ.items() if name != "LD_LIBRARY_PATH"}
    return subprocess.run([str(program), *arguments], check=True, capture_output=True, text=True, env=environment).stdout
