# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""The virtual addresses of all groups of this router: one Holding for each.

What concerns one group is asked of its Holding; here is what concerns them all: which of them an
address belongs to now, and where it goes when the configuration changes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from piranha.net.addresses import Addresses, VirtualAddress
from piranha.net.rtnetlink import Address

from . import ledger
from .holding import Holding, Log, Outcome

Groups = Mapping[str, tuple[VirtualAddress, ...]]


class Holdings:
    """One Holding a group. groups: the addresses of each; the rest as Holding takes it."""

    def __init__(self, addresses: Addresses, groups: Groups, run_dir: Path, log: Log) -> None:
        self._addresses, self._run_dir, self._log = addresses, run_dir, log
        self._groups: dict[str, tuple[VirtualAddress, ...]] = {}
        self._all: dict[str, Holding] = {}
        for name, wanted in groups.items():
            self._add(name, wanted)

    def __getitem__(self, group: str) -> Holding:
        return self._all[group]

    def __iter__(self) -> Iterator[tuple[str, Holding]]:
        return iter(tuple(self._all.items()))

    @property
    def problems(self) -> list[str]:
        """What is wrong with the addresses now, a sentence each."""
        return [problem for one in self._all.values() for problem in one.problems]

    @property
    def unreleased(self) -> bool:
        """Whether addresses that are to be nowhere here are here still."""
        return any(one.unreleased for one in self._all.values())

    def troubles(self) -> list[str]:
        """Give what is wrong with the addresses or their interfaces now, a sentence each."""
        return list(dict.fromkeys(line for one in self._all.values() for line in one.troubles()))

    def next_at(self) -> float | None:
        """Give when `step` is due at the latest, or None."""
        times = [when for one in self._all.values() if (when := one.next_at()) is not None]
        return min(times, default=None)

    def step(self, now: float) -> None:
        """Send the announcements that are due."""
        for one in self._all.values():
            one.step(now)

    def make_ready(self, now: float) -> None:
        """Do now what would make the next takeover longer."""
        for one in self._all.values():
            one.make_ready(now)

    def adopt(self, now: float) -> tuple[dict[str, bool], dict[str, bool]]:
        """See what the kernel holds.

        Gives for each group whether the addresses are there and ours to hold, and whether some
        that are not to be here could not be removed.
        """
        known = {one.ip for wanted in self._groups.values() for one in wanted}
        for name, listed in ledger.read_all(self._run_dir).items():
            if name not in self._all:
                self._drop(name, [one for one in listed.addresses if one.ip not in known])
        ours = {name: one.adopt(now, self._others(name)) for name, one in self}
        return ours, {name: one.unreleased for name, one in self}

    def begins(self, groups: Groups, holding: Mapping[str, bool]) -> dict[str, bool]:
        """Tell for each of other groups whether it begins with its addresses here.

        holding: which of the present ones have theirs. A new one has them where those were here
        that it has them from; else where the main one has its own.
        """
        owner = {one.ip: name for name, wanted in self._groups.items() for one in wanted}
        main = next(iter(self._groups))
        begins = {}
        for name, wanted in groups.items():
            before = [owner[one.ip] for one in wanted if one.ip in owner] or [main]
            begins[name] = holding[name if name in self._all else before[0]]
        return begins

    def exchange(self, groups: Groups, now: float, holding: Mapping[str, bool]) -> list[str]:
        """Want other addresses from now on; touches none of those that stay as they are.

        holding: for each of `groups`, whether it is to have its addresses. Gives those of which
        nothing could be set.
        """
        before, self._groups = self._groups, dict(groups)
        kept = {one.ip for name, wanted in groups.items() if holding[name] for one in wanted}
        for name, wanted in before.items():
            if name not in groups:
                self._drop(name, [one for one in wanted if one.ip not in kept])
        failed = []
        for name, wanted in groups.items():
            if name not in self._all:
                self._add(name, wanted)
                if holding[name] and self[name].acquire(now) is Outcome.FAILED:
                    failed.append(name)
                elif holding[name]:
                    self[name].announce(now)
            else:
                # One of its own that changes its interface or netmask has to leave the old one.
                others = frozenset(kept - {one.ip for one in wanted})
                if self[name].exchange(wanted, now, holding[name], others):
                    failed.append(name)
        return failed

    def _add(self, name: str, wanted: tuple[VirtualAddress, ...]) -> None:
        self._groups[name] = wanted
        self._all[name] = Holding(self._addresses, wanted, self._run_dir, self._log, name)

    def _drop(self, name: str, stale: Iterable[VirtualAddress]) -> None:
        """Forget a group that is none any more, and remove what no other one has of it."""
        one = self._all.pop(name, None)
        if one is not None:
            one.close()
        for problem in self._addresses.release(stale):
            self._log("err", problem)
        ledger.forget_addresses(self._run_dir, name)

    def _others(self, name: str) -> frozenset[Address]:
        """Give the addresses of the other groups."""
        others = (wanted for other, wanted in self._groups.items() if other != name)
        return frozenset(one.ip for wanted in others for one in wanted)
