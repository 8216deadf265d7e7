#!/usr/bin/env python3
"""Holds src/ to the include rule of DESIGN.md: which folder may include which, and where a library may appear.

  check_includes.py [ROOT]      prints each violation as file:line: message; exits 1 when there is one

Checked for every .h and .cpp under src/, and for the DEPS of every src/*/CMakeLists.txt:
  - includes between our folders follow FOLDERS; models see only MEDIA_STRUCTS of media/
  - headers of libraries appear only where LIBRARIES allows them; a header that no table names is a violation
  - DEPS name only folders that may be included, and reach every folder that is included
  - a file has at most MAX_LINES lines
rust/src is checked by rust_rooms.
"""
import pathlib
import re
import sys
from fnmatch import fnmatch
from typing import Iterator, NamedTuple

import rust_rooms

MAX_LINES = 600

# Folder -> the folders that it may include (besides itself).
FOLDERS = {
    "base": set(),
    "hub": {"base", "vocabulary"},
    "vocabulary": {"base"},
    "gguf": {"base", "vocabulary"},
    "text": {"base", "vocabulary", "gguf"},
    "media": {"base"},
    "kernels": {"base"},
    "nn": {"base", "gguf", "kernels"},
    "models": {"base", "gguf", "kernels", "nn", "media"},
    "engine": {"base", "gguf", "kernels", "nn", "models", "text", "media"},
    "server": {"base", "text", "media", "engine"},
    "load": {"base", "media", "server"},
    "main": {"base", "hub", "gguf", "text", "media", "kernels", "nn", "models", "engine", "server", "load"},  # files of src/ itself
}
# All of media/ that models may see: patches and the numbers they are made by. No decoding, no fetching.
MEDIA_STRUCTS = {"media/image_processor.h", "media/patches.h", "media/video_processor.h"}

# Parts of a folder -> what of src/ they may include besides themselves. A file of the folder itself stands on top of the parts.
PARTS = {
    "kernels/cpu": ["base/*"],  # plain functions, without MLX
    "kernels/gpu": ["kernels/testing.h", "kernels/emulated/*", "base/*"],  # tests alone see the latter
    "kernels/emulated": ["kernels/gpu/*", "base/*"],  # for tests: the program is not linked with it
    # The parts of the engine, each on those above it. Folders below the engine are open to all (FOLDERS).
    "engine/cache": [],
    "engine/constrain": [],
    "engine/answer": [],
    "engine/disk": ["engine/cache/*"],
    "engine/schedule": ["engine/cache/*", "engine/constrain/*", "engine/answer/*"],
    "engine/prompt": ["engine/schedule/*", "engine/cache/*", "engine/constrain/*", "engine/answer/*"],
    "engine/run": ["engine/schedule/*", "engine/disk/*", "engine/cache/*", "engine/constrain/*", "engine/answer/*"],
    # The parts of the server.
    "server/schema": [],
    "server/observe": ["server/schema/*"],
    "server/http": ["server/observe/request_record.h", "server/observe/body_stats.h", "server/schema/*", "base/*"],  # no API
    "server/models": ["server/schema/*"],
    "server/chat": ["server/models/*", "server/http/*", "server/observe/*", "server/schema/*"],
    "server/openai": ["server/chat/*", "server/models/*", "server/http/*", "server/observe/*", "server/schema/*"],
    "server/responses": ["server/chat/*", "server/models/*", "server/http/*", "server/observe/*", "server/schema/*"],
    "server/anthropic": ["server/chat/*", "server/models/*", "server/http/*", "server/observe/*", "server/schema/*"],
    "server/ollama": ["server/chat/*", "server/models/*", "server/http/*", "server/observe/*", "server/schema/*"],
    "server/page": ["server/http/*", "server/schema/*"],
    "server/utilities": ["server/openai/*", "server/chat/*", "server/models/*", "server/http/*", "server/observe/*", "server/schema/*"],
}
# Parts that see of other folders only what PARTS names.
CLOSED_PARTS = {"kernels/cpu", "kernels/gpu", "kernels/emulated", "server/http"}
# Parts with a library of their own.
PART_LIBRARIES = {"cpu": "kernels/cpu", "gpu": "kernels/gpu", "emulated": "kernels/emulated"}

# Header patterns of libraries and of the system -> the files of src/ that may include them.
LIBRARIES = {
    "mlx/*": ["kernels/*", "nn/*", "models/*", "engine/*"],
    "boost/json*": ["base/*", "vocabulary/*", "gguf/*", "text/*", "media/*", "nn/*", "models/*", "server/*", "load/*", "main.cpp", "main/*"],
    "boost/beast*": ["server/http/*"],
    "boost/asio*": ["server/http/*"],
    "boost/url*": ["media/fetch*", "server/*"],
    "spdlog/fmt/*": ["*"],  # formatting alone
    "spdlog/*": ["base/log*"],
    "CLI/*": ["main.cpp", "main/*"],
    "curl/*": ["hub/curl_http*", "hub/url*", "media/fetch*", "server/http/client*"],
    "openssl/*": ["hub/hash*", "hub/pull_test.cpp"],
    "prometheus/*": ["server/observe/metrics*"],
    "jpeglib.h": ["media/*"], "jerror.h": ["media/*"], "turbojpeg.h": ["media/*"], "png.h": ["media/*"],
    "webp/*": ["media/*"], "gif_lib.h": ["media/*"],
    "libav*/*": ["media/ffmpeg.h", "media/video_*"], "libswscale/*": ["media/ffmpeg.h"],
    "pippin_rust.h": ["base/*", "text/*", "main/line_editor.cpp"],
    "gtest/*": ["*_test.cpp", "*testing.h"], "gmock/*": ["*_test.cpp"],
    "pippin/engine.h": ["engine/*", "server/*", "main.cpp", "main/*"],
    "pippin/*": ["*"],
    "cuda_*.h": ["kernels/cuda_*"],  # in the source of its kernels
    "immintrin.h": ["kernels/*"], "cpuid.h": ["kernels/*"], "arm_neon.h": ["kernels/*"],
    # What the processor has, and what the process takes: each system its own way.
    "mach/mach.h": ["base/memory.cpp"], "malloc.h": ["base/memory.cpp"],
    "sys/auxv.h": ["kernels/cpu/isa.cpp"], "sys/sysctl.h": ["kernels/cpu/isa.cpp"], "sched.h": ["kernels/cpu/team.cpp"],
    "spawn.h": ["main/process.cpp"],
    "ucontext.h": ["kernels/emulated/fibers.h"], "sanitizer/common_interface_defs.h": ["kernels/emulated/fibers.cpp"],
    "dlfcn.h": ["kernels/gpu/cuda_driver.cpp", "kernels/gpu/cuda_player.cpp"],
    # POSIX: what Linux and macOS both have.
    "unistd.h": ["*"], "dirent.h": ["base/folder.cpp"], "fcntl.h": ["*"], "signal.h": ["*"], "poll.h": ["*"], "pthread.h": ["*"], "netdb.h": ["*"],
    "sys/stat.h": ["*"], "sys/mman.h": ["*"], "sys/types.h": ["*"], "sys/resource.h": ["*"],
    "sys/socket.h": ["*"], "sys/wait.h": ["*"], "sys/ioctl.h": ["*"], "sys/time.h": ["*"], "sys/file.h": ["*"],
    "netinet/in.h": ["*"], "netinet/tcp.h": ["*"], "arpa/inet.h": ["*"],
}
# Headers that allowed folders as a whole may use, but not these files: what works on numbers alone never sees a tensor,
# and the engine never sees JSON.
EXCEPTIONS = {
    "mlx/*": ["engine/schedule/*", "engine/answer/*", "engine/cache/page_cache*", "engine/disk/*", "kernels/cpu/*"],
    "base/json.h": ["engine/*", "kernels/*"],
}

# Standard mutexes that are not replaced yet, and tests' own.
UNCHECKED_LOCKS = ["kernels/cpu_backend.h", "engine/run/loop.h", "engine/run/engine_thread.h", "engine/schedule/sequence.h", "server/chat/*",
                   "server/models/pool.cpp", "server/observe/metrics.h", "server/api_testing.h", "*_test.cpp"]
# Standard headers with a better one of ours -> who may include them still. base/mutex.h: clang checks what a mutex guards.
STANDARD_LIBRARIES = {
    "mutex": ["base/mutex.h", "base/log.cpp", "media/video_source.cpp", *UNCHECKED_LOCKS],  # once_flag
    "condition_variable": ["base/mutex.h", *UNCHECKED_LOCKS],
    "shared_mutex": [],
}

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')
STANDARD = re.compile(r"^[a-z_]+$")  # <vector>; C's own <stdio.h> has no place here


class Violation(NamedTuple):
    file: str
    line: int
    message: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.message}"


def folder_of(file: str) -> str:
    """Returns the folder that a path below src/ belongs to: its first part, or "main" for files of src/ itself."""
    return file.split("/")[0] if "/" in file else "main"


def part_of(file: str) -> str | None:
    """Returns the part that a path below src/ belongs to, or None."""
    part = "/".join(file.split("/")[:2])
    return part if part in PARTS else None


def part_allows(part: str, file: str, header: str) -> bool:
    """Whether `file` of `part` may include `header` of src/, as far as the part goes. Tests may use a folder's test helpers."""
    if header.startswith((part + "/", "pippin/")) or matches(header, PARTS[part]):
        return True
    if file.endswith("_test.cpp") and header.endswith("testing.h"):
        return True
    return part not in CLOSED_PARTS and folder_of(header) != folder_of(part)


def matches(name: str, patterns: list[str]) -> bool:
    return any(fnmatch(name, pattern) for pattern in patterns)


def check_include(file: str, header: str, quoted: bool) -> str | None:
    """Returns what is wrong with `file` (below src/) including `header`, or None."""
    for pattern, barred in EXCEPTIONS.items():
        if fnmatch(header, pattern) and matches(file, barred):
            return f"{header} may not be included here (see EXCEPTIONS)"
    if not quoted and STANDARD.match(header):
        allowed = STANDARD_LIBRARIES.get(header, ["*"])
        return None if matches(file, allowed) else f"<{header}> belongs to {', '.join(allowed) or 'no file'}: see base/mutex.h"
    for pattern, allowed in LIBRARIES.items():
        if fnmatch(header, pattern):
            return None if matches(file, allowed) else f"{header} belongs to {', '.join(allowed)} only"
    part = part_of(file)
    if part and quoted and not part_allows(part, file, header):
        return f"{part} may not include {header}"
    target = header.split("/")[0]
    if not quoted or target not in FOLDERS:
        return f"{header} is named by no table of check_includes"
    source = folder_of(file)
    if source not in FOLDERS:
        return f"the folder {source} is not part of the house"
    if target == source:
        return None
    if target not in FOLDERS[source]:
        return f"{source} may not include {target} ({header})"
    if source == "models" and target == "media" and header not in MEDIA_STRUCTS:
        return f"models may include only {', '.join(sorted(MEDIA_STRUCTS))} of media, not {header}"
    return None


def includes_of(path: pathlib.Path) -> Iterator[tuple[int, str, bool]]:
    """Yields (line number, header, whether in quotes)."""
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if found := INCLUDE.match(line):
            yield number, found[2], found[1] == '"'


def check_file(src: pathlib.Path, path: pathlib.Path) -> Iterator[Violation]:
    name = str(path.relative_to(src))
    lines = len(path.read_text().splitlines())
    if lines > MAX_LINES:
        yield Violation(name, MAX_LINES, f"{lines} lines; split it (at most {MAX_LINES})")
    for number, header, quoted in includes_of(path):
        if message := check_include(name, header, quoted):
            yield Violation(name, number, message)


def cmake_deps(text: str) -> tuple[set[str], set[str]]:
    """Returns the folders that a CMakeLists.txt names as DEPS and as TEST_DEPS of its pippin_library."""
    words = re.sub(r"#.*", "", text).replace("(", " ( ").replace(")", " ) ").split()
    found: dict[str, set[str]] = {"DEPS": set(), "TEST_DEPS": set()}
    section = ""
    for word in words:
        if word in ("SOURCES", "DEPS", "TESTS", "TEST_DEPS", ")"):
            section = word
        elif section in found and word.startswith("pippin_"):
            found[section].add(word.removeprefix("pippin_"))
    return found["DEPS"] - {"rust"}, found["TEST_DEPS"] - {"rust"}


def reachable(folder: str, deps: dict[str, set[str]]) -> set[str]:
    seen: set[str] = set()
    todo = [folder]
    while todo:
        for target in deps.get(todo.pop(), set()) - seen:
            seen.add(target)
            todo.append(target)
    return seen


def check_cmake(src: pathlib.Path, included: dict[str, set[str]]) -> Iterator[Violation]:
    """Compares the DEPS lists with the rule and with `included`: folder -> the folders that its non-test files include."""
    deps: dict[str, set[str]] = {}
    for path in sorted(src.glob("*/CMakeLists.txt")):
        deps[path.parent.name], _ = cmake_deps(path.read_text())
    for folder, targets in deps.items():
        name = f"{folder}/CMakeLists.txt"
        targets -= {library for library, part in PART_LIBRARIES.items() if folder_of(part) == folder}
        for target in sorted(targets - FOLDERS.get(folder, set())):
            yield Violation(name, 1, f"DEPS names pippin_{target}, which {folder} may not include")
        for target in sorted(included.get(folder, set()) - reachable(folder, deps) - {folder}):
            yield Violation(name, 1, f"{folder} includes {target}, but DEPS does not lead to pippin_{target}")


def check_tree(src: pathlib.Path) -> list[Violation]:
    violations: list[Violation] = []
    included: dict[str, set[str]] = {}
    for path in sorted(src.rglob("*")):
        if path.suffix not in (".h", ".cpp"):
            continue
        violations += check_file(src, path)
        if not path.name.endswith("_test.cpp"):
            targets = {header.split("/")[0] for _, header, quoted in includes_of(path) if quoted}
            included.setdefault(folder_of(str(path.relative_to(src))), set()).update(targets & set(FOLDERS))
    return violations + list(check_cmake(src, included))


def main() -> None:
    root = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else pathlib.Path(__file__).resolve().parents[2]
    violations = [f"src/{violation}" for violation in check_tree(root / "src")]
    violations += [f"rust/src/{file}:{line}: {message}" for file, line, message in rust_rooms.check_tree(root / "rust/src")]
    print("\n".join(violations), end="\n" if violations else "")
    sys.exit(f"{len(violations)} violations of the include rule" if violations else 0)


if __name__ == "__main__":
    main()
