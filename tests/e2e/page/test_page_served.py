"""The chat page against the real server and the demo model."""
import contextlib
import signal

import httpx
from playwright.sync_api import Browser, Route, TimeoutError, expect

from e2e_harness import ROOT, Server
from page_harness import Tab, window

PICTURE = ROOT / "assets/pictures/shapes.png"


def url_of(server: Server) -> str:
    return f"http://127.0.0.1:{server.port}/"


def endless(route: Route) -> None:
    """Lets the request of the page ask for an answer that does not end by itself."""
    if route.request.method == "POST":
        route.continue_(post_data={**route.request.post_data_json, "ignore_eos": True, "max_tokens": 3500})
    else:
        route.continue_()


def test_a_question_about_a_picture(browser: Browser, server: Server):
    with window(browser, url_of(server), viewport={"width": 1280, "height": 980}) as tab:
        tab.page.locator("#files").set_input_files(PICTURE)
        expect(tab.page.get_by_role("list", name="Attached files").get_by_role("listitem")).to_have_count(1)
        tab.page.get_by_role("button", name="Settings").click()
        tab.page.get_by_label("Temperature").fill("0")
        tab.button("Save").click()
        expect(tab.ask("Describe the picture.").locator(".markdown")).to_contain_text("red circle")
        second = tab.ask("What colour is the square?")
        expect(second.locator(".markdown")).to_contain_text("blue")
        [cached] = [part for part in second.locator(".stats").inner_text().split(" · ") if "cached" in part]
        assert int(cached.split()[0]) > 40  # the picture was not read again
        tab.page.get_by_role("complementary", name="Statistics").wait_for()
        tab.page.wait_for_timeout(1200)  # for the next look at the server
        tab.shoot("picture")


def test_a_restart_in_mid_answer(browser: Browser, server: Server):
    restarted = Server()
    with window(browser, url_of(restarted)) as tab:
        tab.page.route("**/v1/chat/completions", endless)
        tab.send("What is Pippin?")
        expect(tab.answers.last.locator(".markdown")).to_contain_text("Pippin")
        restarted.stop(signal.SIGKILL)
        expect(tab.answers.last.locator(".ending")).to_contain_text("connection")
        expect(tab.answers.last.locator(".markdown")).to_contain_text("Pippin")  # what had come stays
        expect(tab.page.get_by_role("alert").first).to_contain_text("The server does not answer")
        with Server(port=restarted.port):
            expect(tab.page.get_by_role("alert").first).not_to_be_visible()
            tab.page.unroute("**/v1/chat/completions")
            tab.answers.last.get_by_role("button", name="Retry").click()
            expect(tab.answers.last.locator(".turns")).to_have_text("2/2")
            tab.wait_until_idle()
            expect(tab.answers.last.locator(".ending")).not_to_be_visible()
            expect(tab.answers.last.locator(".markdown")).to_contain_text("Pippin")


def test_stopping_frees_the_server(browser: Browser, server: Server):
    with window(browser, url_of(server)) as tab:
        tab.page.route("**/v1/chat/completions", endless)
        for _ in range(5):  # the answer ends with the context: a browser without a core may come too late
            tab.send("What is Pippin?")
            expect(tab.answers.last.locator(".markdown")).to_contain_text("Pippin")
            stop = tab.button("Stop the answer")
            with contextlib.suppress(TimeoutError):
                stop.click(timeout=2000)
                break
        expect(tab.answers.last.locator(".ending")).to_have_text("Stopped.")
        server.wait_until_idle()


def test_the_key_is_asked_for(browser: Browser):
    with Server("--api-key", "secret") as server, window(browser, url_of(server)) as tab:
        dialog = tab.page.get_by_role("dialog", name="This server asks for a key")
        assert tab.axe() == []
        tab.page.get_by_label("API key").fill("wrong")
        tab.button("Use this key").click()
        expect(dialog).to_contain_text("does not know this key")
        tab.page.get_by_label("API key").fill("secret")
        tab.page.keyboard.press("Enter")
        expect(dialog).not_to_be_visible()
        expect(tab.page.get_by_label("Model", exact=True)).to_have_value("demo-model")
        expect(tab.ask("What is Pippin?").locator(".markdown")).to_contain_text("Pippin")
        tab.reload()
        expect(tab.answers.last.locator(".markdown")).to_contain_text("Pippin")  # no question: this tab knows the key
        expect(dialog).not_to_be_visible()
        kept = tab.page.evaluate("JSON.stringify({...localStorage})")
        assert "secret" not in kept and "secret" not in tab.page.url
        other = Tab(tab.page.context, tab.url)
        other.page.goto(tab.url)
        expect(other.page.get_by_role("dialog", name="This server asks for a key")).to_be_visible()


def test_the_page_can_be_left_out():
    with Server("--no-page") as server:
        for path in ("/", "/page/main.js"):
            assert server.get(path).status == 404
        assert not any(route.split()[1] in ("/", "/page/*") for route in server.get("/v1/capabilities").body["routes"])


def test_the_documents_name_the_page(server: Server):
    assert {"GET /", "GET /page/*"} <= set(server.get("/v1/capabilities").body["routes"])
    assert "text/html" in server.get("/openapi.json").body["paths"]["/"]["get"]["responses"]["200"]["content"]
    answer = httpx.get(url_of(server))
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    again = httpx.get(url_of(server), headers={"If-None-Match": answer.headers["ETag"]})
    assert again.status_code == 304 and not again.content
