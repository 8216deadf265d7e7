"""The committed expectations are what Jinja2 renders today, and they say something."""

import json

import pytest

from environment import render
from render_expected import TESTDATA, expected

RESULTS = expected()


@pytest.mark.parametrize("name", sorted(RESULTS))
def test_committed_expectations_are_current(name):
    file = TESTDATA / "expected" / f"{name}.json"
    assert json.loads(file.read_text(encoding="utf-8")) == RESULTS[name]


def test_no_expectation_is_left_over():
    assert {file.stem for file in (TESTDATA / "expected").glob("*.json")} == set(RESULTS)


def test_at_least_20_templates_render_most_conversations():
    families = {name: cases for name, cases in RESULTS.items() if name not in ("snippets", "continuations")}
    assert len(families) >= 20
    for name, cases in families.items():
        rendered = sum("text" in result for result in cases.values())
        assert rendered >= len(cases) / 2, name


def test_most_templates_show_how_an_answer_begins():
    for name, cases in RESULTS["continuations"].items():
        assert sum("text" in result for result in cases.values()) >= len(cases) / 2, name


def test_the_oracle_tells_refusals_from_failures():
    case = {"messages": []}
    assert render("{{ raise_exception('no') }}", case) == {"raised": "no"}
    assert render("{{ nothing.at_all }}", case) == {"failed": True}
    assert render("{{ bos_token }}{{ tools is none }}", case) == {"text": "<s>True"}
