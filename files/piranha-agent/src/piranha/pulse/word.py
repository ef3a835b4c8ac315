# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""What two routers with `service = fos` tell each other about their services. Pure.

The word rides in the body of each heartbeat (Kind.SERVICES), so it is authenticated and as fresh
as that. The heart carries it and acts on none of it; fos (fos/board.py) does.

Layout: the word of the main group (1 byte); where there are groups with names, their number (1),
then for each of all groups: its id (8), its state as in a heartbeat's head (1), its word (1). A
partner that knows no groups reads the first byte, and takes the head's state for all services.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, NamedTuple

from .wire import Kind, PeerState


class Word(NamedTuple):
    """The news of one router about one group of services.

    running: a service runs or may run here, so that nobody else may start it.
    mending: a service here is being started again on the spot: no reason yet to take it over.
    weak: services failed here lately; whoever has them is not to hand them over.
    asks: this router, a standby, finds the partner's services out of order and would take them.
    """

    running: bool = True
    mending: bool = False
    weak: bool = False
    asks: bool = False


UNSURE = Word()
"""What a router says before its fos has looked: something may run here."""

_BITS = {name: 1 << place for place, name in enumerate(Word._fields)}
_ID = 8
_ENTRY = _ID + 2


class News(NamedTuple):
    """A body that was read. word: of the main group. groups: state and word by the group's id."""

    word: Word
    groups: Mapping[bytes, tuple[PeerState, Word]] = {}


def group_id(name: str) -> bytes:
    """Give what a group is called on the wire."""
    return hashlib.sha256(name.encode()).digest()[:_ID]


def encode(word: Word, groups: Mapping[str, tuple[PeerState, Word]] | None = None) -> bytes:
    """Give the body of a heartbeat. groups: all of them, where any has a name."""
    body = bytes([_byte(word)])
    if groups:
        body += bytes([len(groups)])
        for name, (state, said) in groups.items():
            body += group_id(name) + bytes([state, _byte(said)])
    return body


def decode(kind: Kind, body: bytes) -> News | None:
    """Read a heartbeat's body; None where it says nothing of services."""
    if kind is not Kind.SERVICES or not body:
        return None
    groups: dict[bytes, tuple[PeerState, Word]] = {}
    for start in range(2, 2 + _ENTRY * (body[1] if len(body) > 1 else 0), _ENTRY):
        entry = body[start : start + _ENTRY]
        try:
            groups[entry[:_ID]] = (PeerState(entry[_ID]), _word(entry[_ID + 1]))
        except (IndexError, ValueError):
            return None  # made with our key, so by a later version: not ours to guess
    return News(_word(body[0]), groups)


def from_json(data: object) -> Word | None:
    """Read what `_asdict` gives; None where it is nothing of the kind."""
    if not isinstance(data, dict) or not all(isinstance(data.get(n), bool) for n in Word._fields):
        return None
    return Word(**{name: data[name] for name in Word._fields})


def to_json(word: Word | None) -> dict[str, Any] | None:
    """Give what `from_json` reads."""
    return None if word is None else word._asdict()


def _byte(word: Word) -> int:
    return sum(bit for name, bit in _BITS.items() if getattr(word, name))


def _word(byte: int) -> Word:
    return Word(**{name: bool(byte & bit) for name, bit in _BITS.items()})
