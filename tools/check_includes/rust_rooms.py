"""The rule of rust/src: which room may use which, no circle between modules, and how long a file may be."""
import pathlib
import re
from typing import Iterator, NamedTuple

MAX_LINES = 450

# Room (a folder of rust/src) -> the rooms that it may use besides itself. Files of rust/src itself may use base.
ROOMS = {
    "base": set(),
    "tokenizer": {"base"},
    "template": {"base"},
    "work": {"base"},
    "schema": {"base"},
    "masks": {"base", "work", "tokenizer"},
    "grammar": {"base", "work", "tokenizer", "schema", "masks"},
}
ROOT_ROOMS = {"base"}

TESTS = re.compile(r"#\[cfg\(test\)\]\s*(?:pub(?:\(\w+\))?\s+)?mod \w+ \{")
COMMENT = re.compile(r"//.*")
PATH = re.compile(r"\bcrate::(?:(\w+)(?:::(\w+))?|\{)")


class Use(NamedTuple):
    line: int
    room: str
    module: str | None  # None: of the room as a whole


def is_test(name: str) -> bool:
    return name.endswith("_test.rs")


def uses_of(text: str) -> Iterator[Use]:
    """Yields what a file takes of other modules, without its tests."""
    code = TESTS.split(text)[0]
    for number, line in enumerate(code.splitlines(), 1):
        for found in PATH.finditer(COMMENT.sub("", line)):
            yield Use(number, found[1] or "", found[2])


def check_use(name: str, use: Use) -> str | None:
    """Returns what is wrong with `name` (below rust/src) taking `use`, or None."""
    room = name.split("/")[0] if "/" in name else ""
    if not use.room:
        return "name each module by a path of its own, not crate::{...}"
    if use.room == room:
        return None
    if use.room not in ROOMS:
        return f"crate::{use.room} is no room of rust_rooms"
    if use.room not in (ROOMS.get(room, set()) if room else ROOT_ROOMS):
        return f"{room or 'rust/src itself'} may not use {use.room}"
    return None


def circle_in(graph: dict[str, set[str]]) -> list[str]:
    """Returns modules that lead to one another, the first one twice, or nothing."""
    done: set[str] = set()
    for start in graph:
        way: list[str] = []

        def visit(module: str) -> list[str]:
            if module in way:
                return [*way[way.index(module):], module]
            if module in done:
                return []
            way.append(module)
            for target in sorted(graph.get(module, set())):
                if found := visit(target):
                    return found
            way.pop()
            done.add(module)
            return []

        if found := visit(start):
            return found
    return []


def check_tree(src: pathlib.Path) -> list[tuple[str, int, str]]:
    """Returns each violation as (file, line, message)."""
    violations = []
    graph: dict[str, set[str]] = {}
    for path in sorted(src.rglob("*.rs")):
        name = str(path.relative_to(src))
        if is_test(name):
            continue
        text = path.read_text()
        lines = len(text.splitlines())
        if lines > MAX_LINES:
            violations.append((name, MAX_LINES, f"{lines} lines; split it (at most {MAX_LINES})"))
        module = name.removesuffix(".rs")
        for use in uses_of(text):
            if message := check_use(name, use):
                violations.append((name, use.line, message))
            if use.module:
                graph.setdefault(module, set()).add(f"{use.room}/{use.module}")
    if circle := circle_in(graph):
        violations.append((f"{circle[0]}.rs", 1, f"modules in a circle: {' -> '.join(circle)}"))
    return violations
