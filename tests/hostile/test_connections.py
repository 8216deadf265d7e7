"""Clients that want the server's memory and connections, beside one that wants an answer. Loopback only, bounded in number and time."""
import contextlib
import os
import pathlib
import socket
import time
from typing import Iterator

import pytest

from e2e_harness import MODEL, Server

ASK = {"model": MODEL.name, "messages": [{"role": "user", "content": "What is Pippin?"}], "max_tokens": 2}
KEY = {"Authorization": "Bearer good"}
BODY = 15_000_000
MB = 1 << 20


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Server("--api-key", "good") as running:
        assert running.post(ASK, headers=KEY).status == 200
        yield running


def resident(server: Server) -> int:
    """Bytes that the server's process takes now."""
    pages = int(pathlib.Path(f"/proc/{server.process.pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def connected(server: Server, count: int) -> list[socket.socket]:
    return [socket.create_connection(("127.0.0.1", server.port), timeout=20) for _ in range(count)]


def sends_until_cut(client: socket.socket, seconds: float, pause: float = 0) -> float:
    """Sends as fast as is taken, or a piece each `pause`; how long that went on."""
    started = time.monotonic()
    piece = b"x" * (1000 if pause else 1 << 16)
    with contextlib.suppress(OSError):
        while time.monotonic() - started < seconds:
            client.sendall(piece)
            time.sleep(pause)
    return time.monotonic() - started


def answered_within(server: Server, seconds: float) -> None:
    reply = server.post(ASK, headers=KEY)
    assert reply.status == 200 and reply.seconds < seconds, reply


def status_of(client: socket.socket) -> int:
    client.settimeout(20)
    head = client.recv(65536)
    return int(head.split()[1]) if head else 0


@pytest.mark.parametrize("request_line", ["POST /v1/chat/completions", "POST /no/such/route", "GET /health"])
def test_bodies_without_a_key_take_no_memory(server: Server, request_line: str):
    head = f"{request_line} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {BODY}\r\n\r\n".encode()
    before = resident(server)
    most = 0
    clients = connected(server, 60)
    for client in clients:
        client.sendall(head)
    for client in clients:
        with contextlib.suppress(OSError):
            client.sendall(b"x" * (BODY // 10))
        most = max(most, resident(server))
    answered_within(server, 5)
    for client in clients:
        client.close()
    print(f"{request_line}: {(most - before) / MB:.0f} MB more for 60 bodies of {BODY / MB:.0f} MB")
    assert most - before < 60 * MB


def test_no_body_is_asked_for_without_a_key(server: Server):
    for client in connected(server, 20):
        client.sendall(f"POST /v1/messages HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: {BODY}\r\n\r\n"
                       .encode())
        assert status_of(client) == 401
        client.close()


def test_slow_headers_keep_nobody_out(server: Server):
    """As many connections as there may be, each with half a header; all but half of these are of one address."""
    slow = []
    for number in range(512):
        slow += connected(server, 1)
        slow[-1].sendall(b"GET /health HTTP/1.1\r\nHost: local")
        if number % 100 == 0:
            answered_within(server, 5)
    for _ in range(20):
        answered_within(server, 5)
    for client in slow:
        client.close()


def test_idle_connections_keep_nobody_out(server: Server):
    """The same after a request that needs no key."""
    idle = []
    for _ in range(600):
        client = connected(server, 1)[0]
        client.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert status_of(client) == 200
        idle.append(client)
    for _ in range(20):
        answered_within(server, 5)
    for client in idle:
        client.close()


@pytest.mark.parametrize("pause", [0, 0.02], ids=["fast", "slow"])
def test_who_is_refused_and_goes_on_sending_is_cut(server: Server, pause: float):
    client = connected(server, 1)[0]
    client.sendall(f"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: {10**12}\r\n\r\n".encode())
    assert sends_until_cut(client, 15, pause) < 4
    client.close()
    answered_within(server, 5)
