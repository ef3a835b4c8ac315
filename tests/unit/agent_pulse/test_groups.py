# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Groups of failover services on two engines: each has an owner of its own, and only one.

The last test plays random schedules with cuts, loss, freezes, power cuts, restarts and wishes of
operators; a failing seed is in the message.
"""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
from piranha.core.lvs_cf import api
from piranha.net.addresses import Addresses, Places, VirtualAddress
from piranha.net.rtnetlink import Address, Held, Interface
from piranha.pulse import ledger, wire
from piranha.pulse.engine import Deed, Effect, Engine
from piranha.pulse.heart_settings import extract
from piranha.pulse.holdings import Holdings
from piranha.pulse.machine import State, Timing
from piranha.pulse.wire import Heartbeat, Key, Kind, PeerState, Role
from piranha.pulse.word import Word, decode, encode, group_id

KEY = Key.of(bytes(range(32)))
ALIVE, DEAD = 0.5, 1.5
GROUPS = ("", "db", "mail")
IDLE = Word(running=False)


class Router:
    """An engine and the kernel of its machine; what it says goes where `out` brings it."""

    def __init__(self, role: Role, groups: tuple[str, ...], seed: random.Random) -> None:
        self.role, self.groups, self.random = role, groups, seed
        self.holds: set[str] = set()
        self.stuck: set[str] = set()
        self.said: list[bytes] = []
        self.deeds: list[tuple[Deed, str]] = []
        self.engine: Engine | None = None

    def start(self, now: float) -> None:
        session = self.random.randbytes
        timing = Timing(self.role, True, ALIVE, DEAD, retry=DEAD)
        self.engine = Engine((KEY,), timing, bytes(8), lambda: session(16), now, self.groups)
        for member in self.engine.members:
            member.word = IDLE
        ours = {name: name in self.holds for name in self.groups}
        self.carry(self.engine.start(now, ours), now)

    def carry(self, effects: list[Effect], now: float) -> None:
        """As the heart does (heart.py)."""
        void: set[str] = set()
        for effect in effects:
            engine, group = self.engine, effect.group
            if engine is None:
                return
            saying = effect.deed in (Deed.SEND, Deed.GOODBYE, Deed.RENEW)
            if void and (group in void or saying):
                continue
            self.deeds.append((effect.deed, group))
            match effect.deed:
                case Deed.SEND:
                    self.said.append(effect.data)
                case Deed.GOODBYE:
                    self.said.append(engine.goodbye(now))
                case Deed.RENEW:
                    self.carry(engine.renew(now), now)
                case Deed.ACQUIRE:
                    self.holds.add(group)
                case Deed.RELEASE if group in self.stuck & self.holds:
                    void.add(group)
                    self.carry(engine.stuck(now, group), now)
                case Deed.RELEASE:
                    self.holds.discard(group)
                    self.carry(engine.freed(now, group), now)
                case Deed.LOOK if group not in self.holds:
                    void.add(group)
                    self.carry(engine.lost(now, group), now)

    def turn(self, now: float, came: list[bytes]) -> None:
        if self.engine is not None:
            self.carry(self.engine.woke(now), now)
            for data in came:
                self.carry(self.engine.received(data, now), now)
            self.carry(self.engine.tick(now), now)

    def state(self, group: str) -> State:
        assert self.engine is not None
        return self.engine.members[group].machine.state


class Pair:
    """Two routers whose datagrams arrive at the next step."""

    def __init__(self, groups: tuple[str, ...] = GROUPS, seed: int = 1) -> None:
        self.now = 1000.0
        chance = random.Random(seed)
        self.one, self.two = (Router(role, groups, chance) for role in Role)
        self.one.start(self.now)
        self.two.start(self.now)
        self.run(5.0)

    def run(self, seconds: float) -> None:
        for _unused in range(round(seconds / 0.05)):
            self.now += 0.05
            to_one, self.two.said = self.two.said, []
            to_two, self.one.said = self.one.said, []
            self.one.turn(self.now, to_one)
            self.two.turn(self.now, to_two)

    def owners(self) -> tuple[set[str], set[str]]:
        return self.one.holds, self.two.holds


def test_a_heartbeat_carries_a_state_and_a_word_for_each_group() -> None:
    words = {"": (PeerState.ACTIVE, Word(True)), "db": (PeerState.FAULT, Word(asks=True))}
    body = encode(Word(weak=True), words, (3, 1, 2))
    news = decode(Kind.SERVICES, body)
    assert news is not None
    assert news.word == Word(weak=True)
    assert news.groups == {group_id(name): said for name, said in words.items()}
    assert news.conceded == {b"": 3, group_id(""): 1, group_id("db"): 2}
    whole = encode(Word(), {str(n): (PeerState.DOUBT, Word()) for n in range(64)}, range(65))
    assert len(whole) < 900, "there is room for all that lvs.cf may have"
    assert decode(Kind.SERVICES, body[:-3]) == (*news[:2], {}), "as agents from before say it"
    assert decode(Kind.SERVICES, body[:-4]) is None, "cut short: nothing is guessed"
    assert decode(Kind.SERVICES, body[:10] + b"\x63" + body[11:]) is None, "a later version's state"
    assert decode(Kind.SERVICES, body[:1]) == (Word(weak=True), {}, {})


def test_one_group_moves_as_an_operator_asks_and_the_others_stay() -> None:
    pair = Pair()
    assert pair.owners() == (set(GROUPS), set())
    engine = pair.one.engine
    assert engine is not None
    refusal, effects = engine.switch(pair.now, "db")
    assert refusal is None
    pair.one.deeds.clear()
    pair.one.carry(effects, pair.now)
    assert (Deed.GOODBYE, "") not in pair.one.deeds, "the router itself does not leave"
    pair.run(0.2)
    assert pair.owners() == ({"", "mail"}, {"db"})
    pair.run(20)
    assert pair.owners() == ({"", "mail"}, {"db"}), "and stays there"
    assert "this router is standby" in (engine.switch(pair.now, "db")[0] or "")
    # The main group's state stands in the head; it moves as well as any other.
    pair.one.carry(engine.switch(pair.now, "")[1], pair.now)
    pair.run(0.2)
    assert pair.owners() == ({"mail"}, {"", "db"})
    pair.run(20)
    assert pair.owners() == ({"mail"}, {"", "db"})


def test_the_first_heartbeat_of_a_new_heart_tells_of_every_group_what_its_kernel_has() -> None:
    router = Router(Role.BACKUP, GROUPS, random.Random(1))
    router.holds = {"mail"}
    router.start(0.0)
    for data in router.said:
        beat = wire.decode(data, (KEY,))
        assert isinstance(beat, Heartbeat)
        news = decode(beat.kind, beat.body)
        assert news is not None
        assert news.groups[group_id("mail")][0] is PeerState.ACTIVE
        assert news.groups[group_id("db")][0] is PeerState.STANDBY


def test_services_that_fail_take_their_own_group_along_and_no_other() -> None:
    pair = Pair()
    assert pair.one.engine is not None
    pair.one.carry(pair.one.engine.unfit("db failed here", pair.now, "db"), pair.now)
    pair.run(0.3)
    assert pair.owners() == ({"", "mail"}, {"db"})
    told = pair.one.engine.problems("p", "k", pair.now)
    assert told == ["group db: db failed here"]
    pair.run(10)
    assert pair.one.state("db") is State.STANDBY
    assert pair.one.engine.problems("p", "k", pair.now) == []


def test_whoever_stops_hands_over_all_it_has_with_one_goodbye() -> None:
    pair = Pair()
    one, two = pair.one, pair.two
    assert one.engine is not None
    assert two.engine is not None
    one.carry(one.engine.switch(pair.now, "mail")[1], pair.now)
    pair.run(1)
    one.deeds.clear()
    one.carry(one.engine.stop(pair.now), pair.now)
    deeds = [deed for deed, _group in one.deeds if deed is not Deed.LOG]
    assert deeds == [Deed.HAND_OVER, Deed.RELEASE, Deed.HAND_OVER] * 2 + [Deed.GOODBYE] * 3
    one.engine = None
    pair.run(0.1)
    assert pair.owners() == (set(), set(GROUPS))


def test_addresses_that_cannot_be_removed_keep_their_own_group_only() -> None:
    pair = Pair()
    one, two = pair.one, pair.two
    one.stuck.add("db")
    for name in ("db", "mail"):
        assert one.engine is not None
        one.carry(one.engine.unfit("it failed", pair.now, name), pair.now)
    pair.run(3)
    assert pair.owners() == ({"", "db"}, {"mail"})
    assert one.state("db") is State.STUCK
    one.stuck.clear()
    pair.run(5)
    assert "db" not in one.holds & two.holds
    one.carry(one.engine.stop(pair.now), pair.now)  # type: ignore[union-attr]
    assert one.holds == set()


def test_the_dead_are_replaced_in_all_groups() -> None:
    pair = Pair()
    assert pair.one.engine is not None
    pair.one.carry(pair.one.engine.switch(pair.now, "db")[1], pair.now)
    pair.run(1)
    pair.two.engine, pair.two.holds = None, set()
    pair.run(DEAD + ALIVE)
    assert pair.one.holds == set(GROUPS)
    pair.two.start(pair.now)
    pair.run(10)
    assert pair.owners() == (set(GROUPS), set())


def test_a_partner_that_knows_no_groups_sees_one_router_that_has_all() -> None:
    pair = Pair()
    one, two = pair.one, pair.two
    two.engine, two.groups = None, ("",)
    pair.run(1)
    two.start(pair.now)
    pair.run(10)
    assert pair.owners() == (set(GROUPS), set())
    one.engine, one.holds = None, set()
    pair.run(DEAD + ALIVE)
    assert two.holds == {""}
    one.start(pair.now)
    pair.run(10)
    assert one.holds == set(), "its partner, which has all it knows of, goes before its own groups"


def test_a_reload_that_makes_groups_moves_nothing() -> None:
    pair = Pair(groups=("",))
    one, two = pair.one, pair.two
    assert one.engine is not None
    assert two.engine is not None
    for router in (one, two):
        has = dict.fromkeys(GROUPS, "" in router.holds)
        router.holds = set(GROUPS) if "" in router.holds else set()
        router.deeds.clear()
        assert router.engine is not None
        router.carry(router.engine.regroup(has, router.engine.machine.timing, pair.now), pair.now)
        pair.run(4 * DEAD)
        assert pair.owners() == (set(GROUPS), set())
    moved = {deed for deed, _group in one.deeds + two.deeds}
    assert not moved & {Deed.ACQUIRE, Deed.RELEASE}
    assert len(one.engine.members) == len(GROUPS)


CONFIG = """\
service = fos
primary = 192.0.2.1
backup = 192.0.2.2
backup_active = 1
failover db {
    active = 1
    address = 192.0.2.8 eth0
    failover_group = db
}
failover web {
    active = 1
    address = 192.0.2.9 eth0
}
failover mail {
    active = 1
    address = 192.0.2.9 eth0
    port = 25
}
"""


def test_groups_come_from_the_file_and_whoever_has_none_comes_first() -> None:
    own = frozenset({VirtualAddress("192.0.2.1", 24).ip})
    settings = extract(api.load(CONFIG).config, own)
    listed = {name: [one.address for one in has] for name, has in settings.groups.items()}
    assert list(listed.items()) == [("", ["192.0.2.9"]), ("db", ["192.0.2.8"])]
    assert [one.address for one in settings.addresses] == ["192.0.2.9", "192.0.2.8"]
    lvs = CONFIG.replace("service = fos\n", "")
    assert list(extract(api.load(lvs).config, own).groups) == [""]


class Kernel:
    """The addresses of a machine, as Addresses has them; notes what is done to them."""

    def __init__(self, *there: str) -> None:
        self.there = set(there)
        self.did: list[str] = []

    def carriers(self, wanted: tuple[VirtualAddress, ...]) -> Any:
        return self

    def without(self) -> list[str]:
        return []

    def missing(self, wanted: tuple[VirtualAddress, ...]) -> list[VirtualAddress]:
        return [one for one in wanted if one.address not in self.there]

    def places(self, wanted: tuple[VirtualAddress, ...]) -> Places:
        card = Interface(1, "eth0", b"", True, True)
        entries = [(one.ip, Held(one.ip, one.prefix, card.index)) for one in wanted]
        return Places(entries, {card.index: card}, [], False)

    def acquire(self, wanted: tuple[VirtualAddress, ...]) -> list[str]:
        return self.set(self.places(wanted))

    def set(self, places: Places) -> list[str]:
        new = {str(address) for address, _held in places.entries} - self.there
        self.did += [f"+{address}" for address in sorted(new)]
        self.there |= new
        return []

    def release(self, stale: Any) -> list[str]:
        old = {one.address for one in stale} & self.there
        self.did += [f"-{address}" for address in sorted(old)]
        self.there -= old
        return []

    def devices(self, wanted: Any) -> list[tuple[Address, Any]]:
        return []


def at(*addresses: str) -> tuple[VirtualAddress, ...]:
    return tuple(VirtualAddress(address, 24) for address in addresses)


A, B, C = "192.0.2.7", "192.0.2.8", "192.0.2.9"


def holdings(kernel: Kernel, folder: Path, **groups: tuple[VirtualAddress, ...]) -> Holdings:
    names = {name.replace("main", ""): wanted for name, wanted in groups.items()}
    return Holdings(cast(Addresses, kernel), names, folder, lambda _level, _text: None)


def test_each_group_has_a_file_and_a_heart_that_starts_adopts_what_it_says(tmp_path: Path) -> None:
    kernel = Kernel()
    first = holdings(kernel, tmp_path, main=at(A), db=at(B), old=at(C))
    for name in ("", "db", "old"):
        first[name].acquire(0.0)
    first["db"].release()
    listed = ledger.read_all(tmp_path)
    assert {name: one.hold for name, one in listed.items()} == {"": True, "db": False, "old": True}
    kernel.there.add(B)  # a crash in the middle of letting go
    second = holdings(kernel, tmp_path, main=at(A), db=at(B))
    assert second.adopt(0.0) == ({"": True, "db": False}, {"": False, "db": False})
    assert kernel.there == {A}, "what no group wants has gone as well"
    assert set(ledger.read_all(tmp_path)) == {"", "db"}
    ledger.forget(tmp_path)
    assert ledger.read_all(tmp_path) == {}


def test_an_address_that_changes_its_group_stays_where_it_is(tmp_path: Path) -> None:
    kernel = Kernel()
    made = holdings(kernel, tmp_path, main=at(A, B), old=at(C))
    made[""].acquire(0.0)
    made["old"].acquire(0.0)
    kernel.did.clear()
    wanted = {"": at(A), "db": at(B), "mail": at(C)}
    begins = made.begins(wanted, {"": True, "old": True})
    assert begins == {"": True, "db": True, "mail": True}
    assert made.exchange(wanted, 0.0, begins) == []
    assert kernel.did == [], "nobody has lost an address for a moment"
    here = {"": True, "db": False, "mail": False}
    assert made.begins({"new": at("192.0.2.6")}, here) == {"new": True}
    assert set(ledger.read_all(tmp_path)) == {"", "db", "mail"}
    made["db"].release()
    begins = {"": True, "db": False}
    made.exchange({"": at(A), "db": at(B, C)}, 0.0, begins)
    assert kernel.there == {A}, "the group that it has come to is on the other router"
    made.exchange({"": at(), "db": at(A, B, C)}, 0.0, begins)
    assert kernel.there == set(), "so it is where the one that it leaves goes on"


def test_random_schedules_end_with_one_owner_for_each_group() -> None:
    for seed in range(60):
        Schedule(seed).play()


class Schedule:
    """One run; `play` raises with its seed where two have a group, or nobody."""

    STEP = 0.05
    BOUND = DEAD + 4 * ALIVE
    """How long two that hear each other may both have a group."""

    def __init__(self, seed: int) -> None:
        self.seed, self.random = seed, random.Random(seed)
        self.now, self.step = 1000.0, 0
        self.routers = [Router(role, GROUPS, self.random) for role in Role]
        self.away: list[list[tuple[float, bytes]]] = [[], []]
        self.cut = [0.0, 0.0]
        self.frozen = [0.0, 0.0]
        self.both: dict[str, float] = {}
        for router in self.routers:
            router.start(self.now)

    def play(self) -> None:
        for number in range(1200):
            self.now += self.STEP
            if number < 800 and self.random.random() < 0.02:
                self.disturb()
            elif number == 800:
                self.heal()
            self.turn()
            self.look()
        owners = [[r.role.name for r in self.routers if name in r.holds] for name in GROUPS]
        assert all(len(one) == 1 for one in owners), f"seed {self.seed}: {owners}"
        states = {r.state(name) for r in self.routers for name in GROUPS}
        assert states == {State.ACTIVE, State.STANDBY}, f"seed {self.seed}: {states}"

    def disturb(self) -> None:
        number = self.random.randrange(2)
        router, later = self.routers[number], self.now + self.random.uniform(0.1, 4) * DEAD
        group = self.random.choice(GROUPS)
        match self.random.choice(("cut", "cut both", "freeze", "power", "kill", "move", "unfit")):
            case "cut":
                self.cut[number] = later
            case "cut both":
                self.cut = [later, later]
            case "freeze":
                self.frozen[number] = later
            case "power":
                router.engine, router.holds = None, set()
            case "kill":
                router.engine = None  # its addresses stay in the kernel until the next one comes
                router.start(self.now)
            case "move" if router.engine is not None and self.now >= self.frozen[number]:
                router.carry(router.engine.switch(self.now, group)[1], self.now)
            case "unfit" if router.engine is not None and self.now >= self.frozen[number]:
                router.carry(router.engine.unfit("it failed", self.now, group), self.now)
        if router.engine is None and self.random.random() < 0.5:
            router.start(self.now)

    def heal(self) -> None:
        self.cut = [self.now, self.now]
        for router in self.routers:
            if router.engine is None:
                router.start(self.now)

    def turn(self) -> None:
        for number, router in enumerate(self.routers):
            if self.now < self.frozen[number]:
                continue
            due = [data for when, data in self.away[number] if when <= self.now]
            self.away[number] = [one for one in self.away[number] if one[0] > self.now]
            router.turn(self.now, due)
            said, router.said = router.said, []
            for data in said:
                lost = self.now < self.cut[number] or self.random.random() < 0.02
                for _unused in range(0 if lost else self.random.choice((1, 1, 1, 2))):
                    delay = self.random.choice((0.0, 0.0, 0.05, 0.1))
                    self.away[1 - number].append((self.now + delay, data))

    def look(self) -> None:
        calm = self.now >= max(self.cut + self.frozen) and all(r.engine for r in self.routers)
        for name in GROUPS:
            if not calm or not all(name in router.holds for router in self.routers):
                self.both.pop(name, None)
            elif self.now - self.both.setdefault(name, self.now) > self.BOUND:
                pytest.fail(f"seed {self.seed}: both have group {name!r} at {self.now:.2f}")


def test_what_a_witness_answers_counts_for_every_group() -> None:
    pair = Pair()
    engine = pair.one.engine
    assert engine is not None
    pair.one.carry(engine.switch(pair.now, "db")[1], pair.now)
    pair.run(1)
    timing = replace(engine.machine.timing, witness=True)
    pair.one.carry(engine.reload((KEY,), timing, bytes(8), pair.now), pair.now)
    pair.two.engine, pair.two.holds = None, set()
    pair.run(DEAD + ALIVE)
    assert pair.one.holds == {"", "mail"}
    assert engine.members.cut_off, "nobody says whether the other router is dead"
    assert engine.members.waiting(pair.now) is engine.members["db"].machine
    engine.machine.witnessed(pair.now)
    engine.members.share_witness()
    pair.run(ALIVE)
    assert pair.one.holds == set(GROUPS)
    assert not engine.members.cut_off
