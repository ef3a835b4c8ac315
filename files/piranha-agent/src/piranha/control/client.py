# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks a running pulse over its control socket; blocking, with a time limit. Standard library only.

with Client(path) as client:
    status = client.ask("status")
"""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from piranha.control.link import RECV_SIZE, Lines

MAX_ANSWER = 64 * 1024 * 1024
"""Bytes in one answer: the whole status of the largest table."""

TIME_LIMIT = 15.0
"""Seconds to wait for an answer. A reload of a large table is the slowest request."""


class Unreachable(Exception):
    """Nobody answers at the socket; the text is one sentence with the remedy."""


class Refused(Exception):
    """Pulse answered that it cannot; the text is its sentence."""


class Client:
    """One connection to pulse.

    path: the control socket. time_limit: seconds for each answer. Unreachable where there is none.
    """

    def __init__(self, path: Path, time_limit: float = TIME_LIMIT) -> None:
        self._path = path
        self._lines = Lines(MAX_ANSWER)
        self._last = 0
        self._waiting: list[dict[str, Any]] = []
        self._sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._sock.settimeout(time_limit)
        self._time_limit = time_limit
        try:
            self._sock.connect(str(path))
        except OSError as problem:
            self._sock.close()
            raise Unreachable(_why(path, problem)) from None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._sock.close()

    def ask(self, do: str, **arguments: object) -> dict[str, Any]:
        """Send one request and give its result; Refused or Unreachable otherwise."""
        self._last += 1
        line = json.dumps({"id": self._last, "do": do, **arguments}) + "\n"
        try:
            self._sock.sendall(line.encode())
        except OSError as problem:
            raise Unreachable(_why(self._path, problem)) from None
        while True:
            message = self._next()
            if message.get("id") in {self._last, None} and "ok" in message:
                break
        if message["ok"] is not True:
            raise Refused(str(message.get("error", "pulse refused without a reason")))
        result = message.get("result")
        return result if isinstance(result, dict) else {}

    def events(self) -> Iterator[dict[str, Any]]:
        """Give events as they happen, after `ask("events")`; ends when pulse ends."""
        self._sock.settimeout(None)
        while True:
            try:
                message = self._next()
            except Unreachable:
                return
            event = message.get("event")
            if isinstance(event, dict):
                yield event

    def _next(self) -> dict[str, Any]:
        while not self._waiting:
            try:
                data = self._sock.recv(RECV_SIZE)
            except TimeoutError:
                raise Unreachable(
                    f"pulse did not answer at {self._path} within {self._time_limit:g} s; "
                    "see journalctl -u piranha-pulse"
                ) from None
            except OSError as problem:
                raise Unreachable(_why(self._path, problem)) from None
            if not data:
                raise Unreachable(f"pulse closed the connection at {self._path}; it is stopping")
            self._waiting += self._lines.feed(data)
        return self._waiting.pop(0)


def _why(path: Path, problem: OSError) -> str:
    """Say why the socket cannot be used, and what to do."""
    if isinstance(problem, FileNotFoundError | ConnectionRefusedError):
        return (
            f"pulse is not running (nobody answers at {path}); start it with "
            "systemctl start piranha-pulse, or name its folder with --run-dir"
        )
    if isinstance(problem, PermissionError):
        return f"you may not ask pulse at {path}; use sudo"
    return f"pulse cannot be asked at {path}: {problem.strerror or problem}"
