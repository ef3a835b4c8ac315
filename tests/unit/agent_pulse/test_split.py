# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""The end of a split: whoever keeps the addresses knows that the partner had them, in any order.

The one that lets go may do so before the other one hears that it had them. Then there is no
contest, and only what it says afterwards tells that commands are to run once more.
"""

from __future__ import annotations

import random

import pytest
from piranha.pulse.engine import Deed, Effect, Engine
from piranha.pulse.machine import Machine, State, Timing
from piranha.pulse.wire import Key, PeerState, Role
from piranha.pulse.word import Word

KEY = Key.of(bytes(range(32)))
ALIVE, DEAD = 0.5, 1.5
FORMS = {"lvs": (), "fos": ("",), "groups": ("", "db")}


class Pair:
    """Two engines of which the backup is active; what each says waits in `said` until brought."""

    def __init__(self, form: str) -> None:
        self.form, self.now = form, 0.0
        self.noise = random.Random(1)
        self.said: dict[Role, list[bytes]] = {role: [] for role in Role}
        self.deeds: dict[Role, list[Deed]] = {role: [] for role in Role}
        self.engines: dict[Role, Engine] = {}
        for role in Role:
            self.start(role, role is Role.BACKUP)
        self.turn(10.0)

    def start(self, role: Role, holding: bool) -> None:
        """Begin a heart."""
        timing = Timing(role, True, ALIVE, DEAD)
        session = self.noise.randbytes
        groups = FORMS[self.form]
        engine = Engine((KEY,), timing, bytes(8), lambda: session(16), self.now, groups)
        for member in engine.members if groups else ():
            member.word = Word(running=False)
        self.engines[role] = engine
        self.carry(role, engine.start(self.now, holding))

    def carry(self, role: Role, effects: list[Effect]) -> None:
        self.deeds[role] += [effect.deed for effect in effects]
        self.said[role] += [effect.data for effect in effects if effect.deed is Deed.SEND]

    def bring(self, role: Role) -> None:
        """Bring what a router has said, in order."""
        data, self.said[role] = self.said[role], []
        for one in data:
            other = role.other
            self.carry(other, self.engines[other].received(one, self.now))

    def turn(self, seconds: float, cut: bool = False) -> None:
        """Let time pass."""
        end = self.now + seconds
        while self.now < end:
            self.now += 0.05
            for role, engine in self.engines.items():
                self.carry(role, engine.woke(self.now) + engine.tick(self.now))
            for role in Role:
                if cut:
                    self.said[role].clear()
                self.bring(role)

    def wins(self, role: Role) -> list[int]:
        return [member.machine.wins for member in self.engines[role].members]

    @property
    def states(self) -> list[State]:
        return [self.engines[role].machine.state for role in Role]


def split(form: str) -> Pair:
    """A pair in which the primary has taken over since it hears nothing."""
    pair = Pair(form)
    assert pair.states == [State.STANDBY, State.ACTIVE]
    pair.turn(2 * DEAD, cut=True)
    assert pair.states == [State.ACTIVE, State.ACTIVE]
    assert pair.wins(Role.PRIMARY) == [0] * len(pair.wins(Role.PRIMARY))
    return pair


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("first", list(Role))
def test_the_winner_knows_of_it_whoever_is_heard_first(form: str, first: Role) -> None:
    pair = split(form)
    pair.now += ALIVE
    for role in (first, first.other):
        engine = pair.engines[role]
        pair.carry(role, engine.woke(pair.now) + engine.tick(pair.now))
        if role is first:
            pair.deeds[first.other].clear()
            pair.bring(first)
    pair.deeds[Role.PRIMARY].clear()
    pair.turn(3 * DEAD)
    assert pair.states == [State.ACTIVE, State.STANDBY]
    assert Deed.ANNOUNCE in pair.deeds[Role.PRIMARY]
    assert pair.wins(Role.PRIMARY) == [1] * len(pair.wins(Role.PRIMARY)), "once, for each group"
    assert set(pair.wins(Role.BACKUP)) == {0}


@pytest.mark.parametrize("form", FORMS)
def test_a_partner_that_was_away_and_had_nothing_is_no_reason(form: str) -> None:
    pair = split(form)
    pair.turn(3 * DEAD)
    assert pair.wins(Role.PRIMARY)[0] == 1
    pair.start(Role.BACKUP, holding=False)
    pair.turn(3 * DEAD)
    assert pair.wins(Role.PRIMARY)[0] == 1, "it was only started again"
    del pair.engines[Role.BACKUP]
    pair.turn(2 * DEAD, cut=True)
    pair.start(Role.BACKUP, holding=False)
    pair.turn(3 * DEAD)
    assert pair.wins(Role.PRIMARY)[0] == 1
    pair.turn(2 * DEAD, cut=True)
    pair.turn(3 * DEAD)
    assert pair.wins(Role.PRIMARY)[0] == 2, "another split is another reason"


@pytest.mark.parametrize("form", FORMS)
def test_a_heart_that_was_started_again_meanwhile_knows_of_it_too(form: str) -> None:
    pair = split(form)
    pair.engines[Role.BACKUP].machine.heard(PeerState.ACTIVE, pair.now)  # and its answer is lost
    assert pair.states[1] is State.STANDBY
    pair.start(Role.PRIMARY, holding=True)
    pair.turn(3 * DEAD)
    assert pair.states == [State.ACTIVE, State.STANDBY]
    assert pair.wins(Role.PRIMARY)[0] == 1


def test_a_loser_that_could_not_let_go_at_once_says_so_when_it_has() -> None:
    """Until then the neighbours may still ask it."""
    loser = Machine(Timing(Role.BACKUP, True, ALIVE, DEAD), 0.0)
    loser.start(0.0, holding=True)
    loser.heard(PeerState.ACTIVE, 1.0)
    loser.stuck(1.0)
    assert loser.conceded == 1
    loser.heard(PeerState.ACTIVE, 1.1)
    loser.freed(1.2)
    assert loser.conceded == 2
    winner = Machine(Timing(Role.PRIMARY, True, ALIVE, DEAD), 0.0)
    winner.start(0.0, holding=True)
    winner.heard(PeerState.DOUBT, 1.0, conceded=1)
    winner.heard(PeerState.STANDBY, 1.2, conceded=2)
    assert winner.wins == 2


def test_the_count_goes_round_and_is_never_none_again() -> None:
    """0 says that nothing was conceded since the heart began."""
    made = Machine(Timing(Role.BACKUP, True, ALIVE, DEAD), 0.0)
    made.start(0.0, holding=False)
    seen = set()
    for turn in range(600):
        now = 10.0 * turn
        made.heard(PeerState.LEAVING, now)
        made.heard(PeerState.ACTIVE, now + 0.1)
        assert made.conceded not in (0, *seen) or turn >= 255
        seen.add(made.conceded)
    assert seen == set(range(1, 256))


def test_another_heart_s_first_concession_is_not_taken_for_the_one_before() -> None:
    """What it said in between may have been lost, where one direction was cut."""
    winner = Machine(Timing(Role.PRIMARY, True, ALIVE, DEAD), 0.0)
    winner.start(0.0, holding=True)
    for number, mark in enumerate((7, 200), 1):
        loser = Machine(Timing(Role.BACKUP, True, ALIVE, DEAD), 0.0, mark)
        loser.start(0.0, holding=True)
        loser.heard(PeerState.ACTIVE, 1.0)
        winner.heard(PeerState.STANDBY, 1.0 + number, conceded=loser.conceded)
        assert winner.wins == number


def test_what_moves_in_order_concedes_nothing() -> None:
    made = Machine(Timing(Role.PRIMARY, True, ALIVE, DEAD), 0.0)
    made.start(0.0, holding=True)
    made.heard(PeerState.STANDBY, 0.1)
    made.switch(0.2)
    made.heard(PeerState.ACTIVE, 0.3)
    assert (made.state, made.conceded, made.wins) == (State.STANDBY, 0, 0)
