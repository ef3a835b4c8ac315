# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""When a standby that does not reach the partner's services may find fault with the partner. Pure.

A check that failed proves nothing while this router's own network may be the reason. So the
gateway is asked (gateway.py), and after it has answered one more check must fail, begun after the
answer: else a cable that is mended just between the two would cost a needless move.
"""

from __future__ import annotations

import math
from enum import Enum

TEST_AGAIN = 5.0
"""Seconds between two gateway tests while the partner's services are out of order."""


class Next(Enum):
    """What follows from a failure."""

    WAIT = "wait"
    TEST = "test the gateway, and say what came of it"
    COMPLAIN = "find fault with the partner"


class Suspicion:
    """What one standby thinks; all moments are of one clock."""

    def __init__(self) -> None:
        self._tested_at = -math.inf
        self._works_since: float | None = None
        self.found = ""
        """What the last gateway test found, in words."""
        self.blamed = False
        """Whether it found our own network at fault."""

    def failed(self, began: float, now: float) -> Next:
        """A service has failed for long enough, lastly in a check that began at `began`."""
        if self._works_since is not None and began > self._works_since:
            return Next.COMPLAIN
        if self._works_since is None and now - self._tested_at >= TEST_AGAIN:
            self._tested_at = now
            return Next.TEST
        return Next.WAIT

    def tested(self, works: bool, found: str, now: float) -> None:
        """The gateway test has ended."""
        self._works_since = now if works else None
        self.found, self.blamed = found, not works

    def well(self) -> None:
        """A check has succeeded: nothing is left to suspect."""
        self._works_since = None
        self.blamed = False
