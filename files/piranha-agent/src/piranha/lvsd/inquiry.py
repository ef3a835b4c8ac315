# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""What lvsd answers when somebody asks: about one real server, about a page of virtual services.

It reads connections and counters from the kernel (window.py) and changes nothing.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from piranha.core.ipvs.errors import IpvsError

from . import orders
from .busy import Busy
from .health import Health
from .layout import Layout, ServerId, VirtualService
from .orders import Refused
from .pool import Pool, pool
from .snapshot import Load, View, server_state, services
from .standing import StandingOrders
from .window import Window

PAGE = 800
"""Real servers after which a page of the status is full: some 20 ms of work."""

FRESH = 2.0
"""Seconds for which counted connections are shown again; the kernel's rates change every 2 s."""


class Inquiry:
    """Looks at the parts of a running lvsd."""

    def __init__(
        self, health: Health, standing: StandingOrders, window: Window, busy: Busy
    ) -> None:
        """All of them are the daemon's own, and stay the same objects."""
        self._health, self._standing, self._window, self._busy = health, standing, window, busy

    def servers(self, layout: Layout, arguments: dict[str, Any]) -> dict[str, Any]:
        """Give all about one real server, its connections read now; Refused."""
        places = orders.places(layout, *orders.whom(arguments))
        keys = {virtual.key for virtual, _server in places}
        try:
            loads = self._window.read(keys, 0.0)
        except IpvsError as error:
            raise Refused(str(error)) from error
        view = self.view(loads)
        rows = [
            (real.id.service.protocol, load)
            for _one, real in places
            if (load := loads.get(real.id))
        ]
        return {
            "left": orders.left(rows, templates_count=not self._window.templates_expire()),
            "servers": [
                {"virtual": virtual.name, **server_state(real, view, self.pool(virtual))}
                for virtual, real in places
            ],
        }

    def services(self, layout: Layout, arguments: dict[str, Any]) -> dict[str, Any]:
        """Give a page of virtual services, from number `start` on, as JSON to be passed on."""
        start = arguments.get("start", 0)
        if not isinstance(start, int) or start < 0:
            raise Refused("start must be the number of a virtual service, from 0 on")
        page: list[VirtualService] = []
        while start + len(page) < len(layout.virtual):
            page.append(layout.virtual[start + len(page)])
            if sum(len(virtual.servers) for virtual in page) >= PAGE:
                break
        try:
            loads = self._window.read({virtual.key for virtual in page}, FRESH)
        except IpvsError:
            loads = {}  # told already; what the checks know is still worth seeing
        end = start + len(page)
        return {
            "text": json.dumps(services(page, self.view(loads)), separators=(",", ":"))[1:-1],
            "next": end if end < len(layout.virtual) else None,
        }

    def view(self, loads: Mapping[ServerId, Load] = MappingProxyType({})) -> View:
        """Give all that is shown of this moment. loads: what was counted."""
        health = self._health
        offset = time.time() - time.monotonic()
        imposed = self._standing.imposed
        return View(health.verdicts, imposed, offset, health.last, loads, self._busy.shown)

    def pool(self, virtual: VirtualService) -> Pool:
        """Decide about a virtual service."""
        return pool(virtual, self._health.verdicts, self._standing.overrides)
