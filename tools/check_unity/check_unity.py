#!/usr/bin/env python3
"""Says which sources share no translation unit with the others of their target: those that ALONE has to name (cmake/Library.cmake).

  check_unity.py BUILD [TARGET ...]     BUILD: a configured build folder without PIPPIN_UNITY; every target with two sources or more

Parses all sources of a target as one, leaves out those with errors, and tries again until there are none.
"""
import collections
import concurrent.futures
import json
import os
import pathlib
import re
import shlex
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
# Their files have flags of their own, or the target is not a library's.
EXCEPT = re.compile(r"pippin_(cpu|cpu_test|precompiled\w*)$")


def targets_of(build: pathlib.Path) -> dict[str, list[dict]]:
    targets = collections.defaultdict(list)
    for entry in json.loads((build / "compile_commands.json").read_text()):
        target = re.search(r"CMakeFiles/(\w+)\.dir", entry["command"])[1]
        if target.startswith("pippin_") and not EXCEPT.match(target) and entry["file"].startswith(str(ROOT / "src")):
            targets[target].append(entry)
    return {name: entries for name, entries in targets.items() if len(entries) > 1}


def parse(command: list[str], folder: str, files: list[str]) -> str:
    """Returns what the compiler says of all files as one."""
    with tempfile.TemporaryDirectory() as scratch:
        one = pathlib.Path(scratch, "all.cpp")
        one.write_text("".join(f'#include "{file}"\n' for file in files))
        command = [str(one) if word == "SOURCE" else word for word in command]
        return subprocess.run([*command, "-fsyntax-only", "-fmax-errors=300"], cwd=folder, capture_output=True, text=True,
                              errors="replace").stderr


def with_errors(said: str) -> list[str]:
    """The sources that errors are in, up to the first error in a header, which is of another's making."""
    found = []
    for line in said.splitlines():
        if " error: " not in line:
            continue
        file = line.split(":")[0]
        if not file.endswith(".cpp"):
            break
        if file not in found:
            found.append(file)
    if not found and (included := re.search(r"from (\S+\.cpp):", said)):
        found.append(included[1])
    return found


def alone(entries: list[dict]) -> list[str]:
    command = [word for word in shlex.split(entries[0]["command"]) if "ccache" not in word and word != "-Werror"]
    command[command.index("-c") + 1] = "SOURCE"
    command[command.index("-o") + 1] = os.devnull
    left, out = [entry["file"] for entry in entries], []
    while " error: " in (said := parse(command, entries[0]["directory"], left)):
        found = [file for file in with_errors(said) if file in left]
        if not found:
            raise SystemExit(f"check_unity: no source of ours has this error:\n{said[:2000]}")
        out += found
        left = [file for file in left if file not in found]
    return out


def main() -> None:
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    targets = targets_of(pathlib.Path(sys.argv[1]))
    chosen = sys.argv[2:] or sorted(targets)
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for name, files in zip(chosen, pool.map(lambda name: alone(targets[name]), chosen)):
            print(f"{name}: {' '.join(str(pathlib.Path(file).relative_to(ROOT / 'src')) for file in files) or '-'}", flush=True)


if __name__ == "__main__":
    main()
