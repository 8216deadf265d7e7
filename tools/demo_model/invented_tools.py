"""Tools that nobody has: a verb, a noun and a few parameters, put together by chance.

With a fixed list of tools a small model learns the list. With a new tool in every conversation it has to read the offer:
the request repeats the tool's words, and each value goes to the parameter that its clause or its kind names.
"""
from demo_model.tool_domains import DAYS, Domain, Parameter, code, email, title
from demo_model.world import CITIES, COLOR_NAMES, WORDS, capital, city, made_up, person, plural

VERBS = """paint open close start stop cancel move delete rename count measure print scan charge clean cook cut dig fill fix
fold hide invite lift load mix order pack plant pull push record repair sell send sort store show check buy get set add
remove update create list play lock build carry catch change collect copy deliver describe draw drive drop edit fetch
follow get get get find find book read reset ride run save search share sign stack test throw tie touch train turn use
view visit weigh wrap write""".split()
NOUNS = [w for w in WORDS if 3 <= len(w) and w not in {
    "hello", "stop", "exit", "yes", "off", "push", "pull", "free", "new", "hot", "cold", "start", "end", "left", "right", "down", "big",
    "small", "fast", "slow", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "north", "south", "east", "west",
    "welcome", "open", "happy", "pippin"} | {c.lower() for c in CITIES} | {d.lower() for d in DAYS}]
NOUNS += """fence report invoice account folder robot engine sensor camera garden order booking meeting ticket user customer
page server backup battery door window price score level temperature humidity status balance rate""".split()


def whole(low, high):
    return lambda dice: dice.randint(low, high)


def words(dice):
    return title(dice).lower() if dice.chance(0.7) else " ".join(dice.pick(WORDS) for _ in range(dice.randint(1, 3)))


# kind: (parameter names, JSON type, value, ways to say it without the parameter's name)
KINDS = {
    "person": (["name", "person", "who", "customer", "owner", "user", "author", "contact"], "string", person, ["for {v}", "by {v}", "of {v}", "with {v}"]),
    "place": (["city", "place", "location", "where", "town", "destination"], "string", city, ["in {v}", "at {v}", "near {v}", "from {v}"]),
    "number": (["count", "number", "amount", "size", "level", "speed", "weight", "width", "height", "quantity", "value", "n"], "integer",
               whole(0, 999), []),
    "unit": (["minutes", "hours", "days", "percent", "grams", "meters", "degrees", "seconds", "weeks", "people"], "integer", whole(1, 120),
             ["{v} {k}", "for {v} {k}", "at {v} {k}", "{v} {k}"]),
    "text": (["text", "title", "label", "message", "word", "topic", "subject", "query", "comment"], "string", words, []),
    "color": (["color", "colour"], "string", lambda dice: dice.pick(COLOR_NAMES), ["in {v}", "{v}"]),
    "day": (["day", "date", "weekday"], "string", lambda dice: dice.pick(DAYS), ["on {v}", "for {v}"]),
    "code": (["id", "code", "key", "symbol", "reference"], "string", code, []),
    "email": (["email", "address", "to"], "string", email, ["to {v}"]),
    "choice": (["mode", "kind", "type", "style", "program", "state"], "string", None, ["in {v} {k}", "{v}", "with the {v} {k}"]),
    "any": (None, "string", lambda dice: made_up(dice), []),
}
NAMED = ["with {k} {v}", "{k} {v}", "{k} = {v}", "{k}: {v}", "the {k} is {v}", "and {k} {v}", "using {k} {v}", "with the {k} {v}"]


def parameters(dice):
    """One to three parameters of different kinds -> [(Parameter, ways to say it)]."""
    out = []
    for kind in dice.sample(list(KINDS), dice.choices([1, 2, 3], [5, 5, 2])[0]):
        names, json_type, value, ways = KINDS[kind]
        names = names or [dice.pick(NOUNS) if dice.chance(0.6) else made_up(dice).lower()]
        name = dice.pick(names)
        choices = ()
        if kind == "choice":
            choices = tuple(dice.sample(NOUNS, dice.randint(2, 4)))
            value = lambda dice, c=choices: dice.pick(c)
        if any(p.names[0] == name for p, _ in out):
            continue
        out.append((Parameter((name,), json_type, value, choices), ways))
    return out


def clause(dice, i, parameter, ways):
    """How the request tells one value, with {i} for it."""
    way = dice.pick(ways) if ways and dice.chance(0.65) else dice.pick(NAMED)
    return way.replace("{k}", parameter.names[0].replace("_", " ")).replace("{v}", "{%d}" % i)


def ask_for(dice, verb, noun, clauses):
    """The request's text."""
    rest = clauses[0]
    for c in clauses[1:]:
        rest += dice.pick([" ", ", ", " "]) + c
    if verb in ("get", "find", "show", "check", "list", "search", "fetch", "read", "view"):
        start = dice.pick([f"What is the {noun}", f"{capital(verb)} the {noun}", f"Give me the {noun}", f"Which {noun} is it", f"Tell me the {noun}",
                           f"I need the {noun}", f"I am looking for a {noun}", f"I am looking for {plural(noun)}", f"Which {plural(noun)} are there",
                           f"Do you have a {noun}", f"Where is the {noun}", f"{capital(verb)} {plural(noun)}", f"How much is the {noun}", f"Can you {verb} the {noun}", f"Show me the {noun}", f"How is the {noun}"])
    else:
        start = dice.pick([f"{capital(verb)} the {noun}", f"{capital(verb)} a {noun}", f"Please {verb} the {noun}", f"Can you {verb} the {noun}",
                           f"I want to {verb} the {noun}", f"{capital(verb)} my {noun}", f"{capital(verb)} {noun}", f"You should {verb} the {noun}",
                           f"I need a {noun}", f"{capital(noun)}:", f"The {noun} should be ready", f"It is time to {verb} the {noun}", f"Let us {verb} the {noun}",
                           f"I need you to {verb} a {noun}"])
    if dice.chance(0.1) and len(clauses) == 1:
        return f"{capital(rest)}: {start[0].lower() + start[1:]}"
    return start + (" " if start.endswith(":") else dice.pick([" ", " ", ", "])) + rest + ("?" if start.startswith(("What", "Which", "Can", "How", "Do", "Where")) else dice.pick([".", ".", ""]))


def tool_name(dice, verb, noun):
    return dice.choices([f"{verb}_{noun}", f"{verb}{capital(noun)}", f"{noun}_{verb}", noun, f"{capital(verb)}{capital(noun)}", f"{verb}-{noun}"],
                        [10, 3, 2, 1.5, 1, 0.7])[0]


def result_of(dice, values):
    keys = dice.sample(["status", "result", "value", "count", "price", "total", "code", "name", "place", "state", "time", "answer", dice.pick(NOUNS)],
                       dice.choices([1, 2], [3, 1])[0])
    return {k: dice.pick([dice.randint(0, 999), dice.pick(WORDS), made_up(dice), "ok", "done"]) for k in keys}


def invent(dice, verb=None, noun=None):
    """A Domain with one name, some requests for it, and no answer of its own."""
    verb, noun = verb or dice.pick(VERBS), noun or (dice.pick(NOUNS) if dice.chance(0.9) else made_up(dice).lower())
    chosen = parameters(dice)
    requests = []
    for _ in range(2):
        order = list(enumerate(chosen))
        if dice.chance(0.25):
            dice.shuffle(order)
        requests.append(ask_for(dice, verb, noun, [clause(dice, i, p, ways) for i, (p, ways) in order]))
    description = dice.pick([f"{capital(verb)} the {noun}", f"{capital(verb)} a {noun}", f"{capital(noun)}: {verb}", f"Use this to {verb} the {noun}", capital(noun)])
    return Domain((tool_name(dice, verb, noun),), (description,), tuple(p for p, _ in chosen), tuple(requests), result_of, "")
