"""Tests of check_includes: small trees that keep or break the rule, and the rule's own consistency."""
import pathlib

import pytest

import check_includes as rule


def tree(root: pathlib.Path, files: dict[str, str]) -> list[str]:
    """Writes `files` below root and returns check_tree's messages."""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return [str(violation) for violation in rule.check_tree(root)]


def test_the_rule_has_no_cycle():
    for folder in rule.FOLDERS:
        assert folder not in rule.reachable(folder, rule.FOLDERS)


def test_every_pattern_names_a_folder_of_the_house():
    for pattern in [p for table in (rule.LIBRARIES, rule.EXCEPTIONS) for patterns in table.values() for p in patterns]:
        if "/" in pattern:
            assert rule.folder_of(pattern) in rule.FOLDERS


@pytest.mark.parametrize("file, header, quoted", [
    ("base/log.cpp", "spdlog/spdlog.h", False),
    ("text/tokenizer.cpp", "base/log.h", True),
    ("text/tokenizer.cpp", "text/tokenizer.h", True),
    ("models/qwen3_vl.cpp", "media/patches.h", True),
    ("models/qwen3.cpp", "mlx/mlx.h", False),
    ("engine/run/runner.cpp", "mlx/mlx.h", False),
    ("engine/schedule/scheduler.h", "engine/cache/page_cache.h", True),
    ("engine/run/step_test.cpp", "engine/testing.h", True),
    ("engine/frontend.cpp", "engine/run/loop.h", True),
    ("engine/run/runner.cpp", "models/model.h", True),
    ("server/api.cpp", "server/anthropic/anthropic.h", True),
    ("server/http/connection.cpp", "boost/beast/http.hpp", False),
    ("server/http/connection.cpp", "server/http/errors.h", True),
    ("server/openai/openai.cpp", "pippin/engine.h", True),
    ("media/fetch.cpp", "curl/curl.h", False),
    ("main.cpp", "CLI/CLI.hpp", False),
    ("kernels/cpu/gemm_test.cpp", "gtest/gtest.h", False),
    ("kernels/cpu/norm.cpp", "kernels/cpu/team.h", True),
    ("kernels/cpu/isa.cpp", "pippin/error.h", True),
    ("kernels/cpu/isa.cpp", "sys/auxv.h", False),
    ("kernels/norm.cpp", "kernels/cpu/norm.h", True),
    ("base/files.cpp", "sys/mman.h", False),
    ("base/files.cpp", "string_view", False),
    ("base/mutex.h", "mutex", False),
    ("hub/pull_test.cpp", "condition_variable", False),
])
def test_allowed(file, header, quoted):
    assert rule.check_include(file, header, quoted) is None


@pytest.mark.parametrize("file, header, quoted", [
    ("base/log.cpp", "text/tokenizer.h", True),
    ("base/timer.h", "mutex", False),
    ("engine/disk/store.h", "condition_variable", False),
    ("media/image.cpp", "text/tokenizer.h", True),
    ("kernels/ops.h", "nn/linear.h", True),
    ("kernels/cpu/norm.cpp", "kernels/ops.h", True),
    ("kernels/cpu/norm.cpp", "mlx/mlx.h", False),
    ("kernels/cpu/norm.cpp", "sched.h", False),
    ("models/qwen3_vl.cpp", "media/image.h", True),
    ("models/qwen3.cpp", "engine/schedule/sequence.h", True),
    ("text/tokenizer.cpp", "mlx/mlx.h", False),
    ("engine/schedule/scheduler.cpp", "mlx/mlx.h", False),
    ("engine/cache/page_cache.h", "mlx/array.h", False),
    ("engine/engine.cpp", "boost/json.hpp", False),
    ("engine/engine.cpp", "base/json.h", True),
    ("engine/engine.cpp", "server/http/sse.h", True),
    ("server/openai/openai.cpp", "boost/asio/io_context.hpp", False),
    ("server/http/connection.cpp", "server/chat/session.h", True),
    ("server/openai/openai.cpp", "models/qwen3.h", True),
    ("server/openai/openai.cpp", "server/anthropic/call.h", True),
    ("server/schema/field_table.cpp", "server/chat/call.h", True),
    ("server/chat/service.cpp", "server/api.h", True),
    ("engine/cache/page_cache.cpp", "engine/schedule/sequence.h", True),
    ("engine/schedule/scheduler.cpp", "engine/run/runner.h", True),
    ("engine/run/runner.cpp", "engine/frontend.h", True),
    ("server/openai/openai.cpp", "spdlog/spdlog.h", False),
    ("media/image.cpp", "pippin/engine.h", True),
    ("media/image.cpp", "curl/curl.h", False),
    ("media/image.cpp", "gtest/gtest.h", False),
    ("base/files.cpp", "sys/epoll.h", False),
    ("base/files.cpp", "stdio.h", False),
    ("base/files.cpp", "files.h", True),
    ("attic/old.cpp", "base/log.h", True),
])
def test_refused(file, header, quoted):
    assert rule.check_include(file, header, quoted) is not None


def test_a_violation_names_file_and_line(tmp_path):
    messages = tree(tmp_path, {"base/log.h": "#pragma once\n\n#  include \"engine/engine.h\"  // why\n"})
    assert messages == ["base/log.h:3: base may not include engine (engine/engine.h)"]


def test_includes_in_comments_do_not_count(tmp_path):
    assert tree(tmp_path, {"base/log.h": '// #include "engine/engine.h"\n'}) == []


def test_length_limit(tmp_path):
    assert tree(tmp_path, {"base/a.cpp": "\n" * 600}) == []
    assert tree(tmp_path, {"base/a.cpp": "\n" * 601}) == ["base/a.cpp:600: 601 lines; split it (at most 600)"]


CMAKE = "pippin_library({name} # a comment (pippin_server)\n  SOURCES a.cpp\n  DEPS {deps} Boost::json\n  TESTS a_test.cpp)\n"


def test_deps_that_agree(tmp_path):
    assert tree(tmp_path, {
        "nn/CMakeLists.txt": CMAKE.format(name="nn", deps="pippin_kernels"),
        "kernels/CMakeLists.txt": CMAKE.format(name="kernels", deps="pippin_base"),
        "nn/a.cpp": '#include "base/log.h"\n#include "kernels/ops.h"\n',
    }) == []


def test_deps_on_a_part_of_the_own_folder_alone(tmp_path):
    files = {f"{name}/CMakeLists.txt": CMAKE.format(name=name, deps="pippin_base pippin_cpu") for name in ("kernels", "nn")}
    assert tree(tmp_path, files) == ["nn/CMakeLists.txt:1: DEPS names pippin_cpu, which nn may not include"]


def test_deps_outside_the_rule(tmp_path):
    messages = tree(tmp_path, {"nn/CMakeLists.txt": CMAKE.format(name="nn", deps="pippin_text pippin_rust")})
    assert messages == ["nn/CMakeLists.txt:1: DEPS names pippin_text, which nn may not include"]


def test_deps_that_miss_an_included_folder(tmp_path):
    messages = tree(tmp_path, {
        "nn/CMakeLists.txt": CMAKE.format(name="nn", deps="pippin_base"),
        "nn/a.cpp": '#include "kernels/ops.h"\n',
    })
    assert messages == ["nn/CMakeLists.txt:1: nn includes kernels, but DEPS does not lead to pippin_kernels"]


def test_the_repository_keeps_the_rule():
    assert [str(v) for v in rule.check_tree(pathlib.Path(__file__).resolve().parents[2] / "src")] == []
