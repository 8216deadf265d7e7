"""What hostile tests measure beside an attack: a text's first token, memory, and the cores afterwards."""
import json
import os
import re
import socket
import threading
import time
from typing import Callable

from e2e_harness import SLOWDOWN, Reply, Server

MB = 1 << 20
FIRST_TOKEN_S = 1 * SLOWDOWN  # that a text may wait for its first token, whatever others send
FIGURES = "figures beside an attack"  # the property of a test's report


def resident(server: Server) -> int:
    """Bytes that the server's process takes now."""
    with open(f"/proc/{server.process.pid}/statm", encoding="ascii") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def cpu_seconds(server: Server) -> float:
    with open(f"/proc/{server.process.pid}/stat", encoding="ascii") as stat:
        user, system = stat.read().rsplit(")", 1)[1].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def first_token(server: Server, headers: dict[str, str] | None = None, **fields) -> float:
    """Seconds that a text waits for its first token."""
    connection = server.connect()
    started = time.monotonic()
    body = {"messages": [{"role": "user", "content": f"Hello {time.monotonic()}"}], "max_tokens": 4, "stream": True, **fields}
    connection.request("POST", "/v1/chat/completions", json.dumps(body), {"Content-Type": "application/json", **(headers or {})})
    response = connection.getresponse()
    assert response.status == 200, response.read()
    while not re.search(rb'"(content|reasoning)":"[^"]', line := response.readline()):
        assert line, "the stream ended without a token"
    seconds = time.monotonic() - started
    connection.close()
    return seconds


class Beside:
    """A client that asks for a text again and again beside an attack, and what the server takes meanwhile."""

    def __init__(self, server: Server, record: Callable[[str, object], None], name: str, headers: dict[str, str] | None = None):
        self.server, self.record, self.name, self.headers = server, record, name, headers
        self.waits: list[float] = []
        self.before = self.highest = resident(server)

    def ask(self) -> None:
        self.waits.append(first_token(self.server, self.headers))
        self.highest = max(self.highest, resident(self.server))

    @property
    def growth(self) -> int:
        """The most bytes that the server took more than before."""
        return self.highest - self.before

    def report(self) -> None:
        """Called when the attack is over: tells the figures, and holds the first token to its second."""
        started = cpu_seconds(self.server)
        time.sleep(0.5)
        busy = (cpu_seconds(self.server) - started) / 0.5
        kept = resident(self.server) - self.before
        self.record(FIGURES, f"{self.name}: first token {max(self.waits) * 1000:.0f} ms at most of {len(self.waits)}; memory "
                             f"+{self.growth / MB:.0f} MB at most, {kept / MB:+.0f} MB after; CPU after {busy * 100:.0f} %")
        assert max(self.waits) < FIRST_TOKEN_S


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


def connected(server: Server, count: int) -> list[socket.socket]:
    return [socket.create_connection(("127.0.0.1", server.port), timeout=20) for _ in range(count)]
