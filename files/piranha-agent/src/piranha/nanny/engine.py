# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Repeats checks and hands on their results: one task a Watch, however many servers use it.

A thin shell over asyncio. It knows neither verdicts nor the table.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterable

from .outcome import Finding, Outcome, Result, bad, duration, unknown
from .probe import probe
from .program import KILL_GRACE, run
from .spec import Check, NoCheck, ProgramCheck, SocketCheck, Watch

STALL_FACTOR = 1.5
STALL_GRACE = KILL_GRACE + 0.25
"""A check that took more than STALL_FACTOR times its limit and STALL_GRACE seconds was held up
here, even if a program had to be killed."""

OnResult = Callable[[Watch, Result], None]


async def perform(check: Check) -> Outcome:
    """Make one check; never raises, whatever the server or the program does."""
    try:
        if isinstance(check, SocketCheck):
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


class Engine:
    """Keeps the tasks equal to a set of watches."""

    def __init__(self, on_result: OnResult) -> None:
        """`on_result` is called in the event loop after every check."""
        self._on_result = on_result
        self._tasks: dict[Watch, asyncio.Task[None]] = {}

    def watch(self, watches: Iterable[Watch]) -> None:
        """Start what is new, stop what is gone, leave the rest undisturbed."""
        wanted = dict.fromkeys(watches)
        for gone in [watch for watch in self._tasks if watch not in wanted]:
            self._tasks.pop(gone).cancel()
        for new in wanted:
            if new not in self._tasks:
                self._tasks[new] = asyncio.create_task(self._repeat(new))
                self._tasks[new].add_done_callback(_report)

    async def stop(self) -> None:
        """End all checks and wait until their sockets and programs are gone."""
        tasks = list(self._tasks.values())
        self._tasks.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _repeat(self, watch: Watch) -> None:
        loop = asyncio.get_running_loop()
        # The first check is made at once, the second at a random moment: a thousand servers
        # that began together do not stay together.
        pause = watch.interval * random.uniform(0.5, 1.0)  # noqa: S311 - no secret
        while True:
            began = loop.time()
            outcome = await perform(watch.check)
            took = loop.time() - began
            self._on_result(watch, Result(credible(watch.check, outcome, took), began, took))
            await asyncio.sleep(max(0.0, began + pause - loop.time()))
            pause = watch.interval


def _report(task: asyncio.Task[None]) -> None:
    """A check that ended by itself is a mistake of ours: let the loop's owner know at once."""
    if not task.cancelled() and (error := task.exception()) is not None:
        context = {"message": "a check ended", "exception": error}
        task.get_loop().call_exception_handler(context)
