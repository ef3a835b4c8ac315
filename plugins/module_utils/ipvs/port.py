# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""The only socket of the IPVS library: questions to the kernel, messages, and its answers.

It decides nothing and tries nothing twice; kernel.py does. It waits for nothing but the kernel, for
a bounded time. ``Port`` is what kernel.py needs of it, so that tests can put a kernel of their own
in its place.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
import time
from collections.abc import Sequence
from typing import Protocol, Union

from . import codec, netlink, settings_codec
from .model import ServiceKey
from .outcome import no_ipvs
from .plan import Operation
from .settings import Control, Daemon, Information, Timeouts

RECEIVE_SECONDS = 5.0

_NETLINK_GENERIC = 16  # linux/netlink.h; the socket module does not name these on every system
_SOL_NETLINK = 270
_NETLINK_CAP_ACK = 10
_DATAGRAM = 65536  # the kernel fills dumps up to 32 KiB a datagram

Command = Union[Operation, Control]


class AnswersLost(Exception):
    """A dump could not be read to its end (ENOBUFS): ask again."""


class Port(Protocol):
    """A kernel's IPVS, one question or one batch of messages at a time.

    Every method raises OSError as the socket does, ValueError for an answer that makes no sense,
    IpvsError where the kernel has no IPVS, AnswersLost.
    """

    def services(self, counters: bool) -> tuple[list[codec.ServiceRow], bool]:
        """All virtual services; and whether they are those of one moment."""

    def service(self, key: ServiceKey, counters: bool) -> codec.ServiceRow | None:
        """One virtual service, None if it is not there."""

    def servers(self, key: ServiceKey, counters: bool) -> tuple[list[codec.ServerRow], bool]:
        """The servers of a service, none if it is not there; and whether of one moment."""

    def timeouts(self) -> Timeouts:
        """The timeouts."""

    def daemons(self) -> tuple[Daemon, ...]:
        """The sync daemons that run."""

    def information(self) -> Information:
        """Version and connection table."""

    def send(self, commands: Sequence[Command]) -> list[int | None]:
        """Send messages at once, one at least; an error number each, 0 for done, None for an answer
        that was lost."""

    def close(self) -> None:
        """Let go; the next call begins anew."""


class NetlinkPort:
    """The kernel's IPVS in the network namespace in which the first call is made.

    The socket opens at the first call, and again in a forked child, so that two processes never
    share one. Not for two threads at once.

    Args:
        seconds: how long to wait for any one answer.
        receive_buffer: bytes, None for the system's default.
    """

    def __init__(self, seconds: float = RECEIVE_SECONDS, receive_buffer: int | None = None) -> None:
        self._seconds = seconds
        self._receive_buffer = receive_buffer
        self._socket: socket.socket | None = None
        self._process = 0
        self._family = 0
        self._sequence = int(time.time()) & 0x3FFFFFFF

    def close(self) -> None:
        """Close the socket; the next call opens another."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def services(self, counters: bool) -> tuple[list[codec.ServiceRow], bool]:
        """See Port."""
        bodies, whole = self._dump(codec.services_request(self._open(), self._next()))
        return [codec.decode_service(body, counters) for body in bodies], whole

    def service(self, key: ServiceKey, counters: bool) -> codec.ServiceRow | None:
        """See Port."""
        try:
            body = self._ask(codec.service_request(self._open(), self._next(), key))
        except OSError as error:
            if error.errno == errno.ESRCH:
                return None
            raise
        return codec.decode_service(body, counters)

    def servers(self, key: ServiceKey, counters: bool) -> tuple[list[codec.ServerRow], bool]:
        """See Port."""
        bodies, whole = self._dump(codec.servers_request(self._open(), self._next(), key))
        return [codec.decode_server(body, key.family, counters) for body in bodies], whole

    def timeouts(self) -> Timeouts:
        """See Port."""
        request = settings_codec.timeouts_request(self._open(), self._next())
        return settings_codec.decode_timeouts(self._ask(request))

    def information(self) -> Information:
        """See Port."""
        request = settings_codec.information_request(self._open(), self._next())
        return settings_codec.decode_information(self._ask(request))

    def daemons(self) -> tuple[Daemon, ...]:
        """See Port."""
        bodies, _whole = self._dump(settings_codec.daemons_request(self._open(), self._next()))
        return tuple(settings_codec.decode_daemon(body) for body in bodies)

    def send(self, commands: Sequence[Command]) -> list[int | None]:
        """See Port. A lost answer and one that does not come in time are the same: unknown.

        The kernel is asked to answer only what it refuses; a message behind the others, which it
        does answer, says that it is through. An answer each would take most of the time.
        """
        family = self._open()
        numbers: dict[int, int | None] = {}
        data = []
        for command in commands:
            sequence = self._next()
            numbers[sequence] = None
            if isinstance(command, Operation):
                data.append(codec.operation_request(family, sequence, command))
            else:
                data.append(settings_codec.control_request(family, sequence, command))
        last = self._next()
        self._put(b"".join(data) + netlink.barrier(last))
        try:
            self._collect(numbers, last)
        except AnswersLost:
            self.close()  # with whatever is still queued on it
        except OSError as error:
            self.close()
            if error.errno != errno.EAGAIN:
                raise
        else:
            # What is no operation was to be answered: the kernel does not do so where it tells
            # itself EINTR, as when a sync daemon is stopped that has not run for a moment yet.
            for sequence, command in zip(list(numbers), commands):
                if numbers[sequence] is None and isinstance(command, Operation):
                    numbers[sequence] = 0
        return list(numbers.values())

    def _collect(self, numbers: dict[int, int | None], last: int) -> None:
        """Take the answers; they come in order, so that the one to the last message ends it."""
        while True:
            for answer in netlink.messages(self._get()):
                if answer.kind == netlink.NLMSG_ERROR:
                    if answer.sequence in numbers:
                        numbers[answer.sequence] = netlink.error_number(answer.body)
                    if answer.sequence == last:
                        return

    # The socket

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
        try:
            body = self._ask(netlink.family_request(self._next(), codec.FAMILY_NAME))
        except OSError as error:
            if error.errno != errno.ENOENT:
                raise
            self.close()
            raise no_ipvs() from None
        return netlink.family_number(body)

    def _ask(self, request: bytes) -> bytes:
        """The one answer to a question; OSError for the kernel's no."""
        sequence = self._sequence
        self._put(request)
        while True:
            for answer in netlink.messages(self._get()):
                if answer.sequence != sequence:
                    continue
                if answer.kind != netlink.NLMSG_ERROR:
                    return answer.body
                error = netlink.error_number(answer.body)
                raise OSError(error, os.strerror(error))

    def _dump(self, request: bytes) -> tuple[list[bytes], bool]:
        """All parts of a long answer; and whether they came in one piece, made at one moment."""
        sequence = self._sequence
        self._put(request)
        parts: list[bytes] = []
        pieces = 0
        while True:
            before = len(parts)
            for answer in netlink.messages(self._get()):
                if answer.sequence != sequence:
                    continue
                if answer.kind in (netlink.NLMSG_DONE, netlink.NLMSG_ERROR):
                    error = netlink.error_number(answer.body)
                    if error:
                        raise OSError(error, os.strerror(error))
                    return parts, pieces + (len(parts) > before) <= 1
                parts.append(answer.body)
            pieces += len(parts) > before

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
                raise AnswersLost from None
            raise
