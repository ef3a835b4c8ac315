# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""A cheap look whether the kernel's firewall has changed at all; no program is started for it.

nftables counts its transactions, and tells the number for one message. iptables-legacy tells the
size and shape of a table for one call; that a rule was replaced by one of its size is not seen so,
and is found when all is read again. Reads only; what follows is keeper.py's.
"""

from __future__ import annotations

import ctypes
import os
import socket
import struct

# linux/netlink.h, linux/netfilter/nfnetlink.h, linux/netfilter/nf_tables.h
_NETLINK_NETFILTER = 12
_GET_GENERATION = (10 << 8) | 16
_NEW_GENERATION = (10 << 8) | 15
_REQUEST = 1
_HEADER = struct.Struct("=IHHII")
_GENERIC = struct.Struct("=BBH")
_LIMIT = 1.0  # seconds; the kernel answers at once, this only bounds a mistake

# linux/netfilter_ipv4/ip_tables.h, linux/netfilter_ipv6/ip6_tables.h
_LEVEL = {"ipv4": (socket.AF_INET, 0), "ipv6": (socket.AF_INET6, 41)}
_GET_INFO = 64
_INFO = struct.Struct("=32sI5I5III")
_NAME = b"mangle"

_libc = ctypes.CDLL(None, use_errno=True)


def generation() -> bytes:
    """Give what tells two states of all of nftables apart. OSError where the kernel has none."""
    kind = socket.SOCK_RAW | socket.SOCK_CLOEXEC
    with socket.socket(socket.AF_NETLINK, kind, _NETLINK_NETFILTER) as kernel:
        kernel.settimeout(_LIMIT)
        kernel.bind((0, 0))
        body = _GENERIC.pack(socket.AF_UNSPEC, 0, 0)
        size = _HEADER.size + len(body)
        kernel.send(_HEADER.pack(size, _GET_GENERATION, _REQUEST, 1, 0) + body)
        answer = kernel.recv(4096)
    _size, number, _flags, _sequence, _port = _HEADER.unpack_from(answer)
    if number != _NEW_GENERATION:
        raise OSError("the kernel does not tell the generation of its nftables")
    # The number is the first attribute (4 bytes of header); who changed it comes behind.
    start = _HEADER.size + _GENERIC.size
    return answer[start : start + 8]


def shape(family: str) -> bytes:
    """Give number, sizes and places of the rules in the table mangle of iptables-legacy. OSError.

    family: `ipv4` or `ipv6`.
    """
    domain, level = _LEVEL[family]
    info = ctypes.create_string_buffer(_INFO.pack(_NAME, *[0] * 13), _INFO.size)
    length = ctypes.c_uint32(_INFO.size)
    with socket.socket(domain, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.IPPROTO_RAW) as asking:
        if _libc.getsockopt(asking.fileno(), level, _GET_INFO, info, ctypes.byref(length)):
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
    return info.raw
