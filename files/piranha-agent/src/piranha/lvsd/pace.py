# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""How often to do what costs more the larger the table is: as often as it leaves room for checks.

When a thousand servers die within seconds, the table and the snapshot follow many times a second;
with ten thousand each round takes longer, and rounds at a fixed distance would take all the time.
"""

from __future__ import annotations

import time
from types import TracebackType


class Pace:
    """Measures what a round takes (as a context manager); `gap` is the distance to the next."""

    def __init__(self, least: float, factor: float, most: float) -> None:
        """`least`, `most`: seconds. In between: `factor` times what the last round took."""
        self._least, self._factor, self._most = least, factor, most
        self._began = 0.0
        self.gap = least
        """Seconds."""

    def __enter__(self) -> None:
        self._began = time.monotonic()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        took = time.monotonic() - self._began
        self.gap = min(self._most, max(self._least, took * self._factor))
