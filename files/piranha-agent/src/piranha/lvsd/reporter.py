# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""lvsd's end of the link to pulse: tells what happens, hands requests on. It decides nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Protocol

from piranha.control.link import Link
from piranha.control.outbox import Outbox

from . import words
from .orders import Refused

Answer = Callable[[dict[str, Any]], dict[str, Any]]
"""From a request's arguments to its result; Refused has a sentence for the asker."""


class Reporter(Protocol):
    """Where lvsd tells what it does; must not block."""

    def tick(self, now: float) -> None:
        """A sign of life at monotonic time `now`."""

    def state(self, state: dict[str, Any]) -> None:
        """A whole snapshot."""

    def event(self, event: words.Event) -> None:
        """Something an operator wants to know."""


class LinkReporter:
    """Tells pulse, and hears its requests."""

    def __init__(self, link: Link, ended: asyncio.Event) -> None:
        """`ended` is set when pulse has gone or wants us to stop."""
        self._link = link
        self._ended = ended
        self._outbox = Outbox()
        self._writing = False
        self.requests: dict[str, Answer] = {}
        asyncio.get_running_loop().add_reader(link.fileno(), self._hear)

    def tick(self, now: float) -> None:
        """See Reporter."""
        self._send({"tick": now})

    def state(self, state: dict[str, Any]) -> None:
        """See Reporter."""
        self._send({"state": state})

    def event(self, event: words.Event) -> None:
        """See Reporter."""
        self._send({"event": event})

    def _send(self, message: dict[str, Any]) -> None:
        self._outbox.put(message)
        self._flush()

    def _flush(self) -> None:
        """Send what waits, as far as the link takes it; the rest when it takes more."""
        link, loop = self._link, asyncio.get_running_loop()
        while not link.closed and link.flush() and (line := self._outbox.next()) is not None:
            link.send_line(line)
        if link.closed:
            self._end()
        elif link.wants_write is not self._writing:
            self._writing = link.wants_write
            if self._writing:
                loop.add_writer(link.fileno(), self._flush)
            else:
                loop.remove_writer(link.fileno())

    def _hear(self) -> None:
        for message in self._link.receive():
            if "ask" in message:
                self._answer(message["ask"], message.get("do"), message.get("with"))
        if self._link.closed:
            self._end()

    def _answer(self, number: object, do: object, arguments: object) -> None:
        if do == "stop":
            self._send({"answer": number, "ok": True, "result": {}})
            self._ended.set()
            return
        call = self.requests.get(do) if isinstance(do, str) else None
        try:
            if call is None:
                known = ", ".join([*self.requests, "stop"])
                raise Refused(f"lvsd does not know the request {do!r}; it knows {known}")
            result = call(arguments if isinstance(arguments, dict) else {})
        except Refused as why:
            self._send({"answer": number, "ok": False, "error": str(why)})
        else:
            self._send({"answer": number, "ok": True, "result": result})

    def _end(self) -> None:
        loop = asyncio.get_running_loop()
        loop.remove_reader(self._link.fileno())
        loop.remove_writer(self._link.fileno())
        self._ended.set()
