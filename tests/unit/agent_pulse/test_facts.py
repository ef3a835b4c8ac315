# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""What routers tell each other of themselves, as bytes."""

from __future__ import annotations

import os
import random
from functools import partial
from typing import Any

from piranha import __version__
from piranha.pulse.engine import Deed, Engine
from piranha.pulse.facts import Facts
from piranha.pulse.machine import State, Timing
from piranha.pulse.report import snapshot
from piranha.pulse.wire import MAX_BODY, Key, Role

from .test_heart_settings import settings


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


def test_status_shows_what_the_partner_says_of_itself_until_it_is_silent() -> None:
    """Two engines that hear each other, and what the first one's heart tells pulse."""
    key = Key(bytes(32), bytes(4))
    both = [settings(own=own) for own in ("192.0.2.11", "192.0.2.12")]
    engines = [
        Engine((key,), one.timing, one.digest, partial(os.urandom, 16), 0.0) for one in both
    ]
    said = [engine.start(0.0, holding=False) for engine in engines]
    engines[1].tell(able=7, of=9, connections=55)

    def status(now: float) -> dict[str, Any]:
        found: dict[str, Any] = snapshot(engines[0], both[0], [], "", now)["peer"]
        return found

    assert "version" not in status(0.0)
    for step in range(1, 40):
        now = step * 0.25
        heard = [[one.data for one in effects if one.deed is Deed.SEND] for effects in said]
        for engine in engines:
            engine.woke(now)
        said = [engine.tick(now) for engine in engines]
        for at, engine in enumerate(engines):
            for data in heard[1 - at]:
                said[at] += engine.received(data, now)
    peer = status(10.0)
    assert (peer["version"], peer["able"], peer["of"], peer["connections"], peer["wants"]) == (
        __version__, 7, 9, 55, False,
    )
    engines[0].woke(60.0)
    engines[0].tick(60.0)
    assert status(60.0)["state"] == "down"
    assert "version" not in status(60.0)
