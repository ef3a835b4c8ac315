# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""What `uptime`, `rup`, `ruptime` and commands of one's own print about load, read as a number.

Pure. Every answer is at most some kilobytes, and is looked at once.
"""

from __future__ import annotations

import re

_NUMBER = rb"([0-9]{1,6})(?:[.,]([0-9]{1,6}))?(?=[, \t\r\n]|$)"
# uptime and rup write `load average: 0.15, 0.10, 0.05` (BSD: `averages`), ruptime `load 0.15, ...`;
# with another language a comma stands for the point.
_LOAD = re.compile(rb"\bload(?: averages?)?:?[ \t]+" + _NUMBER)
_ALONE = re.compile(rb"[ \t]*" + _NUMBER + rb"[ \t]*\r?\n?")
_COUNT = re.compile(rb"[ \t\r\n]*([0-9]{1,6})[ \t\r\n]*")
_MOST_PROCESSORS = 65536


def read_load(output: bytes) -> float | None:
    """Give the 1-minute average: behind the word load, or a number that is all there is."""
    match = _LOAD.search(output) or _ALONE.fullmatch(output)
    if match is None:
        return None
    whole, part = match.group(1), match.group(2) or b"0"
    return float(f"{whole.decode('ascii')}.{part.decode('ascii')}")


def read_processors(output: bytes) -> int | None:
    """Give the number that `nproc` prints."""
    match = _COUNT.fullmatch(output)
    number = int(match.group(1)) if match else 0
    return number if 1 <= number <= _MOST_PROCESSORS else None
