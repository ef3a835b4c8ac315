# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""A browser at the pages of two routers that the role has built, while a client is served by them.

The scenario `page` runs it (`molecule test -s page`) in the lab's network, from the top to the
bottom: each test goes on where the one before has ended, and the last takes back what the first
has made. What the kernels have is read by ipvsadm and ip.
"""

from __future__ import annotations

import hashlib
import json
import re
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from piranha_demo.machines import Lab
from piranha_demo.programs import Programs
from piranha_demo.traffic import Traffic
from playwright.sync_api import Browser, BrowserContext, expect
from playwright.sync_api import Page as Tab

from tests.cluster.cluster import soon
from tests.page.browser import SHOTS, add_virtual, enter, give, write

from .conftest import ROOT

ROUTERS = {"lvs1": "203.0.113.11", "lvs2": "203.0.113.12"}
SERVERS = {"shop1": "192.0.2.21", "shop2": "192.0.2.22"}
NEW, NEW_PORT = "203.0.113.101", 8080
PLACE = f"{NEW}:{NEW_PORT}"
ENTRIES = {f"{address}:80" for address in SERVERS.values()}
SETTLED = 0.5
"""Seconds after an order's answer from which no new connection may go where it forbids."""

LONGEST_GAP = 2.5
"""Seconds without an answer in a switchover, at the most: what the demo allows a power cut."""

Login = Callable[..., Tab]


@pytest.fixture(scope="module")
def programs() -> Iterator[Programs]:
    made = Programs()
    yield made
    made.stop_all()


@pytest.fixture(scope="module")
def lab(programs: Programs) -> Lab:
    return Lab(ROOT, programs)


@pytest.fixture
def traffic(lab: Lab, programs: Programs) -> Traffic:
    return Traffic(lab, programs, "client", f"http://{PLACE}/")


@pytest.fixture
def login(chromium: Browser, contexts: list[BrowserContext]) -> Login:
    """Gives a tab of a new browser in which somebody has logged in at a router's page."""

    def at(router: str, name: str) -> Tab:
        # Nobody but the router has signed its certificate; another test looks at it.
        size = {"width": 1440, "height": 900}
        context = chromium.new_context(viewport=size, ignore_https_errors=True)  # type: ignore[arg-type]
        contexts.append(context)
        return enter(context, f"https://{ROUTERS[router]}:3636/", name)

    return at


def active(lab: Lab) -> str:
    """Which router has the address that the cluster was built with."""
    (found,) = (name for name in ROUTERS if "203.0.113.100" in lab.holds(name))
    return found


def other(router: str) -> str:
    return next(name for name in ROUTERS if name != router)


def digest(lab: Lab, router: str) -> str:
    return lab.run(router, "sha256sum", "/etc/lvs.cf").split()[0]


def shot(tab: Tab, name: str) -> None:
    tab.screenshot(path=SHOTS / f"lab-{name}-1440-light.png", full_page=True)


def ask(lab: Lab, router: str, method: str, path: str, **body: object) -> tuple[int, Any]:
    """Ask the JSON interface with a token that is good for this one request."""
    token = lab.run(router, "piranha-passwd", "token", "robot", "--role", "edit").strip()
    trusted = ssl.create_default_context(cadata=lab.run(router, "cat", "/etc/piranha/gui.crt"))
    asked = urllib.request.Request(
        f"https://{ROUTERS[router]}:3636{path}",
        json.dumps(body).encode() if body else None,
        {"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
        method=method,
    )
    try:
        with urllib.request.urlopen(asked, context=trusted, timeout=90) as answer:  # noqa: S310
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as answer:
        return answer.code, json.load(answer)
    finally:
        lab.run(router, "piranha-passwd", "delete", "robot")


@pytest.mark.parametrize("router", ROUTERS)
def test_the_certificate_is_the_routers_own_and_names_its_address(lab: Lab, router: str) -> None:
    status, told = ask(lab, router, "GET", "/api/rights")  # checks the chain and the name
    assert (status, told["ceiling"]) == (200, "edit")


def test_a_virtual_server_made_by_forms_serves_clients(
    lab: Lab, login: Login, traffic: Traffic
) -> None:
    router = active(lab)
    watching, tab = login(router, "vera"), login(router, "edda")
    add_virtual(tab, "shop", f"{NEW} eth1:2", NEW_PORT, SERVERS)
    tab.get_by_role("link", name="Review and apply").click()
    text = tab.inner_text("main")
    assert "virtual shop" in text
    assert f"-A -t {PLACE} -s rr" in text
    shot(tab, "preview")
    assert lab.in_table(router, PLACE) == set()
    assert NEW not in lab.holds(router)

    write(tab, "a second shop")
    expect(watching.locator("#rows .row", has_text="shop")).to_contain_text("2 of 2")
    soon(lambda: lab.in_table(router, PLACE) == ENTRIES, "both are in the kernel's table")
    soon(lambda: NEW in lab.holds(router), "the router has the new address")
    traffic.begin()
    began = time.time()
    time.sleep(3)
    traffic.end()
    figures = traffic.between(began)
    print(f"through the new address: {figures}")
    assert figures.failed == 0
    assert set(figures.servers) == {"web1", "web2"}
    shot(watching, "monitor")


def test_the_partner_gets_the_file_over_ssh_and_judges_it(lab: Lab, login: Login) -> None:
    router = active(lab)
    partner = other(router)
    tab = login(router, "edda")
    assert lab.in_table(partner, PLACE) == set()
    tab.get_by_role("link", name="lvs.cf", exact=True).click()
    tab.get_by_role("link", name="To the partner").click()
    expect(tab.get_by_text("virtual shop").first).to_be_visible()
    shot(tab, "partner")
    tab.get_by_label("Reason").fill("both alike")
    tab.get_by_role("button", name="Write it on the partner").click()
    expect(tab.get_by_text("it is in force there")).to_be_visible()
    expect(tab.get_by_text("is the same as this router's")).to_be_visible()
    assert digest(lab, router) == digest(lab, partner)
    soon(lambda: lab.in_table(partner, PLACE) == ENTRIES, "the partner's kernel has it too")
    assert "both alike" in lab.run(partner, "journalctl", "-u", "piranha-editor", "-o", "cat")

    # Its own rules: what its root does not allow, it does not do, whoever asks.
    lab.run(partner, "sed", "-i", 's/"ceiling": "edit"/"ceiling": "view"/', "/etc/piranha/gui.json")
    try:
        theirs = ask(lab, router, "GET", "/api/partner/config")[1]
        body = {"digest": theirs["digest"], "text": theirs["text"] + "# more\n", "why": "try"}
        status, told = ask(lab, router, "PUT", "/api/partner/config", **body)
    finally:
        lab.run(
            partner, "sed", "-i", 's/"ceiling": "view"/"ceiling": "edit"/', "/etc/piranha/gui.json"
        )
    assert status == 403
    assert "may view at the most" in told["error"]
    assert digest(lab, router) == digest(lab, partner)
    body["text"] = theirs["text"].replace("scheduler = rr", "scheduler = no-such", 1)
    status, told = ask(lab, router, "PUT", "/api/partner/config", **body)
    assert (status, told["code"]) == (422, "invalid")
    assert any(one["severity"] == "error" for one in told["details"]["findings"])
    status, told = ask(lab, router, "POST", "/api/partner/preview", digest="0" * 64, text="")
    assert (status, told["conflict"]) == (200, True)


def test_a_server_is_drained_and_no_request_fails(
    lab: Lab, login: Login, traffic: Traffic
) -> None:
    router = active(lab)
    watching, tab = login(router, "vera"), login(router, "otto")
    watching.get_by_role("button", name="Servers of shop").click()
    row = watching.locator(".opened .row", has_text="shop1")
    tab.get_by_role("link", name="shop", exact=True).click()
    traffic.begin()
    began = time.time()
    give(tab, "Order for shop1", "Drain", "new disk")
    expect(tab.get_by_role("status").first).to_contain_text("shop1")
    drained = time.time()
    assert lab.in_table(router, PLACE) == {"192.0.2.22:80"}
    expect(row).to_contain_text("DRAIN")
    expect(row).to_contain_text("new disk")
    shot(watching, "drained")
    time.sleep(1)
    until = time.time()
    give(tab, "Order for shop1", "Enable", "done")
    expect(row).not_to_contain_text("DRAIN")
    soon(lambda: lab.in_table(router, PLACE) == ENTRIES, "it gets connections again")
    enabled = time.time()
    soon(lambda: traffic.answered_by("web1", enabled), "it answers again")
    traffic.end()
    whole, late = traffic.between(began), traffic.between(drained + SETTLED, until)
    print(f"while a server was drained and came back: {whole}")
    assert whole.failed == 0
    assert late.requests > 0
    assert set(late.servers) == {"web2"}


def test_a_switchover_is_ordered_and_the_pages_follow(
    lab: Lab, login: Login, traffic: Traffic
) -> None:
    router = active(lab)
    partner = other(router)
    here, there, tab = login(router, "vera"), login(partner, "vera"), login(router, "otto")
    expect(here.locator("#head .card").first).to_contain_text("ACTIVE")
    expect(there.locator("#head .card").first).to_contain_text("STANDBY")
    traffic.begin()
    began = time.time()
    give(tab, "Switch over…", "Switch over", "kernel update")
    expect(here.locator("#head .card").first).to_contain_text("STANDBY")
    expect(here.locator("#head .card").nth(1)).to_contain_text("ACTIVE")
    expect(there.locator("#head .card").first).to_contain_text("ACTIVE")
    soon(lambda: NEW in lab.holds(partner), "the partner has the new address")
    assert NEW not in lab.holds(router)
    time.sleep(1)
    traffic.end()
    figures = traffic.between(began)
    print(f"through a switchover: {figures}")
    assert figures.failed == 0
    assert figures.longest_gap < LONGEST_GAP
    shot(here, "switched")
    shot(there, "taken-over")


def test_one_click_leads_back_on_both_routers(lab: Lab, login: Login) -> None:
    partner = active(lab)  # it was the other one that the changes were made on
    router = other(partner)
    tab = login(router, "edda")
    tab.get_by_role("link", name="History").click()
    tab.get_by_role("button", name="Return to the text before").first.click()
    write(tab, "it was a test")
    tab.goto(f"https://{ROUTERS[router]}:3636/partner")
    tab.get_by_label("Reason").fill("it was a test")
    tab.get_by_role("button", name="Write it on the partner").click()
    expect(tab.get_by_text("it is in force there")).to_be_visible()
    for name in ROUTERS:
        soon(lambda n=name: lab.in_table(n, PLACE) == set(), f"{name} serves it no more")  # type: ignore[misc]
        soon(lambda n=name: NEW not in lab.holds(n), f"{name} has the address no more")  # type: ignore[misc]
    assert digest(lab, router) == digest(lab, partner)
    assert hashlib.sha256(lab.run(router, "cat", "/etc/lvs.cf").encode()).hexdigest() == digest(
        lab, router
    )


def test_a_ping_is_made_by_lvsd(lab: Lab) -> None:
    """It takes a raw socket, for which the page's editor has no right."""
    router = active(lab)
    partner = other(router)
    before = ask(lab, router, "GET", "/api/config")[1]
    text = re.sub(r"(?m)^    (send|expect) = .*\n", "", before["text"])
    text = text.replace("virtual http {", "virtual http {\n    check = icmp", 1)
    body = {"digest": before["digest"], "text": text, "why": "is it there at all?"}
    status, written = ask(lab, router, "PUT", "/api/config", **body)
    assert status == 200, written
    told: dict[str, Any] = {}

    def seen() -> bool:
        told.update(ask(lab, router, "POST", "/api/checks", virtual="http", server="web1")[1])
        return bool(told.get("verdict") == "up")

    try:
        soon(seen, "lvsd has the new check")
    finally:
        print(told)
        back = {"digest": written["digest"], "text": before["text"], "why": "as it was"}
        status, _written = ask(lab, router, "PUT", "/api/config", **back)
    assert status == 200
    assert told["lines"][0].startswith("http/web1: UP: ")
    assert any(line.startswith("  check: icmp at 192.0.2.21") for line in told["lines"]), told
    assert any(line.startswith("  by:    lvsd") for line in told["lines"]), told

    theirs = ask(lab, router, "GET", "/api/partner/config")[1]
    text = ask(lab, router, "GET", "/api/config")[1]["text"]
    body = {"digest": theirs["digest"], "text": text, "why": "both alike"}
    status, written = ask(lab, router, "PUT", "/api/partner/config", **body)
    assert (status, written["in_force"]) == (200, True)
    assert digest(lab, router) == digest(lab, partner)
