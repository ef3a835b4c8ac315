# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""The door to the kernel's IPVS: reads it so that what is read can be relied upon, and changes it.

What to change is decided in plan.py, in which order it is tried and taken back in applying.py; how
the kernel is asked is in port.py. Everything goes wrong in one sentence (IpvsError).
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Collection, Iterable, Sequence
from types import MappingProxyType
from typing import NamedTuple, TypeVar

from . import codec
from .applying import Applying
from .errors import IpvsError
from .model import Entry, ServerKey, ServiceKey, Table
from .outcome import IN_KERNEL, Report, control_refusal, spoken
from .plan import Operation
from .port import RECEIVE_SECONDS, AnswersLost, NetlinkPort, Port
from .settings import (
    Control,
    Daemon,
    Flush,
    Information,
    Role,
    SetTimeouts,
    StartDaemon,
    StopDaemon,
    Timeouts,
    Zero,
)

_Result = TypeVar("_Result")

BATCH = 100  # messages at once: 300 refusals would overrun the default receive buffer
FEW = 32  # services that are asked for one by one
READINGS = 4  # at most, until two of a table that changes agree


class Snapshot(NamedTuple):
    """The table with what changes by itself: connections and counters."""

    table: Table
    services: dict[ServiceKey, codec.ServiceRow]
    servers: dict[tuple[ServiceKey, ServerKey], codec.ServerRow]


class Comparison(NamedTuple):
    """The table as it is, and the operations that were decided upon it."""

    actual: Table
    operations: tuple[Operation, ...]


class Kernel:
    """The IPVS table of the network namespace in which the first call is made.

    A context manager; the socket opens at the first call, and again in a forked child, so that
    two processes never share one. Not for two threads at once. Every method raises IpvsError.

    Args:
        batch: how many messages go to the kernel at once.
        seconds: how long to wait for any one answer.
        receive_buffer: bytes, None for the system's default.
        port: in place of the kernel's own; tests put a kernel in memory here.
    """

    def __init__(
        self,
        batch: int = BATCH,
        seconds: float = RECEIVE_SECONDS,
        receive_buffer: int | None = None,
        port: Port | None = None,
    ) -> None:
        self._batch = batch
        self._port: Port = port if port is not None else NetlinkPort(seconds, receive_buffer)

    def __enter__(self) -> Kernel:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the socket; the next call opens another."""
        self._port.close()

    # Reading

    def read(self, only: Collection[ServiceKey] | None = None) -> Table:
        """Return the whole table, or the given services of it (those that are there).

        The kernel tells a long table in pieces, and what is deleted meanwhile makes it leave out
        other entries. Where that may have happened the list is read again until two agree.
        """
        return self.snapshot(counters=False, only=only).table

    def read_service(self, key: ServiceKey) -> Entry | None:
        """Return one service with its servers, None if it is not there. Takes 3 messages."""
        return self.read((key,)).get(key)

    def snapshot(
        self, counters: bool = True, only: Collection[ServiceKey] | None = None
    ) -> Snapshot:
        """As :meth:`read`, with connections of each server and, on request, all counters."""
        return self._guarded(lambda: self._snapshot(counters, only, verified=True))

    def compare(
        self,
        decide: Callable[[Table], Iterable[Operation]],
        only: Collection[ServiceKey] | None = None,
    ) -> Comparison:
        """Read the table (or some services), decide, and see that the reason for it is real.

        ``decide`` is pure, for example ``lambda actual: plan(desired, actual, owned)``. What it
        would change is read again before it counts as a difference: dumps are no snapshots, and
        others may be writing. Where nothing is to be done, the table was read once.
        """
        return self._guarded(lambda: self._compare(decide, only))

    def _compare(
        self,
        decide: Callable[[Table], Iterable[Operation]],
        only: Collection[ServiceKey] | None,
    ) -> Comparison:
        actual = self._snapshot(False, only, verified=False).table
        operations = tuple(decide(actual))
        for _reading in range(READINGS - 1):
            touched = {operation.service for operation in operations}
            if not touched:
                break
            # One service alone cannot be left out of the answer; many are read faster as a whole.
            if only is None and len(touched) > max(FEW, len(actual) // 4):
                again = self._snapshot(False, None, verified=False).table
            else:
                fresh = self._snapshot(False, touched, verified=False).table
                again = Table.of_entries({**actual.without(touched), **fresh})
            if again == actual:
                break
            actual, operations = again, tuple(decide(again))
        return Comparison(actual, operations)

    def _snapshot(
        self, counters: bool, only: Collection[ServiceKey] | None, verified: bool
    ) -> Snapshot:
        for reading in range(READINGS):
            try:
                rows, whole = self._services(counters, only)
                snapshot = self._with_servers(rows, counters, verified)
                if whole or not verified:
                    break
                again, _whole = self._port.services(False)
            except AnswersLost:
                self.close()
                if reading == READINGS - 1:
                    raise
                continue
            if {row.service.key for row in again} == set(snapshot.services):
                break
        return snapshot

    def _services(
        self, counters: bool, only: Collection[ServiceKey] | None
    ) -> tuple[list[codec.ServiceRow], bool]:
        if only is None:
            return self._port.services(counters)
        rows = (self._port.service(key, counters) for key in sorted(only))
        return [row for row in rows if row is not None], True

    def _with_servers(
        self, rows: Iterable[codec.ServiceRow], counters: bool, verified: bool
    ) -> Snapshot:
        entries: dict[ServiceKey, Entry] = {}
        services: dict[ServiceKey, codec.ServiceRow] = {}
        servers: dict[tuple[ServiceKey, ServerKey], codec.ServerRow] = {}
        for row in rows:
            key = row.service.key
            here = {}
            for server_row in self._servers(key, counters, verified):
                server = server_row.server
                here[server.key] = server
                servers[key, server.key] = server_row
            services[key] = row
            entries[key] = Entry(row.service, MappingProxyType(here))
        return Snapshot(Table.of_entries(entries), services, servers)

    def _servers(
        self, key: ServiceKey, counters: bool, verified: bool
    ) -> Sequence[codec.ServerRow]:
        rows, whole = self._port.servers(key, counters)
        for _reading in range(READINGS - 1):
            if whole or not verified:
                break
            before = rows
            rows, whole = self._port.servers(key, counters)
            if {row.server.key for row in rows} == {row.server.key for row in before}:
                break
        return rows

    # Writing

    def apply(
        self, operations: Iterable[Operation], rollback: bool = False, before: Table | None = None
    ) -> Report:
        """Send the operations, in batches; say what became of each.

        Where the table changed meanwhile (an entry came or went), what is wanted is tried the
        other way, a few times. Where answers are lost, the table is read to know the outcome.
        What takes servers away comes last, and not at all where a service was to get servers and
        got none (State.WITHHELD). Raises IpvsError only where nothing at all can be said: no IPVS,
        no privilege, no answer.

        Args:
            operations: of plan(), or any others with their ``before``.
            rollback: True: if one operation is refused, those that were done are undone and those
                that were not sent yet never are; packets may have met them meanwhile, and a service
                that had to be added again has lost its connections' bond and counters.
                False: an operation that is refused stops no other.
            before: the table as it was read, if it is at hand. Else a service that is to be deleted
                is read before, so that it can be put back.
        """
        wanted = tuple(operations)
        applying = Applying(self._port, self._present, self._batch, rollback, before or Table())
        return self._guarded(lambda: applying.run(wanted))

    def _present(self, keys: Collection[ServiceKey]) -> Table:
        return self._snapshot(False, keys, verified=True).table

    def zero(self, service: ServiceKey | None = None) -> None:
        """Set all counters to 0: those of one service and its servers, or of the whole table."""
        self._command(Zero(service))

    def flush(self) -> None:
        """Delete every service, whoever put it there."""
        self._command(Flush())

    # Timeouts, sync daemons, IPVS itself

    def timeouts(self) -> Timeouts:
        """Return the three timeouts, in seconds."""
        return self._guarded(self._port.timeouts)

    def set_timeouts(self, timeouts: Timeouts) -> None:
        """Set those that are not 0. A connection has its new time from its next packet on."""
        self._command(SetTimeouts(timeouts))

    def daemons(self) -> tuple[Daemon, ...]:
        """Return the sync daemons that run: none, master, backup, or both."""
        return tuple(sorted(self._guarded(self._port.daemons)))

    def start_daemon(self, daemon: Daemon) -> None:
        """Start a sync daemon. An error if one of its role runs already."""
        self._command(StartDaemon(daemon))

    def stop_daemon(self, role: Role | str) -> None:
        """Stop the sync daemon of a role. An error if none runs."""
        self._command(StopDaemon(Role(role)))

    def replace_daemon(self, daemon: Daemon) -> None:
        """Have this daemon run, whatever ran in its role. If it does not start, the old one does.

        The kernel cannot change one that runs; while none runs, what it would tell is lost.
        """
        running = next((old for old in self.daemons() if old.role == daemon.role), None)
        if running is not None and daemon.agrees(running):
            return
        if running is not None:
            self.stop_daemon(running.role)
        try:
            self.start_daemon(daemon)
        except IpvsError:
            if running is not None:
                self.start_daemon(running)
            raise

    def information(self) -> Information:
        """Return the version of the kernel's IPVS and the size of its connection table."""
        return self._guarded(self._port.information)

    def _command(self, control: Control) -> None:
        (number,) = self._guarded(lambda: self._port.send([control]))
        if number is None:  # no answer: see whether it is so, and say it again if not
            if self._guarded(lambda: self._brought_about(control)):
                return
            (number,) = self._guarded(lambda: self._port.send([control]))
        error = control_refusal(control, errno.ENOBUFS if number is None else number)
        if error is not None:
            raise error

    def _brought_about(self, control: Control) -> bool:
        if isinstance(control, SetTimeouts):
            present = self._port.timeouts()
            return control.timeouts.over(present) == present
        if isinstance(control, StartDaemon):
            return any(control.daemon.agrees(running) for running in self._port.daemons())
        if isinstance(control, StopDaemon):
            return all(running.role is not control.role for running in self._port.daemons())
        return False  # doing it twice does no harm

    def _guarded(self, call: Callable[[], _Result]) -> _Result:
        try:
            return call()
        except IpvsError:
            raise
        except AnswersLost:
            self.close()
            raise IpvsError(
                IN_KERNEL, "answers were lost (ENOBUFS)", "try again", errno.ENOBUFS
            ) from None
        except (OSError, ValueError) as error:
            self.close()  # a half-read socket must not answer the next question
            raise spoken(error) from error
