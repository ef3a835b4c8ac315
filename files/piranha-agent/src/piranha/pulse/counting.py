# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""How many connections this router's IPVS table counts, for the partner to compare (preempt).

The kernel keeps no sum. /proc/net/ip_vs has the numbers of each real server in its last two
columns; 16,000 of them take some 10 ms, so it is read seldom, and only where `preempt` is on.
"""

from __future__ import annotations

from pathlib import Path

PROC = Path("/proc/net/ip_vs")
EVERY = 5.0
"""Seconds between two readings."""


def counted(text: bytes) -> int:
    """Add up the active and inactive connections of all real servers in the file's text. Pure."""
    total = 0
    for line in text.split(b"\n"):
        if line.startswith(b"  ->"):
            columns = line.split()[-2:]
            total += sum(int(column) for column in columns if column.isdigit())
    return total


def connections(path: Path = PROC) -> int:
    """Read it now; 0 where there is no IPVS."""
    try:
        return counted(path.read_bytes())
    except OSError:
        return 0
