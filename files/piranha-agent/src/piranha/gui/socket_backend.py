# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""The socket to the agent's editor: one connection, opened again when it breaks.

Answers come in any order. It knows the framing and nothing of what is asked.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .backend import Answer, Failed
from .protocol import LONGEST_WAIT, REFUSED, UNAVAILABLE, VIEW, Actor

LONGEST_ANSWER = 64 * 1024 * 1024
"""Bytes of one answer: the status of the largest table."""

PATIENCE = 60.0
"""Seconds for one answer; a reload of a large table is the slowest."""

ITSELF = Actor("the web page", VIEW)


class SocketBackend:
    """The editor at a path."""

    def __init__(self, path: Path) -> None:
        """Nothing is opened before something is asked."""
        self._path = path
        self._writer: asyncio.StreamWriter | None = None
        self._reading: asyncio.Task[None] | None = None
        self._waiting: dict[int, asyncio.Future[Answer]] = {}
        self._number = 0
        self._opening = asyncio.Lock()

    async def ask(
        self, do: str, arguments: Mapping[str, Any] | None = None, by: Actor | None = None
    ) -> Answer:
        """Make one request; Failed."""
        writer = await self._open()
        self._number += 1
        number = self._number
        actor = by or ITSELF
        asked = {
            **(arguments or {}),
            "id": number,
            "do": do,
            "by": {"user": actor.user, "role": actor.role},
        }
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting[number] = future
        try:
            writer.write(json.dumps(asked, separators=(",", ":")).encode() + b"\n")
            async with asyncio.timeout(PATIENCE + LONGEST_WAIT):
                await writer.drain()
                return await future
        except TimeoutError:
            raise Failed(f"the agent gave no answer to {do} in time", UNAVAILABLE) from None
        except OSError as why:
            raise _gone(self._path, why) from None
        finally:
            self._waiting.pop(number, None)

    async def close(self) -> None:
        """Let go of the connection."""
        if self._reading is not None:
            self._reading.cancel()
        self._drop("the page ends")

    async def _open(self) -> asyncio.StreamWriter:
        async with self._opening:
            if self._writer is not None and not self._writer.is_closing():
                return self._writer
            try:
                reader, self._writer = await asyncio.open_unix_connection(
                    str(self._path), limit=LONGEST_ANSWER
                )
            except OSError as why:
                raise _gone(self._path, why) from None
            self._reading = asyncio.get_running_loop().create_task(self._read(reader))
            return self._writer

    async def _read(self, reader: asyncio.StreamReader) -> None:
        try:
            while line := await reader.readline():
                message = json.loads(line) if len(line) < LARGE else await _parsed(line)
                self._answer(message)
        except (OSError, ValueError) as why:
            self._drop(f"its answer could not be read: {why}")
        else:
            self._drop("it closed the connection")

    def _answer(self, message: Any) -> None:
        if not isinstance(message, dict):
            return
        future = self._waiting.get(message.get("id", 0))
        if future is None or future.done():
            return
        if message.get("ok") is True:
            result = message.get("result")
            future.set_result(result if isinstance(result, dict) else {})
            return
        details = message.get("details")
        sentence = str(message.get("error") or "the agent refused and gave no reason")
        code = str(message.get("code") or REFUSED)
        future.set_exception(Failed(sentence, code, details if isinstance(details, dict) else {}))

    def _drop(self, why: str) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(Failed(f"the agent does not answer: {why}", UNAVAILABLE))


LARGE = 256 * 1024
"""Bytes from which an answer is parsed beside the loop, so that pages go on being served."""


async def _parsed(line: bytes) -> Any:
    return await asyncio.to_thread(json.loads, line)


def _gone(path: Path, why: OSError) -> Failed:
    reason = why.strerror or str(why)
    return Failed(
        f"the agent's editor does not answer at {path} ({reason}); "
        "see systemctl status piranha-pulse piranha-editor",
        UNAVAILABLE,
    )
