# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Carry operations out on a table that others may change meanwhile, and take them back again.

The order of things only: a Port sends, plan.py said what, outcome.py knows what error numbers mean.
kernel.py is the door to it.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import NamedTuple

from .model import ServiceKey, Table
from .outcome import Outcome, Report, State, refusal, second_try, withheld
from .plan import SERVICE_KINDS, Kind, Operation, present, reached, takes_away, undo
from .port import Port

ATTEMPTS = 4  # at one operation, where another program changes the same entries meanwhile


class _Result(NamedTuple):
    """What the kernel answered to one operation.

    ``number``: error number, 0 for done. ``sent``: the operation as it was tried last, with what
    was there before it. ``ours``: the result is there by this very message.
    """

    number: int
    sent: Operation
    ours: bool


class Applying:
    """Operations on their way into the kernel.

    Args:
        port: where to.
        read: gives the present state of some services.
        batch: how many messages at once.
        rollback: undo everything if one operation is refused.
        before: the table as it was read; what is not in it is read when needed.
    """

    def __init__(
        self,
        port: Port,
        read: Callable[[Collection[ServiceKey]], Table],
        batch: int,
        rollback: bool,
        before: Table,
    ) -> None:
        self._port = port
        self._read = read
        self._batch = batch
        self._rollback = rollback
        self._before = before

    def run(self, operations: Sequence[Operation]) -> Report:
        """Carry them out; IpvsError or OSError only where nothing at all can be said."""
        originals = self._originals(operations)
        outcomes: dict[int, Outcome] = {}
        done: list[Operation] = []  # as it happened, to be undone
        # What may take servers away waits for the outcome of all that brings some.
        for taking in (False, True):
            places = [at for at, op in enumerate(operations) if takes_away(op) is taking]
            if taking:
                refused = [o.operation for o in outcomes.values() if o.error]
                for at, reason in withheld(operations, refused).items():
                    outcomes[at] = Outcome(operations[at], reason, State.WITHHELD)
                places = [at for at in places if at not in outcomes]
            for start in range(0, len(places), self._batch):
                batch = places[start : start + self._batch]
                results = self._persist([operations[at] for at in batch], bool(done))
                for at, result in zip(batch, results):
                    error = refusal(operations[at], result.number)
                    state = State.REFUSED if error else State.DONE
                    outcomes[at] = Outcome(operations[at], error, state)
                done += [result.sent for result in results if result.ours]
                if self._rollback and any(outcomes[at].error for at in batch):
                    return self._back(operations, outcomes, done, originals)
        return Report(tuple(outcomes[at] for at in range(len(operations))))

    def _originals(self, operations: Iterable[Operation]) -> Table:
        """The services that will go, with the servers that go with them."""
        if not self._rollback:
            return self._before
        going = {op.service for op in operations if op.kind is Kind.DELETE_SERVICE}
        unread = going - set(self._before)
        read = self._read(unread) if unread else Table()
        return Table.of_entries({**self._before.only(going), **read})

    def _back(
        self,
        operations: Sequence[Operation],
        outcomes: dict[int, Outcome],
        done: Sequence[Operation],
        originals: Table,
    ) -> Report:
        """Undo, last things first; tell what is so now."""
        undoing = [back for operation in reversed(done) for back in undo(operation, originals)]
        errors = []
        for start in range(0, len(undoing), self._batch):
            batch = undoing[start : start + self._batch]
            for operation, result in zip(batch, self._persist(batch, True)):
                error = refusal(operation, result.number)
                errors += [error] if error else []
        told = []
        for at, operation in enumerate(operations):
            outcome = outcomes.get(at, Outcome(operation, None, State.NOT_TRIED))
            if outcome.state is State.DONE:
                outcome = outcome._replace(state=State.UNDONE)
            told.append(outcome)
        return Report(tuple(told), True, tuple(errors))

    def _persist(self, batch: Sequence[Operation], begun: bool) -> list[_Result]:
        """Send one batch, and again what met a table that somebody else was changing."""
        numbers = self._send(batch)
        if errno.EPERM in numbers and not begun and 0 not in numbers:
            raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))
        results = self._settled(batch, numbers)
        for _attempt in range(ATTEMPTS - 1):
            again = [(at, second_try(r.sent, r.number)) for at, r in enumerate(results)]
            retries = [(at, op) for at, op in again if op is not None]
            if not retries:
                break
            # Services first: servers may have been refused since theirs had gone.
            retries.sort(key=lambda retry: retry[1].kind not in SERVICE_KINDS)
            if self._rollback:
                retries = self._with_before(retries, results)
            sent = [op for _at, op in retries]
            for (at, _op), result in zip(retries, self._settled(sent, self._send(sent))):
                results[at] = result
        return results

    def _with_before(
        self, retries: Sequence[tuple[int, Operation]], results: list[_Result]
    ) -> list[tuple[int, Operation]]:
        """Learn what others put where we wanted to, so that it can be put back.

        What is there as wanted already needs no message, and is not ours to undo.
        """
        table = self._read({op.service for _at, op in retries})
        left = []
        for at, operation in retries:
            if reached(table, operation):
                results[at] = _Result(0, operation, False)
            else:
                left.append((at, operation._replace(before=present(table, operation))))
        return left

    def _send(self, batch: Sequence[Operation]) -> list[int | None]:
        return self._port.send(batch) if batch else []

    def _settled(self, batch: Sequence[Operation], numbers: Sequence[int | None]) -> list[_Result]:
        """Fill in the outcomes that are unknown by looking at the table."""
        unknown = {op.service for op, number in zip(batch, numbers) if number is None}
        table = self._read(unknown) if unknown else Table()
        results = []
        for operation, number in zip(batch, numbers):
            if number is None:
                number = 0 if reached(table, operation) else errno.ENOBUFS
            results.append(_Result(number, operation, number == 0))
        return results
