"""The chat template, and its twin in Python that also says which text is the model's own.

ChatML marks; tools as one JSON object a line in the system message; a call as <tool_call>{...}</tool_call>; thoughts of
earlier turns are dropped. `render` gives what the template gives (a test compares them) as pieces, because training
needs to know what to learn and where pictures stand.
"""
import json

TEMPLATE = r"""
{%- macro text_of(content) -%}
  {%- if content is string -%}{{- content -}}
  {%- elif content -%}
    {%- for part in content -%}
      {%- if part.type in ['image', 'image_url', 'input_image'] -%}{{- '<|vision_start|><|image_pad|><|vision_end|>' -}}
      {%- elif part.type in ['video', 'video_url'] -%}{{- '<|vision_start|><|video_pad|><|vision_end|>' -}}
      {%- elif part.text is defined -%}{{- part.text -}}
      {%- endif -%}
    {%- endfor -%}
  {%- endif -%}
{%- endmacro -%}
{%- set state = namespace(last_user=-1, first=0, system='') -%}
{%- for message in messages -%}
  {%- if message.role == 'user' -%}{%- set state.last_user = loop.index0 -%}{%- endif -%}
{%- endfor -%}
{%- if messages and messages[0].role in ['system', 'developer'] -%}
  {%- set state.system = text_of(messages[0].content) -%}
  {%- set state.first = 1 -%}
{%- endif -%}
{%- if tools -%}
  {{- '<|im_start|>system\n' -}}
  {%- if state.system -%}{{- state.system + '\n\n' -}}{%- endif -%}
  {{- 'Tools you can call:' -}}
  {%- for tool in tools -%}{{- '\n' + (tool | tojson) -}}{%- endfor -%}
  {{- '\nA call is written <tool_call>{"name": tool, "arguments": {...}}</tool_call><|im_end|>\n' -}}
{%- elif state.system -%}
  {{- '<|im_start|>system\n' + state.system + '<|im_end|>\n' -}}
{%- endif -%}
{%- for message in messages -%}
  {%- if loop.index0 >= state.first -%}
    {%- if message.role == 'assistant' -%}
      {%- set words = text_of(message.content) -%}
      {%- set thought = message.reasoning_content if message.reasoning_content is string else '' -%}
      {%- if '</think>' in words -%}
        {%- if not thought -%}{%- set thought = words.split('</think>')[0].split('<think>')[-1].strip() -%}{%- endif -%}
        {%- set words = words.split('</think>')[-1].strip() -%}
      {%- endif -%}
      {{- '<|im_start|>assistant\n' -}}
      {%- if thought and loop.index0 > state.last_user -%}{{- '<think>\n' + thought + '\n</think>\n\n' -}}{%- endif -%}
      {{- words -}}
      {%- for call in message.tool_calls or [] -%}
        {%- set called = call.function if call.function else call -%}
        {%- if not loop.first or words -%}{{- '\n' -}}{%- endif -%}
        {{- '<tool_call>{"name": "' + called.name + '", "arguments": ' -}}
        {%- if called.arguments is string -%}{{- called.arguments -}}{%- else -%}{{- called.arguments | tojson -}}{%- endif -%}
        {{- '}</tool_call>' -}}
      {%- endfor -%}
      {{- '<|im_end|>\n' -}}
    {%- elif message.role == 'tool' -%}
      {{- '<|im_start|>tool\n<tool_response>' -}}{{- text_of(message.content) -}}{{- '</tool_response><|im_end|>\n' -}}
    {%- else -%}
      {{- '<|im_start|>' + message.role + '\n' -}}{{- text_of(message.content) -}}{{- '<|im_end|>\n' -}}
    {%- endif -%}
  {%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}
  {{- '<|im_start|>assistant\n' -}}
  {%- if enable_thinking is defined and enable_thinking is false -%}{{- '<think>\n\n</think>\n\n' -}}{%- endif -%}
{%- endif -%}
""".strip() + "\n"

TOOLS_HEAD = "Tools you can call:"
TOOLS_TAIL = 'A call is written <tool_call>{"name": tool, "arguments": {...}}</tool_call>'
NO_THOUGHT = "<think>\n\n</think>\n\n"


def dumps(value, compact=False):
    """JSON as the template's tojson writes it; `compact` as some servers do."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":") if compact else None)


def answer_text(message, with_thought=True):
    """What the model itself writes for an assistant message, without the end mark."""
    text = message["content"] or ""
    for i, call in enumerate(message.get("tool_calls", [])):
        f = call["function"]
        text += ("\n" if i or text else "") + '<tool_call>{"name": "%s", "arguments": %s}</tool_call>' % (f["name"], dumps(f["arguments"]))
    thought = message.get("reasoning_content")
    return f"<think>\n{thought}\n</think>\n\n{text}" if thought and with_thought else text


class Spelled(str):
    """In `render`'s pieces: an answer with a word, `read`, that was read from a picture: it is said letter by letter."""
    read = ""


class Media(int):
    """In `render`'s pieces: the index of the picture or clip that stands here."""


def answer_piece(message, text, last):
    """(text, learnt) of one answer. Earlier answers come back to the model as plain text, so only the last one is spelled."""
    if "read" not in message:
        return text, message.get("learn", True)
    if not last:
        return text, False
    piece = Spelled(text)
    piece.read = message["read"]
    return piece, True


def render(conversation, prompt_only=False):
    """[(text or Media, whether the model says it)] of a conversation, or of all but its last answer."""
    messages, pieces, seen = conversation.messages, [], 0
    last_user = max(i for i, m in enumerate(messages) if m["role"] == "user")
    system = messages[0]["content"] if messages[0]["role"] == "system" else ""
    if conversation.tools:
        lines = [TOOLS_HEAD, *(dumps(t, conversation.compact) for t in conversation.tools), TOOLS_TAIL]
        pieces.append(("<|im_start|>system\n" + (system + "\n\n" if system else "") + "\n".join(lines) + "<|im_end|>\n", False))
    elif system:
        pieces.append(("<|im_start|>system\n" + system + "<|im_end|>\n", False))
    for i, m in enumerate(messages[: len(messages) - prompt_only]):
        if m["role"] == "assistant":
            last = i == len(messages) - 1
            pieces.append(("<|im_start|>assistant\n" + (NO_THOUGHT if last and conversation.no_think else ""), False))
            pieces.append(answer_piece(m, answer_text(m, i > last_user) + "<|im_end|>", last))
            pieces.append(("\n", False))
        elif m["role"] == "tool":
            pieces.append(("<|im_start|>tool\n<tool_response>" + m["content"] + "</tool_response><|im_end|>\n", False))
        elif m["role"] == "user":
            pieces.append(("<|im_start|>user\n", False))
            for part in [{"type": "text", "text": m["content"]}] if isinstance(m["content"], str) else m["content"]:
                if part["type"] == "text":
                    pieces.append((part["text"], False))
                else:
                    pieces.append((Media(seen), False))
                    seen += 1
            pieces.append(("<|im_end|>\n", False))
    if prompt_only:
        pieces.append(("<|im_start|>assistant\n" + (NO_THOUGHT if conversation.no_think else ""), False))
    return pieces
