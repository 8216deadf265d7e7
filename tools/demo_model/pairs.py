"""Two pictures in one question: which has more, are they the same, what is in each."""
from demo_model import drawing, scenes
from demo_model.wording import system_message, typed
from demo_model.world import COLOR_NAMES, SHAPES, Conversation, assistant, phrases, plural, user

SAME = phrases("Are the two pictures the same?", "Do both pictures show the same objects?", "Same or different?",
               "Are these pictures the same or different?", "Are both images the same?", "Is there a difference between the pictures?",
               "Are the pictures equal?", "Compare the two pictures: are they the same?", "Do the pictures differ?", "Are these two identical?", "Is the second picture the same as the first?", "Do the two images match?",
               "Are both images equal?", "Is there any difference between the two images?", "Would you say that the pictures are the same?",
               "Are the two images different?", "Is the second picture like the first?", "Does the second picture repeat the first?",
               "Is the first image equal to the second image?", "Is one picture the same as the other?", "Did anything change from the first picture to the second?",
               "Is the second image identical to the first?", "Do you see the same picture twice?", "Is the first picture a duplicate of the second?", "Is the first picture the same as the second picture?", "Do you see a difference?",
               unseen=["Would you say that the two images are identical?", "Is the second image a copy of the first?"])
MORE = phrases("Which picture has more {things}?", "Where are more {things}, in the first or the second picture?",
               "Are there more {things} in the first or the second picture?", "Which image has more {things}?",
               "Which of the two pictures shows more {things}?", "Does the first or the second picture have more {things}?",
               unseen=["Tell me which image contains more {things}."])
MORE_ANSWERS = {"first": "The first picture has more {things}.", "second": "The second picture has more {things}.",
                "same": "Both pictures have the same number of {things}."}


def changed(dice, scene):
    """The scene's objects with one of them recoloured, reshaped or gone."""
    things = [dict(t) for t in scene.things]
    i = dice.randrange(len(things))
    how = dice.choices(["color", "shape", "gone"], [4, 5, 2 if len(things) > 1 else 0])[0]
    if how == "gone":
        things.pop(i)
        return things
    values = {"color": COLOR_NAMES, "shape": SHAPES}[how]
    new = dict(things[i], **{how: dice.pick([v for v in values if v != things[i][how]])})
    things[i] = dict(drawing.new_object(dice, new["shape"], new["color"]), **{k: new[k] for k in ("cell", "x", "y", "r")})
    if how == "shape":
        things[i]["rgb"] = new["rgb"]
    return things


def comparison(dice, mode):
    """(scenes, question, answer) for "same" or "more"."""
    size, look = drawing.picture_size(dice, 128, 192), dice.randrange(2**40) if mode == "same" else None
    first = scenes.Scene(dice, size, count=dice.randint(1, 6), look=look)
    if mode == "same":
        same = dice.chance(0.5)
        second = scenes.Scene(dice, size, things=first.things if same else changed(dice, first), look=look)
        return (first, second), dice.pick(SAME), "The pictures are the same." if same else "The pictures are different."
    second = scenes.Scene(dice, size if dice.chance(0.6) else None, count=dice.randint(1, 6))
    how = dice.pick(["all", "all", "shape", "color"])
    if how == "all":
        counts, things = [len(s.things) for s in (first, second)], "objects"
    else:
        value = dice.pick([t[how] for t in first.things + second.things])
        counts = [sum(t[how] == value for t in s.things) for s in (first, second)]
        things = plural(value if how == "shape" else value + " object")
    key = "same" if counts[0] == counts[1] else "first" if counts[0] > counts[1] else "second"
    return (first, second), dice.pick(MORE).format(things=things), MORE_ANSWERS[key].format(things=things)


def each(dice, pair):
    """A question about one of the two pictures -> (question, answer)."""
    which = dice.randrange(2)
    kinds = [q for q in scenes.QUESTIONS if q not in (scenes.ground, scenes.as_json, scenes.only)]
    called = "the first picture" if which == 0 else "the second picture"
    asked = None
    while not asked:
        asked = scenes.ask(dice, pair[which], called, dice.pick(kinds), attempts=2)
        # Some phrasings and some answers leave the picture out; then nobody could know which one is meant.
        if asked and "picture" not in asked[0]:
            asked = None
    question, answer = asked[:2]
    if dice.chance(0.3):
        question = question.replace(called, called.replace("picture", "image"))
    return question, answer


def opening(dice, question):
    """The user's message with two pictures: before, after or between the words."""
    if dice.chance(0.12):
        parts = [{"type": "text", "text": dice.pick(["First picture: ", "Image 1: ", "Picture 1:\n"])}, {"type": "image"},
                 {"type": "text", "text": dice.pick([" Second picture: ", "\nImage 2: ", "\nPicture 2:\n"])}, {"type": "image"},
                 {"type": "text", "text": dice.pick(["\n", " "]) + question}]
        return {"role": "user", "content": parts}
    return user(question, media=2, text_first=dice.chance(0.4))


def make(dice, mode=None):
    mode = mode or dice.pick(["more", "more", "more", "same", "same", "same", "same", "each", "each"])
    if mode == "each":
        pair = [scenes.Scene(dice, drawing.picture_size(dice, 128, 192), count=dice.randint(1, 6)) for _ in range(2)]
        turns = [each(dice, pair) for _ in range(dice.pick([1, 2, 3]))]
    else:
        pair, question, answer = comparison(dice, mode)
        turns = [(question, answer)]
        if dice.chance(0.3):
            turns.insert(0, each(dice, pair))
    messages = system_message(dice)
    for i, (question, answer) in enumerate(turns):
        question = typed(dice, question)
        messages += [opening(dice, question) if i == 0 else user(question), assistant(answer)]
    return Conversation(messages, "pair_" + mode, [[s.picture] for s in pair])
