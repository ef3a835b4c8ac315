# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""A cluster to look at natively, and who logs in there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext
from playwright.sync_api import Page as Tab

from . import lab
from .browser import chromium, contexts, enter

__all__ = ["chromium", "contexts"]  # fixtures

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


@pytest.fixture
def login(page: lab.Page, chromium: Browser, contexts: list[BrowserContext]) -> Login:
    """Gives a tab of a new browser in which somebody has logged in."""

    def at(
        name: str = "edda", width: int = 1440, scheme: str = "light", *, scripts: bool = True
    ) -> Tab:
        context = chromium.new_context(
            viewport={"width": width, "height": 900},
            color_scheme=scheme,  # type: ignore[arg-type]
            java_script_enabled=scripts,
        )
        contexts.append(context)
        return enter(context, page.url, name)

    return at
