"""Hostile clients use the end-to-end tests' server. What they took of it stands at the end of pytest's report."""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))

from hostile_harness import FIGURES


def pytest_terminal_summary(terminalreporter) -> None:
    reports = [report for outcome in ("passed", "failed") for report in terminalreporter.getreports(outcome)]
    lines = [line for report in reports for key, line in report.user_properties if key == FIGURES and report.when == "call"]
    if lines:
        terminalreporter.section(FIGURES)
    for line in lines:
        terminalreporter.line(line)
