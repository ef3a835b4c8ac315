# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Nobody gets behind the door without a login, by whatever method or path, nor beyond a role.

CVE-2013-6492: Piranha asked for the password with GET only, so any other method got in.
CVE-2000-0248: it was delivered with an account. CVE-2000-0322: what was typed came to a shell.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from piranha.gui import access
from piranha.gui.routes import ROUTES, Route
from starlette.testclient import TestClient

from .conftest import BASE, Login, csrf_of, send
from .fake import ROLES, TEXT, TOKENS, FakeBackend, FakeUsers

METHODS = (
    *("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"),
    *("PROPFIND", "get", "PIRANHA", "X" * 40),
)
PATHS = (
    *sorted({route.path.replace("{", "").replace("}", "") for route in ROUTES} - {"/login"}),
    *("/nothing", "//", "/login/", "/login/x", "/LOGIN", "/static", "/static/../"),
    *("/static/../live", "/static/%2e%2e/live", "/%6cogin/..", "/login;x", "/login%00"),
    *("/.", "/api", "/docs"),
)
GUESSES: tuple[dict[str, str], ...] = (
    {},
    {"authorization": "Bearer wrong"},
    {"authorization": "Basic cGlyYW5oYTpx", "cookie": "__Host-piranha=guess"},
)
ITSELF = {"status", "events"}
"""What the page asks by itself, for nobody in particular."""


def asked(backend: FakeBackend) -> set[str]:
    return {do for do, _given, by in backend.asked if by is not None or do not in ITSELF}


@pytest.mark.parametrize("method", METHODS)
def test_no_method_and_no_path_lead_in_without_a_login(
    browser: TestClient, backend: FakeBackend, method: str
) -> None:
    for headers in GUESSES if method in ("GET", "POST") else GUESSES[:1]:
        for path in PATHS:
            answer = browser.request(method, path, headers={"accept": "text/html", **headers})
            where = f"{method} {path} {headers}"
            if answer.status_code == 303:
                assert answer.headers["location"].startswith("/login"), where
            else:
                assert answer.status_code in (401, 404) , where
                assert answer.status_code == 401 or path.startswith("/static/"), where
            for secret in ("shop-0000", "192.0.2", "do not touch", "piranha_up"):
                assert secret not in answer.text, where
    assert asked(backend) == set()


def test_what_is_open_is_the_login_and_our_own_files(browser: TestClient) -> None:
    assert browser.get("/login").status_code == 200
    assert browser.get("/static/page.css").status_code == 200
    assert [route.path for route in ROUTES if route.role == access.PUBLIC] == ["/login", "/login"]


def path_of(route: Route) -> str:
    return route.path.replace("{number}", "1").replace("{id}", "x")


@pytest.mark.parametrize("name", sorted(ROLES))
def test_every_route_is_shut_to_a_role_below_the_one_in_the_table(
    login: Login, backend: FakeBackend, name: str
) -> None:
    client, role = login(name), ROLES[name]
    token = csrf_of(client)
    for route in ROUTES:
        if access.allows(role, route.role):
            continue
        backend.asked.clear()
        answer = client.request(route.method, path_of(route), headers={"x-csrf-token": token})
        assert answer.status_code == 403, f"{route.method} {route.path} as {role}"
        assert asked(backend) == set()


def test_every_change_needs_the_token_of_the_session(login: Login, backend: FakeBackend) -> None:
    client = login("edda")
    other = csrf_of(login("edda"))
    changing = [route for route in ROUTES if route.method != "GET" and route.path != "/login"]
    assert changing
    for route in changing:
        for given in ({}, {"csrf": ""}, {"csrf": "guess"}, {"csrf": other}):
            backend.asked.clear()
            answer = client.request(route.method, path_of(route), data=given)
            assert answer.status_code == 403, f"{route.method} {route.path} {given}"
            assert asked(backend) == set()


def test_a_page_of_somebody_else_cannot_send_our_forms(login: Login) -> None:
    client = login("edda")
    form = {"csrf": csrf_of(client), "do": "discard"}
    strange = client.post("/draft", data=form, headers={"origin": "https://evil.test"})
    assert strange.status_code == 403
    assert client.post("/draft", data=form, headers={"origin": BASE}).status_code == 303
    enter = {"name": "edda", "password": "e" * 12}
    assert client.post("/login", data=enter, headers={"origin": "null"}).status_code == 403


def test_a_token_opens_what_its_role_opens_and_needs_no_csrf_token(browser: TestClient) -> None:
    for token, (_name, role) in TOKENS.items():
        for route in ROUTES:
            if not route.path.startswith("/api/"):
                continue
            answer = browser.request(
                route.method,
                path_of(route),
                headers={"authorization": f"Bearer {token}"},
                json={},
            )
            wanted = access.allows(role, route.role)
            assert (answer.status_code != 403) == wanted, f"{route.method} {route.path} as {role}"
            assert answer.status_code < 500


def test_cookie_and_headers_are_strict(browser: TestClient) -> None:
    answer = browser.post("/login", data={"name": "vera", "password": "v" * 12})
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith("__Host-piranha=")
    for word in ("HttpOnly", "SameSite=strict", "Secure", "Path=/"):
        assert word in cookie
    assert "Domain" not in cookie
    page = browser.get("/")
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert page.headers["cache-control"] == "no-store"
    assert page.headers["x-content-type-options"] == "nosniff"
    assert "server" not in page.headers


def test_no_page_needs_what_the_policy_forbids(login: Login) -> None:
    client = login("edda")
    for route in ROUTES:
        if route.method != "GET" or route.path.startswith(("/api", "/live", "/metrics")):
            continue
        text = client.get(route.path).text
        for inline in (" style=", "<style", " onclick=", " onload=", "javascript:", "<script>"):
            assert inline not in text, f"{route.path} has {inline}"
        for elsewhere in ("http://", "https://", "src=\"//"):
            assert elsewhere not in text, f"{route.path} names {elsewhere}"


def test_guessing_is_slowed_down_by_address_and_by_name(
    browser: TestClient, users: FakeUsers
) -> None:
    for _attempt in range(10):
        assert browser.post("/login", data={"name": "edda", "password": "x"}).status_code == 403
    tried = users.asked
    answer = browser.post("/login", data={"name": "edda", "password": "e" * 12})
    assert answer.status_code == 429
    assert int(answer.headers["retry-after"]) > 60
    assert users.asked == tried, "the password was tried although it was locked"


def test_a_user_who_is_removed_or_lowered_is_so_at_once(login: Login, users: FakeUsers) -> None:
    client = login("edda")
    users.roles["edda"] = "view"
    assert client.post("/draft", data={"csrf": csrf_of(client)}).status_code == 403
    del users.roles["edda"]
    assert client.get("/").status_code in (303, 401)


def test_logging_out_ends_the_session_and_not_only_the_cookie(login: Login) -> None:
    client = login("vera")
    cookie = client.cookies["__Host-piranha"]
    assert client.post("/logout", data={"csrf": csrf_of(client)}).status_code == 303
    client.cookies.set("__Host-piranha", cookie, domain="router.test", path="/")
    assert client.get("/", headers={"accept": "text/html"}).status_code == 303


def test_bodies_are_bounded_before_and_after_the_login(browser: TestClient, login: Login) -> None:
    large = {"name": "x" * 100_000, "password": "y"}
    assert browser.post("/login", data=large).status_code == 413
    assert browser.post("/file", data={"text": "x" * 100_000}).status_code == 401
    client = login("edda")
    assert client.post("/settings", data={"csrf": "x" * 100_000}).status_code == 413
    many = {f"f{number}": "" for number in range(500)}
    assert client.post("/settings", data=many).status_code == 400


def test_the_way_back_after_a_login_leads_nowhere_else(browser: TestClient) -> None:
    for wanted in ("https://evil.test/", "//evil.test/", "/\\evil.test", "javascript:x", "/a\nb"):
        form = {"name": "vera", "password": "v" * 12, "next": wanted}
        assert browser.post("/login", data=form).headers["location"] == "/"
    form = {"name": "vera", "password": "v" * 12, "next": "/virtual?x=1"}
    assert browser.post("/login", data=form).headers["location"] == "/virtual?x=1"


def test_whose_session_ended_over_a_form_is_told_and_led_back_to_it(
    browser: TestClient, backend: FakeBackend
) -> None:
    html = {"accept": "text/html"}
    for came, back in (
        (f"{BASE}/virtual/edit?name=a%26b", "/virtual/edit?name=a%26b"),
        ("https://evil.test/virtual", "/"),
        ("//evil.test", "/"),
        ("https://[", "/"),
        ("", "/"),
    ):
        headers = {**html, "referer": came} if came else html
        answer = browser.post("/virtual/edit", data={"port": "1"}, headers=headers)
        assert answer.status_code == 303
        page = browser.get(answer.headers["location"])
        assert "was not taken" in page.text
        wanted = re.search(r'name="next" value="([^"]*)"', page.text)
        assert wanted
        assert wanted[1] == back
    assert "was not taken" not in browser.get("/login").text
    assert asked(backend) == set()


def test_what_the_next_page_says_is_not_lost_on_a_part_of_one(login: Login) -> None:
    client = login("edda")
    answer = client.post("/draft", data={"csrf": csrf_of(client), "do": "discard"})
    assert answer.status_code == 303
    client.post("/virtual", data={"csrf": csrf_of(client), "do": "add", "new_name": "x"})
    assert "Nothing is written yet" not in client.get("/rows").text
    assert "Nothing is written yet" in client.get("/virtual").text


def test_there_is_no_account_but_those_that_were_made(
    browser: TestClient, users: FakeUsers
) -> None:
    """CVE-2000-0248: user piranha, password q."""
    users.roles.clear()
    for name in ("piranha", "admin", "root", "edda", ""):
        for password in ("q", "piranha", "admin", "", "e" * 12):
            answer = browser.post("/login", data={"name": name, "password": password})
            assert answer.status_code in (403, 429)
            assert "set-cookie" not in answer.headers


def test_what_is_typed_comes_to_no_shell(
    login: Login, backend: FakeBackend, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """CVE-2000-0322: a new password with `;` in it ran as a command."""
    started: list[object] = []
    monkeypatch.setattr(subprocess.Popen, "__init__", lambda *words, **_: started.append(words))
    monkeypatch.setattr("os.system", started.append)
    evil = f"; touch {tmp_path}/owned; $(touch {tmp_path}/owned) `touch {tmp_path}/owned` | x"
    client = login("edda")
    client.post("/login", data={"name": evil, "password": evil})
    send(client, "/virtual", do="add", new_name="x")
    for field in ("send_program", "load_monitor", "start_cmd", "send"):
        answer = client.post(
            "/virtual/edit",
            data={"csrf": csrf_of(client), "name": "x", "tab": "service", field: evil},
        )
        assert answer.status_code in (303, 422)
    form = {"name": "x", "tab": "monitoring", "send_program": evil}
    assert "may not be written freely" in send(client, "/virtual/edit", **form)
    send(client, "/order", order="drain", server=evil, why=evil, confirm="yes")
    assert started == []
    assert not (tmp_path / "owned").exists()
    assert backend.text == TEXT
