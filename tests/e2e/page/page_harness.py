"""The chat page's tests' hold on a real browser, and a server that plays the answers.

PIPPIN_CHROMIUM    the browser; where it is not set, Chromium or Chrome of the system, else the one that `playwright install chromium` brought
"""
import base64
import contextlib
import http.server
import io
import json
import os
import pathlib
import shutil
import threading
import time
from collections import deque
from typing import Iterator

from PIL import Image
from playwright.sync_api import Browser, BrowserContext, Locator, Page, Playwright, expect

from e2e_harness import ROOT, SLOWDOWN, Server

SCREENSHOTS = ROOT / "build/page/screenshots"
AXE = ROOT / "build/page/test/axe.min.js"
PATIENCE_MS = 8000 * SLOWDOWN

expect.set_options(timeout=PATIENCE_MS)

USAGE = {"prompt_tokens": 20, "completion_tokens": 10, "total_tokens": 30, "prompt_tokens_details": {"cached_tokens": 16},
         "completion_tokens_details": {"reasoning_tokens": 4}}
CACHE = {"pages": {"total": 10, "free": 5, "cached": 4, "in_use": 1, "page_bytes": 500_000, "cached_bytes": 2_000_000,
                   "limit_bytes": 5_000_000}, "media": {"entries": 3, "bytes": 700_000, "limit_bytes": 10**6},
         "tokens": {"prompt": 200, "cached": 150}, "encoder": {"runs": 1, "hits": 3}, "resident_bytes": 123_000_000}
METRICS = 'pippin:num_requests_running{model_name="a"} 2\npippin:num_requests_waiting{model_name="a"} 5\n' \
          'pippin:generation_tokens_total{model_name="a"} 100\n'
MODELS = [{"id": "small", "object": "model"}, {"id": "large", "object": "model", "state": "loading"}]


def picture_bytes(colour: str = "red") -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (8, 8), colour).save(out, "PNG")
    return out.getvalue()


class Cut:
    """In a played answer: the connection breaks here."""


class PlayedServer:
    """Plays the API for the page of a real server; answers are scripts.

    A script is a list of pieces: a text or a dictionary (a delta), a threading.Event (wait for it), a number (wait so many
    seconds), Cut, or (status, message), an error in place of the answer.
    """

    def __init__(self, real: Server):
        self.real = real
        self.scripts: deque[list] = deque()
        self.requests: list[dict] = []
        self.headers: list[dict] = []
        self.models = MODELS
        self.inputs = ["text", "image", "video"]
        self.left = 0  # clients that went away in the middle of an answer
        played = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def do_GET(self):
                played.get(self)

            def do_POST(self):
                played.post(self)

        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.http.server_port}/"
        threading.Thread(target=self.http.serve_forever, daemon=True, kwargs={"poll_interval": 0.02}).start()

    def close(self) -> None:
        self.http.shutdown()
        self.http.server_close()

    def play(self, *pieces, finish: str = "stop", usage: dict | None = None) -> None:
        """Adds the script of the next answer."""
        self.scripts.append([*pieces, {"finish": finish, "usage": usage or USAGE}])

    def get(self, handler: http.server.BaseHTTPRequestHandler) -> None:
        path = handler.path.split("?")[0]
        answers = {"/v1/models": {"object": "list", "data": self.models}, "/v1/cache": CACHE, "/health": {"status": "ok"},
                   "/v1/capabilities": {"modalities": {"input": self.inputs, "output": ["text"]}}}
        if path == "/metrics":
            self.send(handler, 200, {"Content-Type": "text/plain"}, METRICS.encode())
        elif path in answers:
            self.send(handler, 200, {"Content-Type": "application/json"}, json.dumps(answers[path]).encode())
        else:
            self.send(handler, *self.forward(path))

    def forward(self, path: str) -> tuple[int, dict, bytes]:
        connection = self.real.connect()
        connection.request("GET", path)
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        skipped = {"content-length", "connection", "date"}
        return answer.status, {k: v for k, v in answer.headers.items() if k.lower() not in skipped}, body

    @staticmethod
    def send(handler, status: int, headers: dict, body: bytes) -> None:
        handler.send_response(status)
        for name, value in {**headers, "Content-Length": len(body)}.items():
            handler.send_header(name, str(value))
        handler.end_headers()
        handler.wfile.write(body)

    def post(self, handler) -> None:
        self.requests.append(json.loads(handler.rfile.read(int(handler.headers["Content-Length"]))))
        self.headers.append(dict(handler.headers))
        script = self.scripts.popleft() if self.scripts else ["Yes.", {"finish": "stop", "usage": USAGE}]
        if isinstance(script[0], tuple):
            status, message = script[0]
            error = {"error": {"message": message, "type": "invalid_request_error", "param": None, "code": None}}
            return self.send(handler, status, {"Content-Type": "application/json"}, json.dumps(error).encode())
        handler.close_connection = True
        handler.send_response(200)
        handler.send_header("Content-Type", "text/event-stream")
        handler.send_header("Connection", "close")
        handler.end_headers()
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self.stream(handler, script)
            return None
        self.left += 1
        return None

    def stream(self, handler, script: list) -> None:
        def chunk(choices: list, **more) -> None:
            handler.wfile.write(f"data: {json.dumps({'choices': choices, **more})}\n\n".encode())
            handler.wfile.flush()

        def piece_of(piece) -> None:
            if isinstance(piece, threading.Event):
                while not piece.wait(0.05):
                    handler.wfile.write(b": keep-alive\n\n")  # finds out whether the client is still there
            elif isinstance(piece, (int, float)):
                time.sleep(piece)
            elif isinstance(piece, str):
                chunk([{"index": 0, "delta": {"content": piece}, "finish_reason": None}])
            elif "finish" in piece:
                chunk([{"index": 0, "delta": {}, "finish_reason": piece["finish"]}])
                chunk([], usage=piece["usage"])
                handler.wfile.write(b"data: [DONE]\n\n")
            else:
                chunk([{"index": 0, "delta": piece, "finish_reason": None}])

        chunk([{"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": None}])
        for piece in script:
            if piece is Cut:
                return
            piece_of(piece)


def find_browser() -> str | None:
    """Returns the program; None where Playwright's own is used."""
    names = ["chromium", "google-chrome", "google-chrome-stable"]
    return os.environ.get("PIPPIN_CHROMIUM") or next(filter(None, map(shutil.which, names)), None)


def launch(playwright: Playwright) -> Browser:
    return playwright.chromium.launch(executable_path=find_browser())


class Tab:
    """A tab with the page, and what went wrong in it."""

    def __init__(self, context: BrowserContext, url: str):
        self.page: Page = context.new_page()
        self.page.set_default_timeout(PATIENCE_MS)
        self.url = url
        self.faults: list[str] = []
        self.asked: list[str] = []  # the addresses that were asked for
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))
        self.page.on("console", self._note)
        self.page.on("request", lambda request: self.asked.append(request.url))

    def _note(self, message) -> None:
        # A refused request is an error of the console's, too; the page shows it.
        if message.type == "error" and "Failed to load resource" not in message.text:
            self.faults.append(message.text)

    def open(self, fragment: str = "") -> "Tab":
        self.page.goto(self.url + fragment)
        self.wait_until_ready()
        return self

    def reload(self) -> None:
        self.page.reload()
        self.wait_until_ready()

    def wait_until_ready(self) -> None:
        self.page.wait_for_selector("html[data-ready]", state="attached")

    @property
    def field(self) -> Locator:
        return self.page.get_by_label("Message", exact=True)

    def button(self, name: str) -> Locator:
        return self.page.get_by_role("button", name=name, exact=True)

    @property
    def messages(self) -> Locator:
        return self.page.locator("#thread > li")

    @property
    def answers(self) -> Locator:
        return self.page.locator("#thread > li.assistant")

    def send(self, text: str) -> None:
        self.field.fill(text)
        self.field.press("Enter")

    def ask(self, text: str) -> Locator:
        """Sends and waits for the answer's end; returns the answer."""
        before = self.answers.count()
        self.send(text)
        expect(self.answers).to_have_count(before + 1)
        self.wait_until_idle()
        return self.answers.last

    def wait_until_idle(self) -> None:
        expect(self.button("Send")).to_be_visible()

    def conversation(self) -> str:
        return self.page.evaluate("location.hash.slice(1)")

    def shoot(self, name: str) -> pathlib.Path:
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        path = SCREENSHOTS / f"{name}.png"
        self.page.screenshot(path=path)
        return path

    def axe(self) -> list[str]:
        """What axe finds, one line each; all of its rules, best practices included."""
        self.page.evaluate(AXE.read_text())
        found = self.page.evaluate("axe.run(document, {resultTypes: ['violations']})")
        return [f"{rule['id']}: {node['html']} ({node.get('failureSummary', '')})" for rule in found["violations"] for node in rule["nodes"]]


def data_url(data: bytes, kind: str = "image/png") -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


@contextlib.contextmanager
def window(browser: Browser, url: str, **options) -> Iterator[Tab]:
    """A fresh profile with one tab; fails where the page had an error."""
    context = browser.new_context(**{"viewport": {"width": 1280, "height": 800}, "reduced_motion": "reduce", **options})
    try:
        tab = Tab(context, url).open()
        yield tab
        assert tab.faults == []
    finally:
        context.close()
