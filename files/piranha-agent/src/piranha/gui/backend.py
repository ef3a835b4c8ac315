# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the web page asks of the agent's editor, as an interface, and a failure as it comes back.

The page has no other way to anything: it reads no file of the system and writes none. The words
are protocol.py's, the socket behind it is socket_backend.py's.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from .protocol import CONFLICT, FORBIDDEN, INVALID, REFUSED, UNAVAILABLE, UNKNOWN, Actor

Answer = dict[str, Any]

STATUS = {
    FORBIDDEN: 403,
    CONFLICT: 409,
    INVALID: 422,
    REFUSED: 400,
    UNAVAILABLE: 503,
    UNKNOWN: 404,
}
"""What each code of a failure is in HTTP."""


class Failed(Exception):
    """The editor does not do what was asked; the text is one sentence for the person."""

    def __init__(
        self, sentence: str, code: str = REFUSED, details: Mapping[str, Any] | None = None
    ) -> None:
        """code: one of protocol.CODES. details: as there."""
        super().__init__(sentence)
        self.code = code
        self.details = dict(details or {})

    @property
    def status(self) -> int:
        """The status of the HTTP answer."""
        return STATUS.get(self.code, 502)


class Backend(Protocol):
    """The agent, as the page sees it."""

    async def ask(
        self, do: str, arguments: Mapping[str, Any] | None = None, by: Actor | None = None
    ) -> Answer:
        """Make one request for somebody (None: for the page itself); gives its result. Failed."""

    async def close(self) -> None:
        """Let go of the connection."""
