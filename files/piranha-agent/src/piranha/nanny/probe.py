# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make one check with a socket: connect, send, wait for the answer.

A thin shell on asyncio's raw sockets (streams cost three times as much). What an answer means is
decided in answer.py; how an error is worded, here. Never raises for what a server does.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import socket

from .answer import Answer
from .outcome import Outcome, bad, duration, good, unknown
from .spec import SocketCheck

DATAGRAM = 65535
"""A datagram is read whole; the rest of one that is cut would be lost."""

EAGER_READS = 8
PAUSE = 0.02
"""Seconds between two reads after EAGER_READS of them, so that trickled bytes cost no more."""

WORDS = {
    errno.ECONNREFUSED: "connection refused",
    errno.ECONNRESET: "connection reset by the server",
    errno.EPIPE: "the server closed the connection before everything was sent",
    errno.EHOSTUNREACH: "host unreachable",
    errno.ENETUNREACH: "network unreachable",
    errno.ETIMEDOUT: "connection timed out",
}
"""What the network or the server said. Any other error is this router's own trouble."""


async def probe(check: SocketCheck) -> Outcome:
    """Make the check; ends within `check.limit` seconds."""
    answer = Answer(check.expect) if check.expect is not None else None
    connected = False
    try:
        async with asyncio.timeout(check.limit):
            with _socket(check) as sock:
                loop = asyncio.get_running_loop()
                await loop.sock_connect(sock, (check.address, check.port))
                connected = True
                if check.send:
                    await loop.sock_sendall(sock, check.send)
                if answer is None:
                    return good("connected, request sent" if check.send else "connected")
                return await _receive(sock, answer, datagrams=check.protocol == "udp")
    except TimeoutError:
        return _late(check, answer, connected=connected)
    except OSError as error:
        return _failure(check, error)


def _socket(check: SocketCheck) -> socket.socket:
    family = socket.AF_INET6 if ":" in check.address else socket.AF_INET
    kind = socket.SOCK_DGRAM if check.protocol == "udp" else socket.SOCK_STREAM
    sock = socket.socket(family, kind | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    if kind == socket.SOCK_STREAM:
        # A request of one small piece; waiting to fill a segment would only delay it.
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


async def _receive(sock: socket.socket, answer: Answer, *, datagrams: bool) -> Outcome:
    loop = asyncio.get_running_loop()
    reads = 0
    while True:
        room = answer.room()
        piece = await loop.sock_recv(sock, DATAGRAM if datagrams else room)
        if not piece and not datagrams:
            return answer.closed()
        outcome = answer.feed(piece[:room])
        if outcome is not None:
            return outcome
        reads += 1
        if reads >= EAGER_READS:
            await asyncio.sleep(PAUSE)


def _late(check: SocketCheck, answer: Answer | None, *, connected: bool) -> Outcome:
    if check.protocol == "udp" and (answer is None or not answer.data):
        return bad(f"no answer within {duration(check.limit)}")
    if not connected:
        return bad(f"no connection within {duration(check.limit)}")
    if answer is None:
        return bad(f"connected, but the request was not taken within {duration(check.limit)}")
    return answer.late(check.limit)


def _failure(check: SocketCheck, error: OSError) -> Outcome:
    words = WORDS.get(error.errno or 0)
    if words is None:
        return unknown(f"not checked: {os.strerror(error.errno or 0).lower()} on this router")
    if check.protocol == "udp" and error.errno == errno.ECONNREFUSED:
        words = "port unreachable"
    return bad(words)
