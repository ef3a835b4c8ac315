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
from dataclasses import dataclass, replace
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
    """A handler cannot do what was asked; the text is one sentence for the asker.

    more: what else the answer carries, such as `code`.
    """

    def __init__(self, sentence: str, **more: object) -> None:
        super().__init__(sentence)
        self.more = more


@dataclass(frozen=True)
class Manners:
    """What a socket has of its own; the control socket's unless said otherwise.

    parse: reads a message as a request. permit: says why somebody may not ask that. welcome: says
    why a user may not even connect. largest: bytes of a request. at_once: requests of
    one connection that may be under way. streams: whether `events` is
    answered here, by all that is kept and then each one as it happens.
    """

    parse: Callable[[dict[str, Any]], Request] = parse_request
    permit: Callable[[Request, int], str | None] = permitted
    welcome: Callable[[int], str | None] = lambda _uid: None
    largest: int = MAX_REQUEST
    at_once: int = MAX_UNANSWERED
    streams: bool = True


CONTROL = Manners()


class ControlServer:
    """Listens at `path` and calls the handler named by each request.

    The socket's mode is 0660: whoever is in the group that pulse runs with (root's, unless the
    unit says otherwise) may read; protocol.CHANGES are for root.

    handlers: from the request's name to a coroutine that gives the result or raises Refusal.
    """

    def __init__(
        self, path: Path, handlers: dict[str, Handler], manners: Manners = CONTROL
    ) -> None:
        self._path = path
        self._handlers = handlers
        self.manners = manners
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
            if request.do == "events" and self.manners.streams:
                connection.write(answered(request.id, {"events": list(self.events)}))
                connection.listening.append(request.id)
                return
            result = await self._handlers[request.do](request)
        except Refusal as why:
            connection.write({**refused(request.id, str(why)), **why.more})
        else:
            connection.write(answered(request.id, result))


class Connection(asyncio.Protocol):
    """One asker."""

    def __init__(self, server: ControlServer) -> None:
        self._server = server
        self._lines = Lines(server.manners.largest)
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
        self._uid = _peer_uid(transport.get_extra_info("socket"))
        if (why_not := self._server.manners.welcome(self._uid)) is not None:
            self.write(refused(None, why_not))
            self.close()
            return
        self._server.connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._transport = None
        self._server.connections.discard(self)

    def data_received(self, data: bytes) -> None:
        """Handle whatever requests the data completes; none of who was turned away."""
        if self not in self._server.connections:
            return
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
            request = self._server.manners.parse(message)
        except RequestError as why:
            self.write(refused(why.id, str(why)))
            return
        request = replace(request, uid=self._uid)
        if (why_not := self._server.manners.permit(request, os.getuid())) is not None:
            self.write(refused(request.id, why_not))
            return
        if self._under_way >= self._server.manners.at_once:
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
