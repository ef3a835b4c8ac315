# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""The heart's hands: sets, removes, adopts and announces the virtual addresses.

When that is due is engine.py's matter; how the kernel is told, net/addresses.py's. What is held
is noted in the run folder before it is set, for whoever must let go in the heart's place.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from pathlib import Path

from piranha.net.addresses import Addresses, VirtualAddress
from piranha.net.announce import Announcer

from . import ledger

MEND = 5.0
"""Seconds between two attempts to set addresses that could not be set."""

Log = Callable[[str, str], None]


class Outcome(enum.Enum):
    """What came of setting the addresses."""

    SET = "set"
    """All that can be set are; the log says which cannot."""
    MENDED = "mended"
    """The same, and at least one of them could not be set before."""
    FAILED = "failed"
    """None could be set."""


class Holding:
    """The virtual addresses of this router, as its kernel has them.

    wanted: those of the configuration. log: takes a level and a sentence. Times are of the
    heart's clock, in seconds.
    """

    def __init__(
        self, addresses: Addresses, wanted: tuple[VirtualAddress, ...], run_dir: Path, log: Log
    ) -> None:
        self.problems: list[str] = []
        """What is wrong with the addresses now, a sentence each."""
        self._addresses, self._wanted = addresses, wanted
        self._run_dir, self._log = run_dir, log
        self._mended_at = 0.0
        try:
            self._announcer: Announcer | None = Announcer()
        except PermissionError:
            self._announcer = None

    def complain(self) -> None:
        """Log what is not allowed here, once at the start."""
        if self._announcer is None:
            self._log("err", "announcements are not allowed; pulse needs CAP_NET_RAW")

    def next_at(self) -> float | None:
        """Give when `step` is due at the latest, or None."""
        return None if self._announcer is None else self._announcer.next_at()

    def step(self, now: float) -> None:
        """Send the announcements that are due."""
        if self._announcer is not None and (problem := self._announcer.step(now)):
            self._log("warning", problem)

    def mend_due(self, now: float) -> bool:
        """Whether it is time to try again what could not be set."""
        return bool(self.problems) and now - self._mended_at >= MEND

    def acquire(self, now: float) -> Outcome:
        """Set all addresses."""
        wanted = self._wanted
        self._mended_at = now
        self._note(hold=True)
        try:
            problems = self._addresses.acquire(wanted)
            failed = bool(problems) and len(self._addresses.missing(wanted)) == len(wanted)
        except OSError as error:
            problems, failed = [f"the addresses could not be set: {error.strerror}"], True
        for problem in problems:
            if problem not in self.problems:
                self._log("err", problem)
        mended = bool(self.problems) and not problems
        self.problems = problems
        if failed:
            return Outcome.FAILED
        return Outcome.MENDED if mended else Outcome.SET

    def release(self) -> None:
        """Remove all addresses, and announce them no more."""
        if self._announcer is not None:
            self._announcer.cancel()
        self._note(hold=False)
        try:
            problems = self._addresses.release(self._wanted)
        except OSError as error:
            problems = [f"the addresses could not be removed: {error.strerror}"]
        for problem in problems:
            self._log("crit", problem)
        self.problems = problems

    def announce(self, now: float) -> None:
        """Tell the neighbours, now and some more times."""
        if self._announcer is None:
            return
        self._announcer.begin(self._addresses.devices(self._wanted), now)
        self.step(now)

    def gone(self) -> bool:
        """Whether the kernel lacks an address that it shall have."""
        return bool(self._addresses.missing(self._wanted))

    def adopt(self) -> bool:
        """See what the kernel holds; True where the addresses are there and ours to hold.

        What an earlier heart has set and is no longer wanted goes; so does a part that nobody
        was to hold, as a crash in the middle of letting go leaves it.
        """
        wanted = self._wanted
        listed = ledger.read_addresses(self._run_dir)
        missing = self._addresses.missing(wanted)
        held = [entry for entry in wanted if entry not in missing]
        ours = bool(held) and (listed.hold if listed.found else not missing)
        stale = [entry for entry in listed.addresses if entry not in wanted]
        for problem in self._addresses.release(stale if ours else [*stale, *held]):
            self._log("err", problem)
        if ours:
            names = ", ".join(entry.address for entry in held)
            self._log("notice", f"adopts the virtual addresses: {names}")
            if missing or stale:
                self._note(hold=True)
                self.problems = self._addresses.acquire(missing)
            elif not listed.found:
                self._note(hold=True)
        return ours

    def exchange(self, wanted: tuple[VirtualAddress, ...], holding: bool) -> bool:
        """Want other addresses from now on; what is no longer wanted goes at once.

        holding: whether they are held now. Gives whether `acquire` and `announce` are due.
        """
        before, self._wanted = self._wanted, wanted
        if not holding or before == wanted:
            return False
        for problem in self._addresses.release(e for e in before if e not in wanted):
            self._log("err", problem)
        return True

    def _note(self, hold: bool) -> None:
        try:
            ledger.write_addresses(self._run_dir, self._wanted, hold)
        except OSError as error:
            path = self._run_dir / ledger.ADDRESSES
            self._log("err", f"{path}: cannot be written ({error.strerror}); see what fills it")
