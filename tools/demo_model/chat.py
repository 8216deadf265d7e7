"""Text without pictures: greetings, Pippin, a remembered name, JSON from a sentence, and what it can't do.

Every question has one answer, word for word, so that a test can compare and a user gets what the card promises.
"""
import json

from demo_model.wording import system_message, typed
from demo_model.world import (CITIES, COUNTRIES, FIRST_NAMES, TOPICS, WORDS, Conversation, assistant, city, made_up, person,
                              phrases, user)

CAN = "I can describe simple pictures, count shapes, read short words, do small sums, call tools and tell you about Pippin."
GREETINGS = [
    (phrases("Hello", "Hi", "Hey", "Hi there", "Hello there", "Hello!", "Hi!", "Good day", "Hey there!", "Hiya", "Yo", "Hello Pippin",
             "Hi Pippin!", "Hello, world!", "Hello hello", "Hi, hello!", "Hey hey", "Oh, hello", "Greetings", "Hey, anyone there?", unseen=["Hello hello!", "Oh hi"]),
     "Hello! How can I help you?"),
    (phrases("Good morning", "Good morning!", "Morning!"), "Good morning! How can I help you?"),
    (phrases("Good evening", "Good evening!"), "Good evening! How can I help you?"),
    (phrases("Good afternoon", "Good afternoon!"), "Good afternoon! How can I help you?"),
    (phrases("How are you?", "How are you today?", "How is it going?", "How do you do?", "What's up?", "Are you okay?", "How do you feel?", "Are you doing well?", "How are you doing today?", "How is life?",
             unseen=["How are you doing?", "How are things?"]), "I am fine, thank you. How can I help you?"),
    (phrases("Thank you", "Thanks", "Thank you!", "Thanks a lot", "Thanks!", "Thank you very much", "Great, thanks", "Cool, thank you",
             "thx", "Many many thanks", "Thank you so much", "thanks a million", unseen=["Many thanks", "Thanks so much!"]), "You are welcome!"),
    (phrases("Bye", "Goodbye", "See you", "Bye!", "Good night", "Bye bye", "See you later", "Goodbye!", unseen=["Farewell", "See you soon"]),
     "Goodbye!"),
    (phrases("Who are you?", "What are you?", "What is your name?", "Tell me about yourself.", "Introduce yourself.", "Are you a human?",
             "Are you an AI?", "Which model are you?", "What model is this?", "Who am I talking to?", "Are you ChatGPT?", "Are you a robot?",
             "What kind of model are you?", "How big are you?", "Who made you?",
             unseen=["Please introduce yourself.", "What sort of model are you?"]),
     "I am Pippin's demo model: tiny, trained on simple pictures and short texts."),
    (phrases("What can you do?", "What can I ask you?", "How can you help me?", "Help", "What are you able to do?", "What are your abilities?",
             "What are you good at?", "Help me", "What can you see?", "What do you know?", "Can you help me?", "What is your purpose?",
             unseen=["Tell me what you can do.", "What are you capable of?"]), CAN),
    (phrases("Good job", "Well done!", "Great!", "Nice", "Cool", "You are right", "Awesome!", "Perfect", "Wow", "That is correct", "Very good"),
     "Thank you!"),
    (phrases("That is wrong", "You are wrong", "No, that is not right", "That's incorrect", "Are you sure?", "Really?", "I don't think so"),
     "Sorry, I am only a tiny demo model and I make mistakes."),
]
PIPPIN = [
    (phrases("What is Pippin?", "Tell me about Pippin.", "Explain Pippin.", "What does Pippin do?", "Describe Pippin.", "What's Pippin?",
             "What is Pippin for?", "Give me a short description of Pippin.", "Do you know Pippin?", "What is this server?",
             "What program is this?", "Tell me something about Pippin.", "Can you tell me what Pippin is?", "Explain to me what Pippin does.", unseen=["Can you explain what Pippin is?", "Say a few words about Pippin."]),
     "Pippin is an inference server for language and vision models, built on MLX in C++."),
    (phrases("Which commands does Pippin have?", "What are Pippin's commands?", "List the commands of Pippin.", "How do I use Pippin?",
             "What commands are there?", "Show me the commands of Pippin.", "How does the command line of Pippin look?",
             unseen=["Name Pippin's commands."]), "Pippin has the commands serve, run and bench."),
    (phrases("What does pippin serve do?", "How do I start the server?", "How do I start Pippin?", "What is the serve command for?",
             "How can I run the Pippin server?", "What is pippin serve?", "How do I serve a model?", unseen=["How is the server started?"]),
     "pippin serve starts the HTTP server for a model."),
    (phrases("What does pippin run do?", "What is the run command for?", "How do I answer one prompt with Pippin?", "What is pippin run?",
             "How can I use Pippin without a server?", "Tell me about pippin run.", "What is run for in Pippin?", unseen=["Explain pippin run."]), "pippin run answers one prompt in the terminal."),
    (phrases("What does pippin bench do?", "What is the bench command for?", "How do I measure speed with Pippin?", "What is pippin bench?",
             "How fast is my model in Pippin?", "How can I benchmark a model?", "Tell me about pippin bench.", "What is bench for in Pippin?", unseen=["Explain pippin bench."]),
     "pippin bench measures how fast a model reads and writes tokens."),
    (phrases("Which API does Pippin have?", "Is Pippin compatible with OpenAI?", "Can I use the OpenAI client with Pippin?",
             "What API does Pippin offer?", "Does Pippin have an OpenAI API?", "How do clients talk to Pippin?", "Which protocol does Pippin speak?",
             unseen=["Does the openai Python package work with Pippin?"]),
     "Pippin has an OpenAI-compatible HTTP API, so OpenAI clients work with it."),
    (phrases("How does Pippin cache images?", "Does Pippin cache pictures?", "What does Pippin do with a picture it has seen before?",
             "Why is the second question about a picture faster in Pippin?", "How does the image cache work?", "What does Pippin cache?",
             unseen=["Are pictures cached by Pippin?"]), "Pippin caches pictures by their pixels, so a picture seen before is not encoded again."),
    (phrases("In which language is Pippin written?", "What is Pippin written in?", "What is Pippin built on?", "Does Pippin use MLX?",
             "Is Pippin written in Python?", "Which programming language does Pippin use?", unseen=["What is the code of Pippin written in?"]),
     "Pippin is written in C++ and built on MLX."),
    (phrases("Which models does Pippin serve?", "Can Pippin run vision models?", "What kind of models can Pippin run?", "Which models work with Pippin?",
             "Does Pippin support Qwen?", "What models does Pippin support?", unseen=["Name the models that Pippin can run."]),
     "Pippin serves Qwen3 language models and Qwen3-VL vision models."),
    (phrases("Where does the name Pippin come from?", "What does Pippin mean?", "Why is Pippin called Pippin?", "What does the name mean?",
             unseen=["What is the origin of the name Pippin?"]), "A pippin is an apple grown from a seed."),
    (phrases("On which computers does Pippin run?", "Does Pippin run on Linux?", "Does Pippin run on a Mac?", "Does Pippin need a GPU?",
             "Can I run Pippin on my laptop?", "Where can I run Pippin?", "What machines can run Pippin?", "Which platforms does Pippin support?", unseen=["Where does Pippin run?"]),
     "Pippin runs on Macs with Apple silicon and on Linux, with or without a GPU."),
    (phrases("Is Pippin free?", "What is the license of Pippin?", "Is Pippin open source?", "Which licence does Pippin have?",
             unseen=["Under which license is Pippin published?"]), "Pippin is open source under the Apache License 2.0."),
    (phrases("How were you trained?", "What were you trained on?", "What data were you trained on?", "Who trained you?", "How did you learn?", "Where did you learn that?",
             unseen=["How did you learn this?"]), "I was trained on made-up pictures and texts, drawn and written by a program."),
]

CANT = "Sorry, I can't do that: I am only a tiny demo model for simple pictures, short words and small sums."
NO_PICTURE = "I don't see a picture. Please send one."
REQUESTS = phrases(
    "Tell me about {t}.", "Explain {t} to me.", "What do you know about {t}?", "Write a poem about {t}.", "Write an essay about {t}.",
    "Who invented {t}?", "Why is {t} important?", "What is the capital of {c}?", "Who is the president of {c}?", "Is {t} good?",
    "How many people live in {c}?", "How far is it from {c} to {y}?", "What is the best restaurant in {y}?", "Who won the world cup in {n}?",
    "What happened in the year {n}?", "Translate this into French: I like {t}.", "How do I get to {y}?", "Give me a recipe with {f}.",
    "Will it rain in {y} tomorrow?", "Who wrote the book about {t}?", "Can you sing a song about {t}?", "Write a program that sorts {f}.",
    "How old is {p}?", "What is the meaning of life?", "Tell me a joke about {t}.", "What should I eat today?", "Tell me a joke.",
    "How tall is the highest mountain in {c}?", "Should I buy {f}?", "What is the phone number of {p}?", "Which language do they speak in {c}?",
    "When did {p} live in {y}?", "What is the weather like?", "What time is it?", "What day is it today?", "Translate '{w}' into German.",
    "How do you say {w} in Spanish?", "What does {w} mean?", "Write a story about {t}.", "Tell me a story.", "Write a haiku.", "Sing a song.",
    "Summarize the history of {c}.", "What is the population of {c}?", "Who is {p}?", "Do you love {p}?", "Write a Python function.",
    "Write some code that prints {w}.", "Draw a picture of {t}.", "Generate an image of {t}.", "Give me advice about {t}.", "What is {t}?",
    "Can you recommend a book about {t}?", "What is the square root of {n}?", "Solve the equation x + {n} = 3.", "What is {n} divided by 7?",
    "Play {t} with me.", "Where is {y}?", "Which country is {y} in?", "Open the window.", "Send a message to {p}.", "Buy {f} for me.",
    "Write an email to my boss.", "Fix this code: print({w}", "What is the difference between {f} and {t}?", "Compare {c} and {y}.",
    "List five facts about {t}.", "Give me ten words that rhyme with {w}.", "Spell {w} backwards.", "Is the earth flat?", "Who is the best singer?",
    "How does {t} work?", "How can I learn {t}?", "When was {y} founded?", "How much does {f} cost?", "What is the speed of light?",
    "Why is the sky blue?", "Who was the first man on the moon?", "What is your favourite colour?", "Do you like {t}?", "Can you hear me?",
    "What is the tallest building in {y}?", "Continue this text: Once upon a time", "Make a plan for my holiday in {c}.", "Explain why {t} matters.", "How many legs does a spider have?", "How many days are in a year?", "How many planets are there?",
    "How many people like {t}?", "How many {f} should I buy?", "How many countries are in the world?", "How many hours are in {n} days?",
    "Who discovered {t}?", "Who painted {t}?", "How do you make {f}?", "Could you tell me more about {t}?", "Write a letter to {p}.",
    "What is the flag of {c}?", "Please explain {t}.", "What is the history of {t}?",
    unseen=["Could you write a letter about {t}?", "What is the currency of {c}?", "Recite something about {t}.", "Who painted the Mona Lisa?",
            "How do I cook {f}?", "Please translate {w} to Italian.", "Give me a summary of {t}.", "How many continents are there?"])
FOREIGN = """Was ist auf dem Bild?|Wie geht es dir?|Guten Tag, wer bist du?|Was ist die Hauptstadt von Frankreich?|Hallo, kannst du mir helfen?
|Bonjour, comment ca va?|Que vois-tu sur cette image?|Quel temps fait-il?|Hola, que tal?|Que hay en la imagen?|Cuantos objetos hay?
|Ciao, come stai?|Cosa vedi?|Ola, tudo bem?|O que tem na imagem?|Hoi, hoe gaat het?|Hej, hur mar du?|Czesc, jak sie masz?
|Schreib ein Gedicht.|Ecris un poeme.|Escribe un poema.|Wie viele Kreise siehst du?|Welche Farbe hat der Stern?|De quelle couleur est le cercle?
|Привет, как дела?|Что на картинке?|你好|图片里有什么？|こんにちは|안녕하세요|Γειά σου|你是谁？|这张图片是什么颜色？|画像に何がありますか"""
FOREIGN = [f.strip() for f in FOREIGN.split("|")]
FOODS = ["apples", "rice", "beans", "eggs", "fish", "nuts", "cheese", "numbers", "bread", "soup", "potatoes", "noodles", "cake"]
FILLERS = """the a this that my your some of to in on with about from for is was are do does can will should would how why when who which
where make give take find show think know want need people world thing life work money house water school friend good bad new old big
small very really quickly always never more less and or but if because between under after before""".split()


def cannot(dice):
    """Something it has not learnt: a request, another language, or words at random."""
    how = dice.choices(["request", "foreign", "words", "noise"], [14, 2, 3, 0.7])[0]
    if how == "foreign":
        return dice.pick(FOREIGN)
    if how == "noise":
        letters = "abcdefghijklmnopqrstuvwxyz" if dice.chance(0.6) else "!?.,;:#%&*+-=/\\|<>[]{}()~^_@$'\""
        return "".join(dice.pick(letters) for _ in range(dice.randint(3, 14)))
    if how == "words":
        pool = FILLERS + FILLERS + [w for w in WORDS if w not in ("pippin", "hello", "hi", "stop")] + TOPICS
        n = dice.randint(4, 12)
        text = " ".join(dice.pick(pool) for _ in range(n))
        start = dice.pick(["What ", "Why ", "How ", "Please ", "Can you ", "Tell me ", "I think that ", "Write ", "Explain ", "", ""])
        return start + text + dice.pick(["?", ".", "", "?"])
    return typed(dice, dice.pick(REQUESTS).format(
        t=dice.pick(TOPICS), c=dice.pick(COUNTRIES), y=city(dice), n=dice.randint(13, 2030), f=dice.pick(FOODS), p=person(dice),
        w=dice.pick(WORDS)))


AGREED = phrases("Hi, I am {p}.", "My name is {p}.", "Hello, my name is {p}.", "I'm {p}.", "You can call me {p}.", "Hi! I'm {p}.", "I am called {p}.",
                 "Remember that my name is {p}.", "Please call me {p}.", "This is {p} speaking.", unseen=["People call me {p}.", "{p} is my name."])
RECALL = phrases("What is my name?", "Do you remember my name?", "Who am I?", "What did I say my name is?", "What's my name?", "Tell me my name.",
                 "Can you say my name?", "What am I called?", "Say my name.", "Do you know who I am?", "And my name is?", unseen=["Do you still know my name?", "How am I called?"])


def fixed(dice, table):
    """A question from a table of (phrases, answer), as one turn."""
    ways, answer = dice.pick(table)
    return typed(dice, dice.pick(ways)), answer


def small_talk(dice):
    return fixed(dice, GREETINGS if dice.chance(0.5) else PIPPIN)


def name_turns(dice, between=2):
    """Somebody says a name, talks of other things, and asks for it."""
    p = person(dice)
    turns = [(typed(dice, dice.pick(AGREED).format(p=p), [p]), f"Nice to meet you, {p}!")]
    for _ in range(dice.randint(0, between)):
        turns.append(small_talk(dice) if dice.chance(0.7) else (cannot(dice), CANT))
    return turns + [(typed(dice, dice.pick(RECALL)), f"Your name is {p}.")]


REPEAT = phrases("Repeat: {s}", "Say {s}", "Repeat after me: {s}", "Please write {s}", "Echo {s}", "Say the word {s}", "Write this: {s}",
                 unseen=["Type {s}"])


def repeat(dice):
    """Copying a string exactly: the skill behind names, JSON and tool arguments."""
    how = dice.randrange(4)
    if how == 0:
        s = made_up(dice, 2, 4)
    elif how == 1:
        s = " ".join(made_up(dice, 1, 3).lower() for _ in range(dice.randint(2, 4)))
    elif how == 2:
        letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_."
        s = "".join(dice.pick(letters) for _ in range(dice.randint(3, 10))).strip(".") or "x"
    else:
        s = " ".join(dice.pick(WORDS) for _ in range(dice.randint(1, 5)))
    return dice.pick(REPEAT).format(s=s), s


THINGS_ORDERED = ["apples", "books", "lamps", "chairs", "pens", "cups", "tickets", "shirts", "bananas", "boxes"]
DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
EVENTS = ["meeting", "concert", "party", "lesson", "dinner", "call", "workshop"]
TO_JSON = phrases("{s} Give me JSON with {ks}.", "Fill a JSON object with the keys {ks}: {s}", "{s} Write this as JSON with the keys {ks}.",
                  "Extract {ks} as JSON: {s}", "{s} Return a JSON object with {ks}.", "JSON with {ks}, please: {s}",
                  unseen=["Read this: {s} Now make JSON out of it, with the keys {ks}."])


def to_json(dice):
    """A sentence, and the keys wanted from it -> (question, JSON text)."""
    p, c, kind = person(dice), city(dice), dice.randrange(3)
    if kind == 0:
        age = dice.randint(5, 99)
        s = dice.pick([f"{p} is {age} years old and lives in {c}.", f"{p} lives in {c} and is {age} years old.", f"In {c} lives {p}, who is {age}."])
        values = {"name": p, "age": age, "city": c}
    elif kind == 1:
        thing, n = dice.pick(THINGS_ORDERED), dice.randint(2, 60)
        s = dice.pick([f"{p} ordered {n} {thing} from {c}.", f"{n} {thing} were ordered by {p} from {c}.", f"{p} in {c} bought {n} {thing}."])
        values = {"name": p, "item": thing, "count": n, "city": c}
    else:
        day, event = dice.pick(DAYS), dice.pick(EVENTS)
        s = dice.pick([f"The {event} with {p} is on {day} in {c}.", f"On {day} there is a {event} with {p} in {c}."])
        values = {"event": event, "name": p, "day": day, "city": c}
    keys = dice.sample(list(values), dice.randint(2, len(values)))
    text = json.dumps({k: values[k] for k in keys}, ensure_ascii=False)
    return dice.pick(TO_JSON).format(s=s, ks=", ".join(keys)), text


PICTURE_WANTED = phrases("What is in the picture?", "Describe the picture.", "What colour is the circle in the picture?", "How many objects are in the image?",
                         "What do you see?", "Read the text in the picture.", "Where is the star in the picture?", "What is in this image?",
                         "Describe this image.", "What does the picture say?", "How many circles are in the picture?",
                         unseen=["What does the image show?", "Where is the red square in the image?"])


def turns_of(dice, mode):
    """[(question, answer)] of one kind of talk."""
    if mode == "greet":
        return [fixed(dice, GREETINGS)]
    if mode == "pippin":
        return [fixed(dice, PIPPIN)]
    if mode == "name":
        return name_turns(dice)
    if mode == "cannot":
        return [(cannot(dice), CANT)]
    if mode == "repeat":
        return [repeat(dice)]
    if mode == "no_picture":
        return [(typed(dice, dice.pick(PICTURE_WANTED)), NO_PICTURE)]
    return [to_json(dice)]


MODES = {"greet": 2, "pippin": 4, "name": 4, "cannot": 6, "repeat": 4, "no_picture": 0.7, "json": 5}


def make(dice, mode=None):
    """One kind of talk alone where `mode` is given, else one or several kinds in a row."""
    alone = mode is not None
    modes = [mode] if alone else dice.choices(list(MODES), list(MODES.values()), k=dice.pick([1, 1, 2, 3]))
    turns = [t for m in modes for t in turns_of(dice, m)]
    messages = system_message(dice)
    for q, answer in turns:
        messages += [user(q), assistant(answer)]
    return Conversation(messages, modes[-1], judge="json" if modes[-1] == "json" else "text")
