# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""What somebody has changed and not written yet outlives logout and the page itself."""

from __future__ import annotations

import re

import pytest
from piranha.gui.app import application
from piranha.gui.draft import Draft
from piranha.gui.edits import Add, Copy, Delete, Edit, Rename, Replace, Set, Where
from piranha.gui.keeping import BACK, from_text, to_text, upon
from piranha.gui.site import Settings
from starlette.testclient import TestClient

from .conftest import BASE, Login, send
from .fake import PASSWORDS, TEXT, FakeBackend, FakeUsers

SERVER = Where("virtual", 'we"b', 2, "rs\udc80", 3)
EVERY: list[Edit] = [
    Set(Where(), (("primary", "192.0.2.7"), ("backup", ""))),
    Set(SERVER, ()),
    Add(Where(), "virtual", "mail"),
    Copy(SERVER, "twin"),
    Delete(SERVER),
    Rename(SERVER, "other"),
    Replace("the whole\r\nfile\udc80"),
]


def test_every_edit_comes_back_as_it_was() -> None:
    told = to_text(Draft("d" * 64, "base", "text", EVERY))
    told.encode("ascii")  # goes through any socket and file
    assert from_text(told) == ("d" * 64, EVERY)
    assert to_text(None) == ""


@pytest.mark.parametrize(
    "text",
    [
        *("", "{", "[]", "5", "null", "{}", '{"digest": "d"}', '{"digest": "d", "edits": 5}'),
        *(
            f'{{"digest": "d", "edits": [{edit}]}}'
            for edit in ("[]", "5", '["what", ["", "", 1, "", 1], "x"]', '["set"]', '["replace"]')
        ),
        '{"digest": "d", "edits": [["delete", ["virtual", "web", "x", "", 1]]]}',
        '{"digest": "d", "edits": [["set", ["", "", 1, "", 1], ["odd"]]]}',
    ],
)
def test_what_is_no_draft_is_told_by_one_error(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        upon(text, "d", TEXT)


def again(browser: TestClient, backend: FakeBackend) -> TestClient:
    """The page after a restart, and edda logged in."""
    app = application(backend, FakeUsers(), Settings(secure=True, host="router-a"))
    client = TestClient(app, base_url=BASE, follow_redirects=False)
    answer = client.post("/login", data={"name": "edda", "password": PASSWORDS["edda"]})
    assert answer.status_code == 303
    return client


def change(client: TestClient, port: str) -> None:
    send(client, "/virtual/edit", name="web", tab="service", port=port)


def test_a_draft_is_there_again_after_the_page_has_died(
    browser: TestClient, login: Login, backend: FakeBackend
) -> None:
    change(login("edda"), "8081")
    client = again(browser, backend)
    page = client.get("/apply").text
    assert BACK in page
    assert "80 becomes 8081" in page
    assert BACK not in client.get("/apply").text  # said once
    send(client, "/draft", do="undo")
    assert backend.drafts == {"edda": ""}
    assert "There are no changes of yours" in again(browser, backend).get("/apply").text


def test_it_lies_upon_the_file_as_it_is_now_and_names_what_does_not_fit(
    browser: TestClient, login: Login, backend: FakeBackend
) -> None:
    client = login("edda")
    change(client, "8081")
    send(client, "/virtual", do="add", new_name="mail")
    backend.text = f"{TEXT}virtual mail {{\n    port = 25\n}}\n"
    client = again(browser, backend)
    page = client.get("/apply").text
    assert "add virtual mail (there is a virtual mail already" in page
    assert "80 becomes 8081" in page
    assert "Somebody else was quicker" not in page
    send(client, "/apply", why="now")
    assert "port = 8081" in backend.text
    assert "virtual mail {\n    port = 25\n" in backend.text
    assert backend.drafts == {"edda": ""}


def test_it_outlives_logout_and_is_nobody_elses(login: Login, backend: FakeBackend) -> None:
    client = login("edda")
    change(client, "8081")
    send(client, "/logout")
    assert backend.drafts["edda"]
    other = login("otto")
    assert not re.search("8081", other.get("/virtual/edit?name=web").text)
    assert "8081" in login("edda").get("/virtual/edit?name=web").text
    assert {by.user for do, _given, by in backend.asked if do in ("keep", "kept") and by} == {
        "edda"
    }


def test_two_windows_of_one_person_do_not_take_each_others_changes(
    login: Login, backend: FakeBackend
) -> None:
    first = login("edda")
    change(first, "8081")
    second = login("edda")
    assert "8081" not in second.get("/virtual/edit?name=web").text
    send(second, "/redundancy", deadtime="9")
    send(second, "/draft", do="discard")
    # What is kept now is the other window's.
    assert "8081" in backend.drafts["edda"]
    send(first, "/draft", do="discard")
    assert backend.drafts == {"edda": ""}


def test_an_agent_that_keeps_nothing_is_no_trouble(
    login: Login, backend: FakeBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend.ceiling = "operate"
    backend.managed = True
    client = login("edda")
    page = send(client, "/virtual/edit", name="web", tab="service", port="8081")
    assert "Nothing is written yet" in page
    assert backend.drafts == {}
    backend.ceiling, backend.drafts["edda"] = "edit", "{broken"
    assert "Control/Monitoring" in login("edda").get("/").text
