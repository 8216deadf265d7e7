"""Pictures in every dialect: how they may be spelt, and that what is wrong with one is said of it by name, as what is wrong with a message is."""
import base64
from typing import Callable, NamedTuple

import pytest
from PIL import Image

from e2e_harness import MODEL, Reply, Server
from e2e_pictures import RED_CIRCLE, encoded

ASK = {"type": "text", "text": "What is this?"}
DATA = base64.b64encode(encoded(RED_CIRCLE)).decode()
WIDE = base64.b64encode(encoded(Image.new("RGB", (2000, 2), "red"))).decode()  # the model's processor takes no such shape


class Dialect(NamedTuple):
    path: str
    ask: Callable[[str], dict]  # about a picture's URL, which stands in the second message
    picture: str  # the field that it is
    message: str
    text: Callable[[str], dict]  # a request whose second message says a text


def chat(parts: list[dict]) -> dict:
    return {"messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": parts}], "max_tokens": 4}


def anthropic(parts: list[dict]) -> dict:
    return {"messages": [{"role": "user", "content": "Hi."}, {"role": "user", "content": parts}], "max_tokens": 4}


def responses(parts: list[dict]) -> dict:
    return {"input": [{"role": "developer", "content": "Be brief."}, {"role": "user", "content": parts}], "max_output_tokens": 4}


def ollama(content: str, images: list[str]) -> dict:
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": content, "images": images}]
    return {"model": MODEL.name, "messages": messages, "stream": False, "options": {"num_predict": 4}}


DIALECTS = {
    "chat": Dialect("/v1/chat/completions", lambda url: chat([ASK, {"type": "image_url", "image_url": {"url": url}}]),
                    "messages.1.content.1.image_url", "messages.1", lambda text: chat([{"type": "text", "text": text}])),
    "messages": Dialect("/v1/messages", lambda url: anthropic([ASK, {"type": "image", "source": {"type": "url", "url": url}}]),
                        "messages.1.content.1.source", "messages.1", lambda text: anthropic([{"type": "text", "text": text}])),
    "responses": Dialect("/v1/responses", lambda url: responses([{"type": "input_text", "text": "What?"}, {"type": "input_image", "image_url": url}]),
                         "input.1.content.1.image_url", "input.1", lambda text: responses([{"type": "input_text", "text": text}])),
    "ollama": Dialect("/api/chat", lambda url: ollama("What?", [url]), "messages.1.images.0", "messages.1", lambda text: ollama(text, [])),
}


def refusal(dialect: Dialect, reply: Reply) -> tuple[str, str]:
    """The field that is blamed, and the message."""
    assert 400 <= reply.status < 500, reply
    if dialect.path in ("/v1/chat/completions", "/v1/responses"):
        return reply.error["param"], reply.error["message"]
    message = reply.body["error"] if dialect.path == "/api/chat" else reply.error["message"]
    return message.partition(": ")[0], message


@pytest.mark.parametrize("name", DIALECTS)
@pytest.mark.parametrize("url", [f"data:image/png; base64,{DATA}", f"data:image/png;\tBASE64 ,{DATA}",
                                 "data:image/png;base64," + DATA.rstrip("=").replace("+", "-").replace("/", "_")],
                         ids=["space", "tab", "base64url"])
def test_data_urls_however_they_are_spelt(server: Server, name: str, url: str) -> None:
    dialect = DIALECTS[name]
    plain = server.post(dialect.ask("data:image/png;base64," + DATA), dialect.path)
    reply = server.post(dialect.ask(url), dialect.path)
    assert plain.status == reply.status == 200, reply
    tokens = [answer.body.get("prompt_eval_count") or sum(count for key, count in answer.body["usage"].items()
                                                          if key in ("prompt_tokens", "input_tokens", "cache_read_input_tokens"))
              for answer in (plain, reply)]
    assert tokens[0] == tokens[1]


@pytest.mark.parametrize("name", DIALECTS)
@pytest.mark.parametrize("url, says", [("data:image/png;base64,a*", "base64"), ("data:image/png;base64,AAAA", "PNG"), ("ftp://x/y", "ftp"),
                                       ("http://127.0.0.1:1/x", "127.0.0.1"), ("file:///etc/passwd", "media"), (f"data:image/png;base64,{WIDE}", "200")])
def test_a_pictures_fault_names_it(server: Server, name: str, url: str, says: str) -> None:
    """Whoever finds it: who reads the URL, who fetches, who decodes, or the model's processor."""
    dialect = DIALECTS[name]
    field, message = refusal(dialect, server.post(dialect.ask(url), dialect.path))
    if name == "ollama" and not url.startswith("data:"):
        says = "base64"  # which is all that its pictures are
    assert field == dialect.picture and says in message, message


@pytest.mark.parametrize("name", [name for name in DIALECTS if name != "ollama"])  # whose pictures are bare base64
def test_bare_base64_is_told_what_it_lacks(server: Server, name: str) -> None:
    dialect = DIALECTS[name]
    field, message = refusal(dialect, server.post(dialect.ask(DATA), dialect.path))
    assert field == dialect.picture and "data:image/png;base64," in message


def test_ollamas_pictures_are_bare_or_headed(server: Server) -> None:
    dialect = DIALECTS["ollama"]
    counts = {server.post(dialect.ask(url), dialect.path).body["prompt_eval_count"]
              for url in (DATA, DATA.rstrip("=").replace("+", "-").replace("/", "_"), f"data:image/png; base64,{DATA}")}
    assert len(counts) == 1


@pytest.mark.parametrize("name", DIALECTS)
def test_a_messages_fault_names_it(server: Server, name: str) -> None:
    dialect = DIALECTS[name]
    field, message = refusal(dialect, server.post(dialect.text("What is <|image_pad|>?"), dialect.path))
    assert field == dialect.message, message
