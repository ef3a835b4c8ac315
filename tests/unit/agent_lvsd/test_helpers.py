# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Helper services: which mark and source port each gets, and that they keep them."""

from __future__ import annotations

import pytest
from piranha.core.ipvs.model import Forward, Server, ServerKey, Service, ServiceKey, Table
from piranha.core.lvs_cf.check_via import HELPER_MARKS
from piranha.lvsd import helpers as helpers_module
from piranha.lvsd.helpers import PORTS, REST, Helper, Helpers, found_in, helpers_of
from piranha.nanny.spec import Through

from .support import GLOBALS, made

EMPTY = Table()


def some(number: int, forward: str = "direct") -> list[Helper]:
    return [("ipv4", Through(f"10.0.{n // 250}.{n % 250 + 1}", forward)) for n in range(number)]


def settled(wanted: list[Helper], actual: Table = EMPTY) -> Helpers:
    found = Helpers()
    found.settle(wanted, actual, 0.0)
    return found


def test_each_has_a_mark_and_a_port_of_its_own_whatever_the_order() -> None:
    wanted = some(3000)
    one, two = settled(wanted), settled(wanted[::-1])
    marks = [one.mark(helper) for helper in wanted]
    assert len(set(marks)) == len({one.port(helper) for helper in wanted}) == 3000
    assert marks == [two.mark(helper) for helper in wanted]
    assert all(mark in HELPER_MARKS for mark in marks)


def test_more_than_there_are_ports_let_the_kernel_choose() -> None:
    wanted = some(len(PORTS) + 10)
    found = settled(wanted)
    ports = [found.port(helper) for helper in wanted]
    assert ports.count(0) == 10
    assert len({found.mark(helper) for helper in wanted}) == len(wanted)


def test_a_place_stays_and_rests_before_another_gets_it() -> None:
    first, second = some(2)
    found = settled([first])
    mark = found.mark(first)
    assert mark is not None
    clash = next(  # a server that would get the same place, were it free
        helper
        for helper in some(60000)
        if helper != first and settled([helper]).mark(helper) == mark
    )
    found.settle([first, second, clash], EMPTY, 1.0)
    assert found.mark(first) == mark != found.mark(clash)
    moved = found.mark(clash)
    found.settle([clash], EMPTY, 2.0)
    assert found.mark(clash) == moved
    found.settle([], EMPTY, 3.0)
    found.settle([clash], EMPTY, 2.0 + REST - 1)
    assert found.mark(clash) not in (mark, moved)
    found.settle([], EMPTY, 2.0 + REST)
    found.settle([clash], EMPTY, 3.0 + 3 * REST)
    assert found.mark(clash) == mark


def test_another_set_of_helpers_is_not_served_until_it_is_settled() -> None:
    one, two = some(2)
    found = settled([one])
    assert found.serves([one])
    assert not found.serves([one, two])
    assert not found.serves([])
    found.settle([one, two], EMPTY, 1.0)
    assert found.serves([two, one])


def test_the_table_holds_one_server_each_and_is_read_back_after_a_restart() -> None:
    wanted = [
        *some(2),
        ("ipv6", Through("2001:db8::1", "direct")),
        ("ipv4", Through("10.0.0.1", "tunnel", ("gue", 6080, "csum"))),
        ("ipv6", Through("10.0.0.1", "tunnel")),
    ]
    table = settled(wanted).table()
    assert {helper for _mark, helper in found_in(table)} == set(wanted)
    for key in table:
        (server,) = table.servers(key).values()
        assert (server.weight, server.key.port) == (1, 0)
    # Another history gave other places; after a restart they are found in the table.
    shifted = Table(
        (Service(ServiceKey.by_mark(HELPER_MARKS[number], key.family), "rr"), list(entries))
        for number, (key, entries) in enumerate((key, table.servers(key).values()) for key in table)
    )
    again = settled(wanted, shifted)
    assert sorted(key.fwmark for key in again.table()) == list(HELPER_MARKS[: len(wanted)])


def test_a_mark_that_means_something_else_is_left_alone() -> None:
    (helper,) = some(1)
    mark = settled([helper]).mark(helper)
    assert mark is not None
    servers = [Server(ServerKey(f"192.0.2.{n}", 80), 1, Forward.NAT) for n in (1, 2)]
    foreign = Table([(Service(ServiceKey.by_mark(mark), "wlc"), servers)])
    assert settled([helper], foreign).mark(helper) != mark


def test_some_services_of_the_table() -> None:
    wanted = some(3)
    found = settled(wanted)
    key = found.key(wanted[1])
    assert key is not None
    assert list(found.table({key})) == [key]
    assert not found.table(set())


def test_where_all_marks_are_taken_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = some(3)
    monkeypatch.setattr(helpers_module, "HELPER_MARKS", HELPER_MARKS[:2])
    monkeypatch.setattr(helpers_module, "PORTS", PORTS[:1])
    found = settled(wanted)
    assert sorted(found.mark(helper) is None for helper in wanted) == [False, False, True]
    assert len(found.table()) == 2


DIRECT = """\
virtual web {
    active = 1
    address = 203.0.113.100 eth0:1
    port = 80
    forward = FORWARD
    check_via = virtual
    EXTRA
    server one {
        address = 192.0.2.21
        active = 1
    }
}
"""


def test_what_a_layout_needs() -> None:
    text = DIRECT.replace("FORWARD", "direct").replace("EXTRA", "")
    again = text.replace("web", "more").replace("port = 80", "port = 443")
    laid = made(f"{GLOBALS}{text}{again}")
    watches = [server.watch for _one, server in laid.servers()]
    assert helpers_of(watches) == {("ipv4", Through("192.0.2.21", "direct"))}
    checks = {(watch.check.address, watch.check.port) for watch in watches}  # type: ignore[union-attr]
    assert checks == {("203.0.113.100", 80), ("203.0.113.100", 443)}
    assert laid.floating == {"203.0.113.100"}


def test_one_check_for_services_that_share_address_server_and_parameters() -> None:
    text = DIRECT.replace("FORWARD", "direct").replace("EXTRA", "")
    marked = text.replace("web", "marked").replace(
        "active = 1\n    addr", "active = 1\n    fwmark = 7\n    addr"
    )
    watches = {server.watch for _one, server in made(f"{GLOBALS}{text}{marked}").servers()}
    assert len(watches) == 1


def test_a_tunnel_is_part_of_the_way() -> None:
    extra = "tunnel_type = gue\n    tunnel_port = 6080"
    laid = made(GLOBALS + DIRECT.replace("FORWARD", "tunnel").replace("EXTRA", extra))
    (helper,) = helpers_of(server.watch for _one, server in laid.servers())
    assert helper == ("ipv4", Through("192.0.2.21", "tunnel", ("gue", 6080, "nocsum")))


def test_check_port_and_the_ports_of_several() -> None:
    text = DIRECT.replace("FORWARD", "direct").replace("port = 80", "ports = [ 80 443 ]")
    laid = made(GLOBALS + text.replace("EXTRA", ""))
    ports = [server.watch.check.port for _one, server in laid.servers()]  # type: ignore[union-attr]
    assert ports == [80, 443]
    laid = made(GLOBALS + DIRECT.replace("FORWARD", "direct").replace("EXTRA", "check_port = 9"))
    assert [server.watch.check.port for _one, server in laid.servers()] == [9]  # type: ignore[union-attr]
