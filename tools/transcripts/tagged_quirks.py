"""What models of the families of tagged.py also do (see quirks.py)."""
from tagged import MARK

CUT = '{"city": "Par'
NOW = {"calls": [("now", {})]}


def around(family_tag: str, whole: str, cut: str) -> list:
    """Quirks of every format, from a tag of it, a whole call of `now` and one that is cut off in a city's name."""
    mention = f"A call begins with {family_tag} they say."
    return [("a mention of the tag", mention, {"content": mention}),
            ("the tag alone at the end", f"So: {family_tag}", {"content": f"So: {family_tag}"}),
            ("cut off in a string", cut, {"cut": ("get_weather", CUT)}),
            ("words behind", f"{whole}\nThat is all.", {**NOW, "content": "That is all."}),
            ("words on both sides", f"Look: {whole}\nDone.", {**NOW, "content": "Look:Done."})]


def dsml(outer: str) -> list:
    def call(inside: str) -> str:
        return f"<｜DSML｜{outer}>\n{inside}</｜DSML｜{outer}>"
    return [
        *around(f"<｜DSML｜{outer}>", call('<｜DSML｜invoke name="now">\n</｜DSML｜invoke>\n'),
                f'<｜DSML｜{outer}>\n<｜DSML｜invoke name="get_weather">\n<｜DSML｜parameter name="city" string="true">Par'),
        ("the prompt closed the thought", "It is noon.", {"prompt": "<｜Assistant｜></think>", "content": "It is noon."}),
        ("the prompt opened the thought", "Hm.</think>It is noon.", {"prompt": "<｜Assistant｜><think>", "reasoning": "Hm.", "content": "It is noon."}),
        ("no type", call('<｜DSML｜invoke name="add">\n<｜DSML｜parameter name="a">1</｜DSML｜parameter>\n<｜DSML｜parameter name="b" string="false">2</｜DSML｜parameter>\n'
                         '</｜DSML｜invoke>\n'), {"calls": [("add", {"a": 1, "b": 2})]}),
        ("a text by its type", call('<｜DSML｜invoke name="fly">\n<｜DSML｜parameter name="to" string="true">12</｜DSML｜parameter>\n'
                                    '<｜DSML｜parameter name="n" string="false">12</｜DSML｜parameter>\n</｜DSML｜invoke>\n'),
         {"calls": [("fly", {"to": "12", "n": 12})]}),
        ("an empty line for no arguments", call('<｜DSML｜invoke name="now">\n\n</｜DSML｜invoke>\n'), NOW),
        ("cut off in the type", f'<｜DSML｜{outer}>\n<｜DSML｜invoke name="get_weather">\n<｜DSML｜parameter name="city" string="tr', {"cut": ("get_weather", '{"city": ')}),
    ]


WEATHER = '{"name": "get_weather", "arguments": {"city": "Par'
CALL = '{"name": "now", "arguments": {}}'

TAGGED_QUIRKS: dict[str, list] = {
    "apertus": [
        *around("<|tools_prefix|>", '<|tools_prefix|>[{"now": {}}]<|tools_suffix|>', '<|tools_prefix|>[{"get_weather": {"city": "Par'),
        ("one call without a list", '<|tools_prefix|>{"now": {}}<|tools_suffix|>', NOW),
        ("two calls in one object", '<|tools_prefix|>[{"now": {}, "add": {"a": 1, "b": 2}}]<|tools_suffix|>', {"calls": [("now", {}), ("add", {"a": 1, "b": 2})]}),
        ("a list of other things", "<|tools_prefix|>[1, 2]<|tools_suffix|>", {"content": "<|tools_prefix|>[1, 2]<|tools_suffix|>"}),
        ("no tools offered", '<|tools_prefix|>[{"now": {}}]', {"tools": False, "content": '<|tools_prefix|>[{"now": {}}]'}),
    ],
    "apriel": [
        *around("<tool_calls>", f"<tool_calls>[{CALL}]</tool_calls>", f"<tool_calls>[{WEATHER}"),
        ("the prompt opened the thought", "One.\n[BEGIN FINAL RESPONSE]\nTwo.\n[END FINAL RESPONSE]\n",
         {"prompt": "<|begin_assistant|>\nHere are my reasoning steps:\n", "reasoning": "One.", "content": "Two."}),
        ("ids", '<tool_calls>[{"name": "now", "arguments": {}, "id": "0"}]</tool_calls>', NOW),
        ("no end tag", f"<tool_calls>[{CALL}]", NOW),
    ],
    "minimax_m1": [
        *around("<tool_calls>", f"<tool_calls>\n{CALL}\n</tool_calls>", f"<tool_calls>\n{WEATHER}"),
        ("no end tag", f"<tool_calls>\n{CALL}\n", NOW),
        ("a list", f"<tool_calls>\n[{CALL}, {CALL}]\n</tool_calls>", {"calls": [("now", {}), ("now", {})]}),
    ],
    "command_r7b": [
        *around("<|START_ACTION|>", '<|START_ACTION|>[{"tool_call_id": "0", "tool_name": "now", "parameters": {}}]<|END_ACTION|>',
                '<|START_ACTION|>[\n    {"tool_call_id": "0", "tool_name": "get_weather", "parameters": {"city": "Par'),
        ("the prompt opened the thought", "Hm.<|END_THINKING|><|START_RESPONSE|>Noon.<|END_RESPONSE|>",
         {"prompt": "<|CHATBOT_TOKEN|><|START_THINKING|>", "reasoning": "Hm.", "content": "Noon."}),
        ("no tools offered", "<|START_RESPONSE|>Noon.<|END_RESPONSE|>", {"tools": False, "content": "Noon."}),
    ],
    "firefunction": [
        *around("functools[", f"functools[{CALL}]", f"functools[{WEATHER}"),
        ("the word in a text", "The functools module.", {"content": "The functools module."}),
    ],
    "gigachat_3": [
        *around("function call<|role_sep|>", f"function call<|role_sep|>\n{CALL}", f"function call<|role_sep|>\n{WEATHER}"),
        ("the words alone", "A function call it is.", {"content": "A function call it is."}),
    ],
    "gigachat_3_1": [
        *around("<|function_call|>", f"<|function_call|>{CALL}", f"<|function_call|>{WEATHER}"),
        ("broken arguments", '<|function_call|>{"name": "now", "arguments": {]}', {"cut": ("now", "{]}")}),
    ],
    "functionary_v3_1": [
        *around("<function=", "<function=now>{}</function>", '<function=get_weather>{"city": "Par'),
        ("no arguments at all", "<function=now></function>", NOW),
        ("cut off in the name", "<function=get_wea", {"content": "<function=get_wea"}),
    ],
    "functionary_v3_2": [
        ("a text and a call", 'all\nLook:>>>now\n{}', {"prompt": "\n\n>>>", **NOW, "content": "Look:"}),
        ("Python's prompt in a text", 'all\nType:\n>>> print({1: 2})', {"prompt": "\n\n>>>", "content": "Type:\n>>> print({1: 2})"}),
        ("no recipient", "It is noon.", {"prompt": "\n\n>>>", "content": "It is noon."}),
        ("no tools offered", "all\nIt is noon.", {"prompt": "\n\n>>>", "tools": False, "content": "It is noon."}),
        ("no mark in the prompt", ">>>all\nIt is noon.", {"content": "It is noon."}),
        ("cut off", 'get_weather\n{"city": "Par', {"prompt": "\n\n>>>", "cut": ("get_weather", CUT)}),
        ("cut off in the name", "get_wea", {"prompt": "\n\n>>>", "content": "get_wea"}),
        ("a recipient that is no tool", "fly\n{}", {"prompt": "\n\n>>>", "content": "fly\n{}"}),
    ],
    "solar_open": [
        *around("<|tool_call:begin|>", "<|tool_call:begin|>a1b2c3d4e5<|tool_call:name|>now<|tool_call:args|>{}<|tool_call:end|>",
                '<|tool_call:begin|>a1b2c3d4e5<|tool_call:name|>get_weather<|tool_call:args|>{"city": "Par'),
        ("ids are the model's", "<|tool_calls|><|tool_call:begin|>x7<|tool_call:name|>now<|tool_call:args|>{}<|tool_call:end|><|calls|>", {**NOW, "ids": ["x7"]}),
        ("no tools offered", "<|content|>Noon.<|end|>", {"tools": False, "content": "Noon."}),
    ],
    "lfm2": [
        *around("<|tool_call_start|>", "<|tool_call_start|>[now()]<|tool_call_end|>", "<|tool_call_start|>[get_weather(city='Par"),
        ("an object as JSON", "<|tool_call_start|>[search(query=\"a\", filters={\"k\": [true, null]})]<|tool_call_end|>",
         {"calls": [("search", {"query": "a", "filters": {"k": [True, None]}})]}),
        ("one call without a list", "<|tool_call_start|>now()<|tool_call_end|>", NOW),
        ("a call of no tool", "<|tool_call_start|>[fly()]<|tool_call_end|>", {"content": "<|tool_call_start|>[fly()]<|tool_call_end|>"}),
    ],
    "seed_oss": [
        *around("<seed:tool_call>", "<seed:tool_call>\n<function=now>\n</function>\n</seed:tool_call>",
                "<seed:tool_call>\n<function=get_weather>\n<parameter=city>Par"),
        ("lines are the text's", "<seed:tool_call>\n<function=search>\n<parameter=query>\nx\n</parameter>\n</function>\n</seed:tool_call>",
         {"calls": [("search", {"query": "\nx\n"})]}),
        ("the prompt closed the thought", "Noon.", {"prompt": "<seed:bos>assistant\n<seed:think>\n</seed:think>", "content": "Noon."}),
    ],
    "deepseek_v3_2": dsml("function_calls"),
    "deepseek_v4": dsml("tool_calls"),
    "hunyuan_3": [
        *around("<tool_calls:opensource>", "<tool_calls:opensource>\n<tool_call:opensource>now<tool_sep:opensource>\n</tool_call:opensource>\n</tool_calls:opensource>",
                "<tool_calls:opensource>\n<tool_call:opensource>get_weather<tool_sep:opensource>\n<arg_key:opensource>city</arg_key:opensource>\n"
                "<arg_value:opensource>Par"),
        ("the prompt opened the thought", "Hm.</think:opensource>Noon.", {"prompt": "<think:opensource>", "reasoning": "Hm.", "content": "Noon."}),
    ],
    "minicpm5": [
        *around('<function name="', '<function name="now"></function>', '<function name="get_weather"><param name="city">Par'),
        ("a quoted text", '<function name="search"><param name="query"><![CDATA[a </param> b]]></param></function>', {"calls": [("search", {"query": "a </param> b"})]}),
        ("cut off in a quoted text", '<function name="get_weather"><param name="city"><![CDATA[Par', {"cut": ("get_weather", CUT)}),
    ],
    "kimi_k3": [
        ("arguments as one object",
         '<|open|>tools<|sep|><|open|>call tool="get_weather" index="1"<|sep|><|open|>json type="object"<|sep|>'
         '{"city": "Paris", "deep": {"k": [1, "}"]}}<|close|>json<|sep|><|close|>call<|sep|>'
         '<|open|>call tool="now" index="2"<|sep|><|open|>json type="object"<|sep|>{}<|close|>json<|sep|><|close|>call<|sep|>'
         '<|close|>tools<|sep|>', {"calls": [("get_weather", {"city": "Paris", "deep": {"k": [1, "}"]}}), ("now", {})]}),
        ("an object that is cut off",
         '<|open|>tools<|sep|><|open|>call tool="get_weather" index="1"<|sep|><|open|>json type="object"<|sep|>{"city": "Pa',
         {"cut": ("get_weather", '{"city": "Pa')}),
        *around("<|open|>tools<|sep|>", '<|open|>tools<|sep|><|open|>call tool="now" index="1"<|sep|><|close|>call<|sep|><|close|>tools<|sep|>',
                '<|open|>tools<|sep|><|open|>call tool="get_weather" index="1"<|sep|><|open|>argument key="city" type="string"<|sep|>Par'),
        ("the prompt opened the thought", "Hm.<|close|>think<|sep|><|open|>response<|sep|>Noon.<|close|>response<|sep|>",
         {"prompt": "<|open|>think<|sep|>", "reasoning": "Hm.", "content": "Noon."}),
        ("the prompt opened the answer", "Noon.<|close|>response<|sep|><|close|>message<|sep|>", {"prompt": "<|open|>response<|sep|>", "content": "Noon."}),
    ],
    "muse": [
        ("no header", "It is noon.", {"prompt": "<|start|>assistant", "content": "It is noon."}),
        ("cut off in the header", " to=us", {"prompt": "<|start|>assistant", "content": " to=us"}),
        ("cut off in a string", ' to=get_weather<|message|><atem:function_calls>\n<atem:invoke name="get_weather">\n<atem:parameter name="city">Par',
         {"prompt": "<|start|>assistant", "cut": ("get_weather", CUT)}),
        ("a thought that never ends", " to=self<|message|>Well, well", {"prompt": "<|start|>assistant", "reasoning": "Well, well"}),
        ("no tools offered", " to=user<|message|>Noon.", {"prompt": "<|start|>assistant", "tools": False, "content": "Noon."}),
        ("words behind", '<atem:function_calls>\n<atem:invoke name="now">\n</atem:invoke>\n</atem:function_calls>\nDone.', {**NOW, "content": "Done."}),
    ],
    "minimax_m3": [
        *around(f"{MARK}<tool_call>", f'{MARK}<tool_call>\n{MARK}<invoke name="now">{MARK}</invoke>\n{MARK}</tool_call>',
                f'{MARK}<tool_call>\n{MARK}<invoke name="get_weather">{MARK}<city>Par'),
        ("an unknown tool", f'{MARK}<tool_call>\n{MARK}<invoke name="fly">{MARK}<to>Mars{MARK}</to>{MARK}<n>2{MARK}</n>{MARK}<at>{MARK}<x>1{MARK}</x>{MARK}</at>'
                            f'{MARK}</invoke>\n{MARK}</tool_call>', {"calls": [("fly", {"to": "Mars", "n": 2, "at": {"x": 1}})]}),
        ("the prompt closed the thought", "Noon.", {"prompt": "</mm:think>", "content": "Noon."}),
    ],
}
