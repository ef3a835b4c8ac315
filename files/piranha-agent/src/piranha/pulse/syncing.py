# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keeps the kernel's connection synchronisation running, both halves of it, on both routers.

Both halves everywhere and always: whoever takes over need start nothing, and the sending half keeps
up to three seconds of connections in a buffer that would be lost if it were stopped at a hand-over.
They outlive the agent, as the table does. Which connections the kernel sends, and when, is a matter
of its switches (the role sets them); what goes over at an orderly stop, of parting.py.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from typing import Any

from piranha.core.ipvs.errors import IpvsError
from piranha.core.ipvs.port import NetlinkPort, Port
from piranha.core.ipvs.settings import Daemon, Role, StartDaemon, StopDaemon
from piranha.net.sync import LOOPBACK

AGAIN = 5.0
"""Seconds between two attempts to start what does not run: an interface may come late."""
STEADY = 30.0
"""Seconds between two looks whether both halves still run, as somebody may stop them."""
_ANSWER = 1.0


@dataclass(frozen=True, slots=True)
class SyncSettings:
    """syncd_iface and syncd_id."""

    interface: str
    group: int

    def daemons(self) -> tuple[Daemon, ...]:
        """Give both halves. Raises IpvsError where they cannot be."""
        return tuple(Daemon(role, self.interface, syncid=self.group) for role in Role)


def steps(
    wanted: tuple[Daemon, ...], running: tuple[Daemon, ...], *, busy: bool
) -> list[StartDaemon | StopDaemon]:
    """Give what makes the wanted halves run. Pure.

    busy: a half on `lo` takes connections of a hand-over at the moment; it is left alone till then.
    """
    by_role = {one.role: one for one in running}
    commands: list[StartDaemon | StopDaemon] = []
    for one in wanted:
        there = by_role.get(one.role)
        if there is not None and one.agrees(there):
            continue
        if there is not None:
            if busy and there.interface == LOOPBACK:
                continue
            commands.append(StopDaemon(one.role))
        commands.append(StartDaemon(one))
    return commands


class Syncing:
    """The sync daemon of the configuration. Times are of the heart's clock, in seconds.

    wanted: None leaves whatever runs alone. port: the kernel, for tests.
    """

    def __init__(self, wanted: SyncSettings | None, port: Port | None = None) -> None:
        self._wanted = wanted
        self._port = port or NetlinkPort(_ANSWER)
        self._due = 0.0
        self._running: frozenset[Role] = frozenset()
        self.problem = ""
        """Why it does not run as it shall, or empty."""

    def want(self, wanted: SyncSettings | None) -> None:
        """Want another one from now on; None stops the one that was wanted before."""
        if self._wanted is not None and wanted is None:
            with contextlib.suppress(OSError, ValueError, IpvsError):
                self._port.send([StopDaemon(role) for role in Role])
            self.problem, self._running = "", frozenset()
        self._wanted, self._due = wanted, 0.0

    def next_at(self) -> float | None:
        """Give when `step` is due at the latest, or None."""
        return None if self._wanted is None else self._due

    def step(self, now: float, *, busy: bool) -> None:
        """See whether both halves run, and start what does not. busy: see `steps`."""
        if self._wanted is None or now < self._due:
            return
        self._due = now + AGAIN
        try:
            wanted = self._wanted.daemons()
            commands = steps(wanted, self._port.daemons(), busy=busy)
            refused = self._carry_out(commands)
            running = self._port.daemons()
        except (OSError, ValueError, IpvsError) as problem:
            self.problem, self._running = _sentence(self._wanted, problem), frozenset()
            self._port.close()
            return
        self._running = frozenset(
            one.role for one in wanted if any(one.agrees(there) for there in running)
        )
        whole = len(self._running) == len(wanted)
        self.problem = "" if whole or busy else _sentence(self._wanted, refused)
        if whole:
            self._due = now + STEADY

    def _carry_out(self, commands: list[StartDaemon | StopDaemon]) -> OSError | None:
        """One by one, since a half can start only when the one before it has gone."""
        refused = None
        for command in commands:
            (number,) = self._port.send([command])
            if number and isinstance(command, StartDaemon):
                refused = OSError(number, os.strerror(number))
        return refused

    def state(self) -> dict[str, Any] | None:
        """Give what the status tells; None where none is wanted."""
        if self._wanted is None:
            return None
        return {
            "interface": self._wanted.interface,
            "id": self._wanted.group,
            **{role.value: role in self._running for role in Role},
        }


def _sentence(wanted: SyncSettings, why: Exception | None) -> str:
    reason = "it has gone again"
    if isinstance(why, OSError) and why.strerror:
        reason = why.strerror
    elif why is not None:
        reason = str(why).removesuffix(".")
    return (
        f"connections are not synchronised over {wanted.interface} ({reason});"
        f" see syncd_iface in lvs.cf, and whether the interface is there"
    )
