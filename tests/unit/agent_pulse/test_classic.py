# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Beside a router of old: what is said and heard, and who becomes active when."""

from __future__ import annotations

import random
from collections import deque
from dataclasses import replace
from pathlib import Path

import pytest
from piranha.pulse import ledger, oldwire
from piranha.pulse.classic import Classic
from piranha.pulse.conversation import Accepted, Conversation, Rejected
from piranha.pulse.engine import Deed, Effect, Engine
from piranha.pulse.heart_settings import Route
from piranha.pulse.machine import State, Timing
from piranha.pulse.oldwire import OWN_ORDER, Said
from piranha.pulse.tables import CLASSIC, TABLES
from piranha.pulse.wire import Key, PeerState, Reason, Role

from tests.simulation.original import RUNNING, STOPPED, TAKE, Act, Original

KEY = Key.of(bytes(range(32)))
TIMING = Timing(Role.PRIMARY, True, 0.5, 1.5, classic=True)


def talk(role: Role = Role.PRIMARY) -> Classic:
    return Classic((KEY,), role, 0.5, 1.5, lambda: bytes(16))


# -- bytes ------------------------------------------------------------------------------------


def test_the_bytes_are_those_that_were_measured() -> None:
    assert oldwire.write(Said.RUNNING, "little") == RUNNING
    assert oldwire.write(Said.STOPPED, "little") == STOPPED
    assert oldwire.write(Said.SERVICES_TAKE, "little") == TAKE
    assert oldwire.write(Said.RUNNING, "big") == bytes.fromhex("bdaddbda")


def test_either_order_can_be_told_from_the_other() -> None:
    seen = {oldwire.write(said, order) for said in Said for order in ("little", "big")}  # type: ignore[arg-type]
    assert len(seen) == 2 * len(Said)
    for said in Said:
        assert oldwire.read(oldwire.write(said, "big")) == (said, "big")
    assert oldwire.read(b"") is None
    assert oldwire.read(RUNNING + b"\0") is None


@pytest.mark.parametrize(
    ("state", "said"),
    [
        (PeerState.ACTIVE, RUNNING),
        (PeerState.DOUBT, RUNNING),
        (PeerState.STANDBY, STOPPED),
        (PeerState.FAULT, STOPPED),
        (PeerState.LEAVING, STOPPED),
    ],
)
def test_what_a_state_is_to_a_router_of_old(state: PeerState, said: bytes) -> None:
    made = talk()
    made.order = "little"
    assert made.compose(state, 1.0, body=b"facts") == said


def test_the_partners_order_is_spoken_once_it_is_known() -> None:
    made = talk()
    other = "big" if OWN_ORDER == "little" else "little"
    assert made.order == OWN_ORDER
    before = made.known
    made.accept(oldwire.write(Said.RUNNING, other), 1.0)  # type: ignore[arg-type]
    assert made.compose(PeerState.ACTIVE, 1.1) == oldwire.write(Said.RUNNING, other)  # type: ignore[arg-type]
    assert made.known != before, "so that it is kept for who says goodbye in our place"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", Reason.GARBAGE),
        (RUNNING[:3], Reason.GARBAGE),
        (RUNNING + b"\0", Reason.GARBAGE),
        (b"\0\0\0\0", Reason.GARBAGE),
        (TAKE, Reason.SERVICE),
        (oldwire.write(Said.SERVICES_RUNNING), Reason.SERVICE),
        (oldwire.write(Said.SERVICES_HOLD), Reason.SERVICE),
    ],
)
def test_what_is_not_heeded_and_why(data: bytes, reason: Reason) -> None:
    made = talk()
    assert made.accept(data, 1.0) == Rejected(reason)
    assert made.rejected[reason] == 1
    assert made.rejected_at[reason] == 1.0


def test_what_waited_while_nobody_ran_is_dropped() -> None:
    made = talk()
    made.distrust(5.0)
    assert made.accept(RUNNING, 5.0) == Rejected(Reason.LATE)
    assert isinstance(made.accept(RUNNING, 5.01), Accepted)


def test_neither_format_believes_the_other_and_each_says_so() -> None:
    signing = Conversation((KEY,), Role.BACKUP, 0.5, 1.5, lambda: bytes(16))
    signed = signing.compose(PeerState.ACTIVE, 1.0)
    assert talk().accept(signed, 1.0) == Rejected(Reason.FORMAT)
    assert signing.accept(RUNNING, 1.0) == Rejected(Reason.FORMAT)
    for classic, sentence in (
        (True, "192.0.2.12 signs its heartbeats: remove heartbeat_format = classic here"),
        (False, "set heartbeat_format = classic here until it is replaced"),
    ):
        engine = Engine((KEY,), replace(TIMING, classic=classic), bytes(8), lambda: bytes(16), 0.0)
        engine.start(0.0, False)
        engine.received(signed if classic else RUNNING, 0.5)
        assert engine.machine.partner is None
        assert sentence in engine.problems("192.0.2.12", "key", 0.6)[0]


def test_a_partner_with_services_is_named() -> None:
    engine = Engine((KEY,), TIMING, bytes(8), lambda: bytes(16), 0.0)
    engine.start(0.0, False)
    engine.received(TAKE, 0.5)
    assert "runs failover services" in engine.problems("192.0.2.12", "key", 0.6)[0]


# -- takeover beside the original -----------------------------------------------------------------


class Mixed:
    """Our engine and the original's model, with a network that may be cut."""

    def __init__(self, ours: Role, **timing: object) -> None:
        self.now = 100.0
        self.role = ours
        self.cut = False
        self.holds = False
        self.deeds: list[Deed] = []
        self._way: deque[tuple[bool, bytes]] = deque()
        self.both = self.none = 0.0
        made = random.Random(1).randbytes
        timed = replace(TIMING, role=ours, **timing)  # type: ignore[arg-type]
        self.engine = Engine((KEY,), timed, bytes(8), lambda: made(16), self.now)
        self.old: Original | None = None
        self.old_acts: list[Act] = []

    def boot_old(self) -> None:
        self.old = Original(self.role is Role.BACKUP, 0.5, 1.5, self.now)

    def boot_ours(self) -> None:
        self.carry(self.engine.start(self.now, False))

    def carry(self, effects: list[Effect]) -> None:
        for effect in effects:
            self.deeds.append(effect.deed)
            match effect.deed:
                case Deed.SEND:
                    self._way.append((True, effect.data))
                case Deed.GOODBYE:
                    self._way.append((True, self.engine.goodbye(self.now)))
                case Deed.RENEW:
                    self.carry(self.engine.renew(self.now))
                case Deed.ACQUIRE:
                    self.holds = True
                case Deed.RELEASE:
                    self.holds = False
                    self.carry(self.engine.freed(self.now))

    def run(self, seconds: float, ours: bool = True) -> None:
        end = self.now + seconds
        while self.now < end:
            self.now += 0.01
            if ours:
                self.carry(self.engine.woke(self.now))
            self._deliver(ours)
            if self.old is not None:
                self.old_acts += self.old.tick(self.now)
                self._way.extend((False, data) for data in self.old.sends)
                self.old.sends.clear()
            if ours:
                self.carry(self.engine.tick(self.now))
            owners = self.holds + self.theirs
            self.both += 0.01 * (owners == 2)
            self.none += 0.01 * (owners == 0)

    def _deliver(self, ours: bool) -> None:
        waiting, self._way = list(self._way), deque()
        for from_us, data in waiting:
            if self.cut:
                continue
            if from_us and self.old is not None:
                self.old_acts += self.old.heard(data, self.now)
            elif not from_us and ours:
                self.carry(self.engine.received(data, self.now))

    @property
    def theirs(self) -> bool:
        return self.old is not None and self.old.active

    def owners(self) -> tuple[bool, bool]:
        return self.holds, self.theirs

    def reset(self) -> None:
        self.both = self.none = 0.0
        self.old_acts.clear()
        self.deeds.clear()


@pytest.fixture(params=list(Role), ids=lambda role: f"we are the {role.name.lower()}")
def role(request: pytest.FixtureRequest) -> Role:
    found = request.param
    assert isinstance(found, Role)
    return found


def settled(role: Role, ours_active: bool, **timing: object) -> Mixed:
    """Both started, one after the other, with the owner that is wanted."""
    mixed = Mixed(role, **timing)
    first, second = mixed.boot_ours, mixed.boot_old
    if not ours_active:
        first, second = second, first
    first()
    mixed.run(2.0)
    second()
    mixed.run(2.0)
    assert mixed.owners() == (ours_active, not ours_active)
    mixed.reset()
    return mixed


def test_both_booted_together_come_to_one_owner_soon(role: Role) -> None:
    mixed = Mixed(role)
    mixed.boot_ours()
    mixed.boot_old()
    mixed.run(3.0)
    assert sorted(mixed.owners()) == [False, True]
    assert mixed.none < 0.6, "whoever hears the other stopped takes at once"
    assert mixed.both < 0.1


@pytest.mark.parametrize("ours_active", [True, False])
def test_neither_takes_from_one_that_runs(role: Role, ours_active: bool) -> None:
    mixed = settled(role, ours_active)
    mixed.run(30)
    assert mixed.owners() == (ours_active, not ours_active)
    assert mixed.none == mixed.both == 0
    assert mixed.old is not None
    assert mixed.old.strange == 0


def test_we_take_over_when_it_dies_and_it_stays_standby_when_it_is_back(role: Role) -> None:
    mixed = settled(role, ours_active=False)
    mixed.old = None
    mixed.run(1.6)
    assert mixed.holds
    mixed.run(5)
    mixed.boot_old()
    mixed.run(10)
    assert mixed.owners() == (True, False)
    assert mixed.both == 0


def test_it_takes_over_when_we_die(role: Role) -> None:
    mixed = settled(role, ours_active=True)
    mixed.holds = False
    mixed.run(1.6, ours=False)
    assert mixed.theirs


def test_our_goodbye_makes_it_take_over_at_once(role: Role) -> None:
    mixed = settled(role, ours_active=True)
    mixed.carry(mixed.engine.stop(mixed.now))
    assert Deed.HAND_OVER not in mixed.deeds, "one of old takes no connections"
    mixed.run(0.02, ours=False)
    assert mixed.owners() == (False, True)


def test_a_switchover_moves_the_addresses_and_we_stay_standby(role: Role) -> None:
    mixed = settled(role, ours_active=True)
    refusal, effects = mixed.engine.switch(mixed.now)
    assert refusal is None
    mixed.carry(effects)
    mixed.run(0.05)
    assert mixed.owners() == (False, True)
    mixed.run(20)
    assert mixed.owners() == (False, True)
    assert mixed.engine.machine.state is State.STANDBY
    assert mixed.both == 0


def test_we_take_over_when_its_lvsd_dies_though_it_says_only_stopped(role: Role) -> None:
    mixed = settled(role, ours_active=False)
    assert mixed.old is not None
    mixed.old_acts += mixed.old.lose_lvsd()
    mixed.run(0.6)
    assert mixed.owners() == (True, False)
    assert not mixed.old.failed, "it has heard us running"
    assert mixed.both == 0


@pytest.mark.parametrize("ours_active", [True, False])
def test_a_split_ends_with_the_primary_and_without_a_gap(role: Role, ours_active: bool) -> None:
    mixed = settled(role, ours_active)
    mixed.cut = True
    mixed.run(4)
    assert mixed.owners() == (True, True)
    mixed.reset()
    mixed.cut = False
    mixed.run(0.6)
    assert mixed.owners() == (role is Role.PRIMARY, role is Role.BACKUP)
    assert mixed.none == 0
    winner_announces = Deed.ANNOUNCE in mixed.deeds or Act.ANNOUNCE in mixed.old_acts
    assert winner_announces


@pytest.mark.parametrize("asleep", [1.0, 1.4, 4.0])
def test_a_pause_of_ours_ends_with_one_owner_and_no_gap(role: Role, asleep: float) -> None:
    mixed = settled(role, ours_active=True)
    mixed.run(asleep, ours=False)
    mixed.reset()
    mixed.run(3)
    assert sorted(mixed.owners()) == [False, True]
    assert mixed.none == 0
    if role is Role.PRIMARY:
        assert mixed.holds, "the rule of old: the primary stays"
        assert Deed.RELEASE not in mixed.deeds, "not for a moment"
    elif asleep > 1.5:
        assert not mixed.holds


def test_a_fault_of_ours_lets_it_take_over(role: Role) -> None:
    mixed = settled(role, ours_active=True)
    mixed.carry(mixed.engine.failed(mixed.now))
    mixed.holds = False
    mixed.run(0.05)
    assert mixed.theirs


def test_with_a_witness_who_is_cut_off_waits(role: Role) -> None:
    mixed = settled(role, ours_active=False, witness=True)
    mixed.cut = True
    mixed.run(5)
    assert mixed.owners() == (False, True)
    assert mixed.engine.machine.cut_off


def test_a_reload_changes_the_format_and_forgets_what_was_known(role: Role) -> None:
    mixed = settled(role, ours_active=True)
    signed = replace(TIMING, role=role, classic=False)
    mixed.carry(mixed.engine.reload((KEY,), signed, bytes(8), mixed.now))
    assert not isinstance(mixed.engine.conversation, Classic)
    assert len(mixed.engine.goodbye(mixed.now)) > oldwire.SIZE
    mixed.carry(mixed.engine.reload((KEY,), replace(TIMING, role=role), bytes(8), mixed.now))
    assert isinstance(mixed.engine.conversation, Classic)
    assert mixed.engine.partner_digest is None
    mixed.run(5)
    assert mixed.owners() == (True, False)


def test_the_format_stays_while_the_partner_is_heard_in_it(role: Role) -> None:
    mixed = settled(role, ours_active=True)
    signed, alone = replace(TIMING, role=role, classic=False), replace(TIMING, partnered=False)
    refusal = mixed.engine.estranging(signed, "192.0.2.12")
    assert refusal is not None
    assert refusal.startswith("heartbeat_format = signed cannot replace classic while 192.0.2.12")
    assert mixed.engine.estranging(mixed.engine.machine.timing, "192.0.2.12") is None
    assert mixed.engine.estranging(replace(alone, classic=False), "192.0.2.12") is None
    mixed.old = None
    mixed.run(1.6)
    assert mixed.engine.estranging(signed, "192.0.2.12") is None, "it was stopped"


class History(Mixed):
    """The two under random faults. Two owners that hear each other are none for long."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        super().__init__(self.random.choice(list(Role)))
        self.calm = 0.0

    def play(self) -> None:
        faults = (self._split, self._sleep, self._lose_ours, self._lose_old, self._lvsd, self._move)
        self.boot_ours()
        self.run(self.random.random() * 2)
        self.boot_old()
        for _unused in range(6):
            self._watched(self.random.random() * 5)
            self.random.choice(faults)(self.random.choice((0.3, 0.8, 1.2, 2, 4)))
        if self.old is None:
            self.boot_old()
        self._watched(6)
        assert sorted(self.owners()) == [False, True]
        assert self.engine.machine.state is (State.ACTIVE if self.holds else State.STANDBY)

    def _watched(self, seconds: float) -> None:
        """Run while nothing goes wrong."""
        self.both = self.none = 0.0
        self.run(seconds)
        assert self.both <= 1.5 + 2 * 0.5, "the contest ends in a dead time"
        assert self.none <= 2 * 1.5 + 2 * 0.5

    def _split(self, seconds: float) -> None:
        self.cut = True
        self.run(seconds)
        self.cut = False

    def _sleep(self, seconds: float) -> None:
        self.run(seconds, ours=False)

    def _lose_ours(self, seconds: float) -> None:
        self.holds = False
        self.run(seconds, ours=False)
        timing, made = self.engine.machine.timing, self.random.randbytes
        self.engine = Engine((KEY,), timing, bytes(8), lambda: made(16), self.now)
        self.boot_ours()

    def _lose_old(self, seconds: float) -> None:
        self.old = None
        self.run(seconds)
        self.boot_old()

    def _lvsd(self, _unused: float) -> None:
        if self.old is not None:
            self.old.lose_lvsd()

    def _move(self, _unused: float) -> None:
        self.carry(self.engine.switch(self.now)[1])


@pytest.mark.parametrize("first", range(0, 60, 20))
def test_random_histories_end_with_one_owner(first: int) -> None:
    for seed in range(first, first + 20):
        try:
            History(seed).play()
        except AssertionError as broken:
            raise AssertionError(f"seed {seed}: {broken}") from broken


def test_only_these_cells_are_others_beside_one_of_old() -> None:
    different = {
        (role, state, why)
        for role, rows in TABLES.items()
        for state, row in rows.items()
        for why, cell in row.items()
        if CLASSIC[role][state][why] != cell
    }
    assert {f"{r.name} {s.name} {w.name}" for r, s, w in different} == {
        "PRIMARY DOUBT PEER_ACTIVE",
        "BACKUP STANDBY PEER_STANDBY",
    }


# -- who says goodbye in the heart's place --------------------------------------------------------


@pytest.mark.parametrize("order", [None, "little", "big"])
def test_the_ledger_keeps_how_a_partner_of_old_reads(
    tmp_path: Path, order: oldwire.Order | None
) -> None:
    speaker = ledger.Spokesman(
        (bytes(16),), Role.PRIMARY, (Route("192.0.2.11", "192.0.2.12"),), 539, tmp_path, bytes(8),
        classic=order,
    )
    ledger.write_session(tmp_path, speaker)
    assert ledger.read_session(tmp_path) == speaker
