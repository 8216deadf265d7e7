"""Fixtures of the end-to-end tests."""
from typing import Iterator

import pytest

from e2e_harness import Server


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """A server with default options, shared by the tests: none may assume to be alone with its caches."""
    with Server() as running:
        yield running
