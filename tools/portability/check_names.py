#!/usr/bin/env python3
"""Finds names that macOS lacks: parts of the standard library that Apple's libc++ does not have, and Linux's own calls.

  check_names.py [ROOT]     prints file:line: name: why; exits 1 when there is one

A complement to the objects-only build with clang and libc++: LLVM's libc++ has some of what Apple's, which trails it, has
not. Code between `#if ... __linux__` (or the like) and its #else or #endif is Linux's own and not looked at; nor is a line
that says `// Linux only`, for what compiles anywhere and has a fallback.
"""
import pathlib
import re
import sys
from typing import Iterator

FOLDERS = ["src", "include", "examples", "bench"]
LIBCXX = "not in Apple's libc++"
LINUX = "not on macOS"
# Pattern (matched against code, comments removed) -> why it is refused.
REFUSED = {
    r"\bstd::jthread\b": LIBCXX,
    r"\bstd::stop_(token|source|callback)\b|<stop_token>": LIBCXX,
    r"\bstd::execution::|<execution>": LIBCXX + ": no parallel algorithms",
    r"\bstd::v?format(_to|_to_n)?\b|<format>": "not in GCC 12; in Apple's libc++ for recent systems only: use fmt",
    r"\bstd::move_only_function\b": LIBCXX,
    r"\bstd::(from_chars|to_chars)\b.*\b(float|double)\b": LIBCXX + " on floating point",
    r"\bstd::chrono::(parse|zoned_time|current_zone|locate_zone|utc_clock|tai_clock)\b": LIBCXX,
    r"\bstd::atomic<\s*std::(shared|weak)_ptr\b": LIBCXX,
    r"\bstd::atomic_ref\b": LIBCXX + " before Xcode 16.3",
    r"\bstd::o?syncstream\b|<syncstream>": LIBCXX + " before Xcode 16",
    r"\bstd::hardware_(con|de)structive_interference_size\b": LIBCXX + " before Xcode 16.3",
    r"<(stacktrace|generator|print|expected|spanstream|stdfloat)>": "C++23",
    r"<(bits|ext)/|__gnu_cxx|\b_GLIBCXX_": "GCC's own",
    r"<linux/|<sys/(epoll|eventfd|timerfd|signalfd|inotify|sysinfo|prctl|sendfile|auxv|random)\.h>|<malloc\.h>": LINUX,
    r"\b(epoll_create1?|eventfd|memfd_create|mremap|accept4|pipe2|dup3|gettid|get_nprocs|secure_getenv)\s*\(": LINUX,
    r"\b(sched_(set|get)affinity|pthread_(set|get)affinity_np|malloc_trim|posix_fallocate|prctl)\s*\(": LINUX,
    r"\b(MAP_POPULATE|MAP_HUGETLB|MAP_LOCKED|SOCK_CLOEXEC|SOCK_NONBLOCK|O_TMPFILE|MSG_MORE)\b": LINUX,
    r'"/proc/|"/sys/': LINUX,
}
COMPILED = {re.compile(pattern): why for pattern, why in REFUSED.items()}
LINUX_ONLY = re.compile(r"#\s*(if|ifdef)\b(?!.*!\s*defined).*\b(__linux__|__GLIBC__|__GLIBCXX__)\b")
CONDITION = re.compile(r"\s*#\s*(if|ifdef|ifndef|elif|else|endif)\b")


def code_lines(text: str) -> Iterator[tuple[int, str]]:
    """Yields (number, line without its // comment) of what macOS compiles."""
    linux_only: list[bool] = []  # one entry for each open #if
    for number, line in enumerate(text.splitlines(), 1):
        if directive := CONDITION.match(line):
            if directive[1].startswith("if"):
                linux_only.append(bool(LINUX_ONLY.search(line)))
            elif directive[1] == "endif":
                linux_only = linux_only[:-1]
            elif linux_only:
                linux_only[-1] = False
        elif not any(linux_only) and "// Linux only" not in line:
            yield number, re.sub(r"(^|\s)//.*", "", line)


def check_text(text: str) -> list[tuple[int, str]]:
    """Returns (line number, what is wrong) for each refused name."""
    return [(number, f"{found[0]}: {why}") for number, line in code_lines(text)
            for pattern, why in COMPILED.items() if (found := pattern.search(line))]


def main() -> None:
    root = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else pathlib.Path(__file__).resolve().parents[2]
    found = [f"{path.relative_to(root)}:{number}: {message}" for folder in FOLDERS
             for path in sorted((root / folder).rglob("*")) if path.suffix in (".h", ".cpp")
             for number, message in check_text(path.read_text())]
    print("\n".join(found), end="\n" if found else "")
    sys.exit(f"{len(found)} names that macOS lacks" if found else 0)


if __name__ == "__main__":
    main()
