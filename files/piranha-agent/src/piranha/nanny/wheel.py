# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Thousands of appointments behind one timer of the event loop.

The loop's own timers are sorted by code in Python and stay until their time even when they are
cancelled; ten thousand checks have twenty thousand of them. Here time is cut into steps, and what
falls into one step waits in one dict: adding and removing cost the same however many there are.
An appointment is kept up to a step late and never early. It knows nothing of checks.
"""

from __future__ import annotations

import asyncio
import heapq
from collections import OrderedDict
from collections.abc import Callable
from typing import Protocol

STEP = 0.02
"""Seconds. What falls due together is done together, which spares waking up for each."""

AT_ONCE = 128
"""Appointments kept before the loop's other business has its turn."""


class Item(Protocol):
    """Whatever has an appointment; at most one at a time on one wheel."""

    def due(self, now: float) -> None:
        """The time has come; `now` is the loop's."""


class Wheel:
    """Appointments of one event loop."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        before: Callable[[], None] | None = None,
        after: Callable[[], None] | None = None,
    ) -> None:
        """`before` and `after` are called around appointments that are kept together."""
        self._loop = loop
        self._before = before
        self._after = after
        self._steps: dict[int, dict[Item, None]] = {}
        self._order: list[int] = []
        self._due: OrderedDict[Item, None] = OrderedDict()
        self._timer: asyncio.TimerHandle | asyncio.Handle | None = None
        self._armed = 0

    def add(self, item: Item, when: float) -> int:
        """Make an appointment at the loop's time `when`; gives what `remove` needs."""
        step = int(when / STEP) + 1
        here = self._steps.get(step)
        if here is not None:
            here[item] = None
            return step
        self._steps[step] = {item: None}
        heapq.heappush(self._order, step)
        if not self._due and (self._timer is None or step < self._armed):
            self._arm()
        return step

    def remove(self, item: Item, step: int) -> None:
        """Forget an appointment, also one that is about to be kept."""
        here = self._steps.get(step)
        if here is not None:
            here.pop(item, None)
        if self._due:
            self._due.pop(item, None)

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while self._order and not self._steps[self._order[0]]:  # all were removed
            del self._steps[heapq.heappop(self._order)]
        if self._order:
            self._armed = self._order[0]
            self._timer = self._loop.call_at(self._armed * STEP, self._run)

    def _run(self) -> None:
        now = self._loop.time()
        # The loop wakes up a clock's resolution early.
        last = max(int(now / STEP), self._armed)
        while self._order and self._order[0] <= last:
            self._due.update(self._steps.pop(heapq.heappop(self._order)))
        if self._due and self._before is not None:
            self._before()  # may remove some of them
        kept = 0
        try:
            while self._due and kept < AT_ONCE:
                # The oldest first: on a router that cannot keep up, everyone is late by as much.
                item, _unused = self._due.popitem(last=False)
                kept += 1
                item.due(now)
        finally:
            if self._due:
                self._timer = self._loop.call_soon(self._run)
            else:
                self._timer = None
                self._arm()
        if kept and self._after is not None:
            self._after()
