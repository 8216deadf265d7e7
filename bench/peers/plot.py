"""Plots as SVG, written by hand: a few polylines need no plotting library."""
import html
import pathlib

import summary

WIDTH, HEIGHT = 480, 300
LEFT, RIGHT, TOP, BOTTOM = 60, 20, 40, 50
COLOURS = {"Pippin": "#2f7d32", "llama.cpp": "#b35900"}

Series = dict[str, list[tuple[int, dict[str, float]]]]  # side -> (x, median and range)


def nice_ceiling(value: float) -> float:
    """The least 1, 2 or 5 times a power of ten that is no less."""
    power = 1.0
    while power * 10 <= value:
        power *= 10
    return next(power * step for step in (1, 2, 5, 10) if power * step >= value)


def text(x: float, y: float, content: str, anchor: str = "middle", extra: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" {extra}>{html.escape(content)}</text>'


def draw(title: str, x_title: str, series: Series) -> str:
    """Tokens a second over x, whose values are spaced evenly; the bars are the ranges over the rounds."""
    xs = sorted({x for points in series.values() for x, _ in points})
    top = nice_ceiling(max(s["max"] for points in series.values() for _, s in points))
    plot_width, plot_height = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM

    def at_x(x: int) -> float:
        return LEFT + plot_width * (xs.index(x) + 0.5) / len(xs)

    def at_y(y: float) -> float:
        return TOP + plot_height * (1 - y / top)

    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" '
             'font-family="sans-serif" font-size="12">', f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
             text(WIDTH / 2, 20, title, extra='font-size="14"'), text(LEFT + plot_width / 2, HEIGHT - 10, x_title)]
    for i in range(5):
        y = top * i / 4
        parts.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{at_y(y):.1f}" y2="{at_y(y):.1f}" stroke="#ddd"/>')
        parts.append(text(LEFT - 6, at_y(y) + 4, f"{y:g}", "end"))
    parts += [text(at_x(x), HEIGHT - BOTTOM + 18, str(x)) for x in xs]
    for i, (side, points) in enumerate(series.items()):
        colour = COLOURS[side]
        line = " ".join(f"{at_x(x):.1f},{at_y(s['median']):.1f}" for x, s in points)
        parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"/>')
        for x, s in points:
            parts.append(f'<line x1="{at_x(x):.1f}" x2="{at_x(x):.1f}" y1="{at_y(s["min"]):.1f}" y2="{at_y(s["max"]):.1f}" '
                         f'stroke="{colour}"/>')
            parts.append(f'<circle cx="{at_x(x):.1f}" cy="{at_y(s["median"]):.1f}" r="3" fill="{colour}"/>')
        parts.append(text(LEFT + 10 + 100 * i, TOP - 6, side, "start", f'fill="{colour}"'))
    return "\n".join([*parts, "</svg>\n"])


def collect(results: list[dict], x: str) -> Series:
    series: Series = {}
    for result in sorted(results, key=lambda r: r[x]):
        for name, side in (("llama.cpp", result["peer"]), ("Pippin", result["pippin"])):
            if side["rates"]:
                series.setdefault(name, []).append((result[x], summary.spread(side["rates"])))
    return series


def write_all(report: dict, out: pathlib.Path) -> None:
    """Decoding over the number of sequences and over the context; a plot that would have one point is left out."""
    decode = [r for r in report["results"] if r["kind"] == "decode" and r["model"] == "qwen3-0.6b"
              and r["peer"]["name"] == "llama.cpp" and "busy" not in r["name"]]
    plots = {"batch.svg": ("sequences", "sequences at once, context 128", [r for r in decode if r["prompt"] == 128]),
             "context.svg": ("prompt", "context in tokens, one sequence", [r for r in decode if r["sequences"] == 1])}
    for name, (x, x_title, results) in plots.items():
        if len(results) > 1:
            (out / name).write_text(draw("Qwen3-0.6B 4-bit, decode, tokens a second", x_title, collect(results, x)))
