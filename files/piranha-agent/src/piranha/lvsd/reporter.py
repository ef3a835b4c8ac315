# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""lvsd's end of the link to pulse: tells what happens, hands requests on. It decides nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Protocol

from piranha.control.link import Link

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
        self._link.send(message)
        self._write_later()

    def _write_later(self) -> None:
        if self._link.closed:
            self._end()
        elif self._link.wants_write and not self._writing:
            self._writing = True
            asyncio.get_running_loop().add_writer(self._link.fileno(), self._flush)

    def _flush(self) -> None:
        if self._link.flush() or self._link.closed:
            self._writing = False
            asyncio.get_running_loop().remove_writer(self._link.fileno())
        if self._link.closed:
            self._end()

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
        asyncio.get_running_loop().remove_reader(self._link.fileno())
        self._ended.set()
