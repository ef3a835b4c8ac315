# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a router tells its partner of itself beside its state, as the body of a heartbeat. Pure.

Layout, in network byte order: flags (1 byte); how often it took the addresses, virtual services
that can be served, and all of them (2 each); connections (4); length of the version (1); the
version in ASCII; how often it conceded the addresses (1, machine.py; agents from before do not say
it). More may follow in later versions and is not looked at; an agent from before there were facts
takes none of it.
"""

from __future__ import annotations

import functools
import struct
from dataclasses import dataclass

_HEAD = struct.Struct("!BHHHIB")
_WANTS = 1
_LONGEST = 64
_SHORT, _LONG = (1 << 16) - 1, (1 << 32) - 1


@dataclass(frozen=True, slots=True)
class Facts:
    """The sender's facts.

    able, of: how many virtual services it could serve, and how many there are.
    connections: entries in its kernel's connection table.
    wants: it asks for the addresses (preempt).
    takes: how often it took the addresses, from a random number on: it tells whether the sender
    had them since it was heard last.
    conceded: how often it let go since its partner had them too; None: it does not say.
    """

    version: str = ""
    able: int = 0
    of: int = 0
    connections: int = 0
    wants: bool = False
    takes: int = 0
    conceded: int | None = 0

    def encode(self) -> bytes:
        """Give the body; what is too large counts as the largest number."""
        version = self.version.encode("ascii", "replace")[:_LONGEST]
        return (
            _HEAD.pack(
                _WANTS if self.wants else 0,
                self.takes & _SHORT,
                min(self.able, _SHORT),
                min(self.of, _SHORT),
                min(self.connections, _LONG),
                len(version),
            )
            + version
            + bytes([self.conceded or 0])
        )

    @classmethod
    @functools.lru_cache(maxsize=8)  # most heartbeats carry the same body as the one before
    def decode(cls, body: bytes) -> Facts | None:
        """Read a body; None where it is none."""
        if len(body) < _HEAD.size:
            return None
        flags, takes, able, of, connections, length = _HEAD.unpack_from(body)
        version = body[_HEAD.size : _HEAD.size + length]
        if len(version) != length or length > _LONGEST:
            return None
        text = version.decode("ascii", "replace")
        if not text.isprintable():
            text = "".join(c for c in text if c.isprintable())
        conceded = next(iter(body[_HEAD.size + length :]), None)
        return cls(text, able, of, connections, bool(flags & _WANTS), takes, conceded)
