#!/usr/bin/env python3
"""Runs Pippin and its peers on the same work in alternating rounds, and prints the ratio of their speeds.

  compare.py --pippin build/release/pippin [--full] [--rounds 5] [--only REGEX] [--out build/bench]

The short comparison takes some five minutes, --full about an hour; both write OUT/results.json (every sample and the load
beside it), OUT/results.md (the table) and, with --full, OUT/*.svg. Each measurement runs in a process of its own with one
thread a core. The peer's settings (flash attention on or off ...) are tried first, and the fastest one represents it.
Run by `make bench-peers` in build/venv-peers.
"""
import argparse
import json
import pathlib
import re
import subprocess
import sys
import time
from collections.abc import Callable

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "bench/common"))
import checkpoints
import machine
import plot
import summary
from cases import CASES, Case, settings
from contenders import Sample, Setup, measure_peer, measure_pippin
from models import Models

DISTURBED = 0.1  # processors that others used, on average, while a sample was taken
WATCH_S = 2


def note(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def wait_for_quiet(deadline: float) -> None:
    """Returns once others leave the processors alone, or at the deadline."""
    while time.monotonic() < deadline:
        before = machine.Usage.now()
        time.sleep(WATCH_S)
        if (machine.Usage.now().busy - before.busy) / WATCH_S <= DISTURBED:
            return


def undisturbed(measure: Callable[[], Sample], deadline: float) -> Sample:
    """One sample; taken again while other processes disturb it and the time allows. What it measured plays no part in that."""
    wait_for_quiet(deadline)
    sample = measure()
    while sample.others > DISTURBED and time.monotonic() < deadline:
        note(f"   others used {sample.others:.2f} cores meanwhile; again")
        wait_for_quiet(deadline)
        sample = measure()
    return sample


def fastest_setting(case: Case, setup: Setup, deadline: float) -> tuple[tuple[str, ...], list[dict]]:
    """Measures the peer once with each of its settings."""
    trials = []
    for setting in settings(case):
        rate = undisturbed(lambda: measure_peer(case, setup, setting), deadline).rate
        trials.append({"setting": " ".join(setting), "rate": rate})
        note(f"   try {case.peer} {' '.join(setting) or 'as it is'}: {summary.digits(rate)} {case.unit}")
    best = max(range(len(trials)), key=lambda i: trials[i]["rate"])
    return settings(case)[best], trials


def side(name: str, samples: list[Sample]) -> dict:
    """What the results keep of one side: a list each, in the order of the rounds."""
    return {"name": name, "rates": [s.rate for s in samples], "peak_mib": [s.peak_mib for s in samples],
            "others": [s.others for s in samples]}


def measure_case(case: Case, setup: Setup, rounds: int, sides: set[str], patience: float) -> dict:
    """Alternates between the sides, and in which of them comes first, so that a drift of the machine meets both."""
    note(f"== {case.name}")
    deadline = time.monotonic() + patience
    setting, trials = fastest_setting(case, setup, deadline) if "peer" in sides else ((), [])
    measures = {"peer": lambda: measure_peer(case, setup, setting), "pippin": lambda: measure_pippin(case, setup)}
    samples: dict[str, list[Sample]] = {"peer": [], "pippin": []}
    for i in range(min(rounds, case.rounds or rounds)):
        for name in ("peer", "pippin") if i % 2 == 0 else ("pippin", "peer"):
            if name in sides:
                samples[name].append(undisturbed(measures[name], deadline))
        note("   " + ", ".join(f"{name} {summary.digits(s[-1].rate)} (others used {s[-1].others:.2f} cores)"
                               for name, s in samples.items() if s))
    return {"name": case.name, "kind": case.kind, "model": case.model, "prompt": case.prompt,
            "sequences": case.sequences, "unit": case.unit, "goal": case.goal, "setting": " ".join(setting),
            "trials": trials, "peer": side(case.peer, samples["peer"]), "pippin": side("pippin", samples["pippin"])}


def read_bandwidth(program: pathlib.Path, threads: int) -> dict:
    return json.loads(subprocess.run([program, str(threads)], check=True, capture_output=True, text=True).stdout)


def bandwidth_line(report: dict, setup: Setup) -> str:
    """How much of the memory's speed decoding one sequence takes, counting the weights alone."""
    found = [r for r in report["results"] if r["kind"] == "decode" and r["sequences"] == 1 and r["prompt"] == 128
             and r["model"] == "qwen3-0.6b" and "busy" not in r["name"] and r["pippin"]["rates"]]
    if not found:
        return ""
    weights = (setup.models.checkpoint("qwen3-0.6b") / "model.safetensors").stat().st_size
    # On a virtual machine this may jump between two values, as its cores are moved about on the host.
    seen = [b["median_gb_per_s"] for b in report["bandwidth"]]
    rate = summary.spread(found[0]["pippin"]["rates"])["median"] * weights * 1e-9
    return (f"Read bandwidth: {min(seen):.1f} to {max(seen):.1f} GB/s with {setup.threads} threads ({len(seen)} measurements). "
            f"Pippin's decoding at context 128 reads {rate:.1f} GB/s of weights: {100 * rate / max(seen):.0f} to "
            f"{100 * rate / min(seen):.0f} % of that.")


def memory_line(report: dict, setup: Setup) -> str:
    lines = []
    for r in report["results"]:
        if r["pippin"]["peak_mib"] and r["peer"]["peak_mib"]:
            lines.append(f"{r['name']}: {max(r['pippin']['peak_mib']):.0f} against {max(r['peer']['peak_mib']):.0f}")
    return "Peak memory in MiB, Pippin against its peer (mapped files count): " + "; ".join(lines) + "." if lines else ""


def write_report(report: dict, setup: Setup, out: pathlib.Path) -> str:
    (out / "results.json").write_text(json.dumps(report, indent=1))
    m = report["machine"]
    text = "\n".join([
        f"{m['cpu']}, {m['cores']} cores, {' '.join(m['isa'])}; {m['system']}; {m['date']}.",
        f"{report['command']}", "", summary.table(report["results"]), "",
        *filter(None, [bandwidth_line(report, setup), memory_line(report, setup)])])
    (out / "results.md").write_text(text + "\n")
    return text


def choose_cases(full: bool, only: str) -> list[Case]:
    if only:
        return [case for case in CASES if re.search(only, case.name)]
    return [case for case in CASES if full or case.quick]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pippin", type=pathlib.Path, default=ROOT / "build/release/pippin")
    parser.add_argument("--full", action="store_true", help="every case, five rounds")
    parser.add_argument("--rounds", type=int, help="instead of 3, or 5 with --full")
    parser.add_argument("--only", default="", help="cases whose name matches this regular expression")
    parser.add_argument("--sides", default="peer,pippin", help="measure these alone")
    parser.add_argument("--patience", type=float, default=0, metavar="SECONDS",
                        help="wait for other processes, and take disturbed samples again, for up to this long a case")
    parser.add_argument("--threads", type=int, default=machine.usable_cores())
    parser.add_argument("--models", type=pathlib.Path, default=checkpoints.DEFAULT_FOLDER)
    parser.add_argument("--out", type=pathlib.Path, default=ROOT / "build/bench")
    args = parser.parse_args()

    rounds = args.rounds or (5 if args.full else 3)
    setup = Setup(args.pippin.resolve(), args.threads, Models(args.models))
    args.out.mkdir(parents=True, exist_ok=True)
    bandwidth_program = args.pippin.parent / "bench/read_bandwidth"
    report = {"machine": machine.describe(), "command": "bench/peers/compare.py " + " ".join(sys.argv[1:]),
              "bandwidth": [read_bandwidth(bandwidth_program, args.threads)], "results": []}
    for case in choose_cases(args.full, args.only):
        report["results"].append(measure_case(case, setup, rounds, set(args.sides.split(",")), args.patience))
        report["bandwidth"].append(read_bandwidth(bandwidth_program, args.threads))
        write_report(report, setup, args.out)  # so that what was measured outlives a later failure
    plot.write_all(report, args.out)
    print(write_report(report, setup, args.out))


if __name__ == "__main__":
    main()
