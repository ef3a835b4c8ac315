# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""When witnesses are asked, which answers count, and what follows for the takeover."""

from __future__ import annotations

import struct
from dataclasses import replace
from ipaddress import ip_address

import pytest
from piranha.nanny.icmp import checksum, replied, request
from piranha.net import rtnetlink
from piranha.pulse.asking import REMEMBERED, Questions, pace, patience
from piranha.pulse.engine import Deed, Engine
from piranha.pulse.machine import Machine, State, Timing
from piranha.pulse.wire import Key, PeerState, Role
from piranha.pulse.witness import Witness, Witnesses

from .test_heart_settings import TEXT, settings

TIMING = Timing(Role.BACKUP, True, 0.5, 1.5, witness=True)


def machine(**changes: object) -> Machine:
    made = Machine(replace(TIMING, **changes), 0.0)  # type: ignore[arg-type]
    made.start(0.0, False)
    made.heard(PeerState.ACTIVE, 10.0)
    return made


def test_it_is_asked_often_only_when_an_answer_decides() -> None:
    made = machine()
    assert pace(made, 10.1) == 1.5
    assert pace(made, 10.7) == 1.5
    assert pace(made, 10.8) == pytest.approx(0.125)
    made.heard(PeerState.ACTIVE, 10.9)
    assert pace(made, 11.0) == 1.5
    assert pace(machine(witness=False), 11.4) == 1.5
    assert pace(machine(deadtime=0.03, keepalive=0.01), 11.4) == 0.005
    assert pace(machine(deadtime=0.03, keepalive=0.01), 10.0) == 1.0


def test_whoever_waits_long_asks_less_often() -> None:
    made = machine()
    made.tick(11.6)
    assert made.cut_off
    assert pace(made, 11.6) == pytest.approx(0.375)
    active = Machine(TIMING, 0.0)
    active.start(0.0, True)
    assert pace(active, 1.4) == pytest.approx(0.375)
    assert patience(active) == 4.5


def test_a_cut_off_router_says_so_once_and_takes_when_the_witness_is_back() -> None:
    key = Key.of(bytes(range(32)))
    engine = Engine((key,), TIMING, bytes(8), lambda: bytes(16), 0.0)
    engine.start(0.0, False)
    logged = []
    now = 0.0
    while now < 20:
        now += 0.1
        effects = engine.woke(now) + engine.tick(now)
        logged += [effect.text for effect in effects if effect.deed is Deed.LOG]
    assert logged == [
        "neither partner nor witness is heard: this router does not take the virtual addresses,"
        " since it seems to be cut off"
    ]
    said = engine.problems("192.0.2.12", "key", now)
    assert said == [
        "neither 192.0.2.12 nor a witness is heard: this router seems to be cut off and takes"
        " nothing; check its network"
    ]
    engine.machine.witnessed(now)
    while engine.machine.state is State.STANDBY:
        now += 0.1
        engine.woke(now)
        engine.tick(now)
        assert now < 20.8
    assert not engine.machine.cut_off
    assert engine.problems("192.0.2.12", "key", now) == ["nothing is heard from 192.0.2.12"]


def test_an_answer_that_is_half_a_dead_time_old_says_nothing() -> None:
    for age, state in ((0.7, State.ACTIVE), (0.8, State.STANDBY)):
        made = machine()
        made.witnessed(11.5 - age)
        made.witnessed(11.5 - age - 5)  # an older one changes nothing
        made.tick(11.5)
        assert made.state is state


def test_a_partner_that_is_heard_again_ends_it() -> None:
    made = machine()
    made.tick(11.6)
    assert made.cut_off
    made.heard(PeerState.ACTIVE, 12.0)
    assert not made.cut_off


def test_who_holds_the_addresses_is_not_cut_off() -> None:
    made = Machine(TIMING, 0.0)
    made.start(0.0, True)
    made.tick(1.6)
    assert not made.cut_off
    assert made.state is State.ACTIVE


def test_only_an_answer_to_a_question_of_ours_counts_and_once() -> None:
    asked = Questions(b"12345678")
    one, two = asked.ask(1.0), asked.ask(2.0)
    assert asked.answer(None) is None
    assert asked.answer(b"") is None
    assert asked.answer(b"87654321" + one[8:]) is None
    assert asked.answer(one + b"!") is None
    assert asked.answer(two) == 2.0
    assert asked.answer(two) is None
    assert asked.answer(one) == 1.0
    assert asked.seen_at == 2.0, "an older one is no news"
    first = asked.ask(3.0)
    for number in range(REMEMBERED):
        asked.ask(4.0 + number)
    assert asked.answer(first) is None, "memory is bounded"


@pytest.mark.parametrize(("version", "ask", "reply"), [(4, 8, 0), (6, 128, 129)])
def test_echo_requests_and_replies(version: int, ask: int, reply: int) -> None:
    packet = request(version, b"payload!")
    assert packet[0] == ask
    assert checksum(packet) == 0
    assert replied(version, packet) is None, "our own request"
    assert replied(version, bytes([reply]) + packet[1:]) == b"payload!"
    assert replied(version, b"") is None
    assert replied(version, bytes([reply, 0, 0])) is None


class Kernel:
    """What tells a gateway."""

    def __init__(self, **found: tuple[str, int] | None) -> None:
        self.found = {int(key[1:]): value for key, value in found.items()}

    def gateway(self, version: int) -> tuple[object, int] | None:
        one = self.found.get(version)
        return (ip_address(one[0]), one[1]) if one else None


def test_the_gateway_of_the_heartbeats_version_is_preferred() -> None:
    both = Kernel(v4=("127.0.0.1", 1), v6=("::1", 1))
    for prefers, address in ((4, "127.0.0.1"), (6, "::1")):
        made = Witness("gateway", prefers, 0.0)
        made._find(both)  # type: ignore[arg-type]
        assert made.address == address
        assert address in made.name
    made = Witness("gateway", 6, 0.0)
    made._find(Kernel(v4=("127.0.0.1", 1)))  # type: ignore[arg-type]
    assert made.address == "127.0.0.1"
    made._find(Kernel())  # type: ignore[arg-type]
    assert (made.address, made.trouble) == (None, "there is no default gateway")
    assert made.name == "the gateway as witness"


def test_without_a_gateway_it_says_so_after_a_while_and_once() -> None:
    made = Witnesses(("gateway",), "192.0.2.11", Kernel(), 0.0)  # type: ignore[arg-type]
    told = []
    at = machine()
    for tenth in range(200):
        told += made.step(at, tenth / 10)
    assert told == [
        (
            "warning",
            "the gateway as witness does not answer (there is no default gateway); with no witness"
            " this router takes nothing when its partner falls silent",
        )
    ]
    assert made.problems(at, 20.0) == [told[0][1]]
    assert made.state(at, 20.0, 0.0) == [
        {
            "witness": "gateway",
            "address": None,
            "up": False,
            "heard": None,
            "asking": "there is no default gateway",
        }
    ]
    assert made.want(("gateway",), "192.0.2.11", 20.0) is made
    assert made.want((), "", 20.0).next_at() is None


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ([(5, bytes([192, 0, 2, 1])), (4, struct.pack("=I", 3))], ("192.0.2.1", 3)),
        ([(4, struct.pack("=I", 3))], None),
        ([(18, struct.pack("=H", 10) + bytes(15) + b"\1"), (4, struct.pack("=I", 2))], ("::1", 2)),
    ],
)
def test_a_route_and_its_gateway(
    attributes: list[tuple[int, bytes]], expected: tuple[str, int] | None
) -> None:
    body = bytes([2]) + bytes(11)
    for kind, value in attributes:
        body += struct.pack("=HH", 4 + len(value), kind) + value + bytes(-len(value) % 4)
    found = rtnetlink.gateway_of(body)
    assert found == (None if expected is None else (ip_address(expected[0]), expected[1]))


def test_what_lvs_cf_says_of_it() -> None:
    assert settings().witnesses == ()
    found = settings("witness = [ gateway 192.0.2.50 ]\n" + TEXT)
    assert found.witnesses == ("gateway", "192.0.2.50")
    assert found.timing.witness
    alone = settings("witness = gateway\n" + TEXT.replace("active = 1", "active = 0", 1))
    assert alone.witnesses == ()
    assert not alone.timing.witness
