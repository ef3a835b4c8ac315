# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""How well something is, in four words that are classes of the page's style. Pure."""

from __future__ import annotations

GOOD, WARN, BAD, IDLE = "good", "warn", "bad", "idle"
TONES = {
    "UP": GOOD,
    "ACTIVE": GOOD,
    "RUNNING": GOOD,
    "STANDBY": IDLE,
    "DOWN": BAD,
    "FAULT": BAD,
    "STUCK": BAD,
    "DRAIN": WARN,
    "MAINT": WARN,
    "STARTING": WARN,
    "STOPPING": WARN,
}


def tone(state: str) -> str:
    """Give the tone of a state's name."""
    return TONES.get(state.upper(), IDLE)
