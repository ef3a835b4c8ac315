# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which services a scope takes, and what becomes of ports that the kernel would ignore."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.piranha.lvs.plugins.module_utils.ipvs.errors import IpvsError
from ansible_collections.piranha.lvs.plugins.module_utils.ipvs.model import (
    Server,
    ServerKey,
    Service,
    ServiceKey,
    Table,
)
from ansible_collections.piranha.lvs.plugins.module_utils.ipvs.plan import plan
from ansible_collections.piranha.lvs.plugins.module_utils.ipvs.scope import Scope, normalise
from hypothesis import given

from .tables import tables

WEB = ServiceKey.by_address("tcp", "192.0.2.1", 80)
DNS = ServiceKey.by_address("udp", "192.0.2.1", 53)
WEB6 = ServiceKey.by_address("tcp", "2001:db8::1", 80)
ELSEWHERE = ServiceKey.by_address("tcp", "198.51.100.1", 80)
MARK, MARK6 = ServiceKey.by_mark(5), ServiceKey.by_mark(5, "ipv6")
OTHER_MARK = ServiceKey.by_mark(6)
ALL = (WEB, DNS, WEB6, ELSEWHERE, MARK, MARK6, OTHER_MARK)


@pytest.mark.parametrize(
    ("restriction", "taken"),
    [
        ({}, ALL),
        ({"addresses": ["192.0.2.1"]}, (WEB, DNS)),
        ({"addresses": ["192.0.2.0/24"]}, (WEB, DNS)),
        ({"addresses": ["192.0.2.0/25", "2001:DB8::/32"]}, (WEB, DNS, WEB6)),
        ({"addresses": ["0.0.0.0/0"]}, (WEB, DNS, ELSEWHERE)),
        ({"addresses": []}, ()),
        ({"protocols": ["udp"]}, (DNS,)),
        ({"protocols": ["tcp"]}, (WEB, WEB6, ELSEWHERE)),
        ({"protocols": ["tcp"], "addresses": ["192.0.2.1"]}, (WEB,)),
        ({"fwmarks": [5]}, (MARK, MARK6)),
        ({"fwmarks": [5], "protocols": ["udp"]}, (DNS, MARK, MARK6)),
        ({"fwmarks": [], "addresses": ["192.0.2.1"]}, (WEB, DNS)),
        ({"fwmarks": [6], "addresses": ["192.0.2.1"], "protocols": ["udp"]}, (DNS, OTHER_MARK)),
    ],
)
def test_a_scope_takes(restriction: dict[str, Any], taken: tuple[ServiceKey, ...]) -> None:
    scope = Scope(**restriction)
    table = Table((Service(key), []) for key in ALL)
    assert tuple(key for key in ALL if key in scope) == taken
    assert scope.of(table) == table.only(taken)
    assert scope.whole == (not restriction)


@pytest.mark.parametrize(
    ("restriction", "sentence"),
    [
        ({"addresses": ["192.0.2.1", "192.0.2.1/24"]}, "restrict.addresses[1]: '192.0.2.1/24' is"),
        ({"addresses": ["web"]}, "restrict.addresses[0]: 'web' is neither an address nor a"),
        ({"addresses": [5]}, "restrict.addresses[0]: 5 is neither an address nor a network"),
        ({"fwmarks": [0]}, "restrict.fwmarks[0]: firewall mark 0 is not a whole number from 1"),
        ({"protocols": ["icmp"]}, "restrict.protocols[0]: protocol 'icmp' is unknown; use tcp"),
    ],
)
def test_a_bad_scope_is_one_sentence(restriction: dict[str, Any], sentence: str) -> None:
    with pytest.raises(IpvsError) as caught:
        Scope(**restriction)
    assert str(caught.value).startswith(sentence)


def one(service: Service, *servers: Server) -> Table:
    return Table([(service, servers)])


DIRECT = Server(ServerKey("198.51.100.1", 8080), 3, "direct", upper=9)
AT_80 = DIRECT.replace(key=ServerKey("198.51.100.1", 80))


def test_a_port_that_direct_routing_ignores_becomes_the_services() -> None:
    table, warnings = normalise(one(Service(WEB), DIRECT))
    assert table == one(Service(WEB), AT_80)
    assert warnings == (
        "virtual service tcp 192.0.2.1:80, real server 198.51.100.1:8080: forwarding by direct "
        "cannot change the port, so the kernel ignores 8080 and packets arrive at port 80; 80 is "
        "used.",
    )


def test_by_mark_the_port_is_the_clients() -> None:
    table, warnings = normalise(one(Service(MARK), DIRECT.replace(forward="tunnel")))
    (server,) = table.servers(MARK)
    assert server.port == 0
    assert "packets arrive at the port that the client asked for; 0 is used." in warnings[0]


def test_nat_has_ports_of_its_own() -> None:
    table = one(Service(WEB), DIRECT.replace(forward="nat"))
    assert normalise(table) == (table, ())


def test_what_is_stored_with_such_a_port_is_left() -> None:
    """Else a table that was read could not be given back without a change."""
    there = one(Service(WEB), DIRECT)
    table, warnings = normalise(there, there)
    assert plan(table, there) == ()
    assert warnings[0].endswith("packets arrive at port 80; it is stored so and left.")
    # What was NAT there is another thing.
    nat = one(Service(WEB), DIRECT.replace(forward="nat"))
    assert normalise(there, nat).table == one(Service(WEB), AT_80)


def test_two_servers_that_become_one_are_refused() -> None:
    with pytest.raises(IpvsError) as caught:
        normalise(one(Service(WEB), DIRECT, AT_80))
    assert str(caught.value) == (
        "virtual service tcp 192.0.2.1:80: real server 198.51.100.1:80 is there twice once its "
        "port is the service's; forwarding by direct routing or tunnel knows one server an address."
    )


@given(tables())
def test_what_is_read_can_be_given_back(table: Table) -> None:
    assert normalise(table, table).table == table
