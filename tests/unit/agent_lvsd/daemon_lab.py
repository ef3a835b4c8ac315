# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""One lvsd with real servers on loopback, a model for a kernel, and ears for what it tells."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from piranha.core.ipvs.model import Server, ServerKey, Service, ServiceKey, Table
from piranha.lvsd.daemon import Daemon
from piranha.lvsd.kept import Kept
from piranha.lvsd.names import Names
from piranha.lvsd.owned import Owned
from piranha.lvsd.reconcile import Reconciler
from piranha.lvsd.source import Source
from piranha.lvsd.window import Window

from .support import GLOBALS, ModelKernel

KEY = ServiceKey.by_address("tcp", "203.0.113.100", 25)
FOREIGN = ServiceKey.by_address("tcp", "203.0.113.200", 25)
FOREIGN_ENTRY = (Service(FOREIGN), [Server(ServerKey("192.0.2.9", 25))])


class Backend:
    """A real server on loopback that can be stopped and started."""

    def __init__(self) -> None:
        self._socket = socket.socket()
        self._socket.bind(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        self._socket.listen(100)

    def stop(self) -> None:
        self._socket.close()

    def start(self) -> None:
        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.bind(("127.0.0.1", self.port))
        self._socket.listen(100)

    @property
    def key(self) -> ServerKey:
        return ServerKey("127.0.0.1", self.port)


def shown(daemon: Daemon) -> list[dict[str, Any]]:
    """All virtual services, as status shows them."""
    pages, start = [], 0
    while start is not None:
        page = daemon.services({"start": start})
        pages += json.loads(f"[{page['text']}]")
        start = page["next"]
    return pages


class Ears:
    """A reporter that keeps what it is told."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.states: list[dict[str, Any]] = []
        self.ticks = 0

    def tick(self, now: float) -> None:
        self.ticks += 1

    def state(self, state: dict[str, Any]) -> None:
        self.states.append(state)

    def event(self, event: dict[str, Any]) -> None:
        self.events.append(event)

    def texts(self, part: str = "") -> list[str]:
        return [event["text"] for event in self.events if part in event["text"]]


class Lab:
    """One lvsd and what is around it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / "lvs.cf"
        self.kernel = ModelKernel(Table([FOREIGN_ENTRY]))
        self.backends = [Backend(), Backend()]
        self.ears = Ears()
        self.names: Names | None = None
        self.write()

    def write(self, extra: str = "", servers: int = 2, weight: int = 1) -> None:
        blocks = "".join(
            f"    server s{i} {{\n        address = 127.0.0.1\n        port = {backend.port}\n"
            f"        active = 1\n        weight = {weight}\n    }}\n"
            for i, backend in enumerate(self.backends[:servers])
        )
        self.path.write_text(
            f"{GLOBALS}virtual mail {{\n    active = 1\n    address = 203.0.113.100 eth0:1\n"
            f"    port = 25\n    timeout = 0.1\n    reentry = 0.3\n{extra}\n{blocks}}}\n"
        )

    def daemon(self) -> Daemon:
        self.ears = Ears()
        reconciler = Reconciler(self.kernel, Owned(self.folder))
        kept, window = Kept(self.folder), Window(self.kernel)
        return Daemon(Source(self.path), reconciler, self.ears, kept, window, names=self.names)

    def weights(self) -> dict[int, int]:
        """Index of each backend in the table, and its weight; -1 is anybody else."""
        ports = [backend.port for backend in self.backends]
        return {
            ports.index(key.port) if key.port in ports else -1: server.weight
            for key, server in self.kernel.table.servers(KEY).items()
        }

    def run(self, story: Callable[[Daemon], Awaitable[None]]) -> None:
        async def main() -> None:
            daemon = self.daemon()
            daemon.start()
            try:
                await story(daemon)
            finally:
                await daemon.stop()

        asyncio.run(asyncio.wait_for(main(), 20))

    async def until(self, weights: dict[int, int], limit: float = 3.0) -> None:
        deadline = time.monotonic() + limit
        while self.weights() != weights:
            assert time.monotonic() < deadline, (self.weights(), self.ears.texts())
            await asyncio.sleep(0.01)
