# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs the commands for changes of state, one after the other, while pulse goes on.

What is run, and when, is decided in hooks.py. Neither the heart nor a takeover waits for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from piranha.commands.runner import Runner

from .hooks import Commands, Queue

Tell = Callable[[str, str], None]
"""A level and a sentence for the log."""


class Errands:
    """The commands of one pulse. commands: asked before each run, since a reload changes them."""

    def __init__(
        self, config: str, runner: Runner, commands: Callable[[], Commands], tell: Tell
    ) -> None:
        self._queue = Queue(config)
        self._runner, self._commands, self._tell = runner, commands, tell
        self._task: asyncio.Task[None] | None = None
        self._explained = False

    def see(self, heart: Mapping[str, Any]) -> None:
        """Take a snapshot of the heart, and begin to run what is to be run for it."""
        if self._queue.see(heart) and self._task is None:
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
            while waiting := self._queue.take(self._commands()):
                for command in waiting:
                    self._explain()
                    result = await self._runner.run(command)
                    state = command.facts["PIRANHA_STATE"]
                    told = result.told(f"{command.name} for state {state}")
                    self._tell("notice" if result.ok else "err", told)
        finally:
            self._task = None

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
