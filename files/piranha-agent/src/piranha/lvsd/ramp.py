# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Slow start: how much of its weight a server has that came back some seconds ago. Pure.

The weight grows in STEPS equal steps over the time of slow_start, the first of them at once: with
10 steps and 60 s it is 10 % for 6 s, 20 % for the next 6 s, and all after 54 s. Steps, since each
is a change of the kernel's table, and equal ones, as with HAProxy, since a cache warms up with the
requests that it gets; the original doubled the weight every 20 s, from 1/32 on.
"""

from __future__ import annotations

STEPS = 10
WHOLE = 100


def percent(elapsed: float, seconds: float) -> int:
    """Give the percentage `elapsed` seconds after the return; WHOLE at the end."""
    if seconds <= 0 or elapsed >= seconds:
        return WHOLE
    step = int(max(0.0, elapsed) * STEPS / seconds) + 1
    return min(step, STEPS) * WHOLE // STEPS


def next_step(elapsed: float, seconds: float) -> float:
    """Give the seconds until the percentage grows; meaningless where it is whole."""
    step = int(max(0.0, elapsed) * STEPS / seconds) + 1 if seconds > 0 else STEPS
    return max(0.0, step * seconds / STEPS - elapsed)
