# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""From the table that is to the table that shall be: which operations, in which order.

Pure functions. Check mode, diff, the standby router and the tests see the very operations that
kernel.py would send; nothing here knows about sockets.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from enum import Enum
from types import MappingProxyType
from typing import NamedTuple

from .errors import IpvsError
from .model import Entry, Server, ServerKey, Service, ServiceKey, Table, check_pair


class Kind(str, Enum):
    """What an operation does."""

    ADD_SERVICE = "add service"
    EDIT_SERVICE = "edit service"
    DELETE_SERVICE = "delete service"
    ADD_SERVER = "add server"
    EDIT_SERVER = "edit server"
    DELETE_SERVER = "delete server"

    def __str__(self) -> str:
        return self.value


ADDITIONS = (Kind.ADD_SERVICE, Kind.ADD_SERVER)
SERVICE_KINDS = (Kind.ADD_SERVICE, Kind.EDIT_SERVICE, Kind.DELETE_SERVICE)


class Operation(NamedTuple):
    """One change of the table, as one message to the kernel.

    ``service`` is the virtual service it is about. ``before`` and ``after`` are both Service
    values or both Server values; None stands for "not there". Deleting a service deletes the
    servers in it.
    """

    kind: Kind
    service: ServiceKey
    before: Service | Server | None
    after: Service | Server | None

    @property
    def subject(self) -> Service | Server:
        """The value that the operation is about: as it will be, or as it was if it goes."""
        subject = self.before if self.after is None else self.after
        if subject is None:
            raise ValueError("an operation without before and after")
        return subject

    def __str__(self) -> str:
        subject = self.subject
        if isinstance(subject, Server):
            return f"{self.kind} {subject.key} of {self.service}"
        return f"{self.kind} {self.service}"


def plan(
    desired: Table, actual: Table, owned: Collection[ServiceKey] = ()
) -> tuple[Operation, ...]:
    """Return the fewest operations that make the owned part of ``actual`` equal to ``desired``.

    Args:
        desired: the services that shall be there, with all their servers.
        actual: the whole table as it is.
        owned: services that are ours. An owned service that is not desired is deleted; a service
            that is neither desired nor owned is somebody else's and not touched.

    What is on both sides is edited, never deleted and added. Order: additions, then edits (those
    that raise a weight first, so that a shift of load passes through no moment without a server),
    then deletions of servers, then deletions of services.
    """
    added: list[Operation] = []
    edited: list[Operation] = []
    server_edits: list[Operation] = []
    deleted: list[Operation] = []
    for key in sorted(desired):
        service, servers = desired[key]
        present = actual.get(key)
        if present is None:
            added.append(Operation(Kind.ADD_SERVICE, key, None, service))
        elif present.service != service:
            edited.append(Operation(Kind.EDIT_SERVICE, key, present.service, service))
        there = actual.servers(key)
        if servers == there:
            continue
        for operation in _server_changes(key, servers, there):
            if operation.kind is Kind.ADD_SERVER:
                added.append(operation)
            elif operation.kind is Kind.EDIT_SERVER:
                server_edits.append(operation)
            else:
                deleted.append(operation)
    server_edits.sort(key=_lowers_weight)  # stable: the order by key stays within both halves
    gone = sorted(key for key in set(owned) if key in actual and key not in desired)
    deleted += [Operation(Kind.DELETE_SERVICE, key, actual[key].service, None) for key in gone]
    return (*added, *edited, *server_edits, *deleted)


def _server_changes(
    key: ServiceKey, desired: Mapping[ServerKey, Server], actual: Mapping[ServerKey, Server]
) -> Iterator[Operation]:
    for server_key in sorted(desired.keys() | actual.keys()):
        after, before = desired.get(server_key), actual.get(server_key)
        if after == before:
            continue
        if before is None:
            kind = Kind.ADD_SERVER
        elif after is None:
            kind = Kind.DELETE_SERVER
        else:
            kind = Kind.EDIT_SERVER
        yield Operation(kind, key, before, after)


def _lowers_weight(operation: Operation) -> bool:
    before, after = operation.before, operation.after
    return isinstance(before, Server) and isinstance(after, Server) and after.weight < before.weight


def takes_away(operation: Operation) -> bool:
    """Whether it may leave a service without a server that takes connections."""
    before, after = operation.before, operation.after
    if isinstance(before, Server) and isinstance(after, Server):
        return after.weight == 0 < before.weight
    return operation.kind in (Kind.DELETE_SERVICE, Kind.DELETE_SERVER)


def undo(operation: Operation, originals: Table) -> tuple[Operation, ...]:
    """The operations that take one back; ``originals`` has the services that were deleted."""
    kind, key, before, after = operation
    if kind in (Kind.EDIT_SERVICE, Kind.EDIT_SERVER):
        return () if before is None else (Operation(kind, key, after, before),)
    back = [Operation(_OPPOSITE[kind], key, after, before)]
    if kind is Kind.DELETE_SERVICE:
        servers = originals.servers(key)
        back += [Operation(Kind.ADD_SERVER, key, None, servers[name]) for name in sorted(servers)]
    return tuple(back)


_OPPOSITE = {
    Kind.ADD_SERVICE: Kind.DELETE_SERVICE,
    Kind.DELETE_SERVICE: Kind.ADD_SERVICE,
    Kind.ADD_SERVER: Kind.DELETE_SERVER,
    Kind.DELETE_SERVER: Kind.ADD_SERVER,
}


def apply_to(table: Table, operations: Iterable[Operation]) -> Table:
    """Return the table that the kernel would hold after the operations: a pure model of it.

    Raises IpvsError where the kernel would refuse: adding what is there, changing what is not,
    joining families without a tunnel. ``before`` is not looked at, as the kernel does not.
    """
    services = {key: entry.service for key, entry in table.items()}
    servers = {key: dict(entry.servers) for key, entry in table.items()}
    for operation in operations:
        key, subject = operation.service, operation.subject
        if isinstance(subject, Service):
            _expect(operation, key in services, operation.kind is not Kind.ADD_SERVICE)
            if operation.kind is Kind.DELETE_SERVICE:
                del services[key], servers[key]
            else:
                services[key] = subject
                servers.setdefault(key, {})
            continue
        if key not in services:
            raise IpvsError(str(operation), "the virtual service is not in the table")
        here = servers[key]
        _expect(operation, subject.key in here, operation.kind is not Kind.ADD_SERVER)
        if operation.kind is Kind.DELETE_SERVER:
            del here[subject.key]
        else:
            check_pair(services[key], subject)
            here[subject.key] = subject
    return Table.of_entries(
        {key: Entry(services[key], MappingProxyType(servers[key])) for key in services}
    )


def _expect(operation: Operation, there: bool, wanted: bool) -> None:
    if there != wanted:
        raise IpvsError(str(operation), "it is there already" if there else "it is not there")


def present(table: Table, operation: Operation) -> Service | Server | None:
    """What is there in the place that the operation is about; None for nothing."""
    subject = operation.subject
    entry = table.get(operation.service)
    if isinstance(subject, Service):
        return entry.service if entry else None
    return entry.servers.get(subject.key) if entry else None


def reached(table: Table, operation: Operation) -> bool:
    """Whether the table already is what the operation is to bring about."""
    return present(table, operation) == operation.after
