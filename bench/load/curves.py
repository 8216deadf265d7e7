#!/usr/bin/env python3
"""Runs build/release/bench/simulate and draws its curves: bench/load.svg; prints the table for bench/RESULTS.md.

  curves.py [--requests 1000000] [--out bench/load.svg]
"""
import argparse
import html
import json
import math
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
WIDTH, HEIGHT, LEFT, TOP, GAP = 300, 200, 60, 50, 80
PERCENTILES = {"p50": "#2f7d32", "p90": "#b35900", "p99": "#a01c1c"}


def text(x: float, y: float, content: str, anchor: str = "middle", extra: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" {extra}>{html.escape(content)}</text>'


def panel(index: int, title: str, rows: list[dict], key: str) -> list[str]:
    """Milliseconds on a logarithmic axis over requests a second."""
    left = LEFT + index * (WIDTH + GAP)
    values = [value for row in rows for value in row[key]]
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    most = max(row["requests_per_s"] for row in rows) * 1.05

    def at_x(rate: float) -> float:
        return left + WIDTH * rate / most

    def at_y(ms: float) -> float:
        return TOP + HEIGHT * (1 - (math.log10(ms) - low) / (high - low))

    parts = [text(left + WIDTH / 2, TOP - 14, title, extra='font-size="14"'),
             text(left + WIDTH / 2, TOP + HEIGHT + 36, "requests a second")]
    for power in range(low, high + 1):
        y = at_y(10.0 ** power)
        parts += [f'<line x1="{left}" x2="{left + WIDTH}" y1="{y:.1f}" y2="{y:.1f}" stroke="#ddd"/>',
                  text(left - 6, y + 4, f"{10.0 ** power:g} ms", "end")]
    parts += [text(at_x(row["requests_per_s"]), TOP + HEIGHT + 18, f"{row['requests_per_s']:.0f}") for row in rows]
    for place, (name, colour) in enumerate(PERCENTILES.items()):
        points = " ".join(f"{at_x(row['requests_per_s']):.1f},{at_y(row[key][place]):.1f}" for row in rows)
        parts += [f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>',
                  text(left + 16 + 36 * place, TOP + 12, name, "middle", f'fill="{colour}"')]
    return parts


def draw(rows: list[dict]) -> str:
    width, height = LEFT + 2 * (WIDTH + GAP), TOP + HEIGHT + 50
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        'font-family="sans-serif" font-size="12">', f'<rect width="{width}" height="{height}" fill="white"/>',
        *panel(0, "First token, 10,000 users", rows, "first_token_ms"), *panel(1, "Between tokens", rows, "gap_ms"), "</svg>\n"])


def table(rows: list[dict]) -> str:
    lines = ["| each user asks every | requests/s | tok/s | cached | first token: p50 / p90 / p99 | between tokens: p50 / p90 / p99 |",
             "|---|---|---|---|---|---|"]
    for row in rows:
        first, gap = row["first_token_ms"], row["gap_ms"]
        lines.append(f"| {row['pause_s']:g} s | {row['requests_per_s']:.1f} | {row['tokens_per_s']:,.0f} | {row['cached']:.0%} | "
                     f"{first[0]:,.0f} / {first[1]:,.0f} / {first[2]:,.0f} ms | {gap[0]:.1f} / {gap[1]:.1f} / {gap[2]:.1f} ms |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=1_000_000)
    parser.add_argument("--out", type=pathlib.Path, default=ROOT / "bench/load.svg")
    args = parser.parse_args()
    program = ROOT / "build/release/bench/simulate"
    done = subprocess.run([program, "--json", "--requests", str(args.requests)], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"curves: simulate failed: {done.stderr}")
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    args.out.write_text(draw(rows))
    print(table(rows))
    print(done.stderr.strip())


if __name__ == "__main__":
    main()
