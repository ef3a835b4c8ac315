# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""One end of a connection that carries JSON objects, one a line.

Used between pulse and its children (a socket pair) and on the control socket. It never
blocks: whoever must not be late (the heart) may send at any time, and a message that does
not fit is dropped whole and counted. It knows no message by name; see protocol.py.
"""

from __future__ import annotations

import contextlib
import json
import socket
from typing import Any

MAX_LINE = 16 * 1024 * 1024
"""Bytes in one line, the newline included. A real server takes 700 bytes of a status."""

MAX_BACKLOG = 256 * 1024
"""Bytes that may wait behind an unfinished message; a message beyond that is dropped."""

RECV_SIZE = 256 * 1024


class LineError(ValueError):
    """The other side sent what is no line of ours; the text is one sentence."""


def line_of(message: dict[str, Any]) -> bytes:
    """Give a message as it is sent."""
    return json.dumps(message, separators=(",", ":")).encode() + b"\n"


class Lines:
    """Cuts a stream of bytes into JSON objects. Pure: no socket.

    max_line: the longest line accepted, in bytes.
    """

    def __init__(self, max_line: int = MAX_LINE) -> None:
        self._max = max_line
        self._rest = bytearray()
        self._skipping = False
        self.faults: list[str] = []
        """One sentence for each line that was thrown away; whoever reads them clears them."""

    def feed(self, data: bytes) -> list[dict[str, Any]]:
        """Give the objects that `data` completes. A bad line is skipped and noted in `faults`."""
        found: list[dict[str, Any]] = []
        start = 0
        while (end := data.find(b"\n", start)) >= 0:
            self._keep(data[start:end])
            start = end + 1
            if self._skipping:
                self._skipping = False
                continue
            line = bytes(self._rest)
            self._rest.clear()
            if line.strip():
                self._parse(line, found)
        self._keep(data[start:])
        return found

    def _keep(self, piece: bytes) -> None:
        if self._skipping:
            return
        if len(self._rest) + len(piece) > self._max:
            self._rest.clear()
            self._skipping = True
            self.faults.append(f"a line is longer than {self._max} bytes; it was skipped")
            return
        self._rest += piece

    def _parse(self, line: bytes, found: list[dict[str, Any]]) -> None:
        try:
            value = json.loads(line)
        except (ValueError, RecursionError):
            self.faults.append("a line is not JSON; send one JSON object a line")
            return
        if not isinstance(value, dict):
            self.faults.append(
                f"a line holds a JSON {type(value).__name__}; send one JSON object a line"
            )
            return
        found.append(value)


class Link:
    """A non-blocking stream socket that speaks JSON lines.

    sock: a connected stream socket; it is made non-blocking and belongs to the link from then on.
    """

    def __init__(
        self, sock: socket.socket, max_line: int = MAX_LINE, max_backlog: int = MAX_BACKLOG
    ) -> None:
        sock.setblocking(False)
        self._sock = sock
        self._lines = Lines(max_line)
        self._max_line = max_line
        self._max_backlog = max_backlog
        self._out = bytearray()
        self.dropped = 0
        """Messages that were not sent since the other side did not read."""
        self.closed = False
        """True once the other side has gone; nothing more will come or go."""

    def fileno(self) -> int:
        """Give the file descriptor, for a selector or an event loop; -1 once closed."""
        return self._sock.fileno()

    @property
    def faults(self) -> list[str]:
        """Sentences about lines that could not be read, oldest first."""
        return self._lines.faults

    @property
    def wants_write(self) -> bool:
        """True while bytes wait for the socket; call `flush` when it is writable."""
        return bool(self._out)

    def send(self, message: dict[str, Any]) -> bool:
        """Send one message without ever blocking.

        Gives False, and counts it in `dropped`, where the message was dropped whole: the other
        side does not read, has gone, or the message is longer than a line may be. A message
        of which the socket took a part is never cut: its rest goes first at the next `send` or
        `flush`, so the other side always sees whole lines.
        """
        return self.send_line(line_of(message))

    def send_line(self, line: bytes) -> bool:
        """Send a message that `line_of` gave; see `send`."""
        self.flush()
        # Into an idle link any legal message may go; behind an unfinished one only a bounded
        # backlog is kept, since what waits long is stale by the time it arrives.
        room = self._max_backlog - len(self._out) if self._out else self._max_line
        if self.closed or len(line) > min(room, self._max_line):
            self.dropped += 1
            return False
        self._out += line
        self.flush()
        return not self.closed

    def flush(self) -> bool:
        """Write what waits, as far as the socket takes it; True when nothing is left."""
        while self._out and not self.closed:
            try:
                sent = self._sock.send(self._out)
            except (BlockingIOError, InterruptedError):
                return False
            except OSError:
                self.closed = True
                break
            del self._out[:sent]
        return not self._out

    def feed(self, data: bytes) -> list[dict[str, Any]]:
        """Give the messages that `data`, read from the socket by the caller, completes.

        Empty data means the other side has closed.
        """
        if not data:
            self.closed = True
            return []
        return self._lines.feed(data)

    def receive(self) -> list[dict[str, Any]]:
        """Read what is there now and give the messages in it; never blocks."""
        try:
            data = self._sock.recv(RECV_SIZE)
        except (BlockingIOError, InterruptedError):
            return []
        except OSError:
            data = b""
        return self.feed(data)

    def close(self) -> None:
        """Close the socket; what still waits is lost."""
        self.closed = True
        with contextlib.suppress(OSError):
            self._sock.close()
