"""The chat page in a real browser: what it does with answers that a played server gives."""
import json
import re
import threading

import pytest
from playwright.sync_api import Browser, expect

from e2e_harness import wait_for
from page_harness import Cut, PlayedServer, Tab, data_url, picture_bytes, window

RICH = r"""# Title

A word, `code`, **bold** and $a^2 + b^2$, for $5 and $10.

| left | right |
|---|--:|
| 1 | $\sqrt{2}$ |

$$\int_0^1 x\,dx = \frac{1}{2}$$

```python
def double(x):
    return 2 * x  # twice
```

- one
- two
"""


def clipboard(tab: Tab) -> str:
    return tab.page.evaluate("navigator.clipboard.readText()")


# --- answers ----------------------------------------------------------------------------------------------------------

def test_answers_are_shown_as_they_come(tab: Tab, played: PlayedServer):
    more = threading.Event()
    played.play("The **first", more, "** and the rest")
    tab.send("hello")
    expect(tab.answers.last.locator(".markdown")).to_contain_text("first")
    expect(tab.button("Stop the answer")).to_be_visible()
    more.set()
    tab.wait_until_idle()
    expect(tab.answers.last.locator("strong")).to_have_text("first")
    expect(tab.answers.last.locator(".markdown")).to_have_text("The first and the rest")
    assert played.requests[0]["stream_options"] == {"include_usage": True}


def test_markdown_code_tables_and_math(tab: Tab, played: PlayedServer):
    played.play(*re.findall(r"[\s\S]{1,7}", RICH))  # in pieces that cut every construct
    answer = tab.ask("show all")
    expect(answer.locator("h3")).to_have_text("Title")
    expect(answer.locator("td").first).to_have_text("1")
    expect(answer.locator("td math msqrt")).to_have_count(1)
    expect(answer.locator("math")).to_have_count(3)
    expect(answer.locator(".math.block math mfrac")).to_have_count(1)
    expect(answer.locator(".markdown")).to_contain_text("for $5 and $10.")
    expect(answer.locator("pre .hljs-keyword").first).to_have_text("def")
    expect(answer.locator("li")).to_have_count(2)
    tab.button("Copy code").click()
    assert clipboard(tab) == "def double(x):\n    return 2 * x  # twice"
    answer.get_by_role("button", name="Copy", exact=True).click()
    assert clipboard(tab) == RICH


def test_reasoning_folds(tab: Tab, played: PlayedServer):
    more = threading.Event()
    played.play({"reasoning_content": "Let me "}, {"reasoning": "think."}, more, "Done.")
    tab.send("think")
    fold = tab.answers.last.locator("details.reasoning")
    expect(fold.locator("summary")).to_have_text("Thinking")
    more.set()
    tab.wait_until_idle()
    expect(fold.locator("summary")).to_have_text(re.compile(r"Thought for \d+\.\d s"))
    expect(fold.locator(".plain")).not_to_be_visible()
    fold.locator("summary").click()
    expect(fold.locator(".plain")).to_have_text("Let me think.")
    expect(tab.answers.last.locator(".markdown")).to_have_text("Done.")


def test_calls_are_shown_and_answered(tab: Tab, played: PlayedServer):
    def piece(**function) -> dict:
        return {"tool_calls": [{"index": 0, **({"id": "call_1", "type": "function"} if "name" in function else {}), "function": function}]}

    played.play(piece(name="weather", arguments=""), piece(arguments='{"city": '), piece(arguments='"Oslo"}'), finish="tool_calls")
    answer = tab.ask("weather?")
    card = answer.get_by_role("region", name="Call of weather")
    expect(card.locator("pre")).to_have_text('{\n  "city": "Oslo"\n}')
    answer.get_by_label("Result of weather").fill("rain")
    played.play("It rains.")
    tab.button("Send results").click()
    expect(tab.answers).to_have_count(2)
    expect(tab.answers.last.locator(".markdown")).to_have_text("It rains.")
    said = played.requests[1]["messages"]
    assert said[1]["tool_calls"] == [{"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Oslo"}'}}]
    assert said[2] == {"role": "tool", "tool_call_id": "call_1", "content": "rain"}


def test_stop_keeps_what_has_come(tab: Tab, played: PlayedServer):
    played.play("Half an", threading.Event())
    tab.send("go")
    expect(tab.answers.last).to_contain_text("Half an")
    tab.button("Stop the answer").click()
    tab.wait_until_idle()
    expect(tab.answers.last.locator(".ending")).to_have_text("Stopped.")
    wait_for(lambda: played.left == 1, "the server sees that its client has left")
    tab.reload()
    expect(tab.answers.last).to_contain_text("Half an")


def test_refusals_and_limits_are_told(tab: Tab, played: PlayedServer):
    played.scripts.append([(400, "the prompt is too long")])
    expect(tab.ask("long").locator(".ending")).to_have_text("the prompt is too long")
    played.play("Once upon", finish="length")
    tab.answers.last.get_by_role("button", name="Retry").click()
    expect(tab.answers.last.locator(".ending")).to_have_text("The answer reached its limit of tokens.")


def test_a_lost_connection_keeps_the_answer(tab: Tab, played: PlayedServer):
    played.play("Half an", Cut)
    answer = tab.ask("go")
    expect(answer).to_contain_text("Half an")
    expect(answer.locator(".ending")).to_have_text("The connection ended before the answer did.")


# --- the tree ---------------------------------------------------------------------------------------------------------

def test_retry_edit_and_branches(tab: Tab, played: PlayedServer):
    for text in ("one", "two"):
        played.play(text)
    tab.ask("first")
    tab.answers.last.get_by_role("button", name="Retry").click()
    expect(tab.answers.last.locator(".markdown")).to_have_text("two")
    expect(tab.answers.last.locator(".turns")).to_have_text("2/2")
    tab.answers.last.get_by_role("button", name="Branch before").click()
    expect(tab.answers.last.locator(".markdown")).to_have_text("one")

    played.play("below one")
    tab.ask("second")
    assert [message["content"] for message in played.requests[2]["messages"]] == ["first", "one", "second"]

    played.play("to the edited")
    tab.messages.first.get_by_role("button", name="Edit").click()
    field = tab.page.get_by_label("Edit the message")
    expect(field).to_be_focused()
    field.fill("first, edited")
    field.press("Enter")
    expect(tab.messages).to_have_count(2)
    expect(tab.answers.last.locator(".markdown")).to_have_text("to the edited")
    assert [message["content"] for message in played.requests[3]["messages"]] == ["first, edited"]

    tab.messages.first.get_by_role("button", name="Branch before").click()
    expect(tab.messages).to_have_count(2)  # the newest branch below: "two"
    expect(tab.answers.last.locator(".markdown")).to_have_text("two")
    tab.answers.last.get_by_role("button", name="Branch before").click()
    expect(tab.messages).to_have_count(4)
    expect(tab.answers.last.locator(".markdown")).to_have_text("below one")
    tab.reload()
    expect(tab.answers.last.locator(".markdown")).to_have_text("below one")


# --- media ------------------------------------------------------------------------------------------------------------

def give(tab: Tab, event: str, data: bytes, kind: str, name: str) -> None:
    """Pastes or drops a file as the browser would."""
    tab.page.evaluate("""([event, url, kind, name]) => {
      const bytes = Uint8Array.from(atob(url.split(',')[1]), (c) => c.charCodeAt(0));
      const transfer = new DataTransfer();
      transfer.items.add(new File([bytes], name, {type: kind}));
      const given = event === 'paste' ? new ClipboardEvent('paste', {clipboardData: transfer, bubbles: true, cancelable: true})
        : new DragEvent(event, {dataTransfer: transfer, bubbles: true, cancelable: true});
      document.getElementById('input').dispatchEvent(given);
    }""", [event, data_url(data, kind), kind, name])


def test_pictures_and_clips_by_button_paste_and_drop(tab: Tab, played: PlayedServer):
    red, blue = picture_bytes("red"), picture_bytes("blue")
    clip = b"\0\0\0\x18ftypmp42 not a real one"
    with tab.page.expect_file_chooser() as chooser:
        tab.button("Attach pictures or clips").click()
    chooser.value.set_files([{"name": "red.png", "mimeType": "image/png", "buffer": red}])
    attached = tab.page.get_by_role("list", name="Attached files").get_by_role("listitem")
    expect(attached).to_have_count(1)
    give(tab, "paste", blue, "image/png", "blue.png")
    expect(attached).to_have_count(2)
    give(tab, "dragenter", clip, "video/mp4", "clip.mp4")
    expect(tab.page.get_by_text("Drop pictures and clips here")).to_be_visible()
    give(tab, "drop", clip, "video/mp4", "clip.mp4")
    expect(attached).to_have_count(3)
    expect(tab.page.get_by_text("Drop pictures and clips here")).not_to_be_visible()
    give(tab, "paste", red, "image/png", "wrong.png")
    tab.button("Remove wrong.png").click()
    expect(attached).to_have_count(3)

    tab.ask("What is this?")
    assert played.requests[0]["messages"][0]["content"] == [
        {"type": "image_url", "image_url": {"url": data_url(red)}},
        {"type": "image_url", "image_url": {"url": data_url(blue)}},
        {"type": "video_url", "video_url": {"url": data_url(clip, "video/mp4")}},
        {"type": "text", "text": "What is this?"}]
    expect(attached).to_have_count(0)
    expect(tab.messages.first.get_by_role("img", name="red.png")).to_be_visible()
    expect(tab.messages.first.locator("video")).to_have_count(1)
    tab.reload()
    assert tab.messages.first.get_by_role("img", name="blue.png").evaluate("image => image.naturalWidth") == 8


def test_a_model_of_text_takes_no_files(tab: Tab, played: PlayedServer):
    played.inputs = ["text"]
    tab.reload()
    expect(tab.button("Attach pictures or clips")).to_be_disabled()
    give(tab, "paste", picture_bytes(), "image/png", "red.png")
    expect(tab.page.get_by_role("status")).to_have_text("This model takes no images")


# --- conversations ----------------------------------------------------------------------------------------------------

def test_conversations_are_kept_named_and_deleted(tab: Tab, played: PlayedServer):
    tab.ask("about apples")
    tab.button("New chat").click()
    expect(tab.messages).to_have_count(0)
    tab.ask("about pears")
    links = tab.page.get_by_role("navigation", name="Conversations").get_by_role("link")
    expect(links).to_have_text(["about pears", "about apples"])
    title = tab.page.get_by_label("Title of the conversation")
    title.fill("Fruit")
    title.press("Tab")
    expect(links).to_have_text(["Fruit", "about apples"])
    tab.reload()
    expect(links).to_have_text(["Fruit", "about apples"])
    links.nth(1).click()
    expect(tab.messages.first).to_contain_text("about apples")
    tab.page.go_back()
    expect(tab.messages.first).to_contain_text("about pears")
    tab.page.once("dialog", lambda dialog: dialog.accept())
    tab.button("Delete Fruit").click()
    expect(links).to_have_text(["about apples"])
    expect(tab.messages).to_have_count(0)


def export(tab: Tab, name: str) -> dict:
    with tab.page.expect_download() as download:
        tab.button(name).click()
    return json.loads(download.value.path().read_text())


def give_file(tab: Tab, content: str) -> None:
    tab.page.locator("#import-file").set_input_files([{"name": "chats.json", "mimeType": "application/json", "buffer": content.encode()}])


def test_export_and_import(browser: Browser, tab: Tab, played: PlayedServer):
    played.play({"reasoning_content": "hm"}, "one")
    tab.ask("first")
    played.play("two")
    tab.answers.last.get_by_role("button", name="Retry").click()
    expect(tab.answers.last.locator(".markdown")).to_have_text("two")
    tab.wait_until_idle()
    kept = export(tab, "Export this conversation")
    assert export(tab, "Export all") == kept
    with window(browser, played.url) as other:
        give_file(other, json.dumps(kept))
        expect(other.answers.last.locator(".markdown")).to_have_text("two")
        other.answers.last.get_by_role("button", name="Branch before").click()
        expect(other.answers.last.locator(".markdown")).to_have_text("one")
        expect(other.answers.last.locator("details.reasoning")).to_be_visible()
        again = export(other, "Export all")
    [was], [now] = kept["conversations"], again["conversations"]
    for message in was["messages"] + now["messages"]:
        for changing in ("id", "parent", "conversation"):
            message.pop(changing)
    assert now["messages"] == was["messages"]


@pytest.mark.parametrize("content, message", [
    ("{", "JSON"), ("[]", "no conversations of Pippin"), ('{"format": "pippin-conversations", "version": 2}', "version 2"),
    ('{"format": "pippin-conversations", "version": 1, "conversations": [{"messages": [{"id": "a", "role": "system"}]}]}', "role system"),
    ('{"format": "pippin-conversations", "version": 1, "conversations": [{"messages": [{"id": "a", "parent": "b", "role": "user"}, '
     '{"id": "b", "parent": "a", "role": "user"}]}]}', "before its parent"),
    ('{"format": "pippin-conversations", "version": 1, "conversations": [{"messages": [{"id": "a", "role": "user"}, '
     '{"id": "a", "parent": "a", "role": "user"}]}]}', "same id"),
])
def test_wrong_files_are_refused(tab: Tab, content: str, message: str):
    give_file(tab, content)
    expect(tab.page.get_by_role("alert").first).to_contain_text(f"Nothing was imported: ")
    expect(tab.page.get_by_role("alert").first).to_contain_text(message)
    expect(tab.page.get_by_role("navigation", name="Conversations").get_by_role("link")).to_have_count(0)


# --- settings ---------------------------------------------------------------------------------------------------------

def test_models_are_picked(tab: Tab, played: PlayedServer):
    picker = tab.page.get_by_label("Model", exact=True)
    expect(picker.locator("option")).to_have_text(["small", "large (loading)"])
    tab.ask("a")
    picker.select_option("large")
    tab.ask("b")
    assert [request["model"] for request in played.requests] == ["small", "large"]
    expect(tab.answers.last.get_by_role("heading", name="large")).to_be_visible()
    tab.reload()
    expect(picker).to_have_value("large")


def test_settings_go_with_the_request(tab: Tab, played: PlayedServer):
    tools = [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}]
    numbers = {"Temperature": ("temperature", 0.3), "Top p": ("top_p", 0.9), "Top k": ("top_k", 7), "Min p": ("min_p", 0.05),
               "Repetition penalty": ("repetition_penalty", 1.1), "Presence penalty": ("presence_penalty", -0.5),
               "Frequency penalty": ("frequency_penalty", 0.25), "Most tokens": ("max_tokens", 99), "Seed": ("seed", 5)}
    tab.ask("plain")
    tab.button("Settings").click()
    for label, (_, value) in numbers.items():
        tab.page.get_by_label(label, exact=True).fill(str(value))
    tab.page.get_by_label("System prompt").fill("Be brief.")
    tab.page.get_by_role("combobox", name="Reasoning").select_option("low")
    tab.page.get_by_label("Tools, as a JSON list").fill("{")
    tab.button("Save").click()
    expect(tab.page.locator("#tools-error")).to_contain_text("not JSON")
    tab.page.get_by_label("Tools, as a JSON list").fill(json.dumps(tools))
    tab.button("Save").click()
    tab.ask("with settings")
    tab.reload()
    tab.ask("after a reload")
    plain, *with_settings = played.requests
    names = {name for name, _ in numbers.values()} | {"tools", "reasoning_effort"}
    assert not names & set(plain) and plain["messages"][0]["role"] == "user"
    for request in with_settings:
        assert {name: request[name] for name, _ in numbers.values()} == {name: value for name, value in numbers.values()}
        assert request["tools"] == tools and request["reasoning_effort"] == "low"
        assert request["messages"][0] == {"role": "system", "content": "Be brief."}


def test_statistics(tab: Tab, played: PlayedServer):
    panel = tab.page.get_by_role("complementary", name="Statistics")
    if not panel.is_visible():
        tab.button("Statistics").click()
    played.play("a", 0.3, "b", 0.3, "c")
    answer = tab.ask("measure")
    expect(answer.locator(".stats")).to_have_text(re.compile(r"^10 tokens · \d+\.\d tokens/s · first after \d+ ms · 16 of 20 prompt tokens cached$"))
    rate = float(answer.locator(".stats").inner_text().split(" · ")[1].split()[0])
    assert 5 < rate < 25  # nine tokens after the first, in 0.6 s: 15, and less or more where the machine is busy
    for row in (r"Cached tokens\s*16 of 20", r"First token\s*\d+ ms", r"Tokens a second\s*\d", r"Under way\s*2", r"Waiting\s*5",
                r"Prompts kept\s*2\.0 MB of 5\.0 MB", r"Prompt tokens from the cache\s*75 %", r"Pictures kept\s*3, 700 KB",
                r"Pictures from the cache\s*75 %", r"In use\s*500 KB", r"Reasoning\s*4 tokens"):
        expect(panel).to_contain_text(re.compile(row))
    tab.button("Statistics").click()
    expect(panel).not_to_be_visible()
    tab.reload()
    expect(panel).not_to_be_visible()
