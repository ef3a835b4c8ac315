# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""The JSON interface is as its own description says: no 5xx, and nothing without authorisation."""

from __future__ import annotations

import logging

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from piranha.gui.app import application
from piranha.gui.routes import ROUTES, description
from piranha.gui.site import Settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from starlette.testclient import TestClient

from .fake import TEXT, FakeBackend, FakeUsers

APP = application(FakeBackend(), FakeUsers(), Settings(secure=False, host="router-a"))
SCHEMA = schemathesis.openapi.from_dict(description())
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
EDIT = {"authorization": "Bearer t-edit"}
MADE_UP = max(2, settings().max_examples // 15)
"""Requests for each operation; `make test-release` makes more."""

SOME = settings(
    max_examples=MADE_UP,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
logging.getLogger("schemathesis").setLevel(logging.ERROR)


@SCHEMA.parametrize()
@SOME
def test_it_does_what_its_description_says(case: schemathesis.Case) -> None:
    answer = case.call(app=APP, headers=EDIT)
    case.validate_response(answer, checks=CHECKS)


@SCHEMA.parametrize()
@settings(SOME, max_examples=MADE_UP // 2)
def test_it_gives_nothing_without_authorisation(case: schemathesis.Case) -> None:
    answer = case.call(app=APP)
    assert answer.status_code == 401
    assert set(answer.json()) == {"error"}


def test_every_route_for_machines_is_described() -> None:
    described = {
        (method.upper(), path) for path, one in description()["paths"].items() for method in one
    }
    there = {(one.method, one.path) for one in ROUTES if one.path.startswith("/api")}
    assert described == there | {("GET", "/metrics")}
    for one in ROUTES:
        if one.path.startswith("/api"):
            operation = description()["paths"][one.path][one.method.lower()]
            assert f"role {one.role}" in operation["description"]


@pytest.fixture
def machine(browser: TestClient) -> TestClient:
    browser.headers.update(EDIT)
    return browser


def test_a_machine_reads_checks_previews_and_writes(
    machine: TestClient, backend: FakeBackend
) -> None:
    found = machine.get("/api/config").json()
    assert found["text"] == TEXT
    bad = machine.post("/api/config/check", json={"text": TEXT.replace("80", "eighty")}).json()
    assert bad["errors"] > 0
    text = TEXT.replace("port = 80", "port = 81")
    change = {"digest": found["digest"], "text": text}
    assert machine.post("/api/config/preview", json=change).json()["meaning"]
    assert machine.put("/api/config", json=change).status_code == 422  # without a reason
    assert machine.put("/api/config", json={**change, "why": "test"}).status_code == 200
    assert backend.text == text
    again = machine.put("/api/config", json={**change, "why": "test"})
    assert again.status_code == 409
    assert again.json()["details"]["who"] == "builder"
    assert machine.get("/api/history/1").json()["text"] == TEXT


def test_a_machine_has_the_partner_write_by_the_partners_own_rules(
    machine: TestClient, backend: FakeBackend
) -> None:
    refused = machine.get("/api/partner/config")
    assert (refused.status_code, refused.json()["code"]) == (400, "refused")
    backend.partner = partner = FakeBackend()
    found = machine.get("/api/partner/config").json()
    text = TEXT.replace("port = 80", "port = 81")
    change = {"digest": found["digest"], "text": text}
    assert machine.post("/api/partner/preview", json=change).json()["meaning"]
    assert machine.put("/api/partner/config", json=change).status_code == 422  # without a reason
    assert machine.put("/api/partner/config", json={**change, "why": "alike"}).status_code == 200
    assert (partner.text, backend.text) == (text, TEXT)
    assert machine.put("/api/partner/config", json={**change, "why": "x"}).status_code == 409
    partner.ceiling = "operate"
    assert machine.put("/api/partner/config", json={**change, "why": "x"}).status_code == 403


def test_a_body_that_is_wrong_is_told_in_one_sentence(machine: TestClient) -> None:
    for body in (b"[]", b"{", b"[" * 100_000, b'{"text": 5}', b'{"text": "x", "more": 1}', b"\xff"):
        answer = machine.post(
            "/api/config/check", content=body[:60_000], headers={"content-type": "application/json"}
        )
        assert answer.status_code == 422
        assert "\n" not in answer.json()["error"]


def test_orders_carry_their_machine_and_reason(machine: TestClient, backend: FakeBackend) -> None:
    order = {"order": "weight", "server": "rs00", "value": 5, "why": "deployment 7"}
    assert machine.post("/api/orders", json=order).json()["words"] == ["weight is ordered."]
    _do, given, by = backend.asked[-1]
    assert given == order
    assert by is not None
    assert (by.user, by.role) == ("builder", "edit")
    for wrong in ({"value": 70000}, {"value": True}, {"order": "dance"}, {"why": ""}):
        assert machine.post("/api/orders", json={**order, **wrong}).status_code == 422


def test_services_are_given_without_and_with_their_servers(machine: TestClient) -> None:
    listed = machine.get("/api/services").json()["services"]
    assert [one["servers"] for one in listed] == [2, 2]
    one = machine.get(f"/api/services/{listed[0]['id']}").json()
    assert [server["name"] for server in one["servers"]] == ["rs00", "rs01"]
    assert machine.get("/metrics").text == "piranha_up 1\n"
