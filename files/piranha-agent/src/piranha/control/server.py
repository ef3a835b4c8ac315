# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""The control socket: takes requests, gives answers, streams events.

It cannot be made to wait or to grow: lines are bounded, connections are counted, and a reader that
does not keep up is dropped. What a request means is up to the handlers it is given.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import pwd
import socket
import struct
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from piranha.control.link import Lines
from piranha.control.protocol import (
    MAX_REQUEST,
    Request,
    RequestError,
    answered,
    encode,
    parse_request,
    permitted,
    refused,
)

MAX_CONNECTIONS = 64
MAX_UNREAD = 16 * 1024 * 1024
"""Bytes that one connection may leave unread before it is dropped."""

MAX_UNANSWERED = 16
"""Requests of one connection that may be under way at once."""

KEPT_EVENTS = 500

Handler = Callable[[Request], Awaitable[dict[str, Any]]]


class Refusal(Exception):
    """A handler cannot do what was asked; the text is one sentence for the asker."""


class ControlServer:
    """Listens at `path` and calls the handler named by each request.

    The socket's mode is 0660: whoever is in the group that pulse runs with (root's, unless the
    unit says otherwise) may read; protocol.CHANGES are for root.

    handlers: from the request's name to a coroutine that gives the result or raises Refusal.
    """

    def __init__(self, path: Path, handlers: dict[str, Handler]) -> None:
        self._path = path
        self._handlers = handlers
        self._server: asyncio.AbstractServer | None = None
        self.connections: set[Connection] = set()
        self.events: deque[dict[str, Any]] = deque(maxlen=KEPT_EVENTS)
        self.tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Begin to listen. The caller holds the run folder's lock: an old socket is nobody's."""
        with contextlib.suppress(FileNotFoundError):
            self._path.unlink()
        before = os.umask(0o117)
        try:
            loop = asyncio.get_running_loop()
            self._server = await loop.create_unix_server(
                lambda: Connection(self), str(self._path), backlog=2 * MAX_CONNECTIONS
            )
        finally:
            os.umask(before)

    def stop(self) -> None:
        """Stop listening and drop all connections after what is written already."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for connection in tuple(self.connections):
            connection.close()
        with contextlib.suppress(OSError):
            self._path.unlink()

    def publish(self, event: dict[str, Any]) -> None:
        """Keep an event and send it to everybody who listens."""
        self.events.append(event)
        for connection in tuple(self.connections):
            for request_id in connection.listening:
                connection.write({"id": request_id, "event": event})

    async def answer(self, connection: Connection, request: Request) -> None:
        """Have one request handled and write its answer."""
        try:
            if request.do == "events":
                connection.write(answered(request.id, {"events": list(self.events)}))
                connection.listening.append(request.id)
                return
            result = await self._handlers[request.do](request)
        except Refusal as why:
            connection.write(refused(request.id, str(why)))
        else:
            connection.write(answered(request.id, result))


class Connection(asyncio.Protocol):
    """One asker."""

    def __init__(self, server: ControlServer) -> None:
        self._server = server
        self._lines = Lines(MAX_REQUEST)
        self._transport: asyncio.Transport | None = None
        self._under_way = 0
        self._uid: int | None = None
        self.listening: list[int | str | None] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection, or say that there are too many."""
        self._transport = transport  # type: ignore[assignment]  # a stream server gives Transport
        if len(self._server.connections) >= MAX_CONNECTIONS:
            self.write(
                refused(None, f"{MAX_CONNECTIONS} connections are open already; close one of them")
            )
            self.close()
            return
        self._server.connections.add(self)
        self._uid = _peer_uid(transport.get_extra_info("socket"))

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._transport = None
        self._server.connections.discard(self)

    def data_received(self, data: bytes) -> None:
        """Handle whatever requests the data completes."""
        for message in self._lines.feed(data):
            self._handle(message)
        for fault in self._lines.faults:
            self.write(refused(None, fault))
        self._lines.faults.clear()

    def write(self, message: dict[str, Any]) -> None:
        """Write one message; a reader that left too much unread is dropped instead."""
        if self._transport is None or self._transport.is_closing():
            return
        if self._transport.get_write_buffer_size() > MAX_UNREAD:
            self._transport.abort()
            return
        self._transport.write(encode(message).encode() + b"\n")

    def close(self) -> None:
        """Close after what is written has been sent."""
        if self._transport is not None:
            self._transport.close()

    def _handle(self, message: dict[str, Any]) -> None:
        try:
            request = parse_request(message)
        except RequestError as why:
            self.write(refused(why.id, str(why)))
            return
        request = replace(request, uid=self._uid)
        if (why_not := permitted(request, os.getuid())) is not None:
            self.write(refused(request.id, why_not))
            return
        if self._under_way >= MAX_UNANSWERED:
            self.write(refused(request.id, "too many requests at once; wait for their answers"))
            return
        self._under_way += 1
        task = asyncio.get_running_loop().create_task(self._server.answer(self, request))
        self._server.tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._under_way -= 1
        self._server.tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            # A handler that fails is our mistake; the asker must not wait for ever.
            self.write(refused(None, f"pulse could not do that: {task.exception()!r}"))


def user_name(uid: int | None) -> str:
    """Give the name of a user, or its number where it has none."""
    try:
        return pwd.getpwuid(-1 if uid is None else uid).pw_name
    except (KeyError, OverflowError):
        return f"user {uid}"


def _peer_uid(sock: socket.socket) -> int:
    """Give the user at the other end, as it was when it connected; it cannot be made up."""
    credentials = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    _pid, uid, _gid = struct.unpack("3i", credentials)
    return int(uid)
