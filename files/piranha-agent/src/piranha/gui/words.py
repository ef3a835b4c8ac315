# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Numbers and times as people say them on the page. Pure."""

from __future__ import annotations

import time

THOUSAND = 1000
UNITS = ("", "k", "M", "G", "T")
ROUND = 10
NOTHING = "\u2013"
"""A dash where a number is not known."""


def short(number: object) -> str:
    """Say a number: 999, 1.2k, 35M; an unknown one as a dash."""
    if isinstance(number, bool) or not isinstance(number, int | float):
        return NOTHING
    unit = 0
    while number >= THOUSAND and unit < len(UNITS) - 1:
        number, unit = number / THOUSAND, unit + 1
    return f"{number:.3g}{UNITS[unit]}" if unit else f"{number:.0f}"


def span(seconds: object) -> str:
    """Say a length of time: 4 s, 3 min, 5 h, 2 d."""
    if not isinstance(seconds, int | float):
        return "?"
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{max(0.0, seconds):.0f} s"


def ago(moment: object, now: float) -> str:
    """Say how long something is ago; nothing where that is unknown."""
    return span(now - moment) if isinstance(moment, int | float) else ""


def clock(moment: object) -> str:
    """Say a moment as date and time of this router."""
    if not isinstance(moment, int | float):
        return ""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(moment))


def milliseconds(seconds: object) -> str:
    """Say how long a check took."""
    if not isinstance(seconds, int | float):
        return ""
    value = seconds * THOUSAND
    return f"{value:.1f} ms" if value < ROUND else f"{value:.0f} ms"


def count(number: int, thing: str) -> str:
    """`1 real server`, `2 real servers`."""
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def endpoint(address: object, port: object) -> str:
    """`192.0.2.1:80`, `[2001:db8::1]:80`; port 0 is every port."""
    text = str(address)
    return f"{f'[{text}]' if ':' in text else text}:{port or '*'}"
