# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""The orders of operators that hold: kept in their file, and what they come to for a layout.

Joins kept.py (the file) and overrides.py (what the rules mean); decides nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from . import overrides
from .kept import Kept, KeptError
from .layout import Layout, ServerId
from .orders import Outcome, Refused
from .overrides import Imposed, Rules
from .pool import Overrides


class StandingOrders:
    """All rules, and what they impose on the servers in force."""

    def __init__(self, kept: Kept) -> None:
        """Nothing is read before `load`."""
        self._kept = kept
        self.rules = Rules()
        self.imposed: Mapping[ServerId, Imposed] = {}
        self.overrides: Overrides = {}
        self.error: str | None = None
        """Why the file could not be read; None once something was kept in it."""

    def load(self) -> None:
        """Read the file."""
        try:
            self.rules = self._kept.load()
        except KeptError as error:
            self.error = str(error)

    def impose(self, layout: Layout) -> None:
        """Find the servers of a layout that the rules are about."""
        ids = [server.id for _unused, server in layout.servers()]
        self.imposed = overrides.imposed(self.rules, ids)
        self.overrides = overrides.orders(self.imposed)

    def after(self, outcome: Outcome) -> Overrides:
        """Give the overrides as they would be after an order."""
        after = {**self.imposed}
        for _virtual, server in outcome.places:
            after.pop(server.id, None)
        after.update(outcome.after)
        return overrides.orders(after)

    def keep(self, outcome: Outcome) -> None:
        """Keep the rules of an order; Refused where they would be forgotten by a restart."""
        try:
            self._kept.save(outcome.rules)
        except KeptError as error:
            raise Refused(str(error)) from error
        self.rules, self.error = outcome.rules, None

    def state(self, layout: Layout) -> dict[str, Any]:
        """Give what the snapshot tells: how many rules, and those that nobody is the target of."""
        known = [server.id for _unused, server in layout.servers()] if self.rules else []
        unused = overrides.unused(self.rules, known)
        return {"overrides": len(self.rules), "overrides_unused": [str(one) for one in unused]}
