"""Pictures and videos that want all of a server's time and memory: texts beside them go on. Loopback only, bounded in number and time."""
import base64
import contextlib
import http.client
import json
import os
import re
import resource
import signal
import socket
import struct
import threading
import time
import zlib
from typing import Callable, Iterator

import pytest

from e2e_harness import ROOT, SLOWDOWN, Reply, Server

MB = 1 << 20
ADDRESS_SPACE = 6_000_000_000
FIRST_TOKEN_S = 1 * SLOWDOWN
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


def first_token(server: Server) -> float:
    """Seconds that a text waits for its first token."""
    connection = server.connect()
    started = time.monotonic()
    body = {"messages": [{"role": "user", "content": f"Hello {time.monotonic()}"}], "max_tokens": 4, "stream": True}
    connection.request("POST", "/v1/chat/completions", json.dumps(body), {"Content-Type": "application/json"})
    response = connection.getresponse()
    assert response.status == 200, response.read()
    while not re.search(rb'"(content|reasoning)":"[^"]', line := response.readline()):
        assert line, "the stream ended without a token"
    seconds = time.monotonic() - started
    connection.close()
    return seconds


def resident(server: Server) -> int:
    with open(f"/proc/{server.process.pid}/statm", encoding="ascii") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def cpu_seconds(server: Server) -> float:
    with open(f"/proc/{server.process.pid}/stat", encoding="ascii") as stat:
        user, system = stat.read().rsplit(")", 1)[1].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def wait_until(holds: Callable[[], bool], seconds: float) -> None:
    end = time.monotonic() + seconds * SLOWDOWN
    while not holds():
        assert time.monotonic() < end, "it did not come to that"
        time.sleep(0.05)


def is_at_rest(server: Server) -> bool:
    decoded = server.get("/v1/cache").body["decoded"]
    return decoded["fetches"] == decoded["waiting"] == decoded["fetched_bytes"] == 0 \
        and decoded["bytes"] == decoded["kept_bytes"]


def comes_to_rest(server: Server, seconds: float) -> None:
    """Nothing is fetched, decoded or waited for any more, and the cores are idle."""
    wait_until(lambda: is_at_rest(server), seconds)
    server.wait_until_idle()
    started = cpu_seconds(server)
    time.sleep(0.5)
    assert cpu_seconds(server) - started < 0.1 * max(1, SLOWDOWN / 4), "its cores are not idle"


class Attack:
    """Requests that are sent at once, each on a connection of its own; what comes of them."""

    def __init__(self, server: Server, requests: list[dict]):
        self.replies: list[Reply] = []
        self.threads = [threading.Thread(target=lambda body=body: self.replies.append(server.post(body)))
                        for body in requests]
        for thread in self.threads:
            thread.start()

    def runs(self) -> bool:
        return any(thread.is_alive() for thread in self.threads)

    def wait(self) -> list[Reply]:
        for thread in self.threads:
            thread.join()
        return self.replies


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


def texts_go_on(server: Server, attack: Attack, name: str, at_least: int = 5) -> int:
    """The most memory that the server took meanwhile."""
    before = resident(server)
    waits, most = [], before
    while attack.runs() or len(waits) < at_least:
        waits.append(first_token(server))
        most = max(most, resident(server))
        time.sleep(0.05)
    print(f"{name}: a text's first token after {max(waits) * 1000:.0f} ms at most of {len(waits)}, "
          f"{(most - before) / MB:.0f} MB more at most")
    assert max(waits) < FIRST_TOKEN_S
    return most - before


def test_pictures_that_drip_hold_up_no_text(server: Server) -> None:
    with Drip() as drip:
        attack = Attack(server, [question(drip.urls(12), timeout=4) for _ in range(6)])
        texts_go_on(server, attack, "12 URLs that drip, 6 times")
        for reply in attack.wait():
            assert reply.status == 504, reply.body
            assert 3.9 < reply.seconds < 5.5 * SLOWDOWN
    comes_to_rest(server, 3)


def test_large_pictures_wait_for_memory_and_hold_up_no_text(server: Server) -> None:
    limit = server.get("/v1/cache").body["decoded"]["limit_bytes"]
    attack = Attack(server, [question([url]) for url in large_pngs(16)])
    most = texts_go_on(server, attack, "16 pictures of 64 megapixels")
    for reply in attack.wait():
        assert reply.status == 200, reply.body
    assert most < limit + 600 * MB
    comes_to_rest(server, 10)
    server.request("DELETE", "/v1/cache")


def test_pictures_of_one_request_take_no_more_than_there_is(server: Server) -> None:
    """Four of them are within the limit of pixels, and only one request has them at a time."""
    urls = large_pngs(4)
    attack = Attack(server, [question(urls), question(list(reversed(urls)))])
    texts_go_on(server, attack, "two requests of 4 pictures of 64 megapixels")
    for reply in attack.wait():
        assert reply.status == 200, reply.body
    server.request("DELETE", "/v1/cache")


def test_jpegs_have_as_many_scans_as_their_size_allows(server: Server) -> None:
    attack = Attack(server, [question([many_scans(190, number)]) for number in range(8)])
    texts_go_on(server, attack, "8 JPEGs of 190 scans")
    for reply in attack.wait():
        assert reply.status == 413 and "scans" in reply.error["message"], reply.body
        assert reply.error["param"] == "messages.0.content.0.image_url"
    allowed = Attack(server, [question([many_scans(20, number)]) for number in range(2)])
    texts_go_on(server, allowed, "2 JPEGs of 20 scans")
    for reply in allowed.wait():
        assert reply.status in (200, 400, 413), reply.body  # the coded data is short
    comes_to_rest(server, 10)


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
