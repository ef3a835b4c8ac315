# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""What routers tell each other of themselves, as bytes."""

from __future__ import annotations

import random

from piranha.pulse.facts import Facts
from piranha.pulse.wire import MAX_BODY


def test_there_and_back() -> None:
    facts = Facts("1.2.3", 7, 9, 123456, wants=True, takes=200)
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
    assert Facts.decode(Facts("1.0").encode()[:-1]) is None
