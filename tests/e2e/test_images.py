"""Questions about pictures, and what the caches may and may not share."""
import http.server
import pathlib
import threading
from typing import Iterator

import openai
import pytest

import e2e_pictures as pictures
from e2e_harness import ROOT, Server
from e2e_pictures import BLUE_SQUARE, RED_CIRCLE, encoded, part, question

DESCRIBE = "Describe the picture."


class PictureSite:
    """A web server on loopback with one address, /picture, whose content the test may change."""

    def __init__(self):
        self.content = b""
        self.requests = 0
        site = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                site.requests += 1
                if self.path == "/moved":
                    self.send_response(302)
                    self.send_header("Location", "/picture")
                    self.end_headers()
                    return
                self.send_response(200 if self.path == "/picture" else 404)
                self.send_header("Content-Length", str(len(site.content)))
                self.end_headers()
                self.wfile.write(site.content)

            def log_message(self, *_):
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/picture"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def site() -> Iterator[PictureSite]:
    site = PictureSite()
    yield site
    site.close()


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> pathlib.Path:
    return tmp_path_factory.mktemp("media")


@pytest.fixture(scope="module")
def open_server(folder) -> Iterator[Server]:
    """A server that may fetch from loopback and read files of `folder`; only this module's tests use its caches."""
    with Server("--allow-private-urls", "--media-root", str(folder)) as running:
        yield running


def encoder_runs(server: Server) -> int:
    return server.health()["encoder"]["runs"]


def test_pictures_get_their_own_answers(open_server):
    circle = open_server.text(question(DESCRIBE, RED_CIRCLE))
    square = open_server.text(question(DESCRIBE, BLUE_SQUARE))
    assert "red circle" in circle and "blue square" in square
    # Asked again, now that the caches know both.
    assert open_server.text(question(DESCRIBE, RED_CIRCLE)) == circle
    assert open_server.text(question(DESCRIBE, BLUE_SQUARE)) == square


def test_the_order_of_pictures_counts(open_server):
    ask = "What is in the first picture?"
    one_way = open_server.text(question(ask, RED_CIRCLE, BLUE_SQUARE))
    other_way = open_server.text(question(ask, BLUE_SQUARE, RED_CIRCLE))
    assert "circle" in one_way and "square" in other_way
    assert open_server.text(question(ask, RED_CIRCLE, BLUE_SQUARE)) == one_way


def test_the_same_pixels_share_one_cache_entry(open_server, site, folder):
    picture = pictures.shape("square", "green", 96)
    expected = open_server.text(question(DESCRIBE, picture))
    runs = encoder_runs(open_server)
    site.content = encoded(picture, "PNG")
    (folder / "picture.bmp").write_bytes(encoded(picture, "BMP"))
    ways = [encoded(picture, "BMP"), encoded(picture, "GIF"), site.url, f"{site.url.replace('/picture', '/moved')}",
            f"file://{folder}/picture.bmp"]
    for way in ways:
        answer = open_server.ask(question(DESCRIBE, way))
        assert answer.choices[0].message.content == expected, way
        assert answer.usage.prompt_tokens_details.cached_tokens > 0, way
    assert encoder_runs(open_server) == runs
    # With other words before it the prefix is new, the picture is not.
    open_server.ask([{"type": "text", "text": "Look at this."}, part(picture), {"type": "text", "text": DESCRIBE}])
    assert encoder_runs(open_server) == runs


def test_other_pixels_at_the_same_url_are_seen(open_server, site):
    site.content = encoded(pictures.shape("circle", "red", 112))
    assert "red circle" in open_server.text(question(DESCRIBE, site.url))
    runs = encoder_runs(open_server)
    site.content = encoded(pictures.shape("square", "blue", 112))
    assert "blue square" in open_server.text(question(DESCRIBE, site.url))
    assert encoder_runs(open_server) == runs + 1 and site.requests == 2


def test_a_follow_up_question_reads_nothing_again(open_server):
    picture = encoded(pictures.shape("circle", "blue", 160))
    first = open_server.ask(question("What shape is this?", picture))
    runs = encoder_runs(open_server)
    second = open_server.ask(question("What colour is it?", picture))
    assert encoder_runs(open_server) == runs
    # The pictures' tokens come first and are shared, up to whole pages.
    assert second.usage.prompt_tokens_details.cached_tokens >= first.usage.prompt_tokens - 32
    assert "blue" in second.choices[0].message.content


def test_streamed_is_not_streamed(open_server):
    chunks = open_server.ask(question(DESCRIBE, RED_CIRCLE), stream=True)
    text = "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)
    assert text == open_server.text(question(DESCRIBE, RED_CIRCLE))


def test_a_picture_from_the_repository(open_server):
    answer = open_server.text(question(DESCRIBE, (ROOT / "assets/pictures/shapes.png").read_bytes()))
    assert "square" in answer


def test_low_detail_costs_fewer_tokens(open_server):
    large = pictures.shape("circle", "red", 128).resize((1024, 64))
    tokens = {detail: open_server.ask([part(large, detail=detail), {"type": "text", "text": DESCRIBE}]).usage.prompt_tokens
              for detail in ("low", "high")}
    assert tokens["low"] < tokens["high"]


def refused(server: Server, url: str) -> openai.BadRequestError:
    with pytest.raises(openai.BadRequestError) as error:
        server.ask(question(DESCRIBE, url))
    assert error.value.param == "messages.0.content.0.image_url"
    return error.value


def test_files_outside_the_media_root_are_refused(open_server, folder, tmp_path):
    secret = tmp_path / "secret.png"
    secret.write_bytes(encoded(RED_CIRCLE))
    (folder / "link.png").symlink_to(secret)
    for path in (f"file://{secret}", f"file://{folder}/../{tmp_path.name}/secret.png", f"file://{folder}/link.png",
                 "file:///etc/passwd", f"file://{folder}/missing.png"):
        refused(open_server, path)


def test_a_plain_server_reads_no_files_and_no_private_addresses(server, site, folder):
    (folder / "inside.png").write_bytes(encoded(RED_CIRCLE))
    refused(server, f"file://{folder}/inside.png")
    refused(server, site.url)
    assert site.requests == 0


def test_what_the_web_answers_is_reported(open_server, site):
    assert "404" in refused(open_server, site.url + "/missing").message
    site.content = b"<html>no picture</html>"
    refused(open_server, site.url)
