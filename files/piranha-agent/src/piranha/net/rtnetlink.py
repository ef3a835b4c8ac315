# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""As much of the kernel's routing netlink as the heart needs: interfaces, and their addresses.

Our own since a takeover is measured in milliseconds: all changes go in a batch, some 10 µs an
address, where pyroute2 needs 0.7 ms each and 0.4 s to be imported. It decides nothing.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

Address = IPv4Address | IPv6Address

BATCH = 100
"""Messages in one send; the acknowledgements of 300 overrun the socket's default buffer."""

_HEADER = struct.Struct("=IHHII")  # linux/netlink.h nlmsghdr
_ADDRESS = struct.Struct("=BBBBi")  # linux/if_addr.h ifaddrmsg
_LINK = struct.Struct("=BxHiII")  # linux/rtnetlink.h ifinfomsg
_ATTRIBUTE = struct.Struct("=HH")
_NUMBER = struct.Struct("=I")
_ROUTE = struct.Struct("=8BI")  # linux/rtnetlink.h rtmsg
_CACHE = struct.Struct("=IIII")  # linux/if_addr.h ifa_cacheinfo

_ERROR, _DONE = 2, 3
NEWLINK, DELLINK, _GETLINK = 16, 17, 18
_NEWADDR, DELADDR, _GETADDR = 20, 21, 22
_NEWROUTE, _GETROUTE = 24, 26
_RTA_DST, _RTA_OIF, _RTA_GATEWAY, _RTA_VIA = 1, 4, 5, 18
_REQUEST, _ACK, _DUMP, _EXCL, _CREATE = 0x1, 0x4, 0x300, 0x200, 0x400
_IFLA_ADDRESS, _IFLA_IFNAME, _IFLA_EXT_MASK = 1, 3, 29
_SKIP_STATS = 8
_IFA_ADDRESS, _IFA_LOCAL, _IFA_LABEL, _IFA_CACHEINFO = 1, 2, 3, 6
_NODAD = 0x02
_FOREVER = 0xFFFFFFFF
_TYPE_MASK = 0x3FFF
_SCOPE_HOST = 254
_RECV = 1 << 16
_FAR: dict[int, Address] = {4: IPv4Address("198.41.0.4"), 6: IPv6Address("2001:503:ba3e::2:30")}
"""Addresses that only the default route leads to (a root name server's). Nothing is sent there."""


@dataclass(frozen=True, slots=True)
class Interface:
    """A network interface. mac: 6 bytes, or none where it has no such address."""

    index: int
    name: str
    mac: bytes
    up: bool
    running: bool
    """It has carrier."""


@dataclass(frozen=True, slots=True)
class Held:
    """An address that an interface has."""

    address: Address
    prefix: int
    index: int
    label: str | None = None


class NetlinkError(OSError):
    """The kernel does not answer as it should."""


class Netlink:
    """One socket to the kernel's routing subsystem, of the network namespace it is made in."""

    def __init__(self) -> None:
        self._socket = socket.socket(
            socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE
        )
        self._socket.settimeout(2.0)  # the kernel answers at once; this only bounds a mistake
        self._socket.bind((0, 0))
        self._sequence = 0

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def interfaces(self) -> list[Interface]:
        """Read all interfaces."""
        mask = _attribute(_IFLA_EXT_MASK, _NUMBER.pack(_SKIP_STATS))
        request = _LINK.pack(socket.AF_UNSPEC, 0, 0, 0, 0) + mask
        return [interface_of(body) for body in self._dump(_GETLINK, request)]

    def interface(self, index: int) -> Interface | None:
        """Read one interface; None where there is none with this number."""
        mask = _attribute(_IFLA_EXT_MASK, _NUMBER.pack(_SKIP_STATS))
        body = _LINK.pack(socket.AF_UNSPEC, 0, index, 0, 0) + mask
        self._socket.send(self._message(_GETLINK, 0, body))
        while True:
            for kind, sequence, content in messages(self._receive()):
                if sequence == self._sequence:
                    return interface_of(content) if kind == NEWLINK else None

    def addresses(self) -> list[Held]:
        """Read all addresses of all interfaces."""
        request = _ADDRESS.pack(socket.AF_UNSPEC, 0, 0, 0, 0)
        return [held for body in self._dump(_GETADDR, request) if (held := held_of(body))]

    def gateway(self, version: int) -> tuple[Address, int] | None:
        """Give the default gateway of a version of IP and its interface; None where there is none.

        One question for one route: a router may have a million, and waits for nobody to list them.
        """
        far = _FAR[version]
        family = _FAMILY[version]
        body = _ROUTE.pack(family, far.max_prefixlen, 0, 0, 0, 0, 0, 0, 0)
        self._socket.send(self._message(_GETROUTE, 0, body + _attribute(_RTA_DST, far.packed)))
        while True:
            for kind, sequence, content in messages(self._receive()):
                if sequence == self._sequence:
                    return gateway_of(content) if kind == _NEWROUTE else None

    def add(self, wanted: list[Held]) -> list[int]:
        """Add addresses; gives an errno for each, 0 also where it was there already.

        IPv6 ones come without duplicate address detection, which would take a second, and are
        not chosen as the source of this machine's own connections.
        """
        return self._change(_NEWADDR, _CREATE | _EXCL, wanted, errno.EEXIST)

    def remove(self, unwanted: list[Held]) -> list[int]:
        """Remove addresses; gives an errno for each, 0 also where it was not there."""
        return self._change(DELADDR, 0, unwanted, errno.EADDRNOTAVAIL)

    def _change(self, kind: int, flags: int, items: list[Held], harmless: int) -> list[int]:
        results: list[int] = []
        for start in range(0, len(items), BATCH):
            batch = items[start : start + BATCH]
            first = self._sequence + 1
            messages = []
            for item in batch:
                messages.append(self._message(kind, flags | _ACK, _address_body(item, kind)))
            self._socket.send(b"".join(messages))
            results += self._acknowledgements(first, len(batch))
        return [0 if result == harmless else result for result in results]

    def _acknowledgements(self, first: int, count: int) -> list[int]:
        results: dict[int, int] = {}
        while len(results) < count:
            for kind, sequence, body in messages(self._receive()):
                if kind == _ERROR and first <= sequence < first + count:
                    results[sequence] = -struct.unpack_from("=i", body)[0]
        return [results[first + number] for number in range(count)]

    def _dump(self, kind: int, body: bytes) -> list[bytes]:
        # A dump that the kernel was interrupted in may miss entries, but its flag says so only
        # for what changes meanwhile; here we are the one that changes things.
        self._socket.send(self._message(kind, _DUMP, body))
        expected = self._sequence
        found: list[bytes] = []
        while True:
            for answer, sequence, content in messages(self._receive()):
                if sequence != expected:
                    continue
                if answer == _DONE:
                    return found
                if answer == _ERROR:
                    code = -struct.unpack_from("=i", content)[0]
                    raise NetlinkError(code, os.strerror(code))
                found.append(content)

    def _message(self, kind: int, flags: int, body: bytes) -> bytes:
        self._sequence += 1
        size = _HEADER.size + len(body)
        return _HEADER.pack(size, kind, _REQUEST | flags, self._sequence, 0) + body

    def _receive(self) -> bytes:
        return self._socket.recv(_RECV)


def messages(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Give kind, sequence and body of each message in what was received."""
    position = 0
    while position + _HEADER.size <= len(data):
        size, kind, _flags, sequence, _pid = _HEADER.unpack_from(data, position)
        if size < _HEADER.size:
            return
        yield kind, sequence, data[position + _HEADER.size : position + size]
        position += (size + 3) & ~3


def _attribute(kind: int, value: bytes) -> bytes:
    size = _ATTRIBUTE.size + len(value)
    return _ATTRIBUTE.pack(size, kind) + value + bytes(-size % 4)


def attributes(body: bytes, position: int) -> dict[int, bytes]:
    """Read the attributes that follow in a message from `position` on, by their kind."""
    found: dict[int, bytes] = {}
    while position + _ATTRIBUTE.size <= len(body):
        size, kind = _ATTRIBUTE.unpack_from(body, position)
        if size < _ATTRIBUTE.size:
            break
        found[kind & _TYPE_MASK] = body[position + _ATTRIBUTE.size : position + size]
        position += (size + 3) & ~3
    return found


def _text(value: bytes) -> str:
    return value.rstrip(b"\0").decode("utf-8", "replace")


def interface_of(body: bytes) -> Interface:
    """Read the body of a message about an interface."""
    _family, _kind, index, flags, _change = _LINK.unpack_from(body)
    found = attributes(body, _LINK.size)
    return Interface(
        index=index,
        name=_text(found[_IFLA_IFNAME]),
        mac=found.get(_IFLA_ADDRESS, b""),
        up=bool(flags & 0x1),
        running=bool(flags & 0x10000),
    )


_MAKE: dict[int, Callable[[bytes], Address]] = {
    socket.AF_INET: IPv4Address,
    socket.AF_INET6: IPv6Address,
}
_FAMILY = {4: socket.AF_INET, 6: socket.AF_INET6}


def gateway_of(body: bytes) -> tuple[Address, int] | None:
    """Read gateway and interface of a message about a route; None where it leads to none."""
    family = body[0]
    found = attributes(body, _ROUTE.size)
    raw, index = found.get(_RTA_GATEWAY), found.get(_RTA_OIF)
    if raw is None and (via := found.get(_RTA_VIA)) is not None:  # one of the other family
        family, raw = struct.unpack_from("=H", via)[0], via[2:]
    if raw is None or index is None or family not in _MAKE:
        return None
    return _MAKE[family](raw), _NUMBER.unpack(index)[0]


def held_of(body: bytes) -> Held | None:
    """Read the body of a message about an address; None where it is of another family."""
    family, prefix, _flags, _scope, index = _ADDRESS.unpack_from(body)
    found = attributes(body, _ADDRESS.size)
    raw = found.get(_IFA_LOCAL, found.get(_IFA_ADDRESS))
    if family not in _MAKE or raw is None:
        return None
    label = found.get(_IFA_LABEL)
    return Held(_MAKE[family](raw), prefix, index, None if label is None else _text(label))


def _address_body(item: Held, kind: int) -> bytes:
    raw = item.address.packed
    if item.address.version == 4:  # noqa: PLR2004 - the version of IP
        body = _ADDRESS.pack(socket.AF_INET, item.prefix, 0, 0, item.index)
        body += _attribute(_IFA_LOCAL, raw) + _attribute(_IFA_ADDRESS, raw)
        if item.label and kind == _NEWADDR:
            body += _attribute(_IFA_LABEL, item.label.encode() + b"\0")
        return body
    body = _ADDRESS.pack(socket.AF_INET6, item.prefix, _NODAD, 0, item.index)
    body += _attribute(_IFA_LOCAL, raw)
    if kind == _NEWADDR:
        body += _attribute(_IFA_CACHEINFO, _CACHE.pack(0, _FOREVER, 0, 0))
    return body
