# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Debian's Chromium, a cluster to look at, and where screenshots are kept (build/page)."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, sync_playwright
from playwright.sync_api import Page as Tab

from . import lab

SHOTS = lab.ROOT / "build" / "page"
LIMIT = 30_000
"""Milliseconds that a browser waits for what a test expects: this machine may be busy."""

Login = Callable[..., Tab]


@pytest.fixture(scope="session", autouse=True)
def alone() -> None:
    """The agents of this test write below /etc and /run."""
    if Path("/run/upper").is_dir():
        return
    pytest.exit("tests/page needs an /etc and a /run of its own: run it by tests/page/alone", 3)


@pytest.fixture(scope="session")
def page(alone: None) -> Iterator[lab.Page]:
    with lab.running() as made:
        yield made


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    program = shutil.which("chromium")
    assert program, "Chromium is missing; apt-get install chromium"
    SHOTS.mkdir(parents=True, exist_ok=True)
    # Its own sandbox wants no root; the pages it is shown here are ours alone.
    words = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=program, args=words)
        yield browser
        browser.close()


@pytest.fixture
def contexts(chromium: Browser) -> Iterator[list[BrowserContext]]:
    made: list[BrowserContext] = []
    yield made
    for one in made:
        one.close()


@pytest.fixture
def login(page: lab.Page, chromium: Browser, contexts: list[BrowserContext]) -> Login:
    """Gives a tab of a new browser in which somebody has logged in."""

    def enter(
        name: str = "edda", width: int = 1440, scheme: str = "light", *, scripts: bool = True
    ) -> Tab:
        context = chromium.new_context(
            viewport={"width": width, "height": 900},
            color_scheme=scheme,  # type: ignore[arg-type]
            java_script_enabled=scripts,
        )
        context.set_default_timeout(LIMIT)
        contexts.append(context)
        tab = context.new_page()
        tab.goto(page.url)
        tab.get_by_label("User name").fill(name)
        tab.get_by_label("Password").fill(lab.PASSWORDS[name])
        tab.get_by_role("button", name="Log in").click()
        tab.get_by_role("heading", name="Control/Monitoring").wait_for()
        return tab

    return enter
