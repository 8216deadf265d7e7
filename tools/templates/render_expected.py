#!/usr/bin/env python3
"""Writes what Python's Jinja2 makes of the chat templates under src/text/testdata.

    python tools/templates/render_expected.py

Every template is rendered with every conversation and every continuation, and every snippet with one. The results are
committed as testdata/expected/<template>.json; the C++ tests hold Pippin's renderer to them byte for
byte, and test_expected.py holds them to Jinja2. Needs the package jinja2.
"""

import json
import pathlib

from environment import continued, render

TESTDATA = pathlib.Path(__file__).resolve().parents[2] / "src" / "text" / "testdata"


def expected():
    """{file name: {case name: result}} of all templates and of the snippets."""
    conversations = json.loads((TESTDATA / "conversations.json").read_text(encoding="utf-8"))
    results = {}
    for template in sorted((TESTDATA / "templates").glob("*.jinja")):
        source = template.read_text(encoding="utf-8")
        results[template.stem] = {case["name"]: render(source, case) for case in conversations}
    snippets = json.loads((TESTDATA / "snippets.json").read_text(encoding="utf-8"))
    results["snippets"] = {
        source: render(source, {"messages": snippets["messages"]}) for source in snippets["snippets"]
    }
    continuations = json.loads((TESTDATA / "continuations.json").read_text(encoding="utf-8"))
    results["continuations"] = {
        template.stem: {case["name"]: continued(template.read_text(encoding="utf-8"), case) for case in continuations}
        for template in sorted((TESTDATA / "templates").glob("*.jinja"))
    }
    return results


def main():
    folder = TESTDATA / "expected"
    folder.mkdir(exist_ok=True)
    for name, cases in expected().items():
        text = json.dumps(cases, ensure_ascii=False, indent=1) + "\n"
        (folder / f"{name}.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
