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
from .probe import Attempt, probe
from .program import KILL_GRACE, run
from .spec import Check, NoCheck, ProgramCheck, ServiceCheck, SocketCheck, Watch

STALL_FACTOR = 1.5
STALL_GRACE = KILL_GRACE + 0.25
"""A check that took more than STALL_FACTOR times its limit and STALL_GRACE seconds was held up
here, even if a program had to be killed."""

SPREAD = 0.001
"""Seconds for each new check, over which the first ones are spread, half an interval at most."""

OnResult = Callable[[Watch, Result], bool]
"""Told of every result; says whether a state is about to change (Watch.fast)."""


async def perform(check: Check) -> Outcome:
    """Make one check; never raises, whatever the server or the program does."""
    try:
        if isinstance(check, SocketCheck | ServiceCheck):
            return await probe(check)
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
    """One watch, repeated: between two checks it is nothing but a timer."""

    def __init__(self, watch: Watch, delay: float, on_result: OnResult) -> None:
        self._watch = watch
        self._on_result = on_result
        self._loop = asyncio.get_running_loop()
        self._attempt: Attempt | None = None
        self._task: asyncio.Task[Outcome] | None = None
        self._began = 0.0
        self._stopped = False
        # The second check is made early, at a random moment: a thousand servers that began
        # together do not stay together.
        self._shorten = random.uniform(0.5, 1.0)  # noqa: S311 - no secret
        self._timer: asyncio.TimerHandle = self._loop.call_later(delay, self._begin)

    def stop(self) -> asyncio.Task[Outcome] | None:
        """End; gives a task that is still ending, if there is one."""
        self._stopped = True
        self._timer.cancel()
        if self._attempt is not None:
            self._attempt.cancel()
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
        return task

    def _begin(self) -> None:
        self._began = self._loop.time()
        check = self._watch.check
        if isinstance(check, SocketCheck | ServiceCheck):
            self._attempt = Attempt(check, self._end)
            self._attempt.start()
        else:
            self._task = self._loop.create_task(perform(check))
            self._task.add_done_callback(self._end_of_task)

    def _end_of_task(self, task: asyncio.Task[Outcome]) -> None:
        if task is self._task:  # else it was stopped
            self._task = None
            self._end(task.result())

    def _end(self, outcome: Outcome) -> None:
        self._attempt = None
        took = self._loop.time() - self._began
        watch = self._watch
        result = Result(credible(watch.check, outcome, took), self._began, took)
        changing = self._on_result(watch, result)
        if self._stopped:  # whoever heard the result may have stopped us
            return
        pause, self._shorten = watch.interval * self._shorten, 1.0
        if changing and watch.fast is not None:
            pause = watch.fast
        self._timer = self._loop.call_later(max(0.0, pause - took), self._begin)


class Engine:
    """Keeps what is repeated equal to a set of watches."""

    def __init__(self, on_result: OnResult) -> None:
        """`on_result` is called in the event loop after every check."""
        self._on_result = on_result
        self._running: dict[Watch, _Repeated] = {}

    def watch(self, watches: Iterable[Watch]) -> None:
        """Start what is new, stop what is gone, leave the rest undisturbed."""
        wanted = dict.fromkeys(watches)
        for gone in [watch for watch in self._running if watch not in wanted]:
            self._running.pop(gone).stop()
        new = [watch for watch in wanted if watch not in self._running]
        for watch in new:
            spread = min(watch.interval / 2, SPREAD * len(new))
            delay = random.uniform(0, spread)  # noqa: S311 - no secret
            self._running[watch] = _Repeated(watch, delay, self._on_result)

    async def stop(self) -> None:
        """End all checks and wait until their sockets and programs are gone."""
        ending = [task for each in self._running.values() if (task := each.stop()) is not None]
        self._running.clear()
        await asyncio.gather(*ending, return_exceptions=True)
