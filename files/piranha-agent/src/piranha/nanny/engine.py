# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Repeats checks and hands on their results: one timer a Watch, however many servers use it.

A thin shell over asyncio. It knows neither verdicts nor the table.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterable

from .outcome import Finding, Outcome, Result, bad, duration, unknown
from .probe import Attempt, Hub, Opener, closed, hub_of, probe
from .program import KILL_GRACE, run
from .spec import Check, NoCheck, ProgramCheck, ServiceCheck, SocketCheck, Watch
from .wheel import Wheel

STALL_FACTOR = 1.5
STALL_GRACE = KILL_GRACE + 0.25
"""A check that took more than STALL_FACTOR times its limit and STALL_GRACE seconds was held up
here, even if a program had to be killed."""

SPREAD = 0.001
MOST_SPREAD = 3.0
"""Seconds for each new check, over which the first ones are spread, half an interval at most, and
seconds for all of them: a server that waits for its first check serves nobody."""

HASTE = 1.0
"""Seconds from one check to the next at least, however many signs of trouble there are."""

OnResult = Callable[[Watch, Result], bool]
"""Told of every result; says whether a state is about to change (Watch.fast)."""


async def perform(check: Check, opener: Opener = closed) -> Outcome:
    """Make one check; never raises, whatever the server or the program does."""
    try:
        if isinstance(check, SocketCheck | ServiceCheck):
            return await probe(check, opener)
        if isinstance(check, ProgramCheck):
            return await run(check)
    except Exception as error:  # noqa: BLE001 - a fault of ours must not end the checks
        return unknown(f"not checked: {type(error).__name__}: {error}")
    return bad(check.reason)


def credible(check: Check, outcome: Outcome, took: float) -> Outcome:
    """Give UNKNOWN for a failure that this router's own stall explains.

    A router that stood still (a paused virtual machine, a stopped process) finds all its time
    limits passed when it goes on, before it has read a single answer. `took`: seconds.
    """
    if isinstance(check, NoCheck) or outcome.finding is not Finding.BAD:
        return outcome
    if took <= check.limit * STALL_FACTOR + STALL_GRACE:
        return outcome
    over = duration(round(took - check.limit, 1))
    return unknown(f"not checked: this router stood still for {over}")


class _Repeated:
    """One watch, repeated: between two checks it is nothing but an appointment."""

    __slots__ = (
        "_attempt",
        "_began",
        "_failed",
        "_hub",
        "_on_result",
        "_shorten",
        "_step",
        "_stopped",
        "_task",
        "_watch",
        "_wheel",
        "_when",
    )

    def __init__(
        self, watch: Watch, wheel: Wheel, hub: Hub, on_result: OnResult, opener: Opener
    ) -> None:
        """Nothing happens before `first`."""
        self._watch = watch
        self._wheel = wheel
        self._hub = hub
        self._on_result = on_result
        check = watch.check
        self._attempt = (
            Attempt(check, self._end_of_attempt, opener)
            if isinstance(check, SocketCheck | ServiceCheck)
            else None
        )
        self._task: asyncio.Task[Outcome] | None = None
        self._began = self._when = 0.0
        self._step = 0
        self._stopped = self._failed = False
        # The second check is made early, at a random moment: a thousand servers that began
        # together do not stay together.
        self._shorten = random.uniform(0.5, 1.0)  # noqa: S311 - no secret

    def first(self, when: float) -> None:
        """Check for the first time at the loop's time `when`."""
        self._when = when
        self._step = self._wheel.add(self, when)

    def hasten(self, now: float) -> None:
        """Check at once, unless a check is under way or has failed just now: that is known."""
        if not self._failed and now - self._began > HASTE:
            self.at_once(now)

    def at_once(self, now: float) -> None:
        """Check at once, unless a check is under way."""
        busy = self._task is not None or (self._attempt is not None and self._attempt.running)
        if not busy:
            self._wheel.remove(self, self._step)
            self.first(now)

    def stop(self) -> asyncio.Task[Outcome] | None:
        """End; gives a task that is still ending, if there is one."""
        self._stopped = True
        self._wheel.remove(self, self._step)
        if self._attempt is not None:
            self._attempt.cancel()
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
        return task

    def due(self, now: float) -> None:
        """Begin a check."""
        self._began = now
        if self._attempt is not None:
            self._attempt.start(now)
        else:
            self._task = asyncio.get_running_loop().create_task(perform(self._watch.check))
            self._task.add_done_callback(self._end_of_task)

    def _end_of_attempt(self, outcome: Outcome) -> None:
        self._end(outcome, self._hub.now)

    def _end_of_task(self, task: asyncio.Task[Outcome]) -> None:
        if task is self._task:  # else it was stopped
            self._task = None
            self._end(task.result(), asyncio.get_running_loop().time())

    def _end(self, outcome: Outcome, now: float) -> None:
        watch, began = self._watch, self._began
        took = max(0.0, now - began)
        if outcome.finding is Finding.BAD:
            outcome = credible(watch.check, outcome, took)
        self._failed = outcome.finding is Finding.BAD
        changing = self._on_result(watch, Result(outcome, began, took))
        if self._stopped:  # whoever heard the result may have stopped us
            return
        pause, self._shorten = watch.interval * self._shorten, 1.0
        if changing and watch.fast is not None:
            pause = watch.fast
        self._when = follow(self._when, now, pause, took)
        self._step = self._wheel.add(self, self._when)


def follow(due: float, now: float, pause: float, took: float) -> float:
    """Say when the next check begins: `pause` seconds after this one was due.

    Not after it began, so that checks keep the distance from each other in which they started.
    One that took longer than a pause is followed by the next at once. If the router stood still
    for that long, everything would be due together now; then they are spread again.
    """
    after = due + pause
    if after >= now:
        return after
    return now if took >= pause else now + random.uniform(0, pause / 2)  # noqa: S311 - no secret


class Engine:
    """Keeps what is repeated equal to a set of watches."""

    def __init__(self, on_result: OnResult, opener: Opener = closed) -> None:
        """`on_result` is called in the event loop after every check. opener: see Attempt."""
        self._on_result = on_result
        self._opener = opener
        self._running: dict[Watch, _Repeated] = {}
        self._wheel: Wheel | None = None

    def watch(self, watches: Iterable[Watch]) -> None:
        """Start what is new, stop what is gone, leave the rest undisturbed."""
        loop = asyncio.get_running_loop()
        hub = hub_of(loop)
        if self._wheel is None:
            # Servers that are near have answered when the last of a step's checks has begun.
            self._wheel = Wheel(loop, after=hub.drain)
        wanted = dict.fromkeys(watches)
        for gone in [watch for watch in self._running if watch not in wanted]:
            self._running.pop(gone).stop()
        new = [watch for watch in wanted if watch not in self._running]
        now = loop.time()
        for watch in new:
            spread = min(watch.interval / 2, SPREAD * len(new), MOST_SPREAD)
            delay = random.uniform(0, spread)  # noqa: S311 - no secret
            repeated = _Repeated(watch, self._wheel, hub, self._on_result, self._opener)
            self._running[watch] = repeated
            repeated.first(now + delay)

    def hasten(self, watches: Iterable[Watch]) -> None:
        """Make some checks before their time, since there is a sign of trouble."""
        now = asyncio.get_running_loop().time()
        for watch in watches:
            if watch in self._running:
                self._running[watch].hasten(now)

    def at_once(self, watches: Iterable[Watch]) -> None:
        """Make some checks now, since somebody wants to know."""
        now = asyncio.get_running_loop().time()
        for watch in watches:
            if watch in self._running:
                self._running[watch].at_once(now)

    async def stop(self) -> None:
        """End all checks and wait until their sockets and programs are gone."""
        ending = [task for each in self._running.values() if (task := each.stop()) is not None]
        self._running.clear()
        await asyncio.gather(*ending, return_exceptions=True)
