# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real browser, a real page, real agents: what people do, and what becomes of it on the router.

Screenshots are kept in build/page. Run by `tests/page/alone .venv/bin/pytest tests/page`.
"""

from __future__ import annotations

import re
import time

import pytest
from axe_playwright_python.sync_playwright import Axe
from piranha.core.lvs_cf.api import load
from playwright.sync_api import Page as Tab
from playwright.sync_api import expect

from tests.cluster.cluster import CONFIG, Router, soon

from .browser import PASSWORDS, SHOTS, accept, add_virtual, apply, give, write
from .conftest import Login
from .lab import Page

PAGES = {
    "monitor": "/",
    "service": "",  # its address is found on the page
    "settings": "/settings",
    "redundancy": "/redundancy",
    "virtual": "/virtual",
    "virtual-server": "/virtual/edit?name=web",
    "monitoring-scripts": "/virtual/edit?name=web&tab=monitoring",
    "real-servers": "/virtual/edit?name=web&tab=servers",
    "real-server": "/virtual/server?name=web&server=rs1",
    "failover": "/failover",
    "file": "/file",
    "file-edit": "/file?edit=yes",
    "history": "/history",
    "events": "/events",
    "order": "/order?virtual=web&server=rs1",
}


@pytest.fixture
def r1(page: Page) -> Router:
    return page.cluster.routers["r1"]


def service_address(tab: Tab, page: Page) -> str:
    tab.goto(page.url)
    return str(tab.get_by_role("link", name="web", exact=True).get_attribute("href"))


@pytest.mark.parametrize(("width", "scheme"), [(1440, "light"), (360, "dark"), (360, "light")])
def test_every_page_fits_and_has_no_serious_fault_of_accessibility(
    page: Page, login: Login, width: int, scheme: str
) -> None:
    tab = login("edda", width, scheme)
    wrong: list[str] = []
    tab.on("console", lambda said: wrong.append(said.text) if said.type == "error" else None)
    tab.on("pageerror", lambda why: wrong.append(str(why)))
    asked: set[str] = set()
    tab.on("request", lambda request: asked.add(request.url.split("/")[2]))
    faults = []
    for name, path in PAGES.items():
        tab.goto(page.url + (path or service_address(tab, page)))
        if name in ("monitor", "service"):
            expect(tab.locator("#live.on")).to_be_visible()
        tab.screenshot(path=SHOTS / f"{name}-{width}-{scheme}.png", full_page=True)
        over = tab.evaluate("document.documentElement.scrollWidth - innerWidth")
        assert over <= 0, f"{name} is {over} pixels too wide"
        for one in Axe().run(tab).response["violations"]:
            if one["impact"] in ("serious", "critical"):
                faults.append((name, one["id"], [node["target"] for node in one["nodes"]][:3]))
    assert faults == []
    assert wrong == []
    assert asked == {page.url.split("/")[2]}


def test_a_virtual_server_is_added_with_two_real_servers_seen_and_applied(
    page: Page, login: Login, r1: Router
) -> None:
    watching, tab = login("vera"), login("edda")
    add_virtual(tab, "mail", "203.0.113.20 eth0", 8025, {"m1": "10.9.0.21", "m2": "10.9.0.22"})
    assert "mail" not in r1.config.read_text()
    tab.get_by_role("link", name="Review and apply").click()
    text = tab.inner_text("main")
    assert "virtual mail" in text
    assert "+    address = 203.0.113.20 eth0" in text
    assert re.search(r"-A -t 203\.0\.113\.20:8025", text), text
    tab.screenshot(path=SHOTS / "preview-1440-light.png", full_page=True)
    write(tab, "ticket 4711")
    tab.screenshot(path=SHOTS / "history-1440-light.png", full_page=True)

    after = r1.config.read_text()
    assert [line for line in CONFIG.splitlines() if line not in after.splitlines()] == []
    servers = load(after).config.virtual[1].servers
    assert [one.settings.text("address") for one in servers] == ["10.9.0.21", "10.9.0.22"]
    # The one who only looks sees it come, without loading the page anew.
    row = watching.locator("#rows .row", has_text="mail")
    expect(row).to_contain_text("2 of 2")
    expect(watching.locator("#total")).to_have_text("2")
    # One click leads back.
    tab.get_by_role("button", name="Return to the text before").first.click()
    write(tab, "it was a test")
    expect(row).to_have_count(0)
    assert "mail" not in r1.config.read_text()


def test_wrong_values_in_every_field_are_told_while_typing_and_after(
    page: Page, login: Login, r1: Router
) -> None:
    tab = login("edda")
    before = r1.config.read_text()
    for path in ("/settings", "/redundancy", "/virtual/edit?name=web",
                 "/virtual/edit?name=web&tab=monitoring", "/virtual/server?name=web&server=rs1"):
        tab.goto(page.url + path)
        tab.evaluate("for (const one of document.querySelectorAll('details')) one.open = true")
        fields = tab.locator(".field input:not([type=hidden]):not(#f-new_name)")
        names = [one.get_attribute("name") for one in fields.all()]
        for one in fields.all():
            one.fill("a\" b' <c>")
        expect(tab.locator("[aria-invalid=true]").first).to_be_visible()
        lists = {"dirs", "check_headers"}
        for name in set(names) - lists:
            told = tab.locator(f"ul[data-for={name}] li.error")
            expect(told.first).to_be_visible()
        tab.get_by_role("button", name="Accept", exact=True).click()
        for name in set(names) - lists:
            expect(tab.locator(f"ul[data-for={name}] li.error").first).to_be_visible()
        name = path.strip("/").replace("/", "-").partition("?")[0]
        tab.screenshot(path=SHOTS / f"wrong-{name}-1440-light.png", full_page=True)
        assert not tab.locator(".pending").count()
    assert r1.config.read_text() == before


def test_two_people_at_once(page: Page, login: Login, r1: Router) -> None:
    first, second = login("edda"), login("edda")
    first.goto(f"{page.url}/virtual/edit?name=web")
    first.get_by_label("scheduler", exact=True).select_option("wlc")
    accept(first)
    second.goto(f"{page.url}/redundancy")
    second.get_by_label("start_delay").fill("0.1")
    accept(second)
    apply(first, "least connections")
    second.get_by_role("link", name="Review and apply").click()
    expect(second.get_by_text("Somebody else was quicker.")).to_be_visible()
    second.screenshot(path=SHOTS / "conflict-1440-light.png", full_page=True)
    second.get_by_role("button", name="Lay my changes upon the file").click()
    expect(second.get_by_text("lie upon the file as it is now")).to_be_visible()
    write(second, "slow switch")
    config = load(r1.config.read_text()).config
    assert config.virtual[0].settings["scheduler"] == "wlc"
    assert config.globals.seconds("start_delay") == 0.1


@pytest.mark.parametrize("width", [1440, 360])
def test_without_scripts_everything_is_there(
    page: Page, login: Login, r1: Router, width: int
) -> None:
    tab = login("edda", width, scripts=False)
    tab.get_by_role("link", name="Virtual servers").click()
    tab.get_by_role("link", name="web", exact=True).click()
    port = str(8000 + width)
    tab.get_by_label("port", exact=True).fill(port)
    accept(tab)
    apply(tab, "no scripts here")
    assert f"port = {port}" in r1.config.read_text()
    tab.get_by_role("link", name="Virtual servers").click()
    tab.get_by_role("link", name="web", exact=True).click()
    tab.get_by_label("port", exact=True).fill("80")
    accept(tab)
    apply(tab, "back")
    tab.get_by_role("link", name="Control/Monitoring").click()
    tab.get_by_role("link", name="web", exact=True).click()
    tab.get_by_role("button", name="Test rs1 now").click()
    expect(tab.get_by_role("heading", name="Test of rs1")).to_contain_text("up")
    tab.screenshot(path=SHOTS / f"tested-{width}-light.png", full_page=True)


def test_an_order_shows_on_every_page_that_is_open(page: Page, login: Login, r1: Router) -> None:
    watching, tab = login("vera"), login("otto")
    watching.get_by_role("button", name="Servers of web").click()
    row = watching.locator(".opened .row", has_text="rs1")
    expect(row).to_contain_text("UP")
    tab.get_by_role("link", name="web", exact=True).click()
    give(tab, "Order for rs1", "Maintenance", "new disk")
    expect(tab.get_by_role("status").first).to_contain_text("rs1")
    expect(row).to_contain_text("MAINT")
    expect(row).to_contain_text("new disk")
    expect(watching.locator("#events")).to_contain_text("new disk")
    watching.screenshot(path=SHOTS / "maintenance-1440-light.png", full_page=True)
    give(tab, "Order for rs1", "Enable", "done")
    expect(row).not_to_contain_text("MAINT")


def test_by_the_keyboard_alone(page: Page, login: Login, r1: Router) -> None:
    tab = login("vera")
    tab.goto(page.url)
    tab.context.clear_cookies()
    tab.goto(f"{page.url}/virtual")
    press = tab.keyboard.press
    tab.keyboard.type("edda")  # the first field has the focus
    press("Tab")
    tab.keyboard.type(PASSWORDS["edda"])
    press("Enter")
    tab.get_by_role("heading", name="Virtual servers").wait_for()
    press("Tab")
    assert tab.evaluate("document.activeElement.textContent") == "Skip to the content"
    press("Enter")
    reach(tab, "#new_name")
    tab.keyboard.type("keys")
    press("Enter")
    tab.get_by_role("heading", name="keys").wait_for()
    reach(tab, "#f-address")
    tab.keyboard.type("203.0.113.30 eth0")
    press("Enter")
    expect(tab.get_by_text("Nothing is written yet")).to_be_visible()
    reach(tab, ".pending a")
    press("Enter")
    tab.get_by_role("heading", name="Review and apply").wait_for()
    reach(tab, "#why")
    tab.keyboard.type("by keys")
    press("Enter")
    expect(tab.get_by_text("It is in force.")).to_be_visible()
    assert "virtual keys {" in r1.config.read_text()


def reach(tab: Tab, wanted: str) -> None:
    """Press Tab until the wanted element has the focus; what has it must be seen to have it."""
    for _press in range(150):
        tab.keyboard.press("Tab")
        if tab.evaluate("wanted => document.activeElement.matches(wanted)", wanted):
            outline = tab.evaluate("getComputedStyle(document.activeElement).outlineStyle")
            assert outline != "none"
            return
    raise AssertionError(f"{wanted} cannot be reached by the keyboard")


def test_the_page_dies_and_comes_back_and_the_cluster_does_not_notice(
    page: Page, login: Login, r1: Router
) -> None:
    tab = login("vera")
    expect(tab.locator("#live.on")).to_be_visible()
    writing = login("edda")
    writing.goto(f"{page.url}/redundancy")
    writing.get_by_label("start_delay").fill("0.2")
    accept(writing)
    before = (r1.pid("heart"), r1.pid("lvsd"), r1.state(), r1.holds())
    page.kill_page()
    expect(tab.locator("#live")).to_contain_text("no connection to the page")
    time.sleep(3)
    assert (r1.pid("heart"), r1.pid("lvsd"), r1.state(), r1.holds()) == before
    page.start_page()
    tab = login("vera")
    expect(tab.locator("#live.on")).to_be_visible()
    # What was typed and not written is there again.
    writing = login("edda")
    expect(writing.get_by_text("Your changes from before are here again")).to_be_visible()
    writing.goto(f"{page.url}/redundancy")
    expect(writing.get_by_label("start_delay")).to_have_value("0.2")
    writing.get_by_role("link", name="Review and apply").click()
    writing.get_by_role("button", name="Discard", exact=False).first.click()
    expect(writing.get_by_text("Your changes are thrown away.")).to_be_visible()


def test_a_switchover_is_ordered_and_the_page_follows(
    page: Page, login: Login, r1: Router
) -> None:
    watching, tab = login("vera"), login("otto")
    card = watching.locator("#head .card").first
    expect(card).to_contain_text("ACTIVE")
    give(tab, "Switch over…", "Switch over", "kernel update")
    expect(card).to_contain_text("STANDBY")
    expect(watching.locator("#head .card").nth(1)).to_contain_text("ACTIVE")
    watching.screenshot(path=SHOTS / "switched-1440-light.png", full_page=True)
    soon(lambda: page.cluster.routers["r2"].state() == "active", "r2 is active")
    assert r1.holds() == set()
