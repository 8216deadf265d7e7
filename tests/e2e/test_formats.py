"""How calls are read is found by the chat template; where that shows no format that is known, the server says so."""
import pathlib
from typing import Iterator

import pytest

from e2e_harness import MODEL, Server

TEMPLATE = """\
{%- for tool in tools or [] -%}{{- '<offer>' + tool.function.name + '</offer>' -}}{%- endfor -%}
{%- for m in messages -%}{{- m.role + ': ' + m.content + '\\n' -}}{%- endfor -%}
{{- 'assistant: ' -}}
"""


def write_model(folder: pathlib.Path, template: str) -> None:
    folder.mkdir()
    for file in MODEL.iterdir():
        if file.name != "chat_template.jinja":
            (folder / file.name).symlink_to(file)
    (folder / "chat_template.jinja").write_text(template)


@pytest.fixture(scope="module")
def unknown(tmp_path_factory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("model") / "unknown"
    write_model(folder, TEMPLATE)
    with Server(model=folder) as running:
        yield running


def test_a_format_that_is_not_known_is_told_of(unknown):
    told = unknown.get("/v1/capabilities").body
    assert told["tool_parser"] == "none"
    (warning,) = told["warnings"]
    assert "calls will come as text" in warning and "--tool-parser" in warning
    assert unknown.logged().count("calls will come as text") == 1


def test_calls_cannot_be_forced_there(unknown):
    tool = {"type": "function", "function": {"name": "now", "parameters": {"type": "object"}}}
    refused = unknown.post({"messages": [{"role": "user", "content": "Hi"}], "tools": [tool], "tool_choice": "required"})
    assert refused.status == 400 and refused.error["param"] == "tool_choice"


def test_the_demo_model_has_no_warnings(server):
    assert server.get("/v1/capabilities").body["warnings"] == []
