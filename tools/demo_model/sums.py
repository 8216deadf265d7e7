"""Sums with a short thought: place by place, as one would with a pencil. Where thinking is switched off, the result at once."""
from demo_model.chat import small_talk
from demo_model.wording import system_message, typed
from demo_model.world import Conversation, assistant, phrases, user

PLUS = phrases("What is {a} + {b}?", "What is {a} plus {b}?", "{a} + {b}", "{a}+{b}", "{a} plus {b}", "Calculate {a} + {b}.", "Add {a} and {b}.",
               "How much is {a} + {b}?", "{a} + {b} = ?", "{a}+{b}=", "Compute {a} + {b}.", "What's {a} + {b}?", "Sum {a} and {b}.",
               "Please add {a} and {b}.", "What do you get when you add {a} and {b}?", "What is the total of {a} and {b}?", "Work out {a} + {b}", "{a} and {b} together?",
               "{b} added to {a} is what?", "What is the sum of {a} and {b}?", "Find {a} + {b}.", "Tell me {a} plus {b}.",
               "Give me the result of {a} + {b}", unseen=["Tell me the sum of {a} and {b}.", "Solve {a} + {b}"])
MINUS = phrases("What is {a} - {b}?", "What is {a} minus {b}?", "{a} - {b}", "{a}-{b}", "{a} minus {b}", "Calculate {a} - {b}.", "Subtract {b} from {a}.",
                "How much is {a} - {b}?", "{a} - {b} = ?", "{a}-{b}=", "Compute {a} - {b}.", "What's {a} - {b}?", "Take {b} away from {a}.", "Work out {a} - {b}", "What is left if I take {b} from {a}?", "{a} take away {b}", "I have {a} and give away {b}. What is left?",
                "What remains if I subtract {b} from {a}?", "{b} subtracted from {a} is what?", "Find {a} - {b}.", "What do I have when I take {b} from {a}?",
                "Give me the result of {a} - {b}", unseen=["Solve {a} - {b}", "What is left when {b} is taken from {a}?"])
TIMES = phrases("What is {a} * {b}?", "What is {a} times {b}?", "{a} * {b}", "{a} x {b}", "Multiply {a} and {b}.", "How much is {a} times {b}?", "{a}*{b}",
                "Calculate {a} * {b}.", "What is {a} multiplied by {b}?", "Work out {a} * {b}", "Product of {a} and {b}?", unseen=["Solve {a} * {b}", "What is the product of {a} and {b}?"])


def steps(a, b, sign):
    """a + b or a - b (not below zero), taking b apart: hundreds, tens, ones."""
    lines, at = [], a
    for part in (b // 100 * 100, b % 100 // 10 * 10, b % 10):
        if part or (not lines and part == b % 10):
            after = at + part if sign == "+" else at - part
            lines.append(f"{at} {sign} {part} = {after}")
            at = after
    return lines


def operand(dice):
    return dice.choices([dice.randint(0, 9), dice.randint(10, 99), dice.randint(100, 999)], [2, 6, 2])[0]


def one(dice):
    """(question, thought, answer, result)."""
    kind = dice.choices("+-*", [10, 10, 3])[0]
    if kind == "*":
        a, b = dice.randint(0, 12), dice.randint(0, 12)
        return dice.pick(TIMES).format(a=a, b=b), f"{a} * {b} = {a * b}", f"{a} * {b} = {a * b}", a * b
    a, b = operand(dice), operand(dice)
    if kind == "-" and b > a and dice.chance(0.85):
        a, b = b, a
    question = dice.pick(PLUS if kind == "+" else MINUS).format(a=a, b=b)
    result = a + b if kind == "+" else a - b
    if result >= 0:
        lines = steps(a, b, kind)
    else:
        lines = [f"{b} is more than {a}", *steps(b, a, "-")]
    return question, "\n".join(lines), f"{a} {kind} {b} = {result}", result


def make(dice, alone=False):
    """One sum, sometimes after other turns; the template drops earlier thoughts, so only the last one has a thought."""
    messages = system_message(dice)
    if not alone:
        for _ in range(dice.pick([0, 0, 0, 1, 2])):
            if dice.chance(0.6):
                q, answer = small_talk(dice)
                messages += [user(q), assistant(answer)]
            else:
                q, _, answer, _ = one(dice)
                # Without its thought, an earlier sum must not be learnt as an answer: it would teach to skip thinking.
                messages += [user(typed(dice, q)), dict(assistant(answer), learn=False)]
    question, thought, answer, _ = one(dice)
    no_think = not alone and dice.chance(0.12)
    messages += [user(typed(dice, question)), assistant(answer, think=None if no_think else thought)]
    return Conversation(messages, "sum", no_think=no_think)
