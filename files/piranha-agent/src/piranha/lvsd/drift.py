# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""A cheap look at the kernel's table: which services are not as they were at the last look.

IPVS tells nobody when its table changes. Reading all of it by netlink costs some 25 us an entry;
the text of /proc/net/ip_vs has what operators and other programs change (services, schedulers,
persistence, real servers, forwarding, weights) and costs a twentieth of that. It does not have
thresholds and tunnel types: a whole reading every minute finds those.

Pure but for `Glance.read`.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

from piranha.core.ipvs.model import ServiceKey

PROC = Path("/proc/net/ip_vs")
HEADER_LINES = 3

Prints = dict[bytes, bytes]
"""A service as the first two words of its line name it, and all of it but the connections."""


def prints(text: bytes) -> Prints:
    """Cut the file's text into services; what counts connections is left out."""
    found: dict[bytes, list[bytes]] = {}
    here: list[bytes] = []
    for line in text.split(b"\n")[HEADER_LINES:]:
        if line.startswith(b"  ->"):
            here.append(line.rsplit(None, 2)[0])
        elif line:
            words = line.split(None, 2)
            # Marks of both families look the same here, and then count as one.
            here = found.setdefault(b" ".join(words[:2]), [])
            here.append(line)
    # Sorted, since the kernel's order of servers depends on the order they were added in.
    return {head: b"\n".join(sorted(lines)) for head, lines in found.items()}


@lru_cache(maxsize=1 << 16)
def head(key: ServiceKey) -> bytes:
    """Give the words that name a service in that file."""
    if key.fwmark:
        return b"FWM %08X" % key.fwmark
    address = ipaddress.ip_address(key.address)
    brief = key.family == "ipv4"
    shown = f"{int(address):08X}" if brief else f"[{address.exploded}]"
    return f"{key.protocol.upper()} {shown}:{key.port:04X}".encode()


class Glance:
    """Remembers what the last look saw."""

    def __init__(self, path: Path = PROC) -> None:
        """Nothing is read yet."""
        self._path = path
        self._seen: Prints | None = None
        self._first: bytes | None = None
        """The first text, until a second one has come: a start need not wait for its meaning."""
        self._doubted: set[ServiceKey] = set()

    def doubt(self, keys: Iterable[ServiceKey]) -> None:
        """Take `keys` for changed at the next look: lvsd itself wrote them after the last one.

        Else what somebody undid before that look would look as it did before lvsd wrote it.
        """
        self._doubted.update(keys)

    def changed(self, keys: Iterable[ServiceKey]) -> set[ServiceKey] | None:
        """Give which of `keys` differ from what was seen last; None where that is unknown.

        Unknown are the first look, and a file that cannot be read: read the whole table then.
        """
        try:
            text = self._path.read_bytes()
        except OSError:
            self._seen = self._first = None
            return None
        doubted, self._doubted = self._doubted, set()
        if self._first is not None:
            self._seen, self._first = prints(self._first), None
        if self._seen is None:
            self._first = text
            return None
        before, self._seen = self._seen, prints(text)
        now = self._seen
        known = set(keys)
        if now == before:
            return doubted & known
        differ = {key for key in known if now.get(name := head(key)) != before.get(name)}
        return differ | (doubted & known)
