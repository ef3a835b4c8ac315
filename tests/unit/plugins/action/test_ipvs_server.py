# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action plugin of ipvs_server: which runs of the module it makes of a task, and what it shows.

The module runs for real, on a kernel in memory; the connection to a host does not.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.piranha.lvs.plugins.action import ipvs_server as action
from ansible_collections.piranha.lvs.plugins.module_utils.ipvs.model import (
    Server,
    ServerKey,
    Service,
    ServiceKey,
    Table,
)
from ansible_collections.piranha.lvs.plugins.modules import ipvs_server as module

from tests.unit.plugins.module_utils.ipvs.memory import MemoryPort
from tests.unit.plugins.modules.running import run

WEB = Service(ServiceKey.by_address("tcp", "192.0.2.80", 80))
ONE = Server(ServerKey("198.51.100.21", 80), 3)
TASK = {
    "service": {"address": "192.0.2.80", "port": "80", "fwmark": None},
    "address": "198.51.100.21",
    "state": "drained",
}


class Runs:
    """The plugin with a host made up: what was run there, and what the user saw."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, memory: MemoryPort) -> None:
        self.memory = memory
        self.asked: list[dict[str, Any]] = []
        self.shown: list[str] = []
        self.now = 0.0
        self.failing: dict[int, dict[str, Any]] = {}
        monkeypatch.setattr(action.time, "monotonic", lambda: self.now)
        monkeypatch.setattr(action.time, "sleep", self.sleep)
        monkeypatch.setattr(action.ActionBase, "run", lambda *_args: {})

    def sleep(self, seconds: float) -> None:
        """One connection ends a second."""
        self.now += seconds
        active = self.memory.connections.get((WEB.key, ONE.key), (0, 0, 0))[0]
        self.memory.connections[WEB.key, ONE.key] = (max(0, active - int(seconds)), 0, 0)

    def task(self, check: bool = False, background: int = 0, **options: object) -> dict[str, Any]:
        """The result of a task with these options."""
        plugin = action.ActionModule.__new__(action.ActionModule)
        args = {**TASK, **options}
        plugin._task = SimpleNamespace(args=args, check_mode=check, async_val=background)
        plugin._connection = SimpleNamespace(
            has_native_async=False, _shell=SimpleNamespace(tmpdir="")
        )
        plugin._play_context = SimpleNamespace(remote_addr="router1")
        plugin._display = SimpleNamespace(display=self.shown.append)
        plugin._remove_tmp_path = lambda _path: None
        plugin.validate_argument_spec = lambda argument_spec: (
            None,
            {"timeout": 300, "interval": 2, "on_timeout": "fail", **options},
        )

        def execute(
            module_args: dict[str, Any] | None = None,
            task_vars: object = None,
            wrap_async: object = False,
        ) -> dict[str, Any]:
            given = args if module_args is None else module_args
            self.asked.append(given)
            if len(self.asked) in self.failing:
                return self.failing[len(self.asked)]
            return dict(run(module, check=check, **given))

        plugin._execute_module = execute
        return dict(plugin.run(None, {}))


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch, memory: MemoryPort) -> Runs:
    memory.table = Table([(WEB, [ONE])])
    memory.connections[WEB.key, ONE.key] = (3, 0, 0)
    return Runs(monkeypatch, memory)


def test_it_looks_until_the_server_is_drained(runs: Runs) -> None:
    result = runs.task(interval=1)
    assert (result["failed"], result["changed"], result["drained"]) == (False, True, True)
    assert (result["waited"], result["waiting_for"]) == (3.0, {})
    assert (result["before"]["weight"], result["after"]["weight"]) == (3, 0)
    assert result["commands"] == ["ipvsadm -e -t 192.0.2.80:80 -r 198.51.100.21:80 -m -w 0"]
    assert not result.get("warnings")
    assert runs.shown == [
        "router1: 198.51.100.21:80 drains: 3 active connections left after 0 s of 300 s",
        "router1: 198.51.100.21:80 drains: 2 active connections left after 1 s of 300 s",
        "router1: 198.51.100.21:80 drains: 1 active connection left after 2 s of 300 s",
    ]
    assert len(runs.memory.sent) == 1


def test_it_never_lets_the_target_wait(runs: Runs) -> None:
    runs.task(timeout=2, interval=1, on_timeout="proceed")
    assert all(given["timeout"] == 0 for given in runs.asked)


@pytest.mark.parametrize("options", [{"state": "present"}, {"state": "absent"}, {"check": True},
                                     {"background": 60}])  # fmt: skip
def test_else_the_module_runs_once_as_it_is(runs: Runs, options: dict[str, Any]) -> None:
    runs.memory.connections.clear()
    runs.task(**options)
    (given,) = runs.asked
    assert "timeout" not in given
    assert runs.shown == []


@pytest.mark.parametrize(
    ("on_timeout", "failed", "changed", "weight"),
    [("fail", True, True, 0), ("proceed", False, True, 0), ("restore", True, False, 3)],
)
def test_the_time_is_up(
    runs: Runs, on_timeout: str, failed: bool, changed: bool, weight: int
) -> None:
    result = runs.task(timeout=2, interval=1, on_timeout=on_timeout)
    assert (result["failed"], result["changed"], result["drained"]) == (failed, changed, False)
    assert result["waiting_for"] == {"active": 1}
    assert runs.memory.table.servers(WEB.key)[ONE.key].weight == weight
    assert result["after"]["weight"] == weight
    assert bool(result.get("warnings")) is (on_timeout == "proceed")
    assert ("msg" in result) is failed


def test_the_target_and_the_controller_say_the_same(runs: Runs) -> None:
    there = run(module, **{**TASK, "timeout": 0})
    here = runs.task(timeout=0)
    assert here["msg"] == there["msg"]


def test_a_look_that_fails_ends_it(runs: Runs) -> None:
    """The weight is 0 since the first look, and the result must not hide it."""
    runs.failing[2] = {"failed": True, "msg": "no IPVS any more"}
    result = runs.task(interval=1)
    assert (result["failed"], result["changed"]) == (True, True)
    assert result["msg"] == "no IPVS any more"
    assert result["before"]["weight"] == 3
