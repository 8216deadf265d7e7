"""The results as tables and files."""
import json
import pathlib
import statistics

from tables import digits, markdown

HEADER = ["model", "case", "request", "first token, ms", "latency, ms", "against the first", "prompt", "cached", "of pictures",
          "encoder runs"]


def median(row: dict, field: str) -> float:
    return statistics.median(answer[field] for answer in row["answers"])


def cells(model: str, row: dict, first: dict) -> list[str]:
    last = row["answers"][-1]
    saved = f"{digits(median(first, 'latency') / median(row, 'latency'))}x" if row is not first else ""
    return [model, row["case"], row["request"], digits(1000 * median(row, "ttft")), digits(1000 * median(row, "latency")), saved,
            str(last["prompt_tokens"]), str(last["cached_tokens"]), str(last["media_cached"]), str(row["encoder_runs"])]


def measured_table(results: list[dict]) -> str:
    rows = []
    for result in results:
        first: dict[str, dict] = {}
        for row in result["rows"]:
            rows.append(cells(result["model"], row, first.setdefault(row["case"], row)))
    return markdown(HEADER, rows) if rows else ""


def verdict_table(results: list[dict]) -> str:
    rows = [[result["model"], v["name"], v["goal"], v["measured"], "met" if v["met"] else "missed"]
            for result in results for v in result["verdicts"]]
    return markdown(["model", "criterion", "goal", "measured", ""], rows) if rows else ""


def tables(results: list[dict]) -> str:
    return "\n\n".join(filter(None, [measured_table(results), verdict_table(results)]))


def load(folder: pathlib.Path) -> dict[tuple[str, str], dict]:
    """An earlier run's results, by model and case."""
    path = folder / "cache.json"
    results = json.loads(path.read_text())["results"] if path.exists() else []
    return {(result["model"], result["case"]): result for result in results}


def write(folder: pathlib.Path, results: list[dict], machine: dict, command: str) -> None:
    (folder / "cache.json").write_text(json.dumps({"machine": machine, "command": command, "results": results}, indent=1))
    where = f"{machine['cpu']}, {machine['cores']} cores, {' '.join([*machine['isa'], *machine['gpus']])}; {machine['system']}"
    (folder / "cache.md").write_text(f"{where}; {machine['date']}.\n{command}\n\n{tables(results)}\n")
