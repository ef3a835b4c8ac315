# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""lvsd: keeps the kernel's IPVS table equal to lvs.cf and to the health of the real servers.

A thin shell: it owns the clock, the checks and the link to pulse, and hands everything to the
pure parts (layout, health, desired, words). The table is adopted at start and left as it is at
the end, however the end comes: the kernel goes on forwarding without lvsd.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from piranha.core.ipvs.errors import IpvsError
from piranha.core.ipvs.model import ServiceKey, Table
from piranha.core.lvs_cf.api import collector_at_rest
from piranha.marks.keeper import Keeper
from piranha.nanny.engine import Engine
from piranha.nanny.outcome import Finding, Result
from piranha.nanny.spec import Watch
from piranha.net.news import News

from . import orders, ramp, words
from .alarms import Alarms
from .desired import desired
from .doors import Doors
from .drift import Glance
from .health import Change, Health
from .inquiry import Inquiry
from .kept import Kept
from .layout import Layout, LayoutError, ServerId
from .load_watch import LoadWatch
from .names import Change as NewAddress
from .names import Names
from .orders import Refused
from .pace import Pace
from .reconcile import Reconciler, Step
from .reporter import Answer, Reporter
from .senses import Senses
from .snapshot import Tally
from .source import Source
from .standing import StandingOrders
from .window import Window

TICK = 1.0
"""Seconds between two signs of life, each with a snapshot."""

LOOK = 2.0
"""Seconds between two looks at the kernel's table, and between two attempts after a failure."""

READ_AGAIN = 60.0
"""Seconds after which the table is read whole, whatever the looks have shown."""

GATHER = (0.02, 2.0, 0.25)
"""Seconds that results of checks are gathered before the table follows (see Pace)."""

STEP_GAP = 0.2
"""Seconds at least between two steps of slow starts, however many servers are in one."""

MARKS_FIRST = 5.0
"""Seconds at most that the table waits for new marking rules."""

SNAPSHOT_GAP = (0.1, 10.0, TICK)
"""Seconds between two snapshots while much changes (see Pace)."""


class Daemon:
    """lvsd without its link: reads the file, runs the checks, keeps the table."""

    def __init__(
        self,
        source: Source,
        reconciler: Reconciler,
        reporter: Reporter,
        kept: Kept,
        window: Window,
        glance: Glance | None = None,
        marks: Keeper | None = None,
        names: Names | None = None,
    ) -> None:
        """Nothing happens before `start`. glance: a cheap look; without one all is read again.

        marks: keeps the marking rules of services that have firewall marks. names: of lvs.cf.
        """
        self._source = source
        self._names = names or Names()
        self._names_told: set[str] = set()
        self._reconciler = reconciler
        self._reporter = reporter
        self._window = window
        self._glance = glance
        self._marks = marks
        self._marks_first = False
        self._layout: Layout | None = None
        self._health = Health()
        self._doors = Doors(reconciler.read, reconciler.holds)
        self._engine = Engine(self._on_result, self._doors.open)
        self._senses = Senses(self._doors, self._engine.hasten)
        self._loads = LoadWatch(self._on_shares, reporter.event)
        self._orders = StandingOrders(kept)
        self._inquiry = Inquiry(self._health, self._orders, window, self._loads.busy)
        self._alarms = Alarms()
        self._changes: list[Change] = []
        self._dirty: set[ServiceKey] = set()
        self._tally = Tally()
        self._summary: dict[str, Any] | None = None
        self._read_at = float("-inf")
        self._config_error: list[str] = []
        self._table_error: str | None = None
        self._drifts = 0
        self._timers: dict[str, asyncio.TimerHandle | asyncio.Handle] = {}
        self._told_at = float("-inf")
        self._gather = Pace(*GATHER)
        self._telling = Pace(*SNAPSHOT_GAP)

    def hear(self, news: News) -> None:
        """Hear what the kernel tells of this router's network; without it looks find it later."""
        self._senses.listen(news)

    def start(self) -> None:
        """Read the configuration, adopt the table and begin to check."""
        self._orders.load()
        if self._orders.error is not None:
            self._reporter.event(words.event("err", self._orders.error))
        with collector_at_rest():
            self._load()
            self._look()
        self._tick()

    async def stop(self) -> None:
        """End the checks; the table stays."""
        for timer in self._timers.values():
            timer.cancel()
        self._senses.close()
        await self._names.stop()
        await self._loads.stop()
        await self._engine.stop()
        if self._marks is not None:
            await self._marks.stop()

    def reload(self) -> list[str]:
        """Read the configuration again; gives what is wrong, in which case nothing changes."""
        problems = self._load()
        if not problems:
            self._tell_state()
        return problems

    def requests(self) -> dict[str, Answer]:
        """Give what pulse may ask, by name."""
        return {
            "reload": self._reload_asked,
            "override": self.override,
            "servers": self.servers,
            "services": self.services,
            "check": self.check,
        }

    def _reload_asked(self, _arguments: dict[str, Any]) -> dict[str, Any]:
        problems = self.reload()
        if problems:
            raise Refused("; ".join(problems))
        return {}

    # -- configuration ------------------------------------------------------------------------

    def _load(self) -> list[str]:
        try:
            self._names.want(self._source.read(), self._on_names)
            if self._layout is None and self._names.pending:
                return []  # half a layout would take servers out of the table that are well
            self._lay_out()
        except LayoutError as error:
            self._refused(error)
            return error.sentences
        self._config_error = []
        return []

    def _lay_out(self) -> None:
        """Put in force what was read last, with the addresses that its names have; LayoutError."""
        new = self._source.layout(self._names.addresses)
        before, self._layout = self._layout, new
        checks_differ = self._health.configure(new, self._now())
        self._impose()
        self._loads.configure(new)
        keys = {virtual.key for virtual in new.virtual}
        self._window.forget(keys)
        self._alarms.forget(keys)
        self._at("rise", 0.0, self._rise)
        if checks_differ or before is None or before.floating != new.floating:
            self._senses.configure(self._health.watches, new.floating)
        if checks_differ:
            # The first time the table comes first.
            self._at("watch", 0.0, self._watch)
        if self._marks is not None and self._marks.want(new.marks(), self._marks_are_there):
            # A service that turns into one with a mark must not lose its packets in between.
            self._marks_first = True
            self._at("marks", MARKS_FIRST, self._marks_are_there)
        servers = sum(1 for _unused in new.servers())
        verb = "starts" if before is None else "has a new configuration"
        parts = f"{words.count(len(new.virtual), 'virtual service')}, "
        parts += words.count(servers, "real server")
        self._reporter.event(words.event("info", f"lvsd {verb}: {parts}"))
        if before is not None and before.keys == new.keys and self._doors.settled:
            # Only blocks whose text is another are other objects.
            pairs = zip(before.virtual, new.virtual, strict=True)
            self._dirty |= {now.key for was, now in pairs if was is not now}
            self._reconcile()
        elif before is not None:
            self._reconcile(whole=True)

    def _watch(self) -> None:
        self._engine.watch(self._health.watches)

    def _on_names(self, changes: list[NewAddress]) -> None:
        """Names in lvs.cf have another address, or were asked for the first time."""
        for name, before, now in changes:
            if before is not None:
                text = f"the name {name} in lvs.cf is {now} now, it was {before}"
                self._reporter.event(words.event("notice", text))
        problems = self._names.problems()
        for problem in problems:
            if problem not in self._names_told:
                self._reporter.event(words.event("warning", f"{problem}; it is asked for again"))
        self._names_told = set(problems)
        if changes or self._layout is None:
            try:
                self._lay_out()
            except LayoutError as error:
                self._refused(error)
            self._reconcile(whole=True)
        self._tell_state_soon()

    def _refused(self, error: LayoutError) -> None:
        sentences = error.sentences
        if sentences == self._config_error:
            return
        self._config_error = sentences
        stays = "the running configuration stays" if self._layout else "the table stays as it is"
        for sentence in sentences:
            self._reporter.event(words.event("err", sentence))
        self._reporter.event(words.event("err", f"the configuration cannot be used; {stays}"))

    def _marks_are_there(self) -> None:
        """Go on with the table, which waited for marking rules; also where they cannot be made."""
        if self._marks_first:
            self._marks_first = False
            self._timers.pop("marks").cancel()
            self._reconcile(whole=True)
            self._tell_state_soon()

    # -- health ---------------------------------------------------------------------------------

    def _on_result(self, watch: Watch, result: Result) -> bool:
        if self._doors.used or result.outcome.finding is Finding.BAD:
            result = self._senses.refine(watch, result, matters=not self._health.settled(watch))
        changes = self._health.record(watch, result)
        if changes:
            self._changes += changes
            touched = {change.virtual.key for change in changes}
            self._dirty |= touched
            self._recount(touched)
            if any(change.fell for change in changes):
                self._senses.suspect(watch)
            if "reconcile" not in self._timers:
                self._at("reconcile", self._gather.gap, self._reconcile_soon)
            if any(change.verdict.ramp < ramp.WHOLE for change in changes):
                self._at("rise", STEP_GAP, self._rise)
        return watch.fast is not None and self._health.changing(watch)

    def _on_shares(self, shares: Mapping[ServerId, int]) -> None:
        """Some servers are busier, or less busy, than they were."""
        self._dirty |= self._health.ease(shares)
        if self._dirty and "reconcile" not in self._timers:
            self._at("reconcile", self._gather.gap, self._reconcile_soon)

    def _rise(self) -> None:
        """Go on with slow starts, and come again for the next step."""
        grown, pause = self._health.rise(self._now())
        self._dirty |= grown
        self._reconcile()
        if pause is not None:
            self._at("rise", max(STEP_GAP, pause), self._rise)

    # -- operators ------------------------------------------------------------------------------

    def _impose(self) -> None:
        self._orders.impose(self._layout or Layout())
        self._recount(None)

    def override(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """Carry out an operator's order; Refused. See orders.py for arguments and answer."""
        wanted = orders.read(arguments, time.time(), "root")
        layout = self._loaded()
        outcome = orders.decide(layout, self._orders.rules, wanted)
        answer = orders.answer(outcome, self._health.verdicts, self._orders.after(outcome))
        if wanted.dry_run or not outcome.changed:
            return answer
        self._orders.keep(outcome)
        self._impose()
        self._dirty.update(virtual.key for virtual, _server in outcome.places)
        self._reporter.event(words.event("notice", orders.sentence(outcome, wanted)))
        for warning in answer["warnings"]:
            self._reporter.event(words.event("crit", warning))
        self._reconcile()
        if self._table_error is not None:
            answer["warnings"].append(f"it is kept, but {self._table_error}")
        self._tell_state()
        return answer

    def services(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """Give a page of virtual services; see Inquiry."""
        return self._inquiry.services(self._layout or Layout(), arguments)

    def servers(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """Give all about one real server; see Inquiry."""
        return self._inquiry.servers(self._loaded(), arguments)

    def check(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """Make the checks of one real server now; Refused. What comes of them counts as ever.

        Gives `now`, in seconds since the epoch: a `last_check` that ended after it is the answer.
        """
        places = orders.places(self._loaded(), *orders.whom(arguments))
        self._engine.at_once({server.watch for _virtual, server in places})
        return {"now": time.time()}

    def _loaded(self) -> Layout:
        if self._layout is None:
            raise Refused("lvsd has no configuration that it can use; see piranha status")
        return self._layout

    # -- the table --------------------------------------------------------------------------------

    def _look(self) -> None:
        """See that the table is as it shall be; what could not be done before is tried again."""
        if self._layout is None and self._timers and not self._names.pending:
            self._load()
        self._glance_at()
        for event in self._senses.look():
            self._reporter.event(event)
        if self._marks is not None:
            self._marks.look()
        self._at("look", LOOK, self._look)

    def _glance_at(self) -> None:
        late = self._now() - self._read_at > READ_AGAIN
        seen = self._glance and self._glance.changed(self._reconciler.ours)
        if seen is None or late or not self._reconciler.certain:
            self._reconcile(whole=True)
        elif seen:
            self._dirty |= seen
            self._reconcile()

    def _reconcile_soon(self) -> None:
        self._timers.pop("reconcile", None)
        with self._gather:
            self._reconcile()

    def _reconcile(self, *, whole: bool = False) -> None:
        if self._layout is None or self._marks_first:
            return
        dirty, self._dirty = self._dirty, set()
        whole = whole or not self._reconciler.certain
        if whole:
            step = self._step(self._layout)
        elif dirty:
            verdicts = self._health.verdicts
            part = desired(self._layout, verdicts, self._orders.overrides, dirty)
            part = Table.of_entries({**part, **self._doors.table(dirty)})
            step = self._reconciler.part(part, dirty)
        else:
            return
        self._doors.wrote(operation.service for operation in step.done)
        if self._glance is not None:
            self._glance.doubt(operation.service for operation in step.done)
        if step.drift:
            self._drifts += 1
            self._reporter.event(words.drift_event(step.drift))
        self._recount(None if whole else dirty)
        changes, self._changes = self._changes, []
        for told in words.change_events(
            changes, self._health.verdicts, self._orders.overrides, written=not step.errors
        ):
            self._reporter.event(told)
        for event in self._alarms.events(
            self._layout.virtual, self._inquiry.pool, only=None if whole else dirty
        ):
            self._reporter.event(event)
        self._tell_errors(step)
        if self._marks is not None and self._reconciler.certain:
            self._marks.settle()
        if changes or step.done or step.drift:
            self._tell_state_soon()

    def _step(self, layout: Layout) -> Step:
        try:
            actual = self._reconciler.read()
        except IpvsError as error:
            return Step(errors=(str(error),))
        self._read_at = self._now()
        self._health.adopt(layout, actual, self._read_at, self._orders.overrides)
        self._doors.settle(actual)
        wanted = desired(layout, self._health.verdicts, self._orders.overrides)
        wanted = Table.of_entries({**wanted, **self._doors.table()})
        return self._reconciler.step(wanted, actual)

    def _tell_errors(self, step: Step) -> None:
        error = " ".join(step.errors) or None
        if error == self._table_error:
            return
        self._table_error = error
        if error is None:
            self._reporter.event(words.event("notice", "the table is as it shall be again"))
        for sentence in step.errors:
            again = f"trying again every {LOOK:g} s"
            self._reporter.event(words.event("err", f"{sentence.removesuffix('.')}; {again}"))
        self._tell_state_soon()

    # -- telling ------------------------------------------------------------------------------

    def _tick(self) -> None:
        self._reporter.tick(self._now())
        self._tell_state()
        self._at("tick", TICK, self._tick)

    def _tell_state_soon(self) -> None:
        soon = self._told_at + self._telling.gap - self._now()
        self._at("state", max(0.0, soon), self._tell_state)

    def _tell_state(self) -> None:
        with self._telling:
            self._reporter.state(self._state())
        self._told_at = self._now()

    def _recount(self, keys: Iterable[ServiceKey] | None) -> None:
        self._tally.forget(keys)
        self._summary = None

    def _state(self) -> dict[str, Any]:
        layout = self._layout or Layout()
        if self._summary is None:
            self._summary = self._tally.summary(layout.virtual, self._inquiry.view())
        marking = self._marks.state() if self._marks is not None else None
        unmarked = marking["error"] if marking else None
        errors = [self._table_error, self._orders.error, unmarked]
        problems = [*self._config_error, *filter(None, errors), *self._names.problems()]
        problems += self._senses.problems
        return {
            **self._summary,
            "table": {
                "ok": self._table_error is None,
                "error": self._table_error,
                "drifts": self._drifts,
            },
            "config": {
                "ok": not self._config_error,
                "error": "; ".join(self._config_error) or None,
                "digest": layout.digest,
            },
            "marking": marking,
            **self._orders.state(layout),
            "problems": problems,
            "checks": len(self._health.watches),
        }

    # -- time -----------------------------------------------------------------------------------

    def _at(self, name: str, delay: float, call: Callable[[], None]) -> None:
        """Call once after `delay` seconds; an earlier appointment of that name is replaced."""
        previous = self._timers.get(name)
        if previous is not None:
            previous.cancel()
        self._timers[name] = asyncio.get_running_loop().call_later(delay, call)

    @staticmethod
    def _now() -> float:
        return time.monotonic()
