"""Fixtures of the chat page's tests."""
from typing import Iterator

import pytest
from playwright.sync_api import Browser, sync_playwright

from e2e_harness import Server
from page_harness import PlayedServer, Tab, launch, window


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        chromium = launch(playwright)
        yield chromium
        chromium.close()


@pytest.fixture
def played(server: Server) -> Iterator[PlayedServer]:
    """Plays the API for the chat page."""
    running = PlayedServer(server)
    yield running
    running.close()


@pytest.fixture
def tab(browser: Browser, played: PlayedServer) -> Iterator[Tab]:
    """The chat page of a played server."""
    with window(browser, played.url, permissions=["clipboard-read", "clipboard-write"]) as opened:
        yield opened
