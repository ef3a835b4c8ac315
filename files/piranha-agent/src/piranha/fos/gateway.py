# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""The gateway test: whether this router's own network works, before it finds fault with another's.

As the original did: the default gateway is asked for an echo, three times at the most.
"""

from __future__ import annotations

import sys
from ipaddress import IPv4Address
from pathlib import Path

from piranha.nanny.engine import perform
from piranha.nanny.outcome import Finding
from piranha.nanny.spec import ServiceCheck

TRIES, LIMIT = 3, 1.0
"""How often, and seconds for each."""

COLUMNS = 8
"""Of a line of the routing table that are looked at."""

_UP, _GATEWAY = 0x1, 0x2  # linux/route.h


def gateway_in(table: str) -> str | None:
    """Give the default gateway, out of the text of /proc/net/route."""
    found: list[tuple[int, str]] = []
    for line in table.splitlines()[1:]:
        words = line.split()
        if len(words) < COLUMNS or words[1] != "00000000" or words[7] != "00000000":
            continue
        if int(words[3], 16) & (_UP | _GATEWAY) == (_UP | _GATEWAY):
            address = IPv4Address(int(words[2], 16).to_bytes(4, sys.byteorder))
            found.append((int(words[6]), str(address)))
    return min(found)[1] if found else None


async def reachable() -> tuple[bool, str]:
    """Ask it; gives whether this router's network works, and in words what was found.

    Without a gateway there is nobody to ask: the heartbeats that come through have to do.
    """
    try:
        gateway = gateway_in(Path("/proc/net/route").read_text(encoding="ascii"))
    except (OSError, ValueError):
        gateway = None
    if gateway is None:
        return True, "there is no default gateway that could be asked"
    words = ""
    for _unused in range(TRIES):
        outcome = await perform(ServiceCheck("icmp", "icmp", gateway, 0, LIMIT))
        words = outcome.words
        if outcome.finding is not Finding.BAD:
            return True, f"gateway {gateway}: {words}"
    return False, f"gateway {gateway}: {words}"
