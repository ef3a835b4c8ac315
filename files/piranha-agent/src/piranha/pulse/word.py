# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""What two routers with `service = fos` tell each other about their services. Pure.

The word rides in the body of each heartbeat (Kind.SERVICES), so it is authenticated and as fresh
as that. The heart carries it and acts on none of it; fos (fos/board.py) does.

Layout: the word of the main group (1 byte); where there are groups with names, their number (1),
then for each of all groups: its id (8), its state as in a heartbeat's head (1), its word (1). Then
how often the router conceded the addresses (machine.py): of the main group (1), then of each of all
groups (1), in the same order. A partner that knows no groups reads the first byte, and takes the
head's state for all services; agents from before do not tell what was conceded, nor read it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
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
    """A body that was read. word: of the main group. groups: state and word by the group's id.

    conceded: how often the addresses of a group were conceded, by its id; the main one's is b"".
    """

    word: Word
    groups: Mapping[bytes, tuple[PeerState, Word]] = {}
    conceded: Mapping[bytes, int] = {}


def group_id(name: str) -> bytes:
    """Give what a group is called on the wire."""
    return hashlib.sha256(name.encode()).digest()[:_ID]


def encode(
    word: Word,
    groups: Mapping[str, tuple[PeerState, Word]] | None = None,
    conceded: Sequence[int] = (0,),
) -> bytes:
    """Give the body of a heartbeat. groups: all of them, where any has a name.

    conceded: of the main group, then of each of `groups`.
    """
    groups = groups or {}
    body = bytes([_byte(word), len(groups)])
    for name, (state, said) in groups.items():
        body += group_id(name) + bytes([state, _byte(said)])
    return body + bytes(conceded)


def decode(kind: Kind, body: bytes) -> News | None:
    """Read a heartbeat's body; None where it says nothing of services."""
    if kind is not Kind.SERVICES or not body:
        return None
    groups: dict[bytes, tuple[PeerState, Word]] = {}
    end = 2 + _ENTRY * (body[1] if len(body) > 1 else 0)
    for start in range(2, end, _ENTRY):
        entry = body[start : start + _ENTRY]
        try:
            groups[entry[:_ID]] = (PeerState(entry[_ID]), _word(entry[_ID + 1]))
        except (IndexError, ValueError):
            return None  # made with our key, so by a later version: not ours to guess
    return News(_word(body[0]), groups, dict(zip((b"", *groups), body[end:], strict=False)))


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
