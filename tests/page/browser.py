# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Debian's Chromium, and what people do in it on the page. Screenshots are kept in build/page.

Fixtures and steps that the tests beside a native cluster and those in the lab share.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, expect, sync_playwright
from playwright.sync_api import Page as Tab

SHOTS = Path(__file__).parents[2] / "build" / "page"
LIMIT = 30_000
"""Milliseconds that a browser waits for what a test expects: this machine may be busy."""

PASSWORDS = {"vera": "view-of-vera", "otto": "operates-otto", "edda": "edits-it-all-edda"}
ROLES = {"vera": "view", "otto": "operate", "edda": "edit"}

expect.set_options(timeout=LIMIT)


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


def enter(context: BrowserContext, url: str, name: str) -> Tab:
    """Log somebody in, and give the tab."""
    context.set_default_timeout(LIMIT)
    tab = context.new_page()
    tab.goto(url)
    tab.get_by_label("User name").fill(name)
    tab.get_by_label("Password").fill(PASSWORDS[name])
    tab.get_by_role("button", name="Log in").click()
    tab.get_by_role("heading", name="Control/Monitoring").wait_for()
    return tab


def accept(tab: Tab) -> None:
    """Take a form into the draft."""
    tab.get_by_role("button", name="Accept", exact=True).click()
    expect(tab.get_by_text("Nothing is written yet")).to_be_visible()


def write(tab: Tab, why: str) -> None:
    """Put the draft in force, on the page that shows what it would change."""
    tab.get_by_label("Reason").fill(why)
    tab.get_by_role("button", name="Write it and put it in force").click()
    expect(tab.get_by_text("It is in force.")).to_be_visible()


def apply(tab: Tab, why: str) -> None:
    """Look at the draft, and put it in force."""
    tab.get_by_role("link", name="Review and apply").click()
    write(tab, why)


def give(tab: Tab, link: str, order: str, why: str) -> None:
    """Give an order, with a reason and the confirmation."""
    tab.get_by_role("link", name=link).click()
    tab.get_by_label(order).check()
    tab.get_by_label("Reason").fill(why)
    tab.get_by_label("Yes, do it now").check()
    tab.get_by_role("button", name="Do it").click()


def add_virtual(tab: Tab, name: str, address: str, port: int, servers: Mapping[str, str]) -> None:
    """Fill in the forms of a virtual server and its real servers (name -> address, port 80)."""
    tab.get_by_role("link", name="Virtual servers").click()
    tab.get_by_label("Name of a new one").fill(name)
    tab.get_by_role("button", name="Add").click()
    tab.get_by_label("active", exact=True).select_option("1")
    tab.get_by_label("address", exact=True).fill(address)
    tab.get_by_label("vip_nmask").fill("255.255.255.0")
    tab.get_by_label("port", exact=True).fill(str(port))
    tab.get_by_label("scheduler", exact=True).select_option("rr")
    accept(tab)
    for server, place in servers.items():
        tab.get_by_role("link", name="Real servers", exact=True).click()
        tab.get_by_label("Name of a new real server").fill(server)
        tab.get_by_role("button", name="Add").click()
        tab.get_by_label("address", exact=True).fill(place)
        tab.get_by_label("port", exact=False).first.fill("80")
        accept(tab)
        tab.get_by_role("link", name=name).click()
