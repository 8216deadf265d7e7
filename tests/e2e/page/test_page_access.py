"""The chat page for everybody: keyboard, screen readers, colours, small screens."""
import re
import threading

import pytest
from playwright.sync_api import Browser, expect

from page_harness import PlayedServer, Tab, data_url, picture_bytes, window
from test_page import RICH, give


def fill(tab: Tab, played: PlayedServer) -> None:
    """A conversation with everything that a message can hold."""
    call = {"tool_calls": [{"index": 0, "id": "c", "function": {"name": "weather", "arguments": '{"city": "Oslo"}'}}]}
    played.play({"reasoning_content": "Let me think."}, RICH)
    give(tab, "paste", picture_bytes(), "image/png", "red.png")
    tab.ask("show all")
    played.play(call, finish="tool_calls")
    tab.ask("call")
    played.scripts.append([(400, "the prompt is too long")])
    tab.ask("fail")
    tab.answers.last.get_by_role("button", name="Retry").click()
    expect(tab.answers.last.locator(".turns")).to_have_text("2/2")
    tab.wait_until_idle()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 360])
def test_axe_finds_nothing(browser: Browser, played: PlayedServer, scheme: str, width: int):
    with window(browser, played.url, color_scheme=scheme, viewport={"width": width, "height": 800}) as tab:
        assert tab.axe() == []
        fill(tab, played)
        if width > 800:
            give(tab, "paste", picture_bytes(), "image/png", "another.png")
        for message in tab.messages.all():
            message.scroll_into_view_if_needed()
        assert tab.axe() == []
        tab.shoot(f"everything-{scheme}-{width}")
        tab.button("Settings").click()
        assert tab.axe() == []
        tab.shoot(f"settings-{scheme}-{width}")
        tab.button("Cancel").click()
        if width < 800:
            tab.button("Conversations").click()
            assert tab.axe() == []
            tab.shoot(f"conversations-{scheme}-{width}")


def test_everything_by_keyboard(tab: Tab, played: PlayedServer):
    keyboard = tab.page.keyboard
    expect(tab.field).to_be_focused()
    keyboard.type("first")
    keyboard.press("Shift+Enter")
    keyboard.type("line two")
    keyboard.press("Enter")
    expect(tab.answers).to_have_count(1)
    tab.wait_until_idle()
    assert played.requests[0]["messages"][0]["content"] == "first\nline two"
    expect(tab.field).to_be_focused()
    keyboard.press("ArrowUp")
    expect(tab.page.get_by_label("Edit the message")).to_be_focused()
    keyboard.press("Escape")
    expect(tab.page.get_by_label("Edit the message")).to_have_count(0)
    tab.page.get_by_role("region", name="Messages").focus()
    keyboard.press("/")
    expect(tab.field).to_be_focused()
    keyboard.press("Control+Shift+O")
    expect(tab.messages).to_have_count(0)
    expect(tab.field).to_be_focused()
    shown = tab.page.get_by_role("complementary", name="Statistics").is_visible()
    keyboard.press("Control+Shift+S")
    expect(tab.page.get_by_role("complementary", name="Statistics")).to_be_visible(visible=not shown)
    reached = set()
    for _ in range(40):
        keyboard.press("Tab")
        reached.add(tab.page.evaluate("document.activeElement.getAttribute('aria-label') ?? document.activeElement.textContent"))
    for name in ("Send", "Attach pictures or clips", "Settings", "Statistics", "Model", "New chat", "Import", "Export all"):
        assert name in reached, (name, reached)


def test_escape_stops(tab: Tab, played: PlayedServer):
    played.play("Half", 30)
    tab.send("go")
    expect(tab.answers.last).to_contain_text("Half")
    tab.page.keyboard.press("Escape")
    expect(tab.answers.last.locator(".ending")).to_have_text("Stopped.")


def test_answers_are_told_to_screen_readers(tab: Tab, played: PlayedServer):
    played.play("Forty-two", 0.2, ".")
    tab.send("what?")
    status = tab.page.get_by_role("status")
    expect(status).to_have_text("Answering")
    expect(tab.answers.last).to_have_attribute("aria-busy", "")
    expect(status).to_have_text("Answer: Forty-two.")
    expect(tab.answers.last).not_to_have_attribute("aria-busy", "")


def background(tab: Tab) -> str:
    return tab.page.evaluate("getComputedStyle(document.body).backgroundColor")


def test_colours_follow_the_system_or_the_switch(browser: Browser, played: PlayedServer):
    light, dark = "rgb(255, 255, 255)", "rgb(23, 24, 26)"
    with window(browser, played.url, color_scheme="dark") as tab:
        assert background(tab) == dark
        switch = tab.page.get_by_role("button", name=re.compile("^Colours"))
        for label, colour in (("light", light), ("dark", dark)):
            switch.click()
            expect(switch).to_have_accessible_name(f"Colours: {label}")
            assert background(tab) == colour
        tab.page.emulate_media(color_scheme="light")
        tab.reload()
        assert background(tab) == dark  # the choice is kept
        switch.click()
        expect(switch).to_have_accessible_name("Colours: as the system has them")
        assert background(tab) == light


def test_small_screens(browser: Browser, played: PlayedServer):
    with window(browser, played.url, viewport={"width": 360, "height": 640}, has_touch=True, is_mobile=True) as tab:
        conversations = tab.page.get_by_role("navigation", name="Conversations")
        expect(conversations).not_to_be_visible()
        played.play(RICH, "\n\n", "long" * 60)
        tab.ask("show all")
        assert tab.page.evaluate("document.documentElement.scrollWidth") <= 360
        assert tab.page.evaluate("document.getElementById('scroller').scrollWidth <= document.getElementById('scroller').clientWidth")
        for name in ("Conversations", "Settings", "Statistics", "Send"):
            box = tab.button(name).bounding_box()
            assert box["x"] >= 0 and box["x"] + box["width"] <= 360, (name, box)
        tab.button("Conversations").click()
        expect(conversations).to_be_visible()
        conversations.get_by_role("link", name="show all").click()
        expect(conversations).not_to_be_visible()


def test_the_end_is_followed_unless_the_reader_scrolls_up(tab: Tab, played: PlayedServer):
    at_end = "(() => { const s = document.getElementById('scroller'); return s.scrollHeight - s.scrollTop - s.clientHeight < 70; })()"
    played.play(*["A paragraph of some length.\n\n"] * 60)
    tab.ask("long")
    tab.page.wait_for_function(at_end)
    tab.page.evaluate("document.getElementById('scroller').scrollTop = 0")
    expect(tab.button("Jump to the end")).to_be_visible()
    more = threading.Event()
    played.play("again", more, "\n\nmore" * 30)
    tab.send("once more")
    tab.page.wait_for_function(at_end)  # who sends wants to see the answer
    tab.page.evaluate("document.getElementById('scroller').scrollTop = 100")
    expect(tab.button("Jump to the end")).to_be_visible()
    more.set()
    tab.wait_until_idle()
    assert tab.page.evaluate("document.getElementById('scroller').scrollTop") == 100  # who reads above is left there
    tab.button("Jump to the end").click()
    tab.page.wait_for_function(at_end)
    expect(tab.button("Jump to the end")).not_to_be_visible()
