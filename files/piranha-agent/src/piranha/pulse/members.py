# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""The groups of one router: each has its own addresses and its own machine. Pure.

A router of virtual servers has one, without a name. With `service = fos` services may have groups
that move alone; the partner, its heartbeats and their times are the same for all of them. The
first group is the main one: its state stands in each heartbeat's head, for whoever knows no more.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from .machine import HOLDING, Machine, State, Step, Timing
from .wire import PeerState
from .word import News, Word, encode, group_id

MAIN = ""
"""The name of the group of those that have none."""


class Member:
    """One group on this router."""

    def __init__(self, name: str, timing: Timing, now: float, mark: int = 0) -> None:
        self.name = name
        self.id = group_id(name)
        self.machine = Machine(timing, now, mark)
        self.word: Word | None = None
        """What this router tells of its failover services; None: it has none."""
        self.partner_word: Word | None = None
        """What the partner said last of its own."""
        self.unfit_for = ""
        """Why this router gave the addresses up by itself; counts while it is in FAULT."""

    @property
    def holding(self) -> bool:
        """Whether this router is to have the group's addresses."""
        return self.machine.state in HOLDING

    def hear(self, news: News | None) -> None:
        """Take the partner's word, if it says any."""
        if news is not None:
            self.partner_word = news.groups.get(self.id, (None, news.word))[1]

    def said(self, state: PeerState, news: News | None) -> PeerState:
        """What the partner is as to this group. state: in the heartbeat's head."""
        if news is None or self.id not in news.groups:
            return state  # as in a goodbye, which is the whole router's
        return news.groups[self.id][0]

    def conceded(self, news: News) -> int | None:
        """How often the partner conceded the group's addresses, where it says that."""
        return news.conceded.get(self.id if self.id in news.groups else b"")


class Members:
    """All groups of one router, the main one first. names: theirs; () is one without a name.

    mark: as Machine takes it.
    """

    def __init__(self, names: Iterable[str], timing: Timing, now: float, mark: int = 0) -> None:
        self._mark = mark
        self._members = {name: Member(name, timing, now, mark) for name in names or (MAIN,)}

    def __iter__(self) -> Iterator[Member]:
        return iter(tuple(self._members.values()))

    def __len__(self) -> int:
        return len(self._members)

    def __getitem__(self, name: str) -> Member:
        return self._members[name]

    def find(self, name: object) -> Member | None:
        """Give the one of that name, the main one for None; None where there is none."""
        return self.main if name is None else self._members.get(str(name))

    @property
    def main(self) -> Member:
        """The one that stands for the router."""
        return next(iter(self._members.values()))

    @property
    def alone(self) -> bool:
        """Whether there is one group only, which may then say goodbye by itself."""
        return len(self._members) == 1

    @property
    def ended(self) -> bool:
        """Whether no group is left that has not stopped."""
        return all(member.machine.state is State.STOPPED for member in self)

    @property
    def words(self) -> tuple[Word | None, ...]:
        """What the partner said last, of each group."""
        return tuple(member.partner_word for member in self)

    @property
    def cut_off(self) -> bool:
        """Whether a group waits since this router hears neither its partner nor a witness."""
        return any(member.machine.cut_off for member in self)

    def waiting(self, now: float) -> Machine:
        """Give the machine for which a witness's answer decides soonest."""
        waits = (one.machine for one in self if one.machine.asks_witness(now) and not one.holding)
        return next(waits, self.main.machine)

    def share_witness(self) -> None:
        """What one machine knows of a witness holds for all."""
        times = [at for one in self if (at := one.machine.witness_at) is not None]
        for member in self if times else ():
            member.machine.witnessed(max(times))

    def body(self, member: Member, state: PeerState) -> bytes:
        """Give what a heartbeat carries. state: what is said of one of them, now."""
        if self.alone and member.name == MAIN:
            return encode(member.word or Word(), conceded=(member.machine.conceded,))
        told: Mapping[str, tuple[PeerState, Word]] = {
            one.name: (state if one is member else one.machine.said(), one.word or Word())
            for one in self
        }
        conceded = [one.machine.conceded for one in (self.main, *self)]
        return encode(self.main.word or Word(), told, conceded)

    def change(
        self, holding: Mapping[str, bool], timing: Timing, now: float
    ) -> list[tuple[Member, list[Step]]]:
        """Have other groups. holding: all of them, and whether a new one begins with its addresses.

        Gives the steps by which the new ones begin. What stays goes on as it is.
        """
        begun = []
        before, self._members = self._members, {}
        for name, has in holding.items():
            self._members[name] = before.get(name) or Member(name, timing, now, self._mark)
            if name not in before:
                member = self._members[name]
                member.word = Word()
                begun.append((member, member.machine.start(now, has)))
        return begun
