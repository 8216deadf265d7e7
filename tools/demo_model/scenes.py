"""Pictures of a few coloured shapes, and every question about them that has one right answer.

Objects never overlap, their centres stay away from the borders of the 3 x 3 cells that positions are told in, and a
question is asked only where the picture decides it by a clear margin.
"""
import json
import math

from PIL import Image

from demo_model import drawing, resize
from demo_model.wording import SHORT_SUFFIXES, SHORT_SYSTEMS, system_message, typed
from demo_model.world import (CELLS, COLOR_NAMES, SHAPES, WORDS, Conversation, Dice, a, assistant, capital, listed, made_up,
                              phrases, plural, user)

MOST = 8  # objects in a picture; descriptions list up to 6


# ---------------------------------------------------------------- the scene
def layout(dice, w, h, count=None, few_kinds=0.35):
    """Objects with a place, in a w x h picture as the model will see it, in reading order of their cells."""
    if count is None:
        count = dice.choices(range(MOST + 1), [0.4, 5, 5, 5, 5, 5, 5, 0.7, 0.7])[0]
    few = dice.chance(few_kinds)  # few kinds give larger counts of one kind
    shapes = dice.sample(SHAPES, 2) if few else SHAPES
    colors = dice.sample(COLOR_NAMES, 2) if few else COLOR_NAMES
    things, short = [], min(w, h)
    largest = min(0.45 * short, {0: 60, 1: 60, 2: 45, 3: 32, 4: 30}.get(count, 26) * max(1, math.sqrt(w * h) / 192))
    for _ in range(count):
        placed = place(dice, things, w, h, min(9.5, largest), largest)
        if placed:
            cell, x, y, r = placed
            thing = drawing.new_object(dice, dice.pick(shapes), dice.pick(colors))
            things.append(dict(thing, cell=cell, x=x, y=y, r=r))
    things.sort(key=lambda t: (t["cell"], t["x"]))
    return things


def place(dice, things, w, h, smallest, largest):
    """A free spot: (cell, x, y, radius), or None where the picture is full."""
    for attempt in range(60):
        r = dice.uniform(smallest, largest if attempt < 30 else (smallest + largest) / 2)
        cell = dice.randrange(9)
        x, y = (cell % 3 + dice.uniform(0.1, 0.9)) * w / 3, (cell // 3 + dice.uniform(0.1, 0.9)) * h / 3
        inside = r < x < w - r and r < y < h - r
        if inside and all(math.hypot(x - t["x"], y - t["y"]) > 1.1 * (r + t["r"]) + 2 for t in things):
            return cell, x, y, r
    return None


class Scene:
    """A drawn scene: its picture, its objects, the colour of its ground where that has a name.

    Positions and radii are fractions of the picture, so that comparisons hold whatever its size. Scenes of the same
    `look` (a seed) are drawn in the same manner."""

    def __init__(self, dice, size=None, count=None, things=None, few_kinds=0.35, look=None):
        self.size = size or drawing.picture_size(dice)
        seen = resize.target_size(*self.size)
        if things is None:
            things = layout(dice, *seen, count, few_kinds)
            for t in things:
                t.update(x=t["x"] / seen[0], y=t["y"] / seen[1], r=t["r"] / math.sqrt(seen[0] * seen[1]))
        self.things = things
        self.picture, self.ground = draw(dice if look is None else Dice(look), *self.size, things)


def draw(dice, w, h, things):
    """The picture of placed objects -> (picture, name of the ground's colour or None)."""
    taken = {t["color"] for t in things}
    picture, name = drawing.ground(dice, w, h, [t["rgb"] for t in things], taken)
    how = drawing.manner(dice)
    seen = resize.target_size(w, h)
    scale = math.sqrt(seen[0] * seen[1]) * min(w / seen[0], h / seen[1])
    for t in things:
        drawing.stamp(dice, picture, t, how, t["x"] * w, t["y"] * h, t["r"] * scale)
    return drawing.aged(dice, picture), name


# ---------------------------------------------------------------- words for objects
def full(t):
    return t["color"] + " " + t["shape"]


def with_place(t):
    return f"{a(full(t))} in the {CELLS[t['cell']]}"


def alone(things, key):
    """The objects that nothing else shares `key` with."""
    groups = {}
    for t in things:
        groups.setdefault(key(t), []).append(t)
    return [g[0] for g in groups.values() if len(g) == 1]


def referred(dice, things):
    """(object, words that fit it alone), or None: by colour and shape, or by one of them where that suffices."""
    ways = [(t, full(t)) for t in alone(things, full)] * 2
    ways += [(t, t["shape"]) for t in alone(things, lambda t: t["shape"])]
    ways += [(t, t["color"] + " object") for t in alone(things, lambda t: t["color"])]
    return dice.pick(ways) if ways else None


# ---------------------------------------------------------------- questions
# Each takes (dice, scene, pic) and returns (question, answer, answer in a word or None), or None where it would not
# be fair. `pic` is how the picture is called in the question: "the picture", "the first picture" ...
DESCRIBE = phrases("Describe {pic}.", "What is in {pic}?", "What do you see in {pic}?", "Tell me what {pic} shows.",
                   "What does {pic} show?", "What's in {pic}?", "Describe {pic} in detail.", "Please describe {pic}.",
                   "List the objects in {pic}.", "Which objects are in {pic}?", "What can you see in {pic}?",
                   "What objects do you see in {pic}?", "What shapes are in {pic}?", "Explain what is in {pic}.",
                   "What is shown in {pic}?", "Name all objects in {pic}.", "Tell me everything you see in {pic}.", "Could you describe {pic}?",
                   "Name the things in {pic}.", "Give me a description of {pic}.",
                   unseen=["Can you describe {pic} to me?", "What is visible in {pic}?", "Name everything in {pic}."])


def describe(dice, scene, pic):
    n = len(scene.things)
    if n > 6:
        return None
    question = dice.pick(DESCRIBE).format(pic=pic)
    if n == 0:
        return question, f"{capital(pic)} is empty.", None
    items = listed([with_place(t) for t in scene.things])
    return question, f"{capital(pic)} shows {items}." if n == 1 else f"{capital(pic)} shows {n} objects: {items}.", None


SHAPE = phrases("What shape is the {c} object in {pic}?", "What is the {c} thing in {pic}?", "Which shape is {c} in {pic}?",
                "Name the shape of the {c} object in {pic}.", "What is the shape of the {c} object in {pic}?",
                "What {c} object is in {pic}?", "What {c} shape is in {pic}?", "What kind of shape is the {c} one in {pic}?", "Tell me the shape of the {c} object in {pic}.", "The {c} object in {pic} has which shape?",
                unseen=["The {c} object in {pic}: what shape does it have?", "Which {c} shape do you see in {pic}?"])


def shape(dice, scene, pic):
    ones = alone(scene.things, lambda t: t["color"])
    if not ones or dice.chance(0.05):
        return missing_color(dice, scene, pic)
    t = dice.pick(ones)
    return dice.pick(SHAPE).format(c=t["color"], pic=pic), f"The {t['color']} object is {a(t['shape'])}.", t["shape"]


def missing_color(dice, scene, pic):
    c = dice.pick([c for c in COLOR_NAMES if c not in {t["color"] for t in scene.things}])
    return dice.pick(SHAPE).format(c=c, pic=pic), f"There is no {c} object in {pic}.", None


COLOUR = phrases("What colour is the {s} in {pic}?", "What color is the {s} in {pic}?", "Which colour does the {s} in {pic} have?",
                 "Tell me the colour of the {s} in {pic}.", "What is the color of the {s} in {pic}?", "Which color is the {s} in {pic}?",
                 "Name the colour of the {s} in {pic}.", "Say the colour of the {s} in {pic}.", "The {s} in {pic} has which color?", "In {pic}, what color is the {s}?",
                 unseen=["The {s} in {pic}: what colour does it have?", "Say which color the {s} in {pic} is."])


def colour(dice, scene, pic):
    ones = alone(scene.things, lambda t: t["shape"])
    if not ones or dice.chance(0.05):
        return missing_shape(dice, scene, pic)
    t = dice.pick(ones)
    return dice.pick(COLOUR).format(s=t["shape"], pic=pic), f"The {t['shape']} is {t['color']}.", t["color"]


def missing_shape(dice, scene, pic):
    s = dice.pick([s for s in SHAPES if s not in {t["shape"] for t in scene.things}])
    return dice.pick(COLOUR).format(s=s, pic=pic), f"There is no {s} in {pic}.", None


ONLY_SHAPE = phrases("What shape is it?", "Which shape is in {pic}?", "What shape is in {pic}?", "What shape is this?",
                     "What shape do you see?", "Name the shape in {pic}.", "What is the shape in {pic}?",
                     unseen=["Tell me which shape {pic} shows.", "Which shape can you see?"])
ONLY_COLOUR = phrases("What colour is it?", "What color is the object?", "What colour is the object in {pic}?",
                      "What color is the shape in {pic}?", "Which colour does it have?", "What color is this shape?",
                      unseen=["Tell me the color of the object.", "In which colour is it drawn?"])


def only(dice, scene, pic):
    """Shape or colour of a picture's single object, which needs no name."""
    if len(scene.things) != 1:
        return None
    t = scene.things[0]
    if dice.chance(0.5):
        return dice.pick(ONLY_SHAPE).format(pic=pic), f"It is {a(t['shape'])}.", t["shape"]
    return dice.pick(ONLY_COLOUR).format(pic=pic), f"It is {t['color']}.", t["color"]


POSITION = phrases("Where is the {o} in {pic}?", "In which part of {pic} is the {o}?", "Where do you see the {o} in {pic}?",
                   "Where in {pic} is the {o}?", "What is the position of the {o} in {pic}?", "Find the {o} in {pic}.",
                   "Where can I find the {o} in {pic}?", "Tell me where the {o} is in {pic}.", "Locate the {o} in {pic}.",
                   unseen=["In {pic}, where is the {o} placed?", "At which place in {pic} is the {o}?"])


def position(dice, scene, pic):
    one = referred(dice, scene.things)
    if not one:
        return None
    t, words = one
    if dice.chance(0.05):
        words = absent(dice, scene)
        return dice.pick(POSITION).format(o=words, pic=pic), f"There is no {words} in {pic}.", None
    place_ = CELLS[t["cell"]]
    return dice.pick(POSITION).format(o=words, pic=pic), f"The {words} is in the {place_}.", place_


def absent(dice, scene):
    """Words for an object that the scene does not have: often half right, to tempt."""
    present = {full(t) for t in scene.things}
    while True:
        t = dict(dice.pick(scene.things)) if scene.things else {"color": "red", "shape": "star"}
        if dice.chance(0.5):
            t["color"] = dice.pick(COLOR_NAMES)
        else:
            t["shape"] = dice.pick(SHAPES)
        if full(t) not in present:
            return full(t)


SIDE_OF = phrases("Is the {o} on the {x} or on the {y} side of {pic}?", "Is the {o} in the {x} or {y} half of {pic}?",
                  "Is the {o} {x} or {y} in {pic}?", unseen=["Which side of {pic} is the {o} on, {x} or {y}?"])


def side(dice, scene, pic):
    one = referred(dice, scene.things)
    if not one:
        return None
    t, words = one
    x, y, at = ("left", "right", t["x"]) if dice.chance(0.6) else ("top", "bottom", t["y"])
    if abs(at - 0.5) < 0.12:
        return None
    answer = x if at < 0.5 else y
    if dice.chance(0.5):
        x, y = y, x
    return dice.pick(SIDE_OF).format(o=words, pic=pic, x=x, y=y), f"The {words} is on the {answer} side.", answer


AT = phrases("What is in the {cell} of {pic}?", "Which object is in the {cell} of {pic}?", "What do you see in the {cell} of {pic}?",
             "What's at the {cell} of {pic}?", "What is there in the {cell} of {pic}?", "Is there anything in the {cell} of {pic}?",
             unseen=["Tell me what is in the {cell} of {pic}."])
OTHER_NAMES = {"centre": ["center", "middle"], "top left": ["top left corner", "upper left"], "top right": ["top right corner",
               "upper right"], "bottom left": ["bottom left corner", "lower left"], "bottom right": ["bottom right corner",
               "lower right"], "middle left": ["left middle"], "middle right": ["right middle"],
               "top middle": ["top centre", "top center"], "bottom middle": ["bottom centre", "bottom center"]}


def what_at(dice, scene, pic):
    cells = [t["cell"] for t in scene.things]
    cell = dice.pick(cells) if cells and dice.chance(0.8) else dice.randrange(9)
    called = CELLS[cell] if dice.chance(0.7) else dice.pick(OTHER_NAMES[CELLS[cell]])
    found = [a(full(t)) for t in scene.things if t["cell"] == cell]
    question = dice.pick(AT).format(cell=called, pic=pic)
    return question, f"There is {listed(found) if found else 'nothing'} in the {CELLS[cell]}.", None


RELATIONS = {"to the left of": ["to the left of", "left of", "on the left of"],
             "to the right of": ["to the right of", "right of", "on the right of"],
             "above": ["above", "over", "higher than"], "below": ["below", "under", "lower than", "beneath"]}
RELATION = phrases("Is the {p} {rel} the {q} in {pic}?", "In {pic}, is the {p} {rel} the {q}?", "Is the {p} {rel} the {q}?",
                   "Does {pic} show the {p} {rel} the {q}?", unseen=["Would you say that the {p} is {rel} the {q}?"])


def relation(dice, scene, pic):
    first, second = referred(dice, scene.things), referred(dice, scene.things)
    if not first or first[0] is second[0]:
        return None
    (p, p_words), (q, q_words) = first, second
    dx, dy, fair = p["x"] - q["x"], p["y"] - q["y"], []
    if abs(dx) > 0.1:
        fair += [("to the left of", dx < 0), ("to the right of", dx > 0)]
    if abs(dy) > 0.1:
        fair += [("above", dy < 0), ("below", dy > 0)]
    if not fair:
        return None
    rel, true = dice.pick(fair)
    said = rel if dice.chance(0.6) else dice.pick(RELATIONS[rel])
    question = dice.pick(RELATION).format(p=p_words, q=q_words, rel=said, pic=pic)
    if true:
        return question, f"Yes, the {p_words} is {rel} the {q_words}.", "yes"
    return question, f"No, the {p_words} is not {rel} the {q_words}.", "no"


COUNT_ALL = phrases("How many objects are in {pic}?", "Count the objects in {pic}.", "How many things do you see in {pic}?",
                    "How many shapes are there in {pic}?", "How many objects are there in {pic}?", "What is the number of objects in {pic}?",
                    "Count all the shapes in {pic}.", "How many shapes does {pic} have?", "How many objects can you see in {pic}?", "How many are there in {pic}?", "Count everything you see in {pic}.",
                    "How many things are there in {pic}?", "Count all objects.", "Give me the number of shapes in {pic}.",
                    unseen=["Tell me how many objects {pic} contains.", "Please count everything in {pic}."])


def counted(n, noun):
    return f"There {'is' if n == 1 else 'are'} {n or 'no'} {noun}."


def count_all(dice, scene, pic):
    n = len(scene.things)
    return dice.pick(COUNT_ALL).format(pic=pic), counted(n, plural("object", n)), str(n)


COUNT_KIND = phrases("How many {things} are in {pic}?", "Count the {things} in {pic}.", "How many {things} do you see in {pic}?",
                     "How many {things} are there in {pic}?", "What is the number of {things} in {pic}?", "How many {things} does {pic} have?",
                     "Count how many {things} are in {pic}.", unseen=["Tell me how many {things} {pic} contains."])


def count_kind(dice, scene, pic):
    how = dice.choices(["shape", "color", "both"], [5, 5, 2])[0]
    key = {"shape": lambda t: t["shape"], "color": lambda t: t["color"], "both": full}[how]
    there = [key(t) for t in scene.things]
    if there and dice.chance(0.8):
        noun = dice.pick(there)
    else:
        noun = {"shape": dice.pick(SHAPES), "color": dice.pick(COLOR_NAMES)}.get(how) or absent(dice, scene)
    n = there.count(noun)
    if how == "color":
        noun += " object"
    return dice.pick(COUNT_KIND).format(things=plural(noun), pic=pic), counted(n, plural(noun, n)), str(n)


EXIST = phrases("Is there {x} in {pic}?", "Do you see {x} in {pic}?", "Can you see {x} in {pic}?", "Does {pic} show {x}?",
                "Does {pic} contain {x}?", "Is {x} in {pic}?",
                "Is {x} visible in {pic}?", "Can {x} be seen in {pic}?", "Would you say there is {x} in {pic}?", "Is there {x} somewhere in {pic}?",
                "Does {pic} have {x}?", "Do you find {x} in {pic}?", "Is {x} shown in {pic}?", "Is {x} present in {pic}?", "Is {x} part of {pic}?",
                "Is {x} also in {pic}?", "Is {x} really in {pic}?", "Is {x} drawn in {pic}?", "Is {x} one of the things in {pic}?",
                "Look at {pic}: is {x} there?", "Do you spot {x} anyplace in {pic}?", "I am looking for {x} in {pic}, is it there?", unseen=["Would you find {x} in {pic}?", "Is {x} anywhere in {pic}?"])


def exist(dice, scene, pic):
    how = dice.choices(["full", "shape", "color"], [5, 3, 3])[0]
    key = {"full": full, "shape": lambda t: t["shape"], "color": lambda t: t["color"]}[how]
    there = [key(t) for t in scene.things]
    if there and dice.chance(0.5):
        noun = dice.pick(there)
    elif how == "full":
        noun = absent(dice, scene)
    else:
        noun = dice.pick(SHAPES if how == "shape" else COLOR_NAMES)
    n = there.count(noun)
    noun += " object" if how == "color" else ""
    question = dice.pick(EXIST).format(x=a(noun), pic=pic)
    if n == 0:
        return question, f"No, there is no {noun}.", "no"
    return question, f"Yes, there is {a(noun)}." if n == 1 else f"Yes, there are {n} {plural(noun)}.", "yes"


THINGS = """dog cat car house tree person man woman child bird cup table chair flower boat bicycle plane cloud sun moon phone
book bottle apple banana horse elephant computer road mountain face hand door window fish cow bus train clock""".split()
UNSEEN_THINGS = "giraffe sandwich guitar bridge candle laptop tiger".split()


NOT_THINGS = {*SHAPES, *UNSEEN_THINGS, *COLOR_NAMES, "image", "left", "right", "top", "down", "up", "big", "small", "model", "class", "text"}


def something(dice):
    """Any noun, even one that does not exist: the answer repeats it, so it must be read and not guessed."""
    while True:
        noun = dice.pick(WORDS) if dice.chance(0.5) else made_up(dice).lower()
        if noun not in NOT_THINGS:
            return noun


def everyday(dice, scene, pic):
    """Things that its pictures never show: asked for, they are not there."""
    noun = dice.pick(UNSEEN_THINGS if dice.unseen else THINGS) if dice.unseen or dice.chance(0.35) else something(dice)
    if dice.chance(0.5):
        return dice.pick(EXIST).format(x=a(noun), pic=pic), f"No, there is no {noun}.", "no"
    if dice.chance(0.5):
        return dice.pick(COLOUR).format(s=noun, pic=pic), f"There is no {noun} in {pic}.", None
    return dice.pick(POSITION).format(o=noun, pic=pic), f"There is no {noun} in {pic}.", None


LARGER = phrases("Which is {more}, the {p} or the {q} in {pic}?", "Which one is {more} in {pic}, the {p} or the {q}?",
                 "What is {more}, the {p} or the {q}?", unseen=["Of the {p} and the {q}, which is {more}?"])
LARGEST = phrases("What is the {most} object in {pic}?", "Which object is the {most} in {pic}?", "Which object in {pic} is {most}?",
                  unseen=["Name the {most} object in {pic}."])


def size(dice, scene, pic):
    if len(scene.things) < 2:
        return None
    big = dice.chance(0.5)
    if dice.chance(0.5):
        first, second = referred(dice, scene.things), referred(dice, scene.things)
        if not first or max(first[0]["r"], second[0]["r"]) < 1.35 * min(first[0]["r"], second[0]["r"]):
            return None
        more = dice.pick(["larger", "bigger"] if big else ["smaller"])
        question = dice.pick(LARGER).format(more=more, p=first[1], q=second[1], pic=pic)
        winner = first if (first[0]["r"] > second[0]["r"]) == big else second
        return question, f"The {winner[1]} is {'larger' if big else 'smaller'}.", winner[1]
    things = sorted(scene.things, key=lambda t: t["r"], reverse=big)
    if max(things[0]["r"], things[1]["r"]) < 1.35 * min(things[0]["r"], things[1]["r"]):
        return None
    most = "largest" if big else "smallest"
    question = dice.pick(LARGEST).format(most=dice.pick(["largest", "biggest"]) if big else most, pic=pic)
    return question, f"The {most} object is the {full(things[0])}.", full(things[0])


GROUND = phrases("What colour is the background of {pic}?", "What is the background color in {pic}?", "Which colour is the background?",
                 "What color is the background?", unseen=["Tell me the background colour of {pic}."])


def ground(dice, scene, pic):
    if not scene.ground:
        return None
    return dice.pick(GROUND).format(pic=pic), f"The background is {scene.ground}.", scene.ground


AS_JSON = phrases("List the objects in {pic} as JSON.", "Describe {pic} as JSON.", "Give me the objects in {pic} as a JSON list.",
                  "Return JSON with the objects in {pic}.", unseen=["Write the objects of {pic} as JSON."])


def as_json(dice, scene, pic):
    if len(scene.things) > 6:
        return None
    rows = [{"shape": t["shape"], "color": t["color"], "position": CELLS[t["cell"]]} for t in scene.things]
    return dice.pick(AS_JSON).format(pic=pic), json.dumps(rows), None


TEXT_THERE = phrases("What text is in {pic}?", "Is there any text in {pic}?", "Read the text in {pic}.", "What does {pic} say?",
                     "What is written in {pic}?", unseen=["Do you see any words in {pic}?"])


def no_text(dice, scene, pic):
    return dice.pick(TEXT_THERE).format(pic=pic), f"There is no text in {pic}.", None


QUESTIONS = {describe: 13, shape: 10, colour: 10, only: 14, position: 13, side: 3, what_at: 7, relation: 24, count_all: 11,
             count_kind: 14, exist: 7, everyday: 4, size: 7, ground: 3, as_json: 2.5, no_text: 1.5}


def ask(dice, scene, pic="the picture", question=None, attempts=12):
    """One fair question of this kind (or of any kind) -> (question, answer, short answer), or None."""
    for _ in range(attempts):
        kind = question or dice.choices(list(QUESTIONS), list(QUESTIONS.values()))[0]
        asked = kind(dice, scene, pic)
        if asked:
            return asked
    return None


CALLED = ["the picture", "the picture", "the image", "this picture", "this image", "the drawing", "the photo", "it"]


def spoken(dice, asked, short=False):
    """(question, answer) as typed, the answer in a word where that is asked for; answers always say "the picture"."""
    question, answer, word = asked
    called = dice.pick(CALLED[:5] if dice.unseen else CALLED)
    question = question.replace("the picture", called if called != "it" else "this")
    if short and word:
        return typed(dice, question), capital(word)
    if word and dice.chance(0.05):
        return typed(dice, question) + dice.pick(SHORT_SUFFIXES), capital(word)
    return typed(dice, question), answer


def make(dice, question=None, count=None, turns=None):
    """A conversation about one scene; with `question`, a single turn of that kind."""
    turns = 1 if question else turns or dice.pick([1, 2, 3, 4, 5, 6])
    asked = []
    while not asked:
        scene = Scene(dice, count=count) if count is not None or question is None else fitting(dice, question)
        got = [ask(dice, scene, question=question) for _ in range(turns)]
        asked = list({q[0]: q for q in got if q}.values())
    short = dice.chance(0.04)
    messages = [{"role": "system", "content": dice.pick(SHORT_SYSTEMS)}] if short else system_message(dice)
    for i, one in enumerate(asked):
        q, answer = spoken(dice, one, short)
        messages += [user(q, media=1 if i == 0 else 0, text_first=dice.chance(0.4)), assistant(answer)]
    conversation = Conversation(messages, question.__name__ if question else "scene", [[scene.picture]])
    if question is as_json:
        conversation.judge = "json"
    return conversation


def fitting(dice, question):
    """A scene that suits a kind of question, so that few drawn pictures are thrown away."""
    if question is only:
        return Scene(dice, count=1)
    if question in (relation, size):
        return Scene(dice, count=dice.randint(2, 6))
    if question in (position, shape, colour):
        return Scene(dice, count=dice.randint(1, 6), few_kinds=0)
    if question in (count_all, count_kind):
        return Scene(dice, count=dice.randint(1, 6))
    return Scene(dice, count=dice.randint(1, 6))


# ---------------------------------------------------------------- what is no drawing
PHOTO_ANSWER = "I can't tell: this looks like a photo, and I only know simple drawings."


def make_photo(dice):
    """A photograph, or what passes for one: it says that it cannot tell."""
    picture = drawing.photograph(dice, *drawing.picture_size(dice))
    empty = Scene.__new__(Scene)
    empty.things, empty.ground = [], None
    kinds = [describe, describe, count_all, missing_color, missing_shape, everyday, exist, everyday]
    question = dice.pick(kinds)(dice, empty, "the picture")[0].replace("the picture", dice.pick(CALLED[:5]))
    messages = system_message(dice) + [user(typed(dice, question), media=1, text_first=dice.chance(0.4)),
                                       assistant(PHOTO_ANSWER)]
    return Conversation(messages, "photo", [[picture]])
