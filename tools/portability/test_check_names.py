"""Tests of check_names: what is refused, what is let through, and that the repository is clean."""
import pathlib
import subprocess
import sys

import pytest

from check_names import check_text


@pytest.mark.parametrize("line", [
    "std::jthread worker;",
    "#include <stop_token>",
    "std::sort(std::execution::par, a.begin(), a.end());",
    'auto s = std::format("{}", 1);',
    "std::from_chars(first, last, static_cast<double&>(x));",
    "std::atomic<std::shared_ptr<int>> p;",
    "#include <bits/stdc++.h>",
    "#include <sys/epoll.h>",
    "int fd = eventfd(0, 0);",
    'open("/proc/self/exe");',
    "mmap(nullptr, n, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd, 0);",
])
def test_refused(line):
    assert [number for number, _ in check_text("\n" + line)] == [2]


@pytest.mark.parametrize("text", [
    "// unlike std::jthread, joined by hand",
    "std::thread worker;  // no std::jthread",
    "std::from_chars(first, last, value);",
    'fmt::format("{}", 1);',
    "text::format(x);",
    'fetch("http://host/proc/x");',
    'read_symlink("/proc/self/exe", error);  // Linux only',
    '#ifdef __linux__\nopen("/proc/self/exe");\n#else\nf();\n#endif',
    '#if defined(__linux__) && X\n#if Y\neventfd(0, 0);\n#endif\n#endif',
])
def test_let_through(text):
    assert check_text(text) == []


@pytest.mark.parametrize("text", [
    '#ifdef __linux__\nf();\n#else\neventfd(0, 0);\n#endif',
    '#ifdef __linux__\nf();\n#endif\neventfd(0, 0);',
    '#if !defined(__linux__)\neventfd(0, 0);\n#endif',
    '#ifdef __APPLE__\neventfd(0, 0);\n#endif',
])
def test_only_linux_own_code_is_left_out(text):
    assert len(check_text(text)) == 1


def test_the_repository_is_clean():
    root = pathlib.Path(__file__).resolve().parents[2]
    run = subprocess.run([sys.executable, str(root / "tools/portability/check_names.py")], capture_output=True, text=True)
    assert (run.returncode, run.stdout) == (0, "")
