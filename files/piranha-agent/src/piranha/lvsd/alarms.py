# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Shouts when a pool falls below its quorum, and says when it is well again.

Pure but for its memory of how each pool stood. Services with a quorum of 1 and without fail_open
are told by the events of their servers.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable

from piranha.core.ipvs.model import ServiceKey

from . import words
from .layout import VirtualService
from .pool import Pool, Standing


class Alarms:
    """How every pool stood when it was looked at last."""

    def __init__(self) -> None:
        """Every pool counts as well before it is looked at first."""
        self._known: dict[ServiceKey, Standing] = {}

    def events(
        self,
        services: Iterable[VirtualService],
        decide: Callable[[VirtualService], Pool],
        only: Container[ServiceKey] | None = None,
    ) -> list[words.Event]:
        """Look at services, at `only` some of them; gives what is new, as events."""
        told = []
        for virtual in services:
            guarded = virtual.quorum > 1 or virtual.fail_open
            if not guarded or (only is not None and virtual.key not in only):
                continue
            decided = decide(virtual)
            before = self._known.get(virtual.key, Standing.MET)
            if decided.standing is before or decided.standing is Standing.WAITING:
                continue
            self._known[virtual.key] = decided.standing
            told.append(words.pool_event(virtual, decided))
        return told

    def forget(self, keep: Container[ServiceKey]) -> None:
        """Drop the memory of services that are not in `keep`."""
        self._known = {key: known for key, known in self._known.items() if key in keep}
