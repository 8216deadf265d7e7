#!/usr/bin/env python3
"""Measures what the caches save: latency and time to first token of questions about a picture or clip that was seen before,
and under a prompt that was read before; the tables of arXiv 2601.19139 and the goals beyond them.

  bench_cache.py --pippin build/release/pippin [--models demo,2b,8b] [--only REGEX] [--repeat 3] [--out build/bench]

"2b" and "8b" are RANDOM weights in the shapes of Qwen3-VL-2B and 8B, 4 bits in groups of 64 (../random_checkpoint.py; the
folder --checkpoints keeps them, 2 and 6 GB). What is asked and said means nothing there, and no answer ends before its last
token. Writes OUT/cache.json (every sample) and OUT/cache.md; an earlier run's results are kept under other models and cases.
Needs Python 3.10 and numpy, no network. Run by `make bench-cache`.
"""
import argparse
import dataclasses
import json
import pathlib
import re
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "bench/common"))
import checkpoints
import machine
import report
from cases import Case, Setup, all_cases

SHAPES = {"2b": "qwen3-vl-2b", "8b": "qwen3-vl-8b"}
CONTEXT = 24576  # of the random models: some prompts of the longest case
DEMO_CONTEXT = 4096


def make_setup(name: str, args: argparse.Namespace) -> Setup:
    common = dict(program=args.pippin.resolve(), repeat=args.repeat, discard_first=args.discard_first,
                  answer_tokens=args.answer_tokens)
    options = ["--log-level", "warning", *args.serve_options.split()]
    if name == "demo":
        return Setup(model=pathlib.Path("demo"), options=options, context=DEMO_CONTEXT, scored=False, **common)
    model = checkpoints.Checkpoints(args.checkpoints).checkpoint(SHAPES[name])
    limits = ["--max-context", str(CONTEXT), "--kv-tokens", str(CONTEXT)]
    return Setup(model=model, options=[*limits, *options], context=CONTEXT, scored=True, **common)


def measure(model: str, case: Case, setup: Setup) -> dict:
    print(f"== {model}: {case.name}", file=sys.stderr, flush=True)
    rows, verdicts = case.run(setup)
    result = {"model": model, "case": case.name, "date": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
              "rows": [dataclasses.asdict(row) for row in rows], "verdicts": [dataclasses.asdict(v) for v in verdicts]}
    print(report.tables([result]), file=sys.stderr, flush=True)
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pippin", type=pathlib.Path, default=ROOT / "build/release/pippin")
    parser.add_argument("--models", default="demo", help="with commas: demo, 2b, 8b [demo]")
    parser.add_argument("--only", default="", help="cases whose name matches this regular expression: 'picture 1024', 'clip', "
                        "'ablation', 'prefix 8k', 'restart' ...")
    parser.add_argument("--repeat", type=int, default=3, help="times that each is measured; medians are shown [3]")
    parser.add_argument("--discard-first", action="store_true",
                        help="measure each once more at first and forget that (GPUs compile kernels at their first use)")
    parser.add_argument("--answer-tokens", type=int, default=8, help="length of the answers whose latency is measured [8]")
    parser.add_argument("--serve-options", default="", help="further options of `pippin serve`, separated by spaces")
    parser.add_argument("--checkpoints", type=pathlib.Path, default=checkpoints.DEFAULT_FOLDER)
    parser.add_argument("--out", type=pathlib.Path, default=ROOT / "build/bench")
    args = parser.parse_args()

    args.out.mkdir(parents=True, exist_ok=True)
    results = report.load(args.out)
    for model in args.models.split(","):
        setup = make_setup(model, args)
        for case in all_cases():
            if not re.search(args.only, case.name):
                continue
            if case.tokens > setup.context:
                print(f"== {model}: {case.name} has more tokens than the model's context", file=sys.stderr)
                continue
            results[model, case.name] = measure(model, case, setup)
            report.write(args.out, list(results.values()), machine.describe(),
                         "bench/cache/bench_cache.py " + " ".join(sys.argv[1:]))
    print((args.out / "cache.md").read_text())


if __name__ == "__main__":
    main()
