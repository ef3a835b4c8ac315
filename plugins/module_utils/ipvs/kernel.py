# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""The only socket of the IPVS library: reads the kernel's table and applies operations to it.

It decides nothing: plan.py says what to do, codec.py how to say it. It waits for nothing but the
kernel, for a bounded time; a call takes well under a millisecond for one entry.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from types import MappingProxyType
from typing import NamedTuple, TypeVar

from . import codec
from .errors import IpvsError
from .model import Entry, ServerKey, ServiceKey, Table
from .outcome import IN_KERNEL, Outcome, Report, no_ipvs, refusal, second_try, spoken
from .plan import SERVICE_KINDS, Operation, reached

_Result = TypeVar("_Result")

BATCH = 100  # acknowledged messages at once: 300 overrun the default receive buffer
RECEIVE_SECONDS = 5.0
ATTEMPTS = 4  # at one operation, where another program changes the same entries meanwhile

_NETLINK_GENERIC = 16  # linux/netlink.h; the socket module does not name these on every system
_SOL_NETLINK = 270
_NETLINK_CAP_ACK = 10
_DATAGRAM = 65536  # the kernel fills dumps up to 32 KiB a datagram


class Snapshot(NamedTuple):
    """The table with what changes by itself: connections and counters."""

    table: Table
    services: dict[ServiceKey, codec.ServiceRow]
    servers: dict[tuple[ServiceKey, ServerKey], codec.ServerRow]


class _Unknown(Exception):
    """The kernel's answers were lost (ENOBUFS): what it did must be read from the table."""


class Kernel:
    """The IPVS table of the network namespace in which the first call is made.

    A context manager; the socket opens at the first call, and again in a forked child, so that
    two processes never share one. Not for two threads at once. Every method raises IpvsError.

    Args:
        batch: how many messages go to the kernel at once.
        seconds: how long to wait for any one answer.
        receive_buffer: bytes, None for the system's default.
    """

    def __init__(
        self,
        batch: int = BATCH,
        seconds: float = RECEIVE_SECONDS,
        receive_buffer: int | None = None,
    ) -> None:
        self._batch = batch
        self._seconds = seconds
        self._receive_buffer = receive_buffer
        self._socket: socket.socket | None = None
        self._process = 0
        self._family = 0
        self._sequence = int(time.time()) & 0x3FFFFFFF

    def __enter__(self) -> Kernel:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the socket; the next call opens another."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    # Reading

    def read(self) -> Table:
        """Return the whole table. It is read service by service: no snapshot of one moment."""
        return self.snapshot(counters=False).table

    def snapshot(self, counters: bool = True) -> Snapshot:
        """Return the table, connections of each server and, on request, all counters."""
        return self._guarded(lambda: self._snapshot(counters))

    def _snapshot(self, counters: bool) -> Snapshot:
        family = self._open()
        entries: dict[ServiceKey, Entry] = {}
        services: dict[ServiceKey, codec.ServiceRow] = {}
        servers: dict[tuple[ServiceKey, ServerKey], codec.ServerRow] = {}
        for body in self._dump(codec.services_request(family, self._next())):
            row = codec.decode_service(body, counters)
            services[row.service.key] = row
        for key, row in services.items():
            here = {}
            for body in self._dump(codec.servers_request(family, self._next(), key)):
                server_row = codec.decode_server(body, key.family, counters)
                server = server_row.server
                here[server.key] = server
                servers[key, server.key] = server_row
            entries[key] = Entry(row.service, MappingProxyType(here))
        return Snapshot(Table.of_entries(entries), services, servers)

    # Writing

    def apply(self, operations: Iterable[Operation]) -> Report:
        """Send the operations, in order and in batches; say what became of each.

        An operation that the kernel refuses does not stop the others. Where the table changed
        meanwhile (an entry came or went), what is wanted is tried the other way, a few times.
        Raises IpvsError only where nothing at all can be said: no IPVS, no privilege, no answer.
        """
        return self._guarded(lambda: self._apply(tuple(operations)))

    def _apply(self, operations: Sequence[Operation]) -> Report:
        numbers: list[int | None] = []
        for start in range(0, len(operations), self._batch):
            numbers += self._persist(operations[start : start + self._batch])
        if None in numbers:
            numbers = self._settled(operations, numbers)
        return Report(
            tuple(
                Outcome(operation, refusal(operation, number or 0))
                for operation, number in zip(operations, numbers)
            )
        )

    def _persist(self, batch: Sequence[Operation]) -> list[int | None]:
        """Send one batch, and again what met a table that somebody else was changing."""
        current = list(batch)
        numbers = self._send(current)
        for _attempt in range(ATTEMPTS - 1):
            again = [(at, second_try(op, numbers[at])) for at, op in enumerate(current)]
            retries = [(at, op) for at, op in again if op is not None]
            if not retries:
                break
            # Services first: servers may have been refused since theirs had gone.
            retries.sort(key=lambda retry: retry[1].kind not in SERVICE_KINDS)
            for (at, op), number in zip(retries, self._send([op for _at, op in retries])):
                current[at], numbers[at] = op, number
        return numbers

    def _settled(
        self, operations: Sequence[Operation], numbers: Sequence[int | None]
    ) -> list[int | None]:
        """Fill in the outcomes that are unknown by looking at the table."""
        table = self._snapshot(counters=False).table
        return [
            (0 if reached(table, operation) else errno.ENOBUFS) if number is None else number
            for operation, number in zip(operations, numbers)
        ]

    def _send(self, operations: Sequence[Operation]) -> list[int | None]:
        """Send one batch; return an error number each, 0 for done, None for an answer lost."""
        family = self._open()
        numbers: dict[int, int | None] = {}
        data = []
        for operation in operations:
            sequence = self._next()
            numbers[sequence] = None
            data.append(codec.operation_request(family, sequence, operation))
        self._put(b"".join(data))
        waiting = len(numbers)
        try:
            while waiting:
                for answer in codec.messages(self._get()):
                    if answer.kind == codec.NLMSG_ERROR and answer.sequence in numbers:
                        waiting -= 1
                        numbers[answer.sequence] = codec.error_number(answer.body)
        except _Unknown:
            self.close()  # with whatever is still queued on it
        if errno.EPERM in numbers.values():
            raise spoken(PermissionError(errno.EPERM, os.strerror(errno.EPERM)))
        return list(numbers.values())

    # The socket

    def _guarded(self, call: Callable[[], _Result]) -> _Result:
        try:
            return call()
        except IpvsError:
            raise
        except _Unknown:
            self.close()
            raise IpvsError(
                IN_KERNEL, "answers were lost (ENOBUFS)", "try again", errno.ENOBUFS
            ) from None
        except (OSError, ValueError) as error:
            self.close()  # a half-read socket must not answer the next question
            raise spoken(error) from error

    def _open(self) -> int:
        """Return the family's number, with a socket that is this process's own."""
        if self._socket is not None and self._process == os.getpid():
            return self._family
        self.close()
        self._socket = socket.socket(
            socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _NETLINK_GENERIC
        )
        self._process = os.getpid()
        whole = int(self._seconds)
        limit = struct.pack("@ll", whole, int((self._seconds - whole) * 1e6))
        # A time limit of the kernel's own costs no poll() before each read, settimeout() does.
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, limit)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)
        # Errors would carry the whole refused message back, and fill the receive buffer.
        self._socket.setsockopt(_SOL_NETLINK, _NETLINK_CAP_ACK, 1)
        if self._receive_buffer is not None:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self._receive_buffer)
        self._socket.bind((0, 0))
        self._family = self._find_family()
        return self._family

    def _find_family(self) -> int:
        sequence = self._next()
        self._put(codec.family_request(sequence))
        number = 0
        while True:
            for answer in codec.messages(self._get()):
                if answer.sequence != sequence:
                    continue
                if answer.kind != codec.NLMSG_ERROR:
                    number = codec.family_number(answer.body)
                    continue
                error = codec.error_number(answer.body)
                if error == errno.ENOENT:
                    self.close()
                    raise no_ipvs()
                if error:
                    raise OSError(error, os.strerror(error))
                return number

    def _dump(self, request: bytes) -> Iterator[bytes]:
        sequence = self._sequence
        self._put(request)
        while True:
            for answer in codec.messages(self._get()):
                if answer.sequence != sequence:
                    continue
                if answer.kind in (codec.NLMSG_DONE, codec.NLMSG_ERROR):
                    error = codec.error_number(answer.body)
                    if error:
                        raise OSError(error, os.strerror(error))
                    return
                yield answer.body

    def _next(self) -> int:
        self._sequence = (self._sequence + 1) & 0xFFFFFFFF
        return self._sequence

    def _put(self, data: bytes) -> None:
        if self._socket is not None:
            self._socket.sendto(data, (0, 0))

    def _get(self) -> bytes:
        if self._socket is None:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        try:
            return self._socket.recv(_DATAGRAM)
        except OSError as error:
            if error.errno == errno.ENOBUFS:
                raise _Unknown from None
            raise
