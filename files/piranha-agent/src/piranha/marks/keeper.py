# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keeps the marking rules equal to what is wanted: before the table's entries, removed after them.

One task at a time runs the programs, never the caller. The order of a change is: `want` adds the
new rules to the old ones and says when that is done, lvsd changes the table, `settle` leaves the
wanted ones alone. At the end of lvsd the rules stay, as the table does.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from piranha import files

from .backends import Backend, Legacy, Nft
from .programs import Failed
from .rules import NOTHING, Found, Rules

NAME = "marking.json"
READ_AGAIN = 60.0
"""Seconds after which rules are read whole, whatever the looks have shown."""
TRY_AGAIN = 10.0
"""Seconds between two attempts after a failure."""

Tell = Callable[[str, str], None]
"""Takes the level and the sentence of an event."""


def count(number: int, thing: str) -> str:
    """`1 rule`, `2 rules`."""
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


class Keeper:
    """All about marking rules on one router."""

    def __init__(
        self,
        run_dir: Path,
        tell: Tell,
        ways: Callable[[], Sequence[Backend]] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Nothing is read or run yet. ways: the back ends to try, the preferred one first."""
        self._path = run_dir / NAME
        self._tell, self._clock = tell, clock
        self._ways = ways or (lambda: (Nft(), Legacy(run_dir, self._families)))
        self._families: tuple[str, ...] = ()
        self._backend: Backend | None = None
        self._remembered: str | None = None
        self._recall()
        self._wanted: Rules = NOTHING
        self._made: Rules | None = None if self._remembered else NOTHING
        self._seal: str | None = None
        self._settled = True
        self._look: object = None
        self._read_at = self._tried_at = float("-inf")
        self._again = False
        self._ready: Callable[[], None] | None = None
        self._task: asyncio.Task[None] | None = None
        self.problem: str | None = None
        self._repairs = 0

    # -- what lvsd asks ---------------------------------------------------------------------------

    def want(self, rules: Rules, ready: Callable[[], None]) -> bool:
        """Have `rules` from now on; True if the table has to wait until `ready` is called.

        It is called when the new rules are there, and also when they cannot be made.
        """
        self._wanted = rules
        self._settled = False
        if not rules or (self._made is not None and rules <= self._made and not self.problem):
            return False  # nothing to make; what is too much goes when the table has changed
        self._ready = ready
        self._start()
        return True

    def settle(self) -> None:
        """Take away what is no longer wanted: no entry of the table needs it any more."""
        if not self._settled:
            self._settled = True
            if self._made != self._wanted:
                self._start()

    def look(self) -> None:
        """See whether the rules are still there; cheap, and free where there are none."""
        if self._busy or not (self._wanted or self._made or self._made is None):
            return
        now = self._clock()
        if self.problem is not None:
            due = now - self._tried_at >= TRY_AGAIN
        else:
            blind = self._backend is None or self._look is None
            late = now - self._read_at >= (TRY_AGAIN if blind else READ_AGAIN)
            due = late or (self._backend is not None and self._backend.look() != self._look)
        if due:
            self._start()

    def state(self) -> dict[str, Any] | None:
        """Give what status shows; None where nothing is marked."""
        if not self._wanted and not self._made and self.problem is None:
            return None
        return {
            "ok": self.problem is None,
            "error": self.problem,
            "by": self._backend.name if self._backend else None,
            "rules": len(self._made or ()),
            "repairs": self._repairs,
        }

    async def stop(self) -> None:
        """End what runs; the rules stay."""
        self._again, self._ready = False, None
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    # -- the work ---------------------------------------------------------------------------------

    @property
    def _busy(self) -> bool:
        return self._task is not None and not self._task.done()

    def _start(self) -> None:
        self._again = True
        if not self._busy:
            self._task = asyncio.get_running_loop().create_task(self._work())
            self._task.add_done_callback(_raise)

    async def _work(self) -> None:
        while self._again:
            self._again = False
            self._tried_at = self._clock()
            try:
                await self._round()
            except Failed as error:
                self._fail(str(error))
            else:
                if self.problem is not None:
                    self.problem = None
                    self._tell("notice", "the marking rules are as they shall be again")
            if self._ready is not None and not self._again:
                ready, self._ready = self._ready, None
                ready()

    def _fail(self, why: str) -> None:
        services = count(len({rule.mark for rule in self._wanted}), "service")
        problem = f"packets of {services} with a firewall mark are not marked: {why}"
        if not self._wanted:
            problem = f"marking rules that are not wanted any more cannot be removed: {why}"
        if problem != self.problem:
            self.problem = problem
            self._tell("err", f"{problem}; trying again every {TRY_AGAIN:g} s")

    async def _round(self) -> None:
        backend, found = await self._reach()
        target = self._wanted if self._settled else self._wanted | found.rules
        strange = not found.whole and found.seal != self._seal
        if found.rules != target or strange:
            if self._seal is not None and found.seal != self._seal:
                self._tell_drift(len((self._made or NOTHING) - found.rules))
            found = await self._write(backend, target)
        if not target:
            self._forget()
        self._made, self._seal, self._read_at = found.rules, found.seal, self._clock()

    def _tell_drift(self, missing: int) -> None:
        self._repairs += 1
        change = f"{count(missing, 'rule')} missing" if missing else "they are different"
        who = f"the marking rules were changed by somebody else ({change})"
        self._tell("warning", f"{who}; putting them right")

    async def _reach(self) -> tuple[Backend, Found]:
        """Give the back end and what it has; the first time the first that works."""
        if self._backend is not None:
            self._look = self._backend.look()
            return self._backend, await self._backend.read()
        reasons = []
        remembered = self._remembered
        for backend in self._ways():
            if remembered not in (None, backend.name):
                continue
            try:
                self._look = backend.look()
                found = await backend.read()
                if not found.seal and self._wanted:
                    # Only writing tells whether the kernel can hold them.
                    found = await self._write(backend, self._wanted)
            except Failed as error:
                reasons.append(str(error))
                if remembered is None:
                    self._forget()
                continue
            self._backend = backend
            return backend, found
        remedy = "install the package nftables (or iptables, where the kernel has no nftables)"
        raise Failed(f"{'; '.join(reasons)}; {remedy}")

    async def _write(self, backend: Backend, rules: Rules) -> Found:
        if not rules:
            await backend.remove()
            self._look = backend.look()
            self._tell("info", f"the marking rules are removed from {backend.name}")
            return Found()
        self._remember(backend, rules)
        await backend.write(rules)
        self._look = backend.look()
        found = await backend.read()
        if found.rules != rules:
            left = len(rules - found.rules)
            took = f"after {backend.name} took them"
            raise Failed(f"{left} of {len(rules)} rules are not there {took}")
        number = count(len(rules), "rule")
        self._tell("info", f"packets are marked by {backend.name}: {number}")
        return found

    # -- what was made, over a restart ----------------------------------------------------------

    def _recall(self) -> None:
        try:
            data = json.loads(self._path.read_text(encoding="utf-8"))
            self._remembered = str(data["by"])
            self._families = tuple(map(str, data["families"]))
        except FileNotFoundError:
            return
        except (OSError, ValueError, KeyError, TypeError) as error:
            self._tell("warning", f"{self._path}: cannot be read ({error}); it is made anew")

    def _remember(self, backend: Backend, rules: Rules) -> None:
        """Write down who has rules of ours and where, before they are there."""
        families = {rule.family for rule in rules} | {*self._families}
        if (backend.name, tuple(sorted(families))) == (self._remembered, self._families):
            return
        data = {"by": backend.name, "families": sorted(families)}
        try:
            files.replace(self._path, json.dumps(data) + "\n")
        except OSError as error:
            raise Failed(f"{self._path}: cannot be written: {error.strerror}") from error
        self._remembered, self._families = backend.name, tuple(sorted(families))

    def _forget(self) -> None:
        self._path.unlink(missing_ok=True)
        self._remembered, self._families = None, ()


def _raise(task: asyncio.Task[None]) -> None:
    """Hand a mistake of ours to the loop, which ends lvsd for it; pulse starts it again."""
    if not task.cancelled() and (error := task.exception()) is not None:
        task.get_loop().call_exception_handler({"message": str(error), "exception": error})
