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
from contextlib import suppress
from typing import NamedTuple

from .errors import IpvsError
from .model import ServiceKey, Table
from .outcome import Outcome, Report, State, outcome_of, refusal, second_try, withheld
from .plan import ADDITIONS, SERVICE_KINDS, Kind, Operation, present, reached, takes_away, undo
from .port import AnswersLost, Port

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
        self._originals = Table()
        self._outcomes: dict[int, Outcome] = {}
        self._done: list[Operation] = []  # as it happened, to be undone
        self._absent: set[ServiceKey] = set()  # were to be added and were refused

    def run(self, operations: Sequence[Operation]) -> Report:
        """Carry them out; an exception only where nothing at all can be said. Call it once."""
        self._originals = self._read_originals(operations)
        if self._rollback:
            operations = [_complete(operation, self._originals) for operation in operations]
        try:
            # What may take servers away waits for the outcome of all that brings some.
            complete = self._phase(operations, False) and self._phase(operations, True)
        except (IpvsError, OSError, ValueError, AnswersLost):
            if self._rollback:
                with suppress(IpvsError, OSError, ValueError, AnswersLost):
                    self._undo()
            raise
        left = () if complete else self._undo()
        return Report(
            tuple(
                self._outcome(at, operation, complete) for at, operation in enumerate(operations)
            ),
            not complete,
            left,
        )

    def _phase(self, operations: Sequence[Operation], taking: bool) -> bool:
        """Carry out what takes servers away, or all the rest; False to stop and undo."""
        places = [at for at, op in enumerate(operations) if takes_away(op) is taking]
        if taking:
            refused = [outcome.operation for outcome in self._outcomes.values() if outcome.error]
            for at, reason in withheld(operations, refused).items():
                self._outcomes[at] = Outcome(operations[at], reason, State.WITHHELD)
            places = [at for at in places if at not in self._outcomes]
        for start in range(0, len(places), self._batch):
            batch = places[start : start + self._batch]
            results = self._persist([operations[at] for at in batch])
            for at, result in zip(batch, results):
                outcome = outcome_of(operations[at], result.number, self._absent)
                if outcome.error and outcome.operation.kind is Kind.ADD_SERVICE:
                    self._absent.add(outcome.operation.service)
                self._outcomes[at] = outcome
            if self._rollback and any(self._outcomes[at].error for at in batch):
                return False
        return True

    def _outcome(self, at: int, operation: Operation, complete: bool) -> Outcome:
        outcome = self._outcomes.get(at, Outcome(operation, None, State.NOT_TRIED))
        if not complete and outcome.state is State.DONE:
            return outcome._replace(state=State.UNDONE)
        return outcome

    def _read_originals(self, operations: Iterable[Operation]) -> Table:
        """The services of which the operations do not tell enough to take them back."""
        if not self._rollback:
            return self._before
        wanted = {
            op.service
            for op in operations
            if op.kind is Kind.DELETE_SERVICE or (op.before is None and op.kind not in ADDITIONS)
        }
        unread = wanted - set(self._before)
        read = self._read(unread) if unread else Table()
        return Table.of_entries({**self._before.only(wanted), **read})

    def _undo(self) -> tuple[IpvsError, ...]:
        """Undo what was done, last things first; what could not be."""
        undoing = [
            back for operation in reversed(self._done) for back in undo(operation, self._originals)
        ]
        errors = []
        for start in range(0, len(undoing), self._batch):
            batch = undoing[start : start + self._batch]
            for operation, result in zip(batch, self._persist(batch)):
                error = refusal(operation, result.number)
                errors += [error] if error else []
        return tuple(errors)

    def _persist(self, batch: Sequence[Operation]) -> list[_Result]:
        """Send one batch, and again what met a table that somebody else was changing."""
        numbers = self._send(batch)
        if errno.EPERM in numbers and 0 not in numbers and not self._done:
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
        self._done += [result.sent for result in results if result.ours]
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
        try:
            return self._port.send(batch) if batch else []
        except PermissionError:
            raise
        except OSError:  # how far the kernel came is not known: the table will tell
            self._port.close()
            return [None] * len(batch)

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


def _complete(operation: Operation, originals: Table) -> Operation:
    if operation.before is None and operation.kind not in ADDITIONS:
        return operation._replace(before=present(originals, operation))
    return operation
