# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tells the neighbours which card an address is at now: gratuitous ARP, and for IPv6 the same.

The frames are pure functions; `Announcer` sends them in rounds with growing gaps, a bounded
number at a time, so that heartbeats never wait behind many addresses.
"""

from __future__ import annotations

import errno
import socket
import struct
from collections import deque
from collections.abc import Collection, Iterable
from ipaddress import IPv4Address, IPv6Address

from .rtnetlink import Address, Interface

ROUNDS = (0.0, 0.1, 0.5, 1.0, 2.0, 5.0)
"""Seconds from the takeover to each round. The first is what counts; the others are for those
whose copy was lost or whose switch port was not ready."""
REFRESH = 60.0
"""Seconds between two rounds after these, for as long as the addresses are here: a switch forgets
what it has not heard for minutes, and a neighbour may have believed somebody else meanwhile."""

AT_ONCE = 64
"""Frames sent before heartbeats are looked at again."""

_BROADCAST = b"\xff" * 6
_ETHERTYPE_ARP, _ETHERTYPE_IPV6 = 0x0806, 0x86DD
_MAC_SIZE = 6
_ALL_NODES = IPv6Address("ff02::1")
_ALL_NODES_MAC = b"\x33\x33\x00\x00\x00\x01"
_OVERRIDE = 0x20000000
_ICMPV6 = 58
_ADVERTISEMENT = 136


def gratuitous_arp(mac: bytes, address: IPv4Address) -> tuple[bytes, bytes]:
    """Give the request and the reply that announce `address` at `mac` (RFC 5227, section 3).

    Both, since some listen to one kind only.
    """
    return _arp(1, mac, address, bytes(6), _BROADCAST), arp_reply(mac, address)


def arp_reply(mac: bytes, address: IPv4Address, to: bytes = _BROADCAST) -> bytes:
    """Give the reply that says `address` is at `mac`; `to`: the card it is sent to."""
    return _arp(2, mac, address, mac, to)


def _arp(operation: int, mac: bytes, address: IPv4Address, target: bytes, to: bytes) -> bytes:
    body = struct.pack("!HHBBH", 1, 0x0800, 6, 4, operation)
    body += mac + address.packed + target + address.packed
    frame = to + mac + struct.pack("!H", _ETHERTYPE_ARP) + body
    return frame.ljust(60, b"\0")  # the least that Ethernet carries


def unsolicited_advertisement(
    mac: bytes, address: IPv6Address, router: bool = True, to: bytes = _ALL_NODES_MAC
) -> bytes:
    """Give the neighbour advertisement that announces `address` at `mac` (RFC 4861, 7.2.6)."""
    flags = _OVERRIDE | (0x80000000 if router else 0)
    body = struct.pack("!BBHI", _ADVERTISEMENT, 0, 0, flags) + address.packed
    body += struct.pack("!BB", 2, 1) + mac
    pseudo = address.packed + _ALL_NODES.packed + struct.pack("!II", len(body), _ICMPV6)
    body = body[:2] + struct.pack("!H", _checksum(pseudo + body)) + body[4:]
    head = struct.pack("!IHBB", 6 << 28, len(body), _ICMPV6, 255)
    return (
        to
        + mac
        + struct.pack("!H", _ETHERTYPE_IPV6)
        + head
        + address.packed
        + _ALL_NODES.packed
        + body
    )


def frames_for(address: Address, mac: bytes) -> tuple[bytes, ...]:
    """Give the frames that announce any address; none on a link without such addresses."""
    if len(mac) != _MAC_SIZE or not any(mac):
        return ()
    if isinstance(address, IPv4Address):
        return gratuitous_arp(mac, address)
    return (unsolicited_advertisement(mac, address),)


class Announcer:
    """Sends announcements in rounds. Opened once; `close` when done. Times in seconds."""

    def __init__(self) -> None:
        # Protocol 0: this socket receives nothing.
        self._socket = socket.socket(
            socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK, 0
        )
        self._frames: dict[Address, list[tuple[str, bytes]]] = {}
        self._rounds: list[tuple[float, frozenset[Address]]] = []
        """When which addresses are due, the next first."""
        self._refresh_at = 0.0
        self._queue: deque[tuple[str, bytes]] = deque()

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def begin(
        self,
        devices: Iterable[tuple[Address, Interface]],
        now: float,
        only: Collection[Address] | None = None,
    ) -> None:
        """Announce these addresses from now on, instead of what was announced before.

        only: those that are new to the neighbours; the others go on as they were.
        """
        frames: dict[Address, list[tuple[str, bytes]]] = {}
        for address, interface in devices:
            made = [(interface.name, frame) for frame in frames_for(address, interface.mac)]
            frames.setdefault(address, []).extend(made)
        if only is None or not self._frames:
            self._rounds = []
            self._queue.clear()
            self._refresh_at = now + REFRESH
        self._frames = frames
        fresh = frozenset(frames if only is None else only)
        self._rounds = sorted(
            [*self._rounds, *((now + gap, fresh) for gap in ROUNDS if fresh)],
            key=lambda due: due[0],
        )

    def cancel(self) -> None:
        """Announce nothing more: the addresses are no longer here."""
        self._frames, self._rounds = {}, []
        self._queue.clear()

    def next_at(self) -> float | None:
        """When `step` has something to do; a time that is past means at once."""
        if self._queue:
            return 0.0
        if not self._frames:
            return None
        return min(self._refresh_at, self._rounds[0][0]) if self._rounds else self._refresh_at

    def step(self, now: float) -> str | None:
        """Send what is due, a bounded number; gives a sentence where sending failed."""
        if not self._queue and self._rounds and now >= self._rounds[0][0]:
            self._enqueue(self._rounds.pop(0)[1])
        elif not self._queue and self._frames and now >= self._refresh_at:
            self._refresh_at = now + REFRESH
            self._enqueue(self._frames)
        for _unused in range(min(AT_ONCE, len(self._queue))):
            name, frame = self._queue.popleft()
            try:
                self._socket.sendto(frame, (name, 0))
            except BlockingIOError:
                self._queue.appendleft((name, frame))
                return None
            except OSError as error:
                if error.errno in (errno.ENETDOWN, errno.ENXIO):
                    # Without a link nobody hears it; it is announced again when that is back.
                    continue
                # The next round tries again.
                self._queue.clear()
                return f"announcements on {name} could not be sent: {error.strerror}"
        return None

    def _enqueue(self, due: Collection[Address]) -> None:
        for address, frames in self._frames.items():
            if address in due:
                self._queue.extend(frames)


def _checksum(data: bytes) -> int:
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
