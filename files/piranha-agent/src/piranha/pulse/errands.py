# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs the commands for changes of state, one after the other, while pulse goes on.

What is run, and when, is decided in hooks.py. Neither the heart nor a takeover waits for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from piranha.commands.command import Command
from piranha.commands.runner import Runner

from .hooks import Commands, Queue, views

Tell = Callable[[str, str], None]
"""A level and a sentence for the log."""


class Errands:
    """The commands of one pulse. commands: asked before each run, since a reload changes them."""

    def __init__(
        self, config: str, runner: Runner, commands: Callable[[], Commands], tell: Tell
    ) -> None:
        self._config = config
        self._queues: dict[str, Queue] = {}
        self._runner, self._commands, self._tell = runner, commands, tell
        self._task: asyncio.Task[None] | None = None
        self._explained = False

    def see(self, heart: Mapping[str, Any]) -> None:
        """Take a snapshot of the heart, and begin to run what is to be run for it."""
        news = False
        for group, view in views(heart).items():
            queue = self._queues.setdefault(group, Queue(self._config))
            news = queue.see(view) or news
        if news and self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._run())

    async def finish(self, limit: float) -> None:
        """Wait `limit` seconds at the most for what is running; it goes on by itself after that."""
        if self._task is None:
            return
        done, _unused = await asyncio.wait({self._task}, timeout=limit)
        if not done:
            self._tell("warning", f"commands still run after {limit:g} s; pulse ends without them")

    async def _run(self) -> None:
        try:
            while waiting := self._next():
                for command in waiting:
                    self._explain()
                    result = await self._runner.run(command)
                    state, group = command.facts["PIRANHA_STATE"], command.facts["PIRANHA_GROUP"]
                    label = f" of group {group}" if group else ""
                    told = result.told(f"{command.name} for state {state}{label}")
                    self._tell("notice" if result.ok else "err", told)
        finally:
            self._task = None

    def _next(self) -> list[Command]:
        """Give what is to be run for the next group for which something is."""
        for queue in tuple(self._queues.values()):
            if waiting := queue.take(self._commands()):
                return waiting
        return []

    def _explain(self) -> None:
        if self._explained or self._runner.certain:
            return
        self._explained = True
        self._tell("warning", PLAIN)


PLAIN = (
    "systemd is not the init here: commands run as children of the agent, with its rights and in"
    " its control group"
)
"""Told once where the plain way of running commands is used."""
