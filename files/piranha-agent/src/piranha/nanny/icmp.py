# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""An echo request and its reply, for IPv4 and IPv6. Pure; what must come back is handed in."""

from __future__ import annotations

import struct

from .conversation import Conversation, Step
from .outcome import Outcome, bad, duration, good

_REQUEST = {4: 8, 6: 128}
_REPLY = {4: 0, 6: 129}
_HEADER = struct.Struct("!BBHHH")


def checksum(packet: bytes) -> int:
    """RFC 1071's sum over 16-bit words."""
    if len(packet) % 2:
        packet += b"\0"
    total: int = sum(struct.unpack(f"!{len(packet) // 2}H", packet))
    total = (total & 0xFFFF) + (total >> 16)
    total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def request(version: int, payload: bytes) -> bytes:
    """Make an echo request. version: 4 or 6; payload: four bytes at least.

    (The kernel fills in the checksum of ICMPv6.)
    """
    number, sequence = struct.unpack_from("!HH", payload)
    kind = _REQUEST[version]
    packet = _HEADER.pack(kind, 0, 0, number, sequence) + payload
    return _HEADER.pack(kind, 0, checksum(packet), number, sequence) + payload


def replied(version: int, packet: bytes) -> bytes | None:
    """Give the payload of an echo reply; None for anything else."""
    if len(packet) < _HEADER.size or packet[0] != _REPLY[version]:
        return None
    return packet[_HEADER.size :]


class Echo(Conversation):
    """One request; only a reply with the same payload counts."""

    limit = 65535

    def __init__(self, version: int, payload: bytes) -> None:
        """`version`: 4 or 6. `payload`: not to be guessed."""
        super().__init__()
        self._version = version
        self._payload = payload

    def begin(self) -> Step:
        """See Conversation."""
        return request(self._version, self._payload)

    def advance(self) -> Step | None:
        """See Conversation."""
        packet, self.data = self.data, b""
        payload = replied(self._version, packet)
        return None if payload is None or payload != self._payload else good("answered")

    def late(self, limit: float) -> Outcome:
        """See Conversation."""
        return bad(f"no echo reply within {duration(limit)}")
