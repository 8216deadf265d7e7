#!/usr/bin/env python3
"""A server under clients of every kind for a while: nothing crashes, no page is lost, memory stays flat, and every well-formed
request is answered, though some steps fail as if memory had run out.

  soak.py [--preset release|asan|tsan] [--seconds 600] [--clients 12] [--seed N]

The clients come in rounds, after each of which all is quiet and the caches are cleared: then no page may be in use, and
what the process still takes is what it keeps. Prints what the clients did and the slope of that memory; exits 1 where
something did not hold. Under a sanitizer memory is reported but not judged, since what it keeps of freed memory grows by
itself; its reports count as failures.
"""
import argparse
import collections
import os
import pathlib
import sys
import tempfile
import threading
import time
import traceback

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests/e2e"), str(ROOT / "tools")]

import run_tests  # noqa: E402

SERVER_OPTIONS = ["--kv-tokens", "3008", "--max-context", "3000", "--max-sequences", "8", "--max-queue", "64", "--media-cache-mb",
                  "2", "--decoded-cache-mb", "2", "--max-body-mb", "2", "--fail-every", "211", "--cache-disk-gb", "0.05"]
ROUNDS = 10
SETTLING_ROUNDS = 3  # until the allocator's free lists have their size
MOST_MB_A_MINUTE = 2.0


def slope(samples: list[tuple[float, float]]) -> float:
    """Of the least-squares line, in MB a minute."""
    mean_x = sum(x for x, _ in samples) / len(samples)
    mean_y = sum(y for _, y in samples) / len(samples)
    spread = sum((x - mean_x) ** 2 for x, _ in samples)
    return 60 * sum((x - mean_x) * (y - mean_y) for x, y in samples) / spread if spread else 0.0


class Soak:
    def __init__(self, server, args: argparse.Namespace, slowdown: float):
        import clients
        self.server = server
        self.seconds = args.seconds
        self.ends_at = time.monotonic()
        self.memory: list[tuple[float, float]] = []  # seconds, MB once the caches are cleared
        self.visitors = [clients.Visitor(server.port, args.seed + number, 120 * slowdown) for number in range(args.clients)]
        self.problems: list[str] = []

    def visit(self, visitor) -> None:
        while time.monotonic() < self.ends_at and len(self.problems) < 5:
            try:
                visitor.act()
            except Exception:
                if self.server.process.poll() is not None:
                    self.problems.append("the server has ended")
                    return
                self.problems.append(traceback.format_exc(limit=3))

    def run(self) -> None:
        started = time.monotonic()
        while not self.problems and len(self.memory) < ROUNDS:
            self.ends_at = time.monotonic() + self.seconds / ROUNDS
            self.run_round()
            if self.server.process.poll() is None:
                self.check_what_is_left(time.monotonic() - started)

    def run_round(self) -> None:
        threads = [threading.Thread(target=self.visit, args=(visitor,)) for visitor in self.visitors]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def check_what_is_left(self, seconds: float) -> None:
        """No sequence, no page in use, and none cached once the caches are cleared."""
        pages = self.server.wait_until_idle()["pages"]
        if pages["free"] + pages["cached"] != pages["total"]:
            self.problems.append(f"pages are lost: {pages}")
        cleared = self.server.request("DELETE", "/v1/cache").body
        self.memory.append((seconds, cleared["resident_bytes_after"] / 2**20))
        pages = self.server.health()["pages"]
        if pages["free"] != pages["total"]:
            self.problems.append(f"pages stay cached: {pages}")
        descriptors = len(os.listdir(f"/proc/{self.server.process.pid}/fd"))
        if descriptors > 100:
            self.problems.append(f"{descriptors} files are still open")

    def report(self) -> None:
        counts = collections.Counter()
        for visitor in self.visitors:
            counts.update(visitor.counts)
        for outcome, count in sorted(counts.items()):
            print(f"  {outcome:40} {count:7}")
        print(f"  {sum(counts.values())} actions; {self.server.metric('steps_total'):.0f} steps, "
              f"{self.server.metric('steps_failed_total'):.0f} of them failed by injection; "
              f"{self.server.metric('num_preemptions_total'):.0f} preemptions")
        if not self.server.metric("steps_failed_total"):
            self.problems.append("no failure was injected")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", default="release", choices=sorted(run_tests.SLOWDOWN))
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--clients", type=int, default=12)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    args = parser.parse_args()

    slowdown = run_tests.SLOWDOWN[args.preset]
    os.environ.update({**run_tests.sanitizer_environment(), "PIPPIN_BINARY": str(ROOT / "build" / args.preset / "pippin"),
                       "PIPPIN_TEST_SLOWDOWN": str(slowdown)})
    from e2e_harness import Server

    print(f"== Soak ({args.preset}): {args.seconds:.0f} s, {args.clients} clients, seed {args.seed}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        server = Server(*SERVER_OPTIONS, "--cache-dir", folder)
        soak = Soak(server, args, slowdown)
        soak.run()
        problems = soak.problems
        if server.process.poll() is None:
            soak.report()
            status = server.stop()
        else:
            status = server.process.returncode
        log = server.logged()
    if status != 0:
        problems.append(f"the server exited with {status}")
    if "Sanitizer" in log:
        problems.append("a sanitizer has reported something")
    if args.preset == "release" and "[engine] gives up" in log:
        problems.append("the engine gave up")
    settled = soak.memory[SETTLING_ROUNDS:]
    if len(settled) > 1:
        growth = slope(settled)
        print(f"  resident between rounds, in MB: {' '.join(f'{mb:.0f}' for _, mb in soak.memory)}; "
              f"slope {growth:+.2f} MB a minute")
        # In a short run the allocator's habits look like a leak.
        if args.preset == "release" and args.seconds >= 300 and growth > MOST_MB_A_MINUTE:
            problems.append(f"memory grows by {growth:.2f} MB a minute")
    for problem in problems:
        print(f"PROBLEM: {problem}")
    if problems:
        print("".join(report[:6000] for report in log.split("==================\n") if "Sanitizer: " in report[:200]))
        print(log[-20_000:])
    print(f"{args.preset}: {'1 passed, 0 failed' if not problems else f'0 passed, {len(problems)} failed'}")
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
