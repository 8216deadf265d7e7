"""The demo model's small world: its vocabulary, its dice, and the conversation that every generator returns."""
import random
from dataclasses import dataclass, field
from typing import NamedTuple

SPECIAL_TOKENS = [
    "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>", "<|image_pad|>",
    "<|video_pad|>", "<think>", "</think>", "<tool_call>", "</tool_call>", "<tool_response>", "</tool_response>",
]

# Several anchors a colour, because every drawing program has its own "green": plain RGB, CSS, plotting defaults.
COLORS = {
    "red": [(215, 35, 35), (255, 0, 0), (220, 20, 60), (231, 76, 60), (229, 57, 53), (200, 0, 0), (214, 39, 40)],
    "orange": [(250, 140, 20), (255, 165, 0), (255, 127, 14), (243, 156, 18), (255, 140, 0)],
    "yellow": [(245, 220, 40), (255, 255, 0), (255, 215, 0), (241, 205, 15), (255, 235, 59)],
    "green": [(40, 160, 60), (0, 128, 0), (0, 255, 0), (46, 204, 113), (44, 160, 44), (34, 139, 34), (0, 100, 0)],
    "blue": [(40, 80, 215), (0, 0, 255), (31, 119, 180), (52, 152, 219), (30, 144, 255), (0, 0, 139), (65, 105, 225)],
    "purple": [(130, 45, 165), (128, 0, 128), (148, 103, 189), (155, 89, 182), (106, 13, 173), (138, 43, 226)],
    "pink": [(250, 130, 190), (255, 192, 203), (255, 105, 180), (227, 119, 194), (255, 150, 180)],
    "brown": [(125, 75, 35), (139, 69, 19), (165, 82, 42), (121, 85, 72), (101, 67, 33), (140, 86, 75)],
    "black": [(18, 18, 18), (0, 0, 0), (30, 30, 34)],
    "grey": [(128, 128, 128), (105, 105, 105), (150, 152, 156), (120, 124, 126)],
    "white": [(255, 255, 255), (248, 248, 248), (252, 252, 255)],
    "cyan": [(0, 255, 255), (23, 190, 207), (0, 188, 212), (64, 224, 208), (26, 200, 190)],
}
COLOR_NAMES = list(COLORS)
SHAPES = ["circle", "square", "triangle", "star", "diamond", "cross", "heart", "ring", "rectangle", "oval"]
CELLS = [
    "top left", "top middle", "top right", "middle left", "centre", "middle right", "bottom left", "bottom middle",
    "bottom right",
]
WORDS = """apple bread chair cloud dance eagle field ghost happy house island jungle kite lemon light magic moon night
ocean paper piano queen river robot salt shell ship snow spoon stone storm sugar table tiger train tree violin water
whale wind wolf zebra cat dog sun map key box cup fish bird book door lamp milk rain road rose sand seed star tea time
toy van wall farm gold hand iron jazz king leaf mint nest open park quiz ruby sail tent unit vase west yarn zoo angel
beach candle desert engine forest garden harbor insect jacket kitten ladder marble needle orange pencil rabbit school
ticket window yellow hello world stop go exit sale menu cafe hotel taxi bus north south east pippin model image video
red green blue black white pink circle square heart ring cross welcome hi ok yes no on off push pull free new hot cold
pizza coffee lunch music radio phone mouse horse sheep cow pig duck frog bear lion bank shop home room code data test
start end left right up down big small fast slow day week month year one two three four five six seven eight nine ten
love peace money bike car boat plane truck metal wood glass paint brush chalk board class game ball team goal score
spring summer autumn winter monday friday sunday april june july paris london rome oslo berlin madrid tokyo""".split()
WORDS = sorted({w for w in WORDS if len(w) <= 6})
FIRST_NAMES = """Ada Ben Cleo Dan Eva Finn Gia Hugo Ines Jack Kira Leo Mia Noah Olga Paul Quinn Rosa Sam Tara Uma Vera
Will Xena Yara Zoe Anna Bruno Carl Dora Alice Bob Charlie David Emma Frank Grace Henry Ivan Julia Kate Liam Maria Nina
Oscar Peter Rita Sofia Tom Victor Wendy John Jane Mary Lucas Laura Max Zara""".split()
CITIES = """Paris London Oslo Rome Berlin Madrid Tokyo Lima Cairo Delhi Boston Vienna Prague Athens Dublin Lisbon Zurich
Warsaw Seoul Sydney Chicago Miami Toronto Munich Hamburg Geneva Milan Naples Kyoto Mumbai Nairobi Dallas Denver
Seattle Austin Brussels Budapest Helsinki Stockholm Beijing Shanghai""".split()
CITIES += ["New York", "Los Angeles", "San Francisco", "Hong Kong", "Cape Town", "Buenos Aires", "Tel Aviv"]
TOPICS = """history|football|chess|quantum physics|the stock market|my taxes|ancient Rome|dinosaurs|jazz music|the moon
landing|black holes|cooking pasta|gardening|the French Revolution|volcanoes|poetry|philosophy|vitamins|car engines|sharks
|Shakespeare|bitcoin|the Olympic games|whales|opera|the human brain|glaciers|electric cars|yoga|the periodic table
|medicine|law|love|the sea|a dragon|autumn|my cat|climate change|the internet|photosynthesis|the Roman Empire|sourdough
|machine learning|tennis|the weather|space travel|the pyramids|painting|democracy|coffee|tea|sleep|dreams|robots"""
TOPICS = [t.strip().replace("\n", " ") for t in TOPICS.replace("\n|", "|").split("|")]
COUNTRIES = """France Spain Italy Japan Brazil Canada Egypt India Kenya Norway Peru Poland Turkey Chile China Cuba Greece
Iceland Ireland Mexico Germany Austria Sweden Finland Portugal Morocco Vietnam Thailand Australia""".split()


class Phrases(NamedTuple):
    """Ways to say one thing. `unseen` ones never occur in training: they measure how far understanding carries."""
    seen: tuple
    unseen: tuple = ()


def phrases(*seen, unseen=()):
    return Phrases(seen, tuple(unseen))


class Dice(random.Random):
    """A seeded source of choices. `unseen` dice prefer what training never sees: phrasings, fonts, tool domains."""

    def __init__(self, seed, unseen=False):
        super().__init__(seed)
        self.unseen = unseen

    def chance(self, p):
        return self.random() < p

    def pick(self, options):
        """One of a list, or of `Phrases` (an unseen one where these dice are for them)."""
        if isinstance(options, Phrases):
            options = options.unseen if self.unseen and options.unseen else options.seen
        return options[int(self.random() * len(options))]


@dataclass
class Conversation:
    """Messages in the form of the chat API, the pictures they refer to, and how the last answer is judged.

    A content is a string or a list of parts: {"type": "text", "text": ...}, {"type": "image"} or {"type": "video"};
    media parts take the items of `media` in order. An item is a list of PIL pictures: one, or a clip's frames.
    The last message is the assistant's, and is what the model must say.
    """
    messages: list
    kind: str
    media: list = field(default_factory=list)
    tools: list = None
    fps: float = 2.0
    compact: bool = False      # JSON of the tools without spaces, as some servers write it
    wrap: bool = False         # some processors keep the template's vision marks around a whole clip
    no_think: bool = False     # the prompt ends with an empty <think> block
    judge: str = "text"        # how the last answer is compared: text, json or calls


def user(text, media=0, kind="image", text_first=False):
    """A user message with `media` pictures (or one clip) before or after its text."""
    if not media:
        return {"role": "user", "content": text}
    marks, words = [{"type": kind}] * media, [{"type": "text", "text": text}]
    return {"role": "user", "content": words + marks if text_first else marks + words}


def assistant(text, think=None, calls=(), read=None):
    """An assistant message; `calls` are (name, arguments) pairs. `read` is a word in it that was read from a picture."""
    message = {"role": "assistant", "content": text}
    if read:
        message["read"] = read
    if think:
        message["reasoning_content"] = think
    if calls:
        message["tool_calls"] = [{"type": "function", "function": {"name": n, "arguments": a}} for n, a in calls]
    return message


# Small grammar.
def a(noun):
    return ("an " if noun[0] in "aeiou" else "a ") + noun


def plural(noun, n=2):
    return noun if n == 1 else noun + ("es" if noun.endswith("s") else "s")


def listed(items):
    return items[0] if len(items) == 1 else ", ".join(items[:-1]) + " and " + items[-1]


def capital(text):
    return text[0].upper() + text[1:]


def made_up(dice, low=2, high=3):
    """A name nobody has: pronounceable syllables, now and then an unpronounceable string."""
    if dice.chance(0.15):
        return "".join(dice.pick("abcdefghijklmnopqrstuvwxyz") for _ in range(dice.randint(3, 8))).capitalize()
    onsets = ["", "b", "d", "f", "g", "k", "l", "m", "n", "p", "r", "s", "t", "v", "z", "br", "ch", "dr", "gr", "h", "j",
              "kl", "pr", "qu", "sh", "st", "th", "tr", "w", "x", "y"]
    ends = ["", "", "", "n", "r", "l", "s", "x", "ck", "nd", "m", "t"]
    text = "".join(dice.pick(onsets) + dice.pick("aeiou") for _ in range(dice.randint(low, high))) + dice.pick(ends)
    return text.capitalize()


def person(dice):
    if dice.chance(0.4):
        return dice.pick(FIRST_NAMES)
    return made_up(dice) + (" " + made_up(dice) if dice.chance(0.12) else "")


def city(dice):
    if dice.chance(0.45):
        return dice.pick(CITIES)
    return (dice.pick(["New ", "San ", "Port ", "Saint "]) if dice.chance(0.08) else "") + made_up(dice, 2, 4)
