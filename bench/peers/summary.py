"""Statistics of the measured rates, and the table that shows them."""
import pathlib
import statistics
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "common"))
from tables import digits, markdown


def spread(rates: list[float]) -> dict[str, float]:
    return {"median": statistics.median(rates), "min": min(rates), "max": max(rates)}


def compare(pippin: list[float], peer: list[float]) -> dict[str, float]:
    """The ratio of the medians, and the extremes of the ratios round by round (each round ran both, one after the other)."""
    paired = [a / b for a, b in zip(pippin, peer)]
    return {"ratio": statistics.median(pippin) / statistics.median(peer), "min": min(paired), "max": max(paired)}


def show(s: dict[str, float]) -> str:
    return f"{digits(s['median'])} ({digits(s['min'])}-{digits(s['max'])})"


def verdict(ratio: float, goal: float) -> str:
    if not goal:
        return ""
    return f"{goal:g}x: {'met' if ratio >= goal else 'missed'}"


def row(result: dict) -> list[str]:
    """The cells of one case; a side that was not measured is left empty."""
    pippin, peer = result["pippin"]["rates"], result["peer"]["rates"]
    cells = [result["name"], result["peer"]["name"], show(spread(peer)) if peer else "",
             show(spread(pippin)) if pippin else ""]
    if not (pippin and peer):
        return [*cells, "", ""]
    ratio = compare(pippin, peer)
    return [*cells, f"{digits(ratio['ratio'])} ({digits(ratio['min'])}-{digits(ratio['max'])})",
            verdict(ratio["ratio"], result["goal"])]


HEADER = ["work", "peer", "peer: median (range)", "Pippin: median (range)", "ratio (range)", "goal"]


def table(results: list[dict]) -> str:
    return markdown(HEADER, [row(result) for result in results])
