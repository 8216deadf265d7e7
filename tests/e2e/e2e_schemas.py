"""JSON schemas made at random, from flat objects to references, alternatives, patterns and formats.

What may go on for ever in them ends somewhere (strings have a length, arrays a size, and there is no recursion): a tiny model at
temperature 1 loses its thread and would not end it by itself."""
import random

WORDS = ["name", "age", "city", "colour", "size", "tags", "items", "price", "note", "when", "parent", "id", "x", "y", "on", "unité"]
PATTERNS = ["^[a-z]{2,5}$", "^[A-Z]{3}-[0-9]{4}$", "^(red|green|blue)$", "^a", "z$", r"^\d+(\.\d{1,2})?$", r"^\w+@\w+\.(com|org)$"]
FORMATS = ["date", "date-time", "time", "email", "uuid", "ipv4", "ipv6", "hostname", "duration", "uri"]
# What can't be kept to; each is refused by its name.
REFUSED = [("uniqueItems", {"type": "array", "items": {"type": "integer"}, "uniqueItems": True}),
           ("not", {"not": {"type": "string"}}), ("if", {"if": {"type": "string"}, "then": {"minLength": 3}}),
           ("contains", {"type": "array", "contains": {"type": "null"}}),
           ("propertyNames", {"type": "object", "propertyNames": {"maxLength": 3}}),
           ("dependentRequired", {"type": "object", "dependentRequired": {"a": ["b"]}}),
           ("regex", {"type": "string", "format": "regex"}),
           ("oneOf", {"oneOf": [{"type": "integer"}, {"type": "number"}]})]


class Generator:
    """One schema. `depth` bounds its nesting; a greater `difficulty` in [0, 1] uses more of the language."""

    def __init__(self, dice: random.Random, difficulty: float):
        self.dice = dice
        self.difficulty = difficulty
        self.definitions: dict[str, dict] = {}
        self.making: set[str] = set()  # definitions that may not be referred to yet: that would be recursion

    def chance(self, probability: float) -> bool:
        return self.dice.random() < probability

    def schema(self) -> dict:
        root = self.object(1 + round(3 * self.difficulty)) if self.chance(0.8) else self.any(1 + round(3 * self.difficulty))
        if self.definitions:
            root["$defs"] = self.definitions
        return root

    def any(self, depth: int) -> dict:
        flat = [self.string, self.string, self.number, self.integer, self.boolean, self.enum, self.const]
        nested = [self.object, self.object, self.array, self.array, self.any_of, self.one_of, self.all_of, self.reference]
        if depth <= 0 or self.chance(0.5):
            return self.dice.choice(flat)()
        return self.dice.choice(nested[: 4 + round(4 * self.difficulty)])(depth - 1)

    def string(self) -> dict:
        kind = self.dice.random()
        if kind < 0.3 * self.difficulty:
            return {"type": "string", "pattern": self.dice.choice(PATTERNS), "maxLength": 40}
        if kind < 0.6 * self.difficulty:
            return {"type": "string", "format": self.dice.choice(FORMATS), "maxLength": 60}
        shortest = self.dice.randrange(4)
        return {"type": "string", "minLength": shortest, "maxLength": shortest + self.dice.randrange(1, 30)}

    def integer(self) -> dict:
        schema: dict = {"type": "integer"}
        low = self.dice.randrange(-1000, 1000)
        if self.chance(0.7):
            schema[self.dice.choice(["minimum", "exclusiveMinimum"])] = low
        if self.chance(0.7):
            schema[self.dice.choice(["maximum", "exclusiveMaximum"])] = low + self.dice.randrange(3, 5000)
        if self.chance(0.2 * self.difficulty):
            schema["multipleOf"] = self.dice.choice([1, 2, 3])
        return schema

    def number(self) -> dict:
        schema: dict = {"type": "number"}
        low = self.dice.choice([-1.5, 0, 0.25, 3, 99.75, -1e3])
        sides = self.dice.choice([["minimum"], ["maximum"], ["minimum", "maximum"]])
        if "minimum" in sides:
            schema["minimum"] = low
        if "maximum" in sides:
            schema["maximum"] = low + self.dice.choice([0.5, 1, 17.25, 1e6])
        if self.chance(0.2 * self.difficulty):
            schema["multipleOf"] = self.dice.choice([0.25, 0.5, 1])
        return schema

    def boolean(self) -> dict:
        return {"type": self.dice.choice(["boolean", "null", ["boolean", "null"], ["integer", "boolean"]])}

    def enum(self) -> dict:
        values = ["red", "green", "a \"quoted\" word", "é", "tab\there", 0, -3, 2.5, True, None, [1, "x"], {"k": [1]}]
        return {"enum": self.dice.sample(values, self.dice.randrange(1, 6))}

    def const(self) -> dict:
        return {"const": self.dice.choice(["fixed", 7, -0.5, False, None, ["a", 1], {"a": {"b": "c"}}])}

    def object(self, depth: int) -> dict:
        names = self.dice.sample(WORDS, self.dice.randrange(1, 5))
        schema: dict = {"type": "object", "properties": {name: self.any(depth - 1) for name in names},
                        "required": [name for name in names if self.chance(0.7)]}
        if self.chance(0.1 * self.difficulty):
            return {"type": "object", "patternProperties": {"^p_[a-z]{1,6}$": self.any(0)}, "additionalProperties": False,
                    "minProperties": self.dice.randrange(2), "maxProperties": self.dice.randrange(1, 4)}
        schema["additionalProperties"] = False
        return schema

    def array(self, depth: int) -> dict:
        schema: dict = {"type": "array", "maxItems": self.dice.randrange(1, 5)}
        if self.chance(0.4):
            schema["minItems"] = self.dice.randrange(0, schema["maxItems"] + 1)
        if self.chance(0.3 * self.difficulty):
            schema["prefixItems"] = [self.any(depth - 1) for _ in range(self.dice.randrange(1, 3))]
        schema["items"] = False if "prefixItems" in schema and self.chance(0.5) and not schema.get("minItems") else self.any(depth - 1)
        return schema

    def any_of(self, depth: int) -> dict:
        return {"anyOf": [self.any(depth - 1) for _ in range(self.dice.randrange(2, 4))]}

    def one_of(self, depth: int) -> dict:
        kinds = [{"type": "object", "properties": {"kind": {"const": kind}, "value": self.any(depth - 1)},
                  "required": ["kind", "value"], "additionalProperties": False} for kind in ("a", "b")]
        return {"oneOf": kinds}

    def all_of(self, depth: int) -> dict:
        return {"type": "object", "properties": {"left": True, "right": True}, "additionalProperties": False, "allOf": [
            {"properties": {"left": self.any(depth - 1)}, "required": ["left"]}, {"properties": {"right": self.any(depth - 1)}}]}

    def reference(self, depth: int) -> dict:
        name = f"d{self.dice.randrange(3)}"
        if name not in self.definitions:
            self.definitions[name] = {}
            self.making.add(name)
            self.definitions[name] = self.any(depth - 1)
            self.making.remove(name)
        if name in self.making:
            return self.integer()
        return {"$ref": f"#/$defs/{name}"}


def make_schemas(count: int, seed: int = 1) -> list[tuple[dict, str]]:
    """`count` schemas of growing difficulty, each with the keyword for which it is to be refused ("" for most)."""
    dice = random.Random(seed)
    schemas = []
    for i in range(count):
        if dice.random() < 0.04:
            keyword, schema = dice.choice(REFUSED)
            schemas.append(({"type": "object", "properties": {"bad": schema}, "required": ["bad"]}, keyword))
        else:
            schemas.append((Generator(dice, i / count).schema(), ""))
    return schemas
