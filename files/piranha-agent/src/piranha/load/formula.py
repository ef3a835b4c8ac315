# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""How much of its weight a busy real server keeps. Pure; docs/load.md has the reasons.

L is the average number of processes that run or wait to run, for each processor.

    wanted share   100 %       while L <= 1: every process has a processor
                   100 / L %   above, LEAST at least: as much as the processors can do
    next share     the wanted one where that is 100 and near, or as it was where it is near,
                   else half way from what it was to what is wanted
"""

from __future__ import annotations

WHOLE = 100
LEAST = 10
NEAR = 10
"""Percent that a share must be off before it is changed: weights shall not flutter."""


def wanted_share(load: float, processors: int) -> int:
    """Give the percentage that a load calls for. load: a 1-minute average, 0 or more."""
    each = load / max(1, processors)
    return WHOLE if each <= 1 else max(LEAST, int(WHOLE / each))


def next_share(before: int, load: float, processors: int) -> int:
    """Give the percentage after one more answer. before: the one until now."""
    wanted = wanted_share(load, processors)
    if abs(wanted - before) < NEAR:
        return WHOLE if wanted == WHOLE else before
    return (before + wanted) // 2
