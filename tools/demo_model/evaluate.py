"""Measure the demo model as its users meet it: through a running server, with the quantized files that ship.

    python tools/demo_model/evaluate.py --base-url http://127.0.0.1:8080 --json results.json --card assets/demo-model/README.md

Needs Pillow and numpy, nothing else. Every ability gets its own held-out conversations (seeds that training never used);
the last answer is judged to the letter, or as equal JSON or equal tool calls. Reading uses the fonts of the folder in
DEMO_FONTS (see tools/demo_model/README.md), so the numbers for reading depend on it. Clips are left out: the chat API
has no place for them.
"""
import argparse
import base64
import fnmatch
import io
import json
import re
import sys
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

if not __package__:                  # run as a script: find the package that this file is in
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from demo_model import abilities, independent  # noqa: E402
from demo_model.template import answer_text  # noqa: E402

SECOND = "second generator"


def data_url(picture):
    stored = io.BytesIO()
    picture.save(stored, "PNG")
    return "data:image/png;base64," + base64.b64encode(stored.getvalue()).decode()


def api_message(message, urls):
    """One message as the chat API takes it; `urls` gives the next picture's."""
    out = {"role": message["role"], "content": message["content"]}
    if isinstance(message["content"], list):
        out["content"] = [part if part["type"] == "text" else {"type": "image_url", "image_url": {"url": next(urls)}} for part in message["content"]]
    if message.get("tool_calls"):
        out["tool_calls"] = [{"id": f"call_{i}", "type": "function", "function": {"name": c["function"]["name"], "arguments": json.dumps(
            c["function"]["arguments"], ensure_ascii=False)}} for i, c in enumerate(message["tool_calls"])]
    if message["role"] == "tool":
        out["tool_call_id"] = "call_0"
    return out


def request_body(conversation, model):
    """The request that asks for a conversation's last answer."""
    urls = iter([data_url(item[0]) for item in conversation.media])
    body = {"model": model, "temperature": 0, "max_tokens": 320, "messages": [api_message(m, urls) for m in conversation.messages[:-1]]}
    if conversation.tools:
        body["tools"] = [t if "function" in t else {"type": "function", "function": t} for t in conversation.tools]
    return body


def said(message):
    """An answer as text, calls written the model's way, whether the server parsed them or not."""
    text = message.get("content") or ""
    for call in message.get("tool_calls") or []:
        f = call["function"]
        text += f'<tool_call>{{"name": {json.dumps(f["name"])}, "arguments": {f["arguments"]}}}</tool_call>'
    return text


def post(url, body, timeout=600):
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=timeout) as response:
            return json.load(response)
    except urllib.error.HTTPError as error:
        raise RuntimeError(f"{url}: {error.code} {error.read()[:300].decode(errors='replace')}") from error


def sets():
    """{name: (row of the card, index -> Conversation)}."""
    first = {n: (a.group, lambda i, n=n: abilities.held_out(n, i)) for n, a in abilities.ABILITIES.items() if n != "video"}
    return first | {f"second/{n}": (SECOND, lambda i, n=n: independent.held_out(n, i)) for n in independent.ABILITIES}


def judge(make, i, options):
    """One question -> (right, what was asked, what was said, what was wanted)."""
    conversation = make(i)
    body = request_body(conversation, options.model)
    answer = said(post(options.base_url.rstrip("/") + "/v1/chat/completions", body)["choices"][0]["message"])
    asked = conversation.messages[-2]["content"]
    asked = asked if isinstance(asked, str) else " ".join(p.get("text", "[picture]") for p in asked)
    return abilities.right(conversation, answer), asked, answer, answer_text(conversation.messages[-1])


def measure(options):
    """-> {set: {group, right, samples, wrong: [...]}}."""
    results = json.loads(Path(options.json).read_text()) if options.add and Path(options.json).exists() else {}
    with ThreadPoolExecutor(options.threads) as pool:
        waiting = {name: (group, [pool.submit(judge, make, i, options) for i in range(options.samples)])
                   for name, (group, make) in sets().items() if any(fnmatch.fnmatch(name, p) for p in options.only)}
        for name, (group, futures) in waiting.items():
            done = [f.result() for f in futures]
            right = sum(d[0] for d in done)
            results[name] = {"group": group, "right": right, "samples": len(done), "wrong": [d[1:] for d in done if not d[0]][:12]}
            print(f"{name:24} {right}/{len(done)}", flush=True)
            if options.json:
                Path(options.json).write_text(json.dumps(results, indent=1, ensure_ascii=False))
    return results


def by_group(results):
    """{group: (right, samples)} in the order of the sets."""
    groups = {}
    for r in results.values():
        right, samples = groups.get(r["group"], (0, 0))
        groups[r["group"]] = (right + r["right"], samples + r["samples"])
    return groups


def table(results):
    """The card's tables: one row a group, and the second generator's abilities one by one."""
    lines = ["| Ability | right | of | % |", "|---|---|---|---|"]
    lines += [f"| {g} | {r} | {n} | {100 * r / n:.1f} |" for g, (r, n) in by_group(results).items()]
    second = {n: r for n, r in results.items() if n.startswith("second/")}
    lines += ["", "The second generator, one by one:", "", "| Ability | right | of | % |", "|---|---|---|---|"]
    lines += [f"| {n.removeprefix('second/').replace('_', ' ')} | {r['right']} | {r['samples']} | {100 * r['right'] / r['samples']:.1f} |"
              for n, r in second.items()]
    return "\n".join(lines)


def write_card(path, results):
    """Put the table between the card's two marks."""
    text = Path(path).read_text()
    new, count = re.subn(r"(<!-- results -->\n).*(<!-- end of results -->)", lambda m: m[1] + table(results) + "\n" + m[2], text, flags=re.S)
    if count != 1:
        raise SystemExit(f"{path}: the marks of the results are missing")
    Path(path).write_text(new)


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("--base-url", default="http://127.0.0.1:8080")
    p.add_argument("--model", default="demo")
    p.add_argument("--samples", type=int, default=200, help="of each ability")
    p.add_argument("--threads", type=int, default=16, help="requests at a time")
    p.add_argument("--only", nargs="*", default=["*"], help="patterns of the sets to measure, such as 'second/*'")
    p.add_argument("--json", help="write the results, with examples of wrong answers, to this file")
    p.add_argument("--add", action="store_true", help="keep what the JSON file already has, and add to it")
    p.add_argument("--card", help="put the table into this model card")
    options = p.parse_args()
    if options.add and not options.json:
        p.error("--add needs --json")
    start, results = time.time(), measure(options)
    print(table(results))
    print(f"{time.time() - start:.0f} s")
    if options.card:
        write_card(options.card, results)


if __name__ == "__main__":
    main()
