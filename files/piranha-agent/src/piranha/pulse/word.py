# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""What two routers with `service = fos` tell each other about their services. Pure.

The word rides in the body of each heartbeat (Kind.SERVICES), so it is authenticated and as fresh
as that. The heart carries it and acts on none of it; fos (fos/board.py) does.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from .wire import Kind


class Word(NamedTuple):
    """The news of one router.

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


def encode(word: Word) -> bytes:
    """Give the body of a heartbeat: one byte, so far."""
    return bytes([sum(bit for name, bit in _BITS.items() if getattr(word, name))])


def decode(kind: Kind, body: bytes) -> Word | None:
    """Read a heartbeat's body; None where it says nothing of services."""
    if kind is not Kind.SERVICES or not body:
        return None
    return Word(**{name: bool(body[0] & bit) for name, bit in _BITS.items()})


def from_json(data: object) -> Word | None:
    """Read what `_asdict` gives; None where it is nothing of the kind."""
    if not isinstance(data, dict) or not all(isinstance(data.get(n), bool) for n in Word._fields):
        return None
    return Word(**{name: data[name] for name in Word._fields})


def to_json(word: Word | None) -> dict[str, Any] | None:
    """Give what `from_json` reads."""
    return None if word is None else word._asdict()
