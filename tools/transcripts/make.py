#!/usr/bin/env python3
"""Writes src/text/testdata/transcripts: what models of each family say, and what must be read from it.

  make.py [OUT]       one FAMILY.json each, and tools.json, the tools that all of them are offered
"""
import json
import pathlib
import sys

from quirks import QUIRKS
from scenes import SCENES, TOOLS
from writers import ENCLOSED, PROMPTS, REASONING, WRITERS

ROOT = pathlib.Path(__file__).resolve().parents[2]


def expected(content: str = "", reasoning: str = "", calls: list = (), cut: tuple | None = None, **rest) -> dict:
    out = {"content": content, "reasoning": reasoning, "calls": [{"name": name, "arguments": arguments} for name, arguments in calls], **rest}
    if cut:
        out["calls"].append({"name": cut[0], "cut": cut[1]})
    return out


def transcripts(family: str) -> list[dict]:
    out = []
    prompt = {"prompt": PROMPTS[family]} if family in PROMPTS else {}
    for writer in WRITERS[family]:
        for scene in SCENES:
            reasoning = scene.reasoning if REASONING.get(family) != "none" else ""
            content = scene.content.rstrip() if family in ENCLOSED else scene.content
            out.append({"name": scene.name, "output": writer(scene), **expected(content, reasoning, scene.calls, **prompt)})
    return out + [{"name": name, "output": output, **expected(**truth)} for name, output, truth in QUIRKS[family]]


def main(out: pathlib.Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    (out / "tools.json").write_text(json.dumps(TOOLS, indent=1) + "\n")
    for family in WRITERS:
        file = {"tool_parser": family, "reasoning_parser": REASONING.get(family, "think"), "transcripts": transcripts(family)}
        lines = ",\n".join(json.dumps(one, ensure_ascii=False) for one in file.pop("transcripts"))
        head = json.dumps(file)[:-1]
        (out / f"{family}.json").write_text(f'{head}, "transcripts": [\n{lines}\n]}}\n')


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "src/text/testdata/transcripts")
