"""What tools can be about: names, parameters, requests, results. A domain marked unseen never occurs in training."""
from typing import Callable, NamedTuple

from demo_model.world import FIRST_NAMES, TOPICS, WORDS, city, made_up, person, phrases


class Parameter(NamedTuple):
    names: tuple          # what it may be called
    type: str             # JSON schema type
    value: Callable       # dice -> value
    choices: tuple = ()   # an enum, where the schema may list the values


class Domain(NamedTuple):
    names: tuple
    description: tuple
    parameters: tuple
    requests: tuple       # with {0}, {1} ... for the values
    result: Callable      # (dice, values) -> dict, what the tool returns
    answer: str           # with {0} ... for the values, and the result's keys
    unseen: bool = False


def text(names, value):
    return Parameter(tuple(names.split()), "string", value)


def choice(names, *values):
    return Parameter(tuple(names.split()), "string", lambda dice: dice.pick(values), values)


def number(names, low, high, kind="integer"):
    return Parameter(tuple(names.split()), kind, lambda dice: dice.randint(low, high))


def domain(names, description, parameters, requests, result, answer, unseen=False):
    return Domain(tuple(names.split()), tuple(description.split("|")), tuple(parameters), tuple(requests.split("|")), result, answer, unseen)


def status(word):
    return lambda dice, v: {"status": word}


def title(dice):
    """A name of a song, a book, a product: known words or made-up ones."""
    n = dice.randint(1, 3)
    return " ".join(dice.pick(WORDS).capitalize() if dice.chance(0.6) else made_up(dice) for _ in range(n))


def email(dice):
    return f"{dice.pick(FIRST_NAMES).lower() if dice.chance(0.5) else made_up(dice).lower()}@{made_up(dice).lower()}.{dice.pick(['com', 'org', 'net'])}"


def code(dice):
    return "".join(dice.pick("ABCDEFGHJKLMNPRSTUVWXYZ") for _ in range(dice.randint(1, 3))) + str(dice.randint(10, 9999))


def note(dice):
    return dice.pick([f"buy {dice.pick(WORDS)}", f"call {person(dice)}", f"{dice.pick(WORDS)} and {dice.pick(WORDS)}", f"meet {person(dice)} in {city(dice)}"])


DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
ROOMS = ("kitchen", "bedroom", "bathroom", "garage", "hall", "office", "garden", "cellar")

DOMAINS = [
    domain("get_weather weather fetch_weather weather_lookup current_weather getWeather get_current_weather", "Weather in a place|Get the current weather|Get the weather of a city",
           [text("city location place town", city)],
           "What is the weather in {0}?|How is the weather in {0} today?|Is it warm in {0}?|Check the weather in {0}.|What's the weather like in {0}?|weather {0}|Does it rain in {0}?|Tell me the weather for {0}.",
           lambda d, v: {"temperature": d.randint(-9, 35), "sky": d.pick(["sunny", "cloudy", "rainy", "windy"])}, "In {0} it is {temperature} degrees and {sky}."),
    domain("get_time time_in local_time clock current_time", "Local time of a city|Get the time in a place", [text("city location zone place", city)],
           "What time is it in {0}?|Tell me the time in {0}.|How late is it in {0}?|What's the current time in {0}?|time in {0}",
           lambda d, v: {"time": f"{d.randint(0, 23)}:{d.randint(10, 59)}"}, "It is {time} in {0}."),
    domain("convert_currency exchange currency_convert convert_money", "Convert money|Convert an amount between currencies",
           [number("amount value sum", 2, 900, "number"), choice("from source from_currency", "EUR", "USD", "GBP", "JPY"), choice("to target to_currency", "CHF", "SEK", "INR", "CAD")],
           "Convert {0} {1} to {2}.|How much is {0} {1} in {2}?|Change {0} {1} into {2}.|What are {0} {1} in {2}?",
           lambda d, v: {"result": d.randint(2, 999)}, "{0} {1} are {result} {2}."),
    domain("send_email mail email_send write_email", "Send an email|Write and send an email", [text("to recipient receiver", lambda d: person(d) if d.chance(0.6) else email(d)), text("subject title topic", lambda d: d.pick(WORDS))],
           "Send an email to {0} about {1}.|Write {0} an email with the subject {1}.|Email {0} about {1}.|Mail {0} regarding {1}.", status("sent"), "The email to {0} was sent."),
    domain("set_alarm alarm create_alarm wake_me", "Set an alarm|Create an alarm clock", [number("hour h hours", 0, 23), number("minute min minutes", 10, 59)],
           "Set an alarm for {0}:{1}.|Wake me at {0}:{1}.|I need an alarm at {0}:{1}.|Alarm at {0}:{1}, please.", status("ok"), "The alarm is set for {0}:{1}."),
    domain("set_timer timer start_timer countdown", "Start a timer|Start a countdown", [number("minutes duration length", 1, 90)],
           "Set a timer for {0} minutes.|Start a timer of {0} minutes.|Remind me in {0} minutes.|Timer {0} minutes", status("started"), "The timer runs for {0} minutes."),
    domain("search_web web_search find lookup google internet_search", "Search the web|Find pages on the internet", [text("query q text search_term", lambda d: d.pick(TOPICS) if d.chance(0.6) else title(d))],
           "Search for {0}.|Look up {0} on the web.|Find pages about {0}.|Search the internet for {0}.|Google {0}.", lambda d, v: {"hits": d.randint(1, 99)}, "I found {hits} pages about {0}."),
    domain("play_music play start_song play_song", "Play music|Play songs of an artist", [text("artist band singer musician", person)],
           "Play music by {0}.|Play a song by {0}.|I want to hear {0}.|Put on something by {0}.", status("playing"), "Now playing {0}."),
    domain("turn_light light switch_light set_lamp control_light", "Switch a light|Turn a lamp on or off", [choice("room where place", *ROOMS), choice("state mode action", "on", "off")],
           "Turn {1} the light in the {0}.|Switch the {0} light {1}.|{0} light {1}, please.|Turn the lamp in the {0} {1}.|Lights {1} in the {0}!", status("ok"), "The light in the {0} is {1}."),
    domain("set_heating heating thermostat set_temperature", "Set the heating|Set the temperature at home", [number("degrees temperature level celsius", 10, 28)],
           "Set the heating to {0} degrees.|Make it {0} degrees here.|Heat to {0} degrees.|I want {0} degrees.", status("ok"), "The heating is set to {0} degrees."),
    domain("book_flight flight reserve_flight find_flight", "Book a flight|Find and book a flight", [text("from origin departure", city), text("to destination arrival", city)],
           "Book a flight from {0} to {1}.|I want to fly from {0} to {1}.|Find me a flight from {0} to {1}.|I need a plane from {0} to {1}.",
           lambda d, v: {"code": code(d)}, "Your flight from {0} to {1} is {code}."),
    domain("book_table reserve_table restaurant book_restaurant", "Reserve a table|Book a table in a restaurant", [number("people guests seats persons", 1, 12), choice("day date weekday", *DAYS)],
           "Book a table for {0} people on {1}.|Reserve a table on {1} for {0}.|We are {0} people and want to eat on {1}.|Table for {0} on {1}, please.", status("booked"), "A table for {0} is booked on {1}."),
    domain("get_price stock_price quote price_of", "Price of an article|Look up a price", [text("name item article product", lambda d: d.pick(WORDS) if d.chance(0.5) else title(d))],
           "What does {0} cost?|How much is {0}?|What is the price of {0}?|Price of {0}?", lambda d, v: {"price": d.randint(1, 99)}, "{0} costs {price}."),
    domain("add_note note save_note remember create_note", "Save a note|Write something down", [text("text note content body", note)],
           "Note: {0}|Save a note: {0}|Write down: {0}|Make a note that says: {0}|Remember this: {0}", status("saved"), "I saved the note: {0}."),
    domain("count_letters text_length letters string_length", "Count letters in a word|Length of a text", [text("word text string", lambda d: made_up(d, 2, 4).lower() if d.chance(0.6) else d.pick(WORDS))],
           "How many letters are in {0}?|Count the letters of {0}.|How long is the word {0}?", lambda d, v: {"letters": len(v[0])}, "{0} has {letters} letters."),
    domain("get_user find_user user_info lookup_user", "Information about a user|Look up a user by id", [number("user_id id uid number", 1, 99999)],
           "Who is user {0}?|Look up the user with id {0}.|Get user {0}.|Find user number {0}.", lambda d, v: {"name": person(d)}, "User {0} is {name}."),
    domain("order_pizza pizza buy_pizza", "Order pizza|Order a pizza", [choice("size format", "small", "medium", "large"), number("count quantity amount", 1, 9)],
           "Order {1} {0} pizzas.|I want {1} {0} pizzas.|Get me {1} pizzas, {0}.|{1} {0} pizzas, please.", status("ordered"), "I ordered {1} {0} pizzas."),
    domain("create_event add_event calendar schedule add_to_calendar", "Add an event to the calendar|Create a calendar entry", [text("title name event", lambda d: d.pick(["lunch", "meeting", "call", "party", "lesson"]) + " with " + person(d)), choice("day date weekday", *DAYS)],
           "Add {0} on {1} to my calendar.|Schedule {0} for {1}.|Put {0} on {1} in the calendar.|Plan {0} on {1}.", status("added"), "{0} is in the calendar on {1}."),
    domain("define_word dictionary get_definition meaning", "Look up a word in the dictionary|Definition of a word", [text("word term text", lambda d: d.pick(WORDS) if d.chance(0.5) else made_up(d).lower())],
           "Define {0}.|What does {0} mean?|Look up the word {0}.|Give me the definition of {0}.", lambda d, v: {"definition": "a kind of " + d.pick(WORDS)}, "{0} means {definition}."),
    domain("call_contact phone make_call dial", "Call somebody|Phone a contact", [text("contact name person who", person)],
           "Call {0}.|Phone {0}.|Dial {0}, please.|I want to talk to {0}.|Give {0} a call.", status("calling"), "I am calling {0}."),
    domain("run_command shell execute terminal", "Run a shell command|Execute a command", [text("command cmd", lambda d: d.pick(["ls", "pwd", "cat", "rm", "cp", "git", "make", "echo"]) + " " + made_up(d).lower() + d.pick(["", ".txt", ".py", ".md"]))],
           "Run {0}|Execute {0}|Please run the command {0}", lambda d, v: {"exit_code": d.randint(0, 2)}, "The command ended with exit code {exit_code}."),
    domain("read_file open_file get_file cat_file", "Read a file|Show the content of a file", [text("path file filename", lambda d: d.pick(["", "src/", "docs/", "/tmp/", "data/"]) + made_up(d).lower() + d.pick([".txt", ".py", ".md", ".json", ".csv"]))],
           "Read the file {0}|Show me {0}|Open {0}|What is in the file {0}", lambda d, v: {"lines": d.randint(1, 900)}, "The file {0} has {lines} lines."),
    domain("set_volume volume change_volume", "Set the volume|Change the loudness", [number("percent level volume value", 0, 100)],
           "Set the volume to {0}.|Volume {0} percent.|Change the volume to {0} percent.|Make it {0} percent loud.", status("ok"), "The volume is {0} percent."),
    domain("roll_dice dice throw_dice", "Roll dice|Throw some dice", [number("sides faces", 4, 20), number("count number times", 1, 9)],
           "Roll {1} dice with {0} sides.|Throw {1} dice of {0} sides.|Roll a {0}-sided die {1} times.", lambda d, v: {"total": d.randint(v[1], v[0] * v[1])}, "The dice show {total}."),
    domain("track_package package parcel_status track", "Track a parcel|Where a package is", [text("code tracking_number id parcel", code)],
           "Where is my package {0}?|Track the parcel {0}.|Status of package {0}?|Track {0}", lambda d, v: {"place": city(d)}, "The package {0} is in {place}."),
    domain("get_distance distance route_length how_far", "Distance between two places|How far two cities are apart", [text("from start a origin", city), text("to end b destination", city)],
           "How far is it from {0} to {1}?|Distance from {0} to {1}?|What is the distance between {0} and {1}?", lambda d, v: {"km": d.randint(20, 9000)}, "It is {km} km from {0} to {1}."),
    domain("add_contact new_contact save_contact", "Save a contact|Add a person to the address book", [text("name person contact", person), text("email mail address", email)],
           "Save the contact {0} with {1}|Add {0}, {1}, to my contacts|New contact: {0}, {1}", status("saved"), "I saved the contact {0}."),
    domain("lock_door lock door_lock", "Lock or unlock a door|Control a door", [choice("door which name", "front", "back", "garage", "cellar"), choice("action state mode", "lock", "unlock")],
           "{1} the {0} door.|Please {1} the {0} door.|Can you {1} the {0} door?", status("ok"), "Done: {1} the {0} door."),
    domain("reserve_hotel hotel book_hotel hotel_room", "Reserve a hotel room|Book a hotel for some nights", [text("city place town", city), number("nights stay length", 1, 21)],
           "Book a hotel in {0} for {1} nights.|I need a room in {0} for {1} nights.|Hotel in {0}, {1} nights.|{1} nights in a hotel in {0}, please.", status("booked"), "A room in {0} is booked for {1} nights."),
    domain("buy_ticket ticket concert_ticket get_tickets", "Buy tickets|Buy tickets for a show", [text("show event artist", person), number("count seats number", 1, 8)],
           "Buy {1} tickets for {0}.|I want {1} seats at the show of {0}.|Get me {1} tickets to see {0}.|{1} tickets for {0}, please.", status("bought"), "I bought {1} tickets for {0}."),
    domain("water_plants water irrigate plant_watering", "Water the plants|Give water to plants", [text("plant which name", lambda d: d.pick(WORDS)), number("milliliters amount ml", 20, 900)],
           "Give the {0} {1} milliliters of water.|Water the {0} with {1} milliliters.|The {0} needs {1} milliliters.|{1} milliliters for the {0}.", status("done"), "The {0} got {1} milliliters."),
    domain("start_vacuum vacuum robot_cleaner clean_room", "Start the vacuum cleaner|Clean a room", [choice("room where place", *ROOMS), choice("mode power program", "silent", "normal", "strong")],
           "Vacuum the {0} in {1} mode.|Clean the {0}, {1}.|Let the robot clean the {0} in {1} mode.|The {0} is dirty, use the {1} mode.", status("started"), "The robot cleans the {0} in {1} mode."),
    domain("bake oven start_oven preheat", "Start the oven|Heat the oven", [number("degrees temperature celsius", 50, 250), number("minutes time duration", 1, 120)],
           "Bake at {0} degrees for {1} minutes.|Heat the oven to {0} degrees for {1} minutes.|Oven: {0} degrees, {1} minutes.|Put it in the oven at {0} degrees, {1} minutes.", status("on"), "The oven is at {0} degrees for {1} minutes."),
    domain("find_recipe recipe recipes cookbook", "Find a recipe|Search recipes by ingredient", [text("ingredient with food", lambda d: d.pick(WORDS))],
           "Find a recipe with {0}.|What can I cook with {0}?|Show me recipes with {0}.|I have {0}, what can I make?", lambda d, v: {"recipes": d.randint(1, 60)}, "There are {recipes} recipes with {0}."),
    domain("get_news news headlines latest_news", "Get the news|Read the latest headlines", [text("topic about subject", lambda d: d.pick(TOPICS))],
           "What is new about {0}?|Any news on {0}?|Tell me the news about {0}.|Give me headlines on {0}.", lambda d, v: {"articles": d.randint(1, 50)}, "There are {articles} articles about {0}."),
    domain("find_movies movies film_search cinema", "Find movies|Search films of a director", [text("director by person", person)],
           "Which movies did {0} make?|Find films by {0}.|I am looking for movies of {0}.|What has {0} directed?", lambda d, v: {"movies": d.randint(1, 40)}, "{0} made {movies} movies."),
    domain("transfer_money transfer pay send_money", "Transfer money|Pay a person", [text("to receiver person", person), number("amount sum value", 1, 900)],
           "Send {0} {1} dollars.|Pay {1} to {0}.|Transfer {1} dollars to {0}.|{0} should get {1} dollars from me.", status("paid"), "I paid {1} to {0}."),
    domain("get_balance balance account_info account", "Balance of an account|Show how much is on an account", [text("account number id", code)],
           "How much is on account {0}?|Show the balance of {0}.|What is the balance of account {0}?|Account {0}, please.", lambda d, v: {"balance": d.randint(0, 9000)}, "There are {balance} on account {0}."),
    domain("train_times trains timetable next_train", "Departures of trains|When trains leave", [text("station from city", city), choice("day date weekday", *DAYS)],
           "When do trains leave {0} on {1}?|Trains from {0} on {1}?|Show the timetable of {0} for {1}.|I leave {0} by train on {1}.", lambda d, v: {"trains": d.randint(1, 90)}, "{trains} trains leave {0} on {1}."),
    domain("take_photo photo camera snapshot", "Take a photo|Take pictures with a camera", [choice("camera which name", "front", "back", "garden", "roof"), number("count number shots", 1, 12)],
           "Take {1} photos with the {0} camera.|{1} shots from the {0} camera.|Use the {0} camera for {1} pictures.", status("taken"), "The {0} camera took {1} photos."),
    domain("set_color paint_room wall_color decorate", "Paint a room|Choose the colour of a room", [choice("room where place", *ROOMS), choice("color colour paint", "red", "blue", "green", "white", "yellow")],
           "Paint the {0} {1}.|I want a {1} {0}.|The {0} should be {1}.|Make the {0} {1}.", status("painted"), "The {0} is {1} now."),
    domain("spell_check spelling check_spelling proofread", "Check the spelling|Correct a text in a language", [text("text sentence input", lambda d: d.pick(WORDS) + " " + d.pick(WORDS)), choice("language lang locale", "English", "Dutch", "Polish", "Danish")],
           "Check the spelling of {0} in {1}.|Is {0} good {1}?|Correct this {1}: {0}|Proofread {0} in {1}.", lambda d, v: {"errors": d.randint(0, 9)}, "There are {errors} errors in {0}."),
    domain("crypto_price coin_price crypto token_value", "Price of a coin|Current value of a crypto coin", [text("coin token name", lambda d: "".join(d.pick("ABCDEFGHIJKLMNOPRSTVWX") for _ in range(d.randint(3, 4))))],
           "What is one {0} worth?|Price of {0}?|How much does {0} cost?|Get the value of the coin {0}.", lambda d, v: {"price": d.randint(1, 900)}, "One {0} costs {price}."),
    domain("walk_dog dog_walk walk", "Walk a dog|Order a walk for a dog", [text("dog name which", person), number("minutes time duration", 10, 120)],
           "Walk {0} for {1} minutes.|{0} needs a walk of {1} minutes.|Take {0} out for {1} minutes.|Go out with {0}, {1} minutes.", status("walking"), "{0} is out for {1} minutes."),
    # Never in training: what the accuracy on new tools is measured with.
    domain("translate_text translate translation", "Translate a text|Translate into another language", [text("text sentence input", lambda d: d.pick(WORDS) + " " + d.pick(WORDS)), choice("language target lang", "French", "German", "Spanish", "Italian")],
           "Translate {0} into {1}.|What is {0} in {1}?|Translate to {1}: {0}", lambda d, v: {"translation": made_up(d).lower()}, "In {1} it is {translation}.", unseen=True),
    domain("get_stock share_price stock", "Price of a share|Current stock price", [text("symbol ticker share", lambda d: "".join(d.pick("ABCDEFGHIJKLMNOPRSTVWX") for _ in range(d.randint(3, 4))))],
           "What is the share price of {0}?|How much is one {0} share?|Get the stock price of {0}.", lambda d, v: {"price": d.randint(3, 900)}, "One share of {0} costs {price}.", unseen=True),
    domain("rent_car car_rental hire_car", "Rent a car|Hire a car for some days", [text("city place location", city), number("days duration", 1, 30)],
           "Rent a car in {0} for {1} days.|I need a car for {1} days in {0}.|Hire a car in {0}, {1} days.", status("reserved"), "A car in {0} is reserved for {1} days.", unseen=True),
    domain("feed_pet feed pet_feeder", "Feed a pet|Give food to an animal", [text("pet name animal", person), number("grams amount portion", 10, 400)],
           "Feed {0} {1} grams.|Give {0} {1} grams of food.|{0} should get {1} grams.", status("done"), "{0} got {1} grams.", unseen=True),
    domain("start_washing wash washing_machine", "Start the washing machine|Wash clothes", [choice("program mode", "cotton", "wool", "silk", "quick"), number("temperature degrees", 20, 90)],
           "Wash {0} at {1} degrees.|Start the {0} program at {1} degrees.|Washing machine: {0}, {1} degrees.", status("started"), "The {0} program runs at {1} degrees.", unseen=True),
    domain("find_book book_search library", "Find a book in the library|Search for books", [text("author writer by", person)],
           "Which books are by {0}?|Find books written by {0}.|I am looking for books by {0}.", lambda d, v: {"books": d.randint(1, 40)}, "There are {books} books by {0}.", unseen=True),
]

# Words that may stand before any request.
LEADS = phrases("", "", "", "", "Please: ", "Can you help? ", "Hey! ", "I have a wish. ", "Next: ", "Could you help me? ", "Do this: ", "Now: ", "One more thing: ", "Would you do me a favour? ", "Can you do something for me? ", "Please help me with this: ", "May I ask you for this? ", "Be so kind: ", "I need your help. ", "Would you please? ", unseen=["Could you do this for me? ", ""])
