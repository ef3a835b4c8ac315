# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""The takeover machine: its tables are whole, and its times are what they say."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from piranha.pulse.machine import HOLDING, SAID, TABLES, Do, Input, Machine, State, Timing
from piranha.pulse.wire import PeerState, Role

ROOT = Path(__file__).resolve().parents[3]
TIMING = {role: Timing(role, True, 0.5, 1.5) for role in Role}


def machine(role: Role, holding: bool = False, partnered: bool = True) -> Machine:
    made = Machine(Timing(role, partnered, 0.5, 1.5), 100.0)
    made.start(100.0, holding)
    return made


def state(made: Machine) -> State:
    """Read afresh, since the type checker takes the last assertion for lasting."""
    return made.state


def run(made: Machine, start: float, end: float) -> None:
    """Let time pass as the heart does."""
    now = start
    while now < end:
        made.woke(now)
        made.tick(now)
        now = max(made.next_at(), now + 1e-6)


def test_tables_are_whole() -> None:
    for role in Role:
        assert set(TABLES[role]) == set(State)
        for state in State:
            assert set(TABLES[role][state]) == set(Input)
    assert set(SAID) == set(State)


def test_addresses_follow_the_states() -> None:
    """Whoever leaves a holding state releases, whoever enters one acquires, but for adoption."""
    for role in Role:
        for state, row in TABLES[role].items():
            for why, cell in row.items():
                loses = state in HOLDING and cell.state not in HOLDING
                gains = state not in HOLDING and cell.state in HOLDING
                if state is State.STUCK:  # it tries again to let go of what it does not hold
                    assert Do.GOODBYE not in cell.do or cell.do.index(Do.RELEASE) == 0
                else:
                    assert (Do.RELEASE in cell.do) == loses, (role, state, why)
                if gains and why is not Input.ADOPT:
                    assert Do.ACQUIRE in cell.do, (role, state, why)
                if Do.RELEASE in cell.do:
                    before = cell.do[: cell.do.index(Do.RELEASE)]
                    assert set(before) <= {Do.HAND_OVER}, "nothing is said before it is so"


def test_connections_go_before_the_addresses_and_what_began_meanwhile_after_them() -> None:
    for role in Role:
        for state in HOLDING:
            assert TABLES[role][state][Input.STOP].do == (
                Do.HAND_OVER,
                Do.RELEASE,
                Do.HAND_OVER,
                Do.GOODBYE,
            )


def test_every_state_can_be_reached_and_stopped() -> None:
    for role in Role:
        reached = {State.NEW}
        for _unused in State:
            reached |= {cell.state for state in reached for cell in TABLES[role][state].values()}
        # Only the primary is ever contested: the backup gives way at once.
        assert set(State) - reached == (set() if role is Role.PRIMARY else {State.CONTESTED})
        for state in State:
            assert TABLES[role][state][Input.STOP].state is State.STOPPED


def test_a_lone_primary_is_active_at_once_and_a_lone_backup_never() -> None:
    assert machine(Role.PRIMARY, partnered=False).state is State.ACTIVE
    lone = machine(Role.BACKUP, partnered=False)
    run(lone, 100, 200)
    assert lone.state is State.STANDBY


@pytest.mark.parametrize("role", Role)
def test_silence_is_measured_from_the_last_heartbeat(role: Role) -> None:
    made = machine(role)
    made.heard(PeerState.ACTIVE, 101.0)
    run(made, 101.0, 102.499)
    assert state(made) is State.STANDBY
    run(made, 102.499, 102.501)
    assert state(made) is State.ACTIVE


def test_start_delay_is_over_once_the_partner_was_heard() -> None:
    made = Machine(Timing(Role.BACKUP, True, 0.5, 1.5, start_delay=30), 0.0)
    made.start(0.0, False)
    run(made, 0.0, 31.0)
    assert state(made) is State.STANDBY
    made.heard(PeerState.ACTIVE, 31.0)
    run(made, 31.0, 32.6)
    assert state(made) is State.ACTIVE


@pytest.mark.parametrize("role", list(Role))
def test_who_is_forced_waits_for_nobody_but_a_witness(role: Role) -> None:
    made = Machine(TIMING[role], 100.0)
    _begun, step = made.start(100.0, holding=False, force=True)
    assert (step.after, step.do[0]) == (State.ACTIVE, Do.ACQUIRE)
    careful = Machine(replace(TIMING[role], witness=True), 100.0)
    careful.start(100.0, holding=False, force=True)
    careful.tick(100.0)
    assert state(careful) is State.STANDBY
    careful.witnessed(100.6)
    careful.tick(100.6)
    assert state(careful) is State.ACTIVE
    lone = Machine(replace(TIMING[role], partnered=False), 100.0)
    lone.start(100.0, holding=False, force=True)
    assert (lone.state is State.ACTIVE) is (role is Role.PRIMARY), "a backup that is not counted on"


def test_no_fail_back() -> None:
    made = machine(Role.PRIMARY)
    for tenth in range(100):
        made.heard(PeerState.ACTIVE, 100 + tenth / 10)
        made.tick(100 + tenth / 10)
    assert state(made) is State.STANDBY


def test_both_standby_the_primary_goes_first() -> None:
    for role, then in ((Role.PRIMARY, State.ACTIVE), (Role.BACKUP, State.STANDBY)):
        made = machine(role)
        made.heard(PeerState.STANDBY, 100.1)
        assert state(made) is then


@pytest.mark.parametrize("said", [PeerState.LEAVING, PeerState.RESIGNED])
def test_goodbye_is_taken_over_at_once(said: PeerState) -> None:
    made = machine(Role.BACKUP)
    made.heard(PeerState.ACTIVE, 100.1)
    (step,) = made.heard(said, 100.2)
    assert step.do == (Do.ACQUIRE, Do.ANNOUNCE, Do.SEND)
    assert made.partner is None


def test_two_active_ones_the_backup_yields_and_the_primary_announces_after_it() -> None:
    primary, backup = machine(Role.PRIMARY, True), machine(Role.BACKUP, True)
    (step,) = backup.heard(PeerState.ACTIVE, 100.1)
    assert step.do == (Do.RELEASE, Do.SEND)
    assert backup.state is State.STANDBY
    (step,) = primary.heard(PeerState.ACTIVE, 100.1)
    assert Do.ANNOUNCE not in step.do
    (step,) = primary.heard(PeerState.STANDBY, 100.2)
    assert step.do[0] is Do.ANNOUNCE
    assert primary.state is State.ACTIVE


def test_a_partner_that_cannot_hear_us_wins_after_a_dead_time() -> None:
    made = machine(Role.PRIMARY, True)
    now = 100.0
    while now < 103:
        made.woke(now)
        made.heard(PeerState.ACTIVE, now)
        made.tick(now)
        now += 0.1
    assert state(made) is State.STANDBY


def test_adoption_takes_and_announces_nothing() -> None:
    made = Machine(TIMING[Role.BACKUP], 0.0)
    (step,) = made.start(0.0, True)
    assert state(made) is State.ACTIVE
    assert step.do == (Do.SEND,)


@pytest.mark.parametrize("role", Role)
def test_an_active_one_announces_when_the_partner_may_have_had_the_addresses(role: Role) -> None:
    made = machine(role, True)
    (step,) = made.heard(PeerState.STANDBY, 100.1)
    assert (step.why, step.do) == (Input.RETURNED, (Do.ANNOUNCE,))
    assert made.heard(PeerState.STANDBY, 100.2) == []
    (step,) = made.heard(PeerState.STANDBY, 100.3, took=True)
    assert step.do == (Do.ANNOUNCE,)
    run(made, 100.3, 105.0)
    (step,) = made.heard(PeerState.FAULT, 105.1)
    assert step.do == (Do.ANNOUNCE,)


@pytest.mark.parametrize("role", Role)
def test_a_long_pause_makes_an_active_one_doubt(role: Role) -> None:
    made = machine(role, True)
    made.tick(100.1)
    (step,) = made.woke(100.9)
    assert step.do == (Do.DISTRUST, Do.LOOK, Do.SEND)
    (step,) = made.heard(PeerState.ACTIVE, 100.91)
    assert step.do == (Do.RELEASE, Do.SEND)
    assert state(made) is State.STANDBY


def test_doubt_ends_well_where_nobody_else_is_active() -> None:
    for said in (PeerState.STANDBY, PeerState.FAULT, PeerState.LEAVING):
        made = machine(Role.BACKUP, True)
        made.woke(101)
        made.heard(said, 101.1)
        assert state(made) is State.ACTIVE
    made = machine(Role.BACKUP, True)
    made.woke(101)
    run(made, 101, 102.6)
    assert state(made) is State.ACTIVE


def test_a_pause_is_no_silence_of_the_partner() -> None:
    made = machine(Role.BACKUP)
    made.heard(PeerState.ACTIVE, 100.9)
    run(made, 100.9, 101.9)
    last = made._last
    made.woke(last + 0.7)
    made.tick(last + 0.7)
    assert state(made) is State.STANDBY, "0.7 s of the dead time did not count"
    made.woke(last + 5)
    made.tick(last + 5)
    assert state(made) is State.STANDBY, "it looks first"
    run(made, last + 5, last + 6.6)
    assert state(made) is State.ACTIVE


def test_a_router_that_cannot_says_so_and_tries_again() -> None:
    made = machine(Role.PRIMARY)
    made.heard(PeerState.STANDBY, 100.1)
    (step,) = made.failed(100.1)
    assert state(made) is State.FAULT
    assert step.do == (Do.RELEASE, Do.SEND)
    run(made, 100.1, 105.2)
    assert state(made) is State.STANDBY


def test_without_a_link_an_owner_lets_go_to_whoever_can_and_takes_nothing() -> None:
    made = machine(Role.PRIMARY, holding=True)
    assert made.carrier(False, 100.1) == [], "nobody else serves"
    run(made, 100.1, 103.0)
    assert made.state is State.ACTIVE
    (step,) = made.heard(PeerState.STANDBY, 103.1)
    assert step.do == (Do.HAND_OVER, Do.RELEASE, Do.SEND)
    assert state(made) is State.FAULT
    run(made, 103.1, 120.0)  # silence and the time to try again
    assert state(made) is State.FAULT
    made.carrier(True, 120.0)
    assert state(made) is State.STANDBY


def test_who_lets_go_at_once_where_the_partner_was_heard() -> None:
    for role in Role:
        made = machine(role, holding=True)
        made.heard(PeerState.STANDBY, 100.2)
        made.carrier(False, 100.3)
        assert made.state is State.FAULT


def test_who_cannot_let_go_is_asked_no_more_than_once_a_dead_time() -> None:
    made = Machine(Timing(Role.BACKUP, True, 0.5, 1.5, preempt=True), 100.0)
    made.start(100.0, True)
    made.heard(PeerState.STANDBY, 100.2)
    asked = 0
    for turn in range(3000):
        now = 100.3 + turn / 1000
        if made.wanted(now):
            asked += 1
            made.stuck(now)
            assert state(made) is State.ACTIVE
    assert asked == 3, "the partner's answer asks again, and comes within a millisecond"


def test_a_lone_router_heeds_no_link() -> None:
    made = machine(Role.PRIMARY, partnered=False)
    made.carrier(False, 100.1)
    run(made, 100.1, 110.0)
    assert made.state is State.ACTIVE


def test_heartbeats_keep_their_pace() -> None:
    made = machine(Role.PRIMARY)
    sent, now = [], 100.0
    while now < 110:
        made.woke(now)
        made.heard(PeerState.ACTIVE, now)
        sent += [now for step in made.tick(now) if Do.SEND in step.do]
        now = made.next_at() + 0.001
    gaps = [b - a for a, b in pairwise(sent)]
    assert len(sent) in range(19, 21)
    assert max(gaps) < 0.51


def test_partner_taken_out_of_the_configuration() -> None:
    active = machine(Role.BACKUP, True)
    (step,) = active.retime(Timing(Role.BACKUP, False, 0.5, 1.5), 101)
    assert step.do == (Do.RELEASE, Do.SEND)
    standby = machine(Role.PRIMARY)
    standby.retime(Timing(Role.PRIMARY, False, 0.5, 1.5), 101)
    assert standby.state is State.ACTIVE


def test_the_page_about_the_takeover_is_that_of_the_tables() -> None:
    # Not runpy, which does not get along with the importer of `ansible-test units`.
    spec = importlib.util.spec_from_file_location("make_takeover", ROOT / "docs/make_takeover.py")
    assert spec is not None and spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    made = script.page()
    assert (ROOT / "docs/takeover.md").read_text(encoding="utf-8") == made, (
        "run docs/make_takeover.py"
    )
