# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is handed over, in what portions, and how long it is tried."""

from __future__ import annotations

import random
from dataclasses import replace
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st
from piranha.core.lvs_cf import api
from piranha.core.lvs_cf.marks import own_mark
from piranha.net.connections import ANY_PROTOCOL, ESTABLISHED, Connection
from piranha.pulse import parting
from piranha.pulse.engine import Deed, Engine
from piranha.pulse.handover import (
    AGAIN,
    MOST_RECEIPTS,
    WINDOW,
    Delivery,
    Services,
    confirmed,
    contents,
    limits,
    portions,
    receipt,
)
from piranha.pulse.machine import State, Timing
from piranha.pulse.pathways import Pathways
from piranha.pulse.supervisor import STOP_LIMIT
from piranha.pulse.wire import (
    MAX_BODY,
    MAX_SIZE,
    Key,
    Kind,
    PeerState,
    Refused,
    Role,
    decode,
    encode,
)

TEXT = """\
primary = 192.0.2.11
backup = 192.0.2.12
backup_active = 1
network = nat
virtual web {
    active = 1
    address = 192.0.2.100 eth0:1
    port = 80
    persistent = 300
}
virtual mail {
    active = 1
    address = 2001:db8::100 eth0
    port = 25
    forward = tunnel
}
virtual names {
    active = 1
    address = 192.0.2.100 eth0:1
    port = 53
    protocol = udp
    forward = direct
}
virtual marked {
    active = 1
    address = 192.0.2.101 eth0:2
    fwmark = 7
    forward = direct
    persistent = 60
}
virtual any {
    active = 1
    address = 192.0.2.102 eth0:2
    port = 0
    persistent = 60
}
virtual several {
    active = 1
    address = 192.0.2.104 eth0:4
    ports = [ 8080 8443 ]
}
virtual shop {
    active = 1
    address = 192.0.2.101 eth0:2
    ports = [ 80 443 ]
    persistent = 90
}
virtual off {
    active = 0
    address = 192.0.2.103 eth0:3
    port = 80
}
"""
SHOP = own_mark("192.0.2.101", "tcp", [80])
SERVICES = Services(api.load(TEXT).config)
KEY = Key.of(bytes(range(32)))


def connection(virtual: str, port: int, protocol: int = 6, client_port: int = 5000) -> Connection:
    address = ip_address(virtual)
    client, server = (
        ("2001:db8::1", "fd00::1") if address.version == 6 else ("198.51.100.9", "10.0.0.1")
    )
    return Connection(
        protocol,
        ESTABLISHED if protocol == 6 else 0,
        ip_address(client).packed,
        client_port,
        address.packed,
        port,
        ip_address(server).packed,
        8080,
    )


@pytest.mark.parametrize(
    ("virtual", "port", "protocol", "expected"),
    [
        ("192.0.2.100", 80, 6, (0, 0)),
        ("2001:db8::100", 25, 6, (2, 0)),
        ("192.0.2.100", 53, 17, (3, 0)),
        ("192.0.2.101", 4711, 6, (3, 7)),
        ("192.0.2.102", 4711, 6, (0, 0)),
        ("192.0.2.104", 8080, 6, (0, 0)),
        ("192.0.2.104", 8443, 6, (0, 0)),
        ("192.0.2.101", 80, 6, (0, SHOP)),
        ("192.0.2.101", 443, 6, (0, SHOP)),
        ("192.0.2.100", 53, 6, None),
        ("192.0.2.100", 81, 6, None),
        ("192.0.2.103", 80, 6, None),
        ("192.0.2.199", 80, 6, None),
    ],
)
def test_only_own_services_with_their_method_and_mark(
    virtual: str, port: int, protocol: int, expected: tuple[int, int] | None
) -> None:
    listed = connection(virtual, port, protocol)
    found = SERVICES.complete(listed)
    assert (None if found is None else (found.forward, found.mark)) == expected
    assert SERVICES.owns(listed) is (expected is not None)
    assert found is None or found.timeout == 0, "each kernel knows its own times"


def test_templates_live_as_long_as_their_service_says() -> None:
    web = connection("192.0.2.100", 80)._replace(template=True, client_port=0, state=0)
    found = SERVICES.complete(web)
    assert found is not None
    assert found.timeout == 300
    marked = web._replace(protocol=ANY_PROTOCOL, virtual=(7).to_bytes(4, "big"), virtual_port=0)
    found = SERVICES.complete(marked)
    assert found is not None
    assert (found.timeout, found.mark, found.forward) == (60, 7, 3)
    shop = marked._replace(virtual=SHOP.to_bytes(4, "big"))
    found = SERVICES.complete(shop)
    assert found is not None
    assert (found.timeout, found.mark, found.forward) == (90, SHOP, 0)
    assert SERVICES.complete(marked._replace(virtual=(8).to_bytes(4, "big"))) is None
    mail = connection("2001:db8::100", 25)._replace(template=True, client_port=0, state=0)
    assert SERVICES.complete(mail) is None, "it has no persistence"


def test_two_marks_on_one_address_give_what_they_have_in_common() -> None:
    more = TEXT + TEXT[TEXT.index("virtual marked") : TEXT.index("virtual any")].replace(
        "marked", "other"
    ).replace("fwmark = 7", "fwmark = 8")
    found = Services(api.load(more).config).complete(connection("192.0.2.101", 99))
    assert found is not None
    assert (found.forward, found.mark) == (3, 0)
    split = more.replace("fwmark = 8\n    forward = direct", "fwmark = 8\n    forward = nat")
    assert split != more
    assert Services(api.load(split).config).complete(connection("192.0.2.101", 99)) is None


def test_a_failover_configuration_has_no_connections() -> None:
    config = api.load("service = fos\n" + TEXT).config
    assert Services(config).complete(connection("192.0.2.100", 80)) is None


@given(st.integers(0, 120), st.integers(0, 60))
def test_portions_hold_everything_and_fit_a_datagram(four: int, six: int) -> None:
    chosen = [connection("192.0.2.100", 80, client_port=1 + n) for n in range(four)]
    chosen += [connection("2001:db8::100", 25, client_port=1 + n) for n in range(six)]
    made = portions(chosen)
    assert all(0 < len(body) <= MAX_BODY for body in made)
    assert [one for body in made for one in contents(body, SERVICES)] == chosen
    assert len(made) <= 2 + (36 * four + 72 * six) // (MAX_BODY - 72)


def test_what_a_partner_has_no_service_for_is_left_out() -> None:
    (body,) = portions([connection("192.0.2.100", 80), connection("192.0.2.199", 80)])
    assert contents(body, SERVICES) == [connection("192.0.2.100", 80)]


def test_receipts() -> None:
    numbers = tuple(range(1, 2**63, 2**57))[:MOST_RECEIPTS]
    assert confirmed(receipt(numbers)) == numbers
    assert confirmed(b"") == ()
    assert len(receipt(range(MOST_RECEIPTS))) <= MAX_BODY
    with pytest.raises(ValueError, match="receipt"):
        confirmed(b"123")


@given(st.integers(0, 60), st.integers(0, 2**32), st.floats(0, 0.7))
def test_a_delivery_ends_with_everything_taken_whatever_is_lost(
    count: int, seed: int, loss: float
) -> None:
    chance = random.Random(seed)
    delivery = Delivery([b"%d" % n for n in range(count)], until=1000.0, patience=1000.0, heard=0.0)
    now, sequence = 0.0, 0
    received: set[int] = set()
    turns = 0
    while not delivery.over(now):
        turns += 1
        assert turns < 10_000, "it turns without getting on"
        under_way: dict[int, int] = {}
        while (number := delivery.next(now)) is not None:
            sequence += 1
            delivery.sent(number, sequence, now)
            under_way[sequence] = number
        assert len(under_way) <= WINDOW
        for one, number in under_way.items():
            if chance.random() >= loss:
                received.add(number)
                if chance.random() >= loss:
                    delivery.taken((one,), now)
        assert (
            delivery.over(now)
            or delivery.next(now) is not None
            or delivery.wake(now) < AGAIN + 1e-9
        )
        now += max(delivery.wake(now), 0.0001)
    assert received == set(range(count))
    assert now < 1000
    assert delivery.left == 0
    assert delivery.missed() == []


def test_a_delivery_to_nobody_ends_in_time_and_does_not_spin() -> None:
    delivery = Delivery([b"a"] * 50, until=10.5, patience=99.0, heard=10.0)
    now, turns = 10.0, 0
    while not delivery.over(now):
        while (number := delivery.next(now)) is not None:
            delivery.sent(number, turns, now)
            turns += 1
        now += delivery.wake(now) + 0.001  # as the heart rounds up
    assert now == pytest.approx(10.5, abs=0.002)
    assert turns <= WINDOW * (0.5 / AGAIN + 2)
    assert delivery.left == len(delivery.missed()) == 50


def test_an_empty_receipt_ends_it() -> None:
    delivery = Delivery([b"a"], until=10, patience=10, heard=0)
    delivery.taken((99,), 0)
    assert not delivery.over(0)
    delivery.taken((), 0)
    assert delivery.over(0)
    assert delivery.left == 1


def test_who_confirms_nothing_is_not_waited_for_and_who_does_is() -> None:
    delivery = Delivery([b"a"] * 3, until=12.0, patience=0.4, heard=10.0)
    for number in range(3):
        delivery.sent(number, number, 10.0)
    assert not delivery.over(10.39)
    assert delivery.over(10.41)
    delivery.taken((0,), 10.39)
    assert not delivery.over(10.78)
    assert delivery.over(10.8)
    delivery.taken((1,), 11.9)
    assert delivery.over(12.0)


def test_what_is_done_without_a_word_stays_far_below_the_dead_time() -> None:
    for deadtime in (0.03, 0.3, 1.5, 18.0):
        found = limits(deadtime)
        assert found.read <= deadtime / 8
        assert found.stall <= deadtime / 4
        assert found.between <= min(0.25, deadtime / 8)
        # pulse gives a heart three seconds to end.
        assert found.serving + found.stall + found.between < STOP_LIMIT["heart"]


@pytest.mark.parametrize(
    ("readings", "before", "few"),
    [
        ([0.005, 0.005], 1, 0),
        ([0.04, 0.04], 1, -1),  # a busy machine: what has begun meanwhile is looked for
        ([0.3, 0.02, 0.02], 2, -1),
        ([0.3, 0.3], 2, -1),  # a large table: nobody has the addresses while it is read again
        ([0.3, 0.3, 0.3], 2, 0),  # a short one: it is the machine that is slow
    ],
)
def test_the_table_is_read_again_without_addresses_where_there_is_time_for_it(
    readings: list[float], before: int, few: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each reading takes that many seconds; `before` of them happen while somebody serves."""
    monkeypatch.setattr(parting, "FEW", few)
    now, left = 0.0, list(readings)

    def read(*_words: object) -> tuple[list[Connection], bool]:
        nonlocal now
        now += left.pop(0)
        return [], True

    monkeypatch.setattr(parting.sync, "read", read)
    engine, _partner = engines()
    paths = Pathways.__new__(Pathways)  # there is nothing to send
    paths.sockets = []
    one = parting.Parting(engine, paths, Services(api.load(TEXT).config), lambda: now)
    one.hand_over()
    assert len(readings) - len(left) == before
    one.hand_over()
    assert left == []
    assert one.told()[0] == "info"


def engines(now: float = 100.0) -> tuple[Engine, Engine]:
    """A primary that is active and a backup that stands by, which believe each other."""
    made = []
    for role in Role:
        numbers = iter(range(100))
        made.append(
            Engine(
                (KEY,),
                Timing(role, True, 0.5, 1.5),
                bytes(8),
                lambda role=role, numbers=numbers: b"%d-%d" % (role, next(numbers)) + bytes(13),  # type: ignore[misc]  # mypy cannot type defaults
                now,
            )
        )
    one, two = made
    one.start(now, holding=True)
    two.start(now, holding=False)
    talk(one, two, now)
    assert (one.machine.state, two.machine.state) == (State.ACTIVE, State.STANDBY)
    assert one.machine.partner is PeerState.STANDBY
    return one, two


def talk(one: Engine, two: Engine, now: float) -> None:
    for _unused in range(3):
        for sender, receiver in ((one, two), (two, one)):
            now += 0.51
            for effect in sender.tick(now):
                if effect.deed is Deed.SEND:
                    receiver.received(effect.data, now)


def test_connections_are_taken_and_confirmed_then_the_goodbye_is_believed() -> None:
    one, two = engines()
    now = 103.5
    deeds = [effect.deed for effect in one.stop(now)]
    assert deeds == [
        Deed.LOG,
        Deed.HAND_OVER,
        Deed.RELEASE,
        Deed.HAND_OVER,
        *[Deed.GOODBYE] * 3,
    ]
    sequence, data = one.hand(b"portion", now)
    (effect,) = two.received(data, now)
    assert (effect.deed, effect.data, effect.sequence) == (Deed.TAKE, b"portion", sequence)
    assert two.machine.state is State.STANDBY, "nothing has been let go of yet"
    assert two.received(data, now) == [], "the copy from the other path"
    (answer,) = two.take((sequence,), now)
    assert one.confirmed(answer.data, now) == (sequence,)
    assert one.confirmed(answer.data, now) is None, "a replay confirms nothing"
    assert Deed.ACQUIRE in {effect.deed for effect in two.received(one.goodbye(now), now)}


def test_nothing_is_handed_to_a_partner_that_is_not_there() -> None:
    one, _two = engines()
    one.tick(110.0)
    assert Deed.HAND_OVER not in {effect.deed for effect in one.stop(110.0)}


def test_connections_that_were_recorded_are_not_taken() -> None:
    one, two = engines()
    _sequence, data = one.hand(b"portion", 103.5)
    again = engines(200.0)[1]
    for late in (again, two):
        late.woke(203.5)
    two.received(data, 103.5)
    for receiver in (again, two):
        effects = receiver.received(data, 203.5)
        assert Deed.TAKE not in {effect.deed for effect in effects}


def test_a_body_is_signed_and_bounded() -> None:
    one, _two = engines()
    _sequence, data = one.hand(bytes(MAX_BODY), 103.5)
    assert len(data) == MAX_SIZE
    beat = decode(data, (KEY,))
    assert not isinstance(beat, Refused)
    assert (beat.kind, len(beat.body)) == (Kind.CONNECTIONS, MAX_BODY)
    for at in range(0, len(data) * 8, 7):
        bad = bytearray(data)
        bad[at // 8] ^= 1 << at % 8
        assert isinstance(decode(bytes(bad), (KEY,)), Refused), at


def test_a_kind_of_a_later_version_is_a_plain_heartbeat() -> None:
    one, two = engines()
    _sequence, data = one.hand(b"news", 103.5)
    beat = decode(data, (KEY,))
    assert not isinstance(beat, Refused)
    later = encode(replace(beat, kind=9), KEY)  # type: ignore[arg-type]  # no kind of today
    found = decode(later, (KEY,))
    assert not isinstance(found, Refused)
    assert (found.kind, found.body, found.state) == (Kind.PLAIN, b"", PeerState.ACTIVE)
    assert two.received(later, 103.5) == []
    assert two.machine.heard_at == 103.5
