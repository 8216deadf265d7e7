"""What models of a family also do: cut-off and malformed calls, mentions of the markup, habits. Written by hand, with what must come out.

A quirk: (name, output, expected), where expected has content, reasoning, calls [(name, arguments)], cut (name, arguments so far: a call that never
became complete), prompt (where the rendered prompt ends) and tools=False (none are offered)."""

from tagged_quirks import TAGGED_QUIRKS

CUT = '{"city": "Par'


def mentions(tag: str) -> list:
    """Quirks of every tag in the text."""
    return [("a mention of the tag", f"A call begins with {tag} they say.", {"content": f"A call begins with {tag} they say."}),
            ("the tag alone at the end", f"So: {tag}", {"content": f"So: {tag}"})]


OPENED = ("the prompt opened the thought", "The clock.\n</think>\n\nIt is noon.",
          {"prompt": "assistant\n<think>\n", "reasoning": "The clock.", "content": "It is noon."})
CLOSED = ("the prompt closed the thought", "It is noon.", {"prompt": "assistant\n<think>\n\n</think>\n\n", "content": "It is noon."})
ENDLESS = ("a thought that never ends", "<think>\nWell, well", {"reasoning": "Well, well"})
MENTIONED = ("a mention of thinking", "Write <think> and </think> around it.", {"content": "Write <think> and </think> around it."})
EMPTY = ("an empty thought", "<think>\n\n</think>\n\nNoon.", {"content": "Noon."})

QUIRKS: dict[str, list] = {
    "hermes": [
        *mentions("<tool_call>"), OPENED, CLOSED, ENDLESS, MENTIONED, EMPTY,
        ("cut off in the arguments", '<tool_call>\n{"name": "get_weather", "arguments": {"city": "Par', {"cut": ("get_weather", CUT)}),
        ("cut off in the name", '<tool_call>\n{"name": "get_wea', {"content": '<tool_call>\n{"name": "get_wea'}),
        ("no end tag", '<tool_call>\n{"name": "now", "arguments": {}}', {"calls": [("now", {})]}),
        ("cut off in the end tag", '<tool_call>\n{"name": "now", "arguments": {}}\n</tool_c', {"calls": [("now", {})]}),
        ("a brace too many", '<tool_call>\n{"name": "now", "arguments": {}}}\n</tool_call>', {"calls": [("now", {})]}),
        ("arguments first", '<tool_call>\n{"arguments": {"city": "Rome"}, "name": "get_weather"}\n</tool_call>', {"calls": [("get_weather", {"city": "Rome"})]}),
        ("arguments as a string", '<tool_call>\n{"name": "add", "arguments": "{\\"a\\": 1, \\"b\\": 2}"}\n</tool_call>', {"calls": [("add", {"a": 1, "b": 2})]}),
        ("no arguments", '<tool_call>\n{"name": "now"}\n</tool_call>', {"calls": [("now", {})]}),
        ("null for arguments", '<tool_call>\n{"name": "now", "arguments": null}\n</tool_call>', {"calls": [("now", {})]}),
        ("other members", '<tool_call>\n{"id": 7, "name": "now", "arguments": {}, "type": "function"}\n</tool_call>', {"calls": [("now", {})]}),
        ("broken arguments", '<tool_call>\n{"name": "add", "arguments": {"a": }}\n</tool_call>\nDone.', {"cut": ("add", '{"a": }}\n'), "content": "Done."}),
        ("no JSON", "<tool_call>\nget_weather(Paris)\n</tool_call>", {"content": "<tool_call>\nget_weather(Paris)\n</tool_call>"}),
        ("no name", '<tool_call>\n{"arguments": {}}\n</tool_call>', {"content": '<tool_call>\n{"arguments": {}}\n</tool_call>'}),
        ("words between calls", '<tool_call>\n{"name": "now", "arguments": {}}\n</tool_call>\nand\n<tool_call>\n{"name": "now", "arguments": {}}\n</tool_call>',
         {"content": "and", "calls": [("now", {}), ("now", {})]}),
        ("an unknown tool", '<tool_call>\n{"name": "fly", "arguments": {"to": "Mars"}}\n</tool_call>', {"calls": [("fly", {"to": "Mars"})]}),
        ("no tools offered", 'See <tool_call>\n{"name": "now", "arguments": {}}\n</tool_call>',
         {"tools": False, "content": 'See <tool_call>\n{"name": "now", "arguments": {}}\n</tool_call>'}),
        ("the tag within a string", '<tool_call>\n{"name": "search", "arguments": {"query": "</tool_call>"}}\n</tool_call>',
         {"calls": [("search", {"query": "</tool_call>"})]}),
    ],
    "qwen3_coder": [
        *mentions("<function="), OPENED, MENTIONED,
        ("no outer tag", "<function=get_weather>\n<parameter=city>\nRome\n</parameter>\n</function>\n</tool_call>", {"calls": [("get_weather", {"city": "Rome"})]}),
        ("neither outer tag", "Now: <function=now>\n</function>", {"content": "Now:", "calls": [("now", {})]}),
        ("cut off in a string", "<tool_call>\n<function=get_weather>\n<parameter=city>\nPar", {"cut": ("get_weather", CUT)}),
        ("cut off in a number", "<tool_call>\n<function=get_weather>\n<parameter=days>\n1", {"cut": ("get_weather", '{"days": 1')}),
        ("cut off in a key", "<tool_call>\n<function=get_weather>\n<parameter=ci", {"cut": ("get_weather", '{"ci')}),
        ("Python's words", "<tool_call>\n<function=send_email>\n<parameter=to>\nTrue\n</parameter>\n<parameter=urgent>\nFalse\n</parameter>\n</function>\n</tool_call>",
         {"calls": [("send_email", {"to": "True", "urgent": False})]}),
        ("Python's list", "<tool_call>\n<function=search>\n<parameter=tags>\n['a', 'b']\n</parameter>\n</function>\n</tool_call>",
         {"calls": [("search", {"tags": ["a", "b"]})]}),
        ("a value of the wrong type", "<tool_call>\n<function=add>\n<parameter=a>\nseven\n</parameter>\n</function>\n</tool_call>", {"calls": [("add", {"a": "seven"})]}),
        ("an unknown argument", "<tool_call>\n<function=now>\n<parameter=zone>\n[1]\n</parameter>\n<parameter=how>\nfast\n</parameter>\n</function>\n</tool_call>",
         {"calls": [("now", {"zone": [1], "how": "fast"})]}),
        ("a value on one line", "<tool_call>\n<function=search><parameter=query>a b</parameter></function></tool_call>", {"calls": [("search", {"query": "a b"})]}),
        ("lines at the edges", "<tool_call>\n<function=search>\n<parameter=query>\n\nx\n\n</parameter>\n</function>\n</tool_call>", {"calls": [("search", {"query": "\nx\n"})]}),
        ("an empty value", "<tool_call>\n<function=search>\n<parameter=query>\n</parameter>\n</function>\n</tool_call>", {"calls": [("search", {"query": ""})]}),
        ("no name", "<tool_call>\n<function=>\n</function>\n</tool_call>", {"content": "<tool_call>\n<function=>\n</function>\n</tool_call>"}),
        ("junk in the call", "<tool_call>\n<function=now>\nnow!\n</function>\n</tool_call>Bye.", {"cut": ("now", "{now!\n</function>\n"), "content": "Bye."}),
    ],
    "glm": [
        *mentions("<tool_call>"), EMPTY, MENTIONED,
        ("cut off in a string", "<tool_call>get_weather\n<arg_key>city</arg_key>\n<arg_value>Par", {"cut": ("get_weather", CUT)}),
        ("no end tag", "<tool_call>now\n", {"cut": ("now", "{")}),
        ("text that keeps its lines", "<tool_call>search\n<arg_key>query</arg_key>\n<arg_value>\nx\n</arg_value>\n</tool_call>", {"calls": [("search", {"query": "\nx\n"})]}),
        ("no name", "<tool_call>\n</tool_call>", {"content": "<tool_call>\n</tool_call>"}),
        ("an unknown tool", "<tool_call>fly\n<arg_key>to</arg_key>\n<arg_value>Mars</arg_value>\n<arg_key>n</arg_key>\n<arg_value>2</arg_value>\n</tool_call>",
         {"calls": [("fly", {"to": "Mars", "n": 2})]}),
        ("no tools offered", "<tool_call>now\n</tool_call>", {"tools": False, "content": "<tool_call>now\n</tool_call>"}),
    ],
    "minimax": [
        *mentions("<minimax:tool_call>"), OPENED, ENDLESS,
        ("cut off in a string", '<minimax:tool_call>\n<invoke name="get_weather">\n<parameter name="city">Par', {"cut": ("get_weather", CUT)}),
        ("a number that is text", '<minimax:tool_call>\n<invoke name="search">\n<parameter name="query">5</parameter>\n<parameter name="limit">5</parameter>\n</invoke>\n</minimax:tool_call>',
         {"calls": [("search", {"query": "5", "limit": 5})]}),
        ("nothing inside", "<minimax:tool_call>\nwell\n</minimax:tool_call>", {"content": "<minimax:tool_call>\nwell\n</minimax:tool_call>"}),
        ("words behind", '<minimax:tool_call>\n<invoke name="now">\n</invoke>\n</minimax:tool_call>\nThat is all.', {"calls": [("now", {})], "content": "That is all."}),
        ("no end tag", '<minimax:tool_call>\n<invoke name="now">\n</invoke>\n', {"calls": [("now", {})]}),
    ],
    "llama3_json": [
        OPENED,
        ("an answer in JSON", '{"answer": 4, "why": "sum"}', {"content": '{"answer": 4, "why": "sum"}'}),
        ("an answer that names no tool", '{"name": "Anna", "parameters": {}}', {"content": '{"name": "Anna", "parameters": {}}'}),
        ("a type first", '{"type": "function", "name": "now", "parameters": {}}', {"calls": [("now", {})]}),
        ("arguments by the other name", '{"name": "add", "arguments": {"a": 1, "b": 2}}', {"calls": [("add", {"a": 1, "b": 2})]}),
        ("code behind the tag", "<|python_tag|>print(1)", {"content": "<|python_tag|>print(1)"}),
        ("lines between calls", '{"name": "now", "parameters": {}}\n{"name": "now", "parameters": {}}', {"calls": [("now", {}), ("now", {})]}),
        ("cut off", '{"name": "get_weather", "parameters": {"city": "Par', {"cut": ("get_weather", CUT)}),
        ("JSON within an answer", 'Write {"name": "now", "parameters": {}} then.', {"content": 'Write {"name": "now", "parameters": {}} then.'}),
        ("no tools offered", '{"name": "now", "parameters": {}}', {"tools": False, "content": '{"name": "now", "parameters": {}}'}),
    ],
    "pythonic": [
        ("a list that is an answer", "[1, 2, 3]", {"content": "[1, 2, 3]"}),
        ("a call of no tool", "[sorted(x=1)]", {"content": "[sorted(x=1)]"}),
        ("a link", "[docs](http://x.y) say so.", {"content": "[docs](http://x.y) say so."}),
        ("trailing commas", "[search(query='a', tags=['b', 'c',],)]", {"calls": [("search", {"query": "a", "tags": ["b", "c"]})]}),
        ("a tuple and a nested dict", "[search(query='a', tags=('b',), filters={'k': {'l': None, \"m\": [True]}})]",
         {"calls": [("search", {"query": "a", "tags": ["b"], "filters": {"k": {"l": None, "m": [True]}}})]}),
        ("escapes", r"[search(query='it\'s \"x\"\t\x41\u00e9\d')]", {"calls": [("search", {"query": "it's \"x\"\tAé\\d"})]}),
        ("three quotes", '[write_file(path="a", content="""one\n"two"\n""")]', {"calls": [("write_file", {"path": "a", "content": 'one\n"two"\n'})]}),
        ("spaces", "[ add( a = 1 , b = 2 ) ]", {"calls": [("add", {"a": 1, "b": 2})]}),
        ("an argument without a name", "[get_weather('Paris')]", {"cut": ("get_weather", "{'Paris')]")}),
        ("cut off", "[get_weather(city='Par", {"cut": ("get_weather", CUT)}),
    ],
    "gemma3": [
        ("other code", "```python\nprint(1)\n```", {"content": "```python\nprint(1)\n```"}),
        ("code that calls no tool", "```tool_code\nprint(1)\n```", {"content": "```tool_code\nprint(1)\n```"}),
        ("words behind", "```tool_code\nnow()\n```\nThere.", {"calls": [("now", {})], "content": "There."}),
        ("a list of calls", "```tool_code\n[now(), now()]\n```", {"calls": [("now", {}), ("now", {})]}),
        ("cut off", '```tool_code\nget_weather(city="Par', {"cut": ("get_weather", CUT)}),
    ],
    "gemma4": [
        *mentions("<|tool_call>"),
        ("an empty thought", "<|channel>thought\n<channel|>Noon.", {"content": "Noon."}),
        ("cut off", '<|tool_call>call:get_weather{city:<|"|>Par', {"cut": ("get_weather", CUT)}),
        ("quotes and braces in a string", '<|tool_call>call:search{query:<|"|>a "b", {c}: d<|"|>}<tool_call|>', {"calls": [("search", {"query": 'a "b", {c}: d'})]}),
        ("words without quotes", "<|tool_call>call:get_weather{city:Paris}<tool_call|>", {"calls": [("get_weather", {"city": "Paris"})]}),
        ("quotes as in JSON", '<|tool_call>call:get_weather{"city": "Paris"}<tool_call|>', {"calls": [("get_weather", {"city": "Paris"})]}),
    ],
    "functiongemma": [
        *mentions("<start_function_call>"),
        ("cut off", "<start_function_call>call:get_weather{city:<escape>Par", {"cut": ("get_weather", CUT)}),
        ("no end tag", "<start_function_call>call:now{}", {"calls": [("now", {})]}),
        ("no call", "<start_function_call>now{}<end_function_call>", {"content": "<start_function_call>now{}<end_function_call>"}),
    ],
    "mistral": [
        *mentions("[TOOL_CALLS]"),
        ("an id behind the name", '[TOOL_CALLS]now[CALL_ID]abc123def[ARGS]{}', {"calls": [("now", {})], "ids": ["abc123def"]}),
        ("an id in the list", '[TOOL_CALLS] [{"name": "now", "arguments": {}, "id": "abc123def"}]', {"calls": [("now", {})]}),
        ("cut off", '[TOOL_CALLS]get_weather[ARGS]{"city": "Par', {"cut": ("get_weather", CUT)}),
        ("cut off in the list", '[TOOL_CALLS] [{"name": "get_weather", "arguments": {"city": "Par', {"cut": ("get_weather", CUT)}),
    ],
    "deepseek": [
        *mentions("<｜tool▁calls▁begin｜>"), OPENED,
        ("no outer tag", "<｜tool▁call▁begin｜>now<｜tool▁sep｜>{}<｜tool▁call▁end｜>", {"calls": [("now", {})]}),
        ("cut off", '<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>get_weather<｜tool▁sep｜>{"city": "Par', {"cut": ("get_weather", CUT)}),
        ("no separator", "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>now{}<｜tool▁call▁end｜><｜tool▁calls▁end｜>",
         {"content": "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>now{}<｜tool▁call▁end｜><｜tool▁calls▁end｜>"}),
    ],
    "kimi_k2": [
        *mentions("<|tool_call_begin|>"),
        ("ids are the model's", "<|tool_calls_section_begin|><|tool_call_begin|>functions.now:3<|tool_call_argument_begin|>{}<|tool_call_end|><|tool_calls_section_end|>",
         {"calls": [("now", {})], "ids": ["functions.now:3"]}),
        ("no arguments", "<|tool_calls_section_begin|><|tool_call_begin|>functions.now:0<|tool_call_argument_begin|><|tool_call_end|><|tool_calls_section_end|>",
         {"calls": [("now", {})]}),
        ("cut off", '<|tool_calls_section_begin|><|tool_call_begin|>functions.get_weather:0<|tool_call_argument_begin|>{"city": "Par', {"cut": ("get_weather", CUT)}),
    ],
    "granite": [
        *mentions("<|tool_call|>"),
        ("one call without a list", '<|tool_call|>{"name": "now", "arguments": {}}', {"calls": [("now", {})]}),
        ("cut off", '<|tool_call|>[{"name": "get_weather", "arguments": {"city": "Par', {"cut": ("get_weather", CUT)}),
        ("a list of other things", "<|tool_call|>[1, 2]", {"content": "<|tool_call|>[1, 2]"}),
    ],
    "nemotron": [
        *mentions("<TOOLCALL>"), OPENED,
        ("cut off", '<TOOLCALL>[{"name": "get_weather", "arguments": {"city": "Par', {"cut": ("get_weather", CUT)}),
        ("no end tag", '<TOOLCALL>[{"name": "now", "arguments": {}}]', {"calls": [("now", {})]}),
    ],
    "phi": [
        *mentions("<|tool_call|>"),
        ("the older prompt's word", 'functools[{"name": "now", "arguments": {}}]', {"calls": [("now", {})]}),
        ("that word in a text", "The functools module.", {"content": "The functools module."}),
        ("cut off", '<|tool_call|>[{"name": "get_weather", "arguments": {"city": "Par', {"cut": ("get_weather", CUT)}),
    ],
    "command_r": [
        ("JSON that is an answer", "Here:\n```json\n[1]\n```", {"content": "Here:\n```json\n[1]\n```"}),
        ("words behind", 'Action: ```json\n[{"tool_name": "now", "parameters": {}}]\n```\nThere.', {"calls": [("now", {})], "content": "There."}),
        ("cut off", 'Action: ```json\n[\n    {\n        "tool_name": "get_weather",\n        "parameters": {"city": "Par', {"cut": ("get_weather", CUT)}),
    ],
    "harmony": [
        ("no header at all", "It is noon.", {"content": "It is noon."}),
        ("the recipient first", " to=functions.now<|channel|>commentary json<|message|>{}", {"calls": [("now", {})]}),
        ("cut off", '<|channel|>commentary to=functions.get_weather <|constrain|>json<|message|>{"city": "Par', {"cut": ("get_weather", CUT)}),
        ("cut off in the header", "<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant<|channel|>fin", {"reasoning": "Hm."}),
        ("a built-in tool", '<|channel|>analysis to=python code<|message|>{"x": 1}<|call|>', {"calls": [("python", {"x": 1})]}),
        ("no tools offered", "<|channel|>commentary to=functions.now <|constrain|>json<|message|>{}<|call|>", {"tools": False, "content": "{}"}),
        ("two thoughts", "<|channel|>analysis<|message|>One.<|end|><|start|>assistant<|channel|>analysis<|message|>Two.<|end|><|start|>assistant<|channel|>final<|message|>Done.",
         {"reasoning": "One.Two.", "content": "Done."}),
    ],
    **TAGGED_QUIRKS,
}
