"""What clients do to a server, well-behaved and not: each action is a function of the port and a source of randomness, and
raises where the server did what it must not."""
import base64
import io
import json
import random
import socket
import time
from typing import Callable

from PIL import Image

WORDS = "What is the colour of a square in this picture and how many circles can you see tell me about Pippin please".split()
ERRORS = {429, 503}  # of a full queue; of an injected failure


class Refused(AssertionError):
    """The server did what it must not."""


def sentence(rng: random.Random, words: int) -> str:
    return " ".join(rng.choice(WORDS) for _ in range(words)) + "?"


def picture(rng: random.Random) -> str:
    size = (rng.randrange(32, 400), rng.randrange(32, 400))
    image = Image.new("RGB", size, tuple(rng.randrange(256) for _ in range(3)))
    data = io.BytesIO()
    image.save(data, rng.choice(["PNG", "JPEG", "WEBP"]))
    return "data:image/png;base64," + base64.b64encode(data.getvalue()).decode()


def question(rng: random.Random, **options) -> dict:
    """A well-formed request."""
    content: list[dict] = [{"type": "text", "text": sentence(rng, rng.choice([3, 10, 60, 300]))}]
    for _ in range(rng.choice([0, 0, 0, 1, 1, 2])):
        content.append({"type": "image_url", "image_url": {"url": picture(rng)}})
    messages = [{"role": "user", "content": content}]
    if rng.random() < 0.5:  # a beginning that others share
        messages.insert(0, {"role": "system", "content": " ".join(WORDS * 8)})
    return {"messages": messages, "max_tokens": rng.choice([1, 5, 20, 60]), "temperature": rng.choice([0, 1]),
            "seed": rng.randrange(1000), "priority": rng.choice([0, 0, 0, -1, 1]), **options}


def request_bytes(method: str, path: str, body: bytes = b"") -> bytes:
    return (f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n").encode() + body


class Client:
    """One connection."""

    def __init__(self, port: int, patience_s: float, receive_buffer: int = 0):
        self.socket = socket.socket()
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(patience_s)
        self.socket.connect(("127.0.0.1", port))

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_) -> None:
        self.socket.close()

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def send_question(self, body: dict) -> None:
        self.send(request_bytes("POST", "/v1/chat/completions", json.dumps(body).encode()))

    def read_some(self, size: int = 1 << 16) -> bytes:
        return self.socket.recv(size)

    def read_all(self) -> tuple[int, bytes]:
        """The status and the rest of the answer, whose end is the connection's."""
        received = b""
        while piece := self.read_some():
            received += piece
        if not received.startswith(b"HTTP/1.1 "):
            raise Refused(f"no answer: {received[:200]!r}")
        head, _, rest = received.partition(b"\r\n\r\n")
        if head.split()[1] in (b"429", b"503") and b"retry-after" not in head.lower():
            raise Refused("no Retry-After")
        return int(head.split()[1]), rest


class Visitor:
    """Does one random thing after the other, and counts them."""

    def __init__(self, port: int, seed: int, patience_s: float):
        self.port = port
        self.rng = random.Random(seed)
        self.patience_s = patience_s
        self.counts: dict[str, int] = {}
        self.actions: list[tuple[float, Callable[[], str]]] = [
            (30, self.ask), (20, self.stream), (10, self.leave), (6, self.read_slowly), (4, self.send_too_much),
            (4, self.ask_too_much), (8, self.send_nonsense), (0.3, self.clear), (8, self.look), (4, self.hurry)]

    def act(self) -> None:
        weights, actions = zip(*self.actions)
        action = self.rng.choices(actions, weights)[0]
        outcome = f"{action.__name__}: {action()}"
        self.counts[outcome] = self.counts.get(outcome, 0) + 1

    def client(self, **options) -> Client:
        return Client(self.port, self.patience_s, **options)

    def ask(self) -> str:
        with self.client() as client:
            client.send_question(question(self.rng))
            status, body = client.read_all()
        if status == 200:
            answer = json.loads(body)
            if answer["choices"][0]["finish_reason"] not in ("stop", "length") or answer["usage"]["completion_tokens"] < 1:
                raise Refused(f"no whole answer: {answer}")
        elif status not in ERRORS:
            raise Refused(f"a well-formed request got {status}: {body[:300]!r}")
        return str(status)

    def stream(self) -> str:
        with self.client() as client:
            client.send_question(question(self.rng, stream=True))
            status, body = client.read_all()
        if status != 200:
            if status not in ERRORS:
                raise Refused(f"a well-formed request got {status}: {body[:300]!r}")
            return str(status)
        if b"data: [DONE]" in body:
            return "200"
        if b'"error"' not in body or b"could not compute" not in body:
            raise Refused(f"a stream ended without a word: {body[-300:]!r}")
        return "200, then an error"

    def leave(self) -> str:
        """At once, or at any time later."""
        with self.client() as client:
            data = request_bytes("POST", "/v1/chat/completions",
                                 json.dumps(question(self.rng, stream=self.rng.random() < 0.7, max_tokens=400)).encode())
            if self.rng.random() < 0.2:
                client.send(data[:self.rng.randrange(len(data))])
                return "with half a request"
            client.send(data)
            if self.rng.random() < 0.5:
                time.sleep(self.rng.random())
                return "unread"
            for _ in range(self.rng.randrange(8)):
                if not client.read_some(1000):
                    break
        return "reading"

    def read_slowly(self) -> str:
        with self.client(receive_buffer=4096) as client:
            # A long answer in text: special tokens, which have none, are ruled out.
            client.send_question(question(self.rng, stream=True, ignore_eos=True, max_tokens=self.rng.choice([100, 700, 1500]),
                                          logit_bias={str(token): -100 for token in range(16)}))
            for _ in range(self.rng.randrange(5, 40)):
                if not client.read_some(self.rng.randrange(20, 2000)):
                    return "to the end"
                time.sleep(0.05)
            if self.rng.random() < 0.5:
                return "and left"
            while client.read_some():
                pass
        return "to the end"

    def send_too_much(self) -> str:
        with self.client() as client:
            try:
                client.send(request_bytes("POST", "/v1/chat/completions", b"x" * (3 << 20)))
            except OSError:
                pass  # refused before all was sent; the answer is there all the same, mostly
            try:
                status, _ = client.read_all()
            except OSError:
                return "cut off"
        if status != 413:
            raise Refused(f"3 MB got {status}")
        return "413"

    def ask_too_much(self) -> str:
        with self.client() as client:
            client.send_question({"messages": [{"role": "user", "content": sentence(self.rng, 6000)}]})
            status, body = client.read_all()
        if status != 400 or b"context" not in body:
            raise Refused(f"a prompt that can't fit got {status}: {body[:300]!r}")
        return "400"

    def send_nonsense(self) -> str:
        rng = self.rng
        body = json.dumps(question(rng)).encode()
        mangled = bytearray(body)
        for _ in range(rng.randrange(1, 20)):
            mangled[rng.randrange(len(mangled))] = rng.randrange(256)
        data = rng.choice([
            request_bytes("POST", "/v1/chat/completions", bytes(mangled)),
            request_bytes("POST", "/v1/chat/completions", body[:rng.randrange(len(body))]),
            request_bytes("POST", "/v1/chat/completions", json.dumps(question(rng, temperature="hot")).encode()),
            request_bytes("POST", "/v1/chat/completions", b'{"messages": ' + b"[" * 5000),
            request_bytes("GET", "/../../etc/passwd"),
            request_bytes("PUT", "/v1/models"),
            bytes(rng.randrange(256) for _ in range(300)) + b"\r\n\r\n",
            b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 20_000 + b"\r\n",
        ])
        with self.client() as client:
            try:
                client.send(data)
                status, answer = client.read_all()
            except OSError:
                return "cut off"
        if status >= 500 and status not in ERRORS:
            raise Refused(f"nonsense got {status}: {answer[:300]!r}")
        return str(status)

    def clear(self) -> str:
        with self.client() as client:
            client.send(request_bytes("DELETE", "/v1/cache"))
            status, body = client.read_all()
        if status != 200:
            raise Refused(f"clearing the caches got {status}: {body[:300]!r}")
        return "200"

    def look(self) -> str:
        path = self.rng.choice(["/health", "/metrics", "/v1/cache", "/v1/models"])
        with self.client() as client:
            client.send(request_bytes("GET", path))
            status, body = client.read_all()
        if status != 200 or not body:
            raise Refused(f"{path} got {status}: {body[:300]!r}")
        return "200"

    def hurry(self) -> str:
        with self.client() as client:
            client.send_question(question(self.rng, max_tokens=1500, timeout=self.rng.choice([0.001, 0.05, 0.5])))
            status, body = client.read_all()
        if status not in ERRORS | {200, 504}:
            raise Refused(f"a short time got {status}: {body[:300]!r}")
        return str(status)
