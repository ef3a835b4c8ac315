# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Connections and counters of real servers, read from the kernel when somebody asks."""

from __future__ import annotations

import time
from collections.abc import Collection
from pathlib import Path
from typing import Protocol

from piranha.core.ipvs.kernel import Snapshot
from piranha.core.ipvs.model import ServiceKey

from .layout import ServerId
from .snapshot import Load

EXPIRES = Path("/proc/sys/net/ipv4/vs/expire_quiescent_template")

Loads = dict[ServerId, Load]


class Kernel(Protocol):
    """What is used of the ipvs library's Kernel."""

    def snapshot(
        self, counters: bool = True, only: Collection[ServiceKey] | None = None
    ) -> Snapshot:
        """Some services with all that is counted."""


class Window:
    """Remembers what it read for a little while, so that many who look cost as one."""

    def __init__(self, kernel: Kernel) -> None:
        """Nothing is read yet."""
        self._kernel = kernel
        self._known: dict[ServiceKey, tuple[float, Loads]] = {}

    def read(self, keys: Collection[ServiceKey], fresh: float) -> Loads:
        """Give the loads of the servers of some services, no older than `fresh` seconds.

        IpvsError where the kernel gives none.
        """
        now = time.monotonic()
        old = {key for key in keys if self._age(key, now) > fresh or fresh <= 0}
        if old:
            snapshot = self._kernel.snapshot(True, old)
            at = time.time()
            found: dict[ServiceKey, Loads] = {key: {} for key in old}
            for (service, server), row in snapshot.servers.items():
                found[service][ServerId(service, server)] = Load(row, at)
            self._known.update({key: (now, loads) for key, loads in found.items()})
        result: Loads = {}
        for key in keys:
            result.update(self._known[key][1])
        return result

    @staticmethod
    def templates_expire() -> bool:
        """Whether the kernel lets persistent clients of a drained server go elsewhere."""
        try:
            return EXPIRES.read_text(encoding="ascii").strip() == "1"
        except OSError:
            return False

    def _age(self, key: ServiceKey, now: float) -> float:
        known = self._known.get(key)
        return float("inf") if known is None else now - known[0]

    def forget(self, keep: Collection[ServiceKey]) -> None:
        """Keep only what is known of these services."""
        for key in self._known.keys() - set(keep):
            del self._known[key]
