# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs commands that act on the system: by systemd, or where there is none, as children of ours.

What may be run: a program that root owns and nobody else can change, nor any folder above it; as
an argument list, with a time limit, in an environment made of facts. Whether and when to run one
is somebody else's matter, and so is what follows from its result.
"""

from __future__ import annotations

import os
import secrets
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from piranha.nanny.program import Refused, find, unsafe

from . import process, transient
from .command import PATH, Command, Result, ended

BOOTED = Path("/run/systemd/system")
"""Is there where systemd is the init (sd_booted(3))."""

GRACE = 10.0
"""Seconds after its limit in which systemd has to have ended a command."""

ASKING = 10.0
"""Seconds that systemctl may take for a question."""

_ENV = {"PATH": PATH, "LC_ALL": "C.UTF-8", "SYSTEMD_PAGER": "", "SYSTEMD_COLORS": "0"}


_Line = Callable[[Command, str], list[str]]


class Runner(Protocol):
    """One way to run commands."""

    name: str
    certain: bool
    """Whether `end` ends everything that `start` has left, whatever it did meanwhile."""

    async def run(self, command: Command) -> Result:
        """Run a command to its end."""

    async def start(self, command: Command, service: str, stop_limit: float) -> Result:
        """Run a command that leaves a service running. stop_limit: seconds its end may take."""

    async def finish(self, service: str, limit: float) -> None:
        """Forget a service that has been stopped."""

    async def end(self, service: str) -> None:
        """End what `start` has left, at once."""


def choose(booted: Path = BOOTED, trusted: frozenset[int] = frozenset({0})) -> Runner:
    """Give systemd's way where systemd is the init, the plain one elsewhere."""
    return Systemd(trusted) if booted.is_dir() else Plain(trusted)


def _found(command: Command, trusted: frozenset[int]) -> str | Result:
    """Give the program's path, or why it may not be run."""
    if not command.argv:
        return Result(False, "was not run, since it is empty")
    name = command.argv[0]
    try:
        find(name, trusted)
        program = Path(shutil.which(name, path=PATH) or name).absolute()
        link = program
        # A program may go by the name of its link (busybox, redis-server), so the link is what is
        # run; then nobody else may change the link either.
        while link.is_symlink():
            for folder in link.parents:
                if reason := unsafe(folder.stat(), trusted):
                    raise Refused(f"{name} was not run, since {folder} {reason}")
            link = Path(os.path.normpath(link.parent / link.readlink()))
        return str(program)
    except (Refused, OSError) as why:
        return Result(False, f"was not run: {why}")


class Systemd:
    """Each command is a transient unit of its own, outside our sandbox and our control group."""

    name = "systemd"
    certain = True

    def __init__(self, trusted: frozenset[int] = frozenset({0})) -> None:
        self._trusted = trusted
        try:
            cgroup = Path("/proc/self/cgroup").read_text(encoding="utf-8")
        except OSError:
            cgroup = ""
        self._ours = transient.unit_in(cgroup)

    async def run(self, command: Command) -> Result:
        """See Runner."""
        unit = transient.unit_for(command.name, secrets.token_hex(4))
        return await self._do(command, unit, transient.run)

    async def start(self, command: Command, service: str, stop_limit: float) -> Result:
        """See Runner."""
        unit = transient.unit_of(service)
        await self._ask(transient.finish(unit), stop_limit)
        return await self._do(
            command, unit, lambda c, u: transient.start(c, u, stop_limit, self._ours)
        )

    async def finish(self, service: str, limit: float) -> None:
        """See Runner."""
        await self._ask(transient.finish(transient.unit_of(service)), limit)

    async def end(self, service: str) -> None:
        """See Runner."""
        await self._ask(transient.end(transient.unit_of(service)), 0.0)

    async def _do(self, command: Command, unit: str, line: _Line) -> Result:
        found = _found(command, self._trusted)
        if isinstance(found, Result):
            return found
        begin = time.monotonic()
        exact = Command(command.name, (found, *command.argv[1:]), command.limit, command.facts)
        try:
            status, said = await process.call(line(exact, unit), _ENV, command.limit + GRACE)
        except OSError as problem:
            return Result(False, f"was not run: {transient.SYSTEMD_RUN}: {problem.strerror}")
        took = time.monotonic() - begin
        if status == 0:
            return Result(True, "succeeded", took)
        _unused, shown = await process.call(transient.show(unit), _ENV, ASKING)
        words = transient.outcome(shown, command.limit)
        await self._ask([transient.forget(unit)], 0.0)
        return Result(False, words or f"was not run: {said or ended(status, GRACE)[1]}", took)

    @staticmethod
    async def _ask(lines: list[list[str]], limit: float) -> None:
        # A unit that is not there is what was wanted; what systemd cannot do shows in what follows.
        for line in lines:
            await process.call(line, _ENV, limit + ASKING)


class Plain:
    """Each command is a child of ours in a session of its own, which outlives us.

    It has no more rights than we: in a container without systemd, those of the container.
    """

    name = "plain"
    certain = False

    def __init__(self, trusted: frozenset[int] = frozenset({0})) -> None:
        self._trusted = trusted

    async def run(self, command: Command) -> Result:
        """See Runner."""
        found = _found(command, self._trusted)
        if isinstance(found, Result):
            return found
        begin = time.monotonic()
        try:
            pid = process.spawn(command.argv, found, command.environment, 2)
        except OSError as problem:
            return Result(False, f"was not run: {found}: {problem.strerror}")
        status = await process.wait(pid, command.limit)
        ok, words = ended(status, command.limit)
        return Result(ok, words, time.monotonic() - begin)

    async def start(self, command: Command, service: str, stop_limit: float) -> Result:
        """See Runner."""
        return await self.run(command)

    async def finish(self, service: str, limit: float) -> None:
        """See Runner; nothing is known of it."""

    async def end(self, service: str) -> None:
        """See Runner; nothing is known of it, since a daemon leaves its session."""
