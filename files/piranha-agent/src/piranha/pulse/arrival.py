# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes connections over from the partner: gives them to the kernel, and confirms them.

A portion is confirmed once the kernel has fetched it, since the partner lets go of the addresses
then. Nothing here waits, since `step` is called at every turn of the heart; but for `settle`.
"""

from __future__ import annotations

import time

from piranha.net.connections import Connection
from piranha.net.sync import Backup, SyncError

from .handover import MOST_RECEIPTS, Services, contents, limits

GLANCE = 0.001
"""Seconds between two looks whether the kernel has fetched what it was given."""
PATIENCE = 0.8
"""The share of the time after which the partner gives up: then a portion is confirmed though it may
wait. The kernel's daemon is an ordinary thread, and on a busy machine takes tenths of a second."""
LINGER = 1.0
"""Seconds without a portion after which the sync daemon is stopped."""


class Arrival:
    """What comes from the partner. All times are of the heart's clock, in seconds."""

    def __init__(self, services: Services, deadtime: float) -> None:
        self.want(services, deadtime)
        self._backup = Backup()
        self._owed: list[int] = []
        """Sequences of portions that were given and not confirmed yet."""
        self._given_at = self._came_at = self._looked_at = 0.0
        self._seen: set[Connection] = set()
        self._waits = False
        """Whether something was given that the kernel has not fetched, as far as is known."""
        self._refusing = False
        self._told = ""
        """The problem that the log knows already."""

    def want(self, services: Services, deadtime: float) -> None:
        """Take connections of other services from now on; deadtime as the partner has it."""
        self._services, self._limits = services, limits(deadtime)

    @property
    def busy(self) -> bool:
        """Whether connections are coming in at the moment."""
        return self._backup.open

    def clear(self) -> None:
        """To be called once at the start: stop what an earlier heart may have left."""
        self._backup.clear()

    def take(self, portion: bytes, sequence: int, now: float) -> str:
        """Give a portion to the kernel; gives a sentence for the log where that fails, once."""
        try:
            chosen = contents(portion, self._services)
            self._backup.start()
            self._backup.give(chosen)
        except (SyncError, ValueError) as problem:
            self._refusing = True
            said, self._told = self._told, str(problem)
            return "" if said == self._told else f"connections are not taken over: {problem}"
        self._told = ""
        self._waits = True
        self._came_at = now
        if not self._owed:
            self._given_at = now
        self._owed.append(sequence)
        self._seen.update(chosen)  # a portion may come twice
        return ""

    def step(self, now: float) -> tuple[int, ...] | None:
        """Give the sequences to confirm now, none of them where the partner asks in vain; or None.

        Stops the sync daemon when it is not needed any more.
        """
        if self._refusing:
            self._refusing = False
            return ()
        self._looked_at = now
        late = now - self._given_at >= PATIENCE * self._limits.stall
        if self._owed and (self._fetched() or late):
            owed, self._owed = self._owed[:MOST_RECEIPTS], self._owed[MOST_RECEIPTS:]
            return tuple(owed)
        if self._backup.open and not self._owed and now - self._came_at >= LINGER:
            self._waits = False
            self._backup.stop()
        return None

    def settle(self) -> None:
        """Wait a moment, before the addresses are set, for what the kernel has not fetched yet.

        A packet that comes before its connection is answered with a reset; one that nobody answers
        is sent again.
        """
        end = time.monotonic() + self._limits.between
        while self._waits and time.monotonic() < end:
            time.sleep(GLANCE)
            if self._fetched():
                time.sleep(GLANCE)  # the last of it is being read

    def _fetched(self) -> bool:
        self._waits = not self._backup.taken()
        return not self._waits

    def next_at(self) -> float | None:
        """Give when `step` is due at the latest."""
        if self._owed:
            return self._looked_at + GLANCE  # asking all the time would keep the kernel from it
        return self._came_at + LINGER if self._backup.open else None

    def end(self) -> None:
        """Leave nothing behind."""
        self._waits = False
        self._backup.stop()

    def news(self) -> str:
        """Give a sentence, once, about what was taken when all has come; else nothing."""
        if self._backup.open or not self._seen:
            return ""
        count = len(self._seen)
        self._seen.clear()
        return f"{count} connections were taken over from the partner"
