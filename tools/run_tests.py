#!/usr/bin/env python3
"""Builds a preset and runs its tests; the last line counts them.

  run_tests.py --preset release|asan|tsan [--checks] [--units-only]

  --checks    also the include rule, the formatting, the kernels' symbols, and the tools' own tests
Run by `make test` in build/venv's Python. Every part runs even when an earlier one failed; the exit status is 1 then.
The end-to-end tests find the program in PIPPIN_BINARY and, in PIPPIN_TEST_SLOWDOWN, how much slower it runs than a release.
"""
import argparse
import json
import os
import pathlib
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ElementTree

ROOT = pathlib.Path(__file__).resolve().parents[1]
SLOWDOWN = {"release": 1, "asan": 8, "tsan": 15}
TOOL_TESTS = ["tools/check_includes", "tools/check_isa", "tools/portability", "tools/setup", "tools/page", "tools/demo", "tools/package",
              "tools/demo_model", "tools/templates", "tools/transcripts", "bench/peers", "bench/cache", "fuzz"]


def sanitizer_environment() -> dict[str, str]:
    """Options of the sanitizers' run-time libraries; without effect on a program built without them."""
    folder = ROOT / "tools/sanitizers"
    return {
        "ASAN_OPTIONS": "detect_leaks=1:strict_string_checks=1:detect_stack_use_after_return=1",
        "LSAN_OPTIONS": f"suppressions={folder}/lsan.supp:print_suppressions=0",
        "UBSAN_OPTIONS": "print_stacktrace=1",
        "TSAN_OPTIONS": f"suppressions={folder}/tsan.supp",
    }


broken: list[str] = []  # the titles of the parts that failed


def run(title: str, command: list[str], env: dict[str, str] | None = None) -> bool:
    print(f"== {title}", flush=True)
    good = subprocess.run(command, cwd=ROOT, env={**os.environ, **(env or {})}).returncode == 0
    if not good:
        broken.append(title)
    return good


def build(preset: str) -> bool:
    return run(f"Building {preset}", ["tools/build.sh", preset])


def run_checks() -> None:
    clang_format = pathlib.Path(sys.executable).parent / "clang-format"
    sources = subprocess.run(["git", "ls-files", "*.h", "*.cpp"], cwd=ROOT, check=True, capture_output=True, text=True)
    run("Include rule", [sys.executable, "tools/check_includes/check_includes.py"])
    run("Formatting (repaired by `make format`)", [str(clang_format), "--dry-run", "-Werror", *sources.stdout.split()])


def run_units(preset: str) -> None:
    run(f"Unit tests ({preset})",
        ["ctest", "--test-dir", f"build/{preset}", "--output-on-failure", "--no-tests=error", "--timeout", "900",
         "--parallel", str(os.cpu_count() or 1)],
        {**sanitizer_environment(), "GTEST_BRIEF": "1"})


def run_pytest(preset: str, folders: list[str], report: pathlib.Path) -> None:
    env = {**sanitizer_environment(), "PIPPIN_BINARY": str(ROOT / "build" / preset / "pippin"),
           "PIPPIN_TEST_SLOWDOWN": str(SLOWDOWN[preset])}
    # Times are judged in releases alone: there no test runs beside another.
    workers = [] if preset == "release" else ["--numprocesses", str(os.cpu_count() or 1), "--dist", "loadfile"]
    run(f"Python tests ({preset}): {', '.join(folders)}",
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--durations=5", f"--junitxml={report}", *workers, *folders], env)


def count(results: pathlib.Path) -> tuple[int, int]:
    """Returns (passed, failed) over the reports of GoogleTest (*.json) and pytest (*.xml)."""
    passed = failed = 0
    for path in results.glob("*.json"):
        report = json.loads(path.read_text())
        passed += report["tests"] - report["failures"] - report["disabled"]
        failed += report["failures"]
    for path in results.glob("*.xml"):
        for suite in ElementTree.parse(path).iter("testsuite"):
            bad = int(suite.get("failures", 0)) + int(suite.get("errors", 0))
            passed += int(suite.get("tests", 0)) - bad - int(suite.get("skipped", 0))
            failed += bad
    return passed, failed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", required=True, choices=sorted(SLOWDOWN))
    parser.add_argument("--checks", action="store_true")
    parser.add_argument("--units-only", action="store_true")
    args = parser.parse_args()

    results = ROOT / "build" / args.preset / "results"
    shutil.rmtree(results, ignore_errors=True)
    results.mkdir(parents=True)
    if args.checks:
        run_checks()
    if not build(args.preset):
        sys.exit(f"run_tests: {args.preset} does not build")
    if args.checks:
        run("Instruction sets", [sys.executable, "tools/check_isa/check_isa.py", f"build/{args.preset}"])
    run_units(args.preset)
    if not args.units_only:
        folders = ["tests/e2e"] + ["tests/hostile"] * (args.preset == "release") + [folder for folder in TOOL_TESTS if args.checks and (ROOT / folder).is_dir()]
        run_pytest(args.preset, ["--ignore=tests/e2e/page", *folders], results / "pytest.xml")
        if args.preset == "release":  # Playwright's event loop stays: by themselves
            run_pytest(args.preset, ["tests/e2e/page"], results / "page.xml")
    passed, failed = count(results)
    if broken:
        failed = max(failed, 1)  # a program that crashed has left no report
    print(f"{args.preset}: {passed} passed, {failed} failed{': ' if broken else ''}{'; '.join(broken)}")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
