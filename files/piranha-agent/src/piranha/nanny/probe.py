# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make one check with a socket: connect, converse, end in time.

A thin shell. It knows no protocol: what is said and what an answer means are the conversation's
(kinds.py); how a network's error is worded stands here. It works by callbacks on an epoll of its
own, since tasks and streams cost several times as much. Never raises for what a server does.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import select
import socket
import ssl
import struct
import time
import weakref
from collections.abc import Callable

from .conversation import Conversation
from .kinds import conversation, nonce
from .outcome import Finding, Outcome, bad, duration, good, unknown
from .spec import ServiceCheck, SocketCheck
from .wheel import Wheel

NetworkCheck = SocketCheck | ServiceCheck
Socket = socket.SocketType
"""The class below socket.socket, which has all that is needed and is made in half the time."""
Done = Callable[[Outcome], None]
Opener = Callable[[Socket, NetworkCheck], Outcome | None]
"""Makes a socket reach one real server through the virtual address, or gives why it cannot."""

DATAGRAM = 65535
"""A datagram is read whole; the rest of one that is cut would be lost."""

EAGER_READS = 8
PAUSE = 0.02
"""Seconds between two reads after EAGER_READS of them, so that trickled bytes cost no more."""
AT_ONCE = 256
"""Sockets served before the loop's other business has its turn."""

NO_CONNECTION = "no connection"
WORDS = {
    errno.ECONNREFUSED: "connection refused",
    errno.ECONNRESET: "connection reset by the server",
    errno.EPIPE: "the server closed the connection before everything was sent",
    errno.EHOSTUNREACH: "host unreachable",
    errno.ENETUNREACH: "network unreachable",
    errno.ETIMEDOUT: "connection timed out",
}
"""What the network or the server said. Any other error is this router's own trouble."""

_FLAGS = socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
_SOL_RAW, _ICMP_FILTER = 255, 1  # linux/socket.h, linux/icmp.h
_ECHO_REPLY_ONLY = struct.pack("I", ~1 & 0xFFFFFFFF)
_SO_ERROR = (socket.SOL_SOCKET, socket.SO_ERROR)

_BROKEN = select.EPOLLERR | select.EPOLLHUP
_CHANGES = select.EPOLLIN | select.EPOLLOUT | select.EPOLLET
"""Told once of each change, a socket needs one call of epoll for all of its life."""

_RESET = (socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
"""End a connection with a reset: one packet in place of three, and nothing stays behind. Ends that
linger for a minute, and for two minutes in the memory of a firewall, would be 200,000 of them
where ten thousand servers are checked every three seconds."""

CONNECTED = good("connected")


class Hub:
    """Tells sockets apart that are ready, and keeps time limits: one epoll, one timer."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        """Serves for as long as the loop runs."""
        self._loop = loop
        self._epoll = select.epoll()
        self._waiting: dict[int, Attempt] = {}
        self.now = loop.time()
        """The loop's time when what is at hand was found ready, late or due."""
        # Whoever is late is looked at once more: a process that stood still finds all time limits
        # passed, with the answers lying in the sockets.
        self.limits = Wheel(loop, before=self.drain)
        loop.add_reader(self._epoll.fileno(), self._serve)

    def watch(self, descriptor: int, attempt: Attempt) -> None:
        """Call its `ready` with what the socket can do, now and whenever there is more of it."""
        self._epoll.register(descriptor, _CHANGES)
        self._waiting[descriptor] = attempt

    def forget(self, descriptor: int) -> None:
        """Watch no longer."""
        if self._waiting.pop(descriptor, None) is not None:
            self._epoll.unregister(descriptor)

    def closing(self, descriptor: int) -> None:
        """Watch no longer what is closed at once: the kernel takes it off the list by itself.

        It does so with the last copy of a descriptor; a program being started holds copies, but
        nothing is closed until it runs and has none.
        """
        self._waiting.pop(descriptor, None)

    def drain(self) -> None:
        """Serve all that is ready now."""
        rounds = len(self._waiting) // AT_ONCE + 1
        while rounds and self._serve():
            rounds -= 1

    def _serve(self) -> bool:
        """Serve what is ready, AT_ONCE sockets at most; whether there may be more."""
        found = self._epoll.poll(0, AT_ONCE)
        if not found:
            return False
        self.now = self._loop.time()
        for descriptor, events in found:
            attempt = self._waiting.get(descriptor)
            if attempt is not None:  # an earlier one may have ended this one
                attempt.ready(events)
        return len(found) == AT_ONCE


_hubs: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, Hub] = weakref.WeakKeyDictionary()


def hub_of(loop: asyncio.AbstractEventLoop) -> Hub:
    """Give the loop's hub."""
    hub = _hubs.get(loop)
    if hub is None:
        hub = _hubs[loop] = Hub(loop)
    return hub


def closed(_sock: Socket, _check: NetworkCheck) -> Outcome | None:
    """The Opener where there is none."""
    return unknown("not checked: the virtual address can be checked only where lvsd runs")


class Attempt:
    """One check, to be made again and again. Each time `done` is called once, within
    `check.limit` seconds (and a step of the wheel), unless it is cancelled.
    """

    __slots__ = (
        "_check",
        "_connected",
        "_done",
        "_hub",
        "_limit",
        "_opener",
        "_pause",
        "_pending",
        "_plain",
        "_reads",
        "_running",
        "_sock",
        "_talk",
        "_where",
    )

    def __init__(self, check: NetworkCheck, done: Done, opener: Opener = closed) -> None:
        """Nothing happens before `start`. opener: for a check through the virtual address."""
        self._check = check
        self._opener = opener
        self._done = done
        self._hub = hub_of(asyncio.get_running_loop())
        self._where = (check.address, check.port)
        self._plain = _plain(check)
        self._running = False
        self._limit: int | None = None
        self._pause: asyncio.TimerHandle | None = None
        self._sock: Socket | None = None
        self._talk: Conversation | None = None
        self._connected = False
        self._pending = b""
        self._reads = 0

    @property
    def running(self) -> bool:
        """Whether a check is under way."""
        return self._running

    def start(self, now: float) -> None:
        """Begin at the loop's time `now`; may be done before it returns."""
        self._hub.now = now
        self._running = True
        self._connected = False
        self._guard(self._connect, now)

    def cancel(self) -> None:
        """End without an outcome."""
        self._running = False
        self._close()

    def due(self, now: float) -> None:
        """Time is up."""
        self._hub.now = now
        self._limit = None
        self._finish(late(self._check, self._talk, connected=self._connected))

    def ready(self, events: int) -> None:
        """The socket has something to say; it says so once (see Hub.watch)."""
        if not self._connected:
            if self._plain and not events & _BROKEN:
                self._finish(CONNECTED)
                return
            self._guard(self._established, events)
        elif self._pending:
            self._guard(self._write)
        if events & ~select.EPOLLOUT:
            self._guard(self._read)

    # -- each of these runs inside _guard ---------------------------------------------------------

    def _connect(self, now: float) -> None:
        check = self._check
        if not self._plain:
            try:
                self._talk = conversation(check, nonce(check), time.time)
            except (OSError, ssl.SSLError) as error:
                words = error.strerror or str(error)
                self._finish(unknown(f"not checked: the CA certificates cannot be used: {words}"))
                return
            self._pending, self._reads = b"", 0
        self._sock = sock = _socket(check)
        if check.through is not None and (refusal := self._opener(sock, check)) is not None:
            self._finish(refusal)
            return
        number = sock.connect_ex(self._where)
        if number and number != errno.EINPROGRESS:
            raise OSError(number, "")
        self._limit = self._hub.limits.add(self, now + check.limit)
        self._hub.watch(sock.fileno(), self)
        if not number:
            self._begin()

    def _established(self, events: int) -> None:
        assert self._sock is not None  # noqa: S101 - for the type checker
        number = self._sock.getsockopt(*_SO_ERROR) if events & _BROKEN else 0
        if number:
            raise OSError(number, "")
        self._begin()

    def _begin(self) -> None:
        self._connected = True
        if self._talk is None:
            self._finish(CONNECTED)
        else:
            self._go_on(self._talk.begin())

    def _go_on(self, step: bytes | Outcome) -> None:
        if isinstance(step, Outcome):
            self._finish(step)
            return
        self._pending += step
        self._write()

    def _write(self) -> None:
        sock, talk = self._sock, self._talk
        assert sock is not None and talk is not None  # noqa: S101 - for the type checker
        if self._pending:
            with contextlib.suppress(BlockingIOError):
                self._pending = self._pending[sock.send(self._pending, socket.MSG_NOSIGNAL) :]
        if not self._pending:
            outcome = talk.sent()
            if outcome is not None:
                self._finish(outcome)

    def _read(self) -> None:
        """Read until nothing is left: nobody tells twice of what has come already."""
        stream = self._check.protocol == "tcp"
        while self._running:
            sock, talk = self._sock, self._talk
            assert sock is not None and talk is not None  # noqa: S101 - for the type checker
            room = talk.room()
            try:
                piece = sock.recv(room if stream else DATAGRAM)
            except BlockingIOError:
                return
            if stream and not piece:
                self._finish(talk.closed())
                return
            step = talk.feed(piece if stream else _payload(self._check, piece)[:room])
            if isinstance(step, Outcome):
                self._finish(step)
                return
            self._reads += 1
            if self._reads >= EAGER_READS:
                self._hub.forget(sock.fileno())
                self._pending += step
                loop = asyncio.get_running_loop()
                self._pause = loop.call_later(PAUSE, self._resume)
                return
            if step:
                self._go_on(step)

    def _resume(self) -> None:
        self._pause = None
        if self._sock is not None:
            self._hub.watch(self._sock.fileno(), self)
        if self._pending:
            self._guard(self._write)

    # -- the end ----------------------------------------------------------------------------------

    def _guard(self, work: Callable[..., None], *arguments: float) -> None:
        if not self._running:
            return
        try:
            work(*arguments)
        except Exception as error:
            if not self._running:
                raise  # whoever was told made a mistake; the loop's owner must know
            if isinstance(error, OSError):
                self._finish(failure(self._check, error))
                return
            # A fault of ours must not end the checks.
            self._finish(unknown(f"not checked: {type(error).__name__}: {error}"))

    def _finish(self, outcome: Outcome) -> None:
        if not self._running:
            return
        self._running = False
        if self._sock is not None and outcome.finding is Finding.GOOD:
            if self._plain:
                self._sock.setsockopt(*_RESET)
            elif self._talk is not None and self._talk.goodbye:
                with contextlib.suppress(OSError):
                    self._sock.send(self._talk.goodbye, socket.MSG_NOSIGNAL)
        self._close()
        self._done(outcome)

    def _close(self) -> None:
        self._talk = None
        if self._limit is not None:
            self._hub.limits.remove(self, self._limit)
            self._limit = None
        if self._pause is not None:
            self._pause.cancel()
            self._pause = None
        sock, self._sock = self._sock, None
        if sock is not None:
            self._hub.closing(sock.fileno())
            sock.close()


async def probe(check: NetworkCheck, opener: Opener = closed) -> Outcome:
    """Make the check; ends within `check.limit` seconds."""
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[Outcome] = loop.create_future()

    def done(outcome: Outcome) -> None:
        if not ended.done():
            ended.set_result(outcome)

    attempt = Attempt(check, done, opener)
    attempt.start(loop.time())
    try:
        return await ended
    finally:
        attempt.cancel()


def _plain(check: NetworkCheck) -> bool:
    """Tell whether being connected is all: no conversation is needed."""
    return (
        isinstance(check, SocketCheck)
        and check.protocol == "tcp"
        and not check.send
        and check.expect is None
    )


def _socket(check: NetworkCheck) -> Socket:
    family = socket.AF_INET6 if ":" in check.address else socket.AF_INET
    if check.protocol == "icmp":
        return _icmp_socket(family)
    # No TCP_NODELAY: what a conversation says is one piece, and then it is the server's turn.
    kind = socket.SOCK_DGRAM if check.protocol == "udp" else socket.SOCK_STREAM
    return Socket(family, kind | _FLAGS)


def _icmp_socket(family: int) -> Socket:
    """A socket for echo requests; raw, since the agent has the right to it."""
    protocol = socket.IPPROTO_ICMPV6 if family == socket.AF_INET6 else socket.IPPROTO_ICMP
    sock = Socket(family, socket.SOCK_RAW | _FLAGS, protocol)
    if family == socket.AF_INET:
        # Every raw socket gets a copy of every ICMP message; let the kernel sort most out.
        sock.setsockopt(_SOL_RAW, _ICMP_FILTER, _ECHO_REPLY_ONLY)
    return sock


def _payload(check: NetworkCheck, packet: bytes) -> bytes:
    """What a datagram holds; a raw IPv4 socket gives the IP header with it."""
    if check.protocol == "icmp" and ":" not in check.address and packet:
        return packet[(packet[0] & 0x0F) * 4 :]
    return packet


def late(check: NetworkCheck, talk: Conversation | None, *, connected: bool) -> Outcome:
    """Time is up: say what was waited for."""
    limit = check.limit
    if not connected or talk is None:
        return bad(f"{NO_CONNECTION} within {duration(limit)}")
    if check.protocol == "udp" and not talk.data:
        return bad(f"no answer within {duration(limit)}")
    return talk.late(limit)


def failure(check: NetworkCheck, error: OSError) -> Outcome:
    """Say what an error means: the server's, the network's, or this router's own."""
    words = WORDS.get(error.errno or 0)
    if words is None:
        return unknown(f"not checked: {os.strerror(error.errno or 0).lower()} on this router")
    if check.protocol == "udp" and error.errno == errno.ECONNREFUSED:
        words = "port unreachable"
    return bad(words)
