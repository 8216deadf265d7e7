"""The chat template and its Python twin say the same; the tokenizer sees what training saw."""
import json
from pathlib import Path

import jinja2
import pytest
from tokenizers import Tokenizer

from demo_model import abilities, tokenizer
from demo_model.configs import model_config
from demo_model.packing import Encoder
from demo_model.template import TEMPLATE, Media, render
from demo_model.world import SPECIAL_TOKENS, Dice

SHIPPED = Path(__file__).parents[2] / "assets/demo-model"


@pytest.fixture(scope="module")
def template():
    environment = jinja2.Environment(trim_blocks=True, lstrip_blocks=True)
    environment.filters["tojson"] = lambda x: json.dumps(x, ensure_ascii=False)
    return environment.from_string(TEMPLATE)


def flat(conversation, prompt_only):
    """The twin's text, media as the template marks them."""
    def mark(i):
        kind = "image" if len(conversation.media[i]) == 1 else "video"
        return f"<|vision_start|><|{kind}_pad|><|vision_end|>"
    return "".join(mark(p) if isinstance(p, Media) else p for p, _ in render(conversation, prompt_only))


def test_the_twin_renders_as_the_template_does(template):
    dice = Dice("template")
    for make in list(abilities.MIX) * 25:
        conversation = make(dice)
        conversation.compact = False
        thinking = {"enable_thinking": False} if conversation.no_think else {}
        prompt = template.render(messages=conversation.messages[:-1], tools=conversation.tools, add_generation_prompt=True, **thinking)
        assert prompt == flat(conversation, True)
        if not conversation.no_think:
            assert template.render(messages=conversation.messages, tools=conversation.tools) == flat(conversation, False)


def test_thoughts_of_earlier_turns_are_dropped(template):
    text = template.render(messages=[
        {"role": "user", "content": "1 + 1"}, {"role": "assistant", "content": "<think>\n1 + 1 = 2\n</think>\n\n2"}, {"role": "user", "content": "And now?"}])
    assert text == "<|im_start|>user\n1 + 1<|im_end|>\n<|im_start|>assistant\n2<|im_end|>\n<|im_start|>user\nAnd now?<|im_end|>\n"


def test_calls_may_come_as_objects_or_as_text(template):
    def call(arguments):
        return template.render(messages=[{"role": "user", "content": "x"}, {"role": "assistant", "content": None, "tool_calls": [
            {"type": "function", "function": {"name": "f", "arguments": arguments}}]}])
    assert call({"a": 1}) == call('{"a": 1}')
    assert '<tool_call>{"name": "f", "arguments": {"a": 1}}</tool_call><|im_end|>' in call({"a": 1})


@pytest.fixture(scope="module")
def shipped():
    return Tokenizer.from_file(str(SHIPPED / "tokenizer.json"))


def test_the_shipped_files_are_what_the_recipe_writes(shipped):
    config = json.loads((SHIPPED / "config.json").read_text())
    assert config.pop("quantization") == config.pop("quantization_config")
    assert config == model_config(shipped)
    assert (SHIPPED / "chat_template.jinja").read_text() == TEMPLATE
    assert json.loads((SHIPPED / "tokenizer_config.json").read_text())["chat_template"] == TEMPLATE
    assert [shipped.token_to_id(t) for t in SPECIAL_TOKENS] == list(range(len(SPECIAL_TOKENS)))


def test_what_an_answer_says_survives_decoding(shipped):
    text = '<think>\n1 + 2 = 3\n</think>\n\n<tool_call>{"name": "f", "arguments": {"word": "Zürich"}}</tool_call>'
    assert shipped.decode(shipped.encode(text + "<|im_end|>").ids) == text


def test_capitals_and_digits_are_single_tokens(shipped):
    assert shipped.encode("HELLO").tokens == list("HELLO")
    assert shipped.encode("2048").tokens == list("2048")
    assert len(shipped.encode("hello").ids) == 1


def test_a_new_tokenizer_has_the_marks_and_keeps_the_spoken_ones(tmp_path):
    made = tokenizer.train(tmp_path / "t.json", ["hello hello world"] * 50)
    assert made.token_to_id("<|im_end|>") == 2
    assert made.decode(made.encode("<think>hello<|im_end|>").ids) == "<think>hello"


def test_training_learns_answers_alone(shipped):
    encoder, dice = Encoder(shipped), Dice("learn")
    for make in abilities.MIX:
        conversation = make(dice)
        sample = encoder(conversation)
        learnt = shipped.decode(sample.ids[sample.learn].tolist(), skip_special_tokens=False)
        last = conversation.messages[-1]
        spoken = [m for m in conversation.messages if m["role"] == "assistant" and m.get("learn", True) and ("read" not in m or m is last)]
        assert learnt.count("<|im_end|>") == len(spoken)
        assert (spoken[-1]["content"] or "<tool_call>") in learnt
