"""Pictures of a short word or a number, and pictures that mix a word with shapes.

Reading wants many fonts. Pillow's own is always there; others are taken from the folder in DEMO_FONTS or, where that is
not set, from the machine's /usr/share/fonts. The fonts in UNSEEN never occur in training.
"""
import functools
import os
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from demo_model import drawing, resize, scenes
from demo_model.wording import system_message, typed
from demo_model.world import COLOR_NAMES, WORDS, Conversation, assistant, made_up, phrases, user

UNSEEN = ("Cantarell", "Hack-", "Jura-", "OpenSans", "Tinos")
TOO_ODD = ("Math", "Emoji", "Thin", "Hairline", "Light", "LinLibertine_I", "LinLibertine_D", "LinBiolinum_K", "Symbol")
CAPITALS, SMALL, DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "abcdefghijklmnopqrstuvwxyz", "0123456789"


@functools.cache
def font_files(unseen):
    """Font files for training (or those kept from it); an empty list means Pillow's own font alone."""
    files = [f for f in Path(os.environ.get("DEMO_FONTS", "/usr/share/fonts")).rglob("*.[ot]tf")
             if not any(word in f.name for word in TOO_ODD)]
    return sorted((str(f) for f in files if f.name.startswith(UNSEEN) == unseen), key=os.path.basename)


@functools.lru_cache(maxsize=512)
def load_font(path, size):
    return ImageFont.truetype(path, size) if path else ImageFont.load_default(size)


def pick_font(dice):
    """A font's file, or "" for Pillow's own."""
    files = font_files(dice.unseen) or font_files(False)
    return "" if not files or dice.chance(0.12) else dice.pick(files)


def random_text(dice, longest=6):
    """Something to write whose capitals can be told from small letters (COW and cow differ in size alone)."""
    while True:
        text = any_text(dice, longest)
        if can_be_told(text):
            return text


def can_be_told(text):
    return not set(text.lower()) <= set("cosuvwxz") and text[0] != "l"


def any_text(dice, longest):
    """Letters at random, known words, made-up ones and ones put together from two; in capitals, small or capitalized; numbers.

    Few known words: a model that meets the same words again and again guesses them, and reads "water" where "velvet" stands."""
    n = dice.choices(range(2, longest + 1), range(2, longest + 1))[0]      # long ones are harder
    how = dice.choices(["CAPITALS", "known", "small", "Small", "made up", "two halves", "number"], [15, 18, 19, 4, 12, 15, 17])[0]
    if how in ("CAPITALS", "small", "Small"):
        text = "".join(dice.pick(CAPITALS if how == "CAPITALS" else SMALL) for _ in range(n))
        return text.capitalize() if how == "Small" else text
    if how == "number":
        return "".join(dice.pick(DIGITS) for _ in range(dice.randint(1, 6)))
    text = dice.pick(WORDS) if how == "known" else made_up(dice, 1, 3)[:longest] if how == "made up" else two_halves(dice, longest)
    return dice.pick([text.upper(), text.lower(), text.lower(), text.lower(), text.capitalize()])


def two_halves(dice, longest):
    """The beginning of one known word and the end of another: letters as words have them, but none to know."""
    while True:
        first, last = dice.pick(WORDS), dice.pick(WORDS)
        text = (first[: dice.randint(1, 4)] + last[-dice.randint(1, 4) :])[:longest]
        if len(text) >= 3 and text not in NEW_WORDS:
            return text


def write(dice, picture, text, rgb, box=None, turned=0.3):
    """Write `text` somewhere inside `box`, as large as a reader of the resized picture needs."""
    w, h = picture.size
    left, top, right, bottom = box or (0, 0, w, h)
    seen_w, seen_h = resize.target_size(w, h)
    scale = max(w / seen_w, h / seen_h)                     # one pixel of what the model sees, in ours
    path, size = pick_font(dice), scale * (dice.uniform(20, 62) if dice.chance(0.85) else dice.uniform(60, 110))
    room_w, room_h = (right - left) - 4 * scale, (bottom - top) - 2 * scale
    while True:
        font = load_font(path, max(8, round(size)))
        x0, y0, x1, y1 = font.getbbox(text)
        if (x1 - x0 <= room_w and y1 - y0 <= room_h) or size <= 13 * scale:
            break
        size *= 0.88
    pad = max(2, round(2 * scale))
    gap = int(min(dice.uniform(0, 0.35) * size, (room_w - (x1 - x0)) / len(text))) if dice.chance(0.25) else 0    # letters set apart
    mask = Image.new("L", (x1 - x0 + 2 * pad + gap * len(text), y1 - y0 + 2 * pad))
    pen = ImageDraw.Draw(mask)
    if dice.chance(0.1):
        pen.fontmode = "1"                                   # hard edges
    bold = round(scale * dice.uniform(0.5, 1.2)) if dice.chance(0.12) else 0
    if gap:
        at = pad - x0
        for letter in text:
            pen.text((at, pad - y0), letter, font=font, fill=255, stroke_width=bold)
            at += font.getlength(letter) + gap
    else:
        pen.text((pad - x0, pad - y0), text, font=font, fill=255, stroke_width=bold)
    if dice.chance(0.2):                                     # wider or narrower letters
        wide = min(dice.uniform(0.75, 1.5), room_w / mask.width)
        mask = mask.resize((max(1, round(mask.width * wide)), mask.height), Image.BILINEAR) if wide > 0.7 else mask
    if dice.chance(turned):
        mask = mask.rotate(dice.uniform(-7, 7), Image.BILINEAR, expand=True)
    free_w, free_h = max(0, right - left - mask.width), max(0, bottom - top - mask.height)
    at = (round(left + dice.random() * free_w), round(top + dice.random() * free_h))
    picture.paste(rgb, at, mask)


SAY = phrases("What {what} is written in the picture?", "Read the {what} in the picture.", "What does the picture say?",
              "What is written here?", "Read the text.", "Which {what} do you see?", "What does it say?", "Read the picture.",
              "What text is in the picture?", "Read the text in the image.", "What {what} is this?", "Can you read this?",
              "What is the {what} in this image?", "Which {what} is in the picture?", "Transcribe the text.", "What does this say?",
              "OCR this image.", "Extract the text from the picture.", "What {what} does the image show?",
              unseen=["Tell me the {what} that is written there.", "Please spell out the {what} in this picture."])
TEXT_COLOR = phrases("What colour is the {what}?", "What color is the text?", "Which colour does the text have?",
                     "In which colour is it written?", "What color is the {what}?", unseen=["The text: which color is it?"])
LENGTH = phrases("How many {units} does it have?", "How many characters are written?", "How many {units} are in the {what}?",
                 "Count the {units}.", unseen=["What is the number of {units} in it?"])


def said_in(answer, text):
    """`text` where the answer says it, otherwise None."""
    return text if f" {text}" in answer else None


def picture_of(dice, text):
    """(picture, name of the text's colour)."""
    w, h = drawing.picture_size(dice, 128, 256)
    if max(w, h) > 5 * min(w, h):
        w, h = 256, 64
    color = dice.pick(COLOR_NAMES) if dice.chance(0.6) else "black"
    rgb = drawing.jitter(dice, color)
    picture, _ = drawing.ground(dice, w, h, [rgb], {color})
    write(dice, picture, text, rgb)
    return drawing.aged(dice, picture), color


def make(dice, text=None):
    """A conversation about a written word; with `text`, only what it says is asked."""
    alone = text is not None
    text = text or random_text(dice)
    picture, color = picture_of(dice, text)
    what = "number" if text.isdigit() else "word"
    say = (dice.pick(SAY).format(what=what), f"It says {text}")
    n = len(text)
    units = ("digit" if what == "number" else "letter") + ("" if n == 1 else "s")
    turns = [say]
    if not alone:
        if dice.chance(0.35):
            turns.append((dice.pick(TEXT_COLOR).format(what=what), f"The {what} is {color}."))
        if dice.chance(0.3):
            plural_units = "digits" if what == "number" else "letters"
            turns.append((dice.pick(LENGTH).format(what=what, units=plural_units), f"It has {n} {units}."))
        if dice.chance(0.2):
            turns.append((dice.pick(scenes.DESCRIBE).format(pic="the picture"), f"The picture shows the {what} {text} in {color}."))
        dice.shuffle(turns)
    messages = system_message(dice)
    for i, (q, answer) in enumerate(turns):
        messages += [user(typed(dice, q), media=i == 0, text_first=dice.chance(0.4)), assistant(answer, read=said_in(answer, text))]
    return Conversation(messages, "read", [[picture]])


# Words that no list of the training data has: reading is not recognising.
NEW_WORDS = """acorn badge camel daisy elbow fairy giant hammer igloo jelly knight lizard mango nurse onion pearl quilt radar saddle
tulip urban velvet wallet xenon yogurt zipper arch bench clay deer echo fork gift harp idol joke knot lamb maze nail
pond rack silk trap user vest wing yard bridge cactus donkey falcon guitar helmet ivory kernel laptop magnet napkin oyster""".split()


def word_of(dice):
    """A word of 2 to 6 letters, half of the time one that training never shows, in capitals, small or capitalized."""
    while True:
        word = dice.pick(NEW_WORDS) if dice.unseen or dice.chance(0.5) else dice.pick(WORDS)
        if len(word) >= 2 and can_be_told(word):
            return dice.pick([word.upper(), word.upper(), word, word, word.capitalize()])


def letters_of(dice):
    """Letters at random, 2 to 6: nothing to guess from."""
    while True:
        text = "".join(dice.pick(CAPITALS) for _ in range(dice.randint(2, 6)))
        text = text.lower() if dice.chance(0.25) else text
        if can_be_told(text):
            return text


def make_mixed(dice):
    """Up to three objects in one half of a picture, a word in the other: it tells them apart."""
    w, h = drawing.picture_size(dice, 160, 256)
    if max(w, h) > 2.2 * min(w, h) or min(w, h) < 100:
        w, h = 256, 256
    below = dice.chance(0.5)                                  # where the word is
    things = [t for t in scenes.layout(dice, 256, 256, dice.randint(1, 3)) if t["y"] + t["r"] < 165]
    for t in things:
        x, y = t["x"] / 256, t["y"] / 256
        t.update(x=x, y=y if below else 1 - y, r=t["r"] / 256)
        t["cell"] = min(2, int(3 * t["y"])) * 3 + min(2, int(3 * t["x"]))
    things.sort(key=lambda t: (t["cell"], t["x"]))
    text, color = random_text(dice), dice.pick(COLOR_NAMES)
    rgb = drawing.jitter(dice, color)
    picture, _ = drawing.ground(dice, w, h, [rgb] + [t["rgb"] for t in things], {color} | {t["color"] for t in things})
    how = drawing.manner(dice)
    for t in things:
        drawing.stamp(dice, picture, t, how, t["x"] * w, t["y"] * h, t["r"] * min(w, h))
    write(dice, picture, text, rgb, (0, 0.68 * h, w, h) if below else (0, 0, w, 0.32 * h), turned=0)
    picture = drawing.aged(dice, picture)
    what = "number" if text.isdigit() else "word"
    shown = f"the {what} {text} in {color}"
    everything = scenes.listed([scenes.with_place(t) for t in things] + [shown])
    scene = scenes.Scene.__new__(scenes.Scene)
    scene.things, scene.ground = things, None
    turns = [(dice.pick(SAY).format(what=what), f"It says {text}"),
             (dice.pick(scenes.DESCRIBE).format(pic="the picture"), f"The picture shows {everything}."),
             (dice.pick(TEXT_COLOR).format(what=what), f"The {what} is {color}.")]
    if things:
        one = scenes.ask(dice, scene, question=dice.pick([scenes.shape, scenes.colour, scenes.exist]))
        turns += [one[:2]] if one else []
    messages = system_message(dice)
    for i, (q, answer) in enumerate(dice.sample(turns, dice.randint(1, len(turns)))):
        messages += [user(typed(dice, q), media=i == 0, text_first=dice.chance(0.4)), assistant(answer, read=said_in(answer, text))]
    return Conversation(messages, "mixed", [[picture]])
