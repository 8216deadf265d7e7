#!/usr/bin/env python3
"""Builds the fuzz targets and runs each for a while; the last line counts them.

  fuzz.py [--seconds 15] [--jobs N] [TARGET ...]    every target, or those named
  fuzz.py --keep [TARGET ...]                       takes what earlier runs found into corpus/, cut to the size that is kept
  fuzz.py --input FILE TARGET                       runs one input, as one that a target failed with

Each target begins with what seeds.py makes of the tests' data and with corpus/TARGET; what it finds that is new stays in
build/fuzz/found/TARGET, for the next run. An input that a target fails with is left in build/fuzz/failed/TARGET.
"""
import argparse
import os
import pathlib
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import seeds

ROOT = pathlib.Path(__file__).resolve().parents[1]
BUILD = ROOT / "build/fuzz"
CORPUS = ROOT / "fuzz/corpus"
KEPT_BYTES, KEPT_FILES = 40_000, 40  # of corpus/TARGET
HASH = re.compile("[0-9a-f]{12}")  # names of found inputs
# The longest input: long enough for what a target looks for, short enough for many a second.
LONGEST = {"http": 4096, "requests": 8192, "parsers": 1024, "messages": 8192, "templates": 8192, "grammars": 2048,
           "images": 4096, "videos": 8192, "data_urls": 2048, "gguf": 65536}
# Where leaks are not looked for: grammars compile on a thread whose end nobody waits for, so its list of destructors may still be there.
OPTIONS = {"grammars": ["-detect_leaks=0"]}


def build(targets: list[str]) -> None:
    compiler = subprocess.run([ROOT / "tools/portability/compiler.sh"], check=True, capture_output=True, text=True).stdout.strip()
    subprocess.run(["cmake", "--preset", "fuzz", f"-DCMAKE_CXX_COMPILER={compiler}", "--log-level=WARNING"], cwd=ROOT, check=True,
                   stdout=subprocess.DEVNULL)
    subprocess.run(["cmake", "--build", BUILD, "--target", *(f"fuzz_{target}" for target in targets)], cwd=ROOT, check=True)


def environment() -> dict[str, str]:
    suppressions = ROOT / "tools/sanitizers/lsan.supp"
    return {**os.environ, "ASAN_OPTIONS": "detect_stack_use_after_return=1:strict_string_checks=1:allocator_may_return_null=1",
            "LSAN_OPTIONS": f"suppressions={suppressions}:print_suppressions=0", "UBSAN_OPTIONS": "print_stacktrace=1"}


def program(target: str) -> pathlib.Path:
    return BUILD / "fuzz" / f"fuzz_{target}"


def folder(kind: str, target: str) -> pathlib.Path:
    path = BUILD / kind / target
    path.mkdir(parents=True, exist_ok=True)
    return path


def inputs_of(target: str) -> list[pathlib.Path]:
    """The folders that a run begins with; the first takes what is new."""
    made = folder("seeds", target)
    shutil.rmtree(made)
    made.mkdir()
    for number, seed in enumerate(seeds.MAKERS[target]()):
        (made / f"{number:04}").write_bytes(seed)
    kept = [CORPUS / target] if (CORPUS / target).is_dir() else []
    return [folder("found", target), made, *kept]


def run(target: str, seconds: int) -> bool:
    failed = folder("failed", target)
    command = [program(target), *inputs_of(target), f"-max_total_time={seconds}", f"-max_len={LONGEST[target]}", "-timeout=20",
               "-rss_limit_mb=3000", "-print_final_stats=1", f"-artifact_prefix={failed}/", *OPTIONS.get(target, [])]
    done = subprocess.run(command, cwd=BUILD, env=environment(), capture_output=True, text=True, errors="replace")
    log = BUILD / f"{target}.log"
    log.write_text(done.stdout + done.stderr)
    last = [line for line in done.stderr.splitlines() if " cov: " in line]
    runs = re.search(r"stat::number_of_executed_units:\s*(\d+)", done.stderr)
    covered = re.search(r"cov: (\d+)", last[-1]) if last else None
    print(f"{target:10} {'passed' if done.returncode == 0 else 'FAILED':6} {runs[1] if runs else '?':>9} runs, "
          f"{covered[1] if covered else '?':>6} branches", flush=True)
    if done.returncode:
        print("\n".join(done.stderr.splitlines()[-60:]), f"\n(all of it: {log})", flush=True)
    return done.returncode == 0


def keep(target: str) -> None:
    """Replaces corpus/TARGET by what of it and of the found inputs adds to what the seeds reach, some of every size, as much as is
    kept. Files with a name of their own, of inputs that a target failed with once, stay."""
    found, made, *kept = inputs_of(target)
    merged = folder("merged", target)
    shutil.rmtree(merged)
    shutil.copytree(made, merged)
    subprocess.run([program(target), "-merge=1", "-timeout=20", merged, *kept, found], cwd=BUILD, env=environment(), check=True,
                   capture_output=True)
    fresh = [path for path in merged.iterdir() if not (made / path.name).exists()]
    (CORPUS / target).mkdir(parents=True, exist_ok=True)
    for path in (CORPUS / target).iterdir():
        if HASH.fullmatch(path.name):
            path.unlink()
    size = sum(path.stat().st_size for path in (CORPUS / target).iterdir())
    fresh.sort(key=lambda path: path.stat().st_size)
    for path in fresh[:: 1 + len(fresh) // KEPT_FILES]:
        size += path.stat().st_size
        if size <= KEPT_BYTES:
            shutil.copy(path, CORPUS / target / path.name[:12])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=", ".join(seeds.MAKERS))
    parser.add_argument("--seconds", type=int, default=15)
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--keep", action="store_true")
    parser.add_argument("--input", type=pathlib.Path)
    args = parser.parse_args()
    targets = args.targets or list(seeds.MAKERS)
    if unknown := set(targets) - set(seeds.MAKERS):
        parser.error(f"there is no target {', '.join(unknown)}; there are {', '.join(seeds.MAKERS)}")

    build(targets)
    if args.input:
        sys.exit(subprocess.run([program(targets[0]), args.input], env=environment()).returncode)
    if args.keep:
        for target in targets:
            keep(target)
        return
    with ThreadPoolExecutor(args.jobs) as pool:
        results = list(pool.map(lambda target: run(target, args.seconds), targets))
    print(f"fuzz: {sum(results)} passed, {results.count(False)} failed")
    sys.exit(0 if all(results) else 1)


if __name__ == "__main__":
    main()
