"""Short clips of one object that moves, grows or shrinks."""

from demo_model import drawing
from demo_model.wording import system_message, typed
from demo_model.world import COLOR_NAMES, SHAPES, Conversation, a, assistant, capital, phrases, user

ACTS = {"left": "moves to the left", "right": "moves to the right", "up": "moves up", "down": "moves down",
        "grows": "grows", "shrinks": "shrinks"}
HAPPENS = phrases("What happens in the video?", "Describe the video.", "What does the video show?", "What do you see in the clip?",
                  "Describe this clip.", "What is going on in the video?", unseen=["Summarize the video."])
DOES = phrases("What does the {s} do?", "What does the {c} {s} do?", "How does the object move or change?",
               "Which way does the object move, or does it change size?", "What happens to the {s}?",
               unseen=["Tell me what the {s} does."])
WHICH = phrases("Which object do you see?", "Which shape is in the video?", "What object is in the clip?")


def path(dice, act):
    """Start and end of (x, y, radius); places as fractions of a frame, radii in pixels."""
    r = dice.uniform(13, 20)
    x, y = dice.uniform(0.25, 0.75), dice.uniform(0.25, 0.75)
    way = dice.uniform(0.38, 0.6)
    low = dice.uniform(0.15, 0.85 - way)
    if act in ("left", "right"):
        ends = ((low, y, r), (low + way, y, r))
        return ends if act == "right" else ends[::-1]
    if act in ("up", "down"):
        ends = ((x, low, r), (x, low + way, r))
        return ends if act == "down" else ends[::-1]
    ends = ((x, y, dice.uniform(8, 12)), (x, y, dice.uniform(24, 32)))
    return ends if act == "grows" else ends[::-1]


def frames(dice, thing, act):
    w, h, n = 32 * dice.randint(4, 5), 32 * dice.randint(4, 5), dice.randint(4, 8)
    how = dict(drawing.manner(dice), hollow=False, shake=0)
    empty, _ = drawing.ground(dice, w, h, [thing["rgb"]], {thing["color"]})
    start, end = path(dice, act)
    out = []
    for i in range(n):
        x, y, r = (p + (q - p) * i / (n - 1) for p, q in zip(start, end))
        frame = empty.copy()
        drawing.stamp(dice, frame, thing, how, x * w, y * h, r)
        out.append(frame)
    return out


def make(dice, alone=False):
    """A conversation about a clip; with `alone`, one question about what happens."""
    shape, color, act = dice.pick(SHAPES), dice.pick(COLOR_NAMES), dice.pick(list(ACTS))
    clip = frames(dice, drawing.new_object(dice, shape, color), act)
    name = f"{color} {shape}"
    happens = (dice.pick(HAPPENS), f"The {name} {ACTS[act]}.")
    does = (dice.pick(DOES).format(s=shape, c=color), f"It {ACTS[act]}.")
    others = [(dice.pick(WHICH), f"{capital(a(name))}."), (f"What colour is the {shape}?", f"The {shape} is {color}.")]
    turns = [dice.pick([happens, does])] if alone else dice.sample([happens, does, *others], dice.randint(1, 3))
    messages = system_message(dice)
    for i, (q, answer) in enumerate(turns):
        messages += [user(typed(dice, q), media=i == 0, kind="video", text_first=dice.chance(0.3)), assistant(answer)]
    return Conversation(messages, "video", [clip], fps=dice.pick([1.0, 2.0, 2.0, 4.0]), wrap=dice.chance(0.3))
