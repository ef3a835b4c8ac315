# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is known of every real server: its verdict, kept while the configuration changes.

Holds state but touches nothing outside: results, times and tables are handed in. One result may
concern several servers, since equal checks are made once.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from piranha.core.ipvs.model import ServiceKey, Table
from piranha.nanny.outcome import Finding, Outcome, Result
from piranha.nanny.spec import Watch
from piranha.nanny.verdict import State, Verdict, adopt, begin, judge, settled

from . import ramp
from .layout import Layout, RealServer, ServerId, VirtualService
from .pool import NO_OVERRIDES, NOTHING, Overrides


@dataclass(frozen=True)
class Change:
    """A real server of which something has changed, or which can no longer be checked."""

    virtual: VirtualService
    server: RealServer
    before: State
    verdict: Verdict
    note: str = ""
    """What else is new where the state is the same."""

    @property
    def fell(self) -> bool:
        """True where it was in service, or about to be, and has gone down."""
        return self.verdict.state is State.DOWN and self.before is not State.DOWN

    @property
    def unchecked(self) -> bool:
        """True where only this is new: this router cannot check the server any more."""
        return self.verdict.state is self.before and not self.note


class _Subject:
    """What hangs on one check: servers, the last result, the outcome in which nothing changes."""

    __slots__ = ("at_rest", "last", "users")

    def __init__(self, last: Result | None) -> None:
        self.users: list[tuple[VirtualService, RealServer]] = []
        self.last = last
        self.at_rest: Outcome | None = None


class Health:
    """The verdicts of all servers of a layout."""

    def __init__(self) -> None:
        """No server yet; `configure` brings them."""
        self._virtuals: dict[int, VirtualService] = {}
        self._verdicts: dict[ServerId, Verdict] = {}
        self._subjects: dict[Watch, _Subject] = {}
        self._unseen: set[ServerId] = set()
        self._rising: dict[ServerId, VirtualService] = {}

    @property
    def verdicts(self) -> Mapping[ServerId, Verdict]:
        """The verdict on each server of the layout."""
        return MappingProxyType(self._verdicts)

    @property
    def watches(self) -> Collection[Watch]:
        """Every distinct check that the layout needs."""
        return self._subjects.keys()

    def configure(self, layout: Layout, now: float) -> bool:
        """Take over another layout; servers that were there before keep their verdicts.

        Virtual services that are the same objects as before cost nothing. Gives whether any
        check has come or gone.
        """
        before, self._virtuals = self._virtuals, {id(one): one for one in layout.virtual}
        gone = [one for key, one in before.items() if key not in self._virtuals]
        new = [one for key, one in self._virtuals.items() if key not in before]
        known: dict[ServerId, Verdict] = {}
        for virtual in gone:
            for server in virtual.servers:
                last = self.last(server)
                known[server.id] = self._verdicts.pop(server.id)._replace(last=last)
                self._rising.pop(server.id, None)
        ended = self._without(gone)
        begun = set()
        for virtual in new:
            for server in virtual.servers:
                verdict = known.get(server.id)
                if verdict is None:
                    self._unseen.add(server.id)
                elif verdict.ramp < ramp.WHOLE:
                    self._rising[server.id] = virtual
                self._verdicts[server.id] = verdict or begin(now)
                subject = self._subjects.get(server.watch)
                if subject is None:
                    begun.add(server.watch)
                    same = ended.get(server.watch)
                    subject = self._subjects[server.watch] = _Subject(same.last if same else None)
                subject.users.append((virtual, server))
                subject.at_rest = None
        if known:
            self._unseen &= self._verdicts.keys()
        return begun != ended.keys()

    def _without(self, gone: Iterable[VirtualService]) -> dict[Watch, _Subject]:
        """Let go of virtual services; gives the checks that nobody uses any more."""
        names = {id(one) for one in gone}
        ended = {}
        for watch in {server.watch for one in gone for server in one.servers}:
            subject = self._subjects[watch]
            subject.users = [user for user in subject.users if id(user[0]) not in names]
            if not subject.users:
                ended[watch] = self._subjects.pop(watch)
        return ended

    def adopt(
        self,
        layout: Layout,
        table: Table,
        now: float,
        overrides: Overrides = NO_OVERRIDES,
    ) -> None:
        """Take servers that are new to us as the kernel's table has them.

        For the first table read after `configure`. A server in the table counts as up; with
        weight 0, where a failed server gets that and nobody ordered it, as down.
        """
        for virtual, server in layout.servers():
            if server.id not in self._unseen or self._verdicts[server.id].tried:
                continue
            entry = table.servers(virtual.key).get(server.id.server)
            if entry is not None:
                ordered = overrides.get(server.id, NOTHING).weight
                wanted = server.weight if ordered is None else ordered
                quiesced = virtual.quiesce and entry.weight == 0 and wanted != 0
                self._verdicts[server.id] = adopt(now, up=not quiesced)
        self._unseen.clear()

    def last(self, server: RealServer) -> Result | None:
        """Give the last result of the check of a server, judged or not."""
        subject = self._subjects.get(server.watch)
        return (subject and subject.last) or self._verdicts[server.id].last

    def record(self, watch: Watch, result: Result) -> list[Change]:
        """Count a result; gives the servers of which it changed anything worth telling."""
        subject = self._subjects.get(watch)
        if subject is None:
            return []
        subject.last = result
        outcome = result.outcome
        if subject.at_rest is outcome or subject.at_rest == outcome:
            return []
        subject.at_rest = outcome
        changes = []
        for virtual, server in subject.users:
            before = self._verdicts[server.id]
            after = judge(before, result, virtual.policy)
            if after.state is not before.state:
                after = self._turned(virtual, server, before, after)
            self._verdicts[server.id] = after
            note = _note(before, after)
            if after.state is not before.state or note or _lost(before.last, result):
                changes.append(Change(virtual, server, before.state, after, note))
            if not settled(after, outcome):
                subject.at_rest = None
        return changes

    def _turned(
        self, virtual: VirtualService, server: RealServer, before: Verdict, after: Verdict
    ) -> Verdict:
        """Begin slow start where a server has come back; one that was never down needs none."""
        self._rising.pop(server.id, None)
        if before.state is not State.DOWN or not virtual.slow_start:
            return after._replace(ramp=ramp.WHOLE)
        self._rising[server.id] = virtual
        return after._replace(ramp=ramp.percent(0.0, virtual.slow_start))

    def rise(self, now: float) -> tuple[set[ServiceKey], float | None]:
        """Go on with slow starts.

        Gives the services with a server whose share has grown, and the seconds until the next
        one grows; None: nobody is in a slow start any more.
        """
        grown: set[ServiceKey] = set()
        pauses = []
        for server, virtual in list(self._rising.items()):
            verdict = self._verdicts[server]
            elapsed = now - verdict.since
            share = ramp.percent(elapsed, virtual.slow_start)
            if share != verdict.ramp:
                self._verdicts[server] = verdict._replace(ramp=share)
                grown.add(virtual.key)
            if share < ramp.WHOLE:
                pauses.append(ramp.next_step(elapsed, virtual.slow_start))
            else:
                del self._rising[server]
        return grown, min(pauses, default=None)

    def settled(self, watch: Watch) -> bool:
        """Whether all servers that hang on this check are up: one more success is no news."""
        subject = self._subjects.get(watch)
        return subject is None or all(
            self._verdicts[server.id].state is State.UP for _unused, server in subject.users
        )

    def ease(self, shares: Mapping[ServerId, int]) -> set[ServiceKey]:
        """Set what their load leaves some servers of their weight; gives services it concerns."""
        concerned = set()
        for server, share in shares.items():
            verdict = self._verdicts.get(server)
            if verdict is not None and verdict.busy != share:
                self._verdicts[server] = verdict._replace(busy=share)
                concerned.add(server.service)
        return concerned

    def changing(self, watch: Watch) -> bool:
        """Whether a state that hangs on this check is about to change."""
        subject = self._subjects.get(watch)
        return subject is not None and any(
            self._verdicts[server.id].changing for _unused, server in subject.users
        )


def _note(before: Verdict, after: Verdict) -> str:
    """Say what is new though the state is the same: another share, or a warning."""
    if after.state is not before.state:
        return ""
    if after.share != before.share:
        asked = "its whole weight" if after.share is None else f"{after.share} % of its weight"
        return f"asks for {asked}"
    warning = after.last.outcome.warning if after.last else None
    known = before.last is not None and before.last.outcome.warning is not None
    return f"is up, but {warning}" if warning and not known and after.state is State.UP else ""


def _lost(before: Result | None, now: Result) -> bool:
    """Tell whether this is the first of a row of checks that could not be made."""
    was_known = before is None or before.outcome.finding is not Finding.UNKNOWN
    return was_known and now.outcome.finding is Finding.UNKNOWN and not now.outcome.quiet
