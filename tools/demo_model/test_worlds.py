"""The generators: same seed, same sample; every answer agrees with what was drawn."""
import json
import math
import re
import sys
from collections import Counter

import pytest

from demo_model import abilities, chat, dialogs, pairs, reading, scenes, sums, tool_use, video
from demo_model.resize import target_size
from demo_model.template import answer_text
from demo_model.world import CELLS, WORDS, Dice, Phrases, capital


def text_of(content):
    return content if isinstance(content, str) else " ".join(p.get("text", "") for p in content)


def same(a, b):
    return a.messages == b.messages and a.tools == b.tools and [[f.tobytes() for f in m] for m in a.media] == [[f.tobytes() for f in m] for m in b.media]


@pytest.mark.parametrize("make", abilities.MIX)
def test_a_seed_fixes_a_conversation(make):
    first, again, other = make(Dice(5)), make(Dice(5)), make(Dice(6))
    assert same(first, again)
    assert not same(first, other)


@pytest.mark.parametrize("name", abilities.ABILITIES)
def test_held_out_samples_end_with_a_wanted_answer(name):
    for i in range(3):
        conversation = abilities.held_out(name, i)
        assert conversation.messages[-2]["role"] in ("user", "tool")
        assert abilities.right(conversation, answer_text(conversation.messages[-1]))
        assert not abilities.right(conversation, "I have no idea.")


def test_media_and_their_marks_agree():
    dice = Dice(3)
    for _ in range(60):
        conversation = abilities.training_sample(dice)
        marks = sum(p["type"] != "text" for m in conversation.messages if isinstance(m["content"], list) for p in m["content"])
        assert marks == len(conversation.media)


def test_objects_keep_their_distance_from_borders_cells_and_each_other():
    dice = Dice(11)
    for _ in range(200):
        w, h = target_size(dice.randint(64, 1024), dice.randint(64, 1024))
        things = scenes.layout(dice, w, h)
        for i, t in enumerate(things):
            assert t["r"] <= t["x"] <= w - t["r"] and t["r"] <= t["y"] <= h - t["r"]
            assert t["cell"] == int(3 * t["y"] / h) * 3 + int(3 * t["x"] / w)
            assert all(math.hypot(t["x"] - u["x"], t["y"] - u["y"]) > t["r"] + u["r"] for u in things[:i])


def test_an_object_has_its_colour_in_the_picture():
    dice, checked = Dice(2), 0
    while checked < 40:
        scene = scenes.Scene(dice, size=(256, 256), count=1)
        for t in scene.things:
            if t["shape"] in ("circle", "square", "diamond", "rectangle", "oval"):
                around = scene.picture.resize((1, 1), box=(t["x"] * 256 - 2, t["y"] * 256 - 2, t["x"] * 256 + 2, t["y"] * 256 + 2))
                far = sum(abs(a - b) for a, b in zip(around.getpixel((0, 0)), t["rgb"]))
                checked += 1
                # A hollow shape shows its ground in the middle; noise and JPEG move colours a little.
                assert far < 100 or t["shape"] in ("square", "diamond", "rectangle")


def asked(question, count=200):
    """Many (scene, question, answer) of one kind."""
    dice = Dice(f"asked/{question.__name__}")
    for _ in range(count):
        scene = scenes.Scene(dice, size=(160, 160))
        got = question(dice, scene, "the picture")
        if got:
            yield scene, got[0], got[1]


def words(scene):
    return [(t["color"], t["shape"]) for t in scene.things]


def test_counts_are_right():
    for scene, _, answer in asked(scenes.count_all):
        n = len(scene.things)
        assert answer == f"There {'is' if n == 1 else 'are'} {n or 'no'} object{'' if n == 1 else 's'}."
    for scene, question, answer in asked(scenes.count_kind):
        found = re.search(r"There (?:is|are) (\w+) (.+)\.", answer)
        noun = re.sub(r"(object|circle|square|triangle|star|diamond|heart|ring|rectangle|oval)s$", r"\1", found[2]).replace("crosses", "cross")
        parts = [p for p in noun.split() if p != "object"]
        n = sum(all(p in w for p in parts) for w in words(scene))
        assert found[1] == (str(n) if n else "no"), (question, answer, words(scene))


def test_shapes_colours_and_places_are_right():
    for scene, _, answer in asked(scenes.shape):
        if found := re.fullmatch(r"The (\w+) object is an? (\w+)\.", answer):
            assert [s for c, s in words(scene) if c == found[1]] == [found[2]]
        else:
            assert not any(c in answer for c, _ in words(scene))
    for scene, _, answer in asked(scenes.colour):
        if found := re.fullmatch(r"The (\w+) is (\w+)\.", answer):
            assert [c for c, s in words(scene) if s == found[1]] == [found[2]]
    for scene, _, answer in asked(scenes.position):
        if found := re.fullmatch(r"The (.+) is in the (.+)\.", answer):
            parts = [p for p in found[1].split() if p != "object"]
            (thing,) = [t for t in scene.things if all(p in (t["color"], t["shape"]) for p in parts)]
            assert CELLS[thing["cell"]] == found[2]


def test_relations_are_right():
    seen = Counter()
    for scene, _, answer in asked(scenes.relation):
        found = re.fullmatch(r"(Yes|No), the (.+?) is (?:not )?(to the left of|to the right of|above|below) the (.+)\.", answer)
        one, two = ([t for t in scene.things if all(p in (t["color"], t["shape"]) for p in words_.split() if p != "object")]
                    for words_ in (found[2], found[4]))
        (p,), (q,) = one, two
        true = {"to the left of": p["x"] < q["x"], "to the right of": p["x"] > q["x"], "above": p["y"] < q["y"], "below": p["y"] > q["y"]}[found[3]]
        assert (found[1] == "Yes") == true
        seen[found[1]] += 1
    assert min(seen["Yes"], seen["No"]) > 20


def test_descriptions_list_every_object_in_reading_order():
    for scene, _, answer in asked(scenes.describe):
        if scene.things:
            found = re.findall(r"an? (\w+) (\w+) in the (top left|top middle|top right|middle left|centre|middle right|bottom left|bottom middle|bottom right)", answer)
            assert found == [(t["color"], t["shape"], CELLS[t["cell"]]) for t in scene.things]
        else:
            assert answer == "The picture is empty."


def test_sums_are_right_at_every_step():
    dice = Dice(8)
    for _ in range(400):
        _, thought, answer, result = sums.one(dice)
        a, sign, b, value = re.fullmatch(r"(\d+) ([-+*]) (\d+) = (-?\d+)", answer).groups()
        assert int(value) == result == {"+": int(a) + int(b), "-": int(a) - int(b), "*": int(a) * int(b)}[sign]
        for line in thought.split("\n"):
            if " = " in line:
                x, op, y, z = re.fullmatch(r"(\d+) ([-+*]) (\d+) = (\d+)", line).groups()
                assert int(z) == {"+": int(x) + int(y), "-": int(x) - int(y), "*": int(x) * int(y)}[op]


def test_same_pictures_are_equal_and_different_ones_differ():
    dice, seen = Dice(4), Counter()
    for _ in range(40):
        (first, second), _, answer = pairs.comparison(dice, "same")
        equal = first.picture.tobytes() == second.picture.tobytes()
        assert answer == f"The pictures are {'the same' if equal else 'different'}."
        seen[equal] += 1
    assert min(seen.values()) > 8


def test_calls_fit_their_tools():
    dice = Dice(9)
    for _ in range(150):
        conversation = tool_use.make(dice)
        tools = {f["name"]: f["parameters"] for f in (t.get("function", t) for t in conversation.tools)}
        types = {"string": str, "integer": int, "number": int}
        for message in conversation.messages:
            for call in message.get("tool_calls", []):
                f = call["function"]
                properties = tools[f["name"]]["properties"]
                assert list(f["arguments"]) == tools[f["name"]]["required"]
                assert all(isinstance(v, types[properties[k]["type"]]) for k, v in f["arguments"].items())
                assert all(v in properties[k].get("enum", [v]) for k, v in f["arguments"].items())


def test_what_a_call_carries_stands_in_the_request():
    dice = Dice(10)
    for _ in range(150):
        conversation = tool_use.make(dice, "call")
        request = conversation.messages[-2]["content"]
        (call,) = conversation.messages[-1]["tool_calls"]
        values = [str(v) for v in call["function"]["arguments"].values()]
        assert all(v in request or capital(v) in request for v in values), (request, values)   # it may begin the sentence


def test_json_and_names_repeat_the_user_letter_by_letter():
    dice = Dice(12)
    for _ in range(200):
        question, text = chat.to_json(dice)
        assert all(str(v) in question for v in json.loads(text).values())
        turns = chat.name_turns(dice)
        name = re.fullmatch(r"Your name is (.+)\.", turns[-1][1])[1]
        assert name in turns[0][0]
        question, answer = chat.repeat(dice)
        assert question.endswith(answer)


def test_unseen_dice_take_what_training_never_sees():
    assert {Dice(i, unseen=True).pick(Phrases(("a",), ("b",))) for i in range(20)} == {"b"}
    assert {Dice(i).pick(Phrases(("a",), ("b",))) for i in range(20)} == {"a"}
    seen = {n for i in range(300) for n in (d.names for d in tool_use.Toolbox(Dice(i)).domains)}
    unseen = {n for i in range(50) for n in (d.names for d in tool_use.Toolbox(Dice(i, unseen=True)).domains)}
    assert not seen & unseen
    assert not set(reading.font_files(False)) & set(reading.font_files(True))


def test_words_can_be_told_apart():
    dice = Dice(13)
    for _ in range(500):
        text = reading.random_text(dice)
        assert 1 <= len(text) <= 6 and not set(text.lower()) <= set("cosuvwxz")
        assert 2 <= len(reading.word_of(dice)) <= 6 and 2 <= len(reading.letters_of(dice)) <= 6
    assert not set(reading.NEW_WORDS) & set(WORDS)


def test_clips_have_frames_of_one_size():
    clip = video.make(Dice(1)).media[0]
    assert 4 <= len(clip) <= 8 and len({f.size for f in clip}) == 1 and all(side % 32 == 0 for side in clip[0].size)


def test_dialogs_end_as_asked():
    for i in range(10):
        conversation = dialogs.make(Dice(i), dialogs.Dialog.newest)
        assert conversation.messages[-1]["role"] == "assistant" and conversation.media


def test_training_knows_nothing_of_the_second_generator():
    code = "import demo_model.abilities, demo_model.packing, demo_model.tokenizer, sys; assert 'demo_model.independent' not in sys.modules"
    import subprocess
    from pathlib import Path
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[1])
