"""What the transcripts of every family say: the truth that each family's writer spells out in its own way."""
from typing import NamedTuple


def tool(name: str, description: str, properties: dict, required: list[str] | None = None) -> dict:
    parameters = {"type": "object", "properties": properties, "required": list(properties) if required is None else required}
    return {"type": "function", "function": {"name": name, "description": description, "parameters": parameters}}


TEXT, WHOLE, NUMBER, TRUTH = {"type": "string"}, {"type": "integer"}, {"type": "number"}, {"type": "boolean"}

TOOLS = [
    tool("get_weather", "The weather of a city.", {"city": TEXT, "unit": {"enum": ["celsius", "fahrenheit"]}, "days": WHOLE}, ["city"]),
    tool("search", "Searches documents.", {"query": TEXT, "limit": {"type": ["integer", "null"]}, "tags": {"type": "array", "items": TEXT},
                                           "filters": {"type": "object"}}, ["query"]),
    tool("send_email", "Sends a message.", {"to": TEXT, "subject": TEXT, "body": TEXT, "urgent": TRUTH}),
    tool("write_file", "Writes a file.", {"path": TEXT, "content": TEXT}),
    tool("add", "Adds two numbers.", {"a": NUMBER, "b": NUMBER}),
    tool("now", "The time.", {}),
    tool("note", "Keeps a note.", {"text": {"anyOf": [TEXT, {"type": "null"}]}, "at": {"$ref": "#/$defs/place"}}, []),
]
TOOLS[-1]["function"]["parameters"]["$defs"] = {"place": {"type": "object", "properties": {"x": NUMBER, "y": NUMBER}}}


class Scene(NamedTuple):
    name: str
    calls: list[tuple[str, dict]]
    content: str = ""
    reasoning: str = ""


CODE = "def f(x):\n    \"\"\"Doc.\"\"\"\n    return {'a': x[0], \"b\": x < 2 and x > 0}\n"

SCENES = [
    Scene("one call", [("get_weather", {"city": "Paris"})]),
    Scene("several arguments", [("get_weather", {"city": "Oslo", "unit": "celsius", "days": 3})]),
    Scene("no arguments", [("now", {})]),
    Scene("words before the call", [("now", {})], "Let me look at the clock."),
    Scene("two calls", [("get_weather", {"city": "Rome"}), ("get_weather", {"city": "Bern"})]),
    Scene("three tools", [("now", {}), ("add", {"a": 1, "b": 2.5}), ("search", {"query": "apples"})], "I need three things."),
    Scene("numbers", [("add", {"a": -0.5, "b": 1e+20})]),
    Scene("a truth", [("send_email", {"to": "a@b.c", "subject": "Hi", "body": "Come.", "urgent": True})]),
    Scene("another truth", [("send_email", {"to": "x@y.z", "subject": "", "body": "No.", "urgent": False})]),
    Scene("a null", [("search", {"query": "pears", "limit": None})]),
    Scene("a list", [("search", {"query": "fruit", "tags": ["red", "round and ripe", "42"]})]),
    Scene("an object", [("search", {"query": "fruit", "filters": {"colour": "red", "size": {"min": 1, "max": [2, 3]}, "ripe": True}})]),
    Scene("empty list and object", [("search", {"query": "none", "tags": [], "filters": {}})]),
    Scene("a referenced type", [("note", {"text": "here", "at": {"x": 1.5, "y": -2}})]),
    Scene("a string that looks like a number", [("search", {"query": "12345"})]),
    Scene("a string that looks like a truth", [("search", {"query": "true"})]),
    Scene("a string that looks like JSON", [("write_file", {"path": "a.json", "content": "{\"a\": [1, 2]}"})]),
    Scene("other scripts", [("search", {"query": "Äpfel & 梨 🍐 “quoted”"})], "Ich suche – einen Moment."),
    Scene("many lines", [("write_file", {"path": "poem.txt", "content": "One line,\n  another,\n\nand a last one."})]),
    Scene("code", [("write_file", {"path": "src/f.py", "content": CODE})], "Writing the file."),
    Scene("a path with backslashes", [("write_file", {"path": "C:\\temp\\new.txt", "content": "tab\there"})]),
    Scene("only words", [], "There is no need for a tool: the answer is 4."),
    Scene("words with brackets", [], "Use a[0] < b[1], {braces} and f(x=1); or </b>."),
    Scene("a list of words", [], "1. One\n2. Two\n\n- [ ] three\n"),
    Scene("a thought and words", [], "Four.", "Two and two.\nThat is four."),
    Scene("a thought and a call", [("get_weather", {"city": "Kyiv"})], "", "The user wants the weather.\n\nI have a tool for it."),
    Scene("thought, words and calls", [("add", {"a": 2, "b": 2}), ("now", {})], "Both at once.", "Sum first, then the time."),
]
