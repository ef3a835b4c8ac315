# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make the kernel's table what it shall be: read, plan, apply, and notice what others changed.

The only way from lvsd into the kernel. What shall be is decided in desired.py, which operations
that takes in the ipvs library's plan.py; here is the order of things.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Protocol

from piranha.core.ipvs.errors import IpvsError
from piranha.core.ipvs.model import ServiceKey, Table
from piranha.core.ipvs.outcome import Report
from piranha.core.ipvs.plan import Operation, plan

from .owned import Owned, OwnedError


class Kernel(Protocol):
    """What is used of the ipvs library's Kernel."""

    def read(self, only: Collection[ServiceKey] | None = None) -> Table:
        """The whole table, or some services of it."""

    def apply(self, operations: Iterable[Operation]) -> Report:
        """Change it."""


@dataclass(frozen=True)
class Step:
    """What one round did.

    drift: what had to be put right since somebody else changed our part. done: all operations
    that were carried out. errors: sentences; empty if the table is as it shall be.
    """

    drift: tuple[Operation, ...] = ()
    done: tuple[Operation, ...] = ()
    errors: tuple[str, ...] = ()


class Reconciler:
    """Keeps the kernel's table equal to what is desired, and knows which services are ours."""

    def __init__(self, kernel: Kernel, owned: Owned) -> None:
        """Nothing is read or changed yet."""
        self._kernel = kernel
        self._file = owned
        self._owned: frozenset[ServiceKey] | None = None
        self._left: Table | None = None

    def read(self, only: Collection[ServiceKey] | None = None) -> Table:
        """Give the table as it is, or some services of it; IpvsError."""
        try:
            return self._kernel.read(only)
        except IpvsError:
            self._left = None
            raise

    @property
    def certain(self) -> bool:
        """Whether the whole table has been made what it shall be, so that a part may be enough."""
        return self._left is not None

    @property
    def ours(self) -> frozenset[ServiceKey]:
        """The services that are lvsd's."""
        return self._owned or frozenset()

    def holds(self, key: ServiceKey) -> bool:
        """Whether a service is in the table as it shall be, as far as is known."""
        return self._left is not None and key in self._left

    def part(self, desired: Table, only: Collection[ServiceKey]) -> Step:
        """Bring some services of the table to `desired`; as `step`, but only these are read.

        desired: of these services, those that shall be there. Only while `certain`.
        """
        left = self._left
        if left is None:
            raise RuntimeError("a part was asked for while the whole is uncertain")
        try:
            actual = self.read(only)
        except IpvsError as error:
            return Step(errors=(str(error),))
        drift = plan(left.only(only), actual, only)
        try:
            report = self._kernel.apply(plan(desired, actual, only))
        except IpvsError as error:
            self._left = None
            return Step(drift, (), (str(error),))
        errors = tuple(dict.fromkeys(str(error) for error in report.errors))
        now = Table.of_entries({**left.without(only), **desired})
        self._left = None if errors else now
        return Step(drift, report.done, errors)

    def step(self, desired: Table, actual: Table) -> Step:
        """Bring `actual`, just read, to `desired`; never raises, errors are in the result."""
        errors = []
        try:
            owned = self._ours() | frozenset(desired)
            # Before the kernel has them: a crash in between leaves nothing that is nobody's.
            self._file.save(owned)
        except OwnedError as error:
            errors.append(str(error))
            owned = (self._owned or frozenset()) | frozenset(desired)
        drift = self._drift(actual)
        operations = plan(desired, actual, owned)
        try:
            report = self._kernel.apply(operations)
        except IpvsError as error:
            self._owned, self._left = owned, None
            return Step(drift, (), (*errors, str(error)))
        errors += [str(error) for error in report.errors]
        self._owned = owned if report.errors else frozenset(desired)
        try:
            self._file.save(self._owned)
        except OwnedError as error:
            errors.append(str(error))
        # Where something was refused, what is there now is not known for certain.
        self._left = None if report.errors else desired
        return Step(drift, report.done, tuple(dict.fromkeys(errors)))

    def _ours(self) -> frozenset[ServiceKey]:
        if self._owned is None:
            # Set first: an unreadable file is reported once, then replaced.
            self._owned = frozenset()
            self._owned = self._file.load()
        return self._owned

    def _drift(self, actual: Table) -> tuple[Operation, ...]:
        if self._left is None:
            return ()
        return plan(self._left, actual, self._left.keys())
