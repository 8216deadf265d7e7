"""Long conversations: pictures that come one after the other, tools, sums and small talk in between.

Each of the other modules teaches an ability; here they follow each other, so that the model learns which picture is
meant, that earlier turns stay true, and that a tool on offer need not be used.
"""
from demo_model import chat, reading, scenes, tool_use
from demo_model.wording import system_message, typed
from demo_model.world import Conversation, assistant, user


class Dialog:
    """A conversation under construction. `scene` is the newest picture's, or None where it is no scene."""

    def __init__(self, dice):
        self.dice, self.messages, self.media, self.scenes = dice, [], [], []
        self.box = tool_use.Toolbox(dice, dice.randint(1, 3)) if dice.chance(0.35) else None
        self.name = None

    def say(self, question, answer, media=0, read=None):
        self.messages += [user(question, media=media, text_first=self.dice.chance(0.4)), assistant(answer, read=read)]

    def new_scene(self):
        scene = scenes.Scene(self.dice)
        asked = scenes.ask(self.dice, scene)
        self.scenes.append(scene)
        self.media.append([scene.picture])
        self.say(*scenes.spoken(self.dice, asked), media=1)

    def newest(self):
        """Another question about the newest picture."""
        asked = self.scenes and self.scenes[-1] and scenes.ask(self.dice, self.scenes[-1])
        if asked:
            self.say(*scenes.spoken(self.dice, asked))

    def earlier(self):
        """A question about a picture called by its number."""
        known = [i for i, s in enumerate(self.scenes[:4]) if s]
        if len(self.scenes) < 2 or not known:
            return
        i = self.dice.pick(known)
        called = f"the {['first', 'second', 'third', 'fourth'][i]} picture"
        asked = scenes.ask(self.dice, self.scenes[i], called)
        if asked and called in asked[0]:
            self.say(typed(self.dice, asked[0]), asked[1])

    def new_word(self):
        word = reading.random_text(self.dice)
        picture, _ = reading.picture_of(self.dice, word)
        self.scenes.append(None)
        self.media.append([picture])
        question = self.dice.pick(reading.SAY).format(what="number" if word.isdigit() else "word")
        self.say(typed(self.dice, question), f"It says {word}", media=1, read=word)

    def talk(self):
        mode = self.dice.pick(["greet", "pippin", "cannot", "repeat", "json"])
        for turn in chat.turns_of(self.dice, mode):
            self.say(*turn)

    def tool(self):
        if self.box:
            self.messages += tool_use.step(self.dice, self.box)

    def naming(self):
        """Tells a name the first time, asks for it later."""
        if self.name is None:
            self.name, ways = chat.person(self.dice), chat.AGREED
            self.say(typed(self.dice, self.dice.pick(ways).format(p=self.name), [self.name]), f"Nice to meet you, {self.name}!")
        else:
            self.say(typed(self.dice, self.dice.pick(chat.RECALL)), f"Your name is {self.name}.")


STEPS = {Dialog.new_scene: 4, Dialog.newest: 6, Dialog.earlier: 4, Dialog.new_word: 1.5, Dialog.talk: 2.5, Dialog.tool: 4, Dialog.naming: 2}


def make(dice, last=None):
    """Three to nine steps; `last` (a step) is what the conversation ends with and is judged on."""
    while True:
        dialog = Dialog(dice)
        for step in dice.choices(list(STEPS), list(STEPS.values()), k=dice.randint(3, 9)):
            if len(dialog.media) < 4 or step not in (Dialog.new_scene, Dialog.new_word):
                step(dialog)
        before = len(dialog.messages)
        if last:
            last(dialog)
        if dialog.messages and (not last or len(dialog.messages) > before):
            break
    ends_with_call = bool(dialog.messages[-1].get("tool_calls"))
    return Conversation(system_message(dice) + dialog.messages, "dialog", dialog.media, tools=dialog.box and dialog.box.tools,
                        judge="calls" if ends_with_call else "text")
