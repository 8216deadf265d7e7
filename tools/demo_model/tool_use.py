"""Calling tools: one call, several at once, answers from results, failures, no fitting tool, and calls about a picture."""
import json

from demo_model import chat, reading, scenes
from demo_model.invented_tools import NOUNS, VERBS, invent
from demo_model.tool_domains import DOMAINS, LEADS
from demo_model.wording import lower_except, system_message
from demo_model.world import WORDS, Conversation, assistant, capital, phrases, plural, user

NO_TOOL = "I have no tool for that."
FAILED = "The tool failed: {error}."
RESULT = "Result: {pairs}."      # of a tool whose results have no sentence of their own
ERRORS = phrases("not found", "timeout", "no connection", "access denied", "invalid argument", "service unavailable", "rate limit", "unknown place",
                 unseen=["out of memory", "permission missing"])


def schema(dice, name, description, parameters):
    """A tool as the chat API describes it -> ({"type": "function", ...}, argument names)."""
    keys, properties = [], {}
    for p in parameters:
        key = dice.pick([n for n in p.names if n not in keys])
        keys.append(key)
        properties[key] = {"type": p.type}
        if p.choices and dice.chance(0.4):
            properties[key]["enum"] = list(p.choices)
        if dice.chance(0.15):
            properties[key]["description"] = f"The {key.replace('_', ' ')}"
    function = {"name": name, "description": description,
                "parameters": {"type": "object", "properties": properties, "required": list(keys)}}
    if dice.chance(0.1):
        function["parameters"]["additionalProperties"] = False
    return {"type": "function", "function": function}, keys


def offer(dice, domain):
    name = dice.pick(domain.names)
    if dice.chance(0.12):
        name += "_" + dice.pick(["v2", "api", "tool", "now", "v1", "2"])
    return schema(dice, name, dice.pick(domain.description), domain.parameters)


def request(dice, domain):
    """(what the user says, values)."""
    values = [p.value(dice) for p in domain.parameters]
    said = capital(dice.pick(domain.requests).format(*values))
    if dice.chance(0.2):
        said = lower_except(said, [str(v) for v in values])
    if dice.chance(0.15) and said[-1] in ".?!" and not str(values[-1]).endswith(said[-1]):
        said = said[:-1]
    return dice.pick(LEADS) + said, values


def tool_message(dice, result):
    return {"role": "tool", "content": json.dumps(result, ensure_ascii=False, separators=(",", ":") if dice.chance(0.3) else None)}


def respond(dice, domain, values):
    """The tool's message and what is said about it."""
    if dice.chance(0.1):
        error = dice.pick(ERRORS) if dice.unseen or dice.chance(0.5) else " ".join(dice.pick(WORDS) for _ in range(dice.randint(1, 3)))
        return tool_message(dice, {"error": error}), assistant(FAILED.format(error=error))
    result = domain.result(dice, values)
    own = domain.answer and not domain.unseen      # nobody could know the sentence for an unseen tool
    said = capital(domain.answer.format(*values, **result)) if own else RESULT.format(pairs=", ".join(f"{k} {v}" for k, v in result.items()))
    return tool_message(dice, result), assistant(said)


class Toolbox:
    """Some domains on offer in one conversation."""

    def __init__(self, dice, count=None):
        count = count or dice.randint(1, 5)
        known = dice.sample([d for d in DOMAINS if d.unseen == dice.unseen], count)
        self.domains = known if dice.unseen else [invent(dice) if dice.chance(0.55) else d for d in known]
        if count > 1 and not dice.unseen and dice.chance(0.25):     # tools that differ in one word
            verb, noun = dice.pick(VERBS), dice.pick(NOUNS)
            alike = [invent(dice, verb=verb) if dice.chance(0.5) else invent(dice, noun=noun) for _ in range(2)]
            if alike[0].names != alike[1].names:
                self.domains[:2] = alike
        self.offers = [offer(dice, d) for d in self.domains]
        self.tools = [o[0] for o in self.offers]

    def call(self, dice, i=None):
        """(request, (name, arguments), domain, values) for one of the tools."""
        i = dice.randrange(len(self.domains)) if i is None else i
        said, values = request(dice, self.domains[i])
        tool, keys = self.offers[i]
        return said, (tool["function"]["name"], dict(zip(keys, values))), self.domains[i], values

    def turns(self, dice, answered=True):
        """Messages of one use of a tool."""
        said, call, domain, values = self.call(dice)
        messages = [user(said), assistant("", calls=[call])]
        return messages + list(respond(dice, domain, values)) if answered else messages

    def double(self, dice):
        """Two requests in one message, two calls in one answer."""
        if len(self.domains) > 1 and dice.chance(0.6):
            picks = dice.sample(range(len(self.domains)), 2)
        else:
            picks = [0, 0]
        (first, call_a, _, _), (second, call_b, _, _) = (self.call(dice, i) for i in picks)
        return [user(f"{first.rstrip('.')}{dice.pick(['. ', ' and also: ', '. Then: ', '. And '])}{second}"), assistant("", calls=[call_a, call_b])]

    def unfit(self, dice):
        """A request that none of the tools on offer can serve."""
        others = [d for d in DOMAINS if not d.unseen and d not in self.domains]
        if dice.chance(0.4) and not dice.unseen:
            other = invent(dice)
            if not set(other.description[0].lower().split()) & {w for d in self.domains for w in d.description[0].lower().split()} - {"a", "the", "use", "this", "to"}:
                return [user(request(dice, other)[0]), assistant(NO_TOOL)]
        # Two domains about places or times may serve the same wish; only clearly other ones are asked for.
        names = {p for d in self.domains for q in d.parameters for p in q.names}
        others = [d for d in others if not names & {p for q in d.parameters for p in q.names}]
        if not others:
            return None
        return [user(request(dice, dice.pick(others))[0]), assistant(NO_TOOL)]


def as_conversation(dice, messages, toolbox, judge="text", kind="tool"):
    tools = toolbox.tools if dice.unseen or dice.chance(0.85) else [t["function"] for t in toolbox.tools]
    return Conversation(system_message(dice) + messages, kind, tools=tools, compact=not dice.unseen and dice.chance(0.2), judge=judge)


def make(dice, mode=None):
    """mode: "call" or "answer" (judged alone), else a mixture of uses in one to three steps."""
    box = Toolbox(dice)
    if mode == "call":
        return as_conversation(dice, box.turns(dice, answered=False), box, "calls", "tool_call")
    if mode == "late_call":
        earlier = [m for _ in range(dice.randint(1, 2)) for m in step(dice, box)]
        return as_conversation(dice, earlier + box.turns(dice, answered=False), box, "calls", "tool_call_long")
    if mode == "double":
        return as_conversation(dice, box.double(dice), box, "calls", "tool_double")
    if mode == "answer":
        return as_conversation(dice, box.turns(dice), box, kind="tool_answer")
    messages = []
    for _ in range(dice.pick([1, 1, 1, 2, 3])):
        messages += step(dice, box)
    return as_conversation(dice, messages, box, "calls" if messages[-1].get("tool_calls") else "text")


def step(dice, box):
    """One exchange while tools are on offer: mostly a use of them, sometimes talk that needs none."""
    u = dice.random()
    if u < 0.66:
        return box.turns(dice)
    if u < 0.76:
        return box.double(dice)
    if u < 0.84:
        return box.unfit(dice) or box.turns(dice)
    q, answer = chat.small_talk(dice) if u < 0.95 else (chat.fixed(dice, chat.GREETINGS))
    return [user(q), assistant(answer)]


# ---------------------------------------------------------------- tools whose arguments are seen in a picture
SAVE_COUNT = phrases("Save the number of {things} in the picture.", "Count the {things} in the picture and store the result.",
                     "Log how many {things} the picture has.", unseen=["Record the count of {things} in this image."])
SAVE_WORD = phrases("Save the text in the picture.", "Store the word that is written in the picture.", "Read the picture and save what it says.",
                    unseen=["Record the text of this image."])
SET_COLOR = phrases("Set the lamp to the colour of the {s}.", "Make the light the same color as the {s} in the picture.",
                    "Switch the lamp to the {s}'s colour.", unseen=["Give the lamp the color of the {s}."])


def picture_call(dice):
    """(picture, request, tool, call, the word that is read or None): the model has to look before it calls."""
    how = dice.randrange(3)
    if how == 0:
        scene = scenes.Scene(dice, count=dice.randint(1, 6))
        key = dice.pick(["shape", "color"])
        value = dice.pick([t[key] for t in scene.things]) if scene.things else "star"
        n = sum(t[key] == value for t in scene.things)
        noun = plural(value if key == "shape" else value + " object")
        name, key = dice.pick(["save_count", "log_number", "store_result", "save_number"]), dice.pick(["count", "number", "value", "n"])
        return scene.picture, dice.pick(SAVE_COUNT).format(things=noun), simple_tool(dice, name, "Save a number", {key: "integer"}), (name, {key: n}), None
    if how == 1:
        word = reading.random_text(dice)
        picture, _ = reading.picture_of(dice, word)
        name, key = dice.pick(["save_text", "store_word", "log_text", "save_string"]), dice.pick(["text", "word", "content", "value"])
        return picture, dice.pick(SAVE_WORD), simple_tool(dice, name, "Save a text", {key: "string"}), (name, {key: word}), word
    while True:
        scene = scenes.Scene(dice, count=dice.randint(1, 5))
        ones = scenes.alone(scene.things, lambda t: t["shape"])
        if ones:
            break
    t = dice.pick(ones)
    name, key = dice.pick(["set_color", "lamp_color", "set_lamp_colour", "light_color"]), dice.pick(["color", "colour", "value"])
    tool = simple_tool(dice, name, "Set the colour of the lamp", {key: "string"})
    return scene.picture, dice.pick(SET_COLOR).format(s=t["shape"]), tool, (name, {key: t["color"]}), None


def simple_tool(dice, name, description, parameters):
    properties = {k: {"type": v} for k, v in parameters.items()}
    return {"type": "function", "function": {"name": name, "description": description,
                                             "parameters": {"type": "object", "properties": properties, "required": list(parameters)}}}


def make_with_picture(dice, alone=False):
    picture, said, tool, call, read = picture_call(dice)
    box = Toolbox(dice, dice.randint(1, 3))
    box.tools.insert(dice.randint(0, len(box.tools)), tool)
    messages = [user(said, media=1, text_first=dice.chance(0.4)), assistant("", calls=[call], read=read)]
    if not alone and dice.chance(0.5):
        messages += [{"role": "tool", "content": '{"status": "ok"}'}, assistant("Done.")]
    conversation = as_conversation(dice, messages, box, "calls" if messages[-1].get("tool_calls") else "text", "tool_picture")
    conversation.media = [[picture]]
    return conversation
