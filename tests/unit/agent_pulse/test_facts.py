# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""What routers tell each other of themselves, as bytes."""

from __future__ import annotations

import random

from piranha.pulse.engine import Deed, Engine
from piranha.pulse.facts import Facts
from piranha.pulse.machine import State, Timing
from piranha.pulse.wire import MAX_BODY, Key, Role


def test_there_and_back() -> None:
    facts = Facts("1.2.3", 7, 9, 123456, wants=True, takes=200, conceded=3)
    assert Facts.decode(facts.encode()) == facts
    assert Facts.decode(facts.encode() + b"what later versions add") == facts


def test_too_large_is_the_largest() -> None:
    facts = Facts("x" * 300, 1 << 20, 1 << 20, 1 << 40, takes=65537)
    told = Facts.decode(facts.encode())
    assert told == Facts("x" * 64, 65535, 65535, (1 << 32) - 1, takes=1)
    assert len(facts.encode()) < MAX_BODY


def test_anything_else_is_none_or_harmless() -> None:
    noise = random.Random(3)
    for length in range(80):
        told = Facts.decode(noise.randbytes(length))
        assert told is None or told.version.isprintable()
    assert Facts.decode(Facts("1.0").encode()[:-1]) == Facts("1.0", conceded=None), "one of before"
    assert Facts.decode(Facts("1.0").encode()[:-2]) is None


def test_who_is_sure_again_of_its_addresses_says_that_it_has_announced_them() -> None:
    """Else a partner that took them meanwhile would stay, unheard by the neighbours."""
    key, timing = Key(bytes(32), bytes(4)), Timing(Role.BACKUP, True, 0.5, 1.5)
    engine = Engine((key,), timing, bytes(8), lambda: bytes(16), 0.0)
    engine.start(0.0, holding=True)
    engine.woke(10.0)
    assert engine.machine.state is State.DOUBT
    before = engine.facts.takes
    effects = engine.tick(20.0)
    assert engine.machine.state is State.ACTIVE
    assert [one.deed for one in effects if one.deed is not Deed.LOG][:2] == [
        Deed.ANNOUNCE,
        Deed.SEND,
    ]
    assert engine.facts.takes == before + 1
