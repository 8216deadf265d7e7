"""How each family spells calls and reasoning, from its documentation and templates. A writer takes a scene and returns the text of the answer
as the model generates it, without the token that ends the turn."""
import json
from typing import Callable

import tagged
from scenes import TOOLS, Scene


def compact(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def spaced(first: str, second: str, gap: str) -> str:
    return first + gap + second if first and second else first + second


def think(scene: Scene) -> str:
    return f"<think>\n{scene.reasoning}\n</think>\n\n" if scene.reasoning else ""


def text_of(value: object) -> str:
    """A value in XML: strings bare, others as JSON."""
    return value if isinstance(value, str) else compact(value)


def hermes(scene: Scene) -> str:
    calls = "\n".join(f'<tool_call>\n{{"name": "{name}", "arguments": {compact(arguments)}}}\n</tool_call>' for name, arguments in scene.calls)
    return think(scene) + spaced(scene.content, calls, "\n")


def qwen3_coder(scene: Scene) -> str:
    def call(name: str, arguments: dict) -> str:
        parameters = "".join(f"<parameter={key}>\n{text_of(value)}\n</parameter>\n" for key, value in arguments.items())
        return f"<tool_call>\n<function={name}>\n{parameters}</function>\n</tool_call>"
    return think(scene) + spaced(scene.content, "\n".join(call(*c) for c in scene.calls), "\n\n")


def glm(scene: Scene, line: str = "\n") -> str:
    def call(name: str, arguments: dict) -> str:
        pairs = "".join(f"<arg_key>{key}</arg_key>{line}<arg_value>{text_of(value)}</arg_value>{line}" for key, value in arguments.items())
        return f"<tool_call>{name}{line}{pairs}</tool_call>"
    thought = f"\n<think>{scene.reasoning}</think>\n"
    return thought + spaced(scene.content, line.join(call(*c) for c in scene.calls), "\n")


def minimax(scene: Scene) -> str:
    def call(name: str, arguments: dict) -> str:
        parameters = "".join(f'<parameter name="{key}">{text_of(value)}</parameter>\n' for key, value in arguments.items())
        return f'<invoke name="{name}">\n{parameters}</invoke>\n'
    calls = "".join(call(*c) for c in scene.calls)
    return think(scene) + spaced(scene.content, calls and f"<minimax:tool_call>\n{calls}</minimax:tool_call>", "\n")


def llama3_json(scene: Scene) -> str:
    calls = "; ".join(f'{{"name": "{name}", "parameters": {compact(arguments)}}}' for name, arguments in scene.calls)
    return think(scene) + spaced(scene.content, calls and ("<|python_tag|>" if scene.content else "") + calls, "\n")


def python_call(name: str, arguments: dict) -> str:
    return f"{name}({', '.join(f'{key}={value!r}' for key, value in arguments.items())})"


def pythonic(scene: Scene) -> str:
    calls = f"[{', '.join(python_call(*c) for c in scene.calls)}]" if scene.calls else ""
    if scene.content and calls:
        calls = f"<|python_start|>{calls}<|python_end|>"
    return think(scene) + spaced(scene.content, calls, "\n")


def gemma3(scene: Scene) -> str:
    calls = "\n".join(python_call(*c) for c in scene.calls)
    return think(scene) + spaced(scene.content, calls and f"```tool_code\n{calls}\n```", "\n")


def gemma_value(value: object, quote: str) -> str:
    if isinstance(value, str):
        return quote + value + quote
    if isinstance(value, dict):
        return "{" + ",".join(f"{key}:{gemma_value(inner, quote)}" for key, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(gemma_value(inner, quote) for inner in value) + "]"
    return compact(value)


GEMMA_QUOTE = '<|"|>'


def gemma4(scene: Scene) -> str:
    calls = "".join(f"<|tool_call>call:{name}{gemma_value(arguments, GEMMA_QUOTE)}<tool_call|>" for name, arguments in scene.calls)
    thought = f"<|channel>thought\n{scene.reasoning}\n<channel|>" if scene.reasoning else ""
    return thought + scene.content + calls


def functiongemma(scene: Scene) -> str:
    calls = "".join(f"<start_function_call>call:{name}{gemma_value(arguments, '<escape>')}<end_function_call>" for name, arguments in scene.calls)
    return think(scene) + scene.content + calls


def mistral(scene: Scene) -> str:
    calls = [{"name": name, "arguments": arguments} for name, arguments in scene.calls]
    thought = f"[THINK]{scene.reasoning}[/THINK]" if scene.reasoning else ""
    return thought + spaced(scene.content, "[TOOL_CALLS]" + compact(calls) if calls else "", "")


def mistral_2025(scene: Scene) -> str:
    calls = "".join(f"[TOOL_CALLS]{name}[ARGS]{compact(arguments)}" for name, arguments in scene.calls)
    return (f"[THINK]{scene.reasoning}[/THINK]" if scene.reasoning else "") + scene.content + calls


def deepseek(scene: Scene) -> str:
    calls = "\n".join(f"<｜tool▁call▁begin｜>function<｜tool▁sep｜>{name}\n```json\n{compact(arguments)}\n```<｜tool▁call▁end｜>"
                      for name, arguments in scene.calls)
    return think(scene) + scene.content + (calls and f"<｜tool▁calls▁begin｜>{calls}<｜tool▁calls▁end｜>")


def deepseek_v31(scene: Scene) -> str:
    calls = "".join(f"<｜tool▁call▁begin｜>{name}<｜tool▁sep｜>{compact(arguments)}<｜tool▁call▁end｜>" for name, arguments in scene.calls)
    return think(scene) + scene.content + (calls and f"<｜tool▁calls▁begin｜>{calls}<｜tool▁calls▁end｜>")


def kimi_k2(scene: Scene) -> str:
    calls = "".join(f"<|tool_call_begin|>functions.{name}:{i}<|tool_call_argument_begin|>{compact(arguments)}<|tool_call_end|>"
                    for i, (name, arguments) in enumerate(scene.calls))
    return think(scene) + scene.content + (calls and f"<|tool_calls_section_begin|>{calls}<|tool_calls_section_end|>")


def listed(scene: Scene, names: tuple[str, str] = ("name", "arguments"), **layout) -> str:
    calls = [{names[0]: name, names[1]: arguments} for name, arguments in scene.calls]
    return json.dumps(calls, ensure_ascii=False, **layout) if calls else ""


def granite(scene: Scene) -> str:
    thought = f"Here is my thought process:\n{scene.reasoning}\n\nHere is my response:\n" if scene.reasoning else ""
    calls = listed(scene)
    return thought + spaced(scene.content, calls and f"<|tool_call|>{calls}", "\n")


def nemotron(scene: Scene) -> str:
    calls = listed(scene)
    return think(scene) + spaced(scene.content, calls and f"<TOOLCALL>{calls}</TOOLCALL>", "\n\n")


def phi(scene: Scene) -> str:
    calls = listed(scene)
    return think(scene) + scene.content + (calls and f"<|tool_call|>{calls}<|/tool_call|>")


def command_r(scene: Scene) -> str:
    calls = listed(scene, ("tool_name", "parameters"), indent=4)
    return think(scene) + spaced(scene.content, calls and f"Action: ```json\n{calls}\n```", "\n")


def harmony(scene: Scene) -> str:
    messages = []
    if scene.reasoning:
        messages.append(f"<|channel|>analysis<|message|>{scene.reasoning}<|end|>")
    if scene.content:
        channel, end = ("commentary", "<|end|>") if scene.calls else ("final", "")
        messages.append(f"<|channel|>{channel}<|message|>{scene.content}{end}")
    for i, (name, arguments) in enumerate(scene.calls):
        end = "<|call|>" if i + 1 < len(scene.calls) else ""
        messages.append(f"<|channel|>commentary to=functions.{name} <|constrain|>json<|message|>{compact(arguments)}{end}")
    return "<|start|>assistant".join(messages)


# Family -> writers, by which its scenes are written in turn.
WRITERS: dict[str, list[Callable[[Scene], str]]] = {
    "hermes": [hermes], "qwen3_coder": [qwen3_coder], "glm": [glm, lambda scene: glm(scene, "")], "minimax": [minimax],
    "llama3_json": [llama3_json], "pythonic": [pythonic], "gemma3": [gemma3], "gemma4": [gemma4], "functiongemma": [functiongemma],
    "mistral": [mistral, mistral_2025], "deepseek": [deepseek, deepseek_v31], "kimi_k2": [kimi_k2], "granite": [granite],
    "nemotron": [nemotron], "phi": [phi], "command_r": [command_r], "harmony": [harmony],
    "apertus": [tagged.apertus], "apriel": [tagged.apriel], "minimax_m1": [tagged.minimax_m1], "command_r7b": [tagged.command_r7b, tagged.cohere2_moe],
    "firefunction": [tagged.firefunction], "gigachat_3": [tagged.gigachat_3], "gigachat_3_1": [tagged.gigachat_3_1],
    "functionary_v3_1": [tagged.functionary_v3_1], "functionary_v3_2": [tagged.functionary_v3_2], "solar_open": [tagged.solar_open],
    "lfm2": [tagged.lfm2], "seed_oss": [tagged.seed_oss], "deepseek_v3_2": [tagged.deepseek_v3_2], "deepseek_v4": [tagged.deepseek_v4],
    "hunyuan_3": [tagged.hunyuan_3], "minicpm5": [tagged.minicpm5], "kimi_k3": [tagged.kimi_k3], "muse": [tagged.muse],
    "minimax_m3": [tagged.minimax_m3],
}
# The other parser that a family's transcripts need, where it isn't "think".
REASONING = {family: family for family in ("mistral", "gemma4", "granite", "harmony", "apertus", "apriel", "command_r7b", "solar_open", "seed_oss",
                                           "hunyuan_3", "kimi_k3", "muse", "minimax_m3")} | {"functionary_v3_2": "none"}
# Families whose answers end in a mark, before which white space goes as before all markup.
ENCLOSED = {"command_r7b", "solar_open", "kimi_k3"}
# What prompts of a family end in, where an answer's first mark begins there.
PROMPTS = {"functionary_v3_2": "<|start_header_id|>assistant<|end_header_id|>\n\n>>>", "muse": "<|start|>assistant"}
__all__ = ["WRITERS", "REASONING", "PROMPTS", "ENCLOSED", "TOOLS"]
