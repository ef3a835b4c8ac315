# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""The heartbeats of Piranha 0.8.6 as bytes, and back. Pure.

Four bytes, one number, in the byte order of the sender's machine; both of its routers had to have
the same. No two of the numbers are each other's mirror image, so that either order can be read.
"""

from __future__ import annotations

import enum
import sys
from typing import Literal

Order = Literal["little", "big"]

SIZE = 4
OWN_ORDER: Order = sys.byteorder


class Said(enum.IntEnum):
    """What the original said; the first two with virtual servers, the others with services."""

    RUNNING = 0xBDADDBDA
    STOPPED = 0xADBDDABD
    SERVICES_RUNNING = 0xBEEFBABE
    SERVICES_STOPPED = 0xDEADBEEF
    SERVICES_TAKE = 0xDEADDADA
    SERVICES_HOLD = 0xDEAFBABE
    SERVICES_HELD = 0xDEAFDADA


def write(said: Said, order: Order = OWN_ORDER) -> bytes:
    """Give the datagram."""
    return said.to_bytes(SIZE, order)


_ORDERS: tuple[Order, ...] = ("little", "big")
_KNOWN: dict[bytes, tuple[Said, Order]] = {
    write(said, order): (said, order) for said in Said for order in _ORDERS
}


def read(data: bytes) -> tuple[Said, Order] | None:
    """Give what a datagram says and the order of its bytes; None where it is none of these."""
    return _KNOWN.get(data)
