# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hands this router's connections to the partner, for a bounded time; handover.py decides."""

from __future__ import annotations

import select
import time
from collections.abc import Callable

from piranha.net import sync
from piranha.net.connections import Connection, entries, parse

from .engine import Engine
from .handover import FEW, MOST, Delivery, Services, limits, portions
from .pathways import Pathways


class Parting:
    """One hand-over: called before the addresses move and again when they have gone.

    clock: the heart's, in seconds.
    """

    def __init__(
        self, engine: Engine, paths: Pathways, services: Services, clock: Callable[[], float]
    ) -> None:
        self._engine, self._paths, self._services, self._clock = engine, paths, services, clock
        self._known: set[Connection] = set()
        self._times = limits(engine.machine.timing.deadtime)
        self._begun = False
        self._quick = False
        self._whole = True
        self._willing = True
        self._problem = ""
        self._missed = 0
        self._spent = 0.0

    def hand_over(self) -> None:
        """Give the partner what it was not given yet."""
        before, self._begun = not self._begun, True
        begun = self._clock()
        if before:
            # Without a link nobody is served meanwhile, and every moment counts.
            linked = self._engine.machine.linked
            end = begun + (self._times.serving if linked else self._times.between)
            self._look(begun, end)
            if self._willing and linked and not self._quick:
                # Too slow to look once nobody has the addresses, so now is the last time.
                self._look(self._clock(), end)
        elif self._willing and (self._quick or len(self._known) <= FEW):
            self._look(begun, begun + self._times.between)
        self._spent += self._clock() - begun

    def told(self) -> tuple[str, str]:
        """Give level and sentence for the log."""
        if self._problem:
            return "warning", f"connections are not handed over: {self._problem}"
        if not self._willing:
            return "warning", "the partner does not take connections; those open now may be reset"
        count = len(self._known) - self._missed
        taken = f"the partner has taken {count} connections in {self._spent:.3f} s"
        if self._whole:
            return "info", taken
        return "warning", f"{taken}; there was no time for more, those left out may be reset"

    def _look(self, begun: float, end: float) -> None:
        """Read the table and deliver what is new in it."""
        try:
            # Half of the time at most: the other half is for what was read.
            limit = time.monotonic() + min(self._times.read, (end - begun) / 2)
            found, whole = sync.read(self._chosen, limit, MOST)
        except FileNotFoundError:
            self._willing, self._problem = False, "this kernel has no IPVS"
            return
        except OSError as problem:
            self._willing, self._problem = False, f"{sync.LISTED}: {problem.strerror}"
            return
        self._quick = self._clock() - begun < self._times.again
        fresh = [one for one in found if one not in self._known]
        delivery = Delivery(portions(fresh), end, self._times.stall, self._clock())
        self._deliver(delivery)
        self._known.update(fresh)
        self._missed += sum(1 for body in delivery.missed() for _unused in entries(body))
        self._whole = self._whole and whole and not delivery.left
        if delivery.portions and delivery.left == len(delivery.portions):
            self._willing = False

    def _chosen(self, line: bytes) -> Connection | None:
        connection = parse(line)
        return None if connection is None else self._services.complete(connection)

    def _deliver(self, delivery: Delivery) -> None:
        poll = select.poll()
        for path in self._paths.sockets:
            poll.register(path, select.POLLIN)
        while not delivery.over(now := self._clock()):
            while (number := delivery.next(now)) is not None:
                sequence, data = self._engine.hand(delivery.portions[number], now)
                self._paths.send(data)
                delivery.sent(number, sequence, now)
            ready = {one for one, _unused in poll.poll(int(delivery.wake(now) * 1000) + 1)}
            now = self._clock()
            for _route, data in self._paths.receive(ready):
                receipt = self._engine.confirmed(data, now)
                if receipt is not None:
                    delivery.taken(receipt, now)
