# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""The heart's hands: sets, removes, adopts and announces the virtual addresses, and watches them.

What others do to the addresses and their interfaces is told by the kernel, at once. When which
of this is due is engine.py's matter; how the kernel is told, net/addresses.py's. What is held
is noted in the run folder before it is set, for whoever must let go in the heart's place.
"""

from __future__ import annotations

import contextlib
import enum
from collections.abc import Callable, Iterable
from pathlib import Path

from piranha.net.addresses import Addresses, Places, VirtualAddress
from piranha.net.announce import Announcer
from piranha.net.rtnetlink import Address
from piranha.net.watch import Watch

from . import ledger

MEND = 5.0
"""Seconds between two attempts to set addresses that could not be set, or to make ready for it."""
TOLD_AGAIN = 10.0
"""Seconds between two lines of the log about addresses that somebody keeps removing."""
NAMED = 3
"""Addresses that such a line names."""

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
    heart's clock, in seconds. group: whose they are, where services have groups (holdings.py).
    """

    def __init__(
        self,
        addresses: Addresses,
        wanted: tuple[VirtualAddress, ...],
        run_dir: Path,
        log: Log,
        group: str = "",
    ) -> None:
        self.problems: list[str] = []
        """What is wrong with the addresses now, a sentence each."""
        self.unreleased = False
        """Whether addresses that are to be nowhere here are here still."""
        self._addresses, self._wanted = addresses, wanted
        self._run_dir, self._log, self._group = run_dir, log, group
        self._mended_at = 0.0
        self._gone_told_at = self._unready_at = float("-inf")
        self._ready: tuple[VirtualAddress, ...] | None = None
        """The addresses of which the note waits beside its place."""
        self._places: Places | None = None
        """Where the wanted ones go, as far as is known."""
        self._just_set: Places | None = None
        self._watch = Watch()  # before anything is read, so that no change is missed
        self._carriers = addresses.carriers(wanted)
        try:
            self._announcer: Announcer | None = Announcer()
        except PermissionError:
            self._announcer = None

    def close(self) -> None:
        """Watch and announce no more; touches no address."""
        self._watch.close()
        if self._announcer is not None:
            self._announcer.close()

    def fileno(self) -> int:
        """The descriptor to wait for: when it can be read, `heed` has something to do."""
        return self._watch.fileno()

    @property
    def linked(self) -> bool:
        """Whether every interface of the addresses has its link."""
        return not self._carriers.without()

    def troubles(self) -> list[str]:
        """Give what is wrong with the addresses or their interfaces now, a sentence each."""
        return self.problems + [
            f"{name} has no link; the virtual addresses on it cannot be reached through this router"
            for name in self._carriers.without()
        ]

    def heed(self, now: float, holding: bool) -> bool:
        """Take in what others have done; gives whether an address is gone that shall be here.

        holding: whether the addresses are to be here. Where a link is back, or a card has another
        hardware address, the neighbours are told again.
        """
        changes = self._watch.changes()
        news = True in [self._carriers.update(one, there) for one, there in changes.interfaces]
        if changes.interfaces:
            news |= self._addresses.refresh(self._carriers)
        if changes.interfaces or changes.lost:
            self._places = None
        if changes.lost:
            self._carriers = self._addresses.carriers(self._wanted)
        if not holding:
            return False
        if changes.lost or news:
            self.announce(now)
        ours = {entry.ip for entry in self._wanted}
        if not (changes.lost or news or changes.gone & ours):
            return False
        gone = self._addresses.missing(self._wanted)
        if gone and now - self._gone_told_at >= TOLD_AGAIN:
            self._gone_told_at = now
            self._log("warning", f"somebody has removed {_named(gone)}; setting what is missing")
        return bool(gone)

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

    def make_ready(self, now: float) -> None:
        """Do now what would make the next takeover longer: find the places, write the note."""
        if self._places is None:
            self._places = self._addresses.places(self._wanted)
        if self._ready != self._wanted and now - self._unready_at >= MEND:
            try:
                ledger.prepare_addresses(self._run_dir, self._wanted, self._group)
                self._ready = self._wanted
            except OSError:
                self._unready_at = now  # it is told when the note itself cannot be written

    def mend_due(self, now: float) -> bool:
        """Whether it is time to try again what could not be set."""
        return bool(self.problems) and now - self._mended_at >= MEND

    def acquire(self, now: float) -> Outcome:
        """Set all addresses."""
        wanted = self._wanted
        self._mended_at = now
        self._note(hold=True)
        try:
            problems = self._set(wanted)
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

    def _set(self, wanted: tuple[VirtualAddress, ...]) -> list[str]:
        """Set them, at once where they go by what is known, else after another look."""
        places, self._places = self._places, None
        if places is None or not places.lasting or (problems := self._addresses.set(places)):
            places = self._addresses.places(wanted)
            problems = self._addresses.set(places)
        self._just_set = None if problems else places
        return problems

    def release(self) -> bool:
        """Remove all addresses, and announce them no more; False where some are still here."""
        if self._announcer is not None:
            self._announcer.cancel()
        self._just_set = None
        self._note(hold=False)
        try:
            problems = self._addresses.release(self._wanted)
        except OSError as error:
            problems = [f"the addresses could not be removed: {error.strerror}"]
        for problem in problems:
            if problem not in self.problems:
                self._log("crit", problem)
        self.problems = problems
        self.unreleased = bool(problems)
        return not problems

    def announce(self, now: float, only: Iterable[VirtualAddress] | None = None) -> None:
        """Tell the neighbours of all addresses, or of some, now and again later."""
        if self._announcer is None:
            return
        some = None if only is None else {entry.ip for entry in only}
        # Who has just set them knows where they are, and need not ask before the neighbours hear.
        known, self._just_set = self._just_set, None
        devices = self._addresses.devices(self._wanted) if known is None else known.devices()
        self._announcer.begin(devices, now, some)
        self.step(now)

    def gone(self) -> bool:
        """Whether the kernel lacks an address that it shall have."""
        return bool(self._addresses.missing(self._wanted))

    def adopt(self, now: float, others: frozenset[Address] = frozenset()) -> bool:
        """See what the kernel holds; True where the addresses are there and ours to hold.

        others: addresses that are not looked at, since they are another group's. What an earlier
        heart has set and is no longer wanted goes; so does a part that nobody was to hold, as a
        crash in the middle of letting go leaves it.
        """
        wanted = self._wanted
        listed = ledger.read_addresses(self._run_dir, self._group)
        missing = self._addresses.missing(wanted)
        held = [entry for entry in wanted if entry not in missing]
        ours = bool(held) and (listed.hold if listed.found else not missing)
        stale = [one for one in listed.addresses if one not in wanted and one.ip not in others]
        problems = self._addresses.release(stale if ours else [*stale, *held])
        for problem in problems:
            self._log("err", problem)
        self.unreleased = bool(problems) and not ours
        if ours:
            self._log("notice", f"adopts {_named(held)}")
            if missing or stale:
                self._note(hold=True)
                self.problems = self._addresses.acquire(missing)
            elif not listed.found:
                self._note(hold=True)
            self.announce(now, missing)  # who has the others knows it already
        return ours

    def exchange(
        self,
        wanted: tuple[VirtualAddress, ...],
        now: float,
        holding: bool,
        others: frozenset[Address] = frozenset(),
    ) -> bool:
        """Want other addresses from now on; touches none of those that stay as they are.

        holding: whether they are held now. others: addresses that stay here whatever this one
        wants. Gives whether nothing could be set.
        """
        before, self._wanted = self._wanted, wanted
        self._places = None
        self._carriers = self._addresses.carriers(wanted)
        if not holding or before == wanted:
            return False
        stale = [one for one in before if one not in wanted and one.ip not in others]
        for problem in self._addresses.release(stale):
            self._log("err", problem)
        # All, since one that has gone may have taken others of its network with it.
        if self.acquire(now) is Outcome.FAILED:
            return True
        self.announce(now, [entry for entry in wanted if entry not in before])
        return False

    def _note(self, hold: bool) -> None:
        if hold and self._ready == self._wanted:
            self._ready = None
            with contextlib.suppress(OSError):  # somebody has removed it
                ledger.hold_prepared(self._run_dir, self._group)
                return
        try:
            ledger.write_addresses(self._run_dir, self._wanted, hold, self._group)
        except OSError as error:
            path = self._run_dir / ledger.file_of(self._group)
            self._log("err", f"{path}: cannot be written ({error.strerror}); see what fills it")


def _named(entries: list[VirtualAddress]) -> str:
    """Name some addresses, and say how many there are."""
    names = ", ".join(entry.address for entry in entries[:NAMED])
    rest = len(entries) - NAMED
    return f"{names} and {rest} more" if rest > 0 else names
