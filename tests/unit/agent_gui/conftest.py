# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""The page with an agent of paper behind it, and browsers of three people."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import pytest
from piranha.gui.app import application
from piranha.gui.site import Settings
from starlette.testclient import TestClient

from .fake import PASSWORDS, FakeBackend, FakeUsers

BASE = "https://router.test:3636"
Login = Callable[[str], TestClient]


@pytest.fixture
def backend() -> FakeBackend:
    return FakeBackend()


@pytest.fixture
def users() -> FakeUsers:
    return FakeUsers()


@pytest.fixture
def browser(backend: FakeBackend, users: FakeUsers) -> Iterator[TestClient]:
    """A browser nobody has logged in with."""
    app = application(backend, users, Settings(secure=True, host="router-a"))
    with TestClient(app, base_url=BASE, follow_redirects=False) as client:
        yield client


@pytest.fixture
def login(browser: TestClient) -> Login:
    """Gives a browser in which somebody has logged in."""

    def enter(name: str) -> TestClient:
        client = TestClient(browser.app, base_url=BASE, follow_redirects=False)
        # All ask in the one event loop that a page has: its locks belong to it.
        client.portal = browser.portal
        answer = client.post("/login", data={"name": name, "password": PASSWORDS[name]})
        assert answer.status_code == 303, answer.text
        return client

    return enter


def csrf_of(client: TestClient) -> str:
    """The token that every form of this session has."""
    found = re.search(r'name="csrf" value="([^"]+)"', client.get("/events").text)
    assert found
    return found[1]


def send(client: TestClient, path: str, **form: str) -> str:
    """Send a form as a browser does, follow to the page that comes, give its text."""
    answer = client.post(path, data={"csrf": csrf_of(client), **form})
    while answer.status_code == 303:
        answer = client.get(answer.headers["location"])
    return answer.text
