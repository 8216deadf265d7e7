"""Clients that want the server's memory and connections, beside one that wants an answer. Loopback only, bounded in number and time."""
import contextlib
import json
import socket
import threading
import time
from typing import Iterator

import pytest

from e2e_harness import MODEL, SLOWDOWN, Server
from hostile_harness import MB, Beside, connected

ASK = {"model": MODEL.name, "messages": [{"role": "user", "content": "What is Pippin?"}], "max_tokens": 2}
KEY = {"Authorization": "Bearer good"}
BODY = 15_000_000


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Server("--api-key", "good") as running:
        assert running.post(ASK, headers=KEY).status == 200
        yield running


def sends_until_cut(client: socket.socket, seconds: float, pause: float = 0) -> float:
    """Sends as fast as is taken, or a piece each `pause`; how long that went on."""
    started = time.monotonic()
    piece = b"x" * (1000 if pause else 1 << 16)
    with contextlib.suppress(OSError):
        while time.monotonic() - started < seconds:
            client.sendall(piece)
            time.sleep(pause)
    return time.monotonic() - started


def status_of(client: socket.socket) -> int:
    client.settimeout(20)
    head = client.recv(65536)
    return int(head.split()[1]) if head else 0


@pytest.mark.parametrize("request_line", ["POST /v1/chat/completions", "POST /no/such/route", "GET /health"])
def test_bodies_without_a_key_take_no_memory(server: Server, request_line: str, record_property):
    head = f"{request_line} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {BODY}\r\n\r\n".encode()
    beside = Beside(server, record_property, f"60 bodies of {BODY / MB:.0f} MB without a key, {request_line}", KEY)
    clients = connected(server, 60)
    for client in clients:
        client.sendall(head)
    for number, client in enumerate(clients):
        with contextlib.suppress(OSError):
            client.sendall(b"x" * (BODY // 10))
        if number % 10 == 0:
            beside.ask()
    beside.ask()
    for client in clients:
        client.close()
    beside.report()
    assert beside.growth < 60 * BODY / 8  # kept bodies would be eight times this; what the allocator holds varies by some 30 MB


def test_no_body_is_asked_for_without_a_key(server: Server):
    for client in connected(server, 20):
        client.sendall(f"POST /v1/messages HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: {BODY}\r\n\r\n"
                       .encode())
        assert status_of(client) == 401
        client.close()


def test_slow_headers_keep_nobody_out(server: Server, record_property):
    """As many connections as there may be, each with half a header; all but half of these are of one address."""
    beside = Beside(server, record_property, "512 slow headers", KEY)
    slow = []
    for number in range(512):
        slow += connected(server, 1)
        slow[-1].sendall(b"GET /health HTTP/1.1\r\nHost: local")
        if number % 100 == 0:
            beside.ask()
    for _ in range(20):
        beside.ask()
    for client in slow:
        client.close()
    beside.report()


def test_idle_connections_keep_nobody_out(server: Server, record_property):
    """The same after a request that needs no key."""
    beside = Beside(server, record_property, "600 idle connections", KEY)
    idle = []
    for _ in range(600):
        client = connected(server, 1)[0]
        client.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert status_of(client) == 200
        idle.append(client)
    for _ in range(20):
        beside.ask()
    for client in idle:
        client.close()
    beside.report()


@pytest.mark.parametrize("pause", [0, 0.02], ids=["fast", "slow"])
def test_who_is_refused_and_goes_on_sending_is_cut(server: Server, pause: float, record_property):
    beside = Beside(server, record_property, f"a refused client that goes on sending, {'slowly' if pause else 'fast'}", KEY)
    client = connected(server, 1)[0]
    client.sendall(f"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: {10**12}\r\n\r\n".encode())
    assert sends_until_cut(client, 15, pause) < 4
    client.close()
    beside.ask()
    beside.report()


def fill(client: socket.socket, stopping: threading.Event) -> None:
    """Sends all of a body but its end."""
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: {BODY}\r\n\r\n"
    with contextlib.suppress(OSError):
        client.sendall(head.encode())
        for _ in range(14):
            client.sendall(b" " * 1_000_000)
        stopping.wait(10)


def test_bodies_share_their_room(record_property):
    """40 clients fill the room for bodies and hold it: others' small requests go on, and what does not fit is refused."""
    room = 64 * MB
    with Server("--bodies-mb", "64") as server:
        assert server.post(ASK).status == 200
        beside = Beside(server, record_property, f"40 bodies of {BODY / MB:.0f} MB that share 64 MB")
        stopping = threading.Event()
        clients = connected(server, 40)
        threads = [threading.Thread(target=fill, args=(client, stopping)) for client in clients]
        for thread in threads:
            thread.start()
        held = 0
        for _ in range(30):
            beside.ask()
            held = max(held, server.metric("request_body_bytes"))
            time.sleep(0.1)
        refused = server.metric("request_bodies_refused_total")
        stopping.set()
        for client in clients:
            client.close()
        for thread in threads:
            thread.join()
        assert room / 2 < held <= room and refused > 0, (held, refused)
        end = time.monotonic() + 5 * SLOWDOWN
        while server.metric("request_body_bytes") > 0:
            assert time.monotonic() < end
            time.sleep(0.05)
        assert server.post(json.dumps({**ASK, "user": "u" * 8_000_000}).encode()).status == 200
        beside.report()
        # Beside the room: what the heap keeps of bodies that were refused. They took 390 MB when they outlived their room.
        assert beside.growth < 250 * MB
