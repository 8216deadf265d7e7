"""The second generator: pictures that training never sees, to measure how far the skill carries.

It shares no drawing code, palette, layout or font with the first: shapes are signed distance fields evaluated in numpy,
shaded, rimmed and shadowed by distance; letters are strokes of its own. Only the questions are the first one's, so that
a wrong answer means a wrong look. Training must not import this module (a test checks).
"""
import math

import numpy as np
from PIL import Image

from demo_model import reading, scenes
from demo_model.world import COLOR_NAMES, SHAPES, Conversation, Dice, assistant, user

PALETTE = {
    "red": ["d32f2f", "e41a1c", "ef3b2c", "c62828", "f44336"], "orange": ["f57c00", "ff8f00", "fd8d3c", "ff9800"],
    "yellow": ["fdd835", "ffee58", "fbc02d", "ffe119"], "green": ["388e3c", "4caf50", "3cb44b", "1b7837", "66bb6a"],
    "blue": ["1976d2", "4363d8", "2171b5", "3f51b5", "1e88e5"], "purple": ["7b1fa2", "911eb4", "8e24aa", "6a51a3"],
    "pink": ["f48fb1", "f06292", "ff8fc7", "fa9fb5"], "brown": ["795548", "6d4c41", "8c510a", "9a6324"],
    "black": ["111111", "000000", "212121"], "grey": ["757575", "8a8a8a", "969696"], "white": ["ffffff", "fafafa"],
    "cyan": ["00bcd4", "26c6da", "42d4f4", "00acc1"],
}


def rgb(text):
    return np.array([int(text[i : i + 2], 16) for i in (0, 2, 4)], np.float32)


# ---------------------------------------------------------------- distances: negative inside, in units of the radius
def box(x, y, a, b):
    dx, dy = np.abs(x) - a, np.abs(y) - b
    return np.hypot(np.maximum(dx, 0), np.maximum(dy, 0)) + np.minimum(np.maximum(dx, dy), 0)


def polygon(x, y, corners):
    """Distance to a polygon: the nearest edge, signed by the parity of crossings."""
    nearest, inside = np.full(x.shape, np.inf), np.zeros(x.shape, bool)
    for (ax, ay), (bx, by) in zip(corners, corners[1:] + corners[:1]):
        ex, ey, px, py = bx - ax, by - ay, x - ax, y - ay
        t = np.clip((px * ex + py * ey) / (ex * ex + ey * ey), 0, 1)
        nearest = np.minimum(nearest, np.hypot(px - t * ex, py - t * ey))
        crosses = (ay > y) != (by > y)
        inside ^= crosses & (x < ax + (y - ay) * ex / (ey if ey else 1e-9))
    return np.where(inside, -nearest, nearest)


def heart(x, y):
    """The algebraic heart (x^2 + y^2 - 1)^3 = x^2 y^3, its value divided by its slope."""
    x, y = 1.17 * x, -1.17 * y + 0.12
    s = x * x + y * y - 1
    value = s**3 - x * x * y**3
    slope = np.hypot(6 * x * s * s - 2 * x * y**3, 6 * y * s * s - 3 * x * x * y * y)
    return value / (slope + 0.15)


def around(n, outer, inner=None):
    """Corners on a circle (or on two, in turns), the first one up."""
    radii = [outer, inner] if inner else [outer]
    total = n * len(radii)
    return [(radii[k % len(radii)] * math.sin(2 * math.pi * k / total), -radii[k % len(radii)] * math.cos(2 * math.pi * k / total))
            for k in range(total)]


def distance(shape, x, y):
    fields = {
        "circle": lambda: np.hypot(x, y) - 0.92, "ring": lambda: np.abs(np.hypot(x, y) - 0.74) - 0.18,
        "square": lambda: box(x, y, 0.76, 0.76), "rectangle": lambda: box(x, y, 0.95, 0.46),
        "oval": lambda: (np.hypot(x / 0.97, y / 0.55) - 1) * 0.55, "diamond": lambda: (np.abs(x) / 0.72 + np.abs(y) / 0.97 - 1) * 0.57,
        "cross": lambda: np.minimum(box(x, y, 0.92, 0.28), box(x, y, 0.28, 0.92)), "heart": lambda: heart(x, y),
        "triangle": lambda: polygon(x, y, around(3, 0.98)), "star": lambda: polygon(x, y, around(5, 0.98, 0.42)),
    }
    return fields[shape]()


# ---------------------------------------------------------------- the picture
GROUNDS = ["ffffff", "f5f5f5", "eceff1", "fff8e1", "e3f2fd", "263238", "cfd8dc", "dcedc8", "f3e5f5", "37474f", "bdbdbd"]


def far(color, base):
    return np.abs(base - color).sum() > 150


def backdrop(dice, w, h, base):
    """(height, width, 3) float around one colour: plain, a wash, dots, stripes or a vignette."""
    y, x = np.mgrid[0:h, 0:w].astype(np.float32)
    how = dice.randrange(5)
    if how == 1:
        shade = (y / h - 0.5) * 30
    elif how == 2:
        step = max(6, min(w, h) / 14)
        shade = -14.0 * (np.hypot(x % step - step / 2, y % step - step / 2) < step / 6)
    elif how == 3:
        shade = -9.0 * ((x + y) % max(8, min(w, h) / 8) < max(4, min(w, h) / 16))
    elif how == 4:
        shade = -28 * ((x / w - 0.5) ** 2 + (y / h - 0.5) ** 2)
    else:
        shade = np.zeros((h, w), np.float32)
    return np.repeat(shade[..., None], 3, 2) + base


def cover(canvas, alpha, color):
    canvas += alpha[..., None] * (color - canvas)


def paint(dice, canvas, thing, cx, cy, r, look):
    """One object by its distance field; `look` is shared by the picture's objects."""
    h, w = canvas.shape[:2]
    left, right, top, bottom = max(0, int(cx - 1.5 * r)), min(w, int(cx + 1.5 * r) + 2), max(0, int(cy - 1.5 * r)), min(h, int(cy + 1.5 * r) + 2)
    y, x = np.mgrid[top:bottom, left:right].astype(np.float32)
    x, y = (x + 0.5 - cx) / r, (y + 0.5 - cy) / r
    tilt = math.radians(thing["tilt"])
    x, y = x * math.cos(tilt) + y * math.sin(tilt), -x * math.sin(tilt) + y * math.cos(tilt)
    d = distance(thing["shape"], x, y) * r
    patch, soft = canvas[top:bottom, left:right], look["soft"]
    if look["shadow"]:
        moved = distance(thing["shape"], x - 0.1, y - 0.12) * r
        cover(patch, 0.35 * np.clip(0.5 - moved / (4 * soft), 0, 1), np.float32([40, 40, 40]))
    color = np.broadcast_to(thing["rgb"], patch.shape).copy()
    if look["glow"]:
        color += (14 * (1 - np.clip(np.hypot(x + 0.3, y + 0.3), 0, 2)))[..., None]
    cover(patch, np.clip(0.5 - d / soft, 0, 1), color)
    if look["rim"] and thing["shape"] != "ring":
        cover(patch, np.clip(0.5 - (np.abs(d + 0.04 * r) - 0.04 * r) / soft, 0, 1), thing["rgb"] * 0.55)


def arrange(dice, w, h, count, base):
    """Objects by chance, biggest first, in colours that stand off from the ground: places as fractions, radii in pixels."""
    inks = [(name, ink) for name in COLOR_NAMES for ink in map(rgb, PALETTE[name]) if far(ink, base)]
    things, short = [], min(w, h)
    seen = min(1.0, 256 / math.sqrt(w * h))                     # how much the model's view shrinks the picture
    low = max(0.055 * math.sqrt(w * h), 10 / seen)
    for r in sorted((dice.uniform(low, max(low, min(0.2 * short, 2.4 * low))) for _ in range(count)), reverse=True):
        for _ in range(400):
            x, y = dice.uniform(r, w - r), dice.uniform(r, h - r)
            clear = all(min(abs(at * 3 - 1), abs(at * 3 - 2)) > 0.1 for at in (x / w, y / h))
            if clear and all(math.hypot(x - t["px"], y - t["py"]) > 1.15 * (r + t["r"]) for t in things):
                shape, (color, ink) = dice.pick(SHAPES), dice.pick(inks)
                tilt = dice.uniform(-10, 10) + (90 if shape in ("rectangle", "oval") and dice.chance(0.5) else 0)
                things.append({"shape": shape, "color": color, "rgb": ink, "px": x, "py": y, "r": r,
                               "x": x / w, "y": y / h, "cell": int(3 * y / h) * 3 + int(3 * x / w), "tilt": tilt})
                break
    return sorted(things, key=lambda t: (t["cell"], t["x"]))


def to_picture(canvas):
    return Image.fromarray(np.clip(np.rint(canvas), 0, 255).astype(np.uint8))


class Scene:
    """What the first generator's questions need: things, picture, the ground's name (never asked for here)."""

    def __init__(self, dice, count=None):
        w, h = dice.pick([(180, 180), (240, 160), (160, 240), (350, 350), (500, 400), (640, 640), (900, 600), (270, 330), (128, 128)])
        base = rgb(dice.pick(GROUNDS))
        self.things = arrange(dice, w, h, count or dice.randint(1, 6), base)
        self.ground = None
        canvas = backdrop(dice, w, h, base)
        scale = max(1.0, math.sqrt(w * h) / 256)
        look = {"soft": dice.uniform(0.8, 1.6) * scale, "shadow": dice.chance(0.3), "glow": dice.chance(0.4), "rim": dice.chance(0.35)}
        for t in self.things:
            paint(dice, canvas, t, t["px"], t["py"], t["r"], look)
        self.picture = to_picture(canvas)


# ---------------------------------------------------------------- letters of strokes: points are column, row on a 5 x 7 grid
STROKES = {
    "A": "06 20 46|14 34", "B": "00 06 36 45 44 33 03|00 30 41 42 33", "C": "41 30 10 01 05 16 36 45", "D": "00 06 26 44 42 20 00", "E": "40 00 06 46|03 33",
    "F": "40 00 06|03 33", "G": "41 30 10 01 05 16 36 45 43 23", "H": "00 06|40 46|03 43", "I": "20 26|10 30|16 36", "J": "40 45 36 16 05", "K": "00 06|40 03 46",
    "L": "00 06 46", "M": "06 00 23 40 46", "N": "06 00 46 40", "O": "10 01 05 16 36 45 41 30 10", "P": "06 00 30 41 42 33 03", "Q": "10 01 05 16 36 45 41 30 10|24 46",
    "R": "06 00 30 41 42 33 03|23 46", "S": "41 30 10 01 02 13 33 44 45 36 16 05", "T": "00 40|20 26", "U": "00 05 16 36 45 40", "V": "00 26 40", "W": "00 16 23 36 40",
    "X": "00 46|40 06", "Y": "00 23 40|23 26", "Z": "00 40 06 46", "0": "10 01 05 16 36 45 41 30 10|32 14", "1": "11 20 26|16 36", "2": "01 10 30 41 42 06 46",
    "3": "00 40 22 33 44 45 36 16 05", "4": "36 30 04 44", "5": "40 00 03 33 44 45 36 06", "6": "40 20 02 05 16 36 45 44 33 03", "7": "00 40 16", "8":
    "10 01 02 13 33 44 45 36 16 05 04 13|33 42 41 30 10", "9": "43 13 02 01 10 30 41 43 26 06",
}


def write(canvas, text, color, thick):
    """Letters across the middle, as thick lines by distance."""
    h, w = canvas.shape[:2]
    size = min(0.84 * w / (6 * len(text)), 0.62 * h / 7)
    left, top = (w - size * (6 * len(text) - 2)) / 2, (h - 6 * size) / 2
    y, x = np.mgrid[0:h, 0:w].astype(np.float32)
    nearest = np.full((h, w), np.inf, np.float32)
    for i, letter in enumerate(text):
        for stroke in STROKES[letter].split("|"):
            points = [(left + (6 * i + int(p[0])) * size, top + int(p[1]) * size) for p in stroke.split()]
            for (ax, ay), (bx, by) in zip(points, points[1:]):
                ex, ey = bx - ax, by - ay
                t = np.clip(((x - ax) * ex + (y - ay) * ey) / (ex * ex + ey * ey), 0, 1)
                nearest = np.minimum(nearest, np.hypot(x - ax - t * ex, y - ay - t * ey))
    cover(canvas, np.clip(0.5 - (nearest - thick * size), 0, 1), color)


def make_word(dice):
    text = dice.pick([reading.word_of, reading.letters_of])(dice).upper()
    w, h = dice.pick([(256, 96), (300, 120), (224, 224), (400, 150)])
    ink = rgb(dice.pick(PALETTE[dice.pick(["black", "black", "red", "blue", "green", "purple"])]))
    canvas = backdrop(dice, w, h, rgb(dice.pick([g for g in GROUNDS if far(ink, rgb(g))])))
    write(canvas, text, ink, dice.uniform(0.35, 0.6))
    messages = [user(dice.pick(reading.SAY).format(what="word"), media=1), assistant(f"It says {text}")]
    return Conversation(messages, "second", [[to_picture(canvas)]])


def about(question, count=None):
    def make(dice):
        while True:
            scene = Scene(dice, count)
            asked = scenes.ask(dice, scene, question=question)
            if asked:
                return Conversation([user(asked[0], media=1), assistant(asked[1])], "second", [[scene.picture]])
    return make


def make_pair(dice):
    first, second = Scene(dice), Scene(dice)
    counts = [len(s.things) for s in (first, second)]
    answer = ("Both pictures have the same number of objects." if counts[0] == counts[1] else
              f"The {'first' if counts[0] > counts[1] else 'second'} picture has more objects.")
    return Conversation([user("Which picture has more objects?", media=2), assistant(answer)], "second", [[first.picture], [second.picture]])


ABILITIES = {
    "shape": about(scenes.shape), "colour": about(scenes.colour), "only_object": about(scenes.only, 1), "position": about(scenes.position),
    "relation": about(scenes.relation), "count_all": about(scenes.count_all), "count_kind": about(scenes.count_kind), "exist": about(scenes.exist),
    "describe": about(scenes.describe), "pair_more": make_pair, "read_capitals": make_word,
}


def held_out(name, i):
    return ABILITIES[name](Dice(f"second/{name}/{i}"))
