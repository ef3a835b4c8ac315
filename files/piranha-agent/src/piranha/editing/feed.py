# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pulse's events for the web page, numbered, so that whoever comes back knows what it has missed.

One connection to the control socket however many look on. Numbers begin at the clock's
milliseconds, so that they go on rising over a restart of the editor.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections import deque
from pathlib import Path
from typing import Any

from piranha.control.client import MAX_ANSWER
from piranha.control.link import RECV_SIZE, Lines

KEPT = 500
AGAIN = 2.0
"""Seconds before pulse is asked again after it has gone."""


class Feed:
    """The last events. socket: pulse's control socket."""

    def __init__(self, socket: Path) -> None:
        self._socket = socket
        self._last = int(time.time() * 1000)
        self._events: deque[dict[str, Any]] = deque(maxlen=KEPT)
        self._more = asyncio.Condition()
        self._wakes: set[asyncio.Task[None]] = set()
        self._seen: deque[tuple[object, object]] = deque(maxlen=KEPT)

    def add(self, event: dict[str, Any]) -> None:
        """Number an event, keep it, and wake those who wait."""
        self._last += 1
        self._events.append({"time": round(time.time(), 3), **event, "number": self._last})
        task = asyncio.get_running_loop().create_task(self._wake())
        self._wakes.add(task)
        task.add_done_callback(self._wakes.discard)

    async def after(self, number: int, wait: float) -> dict[str, Any]:
        """Give the events after that number; waits so many seconds for one if there is none."""
        if self._last <= number and wait > 0:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait), self._more:
                    await self._more.wait_for(lambda: self._last > number)
        found = [event for event in self._events if event["number"] > number]
        return {"events": found, "last": self._last}

    async def listen(self) -> None:
        """Listen to pulse for ever, through its restarts."""
        while True:
            with contextlib.suppress(OSError):
                await self._listen()
            await asyncio.sleep(AGAIN)

    async def _listen(self) -> None:
        reader, writer = await asyncio.open_unix_connection(str(self._socket))
        try:
            writer.write(json.dumps({"id": 1, "do": "events"}).encode() + b"\n")
            lines = Lines(MAX_ANSWER)
            while data := await reader.read(RECV_SIZE):
                for message in lines.feed(data):
                    self._take(message)
        finally:
            writer.close()

    def _take(self, message: dict[str, Any]) -> None:
        result = message.get("result")
        kept = result.get("events") if isinstance(result, dict) else None
        for event in kept if isinstance(kept, list) else [message.get("event")]:
            if not isinstance(event, dict):
                continue
            # After a break pulse tells once more what it keeps.
            mark = (event.get("time"), event.get("text"))
            if mark not in self._seen:
                self._seen.append(mark)
                self.add(event)

    async def _wake(self) -> None:
        async with self._more:
            self._more.notify_all()
