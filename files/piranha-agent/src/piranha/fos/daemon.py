# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""fos: runs the failover services on the router that has the virtual addresses, and nowhere else.

A thin shell around board.py: clock, commands, checks, the link to pulse, fos.json. What it has
started goes on without it, however its end comes; the next fos adopts it.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from piranha.commands.runner import Runner, choose
from piranha.control.link import Link
from piranha.lvsd.orders import Refused
from piranha.lvsd.reporter import LinkReporter
from piranha.lvsd.words import event
from piranha.pulse.errands import PLAIN

from . import record, source
from .board import NOT_HERE, Entry, Phase, Role
from .group import Group, clock
from .grouping import grouped, roles, torn
from .settings import SPARE, Service
from .snapshot import snapshot

TICK = 0.5
"""Seconds between two looks at what is due, and two signs of life."""

TOLD = 1.0
"""Seconds between two snapshots when nothing changes."""


class FosReporter(LinkReporter):
    """fos' end of the link: one of its answers, to `stop`, takes as long as the services do."""

    stop: Callable[[object], None]

    def _answer(self, number: object, do: object, arguments: object) -> None:
        if do == "stop":
            self.stop(number)
        else:
            super()._answer(number, do, arguments)

    def answer(self, number: object, error: str | None) -> None:
        """Answer a request that took its time: done, or why not."""
        done = {"ok": True, "result": {}} if error is None else {"ok": False, "error": error}
        self._send({"answer": number, **done})


class Daemon:
    """fos without its process. runner: how commands are run."""

    def __init__(
        self,
        config: Path,
        run_dir: Path,
        reporter: FosReporter,
        runner: Runner,
        ended: asyncio.Event,
    ) -> None:
        self._config, self._run_dir = config, run_dir
        self._reporter, self.runner, self._ended = reporter, runner, ended
        self._source = source.load(config)
        self._groups = {
            name: Group(name, listed, self) for name, listed in grouped(self._source.services)
        }
        self._roles: dict[str, Role] = {}
        self._endings: set[asyncio.Task[None]] = set()
        self._wall = time.time() - clock()
        self._noted: object = None
        self._told: object = None
        self._told_at = 0.0
        self._stop_asked: object = None

    # -- life ------------------------------------------------------------------------------------

    def start(self) -> None:
        """Find again what an earlier fos has started; begin to look at what is due."""
        if not self.runner.certain:
            self.event("warning", PLAIN)
        self._adopt()
        self._reporter.requests = {
            "role": self._role,
            "reload": self._reload,
            "move": self._move,
        }
        self._reporter.stop = self._stop
        self._turn()

    async def stop(self) -> None:
        """End the checks; services and commands under way are left alone."""
        for group in self._groups.values():
            await group.stop()

    def _adopt(self) -> None:
        found = record.read(self._run_dir)
        for one in found:
            group = self.owner(one.service.name)
            since = one.since - self._wall
            if group is None and one.phase is not Phase.STOPPED:
                gone = Entry(one.service, one.phase, since, gone=True)
                group = self._groups.get(one.service.group) or self._main
                group.board.entries.insert(0, gone)
            words = "was started before fos was" if one.phase is Phase.RUNNING else one.phase.value
            if group is not None:
                group.board.adopt(one.service.name, one.phase, since, one.restarts, words)
        adopted = [one.service.name for one in found if one.phase is Phase.RUNNING]
        if adopted:
            self.event("notice", f"adopts failover services: {', '.join(adopted)}")

    def _turn(self) -> None:
        self._reporter.tick(time.monotonic())
        wait = TICK
        for group in self._groups.values():
            now = clock()
            group.carry(group.board.tick(now))
            wait = min(wait, max(0.01, group.board.next_at(now) - now))
        asyncio.get_running_loop().call_later(wait, self._turn)

    # -- requests --------------------------------------------------------------------------------

    def _role(self, said: dict[str, Any]) -> dict[str, Any]:
        self._roles = roles(said)
        for name, role in self._roles.items():
            if (group := self._groups.get(name)) is not None:
                group.carry(group.board.role(role, clock()))
        return {}

    def _move(self, said: dict[str, Any]) -> dict[str, Any]:
        """Stop what is here of one group, or of all, and let the partner have it."""
        done, refusals = [], []
        groups = self._meant(said.get("group"))
        for group in groups:
            refusal, deeds = group.board.move(str(said.get("why") or "asked to"), clock())
            if refusal:
                label = f"group {group.name}: " if group.name else ""
                refusals.append(f"{label}{refusal}")
            else:
                group.carry(deeds)
                done.append(group)
        if not done:
            raise Refused("; ".join(refusals))
        limit = sum(e.service.stop_timeout for g in done for e in g.board.entries) + SPARE
        return {"groups": [group.name for group in done], "limit": limit, "refused": refusals}

    def _meant(self, name: object) -> list[Group]:
        """Give the group of that name; all that are here where none is named."""
        if name is None:
            here = [group for group in self._groups.values() if group.board.role_now.holding]
            if not here:
                raise Refused(NOT_HERE)
            return here
        if (group := self._groups.get(str(name))) is not None:
            return [group]
        names = ", ".join(name for name in self._groups if name)
        there = f"there are: {names}" if names else "no failover service has one"
        raise Refused(f"there is no group {name}; {there}")

    def _reload(self, said: dict[str, Any]) -> dict[str, Any]:
        try:
            new = source.load(self._config)
        except source.SourceError as why:
            raise Refused(str(why)) from None
        wanted = dict(grouped(new.services))
        if refusal := torn(wanted, {n: g.board for n, g in self._groups.items()}):
            raise Refused(refusal)
        self._source = new
        self._regroup(wanted)
        for name, group in self._groups.items():
            group.carry(group.board.reload(wanted[name], clock()))
            if name in self._roles:
                group.carry(group.board.role(self._roles[name], clock()))
        return {}

    def _regroup(self, wanted: dict[str, tuple[Service, ...]]) -> None:
        """Have the groups of a new configuration; what runs goes on in the one it is in now."""
        before = self._groups
        self._groups = {name: before.get(name) or Group(name, (), self) for name in wanted}
        at = {one.name: name for name, listed in wanted.items() for one in listed}
        for name, group in before.items():
            for entry in tuple(group.board.entries):
                there = at.get(entry.service.name, name)
                new = self._groups.get(there) or self._main
                if new is not group:
                    new.take(entry, group)
            if name not in self._groups:
                ending = asyncio.get_running_loop().create_task(group.stop())
                self._endings.add(ending)
                ending.add_done_callback(self._endings.discard)

    def _stop(self, number: object) -> None:
        self._stop_asked = number
        for group in self._groups.values():
            group.carry(group.board.stop(clock()))

    def _look_whether_stopped(self) -> None:
        boards = [group.board for group in self._groups.values()]
        entries = [entry for board in boards for entry in board.entries]
        if self._stop_asked is None or any(entry.busy for entry in entries):
            return
        if all(board.all_stopped or not board.known for board in boards):
            self._reporter.answer(self._stop_asked, None)
            self._ended.set()
        elif all(e.phase in (Phase.STOPPED, Phase.STUCK) for e in entries):
            problems = [problem for board in boards for problem in board.problems()]
            self._reporter.answer(self._stop_asked, "; ".join(problems))
        else:
            return
        self._stop_asked = None

    # -- what groups need ------------------------------------------------------------------------

    @property
    def _main(self) -> Group:
        return next(iter(self._groups.values()))

    def owner(self, service: str) -> Group | None:
        """Give the group that has a service."""
        for group in self._groups.values():
            if any(entry.service.name == service for entry in group.board.entries):
                return group
        return None

    def changed(self) -> None:
        """Tell pulse what is news, and whether all is stopped that was to be."""
        self._tell()
        self._look_whether_stopped()

    def note(self) -> None:
        """Write down what runs here, before anything is done about it."""
        entries = [entry for group in self._groups.values() for entry in group.board.entries]
        what = [(e.service.name, e.service.stop, e.phase, e.restarts) for e in entries]
        if what == self._noted:
            return
        try:
            record.write(self._run_dir, entries, self._wall)
            self._noted = what
        except OSError as error:
            path = self._run_dir / record.FILE
            self.event("err", f"{path}: cannot be written ({error.strerror}); see what fills it")

    def event(self, level: str, text: str) -> None:
        """Tell pulse what happened."""
        self._reporter.event(event(level, text))

    def _tell(self) -> None:
        now = clock()
        state = snapshot([g.board for g in self._groups.values()], self._wall, now)
        state["runner"], state["config"] = self.runner.name, {"digest": self._source.digest}
        if state == self._told and now - self._told_at < TOLD:
            return
        self._told, self._told_at = state, now
        self._reporter.state(state)


def run(link_socket: socket.socket, config_path: Path, run_dir: Path) -> int:
    """Run fos as a child of pulse until pulse has gone or everything is stopped; gives the status.

    link_socket: our end of the link. config_path: the configuration in force. run_dir: the
    agent's folder below /run.
    """
    return asyncio.run(_serve(link_socket, Path(config_path), Path(run_dir), choose()))


async def _serve(link_socket: socket.socket, config: Path, run_dir: Path, runner: Runner) -> int:
    ended = asyncio.Event()
    failures: list[BaseException] = []

    def fail(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        # A mistake of ours: pulse starts us again, and the services go on meanwhile.
        failures.append(context.get("exception") or RuntimeError(context["message"]))
        ended.set()

    asyncio.get_running_loop().set_exception_handler(fail)
    link = Link(link_socket)
    reporter = FosReporter(link, ended)
    try:
        daemon = Daemon(config, run_dir, reporter, runner, ended)
    except source.SourceError as why:
        reporter.event(event("crit", str(why)))
        return 78
    daemon.start()
    await ended.wait()
    await daemon.stop()
    for failure in failures:
        raise failure
    return 0
