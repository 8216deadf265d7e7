"""What the time to the first token tells one client of what another has sent. Loopback only, bounded in number and time.

In each round A sends a prompt. Then B sends this prompt and one that nobody has sent, in random order. The statistic is the area under
the ROC curve: how often the prompt that A sent is answered sooner than one that nobody sent. Where the times tell nothing it is 0.5,
with the standard deviation of the Mann-Whitney test; where the caches are shared it is near 1, which shows that the method would see it.
"""
import json
import math
import random
import re
import time
from typing import Callable, Iterator

import pytest

from e2e_harness import Server
from hostile_harness import FIGURES

ROUNDS = 30
SHARED = 0.9  # at least, where caches are shared
DEVIATIONS = 4  # by chance past these once in 16,000 runs
A, B = {"Authorization": "Bearer a"}, {"Authorization": "Bearer b"}


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Server("--api-key", "a", "--api-key", "b") as running:
        yield running


@pytest.fixture(scope="module")
def parted_server() -> Iterator[Server]:
    with Server("--api-key", "a", "--api-key", "b", "--cache-per-key") as running:
        yield running


def first_token(server: Server, headers: dict, body: dict) -> float:
    connection = server.connect()
    connection.connect()
    started = time.perf_counter()
    connection.request("POST", "/v1/chat/completions", json.dumps(body), {"Content-Type": "application/json", **headers})
    response = connection.getresponse()
    assert response.status == 200, response.read()
    while not re.search(rb'"(content|reasoning)":"[^"]', line := response.readline()):
        assert line, "the stream ended without a token"
    seconds = time.perf_counter() - started
    response.read()
    connection.close()
    return seconds


def long_prompt(number: int) -> dict:
    words = random.Random(number).choices(["red", "blue", "circle", "square", "left", "right", "and", "the"], k=600)
    return {"messages": [{"role": "user", "content": f"{number} {' '.join(words)}"}], "max_tokens": 2, "stream": True}


def new_schema(number: int) -> dict:
    members = {f"m{number}_{i}": {"type": "string", "maxLength": 9} for i in range(400)}
    schema = {"type": "object", "properties": members, "required": list(members)}
    return {"messages": [{"role": "user", "content": "Hello"}], "max_tokens": 2, "stream": True,
            "response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}}


def area(sent: list[float], unsent: list[float]) -> float:
    sooner = sum((one < other) + (one == other) / 2 for one in sent for other in unsent)
    return sooner / (len(sent) * len(unsent))


def measure(server: Server, make: Callable[[int], dict], salts: tuple[dict, dict] = ({}, {})) -> float:
    order = random.Random(15)
    sent, unsent = [], []
    for number in range(ROUNDS):
        known, unknown = make(2 * number), make(2 * number + 1)
        first_token(server, A, {**known, **salts[0]})
        asked = [(sent, known), (unsent, unknown)]
        order.shuffle(asked)
        for times, body in asked:
            times.append(first_token(server, B, {**body, **salts[1]}))
    return area(sent, unsent)


def chance() -> float:
    """How far from 0.5 the area is by chance."""
    return DEVIATIONS * math.sqrt((2 * ROUNDS + 1) / (12 * ROUNDS * ROUNDS))


@pytest.mark.parametrize("make", [long_prompt, new_schema])
def test_salts_hide_what_others_have_sent(server: Server, make: Callable[[int], dict], record_property) -> None:
    salts = ({"cache_salt": "of a"}, {"cache_salt": "of b"})
    salted = measure(server, make, salts)
    shared = measure(server, make)
    record_property(FIGURES, f"{make.__name__}: area under the ROC curve {salted:.2f} with salts, {shared:.2f} without")
    assert abs(salted - 0.5) < chance(), salted
    assert shared > SHARED, shared


@pytest.mark.parametrize("make", [long_prompt, new_schema])
def test_keys_hide_what_others_have_sent(parted_server: Server, make: Callable[[int], dict], record_property) -> None:
    parted = measure(parted_server, make)
    record_property(FIGURES, f"{make.__name__}: area under the ROC curve {parted:.2f} with --cache-per-key")
    assert abs(parted - 0.5) < chance(), parted
