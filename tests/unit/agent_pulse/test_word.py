# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""What routers tell each other about failover services, from one engine to the other."""

from __future__ import annotations

import itertools

from piranha.pulse.engine import Deed, Effect, Engine
from piranha.pulse.machine import State, Timing
from piranha.pulse.wire import Key, Kind, Role
from piranha.pulse.word import UNSURE, Word, decode, encode, from_json, to_json

KEY = Key.of(bytes(range(32)))


def test_every_word_goes_over_and_an_unknown_bit_does_no_harm() -> None:
    for bits in itertools.product((False, True), repeat=len(Word._fields)):
        word = Word(*bits)
        assert decode(Kind.SERVICES, encode(word, conceded=(7,))) == (word, {}, {b"": 7})
        assert from_json(to_json(word)) == word
    assert decode(Kind.SERVICES, bytes([encode(UNSURE)[0] | 0x80])) == (UNSURE, {}, {}), "of before"
    assert decode(Kind.SERVICES, b"") is None
    assert decode(Kind.PLAIN, b"\x01") is None
    assert from_json({"running": 1}) is None
    assert from_json(None) is None


def pair() -> tuple[Engine, Engine]:
    """Two engines that have heard each other, at time 10; the primary is active."""
    sessions = iter(range(1, 100))
    engines = tuple(
        Engine(
            (KEY,), Timing(role, True, 0.5, 1.5), bytes(8), lambda: bytes([next(sessions)] * 16), 0
        )
        for role in Role
    )
    waiting: list[tuple[int, bytes]] = []
    for number, engine in enumerate(engines):
        waiting += [(1 - number, data) for data in sent(engine.start(0.0, False))]
    for step in range(1, 101):
        now = step / 10
        for number, engine in enumerate(engines):
            effects = engine.woke(now) + engine.tick(now)
            waiting += [(1 - number, data) for data in sent(effects)]
        while waiting:
            number, data = waiting.pop(0)
            effects = engines[number].received(data, now)
            waiting += [(1 - number, data) for data in sent(effects)]
    primary, backup = engines
    assert (primary.machine.state, backup.machine.state) == (State.ACTIVE, State.STANDBY)
    return primary, backup


def sent(effects: list[Effect]) -> list[bytes]:
    return [effect.data for effect in effects if effect.deed is Deed.SEND]


def test_a_word_is_said_at_once_and_in_every_heartbeat_from_then_on() -> None:
    primary, backup = pair()
    assert backup.members.main.partner_word is None
    word = Word(running=True, mending=True)
    (data,) = sent(primary.say({"": word}, 10.01))
    backup.received(data, 10.01)
    assert backup.members.main.partner_word == word
    assert primary.say({"": word}, 10.02) == [], "nothing new, nothing said"
    primary.say({"": Word(running=False)}, 10.03)
    primary.woke(10.6)
    for data in sent(primary.tick(10.6)):
        backup.received(data, 10.6)
    assert backup.members.main.partner_word == Word(running=False)


def test_a_router_whose_services_fail_gives_the_addresses_to_its_partner_with_the_reason() -> None:
    primary, backup = pair()
    effects = primary.unfit("web failed 3 times", 10.01)
    assert [e.deed for e in effects] == [Deed.LOG, Deed.RELEASE, Deed.SEND]
    assert effects[0].text.startswith("web failed 3 times: this router lets go")
    taken = backup.received(effects[-1].data, 10.01)
    assert [e.deed for e in taken][:3] == [Deed.LOG, Deed.ACQUIRE, Deed.ANNOUNCE]
    assert backup.machine.state is State.ACTIVE
    # The partner answers at once, and this router says why it is in fault.
    primary.received(sent(taken)[0], 10.02)
    assert primary.problems("p", "k", 10.03) == ["web failed 3 times"]
