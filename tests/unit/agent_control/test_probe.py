# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""`piranha probe`: what a router must show after a change before it counts as one that works."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import pytest
from piranha import probe_cli
from piranha.control.client import Client
from piranha.control.probe import missing

SINCE = 1000.0
RUNS = {"heart": True, "lvsd": True}


def server(name: str = "a", at: float | None = SINCE + 1, **more: Any) -> dict[str, Any]:
    """Give a real server's status; at: when its last check began, None: it was never checked."""
    check = None if at is None else {"at": at, "result": "good", "answer": "connected"}
    known = {"name": name, "state": "UP", "weight": 1, "configured_weight": 1, "override": None}
    return {**known, "last_check": check, **more}


def router(*servers: dict[str, Any], state: str = "active", **more: Any) -> dict[str, Any]:
    """Give a status with one virtual service of these servers."""
    virtual = [{"name": "web", "servers": list(servers)}]
    heart, lvsd = {"state": state, "problems": ["nothing is heard"]}, {"virtual": virtual}
    return {"pulse": {"running": RUNS}, "heart": heart, "lvsd": lvsd, **more}


REFUSED = {"at": SINCE + 1, "result": "bad", "answer": "connection refused"}
DOWN = server("b", state="DOWN", weight=None, last_check=REFUSED)
NOBODY = "virtual service web has no real server in service"


@pytest.mark.parametrize(
    "found",
    [
        router(server()),
        router(server(), state="standby"),
        router(server(), DOWN),
        router(server(at=None)),  # one without any check
        router(server("b", override={"mode": "drained"}, at=SINCE - 1)),
        router(server("b", configured_weight=0, weight=0, at=SINCE - 1)),
        router(server("b", override={"mode": "enabled", "weight": 0}, weight=0, at=SINCE - 1)),
        router({**DOWN, "state": "UP", "weight": 1, "override": {"mode": "forced_up"}}),
        router(),
    ],
)
def test_a_router_that_does_its_work_lacks_nothing(found: dict[str, Any]) -> None:
    """Whatever its partner does: `piranha status` tells of that."""
    assert missing(found, SINCE) == []


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (router(DOWN), f"{NOBODY} (b: connection refused)"),
        (router(server(at=SINCE - 1)), f"{NOBODY} (a: not checked again yet)"),
        # A weight that somebody ordered is no reason not to serve.
        (
            router({**DOWN, "override": {"mode": "enabled", "weight": 3}}),
            f"{NOBODY} (b: connection refused)",
        ),
        # It counts as up until it has failed as often as `retry` says.
        (router({**DOWN, "state": "UP", "weight": 1}), f"{NOBODY} (b: connection refused)"),
        (
            router(server(at=None, state="STARTING", weight=None, reason="no check has ended yet")),
            f"{NOBODY} (a: no check has ended yet)",
        ),
        (router(server(), state="fault"), "the router is fault"),
        (
            router(server(), pulse={"running": {"heart": True}}),
            "lvsd is not running; see piranha events",
        ),
    ],
)
def test_what_is_missing_is_told_with_its_reason(found: dict[str, Any], said: str) -> None:
    assert missing(found, SINCE) == [said]


def test_failover_services_are_to_be_at_rest() -> None:
    running = {"heart": True, "fos": True}
    states = {"web": "running", "mail": "stopped", "db": "starting", "ftp": "running"}
    listed: list[dict[str, Any]] = [{"name": name, "state": is_} for name, is_ in states.items()]
    listed[3] |= {"failed": True, "reason": "it crashed twice"}
    heart = {"state": "standby"}
    found = {"pulse": {"running": running}, "heart": heart, "fos": {"services": listed}}
    assert missing(found, SINCE) == [
        "failover service db is starting",
        "failover service ftp is failed: it crashed twice",
    ]


class Told:
    """A pulse that tells one status after the other, the last one for ever."""

    def __init__(self, *found: dict[str, Any]) -> None:
        self.left, self.last = iter(found), found[-1]

    def ask(self, do: str) -> dict[str, Any]:
        assert do == "status"
        return next(self.left, self.last)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[float]]:
    """A clock that sleeping moves."""
    now = [SINCE]
    monkeypatch.setattr("time.time", lambda: now[0])
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    monkeypatch.setattr("time.sleep", lambda seconds: now.append(now.pop() + seconds))
    yield now


def test_it_waits_for_a_check_and_then_says_that_all_is_well(
    clock: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    told = Told(router(server(at=SINCE - 1)), router(DOWN), router(server()))
    assert probe_cli.probe(cast(Client, told), 30) == 0
    assert clock == [SINCE + 2 * probe_cli.GLANCE]
    assert capsys.readouterr().out == "this router does its work\n"


def test_it_gives_up_when_its_time_is_over_and_says_what_is_missing(
    clock: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    assert probe_cli.probe(cast(Client, Told(router(DOWN))), 5) == 1
    assert clock == [SINCE + 5]
    assert capsys.readouterr().err == f"piranha: {NOBODY} (b: connection refused)\n"
