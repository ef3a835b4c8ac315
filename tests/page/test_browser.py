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
from playwright.sync_api import ConsoleMessage, expect
from playwright.sync_api import Page as Tab

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
    "switch": "/order?order=switchover",
    "partner": "/partner",
    "not-there": "/virtual/edit?name=nobody",
}
DRAFTED = {
    "failover-list": "/failover",
    "failover-edit": "/failover/edit?name=job",
    "failover-monitoring": "/failover/edit?name=job&tab=monitoring",
    "apply": "/apply",
}
"""Those that need something which is not written yet."""


@pytest.fixture
def r1(page: Page) -> Router:
    return page.cluster.routers["r1"]


def service_address(tab: Tab, page: Page) -> str:
    tab.goto(page.url)
    return str(tab.get_by_role("link", name="web", exact=True).get_attribute("href"))


class Looks:
    """Looks at one page after the other: a picture, its width, faults that axe-core finds."""

    def __init__(self, tab: Tab, name: str) -> None:
        self._tab, self._name = tab, name
        self.faults: list[object] = []
        self.wrong: list[str] = []
        self.asked: set[str] = set()
        tab.on("console", self._said)
        tab.on("pageerror", lambda why: self.wrong.append(str(why)))
        tab.on("request", lambda request: self.asked.add(request.url.split("/")[2]))

    def _said(self, said: ConsoleMessage) -> None:
        # That a page is not there, or the partner not in reach, is no mistake of the page.
        if said.type == "error" and "status of 4" not in said.text:
            self.wrong.append(said.text)

    def at(self, page: str) -> None:
        self._tab.screenshot(path=SHOTS / f"{page}-{self._name}.png", full_page=True)
        over = self._tab.evaluate("document.documentElement.scrollWidth - innerWidth")
        assert over <= 0, f"{page} is {over} pixels too wide"
        for one in Axe().run(self._tab).response["violations"]:
            if one["impact"] in ("serious", "critical"):
                targets = [node["target"] for node in one["nodes"]][:3]
                self.faults.append((page, one["id"], targets))


@pytest.mark.parametrize(("width", "scheme"), [(1440, "light"), (360, "dark"), (360, "light")])
def test_every_page_fits_and_has_no_serious_fault_of_accessibility(
    page: Page, login: Login, width: int, scheme: str
) -> None:
    tab = login("edda", width, scheme)
    looks = Looks(tab, f"{width}-{scheme}")
    service = service_address(tab, page)
    for name, path in PAGES.items():
        tab.goto(page.url + (path or service))
        if name in ("monitor", "service"):
            expect(tab.locator("#live.on")).to_be_visible()
        looks.at(name)
        if name == "service":
            tab.get_by_role("button", name="Test rs1 now").click()
            expect(tab.get_by_role("heading", name="Test of rs1")).to_contain_text("up")
            looks.at("tested")
        if name == "monitor":
            tab.get_by_role("button", name="Servers of web").click()
            expect(tab.locator(".opened .row", has_text="rs1")).to_contain_text("UP")
            looks.at("opened")
    tab.goto(f"{page.url}/failover")
    tab.get_by_label("Name of a new one").fill("job")
    tab.get_by_role("button", name="Add").click()
    for name, path in DRAFTED.items():
        tab.goto(page.url + path)
        looks.at(name)
    tab.get_by_role("button", name="Discard all").click()
    tab.get_by_role("button", name="Log out").click()
    tab.get_by_label("Password").wait_for()
    looks.at("login")
    assert looks.faults == []
    assert looks.wrong == []
    assert looks.asked == {page.url.split("/")[2]}


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


FORMS = (
    *("/settings", "/redundancy", "/virtual/edit?name=web"),
    *("/virtual/edit?name=web&tab=monitoring", "/virtual/server?name=web&server=rs1"),
    *("/failover/edit?name=job", "/failover/edit?name=job&tab=monitoring"),
)
LISTS = {"dirs", "check_headers"}
"""Fields that take any words."""


def test_wrong_values_in_every_field_are_told_while_typing_and_after(
    page: Page, login: Login, r1: Router
) -> None:
    tab = login("edda")
    before = r1.config.read_text()
    tab.goto(f"{page.url}/failover")
    tab.get_by_label("Name of a new one").fill("job")
    tab.get_by_role("button", name="Add").click()
    waiting = tab.locator(".pending span").inner_text()
    for path in FORMS:
        tab.goto(page.url + path)
        tab.evaluate("for (const one of document.querySelectorAll('details')) one.open = true")
        fields = tab.locator(".field input:not([type=hidden]):not(#f-new_name)")
        names = {str(one.get_attribute("name")) for one in fields.all()} - LISTS
        assert names
        for one in fields.all():
            one.fill("a\" b' <c>")
        expect(tab.locator("[aria-invalid=true]").first).to_be_visible()
        for name in names:
            expect(tab.locator(f"ul[data-for={name}] li.error").first).to_be_visible()
        tab.get_by_role("button", name="Accept", exact=True).click()
        for name in names:
            expect(tab.locator(f"ul[data-for={name}] li.error").first).to_be_visible()
        name = re.sub(r"[^a-z]+", "-", path.strip("/"))
        tab.screenshot(path=SHOTS / f"wrong-{name}-1440-light.png", full_page=True)
        assert tab.locator(".pending span").inner_text() == waiting
    tab.get_by_role("button", name="Discard all").click()
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
    expect(second.get_by_role("alert")).to_contain_text("least connections")
    expect(second.get_by_role("main")).not_to_contain_text("scheduler")
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
    tab.get_by_role("link", name="Back").click()
    for order, state in (("Drain", "DRAIN"), ("Enable", "UP")):
        give(tab, "Order for rs1", order, "no scripts here")
        expect(tab.locator(".row", has_text="rs1").locator(".c-state")).to_have_text(state)
    tab.get_by_role("link", name="lvs.cf", exact=True).click()
    tab.get_by_role("link", name="Edit as text").click()
    typed = tab.get_by_label("The whole file")
    typed.fill("# typed\n" + typed.input_value())
    tab.get_by_role("button", name="Accept and review").click()
    write(tab, "typed")
    assert r1.config.read_text().startswith("# typed\n")
    tab.get_by_role("button", name="Return to the text before").first.click()
    write(tab, "not typed")
    assert not r1.config.read_text().startswith("# typed\n")


def test_an_order_shows_on_every_page_that_is_open(page: Page, login: Login, r1: Router) -> None:
    why = "<img src=x onerror=\"document.title='owned'\"> new disk"
    watching, late, tab = login("vera"), login("vera"), login("otto")
    address = service_address(tab, page)
    watching.get_by_role("button", name="Servers of web").click()
    row = watching.locator(".opened .row", has_text="rs1")
    expect(row).to_contain_text("UP")
    # One whose connection is away while it happens, and comes back.
    late.route("**/live*", lambda route: route.abort())
    late.goto(page.url)
    expect(late.locator("#live.off")).to_contain_text("trying again")
    service = late.locator("#rows .row", has_text="web")
    expect(service).to_contain_text("2 of 2")

    tab.goto(page.url + address)
    give(tab, "Order for rs1", "Maintenance", why)
    expect(tab.get_by_role("status").first).to_contain_text("rs1")
    expect(row).to_contain_text("MAINT")
    expect(row).to_contain_text(why)
    expect(watching.locator("#events")).to_contain_text(why)
    watching.screenshot(path=SHOTS / "maintenance-1440-light.png", full_page=True)
    assert "owned" not in watching.title()
    late.unroute("**/live*")
    expect(service).to_contain_text("MAINT: rs1")
    expect(late.locator("#live.on")).to_be_visible()

    # What is filtered follows too, and so does the page of one service.
    late.get_by_label("Find").fill("maint: rs1")
    expect(service).to_be_visible()
    single = login("vera")
    single.goto(page.url + address)
    expect(single.locator(".about")).to_contain_text("1 of 2")
    expect(single.locator("#live.on")).to_be_visible()
    give(tab, "Order for rs1", "Enable", "done")
    expect(row).not_to_contain_text("MAINT")
    expect(single.locator(".about")).to_contain_text("2 of 2")
    expect(late.locator("#rows .row:visible")).to_have_count(0)
    # An address that leaves rows out is where they begin, and not all there is.
    late.goto(f"{page.url}/?q=nobody")
    expect(late.locator("#rows .row:visible")).to_have_count(0)
    late.get_by_label("Find").fill("")
    expect(service).to_be_visible()


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
    expect(tab.locator("#live")).to_contain_text("logged out")
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
