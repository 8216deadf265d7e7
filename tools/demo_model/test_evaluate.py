"""The evaluator against servers that answer rightly, wrongly, or with parsed calls; and the second generator's fairness."""
import base64
import io
import json
import threading
from argparse import Namespace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from PIL import Image

from demo_model import abilities, evaluate, independent
from demo_model.template import answer_text


@pytest.fixture
def server():
    """A server whose `answer` (request body -> message) a test may choose."""
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            data = json.dumps({"choices": [{"message": self.server.answer(body)}]}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *arguments):
            pass

    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=httpd.serve_forever, daemon=True).start()
    yield httpd
    httpd.shutdown()


def options(server, *only, json_file=None):
    return Namespace(base_url=f"http://127.0.0.1:{server.server_port}", model="demo", samples=3, threads=4, only=only, json=json_file, add=False)


SETS = ("shape", "pair_more", "sum", "tool_call", "tool_picture", "json", "second/count_all", "tool_answer")


def right_answers(parsed):
    """{request as text: message}: what a perfect model says, calls as text or parsed by the server."""
    out = {}
    for name, (_, make) in evaluate.sets().items():
        if name in SETS:
            for i in range(3):
                conversation = make(i)
                message = {"role": "assistant", "content": answer_text(conversation.messages[-1])}
                calls = conversation.messages[-1].get("tool_calls")
                if calls and parsed:
                    message = {"content": None, "tool_calls": [{"function": {"name": c["function"]["name"], "arguments": json.dumps(c["function"]["arguments"])}}
                                                               for c in calls]}
                out[json.dumps(evaluate.request_body(conversation, "demo"))] = message
    return out


@pytest.mark.parametrize("parsed", [False, True])
def test_a_perfect_model_is_always_right(server, tmp_path, parsed):
    known = right_answers(parsed)
    server.answer = lambda body: known[json.dumps(body)]
    results = evaluate.measure(options(server, *SETS, json_file=tmp_path / "r.json"))
    assert set(results) == set(SETS) and all(r["right"] == r["samples"] == 3 for r in results.values())
    assert json.loads((tmp_path / "r.json").read_text()) == results


def test_a_silent_model_is_never_right(server):
    server.answer = lambda body: {"content": ""}
    results = evaluate.measure(options(server, *SETS))
    assert all(r["right"] == 0 and len(r["wrong"]) == 3 for r in results.values())


def test_requests_carry_the_pictures(server):
    conversation = abilities.held_out("pair_more", 1)
    parts = [p for m in evaluate.request_body(conversation, "demo")["messages"] if isinstance(m["content"], list) for p in m["content"]]
    urls = [p["image_url"]["url"] for p in parts if p["type"] == "image_url"]
    decoded = [Image.open(io.BytesIO(base64.b64decode(u.split(",")[1]))) for u in urls]
    assert [d.tobytes() for d in decoded] == [m[0].tobytes() for m in conversation.media]


def test_the_card_gets_its_table(tmp_path):
    card = tmp_path / "README.md"
    card.write_text("before\n<!-- results -->\nold\n<!-- end of results -->\nafter\n")
    evaluate.write_card(card, {"shape": {"group": "shape and colour", "right": 99, "samples": 100}, "second/shape": {"group": evaluate.SECOND, "right": 1, "samples": 2}})
    text = card.read_text()
    assert "| shape and colour | 99 | 100 | 99.0 |" in text and "| shape | 1 | 2 | 50.0 |" in text
    assert "old" not in text and text.startswith("before\n") and text.endswith("after\n")


def test_the_second_generator_places_what_it_says():
    for i in range(20):
        scene = independent.Scene(independent.Dice(f"test/{i}"))
        assert 1 <= len(scene.things) <= 6
        for t in scene.things:
            assert t["cell"] == int(3 * t["y"]) * 3 + int(3 * t["x"])
    assert independent.held_out("shape", 3).media[0][0].tobytes() == independent.held_out("shape", 3).media[0][0].tobytes()


@pytest.mark.parametrize("shape", independent.SHAPES)
def test_every_shape_is_filled_where_it_should_be(shape):
    def inside(x, y):
        return independent.distance(shape, *(independent.np.float32([[v]]) for v in (x, y)))[0, 0] < 0
    assert not inside(1.05, 1.05) and not inside(-1.05, -1.05)
    assert inside(0, 0) == (shape != "ring")
    assert shape != "ring" or inside(0.74, 0)
