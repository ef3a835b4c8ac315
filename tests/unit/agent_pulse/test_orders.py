# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""What moves the addresses beside silence: operators, health, preempt; and what keeps them back."""

from __future__ import annotations

from dataclasses import replace

import pytest
from piranha.pulse import counting
from piranha.pulse.engine import Deed, Effect, Engine
from piranha.pulse.machine import Input, Machine, State, Timing
from piranha.pulse.wire import Key, PeerState, Role

KEY = Key.of(bytes(range(32)))
TIMING = Timing(Role.PRIMARY, True, 0.5, 1.5)


class Pair:
    """Two engines whose datagrams arrive at once."""

    def __init__(self, active: Role = Role.PRIMARY, **changes: object) -> None:
        self.now = 1000.0
        self.deeds: dict[Role, list[Deed]] = {role: [] for role in Role}
        count = iter(range(1, 1000))
        self.engines = {
            role: Engine(
                (KEY,),
                replace(TIMING, role=role, **changes),  # type: ignore[arg-type]
                bytes(8),
                lambda: next(count).to_bytes(16, "big"),
                self.now,
            )
            for role in Role
        }
        self.stuck: set[Role] = set()
        started = {
            role: engine.start(self.now, role is active) for role, engine in self.engines.items()
        }
        for role in (active, active.other):
            self.carry(role, started[role])
        self.run(3.0)

    def carry(self, role: Role, effects: list[Effect]) -> None:
        for effect in effects:
            self.deeds[role].append(effect.deed)
            engine = self.engines[role]
            match effect.deed:
                case Deed.SEND:
                    self.send(role, effect.data)
                case Deed.GOODBYE:
                    self.send(role, engine.goodbye(self.now))
                case Deed.RENEW:
                    self.carry(role, engine.renew(self.now))
                case Deed.RELEASE if role in self.stuck:
                    self.carry(role, engine.stuck(self.now))
                    break
                case Deed.RELEASE:
                    self.carry(role, engine.freed(self.now))

    def send(self, role: Role, data: bytes) -> None:
        partner = self.engines[role.other]
        self.carry(role.other, partner.received(data, self.now))

    def run(self, seconds: float) -> None:
        end = self.now + seconds
        while self.now < end:
            self.now += 0.05
            for role, engine in self.engines.items():
                self.carry(role, engine.woke(self.now) + engine.tick(self.now))

    def states(self) -> tuple[State, State]:
        primary, backup = (self.engines[role].machine.state for role in Role)
        return primary, backup


def test_a_switchover_moves_the_addresses_and_leaves_a_standby() -> None:
    pair = Pair()
    assert pair.states() == (State.ACTIVE, State.STANDBY)
    refusal, effects = pair.engines[Role.PRIMARY].switch(pair.now)
    assert refusal is None
    deeds = [effect.deed for effect in effects if effect.deed is not Deed.LOG]
    assert deeds[:3] == [Deed.HAND_OVER, Deed.RELEASE, Deed.HAND_OVER]
    assert deeds[3] is Deed.GOODBYE
    assert deeds[-1] is Deed.RENEW
    pair.carry(Role.PRIMARY, effects)
    assert pair.states() == (State.STANDBY, State.ACTIVE)
    pair.run(20)
    assert pair.states() == (State.STANDBY, State.ACTIVE), "and nobody takes them back"


def test_a_switchover_is_refused_in_a_sentence_where_nobody_could_take_over() -> None:
    pair = Pair()
    refusal, effects = pair.engines[Role.BACKUP].switch(pair.now)
    assert refusal == "this router is standby; ask the active one to switch over"
    assert effects == []
    made = Machine(TIMING, 0.0)
    made.start(0.0, True)
    assert "the partner is not heard" in (made.hindrance() or "")
    made.heard(PeerState.FAULT, 0.1)
    assert "the partner is fault" in (made.hindrance() or "")


def test_addresses_that_nobody_takes_are_taken_back() -> None:
    made = Machine(TIMING, 0.0)
    made.start(0.0, True)
    made.heard(PeerState.STANDBY, 0.1)
    made.switch(0.2)
    assert made.state is State.YIELDED
    for now in (0.7, 1.2, 1.6):
        made.woke(now)
        made.heard(PeerState.STANDBY, now)
        made.tick(now)
    assert made.state is State.YIELDED
    made.woke(1.75)
    steps = made.tick(1.75)
    assert [step.why for step in steps if step.after is State.ACTIVE] == [Input.UNTAKEN]


def test_what_cannot_be_removed_is_not_given_away() -> None:
    pair = Pair()
    pair.stuck.add(Role.PRIMARY)
    _unused, effects = pair.engines[Role.PRIMARY].switch(pair.now)
    pair.carry(Role.PRIMARY, effects)
    assert pair.states() == (State.ACTIVE, State.STANDBY)
    assert Deed.GOODBYE not in pair.deeds[Role.PRIMARY]


def test_a_loser_that_cannot_let_go_says_so_and_tries_again() -> None:
    pair = Pair()
    backup = pair.engines[Role.BACKUP]
    pair.stuck.add(Role.BACKUP)
    taken = backup.machine._silent(pair.now)  # it believes the primary dead, wrongly
    pair.carry(Role.BACKUP, backup._carry(taken, pair.now))
    pair.run(1.0)
    assert pair.states() == (State.ACTIVE, State.STUCK), "it gave way, but keeps them"
    assert pair.engines[Role.PRIMARY].machine.partner is PeerState.DOUBT
    pair.stuck.clear()
    pair.run(1.5)
    assert pair.states() == (State.ACTIVE, State.STANDBY)


def test_the_primary_takes_back_what_it_wants_when_its_table_is_back() -> None:
    pair = Pair(active=Role.BACKUP, preempt=True, preempt_delay=5.0)
    primary, backup = (pair.engines[role] for role in Role)
    backup.tell(able=3, of=3, connections=1000)
    primary.tell(able=3, of=3, connections=940)
    pair.run(10)
    assert pair.states() == (State.STANDBY, State.ACTIVE), "its table is not back"
    primary.tell(connections=950)
    pair.run(1)
    assert pair.states() == (State.ACTIVE, State.STANDBY)
    assert Deed.HAND_OVER in pair.deeds[Role.BACKUP]


@pytest.mark.parametrize(("preempt", "delay"), [(False, 0.0), (True, 60.0)])
def test_without_preempt_or_before_its_delay_nothing_moves(preempt: bool, delay: float) -> None:
    pair = Pair(active=Role.BACKUP, preempt=preempt, preempt_delay=delay)
    pair.run(30)
    assert pair.states() == (State.STANDBY, State.ACTIVE)


def test_a_primary_that_could_serve_less_does_not_ask() -> None:
    pair = Pair(active=Role.BACKUP, preempt=True)
    pair.run(1)
    assert pair.states() == (State.ACTIVE, State.STANDBY)
    pair = Pair(active=Role.BACKUP, preempt=True, preempt_delay=5.0)
    pair.engines[Role.BACKUP].tell(able=3, of=3)
    pair.engines[Role.PRIMARY].tell(able=2, of=3)
    pair.run(30)
    assert pair.states() == (State.STANDBY, State.ACTIVE)


def test_worse_health_moves_the_addresses_once_it_lasts() -> None:
    pair = Pair(on_health=True, health_delay=5.0)
    primary, backup = (pair.engines[role] for role in Role)
    for engine in (primary, backup):
        engine.tell(able=3, of=3)
    pair.run(1)
    primary.tell(able=2)
    pair.run(4)
    primary.tell(able=3)
    pair.run(1)
    primary.tell(able=2)
    pair.run(4.5)
    assert pair.states() == (State.ACTIVE, State.STANDBY), "a short drop moves nothing"
    pair.run(1)
    assert pair.states() == (State.STANDBY, State.ACTIVE)
    primary.tell(able=3)
    pair.run(30)
    assert pair.states() == (State.STANDBY, State.ACTIVE), "equal is not better"


def test_health_moves_nothing_unless_asked() -> None:
    pair = Pair()
    pair.engines[Role.BACKUP].tell(able=3, of=3)
    pair.engines[Role.PRIMARY].tell(able=0, of=3)
    pair.run(30)
    assert pair.states() == (State.ACTIVE, State.STANDBY)


def test_who_hears_neither_partner_nor_witness_waits() -> None:
    made = Machine(replace(TIMING, witness=True), 0.0)
    made.start(0.0, False)
    made.heard(PeerState.ACTIVE, 0.1)
    now = 0.1
    while now < 20:
        now += 0.1
        made.woke(now)
        made.tick(now)
    assert made.state is State.STANDBY
    made.witnessed(now)
    while now < 20.7:
        now += 0.1
        made.woke(now)
        made.witnessed(now)
        made.tick(now)
    assert made.state is State.ACTIVE, "it was the partner"


def test_connections_are_counted_from_the_kernels_text() -> None:
    text = b"""IP Virtual Server version 1.2.1 (size=4096)
Prot LocalAddress:Port Scheduler Flags
  -> RemoteAddress:Port Forward Weight ActiveConn InActConn
TCP  C0000264:0050 wlc
  -> C6336433:0050      Masq    1      7          5
  -> C6336434:0050      Masq    1      0          30
FWM  00000001 rr
  -> [2001:0db8:0000:0000:0000:0000:0000:0033]:0050      Route   1      1          0
"""
    assert counting.counted(text) == 43
    assert counting.counted(b"") == 0


RARE = (
    (Role.PRIMARY, State.DOUBT, Input.PEER_GONE, State.ACTIVE),
    (Role.BACKUP, State.DOUBT, Input.PEER_GONE, State.ACTIVE),
    (Role.BACKUP, State.DOUBT, Input.ALONE, State.STANDBY),
    (Role.BACKUP, State.DOUBT, Input.FAILED, State.FAULT),
    (Role.BACKUP, State.DOUBT, Input.PEER_FAULT, State.ACTIVE),
    (Role.BACKUP, State.DOUBT, Input.UNLINKED, State.FAULT),
    (Role.PRIMARY, State.DOUBT, Input.PAUSED, State.DOUBT),
    (Role.BACKUP, State.DOUBT, Input.PAUSED, State.DOUBT),
    (Role.PRIMARY, State.CONTESTED, Input.CUT_OFF, State.ACTIVE),
    (Role.PRIMARY, State.CONTESTED, Input.PAUSED, State.DOUBT),
    (Role.BACKUP, State.STUCK, Input.PAUSED, State.STUCK),
    (Role.BACKUP, State.STUCK, Input.STOP, State.STOPPED),
    (Role.BACKUP, State.ACTIVE, Input.WORSE, State.YIELDED),
)
"""What few schedules of the simulation meet: two rare things within one round trip."""


@pytest.mark.parametrize(("role", "state", "why", "after"), RARE)
def test_what_the_simulation_seldom_meets(
    role: Role, state: State, why: Input, after: State
) -> None:
    made = Machine(replace(TIMING, role=role), 0.0)
    made.start(0.0, True)
    made._enter(state, 1.0)
    steps = made._feed(why, 1.1)
    assert [step.why for step in steps] == [why]
    assert made.state is after
