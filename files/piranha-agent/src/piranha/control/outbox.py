# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a child has to tell pulse and cannot yet, since the link is full: nothing of it is lost.

When ten thousand servers die at once there is more to tell than a socket holds. Of signs of life
and snapshots only the newest counts; answers and events wait in their order. It sends nothing.
"""

from __future__ import annotations

from collections import deque
from typing import Any

from .link import line_of

MOST_WAITING = 8 * 1024 * 1024
"""Bytes of events and answers: those of twenty thousand servers. A pulse that does not read for
that long is about to be ended by systemd."""

Message = dict[str, Any]


class Outbox:
    """Messages that wait, as lines; `next` gives the one that is to be sent first."""

    def __init__(self, most: int = MOST_WAITING) -> None:
        """most: bytes of events and answers."""
        self._most = most
        self._newest: dict[str, Message] = {}
        self._lines: deque[bytes] = deque()
        self._size = 0
        self._lost = 0

    def __bool__(self) -> bool:
        return bool(self._newest or self._lines or self._lost)

    def put(self, message: Message) -> None:
        """Have a message wait."""
        kind = next(iter(message))
        if kind in ("tick", "state"):
            self._newest[kind] = message
            return
        line = line_of(message)  # which takes a third of the memory
        if self._size + len(line) > self._most:
            self._lost += 1
            return
        self._lines.append(line)
        self._size += len(line)

    def next(self) -> bytes | None:
        """Take out the line that is to be sent now; None where nothing waits."""
        # A sign of life that waits behind ten thousand events is none when it arrives.
        for kind in ("tick", "state"):
            if kind in self._newest:
                return line_of(self._newest.pop(kind))
        if self._lines:
            line = self._lines.popleft()
            self._size -= len(line)
            return line
        if self._lost:
            lost, self._lost = self._lost, 0
            text = f"pulse did not listen for so long that {lost} messages to it were lost"
            return line_of({"event": {"level": "warning", "text": text}})
        return None
