# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""One group of failover services at work: its commands are run, its services are watched.

What is to be done is decided in board.py, whose services are checked in watching.py; what has to
do with pulse and with files is daemon.py's matter.
"""

from __future__ import annotations

import asyncio
import time
from typing import Protocol

from piranha.commands.command import Result as Ended
from piranha.commands.runner import Runner
from piranha.nanny.engine import Engine
from piranha.nanny.outcome import Result
from piranha.nanny.spec import Watch

from . import gateway, hands
from .board import Act, Board, Deed, Entry, Phase
from .settings import Service
from .suspicion import Next, Suspicion
from .watching import Verdicts, watched


class House(Protocol):
    """What a group needs of the daemon around it."""

    runner: Runner

    def event(self, level: str, text: str) -> None:
        """Tell pulse."""

    def note(self) -> None:
        """Write down what runs here, before anything is done about it."""

    def changed(self) -> None:
        """See what others are to be told."""

    def owner(self, service: str) -> Group | None:
        """Give the group that has a service now; a reload may have moved it."""


class Group:
    """A group by its name ("": of those that name none), and all that is under way in it."""

    def __init__(self, name: str, services: tuple[Service, ...], house: House) -> None:
        self.name = name
        self.board = Board(services, clock(), name)
        self._house = house
        self._verdicts = Verdicts()
        self._engine = Engine(self._result)
        self._commands: dict[str, asyncio.Task[Ended]] = {}
        self._listened: set[str] = set()
        """Services that were seen on their ports."""
        self._tests: set[asyncio.Task[None]] = set()
        self._suspicion = Suspicion()
        self._watching: tuple[tuple[Service, ...], bool] = ((), False)

    async def stop(self) -> None:
        """End the checks; services and commands under way are left alone."""
        await self._engine.stop()

    def take(self, entry: Entry, other: Group) -> None:
        """Have a service that was in another group, as it is."""
        name = entry.service.name
        other.board.entries.remove(entry)
        self.board.entries.append(entry)
        if name in other._commands:
            self._commands[name] = other._commands.pop(name)
        if name in other._listened:
            self._listened.add(name)

    def carry(self, deeds: list[Deed]) -> None:
        """Do what is to be done, and let file, checks and pulse know what has changed."""
        self._house.note()
        for deed in deeds:
            if deed.text:
                self._house.event(deed.level, deed.text)
            if deed.service is None:
                continue
            if deed.act is Act.CANCEL:
                self._commands[deed.service.name].cancel()
            elif deed.act is not None:
                self._begin(deed.act, deed.service)
        self.watch()
        self._house.changed()

    def _begin(self, act: Act, service: Service) -> None:
        work = asyncio.get_running_loop().create_task(self._command(act, service))
        self._commands[service.name] = work
        # Not the end of the task's own text: what is cancelled before its first step has no text.
        work.add_done_callback(lambda ended: self._ended(act, service, ended))

    async def _command(self, act: Act, service: Service) -> Ended:
        entry = next(e for e in self.board.entries if e.service.name == service.name)
        state = "active" if self.board.role_now.holding else "standby"
        if act is Act.START:
            return await hands.start(self._house.runner, service)
        return await hands.stop(
            self._house.runner,
            service,
            state,
            ran=entry.ran,
            listened=service.name in self._listened,
        )

    def _ended(self, act: Act, service: Service, work: asyncio.Task[Ended]) -> None:
        ok, words = False, "was cancelled"
        if not work.cancelled():
            result = work.result()
            ok, words = result.ok, f"{result.words} ({result.seconds:.2f} s)"
        group = self._house.owner(service.name) or self
        group.carry(group.board.done(service.name, act, ok, words, clock()))

    # -- checks ----------------------------------------------------------------------------------

    def watch(self) -> None:
        """Check what is to be checked now."""
        role = self.board.role_now
        wanted = (tuple(watched(self.board.entries, role)), role.holding)
        if wanted == self._watching:
            return
        if wanted[1] != self._watching[1]:
            self._verdicts, self._suspicion = Verdicts(), Suspicion()
        self._watching = wanted
        self._engine.watch(self._verdicts.watch(wanted[0], clock(), patient=not wanted[1]))
        if not wanted[0]:
            self._events(self.board.complain("", clock()))

    def _result(self, watch: Watch, result: Result) -> bool:
        for seen in self._verdicts.take(watch, result):
            name, now = seen.service.name, clock()
            if self.board.role_now.holding:
                if seen.good and name not in self._listened and hands.listens(seen.service):
                    self._listened.add(name)
                self.carry(self.board.checked(name, seen.good, seen.words, now, down=seen.down))
            elif seen.good:
                self._suspicion.well()
                if self.board.complaint.startswith(f"{name}: "):
                    self._events(self.board.complain("", now))
                    self._house.changed()
            elif seen.down and not self.board.complaint:
                self._suspect(name, seen.words, result.at)
        starting = any(e.phase is Phase.STARTING for e in self.board.entries)
        return starting or self._verdicts.changing(watch)

    def _suspect(self, name: str, words: str, began: float) -> None:
        match self._suspicion.failed(began, clock()):
            case Next.TEST:
                test = asyncio.get_running_loop().create_task(self._test(name, words))
                self._tests.add(test)
                test.add_done_callback(self._tests.discard)
            case Next.COMPLAIN:
                complaint = f"{name}: {words} ({self._suspicion.found})"
                self._events(self.board.complain(complaint, clock()))
                self._house.changed()

    async def _test(self, name: str, words: str) -> None:
        """See whether it is our own network that does not work."""
        works, found = await gateway.reachable()
        known = self._suspicion.blamed
        self._suspicion.tested(works, found, clock())
        if works or known:
            return
        text = f"{name} of the partner is not reached ({words}), but neither is the {found}"
        self._house.event("err", f"{text}: this router's own network seems to be at fault")

    def _events(self, deeds: list[Deed]) -> None:
        for deed in deeds:
            self._house.event(deed.level, deed.text)


def clock() -> float:
    """Seconds on the clock of boards and checks."""
    return time.monotonic()
