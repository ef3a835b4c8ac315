# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hears from the kernel what others do to interfaces and addresses. It decides nothing.

The kernel tells every change to whoever has joined a group of its routing netlink; nothing is
asked again and again. What does not fit the socket's buffer is lost, and then all may have changed.
"""

from __future__ import annotations

import errno
import socket
from dataclasses import dataclass, field

from .rtnetlink import (
    DELADDR,
    DELLINK,
    NEWLINK,
    Address,
    Interface,
    held_of,
    interface_of,
    messages,
)

_GROUPS = 0x1 | 0x10 | 0x100  # linux/rtnetlink.h: RTMGRP_LINK, _IPV4_IFADDR, _IPV6_IFADDR
_RECV = 1 << 16
MOST = 256
"""Datagrams read at a time; the rest is there at the next turn."""


@dataclass(slots=True)
class Changes:
    """What happened, the newest last.

    interfaces: each as it is now, and False where it has gone. gone: addresses that were removed
    from some interface. lost: there was more than could be kept; look again at everything.
    """

    interfaces: list[tuple[Interface, bool]] = field(default_factory=list)
    gone: set[Address] = field(default_factory=set)
    lost: bool = False


class Watch:
    """A socket that hears the changes in the network namespace it is made in."""

    def __init__(self) -> None:
        kind = socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
        self._socket = socket.socket(socket.AF_NETLINK, kind, socket.NETLINK_ROUTE)
        self._socket.bind((0, _GROUPS))

    def fileno(self) -> int:
        """The descriptor to wait for."""
        return self._socket.fileno()

    def close(self) -> None:
        """Hear no more."""
        self._socket.close()

    def changes(self) -> Changes:
        """Give what has happened since the last call; never waits."""
        found = Changes()
        for _unused in range(MOST):
            try:
                data = self._socket.recv(_RECV)
            except BlockingIOError:
                break
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise
                found.lost = True
                continue
            note(data, found)
        return found


def note(data: bytes, found: Changes) -> None:
    """Add what one datagram of the kernel tells. Pure but for `found`."""
    for kind, _sequence, body in messages(data):
        if kind in (NEWLINK, DELLINK):
            # A port that leaves its bridge is told as removed too, of the bridge's family.
            if body[:1] == b"\0":
                found.interfaces.append((interface_of(body), kind == NEWLINK))
        elif kind == DELADDR and (held := held_of(body)) is not None:
            found.gone.add(held.address)
