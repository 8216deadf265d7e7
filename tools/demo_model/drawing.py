"""Drawing simple pictures in many manners, with Pillow and numpy.

A model that has seen one drawing program fails on the next one's edges, borders and shading. So every picture draws
its own manner: how edges are smoothed, outlines, shading, texture, shadows, a shaky hand, noise, blur, JPEG. What an
object *is* never depends on the manner.
"""
import functools
import io
import math

import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageFilter

from demo_model.world import COLORS

SIDE = 320  # the side of the ready-made noise pictures


COLORLESS = ("black", "grey", "white")


def jitter(dice, color, amount=14):
    """One RGB value of a named colour: an anchor, slightly off (hardly, where a tint would change the name)."""
    amount = min(amount, 5) if color in COLORLESS else amount
    return tuple(min(255, max(0, v + dice.randint(-amount, amount))) for v in dice.pick(COLORS[color]))


def distance(p, q):
    return abs(p[0] - q[0]) + abs(p[1] - q[1]) + abs(p[2] - q[2])


@functools.cache
def noise_pictures():
    """Noise around grey 128 at several strengths, made once a process: grey noise and colour noise in turns."""
    g = np.random.default_rng(7)
    made = []
    for k, strength in enumerate((2, 3, 4, 6, 8, 10, 12)):
        values = g.normal(0, strength, (SIDE, SIDE, 1 + 2 * (k % 2)))
        values = np.clip(128 + np.broadcast_to(values, (SIDE, SIDE, 3)), 0, 255)
        made.append(Image.fromarray(values.astype(np.uint8)))
    return made


def noise(dice, w, h):
    """A noise picture of any size; beyond SIDE it is stretched, which gives coarser grain."""
    bank = dice.pick(noise_pictures())
    if w > SIDE or h > SIDE:
        return bank.resize((w, h), Image.NEAREST)
    x, y = dice.randrange(SIDE - w + 1), dice.randrange(SIDE - h + 1)
    return bank.crop((x, y, x + w, y + h))


def gradient(dice, color, w, h, spread=28):
    """`color` running slightly darker or tinted in one direction: nine pixels, stretched."""
    d = [dice.randint(-spread, spread) for _ in range(3)]
    angle = dice.random() * 2 * math.pi
    dx, dy = math.cos(angle) / 2, math.sin(angle) / 2
    small = Image.new("RGB", (3, 3))
    for y in (-1, 0, 1):
        for x in (-1, 0, 1):
            at = x * dx + y * dy
            small.putpixel((x + 1, y + 1), tuple(int(min(255, max(0, c + k * at))) for c, k in zip(color, d)))
    return small.resize((w, h), Image.BILINEAR)


# ---------------------------------------------------------------- grounds
GROUND_NAMES = ["white"] * 10 + ["black"] * 3 + ["grey"] * 3 + ["yellow", "blue", "green", "pink", "cyan", "red", "purple"]


def ground_color(dice, avoid, taken):
    """A colour that stands off from every one of `avoid` -> (RGB, its name, or None for a shade without a clear name).

    `taken` are names that it must not have, since a red object on red ground cannot be seen."""
    best = ((245, 245, 245), None, -1)
    for _ in range(14):
        name = dice.pick(GROUND_NAMES) if dice.chance(0.55) else None
        if name in taken:
            continue
        if name:
            rgb = jitter(dice, name, 5)
        else:
            base = dice.randint(20, 75) if dice.chance(0.2) else dice.randint(140, 250)
            rgb = tuple(min(255, max(0, base + dice.randint(-28, 28))) for _ in range(3))
        gap = min((distance(rgb, c) for c in avoid), default=999)
        if gap > 150:
            return rgb, name
        if gap > best[2]:
            best = (rgb, name, gap)
    return best[:2]


def ground(dice, w, h, avoid, taken=()):
    """The empty picture -> (picture, name of its colour or None)."""
    rgb, name = ground_color(dice, avoid, taken)
    shaded = name is None and dice.chance(0.5)
    picture = gradient(dice, rgb, w, h) if shaded else Image.new("RGB", (w, h), rgb)
    if dice.chance(0.06):
        faint_lines(dice, picture, rgb)
    if dice.chance(0.3):
        picture = ImageChops.add(picture, noise(dice, w, h), 1, -128)
    return picture, name


def faint_lines(dice, picture, rgb):
    """Squared or ruled paper, or a frame, hardly darker than the ground."""
    w, h = picture.size
    step = 25 if sum(rgb) > 380 else -25
    line = tuple(min(255, max(0, c - step)) for c in rgb)
    d, gap, how = ImageDraw.Draw(picture), dice.randint(9, 40), dice.randrange(3)
    if how == 2:
        d.rectangle((1, 1, w - 2, h - 2), outline=line, width=dice.randint(1, 4))
        return
    for y in range(gap, h, gap):
        d.line((0, y, w, y), fill=line)
    for x in range(gap, w if how == 0 else 0, gap):
        d.line((x, 0, x, h), fill=line)


# ---------------------------------------------------------------- outlines of the shapes, in a circle of radius 1
def ellipse(rx, ry, n=44):
    return [(rx * math.cos(2 * math.pi * k / n), ry * math.sin(2 * math.pi * k / n)) for k in range(n)]


def star(inner, tips=5):
    return [((1 if k % 2 == 0 else inner) * math.sin(k * math.pi / tips),
             -(1 if k % 2 == 0 else inner) * math.cos(k * math.pi / tips)) for k in range(2 * tips)]


def cross(t):
    quarter = [(t, -1), (t, -t), (1, -t)]
    return [(x, y) for turn in ((1, 0), (0, 1), (-1, 0), (0, -1)) for x, y in
            ((turn[0] * px - turn[1] * py, turn[1] * px + turn[0] * py) for px, py in quarter)]


def heart(n=30):
    points = []
    for k in range(n):
        t = 2 * math.pi * k / n
        y = 0.78 * math.cos(t) - 0.31 * math.cos(2 * t) - 0.12 * math.cos(3 * t) - 0.06 * math.cos(4 * t)
        points.append((math.sin(t) ** 3, -y))
    return points


def lobed_heart():
    """The other usual heart: two discs over a triangle."""
    left = [(-0.48 + 0.5 * math.cos(t), -0.38 + 0.5 * math.sin(t)) for t in (math.pi * (0.85 + k / 8) for k in range(9))]
    right = [(-x, y) for x, y in reversed(left)]
    return left + right + [(0, 0.95)]


def outline(dice, shape):
    """Points of one shape; proportions and turns vary as far as the shape keeps its name."""
    if shape in ("circle", "ring"):
        return ellipse(0.95, 0.95)
    if shape == "oval":
        return ellipse(1, dice.uniform(0.48, 0.66))
    if shape == "square":
        return [(-0.82, -0.82), (0.82, -0.82), (0.82, 0.82), (-0.82, 0.82)]
    if shape == "rectangle":
        r = dice.uniform(0.36, 0.6)
        return [(-0.95, -r), (0.95, -r), (0.95, r), (-0.95, r)]
    if shape == "triangle":
        wide, tip = dice.uniform(0.75, 1), dice.uniform(-0.3, 0.3) if dice.chance(0.2) else 0
        return [(tip, -1), (wide, 0.75), (-wide, 0.75)]
    if shape == "diamond":
        r = dice.uniform(0.62, 1)
        return [(0, -1), (r, 0), (0, 1), (-r, 0)]
    if shape == "star":
        return star(dice.uniform(0.36, 0.52))
    if shape == "cross":
        return cross(dice.uniform(0.22, 0.38))
    return heart() if dice.chance(0.6) else lobed_heart()


def turn(dice, shape):
    """Degrees by which an object is turned."""
    if shape in ("triangle", "star") and dice.chance(0.25):
        return dice.uniform(0, 360)
    if shape in ("rectangle", "oval"):
        return dice.pick([0, 90]) + dice.uniform(-14, 14)
    return dice.uniform(-13, 13) if dice.chance(0.6) else 0


def shaken(dice, points, amount):
    """The outline by an unsteady hand: long edges are cut, points move a little."""
    out = []
    for (x0, y0), (x1, y1) in zip(points, points[1:] + points[:1]):
        n = max(1, int(math.hypot(x1 - x0, y1 - y0) / 0.3))
        out += [(x0 + (x1 - x0) * k / n + dice.uniform(-amount, amount),
                 y0 + (y1 - y0) * k / n + dice.uniform(-amount, amount)) for k in range(n)]
    return out


# ---------------------------------------------------------------- manners and objects
def manner(dice):
    """How one picture is drawn. Every key is a habit that all its objects share."""
    return {
        "smooth": dice.pick([1, 2, 3, 3, 4]),                 # samples a pixel's side; 1: hard edges
        "border": dice.pick(["dark", "black", "white"]) if dice.chance(0.2) else None,
        "border_width": dice.uniform(0.04, 0.13),
        "hollow": dice.chance(0.04),                          # only the border, where that keeps the name
        "fill": dice.pick(["shaded", "grainy"]) if dice.chance(0.25) else "flat",
        "shadow": dice.chance(0.07),
        "shake": dice.uniform(0.015, 0.05) if dice.chance(0.12) else 0,
        "hole": dice.uniform(0.5, 0.68),                      # of rings
    }


CAN_BE_HOLLOW = ("square", "triangle", "star", "diamond", "heart", "rectangle")


def new_object(dice, shape, color):
    """An object without a place: `points` in a unit circle, already turned."""
    angle = math.radians(turn(dice, shape))
    c, s = math.cos(angle), math.sin(angle)
    points = [(x * c - y * s, x * s + y * c) for x, y in outline(dice, shape)]
    return {"shape": shape, "color": color, "rgb": jitter(dice, color), "points": points}


def stamp(dice, picture, thing, how, cx, cy, r):
    """Draw one object of radius `r` around (cx, cy)."""
    k = min(how["smooth"], max(1, int(360 / r)))              # large objects need no fine sampling
    size = int(2 * r * 1.1) + 4
    points = shaken(dice, thing["points"], how["shake"]) if how["shake"] else thing["points"]
    middle = k * size / 2
    scaled = [(middle + k * r * x, middle + k * r * y) for x, y in points]
    mask = Image.new("L", (k * size, k * size))
    d = ImageDraw.Draw(mask)
    hollow = how["hollow"] and thing["shape"] in CAN_BE_HOLLOW and r > 13
    stroke = max(k, round(k * r * how["border_width"]))
    if hollow:
        d.polygon(scaled, outline=255, width=max(2 * k, 2 * stroke))
    else:
        d.polygon(scaled, fill=255)
    if thing["shape"] == "ring":
        d.polygon([(middle + k * r * how["hole"] * x, middle + k * r * how["hole"] * y) for x, y in points], fill=0)
    mask = mask.reduce(k) if k > 1 else mask
    at = (round(cx - size / 2), round(cy - size / 2))
    if how["shadow"]:
        off = max(1, round(r * 0.12))
        picture.paste((60, 60, 60), (at[0] + off, at[1] + off), mask.point(lambda v: v // 3))
    picture.paste(filling(dice, thing["rgb"], how["fill"], size), at, mask)
    if how["border"] and not hollow and thing["shape"] != "ring":
        rim = Image.new("L", (k * size, k * size))
        ImageDraw.Draw(rim).polygon(scaled, outline=255, width=stroke)
        picture.paste(border_color(thing["rgb"], how["border"]), at, rim.reduce(k) if k > 1 else rim)


def border_color(rgb, name):
    if name == "dark" or (name == "black" and sum(rgb) < 150) or (name == "white" and sum(rgb) > 650):
        return tuple(int(c * 0.62) for c in rgb)
    return (10, 10, 10) if name == "black" else (250, 250, 250)


def filling(dice, rgb, how, size):
    """What is pasted through an object's mask: a colour, or a picture of that colour."""
    if how == "flat":
        return rgb
    if how == "shaded":
        return gradient(dice, rgb, size, size, 8 if max(rgb) - min(rgb) < 24 else 26)
    return ImageChops.add(Image.new("RGB", (size, size), rgb), noise(dice, size, size), 1, -128)


def aged(dice, picture):
    """What may happen to a finished picture: blur, noise, JPEG."""
    if dice.chance(0.06):
        picture = picture.filter(ImageFilter.GaussianBlur(dice.uniform(0.4, 0.9) * max(1, max(picture.size) / 256)))
    if dice.chance(0.05):
        picture = ImageChops.add(picture, noise(dice, *picture.size), 1, -128)
    if dice.chance(0.12):
        stored = io.BytesIO()
        picture.save(stored, "JPEG", quality=dice.randint(45, 92))
        picture = Image.open(stored).convert("RGB")
    return picture


# ---------------------------------------------------------------- sizes of pictures
USUAL_SIZES = [(64, 64), (100, 100), (128, 128), (128, 96), (160, 120), (200, 200), (200, 100), (224, 224), (256, 256),
               (256, 128), (300, 200), (300, 300), (320, 240), (400, 300), (400, 400), (480, 270), (512, 512), (640, 480),
               (800, 600), (1024, 768), (1024, 1024)]
USUAL_WEIGHTS = [3, 4, 4, 2, 3, 5, 2, 5, 6, 2, 4, 4, 5, 4, 3, 2, 4, 2, 1, 0.5, 0.7]


def picture_size(dice, low=128, high=256):
    """(width, height): half the time a size that needs no resizing (`low` to `high`), else any from 64 to 1024."""
    u = dice.random()
    if u < 0.5:
        return 32 * dice.randint(low // 32, high // 32), 32 * dice.randint(low // 32, high // 32)
    if u < 0.7:
        w, h = dice.choices(USUAL_SIZES, USUAL_WEIGHTS)[0]
        return (w, h) if dice.chance(0.7) else (h, w)
    if u < 0.93:
        area, aspect = dice.uniform(90, 330) ** 2, math.exp(dice.uniform(-1, 1))
        return tuple(min(1024, max(64, round(math.sqrt(area * a)))) for a in (aspect, 1 / aspect))
    return tuple(round(math.exp(dice.uniform(math.log(64), math.log(1024)))) for _ in range(2))


# ---------------------------------------------------------------- what is no drawing
def photo_like(dice, w, h):
    """Something without clear shapes, as a photograph looks to a model of this size: clouds of colour at all scales."""
    g = np.random.default_rng(dice.randrange(2**32))
    total = np.zeros((h, w, 3), np.float32)
    strength, n = 1.0, dice.randint(2, 4)
    while n < max(w, h):
        grid = g.normal(0, 1, (n + 1, n + 1, 3)) + 1.5 * g.normal(0, 1, (n + 1, n + 1, 1))
        cloud = Image.fromarray(np.clip(128 + 40 * grid, 0, 255).astype(np.uint8)).resize((w, h), Image.BICUBIC)
        total += strength * (np.asarray(cloud, np.float32) - 128)
        strength *= dice.uniform(0.45, 0.85)
        n *= 2
    total = 128 + total * dice.uniform(25, 60) / (total.std() + 1e-3)
    return Image.fromarray(np.clip(total + dice.randint(-30, 30), 0, 255).astype(np.uint8))


@functools.cache
def photographs():
    """A few real photographs (public domain or CC0) where scikit-image is installed; otherwise none."""
    try:
        from skimage import data_dir
    except ImportError:
        return []
    found = []
    for name in ("astronaut.png", "camera.png", "chelsea.png", "coffee.png", "rocket.jpg", "brick.png", "grass.png",
                 "gravel.png", "motorcycle_left.png", "hubble_deep_field.jpg", "coins.png", "moon.png"):
        try:
            picture = Image.open(f"{data_dir}/{name}").convert("RGB")
        except OSError:
            continue
        picture.thumbnail((420, 420))
        found.append(picture)
    return found


def photograph(dice, w, h):
    """A piece of a photograph, or of what passes for one."""
    if not photographs() or dice.chance(0.4):
        return photo_like(dice, w, h)
    source = dice.pick(photographs())
    side = dice.uniform(0.5, 1) * min(source.size)
    x, y = dice.uniform(0, source.width - side), dice.uniform(0, source.height - side)
    picture = source.resize((w, h), Image.BICUBIC, (x, y, x + side, y + side))
    return picture.transpose(Image.FLIP_LEFT_RIGHT) if dice.chance(0.5) else picture
