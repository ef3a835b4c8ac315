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
from .kinds import NONCE, conversation
from .outcome import Finding, Outcome, bad, duration, unknown
from .spec import ServiceCheck, SocketCheck

NetworkCheck = SocketCheck | ServiceCheck
Done = Callable[[Outcome], None]

DATAGRAM = 65535
"""A datagram is read whole; the rest of one that is cut would be lost."""

EAGER_READS = 8
PAUSE = 0.02
"""Seconds between two reads after EAGER_READS of them, so that trickled bytes cost no more."""
AT_ONCE = 256
"""Sockets served before the loop's other business has its turn."""

WORDS = {
    errno.ECONNREFUSED: "connection refused",
    errno.ECONNRESET: "connection reset by the server",
    errno.EPIPE: "the server closed the connection before everything was sent",
    errno.EHOSTUNREACH: "host unreachable",
    errno.ENETUNREACH: "network unreachable",
    errno.ETIMEDOUT: "connection timed out",
}
"""What the network or the server said. Any other error is this router's own trouble."""

_SOL_RAW, _ICMP_FILTER = 255, 1  # linux/socket.h, linux/icmp.h
_ECHO_REPLY_ONLY = struct.pack("I", ~1 & 0xFFFFFFFF)
_SO_ERROR = (socket.SOL_SOCKET, socket.SO_ERROR)


class Hub:
    """Tells sockets apart that are ready: one epoll inside the loop's own."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        """Serves for as long as the loop runs."""
        self._epoll = select.epoll()
        self._calls: dict[int, Callable[[int], None]] = {}
        loop.add_reader(self._epoll.fileno(), self._ready)

    def watch(self, descriptor: int, events: int, call: Callable[[int], None]) -> None:
        """Call with the events when one of them is there; replaces what was said before."""
        if descriptor in self._calls:
            self._epoll.modify(descriptor, events)
        else:
            self._epoll.register(descriptor, events)
        self._calls[descriptor] = call

    def forget(self, descriptor: int) -> None:
        """Watch no longer."""
        if self._calls.pop(descriptor, None) is not None:
            self._epoll.unregister(descriptor)

    def _ready(self) -> None:
        for descriptor, events in self._epoll.poll(0, AT_ONCE):
            call = self._calls.get(descriptor)
            if call is not None:  # an earlier call may have ended this one
                call(events)


_hubs: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, Hub] = weakref.WeakKeyDictionary()


def _hub(loop: asyncio.AbstractEventLoop) -> Hub:
    hub = _hubs.get(loop)
    if hub is None:
        hub = _hubs[loop] = Hub(loop)
    return hub


class Attempt:
    """One check under way. Calls `done` once, within `check.limit` seconds, unless cancelled."""

    def __init__(self, check: NetworkCheck, done: Done) -> None:
        """Nothing happens before `start`."""
        self._check = check
        self._done: Done | None = done
        self._loop = asyncio.get_running_loop()
        self._hub = _hub(self._loop)
        self._sock: socket.socket | None = None
        self._talk: Conversation | None = None
        self._connected = False
        self._pending = b""
        self._reads = 0
        self._timer: asyncio.TimerHandle | None = None
        self._pause: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Begin; may be done before it returns."""
        self._guard(self._connect)

    def cancel(self) -> None:
        """End without an outcome."""
        self._done = None
        self._close()

    # -- each of these runs inside _guard ---------------------------------------------------------

    def _connect(self) -> None:
        check = self._check
        try:
            self._talk = conversation(check, os.urandom(NONCE), time.time)
        except (OSError, ssl.SSLError) as error:
            words = error.strerror or str(error)
            self._finish(unknown(f"not checked: the CA certificates cannot be used: {words}"))
            return
        self._sock = sock = _socket(check)
        self._timer = self._loop.call_later(check.limit, self._late)
        number = sock.connect_ex((check.address, check.port))
        if number == errno.EINPROGRESS:
            self._hub.watch(sock.fileno(), select.EPOLLOUT, self._on_connect)
        elif number:
            raise OSError(number, "")
        else:
            self._begin()

    def _begin(self) -> None:
        assert self._talk is not None  # noqa: S101 - for the type checker
        self._connected = True
        self._go_on(self._talk.begin())

    def _established(self) -> None:
        assert self._sock is not None  # noqa: S101 - for the type checker
        number = self._sock.getsockopt(*_SO_ERROR)
        if number:
            raise OSError(number, "")
        self._begin()

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
        if self._pending:
            events = select.EPOLLIN | select.EPOLLOUT
        else:
            outcome = talk.sent()
            if outcome is not None:
                self._finish(outcome)
                return
            events = select.EPOLLIN
        self._hub.watch(sock.fileno(), events, self._on_event)

    def _read(self) -> None:
        sock, talk = self._sock, self._talk
        assert sock is not None and talk is not None  # noqa: S101 - for the type checker
        stream = self._check.protocol == "tcp"
        room = talk.room()
        try:
            piece = sock.recv(room if stream else DATAGRAM)
        except BlockingIOError:
            return
        if stream and not piece:
            self._finish(talk.closed())
            return
        step = talk.feed(piece if stream else _payload(sock, piece)[:room])
        if isinstance(step, Outcome):
            self._finish(step)
            return
        self._reads += 1
        if self._reads >= EAGER_READS:
            self._hub.forget(sock.fileno())
            self._pending += step
            self._pause = self._loop.call_later(PAUSE, self._resume)
        elif step:
            self._go_on(step)

    # -- called by the loop -----------------------------------------------------------------------

    def _on_connect(self, _events: int) -> None:
        self._guard(self._established)

    def _on_event(self, events: int) -> None:
        if events & ~select.EPOLLOUT:
            self._guard(self._read)
        elif events:
            self._guard(self._write)

    def _resume(self) -> None:
        self._guard(self._write)

    def _late(self) -> None:
        self._finish(late(self._check, self._talk, connected=self._connected))

    # -- the end ----------------------------------------------------------------------------------

    def _guard(self, work: Callable[[], None]) -> None:
        if self._done is None:
            return
        try:
            work()
        except Exception as error:
            if self._done is None:
                raise  # whoever was told made a mistake; the loop's owner must know
            if isinstance(error, OSError):
                self._finish(failure(self._check, error))
                return
            # A fault of ours must not end the checks.
            self._finish(unknown(f"not checked: {type(error).__name__}: {error}"))

    def _finish(self, outcome: Outcome) -> None:
        done, self._done = self._done, None
        if done is None:
            return
        goodbye = self._talk.goodbye if self._talk else b""
        if goodbye and self._sock is not None and outcome.finding is Finding.GOOD:
            with contextlib.suppress(OSError):
                self._sock.send(goodbye, socket.MSG_NOSIGNAL)
        self._close()
        done(outcome)

    def _close(self) -> None:
        for timer in (self._timer, self._pause):
            if timer is not None:
                timer.cancel()
        sock, self._sock = self._sock, None
        if sock is not None:
            self._hub.forget(sock.fileno())
            sock.close()


async def probe(check: NetworkCheck) -> Outcome:
    """Make the check; ends within `check.limit` seconds."""
    ended: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()

    def done(outcome: Outcome) -> None:
        if not ended.done():
            ended.set_result(outcome)

    attempt = Attempt(check, done)
    attempt.start()
    try:
        return await ended
    finally:
        attempt.cancel()


def _socket(check: NetworkCheck) -> socket.socket:
    family = socket.AF_INET6 if ":" in check.address else socket.AF_INET
    if check.protocol == "icmp":
        return _icmp_socket(family)
    kind = socket.SOCK_DGRAM if check.protocol == "udp" else socket.SOCK_STREAM
    sock = socket.socket(family, kind | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    if kind == socket.SOCK_STREAM:
        # A request of one small piece; waiting to fill a segment would only delay it.
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def _icmp_socket(family: int) -> socket.socket:
    """A socket for echo requests; raw, since the agent has the right to it."""
    protocol = socket.IPPROTO_ICMPV6 if family == socket.AF_INET6 else socket.IPPROTO_ICMP
    flags = socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
    sock = socket.socket(family, socket.SOCK_RAW | flags, protocol)
    if family == socket.AF_INET:
        # Every raw socket gets a copy of every ICMP message; let the kernel sort most out.
        sock.setsockopt(_SOL_RAW, _ICMP_FILTER, _ECHO_REPLY_ONLY)
    return sock


def _payload(sock: socket.socket, packet: bytes) -> bytes:
    """What a datagram holds; a raw IPv4 socket gives the IP header with it."""
    if sock.type == socket.SOCK_RAW and sock.family == socket.AF_INET and packet:
        return packet[(packet[0] & 0x0F) * 4 :]
    return packet


def late(check: NetworkCheck, talk: Conversation | None, *, connected: bool) -> Outcome:
    """Time is up: say what was waited for."""
    limit = check.limit
    if not connected or talk is None:
        return bad(f"no connection within {duration(limit)}")
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
