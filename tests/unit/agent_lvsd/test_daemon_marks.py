# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""The order of a change: new marking rules, then the table, then no rules too many."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from piranha.core.ipvs.model import ServiceKey
from piranha.core.lvs_cf.marks import own_mark
from piranha.lvsd import daemon as daemon_module
from piranha.lvsd.daemon import Daemon
from piranha.lvsd.kept import Kept
from piranha.lvsd.owned import Owned
from piranha.lvsd.reconcile import Reconciler
from piranha.lvsd.source import Source
from piranha.lvsd.window import Window
from piranha.marks.keeper import Keeper
from piranha.marks.rules import Rule, Rules

from .daemon_lab import KEY, Ears, Lab

MARK = own_mark("203.0.113.100", "tcp", [25])
MARKED = ServiceKey.by_mark(MARK)
RULES = {Rule("203.0.113.100", "tcp", port, MARK) for port in (25, 587)}


class Recorder(Keeper):
    """A keeper that runs nothing and notes what it is asked and when."""

    def __init__(self, lab: Lab) -> None:
        super().__init__(lab.folder, lambda *_event: None)
        self._lab = lab
        self.waits = True
        self.asked: list[tuple[str, Any]] = []
        self.finish: Callable[[], None] | None = None
        self.looks = 0

    def want(self, rules: Rules, ready: Callable[[], None]) -> bool:
        self.asked.append(("want", set(rules)))
        self.finish = ready if rules and self.waits else None
        return self.finish is not None

    def settle(self) -> None:
        self.asked.append(("settle", MARKED in self._lab.kernel.table))

    def look(self) -> None:
        self.looks += 1

    def state(self) -> dict[str, Any]:
        return {
            "ok": False,
            "error": "packets are not marked",
            "by": None,
            "rules": 0,
            "repairs": 0,
        }


class MarkedLab(Lab):
    def write(self, extra: str = "", servers: int = 2, weight: int = 1) -> None:
        super().write(extra, servers, weight)
        text = self.path.read_text().replace("    port = 25\n", "    ports = 25, 587\n", 1)
        self.path.write_text(text)

    def daemon(self) -> Daemon:
        self.ears, self.marks = Ears(), Recorder(self)
        reconciler = Reconciler(self.kernel, Owned(self.folder))
        kept, window = Kept(self.folder), Window(self.kernel)
        return Daemon(Source(self.path), reconciler, self.ears, kept, window, marks=self.marks)


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MarkedLab:
    monkeypatch.setattr(daemon_module, "LOOK", 0.05)
    return MarkedLab(tmp_path)


async def until(wanted: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not wanted():
            await asyncio.sleep(0.01)


def test_the_table_waits_for_new_rules_and_old_ones_for_the_table(lab: MarkedLab) -> None:
    lab.write("    persistent = 300")

    async def story(daemon: Daemon) -> None:
        await asyncio.sleep(0.3)
        # Checks go on, the table waits: a dozen looks and results have come meanwhile.
        assert lab.marks.looks > 2
        assert MARKED not in lab.kernel.table
        assert lab.marks.asked == [("want", RULES)]
        assert lab.marks.finish is not None
        lab.marks.finish()
        assert MARKED in lab.kernel.table
        assert lab.marks.asked[1] == ("settle", True)
        # It may be called once more, by the time limit.
        lab.marks.finish()

        lab.write()
        assert daemon.reload() == []
        assert MARKED not in lab.kernel.table
        assert KEY in lab.kernel.table
        assert lab.marks.asked[-2:] == [("want", set()), ("settle", False)]

    lab.run(story)


def test_rules_that_never_come_hold_the_table_for_a_while_only(
    lab: MarkedLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(daemon_module, "MARKS_FIRST", 0.3)
    lab.write("    persistent = 300")

    async def story(daemon: Daemon) -> None:
        await asyncio.sleep(0.1)
        assert MARKED not in lab.kernel.table
        await until(lambda: MARKED in lab.kernel.table)

    lab.run(story)


def test_rules_that_are_there_already_hold_nothing(lab: MarkedLab) -> None:
    lab.write("    persistent = 300")

    async def story(daemon: Daemon) -> None:
        assert lab.marks.finish is not None
        lab.marks.finish()
        lab.marks.waits = False
        lab.write("    persistent = 60")
        assert daemon.reload() == []
        assert lab.kernel.table[MARKED].service.persistence == 60

    lab.run(story)


def test_what_is_wrong_with_them_is_a_problem_of_the_status(lab: MarkedLab) -> None:
    async def story(_daemon: Daemon) -> None:
        await until(lambda: bool(lab.ears.states))
        state = lab.ears.states[-1]
        assert state["marking"]["error"] in state["problems"]

    lab.run(story)
