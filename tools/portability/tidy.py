#!/usr/bin/env python3
"""Runs clang-tidy over the sources of src/ but the tests, with the checks of .clang-tidy.

  tidy.py BUILD [WORD ...]      BUILD: a configured portability build; the folders of CLEAN, or sources whose path has one of the words

Nearly all of its time goes into other people's headers, so sources of a library are read a few dozen at a time, as in a unity build:
as many as have no local name in common. A source that does not compile so is read by itself.
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

ROOT = pathlib.Path(__file__).resolve().parents[2]
# Folders of src/ that are clean. The others were not gone through yet.
CLEAN = ("base", "gguf", "hub", "media", "text", "vocabulary")
MOST = 24  # sources that are read as one

LOCAL = re.compile(r"^namespace \{$(.*?)^\}  // namespace$", re.M | re.S)
NAMES = re.compile(
    r"^(?:template .*\n)?(?:"
    r"(?:struct|class|enum class|enum|union) (\w+)|using (\w+) =|namespace (\w+) =|"
    r"(?:constexpr|const|static|inline|thread_local)\b[^=({;\n]*?\b(\w+)(?:\[\w*\])* ?[={;]|"
    r"(?![ #/}])[\w:<>,&*\[\] ]+?[ *&](\w+)\()", re.M)
OUTSIDE = re.compile(r"^(?:static|using (\w+) =|namespace (\w+) =)[^=({;\n]*?\b(\w*) ?[=({;]", re.M)


def local_names(source: str) -> set[str]:
    """Returns the names that a source keeps to itself, as far as its layout tells."""
    inside = [name for part in LOCAL.findall(source) for found in NAMES.findall(part) for name in found if name]
    outside = [name for found in OUTSIDE.findall(LOCAL.sub("", source)) for name in found if name]
    return {*inside, *outside}


def batches(sources: dict[str, str]) -> list[list[str]]:
    """Divides the sources (path -> text) so that none shares a local name with another of its batch."""
    found: list[tuple[list[str], set[str]]] = []
    for path, text in sources.items():
        names = local_names(text)
        for members, taken in found:
            if len(members) < MOST and not names & taken:
                members.append(path)
                taken |= names
                break
        else:
            found.append(([path], names))
    return [members for members, _ in found]


def commands(build: pathlib.Path) -> dict[tuple[str, ...], list[str]]:
    """Returns the sources by how they are compiled: the words of the command, FILE in the source's place."""
    groups = collections.defaultdict(list)
    for entry in json.loads((build / "compile_commands.json").read_text()):
        file = entry["file"]
        if not file.startswith(f"{ROOT}/src/") or "_test.dir/" in entry["command"]:
            continue
        words = shlex.split(entry["command"])
        words[words.index("-o") + 1] = "FILE.o"
        groups[tuple("FILE" if word == file else word for word in words)].append(file)
    return groups


def faulty(said: str) -> set[str]:
    """Returns the sources that do not compile."""
    return {found[1] for found in re.finditer(r"^(/\S+\.cpp):\d+:\d+: error: .*\[clang-diagnostic-error\]", said, re.M)}


def tidy(folder: pathlib.Path, command: tuple[str, ...], files: list[str]) -> str:
    """Returns what clang-tidy has found in the files, read as one."""
    folder.mkdir(parents=True, exist_ok=True)
    one = folder / "all.cpp"
    one.write_text("".join(f'#include "{file}"\n' for file in files))
    entry = {"directory": str(folder), "file": str(one), "arguments": [word.replace("FILE", str(one)) for word in command]}
    (folder / "compile_commands.json").write_text(json.dumps([entry]))
    program = pathlib.Path(sys.executable).parent / "clang-tidy"
    done = subprocess.run([str(program), "-p", str(folder), f"--config-file={ROOT}/.clang-tidy", "--quiet", str(one)],
                          capture_output=True, text=True, errors="replace")
    apart = [file for file in files if file in faulty(done.stdout)]
    rest = [file for file in files if file not in apart]
    if apart and rest:
        print(f"tidy: not with others: {' '.join(os.path.relpath(file, ROOT) for file in apart)}", file=sys.stderr)
        return tidy(folder, command, rest) + "".join(tidy(folder, command, [file]) for file in apart)
    return done.stdout if done.returncode == 0 or done.stdout else done.stderr


def is_wanted(file: str, words: list[str]) -> bool:
    return any(word in file for word in words) if words else file.startswith(tuple(f"{ROOT}/src/{folder}/" for folder in CLEAN))


def main() -> None:
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    build, wanted = pathlib.Path(sys.argv[1]).resolve(), sys.argv[2:]
    jobs = []
    for command, files in commands(build).items():
        chosen = [file for file in files if is_wanted(file, wanted)]
        jobs += [(command, batch) for batch in batches({file: pathlib.Path(file).read_text() for file in chosen})]
    jobs.sort(key=lambda job: -len(job[1]))
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        said = []
        for text in pool.map(lambda job: tidy(build / f"tidy/{job[0]}", *job[1]), enumerate(jobs)):
            print(text, end="", flush=True)
            said.append(text)
    sources = sum(len(files) for _, files in jobs)
    print(f"tidy: {sources} sources in {len(jobs)} batches, {'clean' if not any(said) else 'not clean'}")
    sys.exit(1 if any(said) else 0)


if __name__ == "__main__":
    main()
