# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Numbers of the last minutes, and the path of the small graph that shows them. Pure, no clock."""

from __future__ import annotations

import math
from array import array
from collections.abc import Sequence

KEPT = 60
"""Points of one graph."""

WIDTH, HEIGHT = 120, 24
"""Of a graph, in the units of its viewBox."""

EMPTY = float("nan")


class Series:
    """The last numbers of one thing, oldest first; memory is as large at once as it ever gets."""

    __slots__ = ("_at", "_values")

    def __init__(self) -> None:
        """Nothing is known yet."""
        self._values = array("f", [EMPTY]) * KEPT
        self._at = 0

    def add(self, value: float | None) -> None:
        """Take the next number; None leaves a gap."""
        self._values[self._at] = EMPTY if value is None else value
        self._at = (self._at + 1) % KEPT

    def values(self) -> list[float | None]:
        """Give them, oldest first; a gap is None."""
        turned = [*self._values[self._at :], *self._values[: self._at]]
        return [None if math.isnan(value) else value for value in turned]


def path(values: Sequence[float | None], top: float | None = None) -> str:
    """Give the `d` of an SVG path; gaps interrupt the line. top: the number at the upper edge."""
    known = [value for value in values if value is not None]
    if not known:
        return ""
    most = max(top or 0.0, *known, 1e-9) if len(known) > 1 else max(top or 0.0, known[0], 1e-9)
    step = WIDTH / max(1, len(values) - 1)
    parts = []
    pen = False
    for index, value in enumerate(values):
        if value is None:
            pen = False
            continue
        x, y = index * step, HEIGHT - 1 - value / most * (HEIGHT - 2)
        parts.append(f"{'L' if pen else 'M'}{x:.0f} {y:.0f}")
        pen = True
    return "".join(parts)
