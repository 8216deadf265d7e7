"""The Jinja2 environment that transformers gives chat templates: the oracle of our renderer."""

import copy
import datetime
import json

import jinja2
import jinja2.ext
import jinja2.sandbox

NOW = datetime.datetime(2026, 11, 22, 19, 32, 12)
SPECIAL_TOKENS = {
    "bos_token": "<s>",
    "eos_token": "</s>",
    "pad_token": "<pad>",
    "unk_token": "<unk>",
}


class GenerationBlocks(jinja2.ext.Extension):
    """Renders {% generation %} ... {% endgeneration %} as its body, in a scope of its own."""

    tags = frozenset({"generation"})

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
        call = self.call_method("_body")
        return jinja2.nodes.CallBlock(call, [], [], body).set_lineno(line)

    def _body(self, caller):
        return caller()


def raise_exception(message):
    raise jinja2.exceptions.TemplateError(message)


def tojson(value, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
    return json.dumps(
        value,
        ensure_ascii=ensure_ascii,
        indent=indent,
        separators=separators,
        sort_keys=sort_keys,
    )


def environment():
    env = jinja2.sandbox.ImmutableSandboxedEnvironment(
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=[GenerationBlocks, jinja2.ext.loopcontrols],
    )
    env.filters["tojson"] = tojson
    env.globals["raise_exception"] = raise_exception
    env.globals["strftime_now"] = NOW.strftime
    return env


def render(source, case):
    """{"text": ...} of a rendering, {"raised": words} where the template refuses the input, or
    {"failed": True} where the input breaks it."""
    variables = dict(SPECIAL_TOKENS)
    variables.update(case.get("kwargs", {}))
    try:
        text = environment().from_string(source).render(
            messages=copy.deepcopy(case["messages"]),
            tools=case.get("tools"),
            documents=variables.pop("documents", None),
            add_generation_prompt=case.get("add_generation_prompt", True),
            **variables,
        )
    except jinja2.exceptions.TemplateSyntaxError:
        raise
    except jinja2.exceptions.UndefinedError:
        return {"failed": True}
    except jinja2.exceptions.TemplateError as error:
        return {"raised": str(error)}
    except (TypeError, ValueError, AttributeError, KeyError, IndexError):
        return {"failed": True}
    return {"text": text}


def continued(source, case):
    """As render(), of a prompt that ends within the last message's text, or its "field": transformers' continue_final_message."""
    tag = "CONTINUE_FINAL_MESSAGE_TAG "
    field = case.get("field", "content")
    messages = copy.deepcopy(case["messages"])
    final = messages[-1].get(field)
    if not isinstance(final, str):
        return {"failed": True}
    names = {"content": ("content",), "reasoning_content": ("reasoning_content", "thinking")}[field]
    for name in names:
        messages[-1][name] = final + tag
    result = render(source, {**case, "messages": messages, "add_generation_prompt": False})
    if "text" not in result:
        return result
    text = result["text"]
    if final.strip() not in text or tag.strip() not in text:
        return {"failed": True}
    place = text.rindex(tag.strip())
    kept = text[place:].startswith(tag)
    return {"text": text[:place] if kept else text[:place].rstrip()}
