# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Netlink's own words: messages, attributes, and how a family of generic netlink is found.

Pure functions over bytes that know nothing of IPVS; port.py has the socket. Numbers and layouts are
those of linux/netlink.h and linux/genetlink.h.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

NLMSG_NOOP = 1
NLMSG_ERROR = 2
NLMSG_DONE = 3
NLM_F_REQUEST = 0x1
NLM_F_ACK = 0x4
NLM_F_DUMP = 0x300
_HEADER = struct.Struct("=IHHIIBBxx")  # nlmsghdr and genlmsghdr
_NLMSG = struct.Struct("=IHHII")
GENL_SIZE = 4  # what stands between netlink's header and the first attribute

# linux/genetlink.h: the family that knows the others
GENL_ID_CTRL = 0x10
_CTRL_CMD_GETFAMILY = 3
_CTRL_ATTR_FAMILY_ID = 1
_CTRL_ATTR_FAMILY_NAME = 2
_VERSION = 1  # of the families used here, as their headers name it

_ATTR = struct.Struct("=HH")
U16 = struct.Struct("=H")
BE16 = struct.Struct("!H")
U32 = struct.Struct("=I")
U64 = struct.Struct("=Q")


class Message(NamedTuple):
    """One netlink message: type, flags, sequence number, and what follows the netlink header."""

    kind: int
    flags: int
    sequence: int
    body: bytes


def message(kind: int, flags: int, sequence: int, command: int, payload: bytes) -> bytes:
    """One generic netlink message; the port id stays 0 (the kernel knows the sender)."""
    return (
        _HEADER.pack(_HEADER.size + len(payload), kind, flags, sequence, 0, command, _VERSION)
        + payload
    )


def barrier(sequence: int) -> bytes:
    """A message that does nothing and is acknowledged: all before it has been dealt with then."""
    return _NLMSG.pack(_NLMSG.size, NLMSG_NOOP, NLM_F_REQUEST | NLM_F_ACK, sequence, 0)


def attribute(kind: int, value: bytes) -> bytes:
    """One netlink attribute, padded to four bytes."""
    return _ATTR.pack(4 + len(value), kind) + value + bytes(-len(value) % 4)


def family_request(sequence: int, family: str) -> bytes:
    """Ask for a family's number by its name; the kernel loads the family's module if it can."""
    name = attribute(_CTRL_ATTR_FAMILY_NAME, family.encode() + b"\0")
    return message(GENL_ID_CTRL, NLM_F_REQUEST, sequence, _CTRL_CMD_GETFAMILY, name)


def family_number(body: bytes) -> int:
    """The family's number from the answer to :func:`family_request`."""
    for kind, start, _end in attributes(body, GENL_SIZE, len(body)):
        if kind == _CTRL_ATTR_FAMILY_ID:
            return read(U16, body, start)
    raise ValueError("an answer without a family number")


def messages(data: bytes) -> Iterator[Message]:
    """Cut one datagram into its messages. ValueError if it is no netlink at all."""
    offset, end = 0, len(data)
    while offset + _NLMSG.size <= end:
        length, kind, flags, sequence, _port = _NLMSG.unpack_from(data, offset)
        if length < _NLMSG.size or offset + length > end:
            raise ValueError(f"a netlink message of {length} bytes in {end - offset}")
        yield Message(kind, flags, sequence, data[offset + _NLMSG.size : offset + length])
        offset += length + (-length & 3)


def error_number(body: bytes) -> int:
    """The error number of an NLMSG_ERROR (or NLMSG_DONE): 0 for success, else as in errno."""
    return -int(struct.unpack_from("=i", body)[0]) if len(body) >= U32.size else 0


def attributes(data: bytes, offset: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Walk over attributes: type, start and end of the value. ValueError if one is cut off."""
    while offset + _ATTR.size <= end:
        length, kind = _ATTR.unpack_from(data, offset)
        if length < _ATTR.size or offset + length > end:
            raise ValueError(f"a netlink attribute of {length} bytes in {end - offset}")
        yield kind & 0x3FFF, offset + 4, offset + length
        offset += length + (-length & 3)


def read(layout: struct.Struct, data: bytes, offset: int) -> int:
    """One number at an offset."""
    return int(layout.unpack_from(data, offset)[0])
