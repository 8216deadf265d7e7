"""The chat page with two tabs, with a tab that closes, and with two thousand messages."""
import json
import threading
import time

from playwright.sync_api import Browser, expect

from page_harness import PlayedServer, Tab, window


def second(tab: Tab, fragment: str = "") -> Tab:
    return Tab(tab.page.context, tab.url).open(fragment)


def test_two_tabs_show_the_same(tab: Tab, played: PlayedServer):
    tab.ask("first")
    other = second(tab, f"#{tab.conversation()}")
    expect(other.messages).to_have_count(2)
    more = threading.Event()
    played.play("slow", " and", 0.7, " steady", more, " wins")
    tab.send("second")
    expect(other.messages).to_have_count(4)
    expect(other.answers.last).to_contain_text("slow and steady")  # while it is generated
    more.set()
    expect(other.answers.last).to_contain_text("slow and steady wins")
    # The other one goes on, and the first follows.
    other.ask("third")
    expect(tab.messages).to_have_count(6)
    assert [len(request["messages"]) for request in played.requests] == [1, 3, 5]
    tab.page.get_by_label("Title of the conversation").fill("Race")
    tab.page.keyboard.press("Tab")
    expect(other.page.get_by_label("Title of the conversation")).to_have_value("Race")
    assert other.faults == []


def test_two_tabs_answer_at_once(tab: Tab, played: PlayedServer):
    tab.ask("first")
    other = second(tab, f"#{tab.conversation()}")
    one, two = threading.Event(), threading.Event()
    played.play("one", one)
    tab.send("from one")
    expect(tab.answers.last).to_contain_text("one")
    expect(other.messages).to_have_count(4)
    other.page.goto(tab.url)
    other.wait_until_ready()
    played.play("two", two)
    other.send("elsewhere")
    expect(other.answers.last).to_contain_text("two")
    two.set()
    other.wait_until_idle()
    expect(tab.button("Stop the answer")).to_be_visible()
    one.set()
    tab.wait_until_idle()
    expect(tab.page.get_by_role("navigation").get_by_role("link")).to_have_count(2)
    expect(other.page.get_by_role("navigation").get_by_role("link")).to_have_count(2)


def test_a_conversation_deleted_in_one_tab_leaves_the_other(tab: Tab):
    tab.ask("first")
    other = second(tab, f"#{tab.conversation()}")
    other.page.once("dialog", lambda dialog: dialog.accept())
    other.button("Delete first").click()
    expect(tab.messages).to_have_count(0)
    expect(tab.page.get_by_role("navigation").get_by_role("link")).to_have_count(0)


def test_a_tab_closed_in_mid_answer_leaves_what_had_come(tab: Tab, played: PlayedServer):
    other = second(tab)
    played.play("Half an", 0.7, " answer", threading.Event())
    other.send("go")
    expect(other.answers.last).to_contain_text("Half an answer")
    conversation = other.conversation()
    other.page.close()
    tab.open(f"#{conversation}")
    tab.reload()
    expect(tab.answers.last).to_contain_text("Half an")
    expect(tab.answers.last.locator(".ending")).to_be_visible()
    tab.answers.last.get_by_role("button", name="Retry").click()
    expect(tab.answers.last.locator(".markdown")).to_have_text("Yes.")


def test_a_reload_at_the_first_words_leaves_them(tab: Tab, played: PlayedServer):
    for words in ("Half an answer", "Another half", "A third"):  # shown before the first of the savings on a clock
        played.play(words, threading.Event())
        tab.send("go")
        expect(tab.answers.last.locator(".markdown")).to_have_text(words)
        tab.reload()
        expect(tab.answers.last.locator(".markdown")).to_have_text(words)
        expect(tab.answers.last.locator(".ending")).to_have_text("Stopped.")


def long_conversation(count: int) -> str:
    text = "Some **words** with `code`.\n\n```python\nx = 1\n```\n\n| a | b |\n|---|---|\n| 1 | 2 |\n"
    messages = [{"id": str(i), "parent": str(i - 1) if i else None, "role": ("user", "assistant")[i % 2], "created": i,
                 "text": f"{i}: {text}"} for i in range(count)]
    return json.dumps({"format": "pippin-conversations", "version": 1, "conversations": [{"title": "Long", "leaf": str(count - 1), "messages": messages}]})


# The longest time that the page's thread does not get to a timer of 10 ms, until stop() is called.
WATCH = """() => {
  let last = performance.now(), longest = 0;
  const timer = setInterval(() => { const now = performance.now(); longest = Math.max(longest, now - last); last = now; }, 10);
  window.stopWatch = () => { clearInterval(timer); return longest; };
}"""


def test_two_thousand_messages(tab: Tab, played: PlayedServer):
    tab.page.locator("#import-file").set_input_files(
        [{"name": "long.json", "mimeType": "application/json", "buffer": long_conversation(2000).encode()}])
    expect(tab.messages).to_have_count(2000)
    expect(tab.answers.last).to_be_in_viewport()
    started = time.monotonic()
    tab.reload()
    expect(tab.answers.last.locator("table")).to_be_in_viewport()
    opened = time.monotonic() - started

    tab.page.evaluate(WATCH)
    started = time.monotonic()
    tab.field.press_sequentially("typed letter by letter")
    typed = time.monotonic() - started
    played.play(*["A word. "] * 300)
    tab.field.press("Enter")
    tab.wait_until_idle()
    expect(tab.messages).to_have_count(2002)
    tab.page.evaluate("document.getElementById('scroller').scrollTop = 0")
    expect(tab.answers.first.locator("table")).to_be_in_viewport(timeout=30_000)  # a look at 2,000 messages takes Playwright seconds
    blocked = tab.page.evaluate("window.stopWatch()")
    assert len(played.requests[0]["messages"]) == 2001
    drawn = tab.page.locator("#thread .code").count()
    print(f"2,000 messages: opened in {opened:.2f} s, typed in {typed:.2f} s, blocked for {blocked:.0f} ms at most, {drawn} drawn whole")
    assert drawn < 200  # the others wait until they come near the screen
