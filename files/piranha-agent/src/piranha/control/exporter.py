# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Serves /metrics to Prometheus; a process of its own that needs no right but to read the status.

Bounded on all sides: few clients at once, short requests, a time limit for each, one reading of
the status for all who ask within a second.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
import time
from collections.abc import Callable
from pathlib import Path

from .metrics import CONTENT_TYPE

CLIENTS = 8
"""Connections at once; one more is told to come again."""

LONGEST = 4096
"""Bytes of a request's head."""

PATIENCE = 20.0
"""Seconds for a whole request and its answer; the status of the largest table takes some."""

TURNED_AWAY = 0.2
"""Seconds that one client too many stays."""

FRESH = 1.0
"""Seconds for which a page is given again."""

HIGHEST_PORT = 65535
UNIX = "unix:"

Read = Callable[[], str]
"""Gives the page. It may take a while, and is called in a thread."""


class AddressError(ValueError):
    """The address cannot be listened at; the text is one sentence."""


def listener(text: str) -> socket.socket:
    """Listen at ADDRESS:PORT, [IPV6]:PORT or unix:PATH; AddressError."""
    if text.startswith(UNIX):
        return _unix(Path(text.removeprefix(UNIX)))
    try:
        address, _colon, port = text.rpartition(":")
        brackets = address.startswith("[") and address.endswith("]")
        parsed = ipaddress.ip_address(address[1:-1] if brackets else address)
        if brackets != (parsed.version == 6) or not 0 < int(port) <= HIGHEST_PORT:  # noqa: PLR2004 - IPv6
            raise ValueError(text)
    except ValueError:
        raise AddressError(
            f"{text} is no place to listen at; give ADDRESS:PORT, [IPV6]:PORT or unix:/PATH"
        ) from None
    family = socket.AF_INET6 if brackets else socket.AF_INET
    try:
        return socket.create_server((str(parsed), int(port)), family=family, backlog=2 * CLIENTS)
    except OSError as error:
        raise AddressError(f"cannot listen at {text}: {error.strerror}") from None


def _unix(path: Path) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX)
    try:
        if path.is_socket():
            path.unlink()  # of one that has ended; a live one loses its place, not its clients
        sock.bind(str(path))
        sock.listen(2 * CLIENTS)
    except OSError as error:
        sock.close()
        why = error.strerror or error
        raise AddressError(f"cannot listen at {UNIX}{path}: {why}") from None
    return sock


class Exporter:
    """The page, and those who ask for it."""

    def __init__(self, read: Read) -> None:
        """`read` gives the page."""
        self._read = read
        self._page = ""
        self._read_at = float("-inf")
        self._reading = asyncio.Lock()
        self._clients = 0

    async def serve(self, sock: socket.socket) -> None:
        """Serve until cancelled."""
        server = await asyncio.start_server(self._client, sock=sock, limit=LONGEST)
        async with server:
            await server.serve_forever()

    async def _client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._clients += 1
        try:
            async with asyncio.timeout(PATIENCE):
                if self._clients > CLIENTS:
                    # What was sent must be read, or closing would break the answer off.
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(reader.read(LONGEST), TURNED_AWAY)
                    answer = _answer("503 Service Unavailable", "too many at once; come again\n")
                else:
                    answer = await self._answer(reader)
                writer.write(answer)
                await writer.drain()
        except (TimeoutError, OSError, asyncio.IncompleteReadError):
            pass  # it was too slow or has gone; nobody is left to be told
        finally:
            self._clients -= 1
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def _answer(self, reader: asyncio.StreamReader) -> bytes:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except asyncio.LimitOverrunError:
            return _answer("431 Request Header Fields Too Large", "the request is too long\n")
        words = head.split(b"\r\n", 1)[0].split()
        if len(words) != 3 or not words[2].startswith(b"HTTP/1."):  # noqa: PLR2004 - method, path, version
            return _answer("400 Bad Request", "this is no HTTP request\n")
        if words[0] not in (b"GET", b"HEAD"):
            return _answer("405 Method Not Allowed", "only GET is known here\n")
        if words[1].partition(b"?")[0] != b"/metrics":
            return _answer("404 Not Found", "there is only /metrics\n")
        page = await self._fresh()
        return _answer("200 OK", page, CONTENT_TYPE, body=words[0] == b"GET")

    async def _fresh(self) -> str:
        async with self._reading:
            if time.monotonic() - self._read_at > FRESH:
                self._page = await asyncio.to_thread(self._read)
                self._read_at = time.monotonic()
            return self._page


def _answer(status: str, text: str, kind: str = "text/plain", *, body: bool = True) -> bytes:
    content = text.encode()
    head = (
        f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(content)}\r\n"
        "Connection: close\r\n\r\n"
    )
    return head.encode() + (content if body else b"")
