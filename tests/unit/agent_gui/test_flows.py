# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""What people do on the page, done without scripts: by forms and links alone."""

from __future__ import annotations

import html
import re

import pytest
from piranha.core.lvs_cf.api import load
from piranha.core.lvs_cf.explain import directives_of
from piranha.gui import forms, views
from piranha.gui.apply_pages import restored
from piranha.gui.protocol import BY_LVSD
from starlette.testclient import TestClient

from .conftest import Login, csrf_of, send
from .fake import TEXT, FakeBackend, server, virtual

EVIL = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>"


def read_anew(client: TestClient) -> None:
    """What the page knows of the agent is from before the test changed it."""
    vars(client.app.state.site.live)["_read_at"] = float("-inf")  # type: ignore[attr-defined]


def text_of(page: str) -> str:
    return html.unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]+>", "", page)))


def test_a_virtual_server_with_two_real_servers_is_added_seen_and_applied(
    login: Login, backend: FakeBackend
) -> None:
    client = login("edda")
    send(client, "/virtual", do="add", new_name="mail")
    form = {"name": "mail", "tab": "service", "active": "1", "address": "192.0.2.81 eth0:2"}
    page = send(client, "/virtual/edit", **form, port="25", scheduler="rr")
    assert "Nothing is written yet" in page
    for name, address in (("m1", "10.0.0.21"), ("m2", "10.0.0.22")):
        send(client, "/virtual/edit", name="mail", **{"in": "server"}, do="add", new_name=name)
        place = {"name": "mail", "server": name, "tab": "server"}
        send(client, "/virtual/server", **place, address=address, weight="2")
    assert backend.text == TEXT
    page = client.get("/apply").text
    assert "virtual mail" in text_of(page)
    assert "+    address = 192.0.2.81 eth0:2" in text_of(page).replace("  ", " ").replace(
        "+ address", "+    address"
    )
    assert "-A -t 192.0.2.81:80" in page
    assert "give a reason" in send(client, "/apply", why="  ")
    assert backend.text == TEXT
    page = send(client, "/apply", why="ticket 12")
    assert "Written as serial number 42. It is in force." in page
    config = load(backend.text).config
    assert [(one.name, len(one.servers)) for one in config.virtual] == [("web", 2), ("mail", 2)]
    assert config.virtual[1].servers[1].settings.text("address") == "10.0.0.22"
    for line in TEXT.splitlines():
        assert line in backend.text.splitlines()
    assert backend.asked[-3][0] or backend.kept[0]["user"] == "edda"


def test_copy_activate_rename_and_delete(login: Login, backend: FakeBackend) -> None:
    client = login("edda")
    send(client, "/virtual", do="copy", name="web", new_name="web2")
    send(client, "/virtual", do="activate", name="web2")
    send(client, "/virtual/edit", name="web2", tab="service", new_name="shop", port="81")
    send(client, "/virtual/server", name="shop", server="one", do="delete")
    send(client, "/virtual/server", name="shop", server="two", do="deactivate")
    send(client, "/virtual", do="delete", name="web")
    send(client, "/apply", why="tidy up")
    config = load(backend.text).config
    assert [one.name for one in config.virtual] == ["shop"]
    assert config.virtual[0].settings["port"] == 81
    assert config.virtual[0].settings.flag("active")
    assert [one.name for one in config.virtual[0].servers] == ["two"]
    assert "# the old one" in backend.text


@pytest.mark.parametrize(
    ("kind", "tab"), [(kind, tab) for kind in forms.kinds() for tab in forms.PAGES[kind]]
)
def test_wrong_values_in_every_field_are_told_beside_it_and_change_nothing(
    login: Login, backend: FakeBackend, kind: str, tab: str
) -> None:
    backend.text = TEXT + "\nfailover job {\n    active = 0\n}\n"
    client = login("edda")
    path, where = {
        "global": (f"/{tab}", {}),
        "virtual": ("/virtual/edit", {"name": "web"}),
        "failover": ("/failover/edit", {"name": "job"}),
        "server": ("/virtual/server", {"name": "web", "server": "one"}),
    }[kind]
    rows = {row.name: row for row in directives_of(kind)}
    names = forms.settable(kind, tab)
    wrong = dict.fromkeys(names, f"x\" y' z {EVIL}")
    answer = client.post(path, data={"csrf": csrf_of(client), "tab": tab, **where, **wrong})
    assert answer.status_code == 422
    assert "<script>alert" not in answer.text
    faulty = set(re.findall(r'data-for="([^"]+)" \S+>\s*<li class="error"', answer.text))
    lists = {name for name in names if rows[name].kind == "list" and rows[name].item == "text"}
    assert faulty == set(names) - lists
    assert "of yours not applied" not in client.get("/virtual").text


def test_two_people_at_once_the_second_is_told_and_nothing_is_lost(
    login: Login, backend: FakeBackend
) -> None:
    first, second = login("edda"), login("edda")
    send(first, "/virtual/edit", name="web", tab="service", port="8080")
    send(second, "/redundancy", tab="redundancy", deadtime="9")
    send(first, "/apply", why="I was first")
    between = backend.text
    page = send(second, "/apply", why="and I second")
    for told in (page, second.get("/apply").text):
        assert "Somebody else was quicker" in told
        assert re.search(r"edda changed lvs.cf at \d{4}-.*: I was first\.", text_of(told))
        assert "Write it and put it in force" not in told
        # Not that it would take back what the first has done.
        assert "deadtime: 6 becomes 9" in told
        assert "80" not in told[told.index("What changes") : told.index("kernel")]
    assert backend.text == between
    assert "Somebody else has changed" in second.get("/redundancy").text
    page = send(second, "/draft", do="rebase")
    assert "Your changes lie upon the file as it is now" in page
    send(second, "/apply", why="and I second")
    assert "port = 8080" in backend.text
    assert "deadtime = 9" in backend.text


def test_what_does_not_fit_any_more_is_named_before_it_is_left_out(
    login: Login, backend: FakeBackend
) -> None:
    client = login("edda")
    send(client, "/virtual/server", name="web", server="one", tab="server", weight="5")
    send(client, "/redundancy", tab="redundancy", deadtime="9")
    backend.text = TEXT.replace("server one", "server uno")
    page = text_of(client.get("/apply").text)
    assert "and not by this page" in page
    assert "Left out, since it does not fit there: " in page
    assert "server one" in page[page.index("Left out") : page.index("Lay my changes")]
    # A whole text that was typed is shown as it is: there is nothing to lay anywhere.
    client = login("edda")
    send(client, "/file", text=TEXT.replace("port = 80", "port = 81"))
    backend.text = TEXT
    assert "80 becomes 81" in client.get("/apply").text


def test_a_draft_is_one_persons_own_and_can_be_undone(login: Login, backend: FakeBackend) -> None:
    first, second = login("edda"), login("edda")
    send(first, "/virtual/edit", name="web", tab="service", port="8080")
    send(first, "/virtual/edit", name="web", tab="service", fwmark="7")
    assert "2 changes of yours" in first.get("/").text
    assert "of yours" not in second.get("/").text
    send(first, "/draft", do="undo")
    assert "1 change of yours" in first.get("/").text
    send(first, "/draft", do="discard")
    assert "of yours" not in first.get("/").text
    assert backend.text == TEXT


def test_one_click_leads_back_to_the_text_before(login: Login, backend: FakeBackend) -> None:
    client = login("edda")
    send(client, "/virtual", do="delete", name="web")
    send(client, "/apply", why="by mistake")
    assert backend.text != TEXT
    assert "by mistake" in client.get("/history").text
    page = send(client, "/history", number="1")
    assert "ready to be applied" in page
    send(client, "/apply", why="back again")
    assert backend.text == TEXT


def test_the_whole_file_can_be_typed_and_errors_forbid_writing(
    login: Login, backend: FakeBackend
) -> None:
    client = login("edda")
    page = client.get("/file?edit=yes").text
    typed = re.search(r"<textarea[^>]*>\n(.*)</textarea>", page, re.S)
    assert typed
    assert html.unescape(typed[1]) == TEXT
    page = send(client, "/file", text=TEXT.replace("\n", "\r\n").replace("port = 80", "port = x"))
    assert "It cannot be written while there are errors in it" in page
    assert 'class="error"' in client.get("/file").text
    send(client, "/file", text=TEXT.replace("\n", "\r\n").replace("port = 80", "port = 81"))
    send(client, "/apply", why="typed")
    assert backend.text == TEXT.replace("port = 80", "port = 81")


def test_a_typed_text_keeps_the_line_ends_of_the_file() -> None:
    assert restored("a\r\nb\r\n", "a\nc\n") == "a\nb\n"
    assert restored("a\r\nb\r\nnew\r\n", "a\r\nb\r\n") == "a\r\nb\r\nnew\r\n"
    assert restored("a\r\nb\r\nc\r\n", "a\r\nb\nc\r\n") == "a\r\nb\nc\r\n"


def test_a_file_of_ansibles_is_not_written_and_its_change_is_given_as_yaml(
    login: Login, backend: FakeBackend
) -> None:
    backend.managed = True
    client = login("edda")
    assert "Ansible writes this file" in client.get("/virtual").text
    page = send(client, "/virtual/edit", name="web", tab="service", port="8080")
    page = client.get("/apply").text
    assert "piranha_virtual_servers" in page
    assert "piranha.lvs.site" in page
    assert "Write it and put it in force" not in page
    send(client, "/apply", why="all the same")
    assert backend.text == TEXT


def test_the_file_goes_to_the_partner_by_the_partners_own_rules(
    login: Login, backend: FakeBackend
) -> None:
    client = login("edda")
    assert "says no way to the partner" in client.get("/partner").text
    backend.partner = partner = FakeBackend()
    assert "is the same as this router" in client.get("/partner").text
    partner.text = TEXT.replace("port = 80", "port = 79")
    page = client.get("/partner").text
    assert "79 becomes 80" in page
    fields = dict(re.findall(r'name="(digest|mine)" value="([^"]+)"', page))
    assert "give a reason" in send(client, "/partner", **fields)
    stale = {**fields, "mine": "0" * 64}
    assert "has changed since it was shown" in send(client, "/partner", **stale, why="x")
    between = partner.text = partner.text.replace("deadtime = 6", "deadtime = 7")
    assert "another one by now" in send(client, "/partner", **fields, why="x")
    assert partner.text == between
    fields = dict(re.findall(r'name="(digest|mine)" value="([^"]+)"', client.get("/partner").text))
    partner.ceiling = "operate"
    assert "more rights than operate" in send(client, "/partner", **fields, why="x")
    partner.ceiling = "edit"
    assert "it is in force there" in send(client, "/partner", **fields, why="both alike")
    assert partner.text == TEXT
    assert partner.kept[0]["why"] == "both alike"
    partner.text = f"serial_no = 4711\n{TEXT}"
    assert "is the same as this router" in client.get("/partner").text


def test_who_may_only_view_sees_no_button_that_would_be_refused(login: Login) -> None:
    client = login("vera")
    for path in ("/virtual", "/virtual/edit?name=web", "/virtual/edit?name=web&tab=servers",
                 "/settings", "/file", "/history", "/"):
        page = client.get(path).text
        for word in ("Accept", ">Delete<", ">Add<", "Edit as text", "Switch over", "Order…"):
            assert word not in page, f"{path}: {word}"


def test_an_order_needs_a_reason_and_a_confirmation(login: Login, backend: FakeBackend) -> None:
    client = login("otto")
    about = {"virtual": "shop-0000", "server": "rs00", "order": "drain"}
    assert "give a reason" in send(client, "/order", **about, confirm="yes")
    assert "confirm it" in send(client, "/order", **about, why="kernel")
    weight = {**about, "order": "weight", "why": "w", "confirm": "yes"}
    assert "a weight is a number" in send(client, "/order", **weight, value="heavy")
    assert not [do for do, _given, _by in backend.asked if do == "order"]
    assert "drain is ordered." in send(client, "/order", **about, why="kernel", confirm="yes")
    send(client, "/order", **weight, value="7")
    orders = [(given, by) for do, given, by in backend.asked if do == "order"]
    assert orders[0][0] == {
        "order": "drain", "why": "kernel", "server": "rs00", "virtual": "shop-0000",
    }
    assert orders[1][0]["value"] == 7
    assert all(by is not None and (by.user, by.role) == ("otto", "operate") for _g, by in orders)


def test_whatever_servers_say_is_text(login: Login, backend: FakeBackend) -> None:
    lines = [server(EVIL, 1, "DOWN", reason=EVIL), server("b", 2, EVIL)]
    backend.status["lvsd"]["virtual"] = [virtual(EVIL, 1, lines)]
    backend.status["heart"]["reason"] = EVIL
    backend.status["heart"]["problems"] = [EVIL]
    backend.status["heart"]["peer"]["address"] = EVIL
    backend.events = [{"time": 1.0, "level": EVIL, "from": EVIL, "text": EVIL}]
    name = EVIL[:25]
    backend.text = f'# {EVIL}\nprimary = 192.0.2.1\nvirtual "{name}" {{\n send = "{name}"\n}}\n'
    client = login("edda")
    read_anew(client)
    own = views.identity(backend.status["lvsd"]["virtual"][0])
    pages = ["/", "/rows", f"/service?id={own}", f"/servers?id={own}", "/events", "/virtual",
             "/file", "/file?edit=yes", f"/order?server={EVIL}&virtual={EVIL}", f"/?q={EVIL}"]
    for path in pages:
        page = client.get(path).text
        assert "<script>alert" not in page, path
        assert "<img" not in page.replace('<img src="/static', ""), path
    assert "&lt;script&gt;" in client.get(f"/service?id={own}").text


def test_pages_say_so_while_the_agent_is_away(login: Login, backend: FakeBackend) -> None:
    client = login("edda")
    backend.gone = True
    read_anew(client)
    assert "the agent does not answer" in client.get("/").text
    answer = client.get("/virtual")
    assert answer.status_code == 503
    assert "the agent does not answer" in answer.text


def test_filter_and_sort_work_without_scripts(login: Login, backend: FakeBackend) -> None:
    lines = [virtual(name, at, [server("s", at, state)]) for at, (name, state) in enumerate(
        (("b", "UP"), ("a", "UP"), ("c", "DOWN")))]
    backend.status["lvsd"]["virtual"] = lines
    client = login("vera")
    read_anew(client)

    def names(query: str) -> list[str]:
        return re.findall(r'data-f="name">([^<]+)<', client.get("/" + query).text)

    assert names("") == ["b", "a", "c"]
    assert names("?sort=name") == ["a", "b", "c"]
    assert names("?sort=state") == ["c", "a", "b"]
    assert names("?show=bad") == ["c"]
    assert names("?q=192.0.2.2") == ["a"]
    lines[0]["address"] = "192.0.2.10"
    read_anew(client)
    assert names("?sort=place") == ["a", "c", "b"]


def test_the_page_of_one_service_has_places_for_all_that_changes(
    login: Login, backend: FakeBackend
) -> None:
    client = login("vera")
    read_anew(client)
    client.get("/")
    row = client.app.state.site.live.monitor.rows[0]  # type: ignore[attr-defined]
    page = client.get(f"/service?id={row.id}").text
    head = page[page.index(f'id="{row.id}"') : page.index('role="table"')]
    shown = set(re.findall(r'data-f="([^"]+)"', head))
    assert shown == {"state", "age", "place", "how", "serving", "note"}
    assert shown <= set(row.fields)


def test_a_check_says_whose_it_was(
    login: Login, backend: FakeBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, about = login("otto"), {"virtual": "shop-0000", "server": "rs00"}
    page = send(client, "/check-now", **about)
    assert "it changes no state" in page
    assert "answered &lt;b&gt;HTTP" in page

    async def by_lvsd(_given: object, _by: object) -> dict[str, object]:
        return {"verdict": "down", "lines": ["web/one: DOWN", BY_LVSD]}

    monkeypatch.setattr(backend, "_check_now", by_lvsd)
    page = send(client, "/check-now", **about)
    assert "it changes no state" not in page
    assert "it counts" in page
