# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Serves the application by uvicorn, with limits that uvicorn does not have by itself.

Whoever connects and says nothing, says it a byte at a time, or does not read is let go; so many
connections at once and no more, and not all of them from one address.
"""

from __future__ import annotations

import asyncio
import ipaddress
import ssl
from collections import Counter
from pathlib import Path
from typing import Any, ClassVar

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

MOST_CONNECTIONS = 256
MOST_OF_ONE = 64
"""Connections at once from one address; a browser takes six, a proxy in front more."""

HEAD_WITHIN = 10.0
"""Seconds for the head of a request, the first one or after the last answer."""

READ_WITHIN = 60.0
"""Seconds that a browser may leave what is written unread."""

HANDSHAKE_WITHIN = 8.0
LONGEST_HEAD = 32 * 1024


class CannotServe(Exception):
    """The page cannot be served like that; the text is one sentence."""


class Bounded(H11Protocol):
    """One connection."""

    _by_address: ClassVar[Counter[str]] = Counter()

    _counted: str | None = None
    _waiting: asyncio.TimerHandle | None = None
    _unread: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take the connection, unless there are too many."""
        super().connection_made(transport)
        address = self.client[0] if self.client else "?"
        if len(self.connections) > MOST_CONNECTIONS or self._by_address[address] >= MOST_OF_ONE:
            transport.abort()
            return
        self._counted = address
        self._by_address[address] += 1
        self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget it."""
        if self._counted is not None:
            self._by_address[self._counted] -= 1
            if self._by_address[self._counted] <= 0:
                del self._by_address[self._counted]
            self._counted = None
        for timer in (self._waiting, self._unread):
            if timer is not None:
                timer.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take what came; a whole head ends the waiting for one."""
        before = self.cycle
        super().data_received(data)
        if self.cycle is not before and self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None

    def on_response_complete(self) -> None:
        """An answer is out: the next head has its own time."""
        super().on_response_complete()
        if self._waiting is None and not self.transport.is_closing():
            self._expect_head()

    def pause_writing(self) -> None:
        """The browser does not read."""
        super().pause_writing()
        self._unread = self.loop.call_later(READ_WITHIN, self.transport.abort)

    def resume_writing(self) -> None:
        """It reads again."""
        super().resume_writing()
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None

    def _expect_head(self) -> None:
        self._waiting = self.loop.call_later(HEAD_WITHIN, self._no_head)

    def _no_head(self) -> None:
        if self.cycle is None or self.cycle.response_complete:
            self.transport.abort()


class Loop(asyncio.SelectorEventLoop):
    """An event loop in which nobody takes a minute for a handshake."""

    async def create_server(self, *args: Any, **more: Any) -> asyncio.Server:
        """As in asyncio."""
        if more.get("ssl") is not None:
            more.setdefault("ssl_handshake_timeout", HANDSHAKE_WITHIN)
        return await super().create_server(*args, **more)


def loopback(address: str) -> bool:
    """Whether only this machine reaches that address."""
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return address == "localhost"


def configured(app: Any, address: str, port: int, certificate: str, key: str) -> uvicorn.Config:
    """Give uvicorn's settings; CannotServe, above all where passwords would be readable."""
    tls = bool(certificate and key)
    if not tls and not loopback(address):
        raise CannotServe(
            f"{address} can be reached from elsewhere, which needs TLS: give certificate and key,"
            " or listen at 127.0.0.1"
        )
    for path in (certificate, key) if tls else ():
        if not Path(path).is_file():
            raise CannotServe(f"{path}: there is no such file, or it may not be read")
    config = uvicorn.Config(
        app,
        host=address,
        port=port,
        http=Bounded,
        ws="none",
        loop="none",
        lifespan="on",
        proxy_headers=False,
        server_header=False,
        date_header=True,
        access_log=False,
        log_level="warning",
        timeout_keep_alive=int(HEAD_WITHIN),
        timeout_graceful_shutdown=2,
        limit_concurrency=2 * MOST_CONNECTIONS,
        h11_max_incomplete_event_size=LONGEST_HEAD,
        ssl_certfile=certificate or None,
        ssl_keyfile=key or None,
    )
    try:
        config.load()
    except (OSError, ssl.SSLError) as why:
        raise CannotServe(f"certificate {certificate} and key {key} do not fit: {why}") from None
    if config.ssl is not None:
        config.ssl.minimum_version = ssl.TLSVersion.TLSv1_2
    return config


def serve(config: uvicorn.Config) -> bool:
    """Serve until a signal; gives whether it began at all."""
    server = uvicorn.Server(config)
    with asyncio.Runner(loop_factory=Loop) as runner:
        runner.run(server.serve())
    return server.started
