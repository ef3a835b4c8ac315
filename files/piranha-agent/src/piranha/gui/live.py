# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""One reading of the agent's status for all who look, and what changed in it, told to each of them.

However many look, the agent is asked once, and the longer its answer takes the more seldom: a
twentieth of the time goes into it, and while something happens a fifth. Whoever comes gets all of
it, since a page is older than its stream, and from then on what changes. A viewer that does not
read loses its place in the queue and is told to load the page anew; it costs nobody else anything.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from piranha.control.render import services

from . import cards, views
from .backend import Backend, Failed
from .graph import Series, path
from .views import Fields, Monitor, Row

SHARE = 20
"""A reading of S seconds is followed by a pause of at least SHARE * S."""

WOKEN = 4
"""The same where an event says that something has happened; a mass failure has thousands."""

SHORTEST, LONGEST = 2.0, 30.0
"""Seconds between two readings while somebody looks."""

UNWATCHED = 15.0
"""Seconds between two readings for the graphs alone."""

GRAPH_EVERY = 10.0
"""Seconds between two new pictures of a graph: its points are as far apart."""

QUEUE = 8
"""Messages that a viewer may leave unread."""

MOST_VIEWERS = 100
KEPT_EVENTS = 300


class Full(Exception):
    """There are as many viewers as there may be; the text is one sentence."""


@dataclass(eq=False)
class Viewer:
    """One open page. opened: the virtual services whose servers it shows."""

    opened: frozenset[str]
    queue: asyncio.Queue[tuple[str, Any]] = field(
        default_factory=lambda: asyncio.Queue(maxsize=QUEUE)
    )

    def tell(self, kind: str, data: object) -> None:
        """Put a message into the queue; one that is full is replaced by a word to begin anew."""
        try:
            self.queue.put_nowait((kind, data))
        except asyncio.QueueFull:
            while not self.queue.empty():
                self.queue.get_nowait()
            self.queue.put_nowait(("again", {}))


class Live:
    """The reading, the graphs, the events, the viewers."""

    def __init__(self, backend: Backend) -> None:
        """Nothing is read yet."""
        self._backend = backend
        self._viewers: set[Viewer] = set()
        self._wake = asyncio.Event()
        self._graphs: dict[str, Series] = {}
        self._pictures: dict[str, str] = {}
        self._drawn_at = float("-inf")
        self._opened_rows: dict[str, list[Row]] = {}
        self._lock = asyncio.Lock()
        self._read_at = float("-inf")
        self.status: dict[str, Any] = {}
        self.monitor: Monitor | None = None
        self._partner = cards.Seen()
        self.trouble = "nothing has been read yet"
        self.took = 0.0
        self.events: list[dict[str, Any]] = []

    # -- reading

    async def fresh(self, age: float = SHORTEST) -> Monitor | None:
        """Give what is known, read again if it is older than `age` seconds; None out of reach."""
        async with self._lock:
            if time.monotonic() - self._read_at > max(age, self.took * SHARE):
                await self._read()
        return self.monitor

    async def _read(self) -> None:
        """Read, and tell the viewers: they were told what is known, whoever asked for it."""
        begin, before = time.monotonic(), self.monitor
        try:
            status = await self._backend.ask("status")
        except Failed as why:
            self.trouble = str(why)
            self.monitor, self.status = None, {}
        else:
            self.trouble = ""
            self.took = time.monotonic() - begin
            self.status = status
            await asyncio.to_thread(self._digest, status, time.time())
        self._read_at = time.monotonic()
        self._tell(before, self.monitor)

    def _digest(self, status: dict[str, Any], now: float) -> None:
        if now - self._drawn_at >= GRAPH_EVERY or now < self._drawn_at:
            self._drawn_at = now
            self._draw(status)
        self._partner = cards.seen(status, self._partner, now)
        self.monitor = views.monitor(status, now, self._pictures, self._partner)

    def _draw(self, status: dict[str, Any]) -> None:
        """Add a point to each graph: connections a second of services and of servers."""
        seen = set()
        for service in services(status):
            own = views.identity(service)
            servers = [one for one in service.get("servers") or () if isinstance(one, dict)]
            points = {own: views.totals(servers)["connection_rate"] if servers else None}
            for server in servers:
                load = server.get("load")
                rate = load.get("connection_rate") if isinstance(load, dict) else None
                points[views.server_identity(own, server)] = rate
            for key, value in points.items():
                seen.add(key)
                series = self._graphs.get(key)
                if series is None:
                    series = self._graphs[key] = Series()
                series.add(value)
            self._pictures[own] = path(self._graphs[own].values())
        for key in self._graphs.keys() - seen:
            del self._graphs[key]
            self._pictures.pop(key, None)

    def servers(self, service_id: str) -> list[Row] | None:
        """Give the lines of one virtual service's real servers; None if there is none such."""
        service = views.find_service(self.status, service_id)
        if service is None:
            return None
        drawn = {
            key: path(series.values())
            for key, series in self._graphs.items()
            if key.startswith(service_id + "-")
        }
        return views.server_rows(service, time.time(), drawn)

    # -- viewers

    def enter(self, opened: Iterable[str]) -> Viewer:
        """Take a viewer in; Full."""
        if len(self._viewers) >= MOST_VIEWERS:
            raise Full(f"{MOST_VIEWERS} pages are open already; close one of them")
        viewer = Viewer(frozenset(opened))
        self._viewers.add(viewer)
        self._wake.set()
        return viewer

    def leave(self, viewer: Viewer) -> None:
        """Let a viewer go."""
        self._viewers.discard(viewer)

    @property
    def viewers(self) -> int:
        """How many look."""
        return len(self._viewers)

    async def watch(self) -> None:
        """Read again and again until cancelled, and tell the viewers what changed."""
        while True:
            async with self._lock:
                await self._read()
            pause = max(SHORTEST, min(LONGEST, self.took * SHARE))
            if not self._viewers:
                pause = max(pause, UNWATCHED)
            self._wake.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), pause)
            # Whoever just came has a page that is new; there is no hurry to read again at once.
            await asyncio.sleep(min(LONGEST, self.took * WOKEN))

    def _tell(self, before: Monitor | None, after: Monitor | None) -> None:
        if not self._viewers:
            self._opened_rows.clear()
            return
        if after is None:
            self._all("lost", {"why": self.trouble})
            return
        self._all("head", None)
        if before is None:
            self._opened_rows.clear()
            self._all("all", None)
            return
        changed = views.changes(before.rows, after.rows)
        if changed is None:
            self._all("again", {})
        elif changed:
            self._all("rows", changed)
        self._tell_opened()

    def _tell_opened(self) -> None:
        wanted = {one for viewer in self._viewers for one in viewer.opened}
        known, self._opened_rows = self._opened_rows, {}
        for service_id in wanted:
            rows = self.servers(service_id)
            if rows is None:
                continue
            self._opened_rows[service_id] = rows
            changed = views.changes(known.get(service_id, rows), rows)
            for viewer in self._viewers:
                if service_id in viewer.opened and changed is None:
                    viewer.tell("again", {})
                elif service_id in viewer.opened and changed:
                    viewer.tell("rows", changed)

    def whole(self, viewer: Viewer) -> dict[str, dict[str, Fields]] | None:
        """Give all that a viewer should show now, from which on it is told of changes.

        Its page is older: it was made before the viewer came, or the connection was away meanwhile.
        """
        if self.monitor is None:
            return None
        servers: dict[str, Fields] = {}
        for service_id in viewer.opened:
            rows = self._opened_rows.get(service_id) or self.servers(service_id)
            if rows is not None:
                self._opened_rows[service_id] = rows
                servers |= {row.id: row.fields for row in rows}
        return {"rows": {row.id: row.fields for row in self.monitor.rows}, "servers": servers}

    def _all(self, kind: str, data: object) -> None:
        for viewer in self._viewers:
            viewer.tell(kind, data)

    # -- events

    async def follow(self) -> None:
        """Take events as they happen until cancelled; each may change the status, so read soon."""
        last = 0
        while True:
            try:
                told = await self._backend.ask("events", {"after": last, "wait": 20})
            except Failed:
                await asyncio.sleep(SHORTEST)
                continue
            new = [one for one in told.get("events") or () if isinstance(one, dict)]
            number = told.get("last")
            restarted = isinstance(number, int) and number < last
            last = number if isinstance(number, int) else last
            if restarted:
                self.events.clear()
            self.events = [*self.events, *new][-KEPT_EVENTS:]
            if new:
                self._all("log", new[-QUEUE:])
                self._wake.set()
            await asyncio.sleep(0.2)


def message(kind: str, data: object) -> bytes:
    """Give one server-sent event."""
    text = json.dumps(data, separators=(",", ":"))
    return f"event: {kind}\ndata: {text}\n\n".encode()


BEAT = b": still here\n\n"
"""A comment, so that both ends notice when the other has gone."""
