"""Pictures and videos that want all of a server's time and memory: texts beside them go on. Loopback only, bounded in number and time."""
import base64
import contextlib
import http.client
import io
import json
import resource
import signal
import socket
import struct
import threading
import time
import zlib
from typing import Callable, Iterator

import pytest
from PIL import Image

from e2e_harness import ROOT, SLOWDOWN, Reply, Server
from hostile_harness import FIRST_TOKEN_S, MB, Attack, Beside, cpu_seconds, first_token

ADDRESS_SPACE = 6_000_000_000
SIDE = 8000  # pixels: 64 megapixels


class Drip:
    """Serves pictures that never come, a byte a second, to any number of clients."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        self.clients: list[socket.socket] = []
        self.stopping = threading.Event()
        self.threads = [threading.Thread(target=self._accept), threading.Thread(target=self._send)]
        for thread in self.threads:
            thread.start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self.listener.accept()
                client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
                self.clients.append(client)

    def _send(self) -> None:
        while not self.stopping.wait(1):
            for client in list(self.clients):
                with contextlib.suppress(OSError):
                    client.sendall(b"x")

    def urls(self, count: int) -> list[str]:
        return [f"{self.url}/{number}.png" for number in range(count)]

    def __enter__(self) -> "Drip":
        return self

    def __exit__(self, *_: object) -> None:
        self.stopping.set()
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for thread in self.threads:
            thread.join()
        for client in self.clients:
            client.close()


def start_server(*options: str) -> Server:
    server = Server("--allow-private-urls", *options)
    resource.prlimit(server.process.pid, resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE))
    first_token(server)  # what the first answer takes anyway
    return server


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with start_server() as running:
        yield running


def question(urls: list[str], **fields) -> dict:
    content = [{"type": "image_url", "image_url": {"url": url}} for url in urls]
    return {"messages": [{"role": "user", "content": content}], "max_tokens": 1, **fields}


def wait_until(holds: Callable[[], bool], seconds: float) -> None:
    end = time.monotonic() + seconds * SLOWDOWN
    while not holds():
        assert time.monotonic() < end, "it did not come to that"
        time.sleep(0.05)


def is_at_rest(server: Server) -> bool:
    decoded = server.get("/v1/cache").body["decoded"]
    return decoded["fetches"] == decoded["waiting"] == decoded["fetched_bytes"] == 0 \
        and decoded["bytes"] == decoded["kept_bytes"]


def is_idle(server: Server) -> bool:
    started = cpu_seconds(server)
    time.sleep(0.5)
    return cpu_seconds(server) - started < 0.1 * max(1, SLOWDOWN / 4)


def comes_to_rest(server: Server, seconds: float) -> None:
    """Nothing is fetched, decoded or waited for any more, and the cores are idle."""
    wait_until(lambda: is_at_rest(server), seconds)
    server.wait_until_idle()
    wait_until(lambda: is_idle(server), seconds)


def leave_behind(server: Server, bodies: list[dict]) -> list[http.client.HTTPConnection]:
    """Sends requests whose answers nobody reads."""
    connections = []
    for body in bodies:
        connections.append(server.connect())
        connections[-1].request("POST", "/v1/chat/completions", json.dumps(body), {"Content-Type": "application/json"})
    return connections


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def large_pngs(count: int) -> list[str]:
    """Pictures of 64 megapixels in colour, a few hundred kilobytes each, no two of one file."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", SIDE, SIDE, 8, 2, 0, 0, 0))
    row = b"\0" + bytes(range(240)) * (SIDE * 3 // 240)
    packer = zlib.compressobj(1)
    pixels = chunk(b"IDAT", b"".join(packer.compress(row) for _ in range(SIDE)) + packer.flush())
    return ["data:image/png;base64," + base64.b64encode(
        b"\x89PNG\r\n\x1a\n" + header + chunk(b"teST", b"%d" % number) + pixels + chunk(b"IEND", b"")).decode()
            for number in range(count)]


def many_scans(count: int, number: int) -> str:
    """A JPEG of 64 megapixels and so many scans."""
    jpeg = (ROOT / "src/media/testdata/progressive.jpg").read_bytes()
    first = jpeg.index(b"\xff\xda")
    scan = jpeg[first:jpeg.index(b"\xff\xc4", first)]
    jpeg = jpeg[:-2] + scan * (count - jpeg.count(b"\xff\xda")) + b"\xff\xd9" + b"%d" % number
    size = jpeg.index(b"\xff\xc2") + 5
    return "data:image/jpeg;base64," + base64.b64encode(jpeg[:size] + struct.pack(">HH", SIDE, SIDE) + jpeg[size + 4:]).decode()


def texts_go_on(attack: Attack, beside: Beside, at_least: int = 5) -> list[Reply]:
    """The attack's answers."""
    while attack.runs() or len(beside.waits) < at_least:
        beside.ask()
        time.sleep(0.05)
    return attack.wait()


def test_pictures_that_drip_hold_up_no_text(server: Server, record_property) -> None:
    beside = Beside(server, record_property, "12 URLs that drip, 6 times")
    with Drip() as drip:
        attack = Attack(server, [question(drip.urls(12), timeout=4) for _ in range(6)])
        for reply in texts_go_on(attack, beside):
            assert reply.status == 504, reply.body
            assert 3.9 < reply.seconds < 5.5 * SLOWDOWN
    comes_to_rest(server, 3)
    beside.report()


def test_large_pictures_wait_for_memory_and_hold_up_no_text(server: Server, record_property) -> None:
    limit = server.get("/v1/cache").body["decoded"]["limit_bytes"]
    beside = Beside(server, record_property, "16 pictures of 64 megapixels")
    attack = Attack(server, [question([url]) for url in large_pngs(16)])
    for reply in texts_go_on(attack, beside):
        assert reply.status == 200, reply.body
    assert beside.growth < limit + 600 * MB
    comes_to_rest(server, 10)
    server.request("DELETE", "/v1/cache")
    beside.report()


def test_pictures_of_one_request_take_no_more_than_there_is(server: Server, record_property) -> None:
    """Four of them are within the limit of pixels, and only one request has them at a time."""
    urls = large_pngs(4)
    beside = Beside(server, record_property, "two requests of 4 pictures of 64 megapixels")
    attack = Attack(server, [question(urls), question(list(reversed(urls)))])
    for reply in texts_go_on(attack, beside):
        assert reply.status == 200, reply.body
    server.request("DELETE", "/v1/cache")
    beside.report()


def test_jpegs_have_as_many_scans_as_their_size_allows(server: Server, record_property) -> None:
    beside = Beside(server, record_property, "8 JPEGs of 190 scans, then 2 of 20")
    attack = Attack(server, [question([many_scans(190, number)]) for number in range(8)])
    for reply in texts_go_on(attack, beside):
        assert reply.status == 413 and "scans" in reply.error["message"], reply.body
        assert reply.error["param"] == "messages.0.content.0.image_url"
    allowed = Attack(server, [question([many_scans(20, number)]) for number in range(2)])
    for reply in texts_go_on(allowed, beside, 10):
        assert reply.status in (200, 400, 413), reply.body  # the coded data is short
    comes_to_rest(server, 10)
    beside.report()


def test_who_leaves_stops_his_work(server: Server) -> None:
    with Drip() as drip:
        bodies = [question(drip.urls(12))] * 4 + [question([url]) for url in large_pngs(8)]
        connections = leave_behind(server, bodies)
        wait_until(lambda: server.get("/v1/cache").body["decoded"]["fetches"] > 0, 5)
        for connection in connections:
            connection.close()
        comes_to_rest(server, 3)
    assert first_token(server) < FIRST_TOKEN_S
    server.request("DELETE", "/v1/cache")


def slow_clip(frames: int, side: int = 4000) -> str:
    """A GIF whose every frame is 16 megapixels: a second of work for few of them, though only the first and the last are shown."""
    one = io.BytesIO()
    Image.new("P", (side, side), 1).save(one, "GIF")
    picture = one.getvalue()
    begin = 13 + (3 << (picture[10] & 7) + 1 if picture[10] & 0x80 else 0)
    end = picture.index(b"\x2c" + bytes(4) + struct.pack("<HH", side, side), begin)
    wait = b"\x21\xf9\x04\x00" + struct.pack("<H", 50) + b"\x00\x00"  # half a second
    clip = picture[:begin] + (wait + picture[end:-1]) * frames + b";"
    return "data:image/gif;base64," + base64.b64encode(clip).decode()


def about_clip(url: str) -> dict:
    part = {"type": "video_url", "video_url": {"url": url, "num_frames": 2}}
    return {"messages": [{"role": "user", "content": [part, {"type": "text", "text": "What happens?"}]}], "max_tokens": 1}


def is_decoding(server: Server) -> bool:
    decoded = server.get("/v1/cache").body["decoded"]
    return decoded["bytes"] > decoded["kept_bytes"]


def test_who_leaves_within_a_clip_stops_its_decoding(server: Server) -> None:
    few, times = 40, 20
    whole = server.post(about_clip(slow_clip(few)))
    assert whole.status == 200, whole.body
    assert whole.seconds * times > 8 * SLOWDOWN, "the clip below would end by itself"
    [connection] = leave_behind(server, [about_clip(slow_clip(few * times))])
    wait_until(lambda: is_decoding(server), 5)
    time.sleep(0.5)
    assert is_decoding(server)
    connection.close()
    comes_to_rest(server, 2)
    assert first_token(server) < FIRST_TOKEN_S
    server.request("DELETE", "/v1/cache")


def test_who_waits_for_memory_gets_what_others_let_go_of() -> None:
    """The memory holds one picture. Each is kept for later, as long as nobody waits for its place."""
    with start_server("--decoded-mb", "330") as small:
        attack = Attack(small, [question([url], timeout=20 * SLOWDOWN) for url in large_pngs(2) * 3])
        assert [reply.status for reply in attack.wait()] == [200] * 6, [reply.body for reply in attack.replies]


def test_a_picture_larger_than_the_memory_is_refused(server: Server) -> None:
    with start_server("--decoded-mb", "100") as small:
        reply = small.post(question(large_pngs(1)))
        assert reply.status == 413 and "--decoded-mb" in reply.error["message"], reply.body
        assert reply.error["param"] == "messages.0.content.0.image_url"


def test_the_servers_own_timeout_counts_fetches() -> None:
    with Drip() as drip, start_server("--request-timeout", "1.5") as hasty:
        for path in ("/v1/chat/completions", "/apply-template"):
            reply = hasty.post(question(drip.urls(3)), path)
            assert reply.status == 504 and reply.seconds < 3 * SLOWDOWN, reply


def test_sigterm_ends_what_is_fetched_and_decoded() -> None:
    with Drip() as drip, start_server("--drain-seconds", "1") as ending:
        connections = leave_behind(ending, [question(drip.urls(12))] * 3 + [question([url]) for url in large_pngs(6)])
        wait_until(lambda: ending.get("/v1/cache").body["decoded"]["fetches"] > 0, 5)
        started = time.monotonic()
        ending.process.send_signal(signal.SIGTERM)
        assert ending.process.wait(20 * SLOWDOWN) == 0
        seconds = time.monotonic() - started
        print(f"SIGTERM with fetches and pictures: {seconds:.1f} s of which 1 s drains")
        assert seconds < 3 * SLOWDOWN
        for connection in connections:
            connection.close()
