# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which services are checked from here, and what the results mean. Pure but for its memory.

The active router checks its own services; a standby those of the active one, through the network,
as the original's nannies did. A partner that is just starting something again is left in peace,
and one that has not had the time to notice for itself, too.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from piranha.nanny.outcome import Finding, Result
from piranha.nanny.spec import NoCheck, Watch
from piranha.nanny.verdict import Policy, State, Verdict, begin, judge

from .board import Entry, Phase, Role
from .settings import Service


@dataclass(frozen=True)
class Seen:
    """What a result means for one service. down: it failed often enough to count."""

    service: Service
    good: bool
    down: bool
    words: str


def watched(entries: Iterable[Entry], role: Role) -> list[Service]:
    """Give the services to check now."""
    if role.holding:
        return [
            entry.service
            for entry in entries
            if entry.phase in (Phase.STARTING, Phase.RUNNING) and not entry.busy and not entry.gone
        ]
    word = role.word
    if role.partner != "active" or word is None or word.mending or not word.running:
        return []
    return [entry.service for entry in entries if entry.service.critical and not entry.gone]


def patience(service: Service) -> float:
    """Give the seconds in which the partner notices by its own checks that the service failed."""
    if service.watch is None or isinstance(service.watch.check, NoCheck):
        return 0.0
    return service.watch.interval * service.fall + service.watch.check.limit + HEARD


HEARD = 1.0
"""Seconds in which the partner's word that it mends something gets here."""


class Verdicts:
    """The verdict on each service that is checked; begun anew whenever it was not for a while."""

    def __init__(self) -> None:
        self._verdicts: dict[str, Verdict] = {}
        self._services: dict[str, Service] = {}
        self._patient = False
        self._bad_since: dict[str, float] = {}

    def watch(
        self, services: Iterable[Service], now: float, *, patient: bool = False
    ) -> list[Watch]:
        """Take what is checked from now on; gives how. patient: it is the partner's."""
        self._patient = patient
        self._services = {one.name: one for one in services if one.watch is not None}
        known = self._verdicts
        self._verdicts = {name: known.get(name) or begin(now) for name in self._services}
        return [one.watch for one in self._services.values() if one.watch is not None]

    def take(self, watch: Watch, result: Result) -> list[Seen]:
        """Take a result; a check that this router could not make says nothing."""
        if result.outcome.finding is Finding.UNKNOWN:
            return []
        seen = []
        for name, service in self._services.items():
            if service.watch != watch:
                continue
            policy = Policy(watch.interval, 0.0, fall=service.fall)
            verdict = judge(self._verdicts[name], result, policy)
            self._verdicts[name] = verdict
            good = result.outcome.finding is Finding.GOOD
            end = result.at + result.seconds
            if good:
                self._bad_since.pop(name, None)
            lasted = 0.0 if good else end - self._bad_since.setdefault(name, end)
            down = verdict.state is State.DOWN and (not self._patient or lasted > patience(service))
            seen.append(Seen(service, good, down, result.outcome.words))
        return seen

    def changing(self, watch: Watch) -> bool:
        """Whether more of the same would change a verdict: check again soon."""
        names = [name for name, one in self._services.items() if one.watch == watch]
        return any(self._verdicts[name].changing for name in names)
