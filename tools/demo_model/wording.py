"""How people type: system prompts, lower case, missing full stops, politeness, slips of the finger.

Questions are written once, properly, by the generators; `typed` roughens them. Names and strings that the answer has
to repeat are passed as `keep`, and stay as they are.
"""
import re

from demo_model.world import phrases

SYSTEMS = phrases(
    "You are Pippin, a helpful assistant.", "You are a helpful assistant.", "You are a helpful assistant.",
    "Answer briefly.", "You are a friendly assistant that looks at pictures.", "Be helpful and honest.",
    "You are a careful assistant. Say what you see.", "You are an AI assistant.", "You are a vision model.",
    "You are a helpful assistant. Always answer truthfully and as well as you can.", "You are ChatGPT.",
    "You are a large language model. Follow the user's instructions.", "Be concise.", "You are Qwen, a helpful assistant.",
    "You are an expert at describing images.", "Today is Monday.", "You are a bot in a chat room. Be polite.",
    "You have access to tools. Use them when they help.", "Help the user with the task.", "You are a test assistant.",
    "The user is a developer. Keep answers short and factual.", "You answer questions about images.",
    unseen=["You are a kind and patient assistant for children.", "Act as a professional image analyst.",
            "You are an intelligent chatbot called Max. Reply to the best of your ability."],
)
SHORT_SYSTEMS = phrases("Answer in one word.", "Answer with a single word or number.", "Give only the answer, no sentence.",
                        "Reply with one word only.", unseen=["Use just one word in your replies."])
SHORT_SUFFIXES = phrases(" Answer in one word.", " Answer with one word.", " One word only.", " Just the answer.",
                         " Answer with a single word or number.", " Reply with only the answer.", " Be brief: one word.", " Give one word.", " In one word, please.", " Say it in one word.", " Only the answer.",
                         unseen=[" Respond with one word.", " Only one word, please."])
POLITE_BEFORE = ["Please tell me: ", "Hi! ", "Hello, ", "Hey, ", "Can you tell me: ", "Quick question: ", "Please: ",
                 "Now tell me: ", "Okay, ", "Ok. ", "And ", "So, ", "Great. "]
POLITE_AFTER = [" Please.", " Thanks!", " Thank you.", " thx"]
NEIGHBOURS = {"a": "s", "e": "r", "i": "o", "o": "p", "t": "y", "n": "m", "r": "t", "s": "a", "h": "j", "l": "k", "c": "v",
              "u": "i", "d": "f", "m": "n", "g": "h", "p": "o", "w": "e", "y": "t", "b": "v", "f": "g", "k": "l", "v": "b"}


def slip(dice, word):
    """One typing mistake inside a word of at least four letters."""
    i = dice.randint(1, len(word) - 2)
    how = dice.randrange(4)
    if how == 0:
        return word[:i] + word[i + 1] + word[i] + word[i + 2 :]
    if how == 1:
        return word[:i] + word[i + 1 :]
    if how == 2:
        return word[:i] + word[i] + word[i:]
    return word[:i] + NEIGHBOURS.get(word[i], word[i]) + word[i + 1 :]


def mistyped(dice, text, keep):
    """`text` with one or two slips, never in a word of `keep`, a number or a word in capitals."""
    words = text.split(" ")
    free = [i for i, w in enumerate(words) if len(w) >= 4 and w.isalpha() and w[1:].islower() and w not in keep]
    for i in dice.sample(free, min(len(free), dice.pick([1, 1, 2]))):
        words[i] = slip(dice, words[i])
    return " ".join(words)


def lower_except(text, keep):
    """Lower case, but for what must be repeated letter by letter."""
    if not keep:
        return text.lower()
    pattern = "(" + "|".join(re.escape(k) for k in sorted(keep, key=len, reverse=True)) + ")"
    return "".join(p if p in keep else p.lower() for p in re.split(pattern, text))


def typed(dice, text, keep=()):
    """`text` as somebody might type it; meaning and kept strings stay."""
    keep = [str(k) for k in keep]
    whole = {w for k in keep for w in k.split(" ")}
    if dice.chance(0.1):
        text = dice.pick(POLITE_BEFORE) + (text if dice.chance(0.5) or text.split(" ")[0].strip(".,") in whole
                                           else text[0].lower() + text[1:])
    if dice.chance(0.07):
        text += dice.pick(POLITE_AFTER)
    if dice.chance(0.1):
        text = mistyped(dice, text, whole)
    if dice.chance(0.22):
        text = lower_except(text, keep)
    if dice.chance(0.15) and text[-1] in ".?!" and not any(k.endswith(text[-1]) for k in keep):
        text = text[:-1] + dice.pick(["", "", "", " ?", "??", "!"])
    return text


def system_message(dice, p=0.3):
    """[] or one system message."""
    return [{"role": "system", "content": dice.pick(SYSTEMS)}] if dice.chance(p) else []
