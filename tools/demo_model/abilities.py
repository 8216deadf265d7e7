"""The two lists everything hangs on: what training draws from, and what the model is measured on.

Training draws whole conversations from MIX. Measuring makes one conversation whose last answer counts, from seeds that
training never uses (they are strings; training's are integers), for every ability; `unseen` variants use phrasings,
fonts, names and tool domains that training never sees.
"""
import json
import re
from typing import Callable, NamedTuple

from demo_model import chat, dialogs, pairs, reading, scenes, sums, tool_use, video
from demo_model.world import Dice

MIX = {
    scenes.make: 22, reading.make: 44, reading.make_mixed: 7, pairs.make: 8, dialogs.make: 7, scenes.make_photo: 1, video.make: 2,
    chat.make: 6, sums.make: 3, tool_use.make: 24, tool_use.make_with_picture: 4,
}


def training_sample(dice):
    """One conversation; some without a thought begin their last answer as a prompt with thinking switched off does."""
    conversation = dice.choices(list(MIX), list(MIX.values()))[0](dice)
    if "reasoning_content" not in conversation.messages[-1] and dice.chance(0.08):
        conversation.no_think = True
    return conversation


class Ability(NamedTuple):
    make: Callable          # dice -> Conversation
    group: str              # the model card's row
    unseen: bool = False    # with what training never sees


def scene(question, **how):
    return lambda dice: scenes.make(dice, question, **how)


ABILITIES = {
    "shape_single": Ability(scene(scenes.shape, count=1), "shape and colour"),
    "colour_single": Ability(scene(scenes.colour, count=1), "shape and colour"),
    "only_object": Ability(scene(scenes.only), "shape and colour"),
    "shape": Ability(scene(scenes.shape), "shape and colour"),
    "colour": Ability(scene(scenes.colour), "shape and colour"),
    "position": Ability(scene(scenes.position), "position and relation"),
    "side": Ability(scene(scenes.side), "position and relation"),
    "what_at": Ability(scene(scenes.what_at), "position and relation"),
    "relation": Ability(scene(scenes.relation), "position and relation"),
    "count_all": Ability(scene(scenes.count_all), "counting to 6"),
    "count_kind": Ability(scene(scenes.count_kind), "counting to 6"),
    "exist": Ability(scene(scenes.exist), "what is there and what is not"),
    "everyday": Ability(scene(scenes.everyday), "what is there and what is not"),
    "size": Ability(scene(scenes.size), "size"),
    "background": Ability(scene(scenes.ground), "background"),
    "describe": Ability(scene(scenes.describe), "whole description"),
    "picture_json": Ability(scene(scenes.as_json), "whole description"),
    "read_word": Ability(lambda dice: reading.make(dice, reading.word_of(dice)), "reading words to 6 letters"),
    "read_letters": Ability(lambda dice: reading.make(dice, reading.letters_of(dice)), "reading random letters"),
    "read_number": Ability(lambda dice: reading.make(dice, str(dice.randint(0, 999999))), "reading numbers"),
    "mixed": Ability(reading.make_mixed, "word and shapes in one picture"),
    "pair_more": Ability(lambda dice: pairs.make(dice, "more"), "two pictures compared"),
    "pair_same": Ability(lambda dice: pairs.make(dice, "same"), "two pictures compared"),
    "pair_each": Ability(lambda dice: pairs.make(dice, "each"), "one of two pictures"),
    "dialog_picture": Ability(lambda dice: dialogs.make(dice, dialogs.Dialog.newest), "long conversations"),
    "dialog_earlier": Ability(lambda dice: dialogs.make(dice, dialogs.Dialog.earlier), "long conversations"),
    "photo": Ability(scenes.make_photo, "photos refused"),
    "video": Ability(lambda dice: video.make(dice, alone=True), "clips"),
    "sum": Ability(lambda dice: sums.make(dice, alone=True), "arithmetic"),
    "tool_call": Ability(lambda dice: tool_use.make(dice, "call"), "tool calls"),
    "tool_call_long": Ability(lambda dice: tool_use.make(dice, "late_call"), "tool calls"),
    "tool_double": Ability(lambda dice: tool_use.make(dice, "double"), "two tool calls at once"),
    "tool_answer": Ability(lambda dice: tool_use.make(dice, "answer"), "answers from tool results"),
    "tool_picture": Ability(lambda dice: tool_use.make_with_picture(dice, alone=True), "tool calls about a picture"),
    "json": Ability(lambda dice: chat.make(dice, "json"), "JSON from a sentence"),
    "name": Ability(lambda dice: chat.make(dice, "name"), "a name remembered"),
    "repeat": Ability(lambda dice: chat.make(dice, "repeat"), "repeating a string"),
    "pippin": Ability(lambda dice: chat.make(dice, "pippin"), "questions about Pippin"),
    "greet": Ability(lambda dice: chat.make(dice, "greet"), "greetings"),
    "cannot": Ability(lambda dice: chat.make(dice, "cannot"), "says what it can't do"),
    "no_picture": Ability(lambda dice: chat.make(dice, "no_picture"), "says what it can't do"),
}
# The same abilities with unseen phrasings; for reading also unseen fonts, for tools also unseen domains (whose results are told by
# tool_use.RESULT).
UNSEEN = ["shape", "colour", "position", "relation", "count_all", "count_kind", "exist", "everyday", "describe", "read_word", "pair_more",
          "pair_same", "sum", "tool_call", "tool_answer", "json", "name", "pippin", "greet", "cannot"]
ABILITIES |= {f"{name}/unseen": ABILITIES[name]._replace(group=ABILITIES[name].group + ", unseen wording", unseen=True) for name in UNSEEN}
# Pictures drawn by the second generator have the abilities of demo_model.independent, measured beside these.


def held_out(name, i):
    """Held-out sample `i` of an ability."""
    ability = ABILITIES[name]
    return ability.make(Dice(f"held-out/{name}/{i}", ability.unseen))


# ---------------------------------------------------------------- judging an answer
def spoken(text):
    """An answer without its thought and end mark."""
    return text.split("</think>")[-1].replace("<|im_end|>", "").strip()


def calls_in(text):
    """[(name, arguments)] of every <tool_call> in a text; None where one is not JSON."""
    try:
        found = [json.loads(c) for c in re.findall(r"<tool_call>(.*?)</tool_call>", text, re.S)]
        return [(c["name"], c["arguments"]) for c in found]
    except (ValueError, KeyError, TypeError):
        return None


def wanted_calls(message):
    return [(c["function"]["name"], c["function"]["arguments"]) for c in message["tool_calls"]]


def right(conversation, text):
    """Whether `text` says what the conversation's last message says: to the letter, or as equal JSON or calls."""
    message = conversation.messages[-1]
    if conversation.judge == "calls":
        return calls_in(text) == wanted_calls(message)
    if conversation.judge == "json":
        try:
            return json.loads(spoken(text)) == json.loads(message["content"])
        except ValueError:
            return False
    return spoken(text) == message["content"].strip()
