# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""A group at work: whatever becomes of a command, the group goes on when it has ended."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import pytest
from piranha.commands.command import Command, Result
from piranha.fos.board import Phase, Role
from piranha.fos.group import Group, clock
from piranha.fos.settings import Service
from piranha.pulse.word import Word

WEB = Service(
    "web", "127.0.0.1", 1, start=("web", "start"), stop=("web", "stop"), start_timeout=10,
    stop_timeout=1,
)
ACTIVE = Role(True, True, "standby", Word(running=False))
STANDBY = Role(False, True, "active", Word(running=True))


class Slow:
    """A runner whose commands take a moment, and which lists what it was asked for."""

    name, certain = "slow", True

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def run(self, command: Command) -> Result:
        self.asked.append(command.name)
        await asyncio.sleep(0.05)
        return Result(True, "succeeded")

    async def start(self, command: Command, service: str, stop_limit: float) -> Result:
        return await self.run(command)

    async def finish(self, service: str, limit: float) -> None:
        pass

    async def end(self, service: str) -> None:
        pass


@dataclass
class House:
    """The daemon around the group, as far as this needs one."""

    runner: Slow = field(default_factory=Slow)

    def event(self, level: str, text: str) -> None:
        pass

    def note(self) -> None:
        pass

    def changed(self) -> None:
        pass

    def owner(self, service: str) -> Group | None:
        return None


@pytest.mark.parametrize("head_start", [None, 0.0, 0.02])
def test_a_start_that_is_taken_back_is_followed_by_a_stop(head_start: float | None) -> None:
    """Also where the addresses come and go in one breath: the start has not even begun then."""

    async def go() -> tuple[Phase, bool, list[str]]:
        house = House()
        group = Group("", (WEB,), house)
        group.board.entries[0].phase = Phase.STOPPED
        group.carry(group.board.role(ACTIVE, clock()))
        if head_start is not None:
            await asyncio.sleep(head_start)
        group.carry(group.board.role(STANDBY, clock()))
        for _unused in range(100):
            await asyncio.sleep(0.01)
            if group.board.all_stopped:
                break
        entry = group.board.entries[0]
        await group.stop()
        return entry.phase, entry.busy, house.runner.asked

    phase, busy, asked = asyncio.run(go())
    assert (phase, busy) == (Phase.STOPPED, False)
    assert asked == (["stop web"] if head_start is None else ["start web", "stop web"])
