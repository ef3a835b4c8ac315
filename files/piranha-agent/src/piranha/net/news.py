# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the kernel tells unasked: a neighbour that no longer answers, addresses that come and go.

A neighbour is what ARP (IPv6: neighbour discovery) knows of a machine on the same network. The
kernel asks again by itself while there is traffic; when nobody answers it tells so. What follows
from that is decided elsewhere.
"""

from __future__ import annotations

import ctypes
import errno
import socket
import struct
from collections.abc import Iterable
from ipaddress import ip_address
from typing import NamedTuple

from .rtnetlink import attributes, messages

_NEWADDR, _DELADDR, _NEWNEIGH = 20, 21, 28  # linux/rtnetlink.h
_GROUPS = (3, 5, 9)  # RTNLGRP_NEIGH, RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR
_ADD_MEMBERSHIP = 1  # NETLINK_ADD_MEMBERSHIP
_SOL_NETLINK = 270
_NEIGHBOUR = struct.Struct("=BxxxiHBB")  # linux/neighbour.h ndmsg
_FAILED = 0x20  # NUD_FAILED
_DST = 1  # NDA_DST
_RECV = 1 << 16
_LENGTHS = {socket.AF_INET: 4, socket.AF_INET6: 16}

_ATTACH_FILTER = 26  # SO_ATTACH_FILTER, asm-generic/socket.h
_LOAD_HALF, _EQUAL, _RETURN = 0x28, 0x15, 0x06  # linux/filter.h
_TYPE_AT, _STATE_AT = 4, 24
_WHOLE = 0xFFFFFFFF
_STEP = struct.Struct("=HBBI")  # sock_filter
_PROGRAM = struct.Struct("@HP")  # sock_fprog


class Heard(NamedTuple):
    """What has been told. failed: neighbours that do not answer. moved: addresses have changed."""

    failed: frozenset[str]
    moved: bool


NOTHING = Heard(frozenset(), False)


def understand(data: bytes) -> Heard:
    """Read one or more messages of the kernel's."""
    failed: set[str] = set()
    moved = False
    for kind, _sequence, body in messages(data):
        if kind in (_NEWADDR, _DELADDR):
            moved = True
        elif kind == _NEWNEIGH and len(body) >= _NEIGHBOUR.size:
            family, _index, state, _flags, _type = _NEIGHBOUR.unpack_from(body)
            target = attributes(body, _NEIGHBOUR.size).get(_DST, b"")
            if state & _FAILED and len(target) == _LENGTHS.get(family):
                failed.add(str(ip_address(target)))
    return Heard(frozenset(failed), moved)


class News:
    """A socket to the kernel that hears of this network namespace."""

    def __init__(self) -> None:
        """OSError where the kernel has no such thing."""
        kind = socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
        self._socket = socket.socket(socket.AF_NETLINK, kind, socket.NETLINK_ROUTE)
        self._filter()
        self._socket.bind((0, 0))
        for group in _GROUPS:
            self._socket.setsockopt(_SOL_NETLINK, _ADD_MEMBERSHIP, group)

    def fileno(self) -> int:
        """For a loop that waits."""
        return self._socket.fileno()

    def close(self) -> None:
        """Hear no more."""
        self._socket.close()

    def read(self) -> Heard:
        """Give all that has been told since, without waiting."""
        heard: list[Heard] = []
        while True:
            try:
                heard.append(understand(self._socket.recv(_RECV)))
            except BlockingIOError:
                break
            except OSError as problem:
                if problem.errno != errno.ENOBUFS:
                    raise
                heard.append(Heard(frozenset(), True))  # some was lost; look at the whole
        return _together(heard)

    def _filter(self) -> None:
        """Have the kernel keep back the other states of neighbours, which change all the time.

        A thousand servers would wake this process some dozen times a second for nothing.
        """
        neighbour, failed = socket.htons(_NEWNEIGH), socket.htons(_FAILED)
        steps = (
            (_LOAD_HALF, 0, 0, _TYPE_AT),
            (_EQUAL, 0, 2, neighbour),  # no neighbour: to the last but one
            (_LOAD_HALF, 0, 0, _STATE_AT),
            (_EQUAL, 0, 1, failed),  # another state: to the last
            (_RETURN, 0, 0, _WHOLE),
            (_RETURN, 0, 0, 0),
        )
        code = ctypes.create_string_buffer(b"".join(_STEP.pack(*step) for step in steps))
        program = _PROGRAM.pack(len(steps), ctypes.addressof(code))
        self._socket.setsockopt(socket.SOL_SOCKET, _ATTACH_FILTER, program)


def _together(heard: Iterable[Heard]) -> Heard:
    whole = NOTHING
    for one in heard:
        whole = Heard(whole.failed | one.failed, whole.moved or one.moved)
    return whole
