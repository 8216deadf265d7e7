"""What each fuzz target begins with, made of the tests' own data: target -> a function that gives the inputs.

Where a target reads its first line apart (fuzzing.h), that line names a format, template or path."""
import base64
import json
import pathlib
import sys
from typing import Callable, Iterator

ROOT = pathlib.Path(__file__).resolve().parents[1]
TEXT = ROOT / "src/text/testdata"
MEDIA = ROOT / "src/media/testdata"
sys.path.append(str(ROOT / "tests/e2e"))
from e2e_schemas import REFUSED, make_schemas  # noqa: E402
from late_clips import late_matroska, late_mp4  # noqa: E402

PIXEL = "data:image/png;base64," + base64.b64encode((MEDIA / "gray1.png").read_bytes()).decode()
TOOL = {"type": "function", "function": {"name": "add", "description": "Adds.", "strict": True, "parameters": {
    "type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "number"}}, "required": ["a", "b"],
    "additionalProperties": False}}}
CALL = {"id": "call_1", "type": "function", "function": {"name": "add", "arguments": "{\"a\": 1, \"b\": 2}"}}

LATE = {"vp8.webm": late_matroska, "vp9.webm": late_matroska, "av1.mkv": late_matroska, "h264.mp4": late_mp4}

# Arguments as a cut answer leaves them, and numbers that no double holds.
BROKEN = ["[]", "5", "\"x\"", "null", "", "{\"a\": 1", "{\"a\": 1e400}", "{\"a\": 123456789012345678901234567890}", "{\"a\": NaN}"]

CHATS = [
    {"model": "m", "messages": [{"role": "user", "content": "hi"}]},
    {"messages": [{"role": "developer", "content": "Be brief."}, {"role": "user", "name": "ada", "content": [
        {"type": "text", "text": "é", "cache_control": {"type": "ephemeral"}},
        {"type": "image_url", "image_url": {"url": PIXEL, "detail": "low"}},
        {"type": "video_url", "video_url": {"url": "data:video/mp4;base64,AAAA", "fps": 2}},
        {"type": "video", "video": [PIXEL, PIXEL], "fps": 1}]}], "mm_processor_kwargs": {"fps": 2, "max_frames": 8}},
    {"messages": [{"role": "system", "content": "x-anthropic-billing-header: cc_version=2.1.177.01c; cch=36ee5;\nBe brief."},
                  {"role": "user", "content": "1 + 2?"},
                  {"role": "assistant", "content": None, "reasoning_content": "hm", "tool_calls": [CALL]},
                  {"role": "tool", "tool_call_id": "call_1", "content": "3"}],
     "tools": [TOOL], "tool_choice": {"type": "function", "function": {"name": "add"}}, "parallel_tool_calls": False},
    {"messages": [{"role": "user", "content": "hi"}], "stream": True, "stream_options": {"include_usage": True}, "n": 2, "seed": 7,
     "temperature": 0.5, "top_p": 0.9, "top_k": 20, "min_p": 0.1, "frequency_penalty": 1, "presence_penalty": -1,
     "repetition_penalty": 1.1, "logit_bias": {"5": -100}, "logprobs": True, "top_logprobs": 3, "max_completion_tokens": 9,
     "min_tokens": 1, "stop": ["a", "b"], "stop_token_ids": [3], "include_stop_str_in_output": True, "ignore_eos": True,
     "priority": -1, "timeout": 2.5, "return_token_ids": True, "return_tokens_as_token_ids": True, "user": "u",
     "reasoning_effort": "low", "chat_template_kwargs": {"enable_thinking": False}, "thinking_budget": 4, "metadata": {"a": "b"}},
    {"messages": [{"role": "user", "content": "hi"}], "max_tokens": 5, "response_format": {"type": "json_schema", "json_schema": {
        "name": "x", "strict": True, "schema": {"type": "object", "properties": {"a": {"enum": [1, "b"]}}}}}},
    {"messages": [{"role": "user", "content": "hi"}], "structured_outputs": {"choice": ["yes", "no"]}},
    {"messages": [{"role": "user", "content": "hi"}], "guided_regex": "[a-z]+"},
    {"messages": [{"role": "user", "content": "hi"}], "guided_grammar": "start: \"a\"+", "foo": 1, "num_ctx": 4096},
    {"messages": [{"role": "user", "content": "hi"}], "response_format": {"type": "json_object", "schema": {"type": "object"}}},
    {"messages": [{"role": "user", "content": "hi"}], "response_format": {"type": "json_schema", "schema": {"type": "array"}, "scheme": 1},
     "tools": [{"type": "function", "function": {"name": "f", "paramters": {}}, "x": 1}]},
    {"messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": None, "refusal": "No."},
                  {"role": "assistant", "reasoning": "Hm."},
                  *({"role": "assistant", "tool_calls": [{"id": "c", "function": {"name": "add", "arguments": text}}]} for text in BROKEN)]},
]
CHATS += [
    {"messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "{\"a\": "}], "continue_final_message": True,
     "add_generation_prompt": False, "response_format": {"type": "json_object"}, "stop": "}"},
    {"messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "", "reasoning_content": "hm"}],
     "continue_final_message": True},
    {"messages": [{"role": "user", "content": "hi"}], "add_generation_prompt": False},
]
COMPLETIONS = [
    {"model": "m", "prompt": "Once", "max_tokens": 5, "echo": True, "stop": "\n"},
    {"prompt": ["a", "b"], "n": 2, "best_of": 2, "logprobs": 2, "suffix": "end"},
    {"prompt": [1, 2, 3], "stream": True, "stream_options": {"include_usage": False}, "guided_choice": ["a"]},
    {"prompt": [[1, 2], [3]], "temperature": 0, "guided_json": {"type": "object"}},
    {"prompt": ["a", [1, 2], "é"], "max_tokens": 0, "echo": True, "n": 3},
    {"prompt": [[5]], "prompt_logprobs": 1, "min_tokens": 20},
]
RESPONSES = [
    {"model": "m", "input": "hi", "instructions": "Be brief.", "max_output_tokens": 9, "store": False, "stream": True},
    {"input": [{"role": "developer", "content": "x"},
               {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hi"},
                                                               {"type": "input_image", "image_url": PIXEL, "detail": "auto"}]},
               {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "hm"}],
                "content": [{"type": "reasoning_text", "text": "hm"}], "encrypted_content": "pippin:hm"},
               {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "ok", "annotations": []}]},
               {"type": "function_call", "call_id": "c", "name": "add", "arguments": "{}"},
               {"type": "function_call_output", "call_id": "c", "output": "3"},
               {"type": "item_reference", "id": "msg_1"}],
     "tools": [{"type": "function", "name": "add", "strict": True, "parameters": TOOL["function"]["parameters"]}],
     "tool_choice": {"type": "function", "name": "add"}, "parallel_tool_calls": False,
     "reasoning": {"effort": "low", "summary": "auto"}, "include": ["reasoning.encrypted_content"],
     "text": {"format": {"type": "json_schema", "name": "x", "schema": {"type": "object"}}, "verbosity": "medium"},
     "previous_response_id": "resp_0", "metadata": {"a": "b"}, "temperature": 1, "top_p": 0},
    {"input": [{"type": "function_call", "call_id": "c", "name": "add", "arguments": text} for text in BROKEN],
     "tools": [{"type": "custom", "name": "apply_patch"}, {"type": "local_shell"}, {"type": "image_generation"}, {"type": "function", "name": "f"}],
     "text": {"format": {"type": "json_schema", "schema": {}, "scheme": {}}, "x": 1}},
]
RESPONSES += [
    {"input": [{"role": "user", "content": "hi"}, {"type": "message", "role": "assistant", "status": "incomplete", "content": "So"}]},
    {"input": [{"role": "user", "content": "hi"}, {"type": "message", "role": "assistant", "status": "in_progress", "content": "So"},
               {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": " it is"}]},
               {"type": "reasoning", "status": "incomplete", "summary": [], "content": [{"type": "reasoning_text", "text": "hm"}]}]},
]
MESSAGES = [
    {"max_tokens": 9, "messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "{"}]},
    {"max_tokens": 9, "messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": [
        {"type": "thinking", "thinking": "hm", "signature": ""}]}]},
    {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]},
    {"max_tokens": 2048, "system": [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}],
     "messages": [{"role": "user", "content": [{"type": "text", "text": "hi"},
                                               {"type": "image", "source": {"type": "base64", "media_type": "image/png",
                                                                            "data": PIXEL.split(",")[1]}},
                                               {"type": "image", "source": {"type": "url", "url": PIXEL}}]},
                  {"role": "assistant", "content": [{"type": "thinking", "thinking": "hm", "signature": "s"},
                                                    {"type": "redacted_thinking", "data": "x"},
                                                    {"type": "tool_use", "id": "toolu_1", "name": "add", "input": {"a": 1}}]},
                  {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_1", "is_error": True,
                                                "content": [{"type": "text", "text": "3"}]}, {"type": "text", "text": "so?"}]}],
     "tools": [{"name": "add", "description": "Adds.", "input_schema": {"type": "object"}, "cache_control": {"type": "ephemeral"}}],
     "tool_choice": {"type": "any", "disable_parallel_tool_use": True}, "thinking": {"type": "enabled", "budget_tokens": 1024},
     "stop_sequences": ["x"], "stream": True, "temperature": 1, "top_k": 5, "top_p": 0.9, "metadata": {"user_id": "u"},
     "output_config": {"effort": "low", "format": {"type": "json_schema", "schema": {"type": "object"}}},
     "context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]}},
    {"max_tokens": 9, "messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": [
        {"type": "tool_use", "id": f"t{i}", "name": "add", "input": value}
        for i, value in enumerate([[], 5, "{\"a\": 1", None, {"a": 123456789012345678901234567890}])]}, {"role": "user", "content": "?"}],
     "output_config": {"x": 1, "format": {"type": "json_schema", "schema": {}, "scheme": {}}}},
]
TOKENIZE = [
    {"model": "m", "prompt": "Once", "add_special_tokens": False, "return_token_strs": True},
    {"content": "Once", "add_special": True, "parse_special": True, "with_pieces": False},
    {"messages": CHATS[1]["messages"], "tools": [TOOL], "chat_template_kwargs": {"enable_thinking": False}, "mm_processor_kwargs": {"fps": 2},
     "add_generation_prompt": True, "continue_final_message": False, "add_special_tokens": False},
]
DETOKENIZE = [{"model": "m", "tokens": [0, 1, 4095, 2147483647]}, {"tokens": []}]
APPLY_TEMPLATE = [{"model": "m", "messages": CHATS[2]["messages"], "tools": [TOOL], "reasoning_effort": "high"},
                  {"messages": CHATS[0]["messages"], "chat_template_kwargs": {"a": [1]}, "chat_template": None}]
OLLAMA_CHATS = [
    {"model": "m:latest", "messages": [{"role": "user", "content": "hi", "images": ["aGk="]}]},
    {"messages": [{"role": "system", "content": "x"}, {"role": "user", "content": "1 + 2?"},
                  {"role": "assistant", "content": "", "thinking": "hm", "tool_calls": [{"function": {"name": "add", "arguments": {"a": 1}}}]},
                  {"role": "tool", "tool_name": "add", "content": "3"}], "tools": [TOOL], "stream": False, "think": "low",
     "format": {"type": "object"}, "keep_alive": "5m", "logprobs": True, "top_logprobs": 2,
     "options": {"temperature": 0.5, "top_k": 3, "top_p": 0.5, "min_p": 0.1, "seed": 1, "stop": ["a"], "num_predict": -1,
                 "repeat_penalty": 1.1, "num_ctx": 4096, "mirostat": 0, "foo": 1}},
    {"messages": [], "keep_alive": 0},
    {"messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "", "images": ["aGk="], "thinking": ""}]},
    {"messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "{", "thinking": "hm"}], "format": "json"},
    {"messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": ""}]},
]
OLLAMA_PROMPTS = [
    {"model": "m", "prompt": "hi", "system": "x", "images": ["aGk="], "format": "json", "think": False, "context": []},
    {"prompt": "Once", "raw": True, "options": {"num_predict": 5}}, {"prompt": "a", "suffix": "b"}, {"model": "m"},
]

BODIES = {"/api/chat": OLLAMA_CHATS, "/api/generate": OLLAMA_PROMPTS, "/v1/chat/completions": CHATS, "/v1/completions": COMPLETIONS, "/v1/responses": RESPONSES, "/v1/messages": MESSAGES,
          "/v1/messages/count_tokens": MESSAGES[1:], "/tokenize": TOKENIZE, "/detokenize": DETOKENIZE,
          "/apply-template": APPLY_TEMPLATE}


def headed(line: str, rest: str | bytes) -> bytes:
    return line.encode() + b"\n" + (rest if isinstance(rest, bytes) else rest.encode())


def requests() -> Iterator[bytes]:
    for path, bodies in BODIES.items():
        for body in bodies:
            yield headed(path, json.dumps(body))
    # What Python's json can't write.
    yield headed("/v1/messages", '{"max_tokens": 1, "messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": '
                 '[{"type": "tool_use", "id": "t", "name": "f", "input": {"x": [1e400, -1E-400, 0.1000000000000000055511151231257827]}}]}]}')


def http() -> Iterator[bytes]:
    for path, bodies in BODIES.items():
        for body in bodies:
            text = json.dumps(body).encode()[:1900]
            yield headed("cut", b"POST %s HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (
                path.encode(), len(text), text))
    hello = b"GET /health?x=%41 HTTP/1.1\r\nHost: h\r\n\r\n"
    chunked = (b"POST /v1/a%20b HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nTrailer: x\r\n\r\n"
               b"4\r\nWiki\r\n6;note=1\r\npedia \r\n0\r\nX: y\r\n\r\n")
    yield headed("small", hello + chunked + hello)
    yield headed("old", b"GET http://h:80/a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n\r\n" + hello)
    yield headed("options", b"OPTIONS * HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n")
    yield headed("both", b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")


def parsers() -> Iterator[bytes]:
    for file in sorted((TEXT / "transcripts").glob("*.json")):
        content = json.loads(file.read_text())
        if not isinstance(content, dict):
            continue  # the tools
        for number, transcript in enumerate(content["transcripts"]):
            flags = ("" if "tools" in transcript else "T") + "M" * (number % 2 or file.stem == "harmony") + "O" * ("prompt" in transcript)
            yield headed(f"{content['tool_parser']} {content['reasoning_parser']} {flags or '-'} {number}", transcript["output"])


def messages() -> Iterator[bytes]:
    conversations = json.loads((TEXT / "conversations.json").read_text())
    names = ["demo", *sorted(file.stem for file in (TEXT / "templates").glob("*.jinja"))]
    for number, name in enumerate(names):
        for conversation in conversations[number % 3::3]:
            yield headed(name, json.dumps(conversation))


def templates() -> Iterator[bytes]:
    for file in sorted((TEXT / "templates").glob("*.jinja")):
        yield file.read_bytes()
    for snippet in json.loads((TEXT / "snippets.json").read_text())["snippets"]:
        yield snippet.encode()


def grammars() -> Iterator[bytes]:
    for number, (schema, _) in enumerate(make_schemas(60)):
        yield headed(f"json_schema {number}", json.dumps(schema))
    for name, schema in REFUSED:
        yield headed("json_schema", json.dumps(schema))
    yield headed("json_schema", '{"$ref": "#/$defs/a", "$defs": {"a": {"type": "array", "items": {"$ref": "#/$defs/a"}}}}')
    yield headed("json_object", "")
    for regex in ("[a-z]+@pippin\\.example", "(?s:.*)", "(ab|c){2,5}\\d*", "^\\w+(\\.\\w+)?$", "[^\\x00-\\x20é]*", "(?i)yes|no"):
        yield headed("regex", regex)
    for step in (97, 0.25, 9973, 86400, 9999991):
        yield headed("json_schema", json.dumps({"type": "integer", "multipleOf": step}))
    for regex in ("(a{1000}){1000}", "(.{1,80}\\n?){1,50}", "^([a-z]{1,100} ?){1,100}$"):
        yield headed("regex", regex)
    yield headed("json_schema", '{"items": {"$ref": "#/parts/a~1b%20c"}, "parts": {"a/b c": {"const": "yes"}}}')
    yield headed("json_schema", '{"allOf": [{"$ref": "#"}]}')
    yield headed("json_schema", json.dumps({"allOf": [{"enum": ["a", "b", "c"]}, {"anyOf": [{"enum": ["a"]}, {"pattern": "^b\\x1b?$"}]}]}))
    yield headed("json_schema", json.dumps({"patternProperties": {f"^p{i}-": {} for i in range(6)}, "prefixItems": [{}] * 6, "type": ["object", "array"]}))
    yield headed("json_schema", '{"enum": ["a\\u001bb", "\\u007f"]}')
    yield headed("choice", '["a\\u001bb", "\\u007f"]')
    yield headed("choice", '["yes", "no", "not yet", "The picture shows a cat."]')
    for lark in ('start: "a"+ "b"', 'start: expr\nexpr: term ("+" term)*\nterm: NUMBER | "(" expr ")"\nNUMBER: /[0-9]+/\n%ignore " "',
                 'start: %json {"type": "integer"}', 'start: A | b\nA: /x{1,3}/i\nb: "y"? ["z"]', 'start[max_tokens=5]: /.*/'):
        yield headed("lark", lark)
    for pattern in ("^(.{1,20}\n?){1,20}$", "^([a-z]{1,30} ?){1,30}$"):
        yield headed("json_schema", json.dumps({"type": "string", "pattern": pattern}))
    yield headed("json_schema", json.dumps({"properties": {"ab": {"type": "integer"}}, "patternProperties": {"^a": {"type": "number"}},
                                            "additionalProperties": {"type": "boolean"}, "type": "object"}))
    for name in call_formats():
        for rules in ("", " text one"):
            yield headed(f"calls {name}{rules}", json.dumps([TOOL, {"type": "function", "function": {"name": "now"}}]))


def call_formats() -> list[str]:
    """Every format has transcripts (parsers_test)."""
    return sorted(file.stem for file in (TEXT / "transcripts").glob("*.json") if file.stem != "tools")


def images() -> Iterator[bytes]:
    for file in sorted(MEDIA.iterdir()):
        if file.is_file() and file.suffix != ".ppm":
            yield file.read_bytes()


def videos() -> Iterator[bytes]:
    for file in sorted((MEDIA / "video").iterdir()):
        if file.suffix != ".ppm":
            yield file.read_bytes()
    for name, late in LATE.items():
        yield late((MEDIA / "video" / name).read_bytes(), 3600)


def data_urls() -> Iterator[bytes]:
    yield PIXEL.encode()
    for url in ("data:,", "data:,a%20b%C3%A9", "data:text/plain;charset=utf-8;base64,aGVs bG8\n=", "DATA:;BASE64,aGVsbG8",
                "data:;base64,aGVsbG8%3D", "data:image/jpeg;base64,/9j/4AAQ", "data:a;base64", "data:;base64,a===", "data:;base64,ab=c",
                # With spaces in the head, in base64url, and base64 without a head.
                "data:image/png; base64,aGVsbG8=", "data: image/png ;\tBASE64 ,aGVsbG8", "data:;base64,-_-__g==", "data:;base64,+_-/_g",
                PIXEL.split(",")[1], PIXEL.split(",")[1].rstrip("=").replace("+", "-").replace("/", "_")):
        yield url.encode()


def gguf() -> Iterator[bytes]:
    for folder in (ROOT / "tests/golden/gguf", ROOT / "src/text/testdata/tokenizers"):
        for file in sorted(folder.rglob("*.gguf")):
            if file.stat().st_size <= 65536:
                yield file.read_bytes()


MAKERS: dict[str, Callable[[], Iterator[bytes]]] = {
    "http": http, "requests": requests, "parsers": parsers, "messages": messages, "templates": templates, "grammars": grammars,
    "images": images, "videos": videos, "data_urls": data_urls, "gguf": gguf}
