# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Draining: what is waited for, for how long, and what follows; with a clock that is made up."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.piranha.lvs.plugins.module_utils._module import (
    ipvs_drain,
    ipvs_real_server,
)
from ansible_collections.piranha.lvs.plugins.module_utils._module.ipvs_drain import (
    Ending,
    verdict,
    wait,
    waited_for,
)
from ansible_collections.piranha.lvs.plugins.module_utils.ipvs.model import (
    Server,
    ServerKey,
    Service,
    ServiceKey,
    Table,
)
from ansible_collections.piranha.lvs.plugins.modules import ipvs_server

from tests.unit.plugins.module_utils.ipvs.memory import MemoryPort

from .running import run

WEB = Service(ServiceKey.by_address("tcp", "192.0.2.80", 80))
ONE = Server(ServerKey("198.51.100.21", 80), 3)
TASK = {
    "service": {"address": "192.0.2.80", "port": 80},
    "address": "198.51.100.21",
    "state": "drained",
}
ALL = {"active": 3, "inactive": 40, "persistent": 5}


@pytest.mark.parametrize(
    ("protocol", "persistence", "kinds"),
    [
        ("tcp", "honour", ["active", "persistent"]),
        ("tcp", "expire", ["active"]),
        ("sctp", "expire", ["active"]),
        ("udp", "honour", ["active", "inactive", "persistent"]),
        ("udp", "expire", ["active", "inactive"]),
        ("", "expire", ["active", "inactive"]),  # by mark: it may be udp
    ],
)
def test_what_is_waited_for(protocol: str, persistence: str, kinds: list[str]) -> None:
    assert waited_for(ALL, protocol, persistence) == {kind: ALL[kind] for kind in kinds}
    gone = dict.fromkeys(ALL, 0)
    assert waited_for(gone, protocol, persistence) == {}


class Clock:
    """Time passes only by sleeping."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.sleeps: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.sleeps.append(seconds)
        self.now += seconds


@pytest.mark.parametrize(
    ("until", "timeout", "interval", "sleeps", "ending"),
    [
        (0, 10, 2, [], Ending({}, 0.0)),
        (0, 0, 2, [], Ending({}, 0.0)),
        (3, 10, 2, [2, 2], Ending({}, 4.0)),
        (99, 5, 2, [2, 2, 1], Ending({"active": 1}, 5.0)),
        (99, 0, 2, [], Ending({"active": 1}, 0.0)),
        (99, 1, 60, [1], Ending({"active": 1}, 1.0)),
    ],
)
def test_waiting_ends_in_time(
    until: float, timeout: float, interval: float, sleeps: list[float], ending: Ending
) -> None:
    clock, told = Clock(), []
    begin = clock.now

    def look() -> dict[str, int]:
        return {} if clock.now - begin >= until else {"active": 1}

    ended = wait(look, timeout, interval, clock, clock.sleep, lambda *args: told.append(args))
    assert ended == ending
    assert clock.sleeps == sleeps
    assert len(told) == len(sleeps)


def test_progress_is_a_line() -> None:
    line = ipvs_drain.progress("198.51.100.21:80", {"active": 1, "persistent": 2}, 11.6, 300)
    assert line == (
        "198.51.100.21:80 drains: 1 active connection and 2 persistence templates left "
        "after 12 s of 300 s"
    )


def test_what_follows() -> None:
    late = Ending({"active": 2}, 60.0)
    assert verdict("S", Ending({}, 3.0), "fail", 7) == ("", "", None)
    assert verdict("S", late, "fail", 7) == (
        "real server S: it is not drained after 60 s, 2 active connections left; it keeps weight "
        "0, give it more time or look which clients stay.",
        "",
        None,
    )
    failure, warning, weight = verdict("S", late, "proceed", 7)
    assert (failure, weight) == ("", None)
    assert warning.endswith("it keeps weight 0 and the play goes on.")
    failure, warning, weight = verdict("S", late, "restore", 7)
    assert (warning, weight) == ("", 7)
    assert "it has weight 7 again" in failure


@pytest.fixture
def busy(memory: MemoryPort, monkeypatch: pytest.MonkeyPatch) -> MemoryPort:
    """A server with two connections, one of which ends every second that is slept."""
    memory.table = Table([(WEB, [ONE])])
    memory.connections[WEB.key, ONE.key] = (2, 9, 0)
    clock = Clock()

    def sleep(seconds: float) -> None:
        clock.sleep(seconds)
        active = memory.connections[WEB.key, ONE.key][0]
        memory.connections[WEB.key, ONE.key] = (max(0, active - int(seconds)), 9, 0)

    monkeypatch.setattr(ipvs_real_server.time, "monotonic", clock)
    monkeypatch.setattr(ipvs_real_server.time, "sleep", sleep)
    return memory


def test_the_module_waits_by_itself(busy: MemoryPort) -> None:
    result = run(ipvs_server, **TASK, interval=1)
    assert (result["changed"], result["drained"], result["waited"]) == (True, True, 2.0)
    assert result["connections"] == {"active": 0, "inactive": 9, "persistent": 0}
    assert (result["before"]["weight"], result["after"]["weight"]) == (3, 0)
    again = run(ipvs_server, **TASK)
    assert (again["changed"], again["drained"], again["waited"]) == (False, True, 0.0)
    assert len(busy.sent) == 1


@pytest.mark.parametrize(
    ("on_timeout", "failed", "changed", "weight"),
    [("fail", True, True, 0), ("proceed", False, True, 0), ("restore", True, False, 3)],
)
def test_the_time_is_up(
    busy: MemoryPort, on_timeout: str, failed: bool, changed: bool, weight: int
) -> None:
    result = run(ipvs_server, **TASK, timeout=1, on_timeout=on_timeout)
    assert (result["failed"], result["changed"], result["drained"]) == (failed, changed, False)
    assert result["waiting_for"] == {"active": 1}
    assert busy.table.servers(WEB.key)[ONE.key].weight == weight
    assert len(result["warnings"]) == (on_timeout == "proceed")


def test_check_mode_waits_for_nothing(busy: MemoryPort) -> None:
    result = run(ipvs_server, check=True, **TASK)
    assert (result["changed"], result["drained"]) == (True, None)
    assert result["waiting_for"] == {"active": 2}
    assert result["after"]["weight"] == 0
    assert busy.sent == []


def test_a_server_that_is_not_there_is_drained(memory: MemoryPort) -> None:
    for table in (Table(), Table([(WEB, [])])):
        memory.table = table
        result = run(ipvs_server, **TASK)
        assert (result["changed"], result["drained"], result["after"]) == (False, True, None)
    assert memory.sent == []


def test_a_server_that_vanishes_meanwhile_is_drained(
    busy: MemoryPort, monkeypatch: pytest.MonkeyPatch
) -> None:
    def sleep(_seconds: float) -> None:
        busy.table = Table([(WEB, [])])

    monkeypatch.setattr(ipvs_real_server.time, "sleep", sleep)
    result = run(ipvs_server, **TASK)
    assert (result["drained"], result["connections"], result["after"]) == (True, None, None)


def test_persistent_clients_are_let_go_only_where_the_kernel_does_so(
    memory: MemoryPort, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    memory.table = Table([(WEB.replace(persistence=300), [ONE])])
    sysctl = tmp_path / "expire_quiescent_template"
    monkeypatch.setattr(ipvs_real_server, "EXPIRE_QUIESCENT", sysctl)
    for text in (None, "0\n"):
        if text:
            sysctl.write_text(text)
        result = run(ipvs_server, **TASK, persistence="expire")
        assert result["msg"] == (
            "real server 198.51.100.21:80: persistence: expire would not let its clients go, "
            "since net.ipv4.vs.expire_quiescent_template is not 1; "
            "set that sysctl or use persistence: honour."
        )
    assert memory.sent == []
    sysctl.write_text("1\n")
    assert run(ipvs_server, **TASK, persistence="expire")["drained"]


@pytest.mark.parametrize(("name", "value"), [("timeout", -1), ("interval", 0)])
def test_times_that_are_none(memory: MemoryPort, name: str, value: int) -> None:
    result = run(ipvs_server, **{**TASK, name: value})
    assert result["failed"]
    assert result["msg"].startswith(f"{name}: {value} is not a number of seconds from ")
