# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a program on this machine listens on a service's port, out of /proc/net. Pure but `now`.

A check through the network would not tell: once the virtual address has gone, it asks the partner.
"""

from __future__ import annotations

import sys
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path

_TCP_LISTEN, _UDP_BOUND = "0A", "07"
_STATE_COLUMN = 3
_STATE = {"tcp": _TCP_LISTEN, "udp": _UDP_BOUND}

Address = IPv4Address | IPv6Address


def listens(tables: list[str], protocol: str, address: str, port: int) -> bool:
    """Tell whether a socket takes what is sent to an address and port.

    tables: texts of /proc/net/tcp and tcp6, or udp and udp6.
    """
    wanted = _STATE.get(protocol)
    try:
        own = ip_address(address)
    except ValueError:
        return False
    for table in tables:
        for line in table.splitlines()[1:]:
            words = line.split()
            if words[_STATE_COLUMN : _STATE_COLUMN + 1] == [wanted]:
                place = _place(words[1])
                if place and place[1] == port and _takes(place[0], own):
                    return True
    return False


def _takes(bound: Address, own: Address) -> bool:
    if isinstance(bound, IPv6Address) and bound.ipv4_mapped is not None:
        bound = bound.ipv4_mapped
    if int(bound) == 0:
        # `::` takes IPv4 as well, unless its program says otherwise, which the table does not tell.
        return isinstance(bound, IPv6Address) or isinstance(own, IPv4Address)
    return bound == own


def _place(text: str) -> tuple[Address, int] | None:
    """Read `0100007F:0050`: the address is in words of 32 bits, each in this machine's order."""
    address, _unused, port = text.partition(":")
    try:
        data = b"".join(
            int(address[at : at + 8], 16).to_bytes(4, sys.byteorder)
            for at in range(0, len(address), 8)
        )
        return ip_address(data), int(port, 16)
    except ValueError:
        return None


def now(protocol: str, address: str, port: int) -> bool:
    """Look at this machine, in this network namespace."""
    tables = []
    for name in (protocol, f"{protocol}6"):
        try:
            tables.append(Path("/proc/net", name).read_text(encoding="ascii"))
        except OSError:
            continue
    return listens(tables, protocol, address, port)
