"""Writers of further families, whose calls stand between tags of their own (see writers.py)."""
import json

from scenes import Scene


def compact(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def text_of(value: object) -> str:
    return value if isinstance(value, str) else compact(value)


def think(scene: Scene, begin: str = "<think>", end: str = "</think>", line: str = "\n") -> str:
    return f"{begin}{line}{scene.reasoning}{line}{end}{line}" if scene.reasoning else ""


def objects(scene: Scene, names: tuple[str, str] = ("name", "arguments")) -> list[str]:
    return [compact({names[0]: name, names[1]: arguments}) for name, arguments in scene.calls]


def between(begin: str, calls: list[str], end: str, separator: str = ", ") -> str:
    return begin + separator.join(calls) + end if calls else ""


# ---- JSON

def apertus(scene: Scene) -> str:
    calls = [compact({name: arguments}) for name, arguments in scene.calls]
    return think(scene, "<|inner_prefix|>", "<|inner_suffix|>", "") + scene.content + between("<|tools_prefix|>[", calls, "]<|tools_suffix|>")


def apriel(scene: Scene) -> str:
    thought = think(scene, "Here are my reasoning steps:", "[BEGIN FINAL RESPONSE]")
    end = "\n[END FINAL RESPONSE]" if thought and not scene.calls else ""
    return thought + scene.content + end + between("\n<tool_calls>[", objects(scene), "]</tool_calls>")


def minimax_m1(scene: Scene) -> str:
    return think(scene) + scene.content + between("\n<tool_calls>\n", objects(scene), "\n</tool_calls>", "\n")


def command_r7b(scene: Scene) -> str:
    calls = [compact({"tool_call_id": str(i), "tool_name": name, "parameters": arguments}) for i, (name, arguments) in enumerate(scene.calls)]
    thought = think(scene, "<|START_THINKING|>", "<|END_THINKING|>", "")
    content = f"<|START_RESPONSE|>{scene.content}<|END_RESPONSE|>" if scene.content else ""
    return thought + content + between("<|START_ACTION|>[\n    ", calls, "\n]<|END_ACTION|>", ",\n    ")


def cohere2_moe(scene: Scene) -> str:
    return command_r7b(scene).replace("_RESPONSE|>", "_TEXT|>")


def firefunction(scene: Scene) -> str:
    return think(scene) + scene.content + between(" functools[", objects(scene), "]")


def gigachat_3(scene: Scene) -> str:
    return think(scene) + scene.content + "".join(f"<|message_sep|>\n\nfunction call<|role_sep|>\n{call}" for call in objects(scene))


def gigachat_3_1(scene: Scene) -> str:
    return think(scene) + scene.content + "".join("<|function_call|>" + call for call in objects(scene))


# ---- a name, and JSON arguments

def functionary_v3_1(scene: Scene) -> str:
    return think(scene) + scene.content + "".join(f"<function={name}>{compact(arguments)}</function>" for name, arguments in scene.calls)


def functionary_v3_2(scene: Scene) -> str:
    parts = [f"all\n{scene.content}"] if scene.content else []
    return ">>>".join(parts + [f"{name}\n{compact(arguments)}" for name, arguments in scene.calls])


def solar_open(scene: Scene) -> str:
    messages = [f"<|think|>{scene.reasoning}<|end|>"] if scene.reasoning else []
    messages += [f"<|content|>{scene.content}<|end|>"] if scene.content else []
    calls = "".join(f"<|tool_call:begin|>a1b2c3d4e{i}<|tool_call:name|>{name}<|tool_call:args|>{compact(arguments)}<|tool_call:end|>"
                    for i, (name, arguments) in enumerate(scene.calls))
    messages += [f"<|tool_calls|>{calls}<|calls|>"] if calls else []
    return "<|begin|>assistant".join(messages)


# ---- Python

def lfm2(scene: Scene) -> str:
    calls = [f"{name}({', '.join(f'{key}={value!r}' for key, value in arguments.items())})" for name, arguments in scene.calls]
    return think(scene) + scene.content + between("<|tool_call_start|>[", calls, "]<|tool_call_end|>")


# ---- elements

def seed_oss(scene: Scene) -> str:
    def call(name: str, arguments: dict) -> str:
        parameters = "".join(f"<parameter={key}>{text_of(value)}</parameter>\n" for key, value in arguments.items())
        return f"\n<seed:tool_call>\n<function={name}>\n{parameters}</function>\n</seed:tool_call>"
    return think(scene, "<seed:think>", "</seed:think>") + scene.content + "".join(call(*c) for c in scene.calls)


def dsml(scene: Scene, outer: str) -> str:
    def call(name: str, arguments: dict) -> str:
        parameters = "".join(f'<｜DSML｜parameter name="{key}" string="{str(isinstance(value, str)).lower()}">{text_of(value)}</｜DSML｜parameter>\n'
                             for key, value in arguments.items())
        return f'<｜DSML｜invoke name="{name}">\n{parameters}</｜DSML｜invoke>\n'
    calls = "".join(call(*c) for c in scene.calls)
    return think(scene, line="") + scene.content + (calls and f"\n\n<｜DSML｜{outer}>\n{calls}</｜DSML｜{outer}>")


def deepseek_v3_2(scene: Scene) -> str:
    return dsml(scene, "function_calls")


def deepseek_v4(scene: Scene) -> str:
    return dsml(scene, "tool_calls")


def hunyuan_3(scene: Scene) -> str:
    def tag(name: str) -> str:
        return f"<{name}:opensource>"

    def call(name: str, arguments: dict) -> str:
        pairs = "".join(f"{tag('arg_key')}{key}{tag('/arg_key')}\n{tag('arg_value')}{text_of(value)}{tag('/arg_value')}\n" for key, value in arguments.items())
        return f"{tag('tool_call')}{name}{tag('tool_sep')}\n{pairs}{tag('/tool_call')}\n"
    calls = "".join(call(*c) for c in scene.calls)
    thought = think(scene, tag("think"), tag("/think"), "")
    return thought + scene.content + (calls and f"{tag('tool_calls')}\n{calls}{tag('/tool_calls')}")


def minicpm5(scene: Scene) -> str:
    def value_of(value: object) -> str:
        quoted = isinstance(value, str) and any(c in value for c in "<&\n")
        return f"<![CDATA[{value}]]>" if quoted else str(value)

    def call(name: str, arguments: dict) -> str:
        parameters = "".join(f'<param name="{key}">{value_of(value)}</param>' for key, value in arguments.items())
        return f'<function name="{name}">{parameters}</function>'
    parts = [scene.content] if scene.content else []
    return think(scene) + "\n".join(parts + [call(*c) for c in scene.calls])


def kimi_k3(scene: Scene) -> str:
    kinds = {bool: "boolean", type(None): "null", int: "number", float: "number", str: "string", dict: "object", list: "array"}

    def element(tag: str, content: str, attributes: str = "") -> str:
        return f"<|open|>{tag}{attributes}<|sep|>{content}<|close|>{tag}<|sep|>"

    def call(number: int, name: str, arguments: dict) -> str:
        inside = "".join(element("argument", text_of(value), f' key="{key}" type="{kinds[type(value)]}"') for key, value in arguments.items())
        return element("call", inside, f' tool="{name}" index="{number}"')
    calls = "".join(call(i + 1, *c) for i, c in enumerate(scene.calls))
    thought = element("think", scene.reasoning) if scene.reasoning else ""
    return thought + element("response", scene.content) + (calls and element("tools", calls)) + "<|close|>message<|sep|>"


def muse(scene: Scene) -> str:
    def call(name: str, arguments: dict) -> str:
        parameters = "".join(f'<atem:parameter name="{key}">{text_of(value)}</atem:parameter>\n' for key, value in arguments.items())
        return f' to={name}<|message|><atem:function_calls>\n<atem:invoke name="{name}">\n{parameters}</atem:invoke>\n</atem:function_calls>'
    messages = [f" to=self<|message|>{scene.reasoning}"] if scene.reasoning else []
    messages += [f" to=user<|message|>{scene.content}"] if scene.content else []
    return "<|eom|><|start|>assistant".join(messages + [call(*c) for c in scene.calls])


MARK = "]<]minimax[>["


def minimax_m3(scene: Scene) -> str:
    def inside(value: object) -> str:
        if isinstance(value, dict):
            return "".join(f"{MARK}<{key}>{inside(inner)}{MARK}</{key}>" for key, inner in value.items())
        if isinstance(value, list):
            return "".join(f"{MARK}<item>{inside(inner)}{MARK}</item>" for inner in value)
        return text_of(value)
    calls = "".join(f'{MARK}<invoke name="{name}">{inside(arguments)}{MARK}</invoke>\n' for name, arguments in scene.calls)
    thought = think(scene, "<mm:think>", "</mm:think>", "")
    return thought + scene.content + (calls and f"{MARK}<tool_call>\n{calls}{MARK}</tool_call>")
