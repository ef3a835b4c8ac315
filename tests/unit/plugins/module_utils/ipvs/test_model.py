# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""The values of the IPVS model: what they make of input, what they refuse and how they say it."""

from __future__ import annotations

import copy
import ipaddress
import pickle
from collections.abc import Callable

import pytest
from ansible_collections.piranha.lvs.plugins.module_utils.ipvs.errors import IpvsError
from ansible_collections.piranha.lvs.plugins.module_utils.ipvs.model import (
    Forward,
    Server,
    ServerKey,
    Service,
    ServiceKey,
    Table,
)
from hypothesis import given
from hypothesis import strategies as st

from .tables import servers, services, tables

WEB = ServiceKey.by_address("tcp", "192.0.2.1", 80)
WEB6 = ServiceKey.by_address("tcp", "2001:db8::1", 80)
ONE = ServerKey("198.51.100.1", 80)


def test_keys_normalise_addresses() -> None:
    assert ServiceKey.by_address("udp", "2001:DB8:0::0:1", 53) == (
        "ipv6",
        "udp",
        "2001:db8::1",
        53,
        0,
    )
    assert ServerKey("2001:0db8::0001", 1).address == "2001:db8::1"
    assert str(WEB) == "tcp 192.0.2.1:80"
    assert str(WEB6) == "tcp [2001:db8::1]:80"
    assert str(ServiceKey.by_mark(7, "ipv6")) == "mark 7 (ipv6)"


def test_a_key_can_be_given_by_all_its_fields() -> None:
    assert ServiceKey("ipv4", "tcp", "192.0.2.1", 80) == WEB
    assert ServiceKey("ipv6", "", "", 0, 5) == ServiceKey.by_mark(5, "ipv6")


# An IPv4 address in IPv6 form is refused, in a test below.
@given(st.ip_addresses().filter(lambda address: getattr(address, "ipv4_mapped", None) is None))
def test_an_address_is_the_same_however_it_is_written(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    assert ServerKey(str(address), 1) == ServerKey(address.exploded.upper(), 1)


def test_masks_and_flags_have_one_form() -> None:
    assert Service(WEB, persistence=1, mask=24) == Service(WEB, persistence=1, mask="255.255.255.0")
    assert Service(WEB6, persistence=1, mask="064") == Service(WEB6, persistence=1, mask=64)
    assert Service(WEB, mask=24).mask == "255.255.255.255"  # means nothing without persistence
    assert Service(WEB, "sh", flags=["flag-2", "sh-fallback"]).flags == ("sh-fallback", "sh-port")
    assert Service(WEB, "rr", flags=["flag-3", "flag-1"]).flags == ("flag-1", "flag-3")


def test_values_cannot_change() -> None:
    server = Server(ONE)
    with pytest.raises(AttributeError):
        server.weight = 5  # type: ignore[misc]
    with pytest.raises(AttributeError):
        server.colour = 5  # type: ignore[attr-defined]
    table = Table([(Service(WEB), [server])])
    with pytest.raises(TypeError):
        table[WEB].servers[ONE] = server  # type: ignore[index]


@given(st.one_of(services(), servers("ipv4"), servers("ipv6")))
def test_values_survive_copying_and_pickling(value: Service | Server) -> None:
    assert pickle.loads(pickle.dumps(value)) == value  # noqa: S301 - our own bytes
    again = copy.deepcopy(value)
    assert again == value
    assert type(again) is type(value)
    assert value.replace() == value


def test_replace_validates() -> None:
    with pytest.raises(IpvsError, match="weight -1"):
        Server(ONE).replace(weight=-1)


@given(tables())
def test_a_table_is_its_parts_in_any_order(table: Table) -> None:
    turned = Table(
        (entry.service, list(reversed(entry.servers.values())))
        for entry in reversed(list(table.values()))
    )
    assert turned == table
    some = list(table)[::2]
    assert {**table.only(some), **table.without(some)} == dict(table)
    assert set(table.only(some)) == set(some)


REFUSED: list[tuple[Callable[[], object], str]] = [
    (
        lambda: ServiceKey.by_address("tcp", "192.0.2.300", 80),
        "virtual service tcp 192.0.2.300:80: '192.0.2.300' is no IPv4 or IPv6 address; "
        "write it like 192.0.2.1 or 2001:db8::1, without zone or prefix.",
    ),
    (lambda: ServiceKey.by_address("tcp", "fe80::1%eth0", 80), "is no IPv4 or IPv6 address"),
    (lambda: ServiceKey.by_address("tcp", "192.0.2.0/24", 80), "is no IPv4 or IPv6 address"),
    (lambda: ServiceKey.by_address("tcp", 3221225985, 80), "is no IPv4 or IPv6 address"),  # type: ignore[arg-type]
    (
        lambda: ServiceKey.by_address("icmp", "192.0.2.1", 80),
        "protocol 'icmp' is unknown; use tcp, udp, sctp.",
    ),
    (
        lambda: ServiceKey.by_address("tcp", "192.0.2.1", 65536),
        "port 65536 is not a whole number from 0 to 65535.",
    ),
    (lambda: ServiceKey.by_address("tcp", "192.0.2.1", "80"), "port '80' is not a whole number"),  # type: ignore[arg-type]
    (lambda: ServiceKey.by_address("tcp", "192.0.2.1", True), "port True is not a whole number"),
    (lambda: ServiceKey.by_mark(0), "firewall mark 0 is not a whole number from 1 to 4294967295."),
    (lambda: ServiceKey.by_mark(1, "ipv5"), "family 'ipv5' is unknown; use ipv4, ipv6."),
    (lambda: ServiceKey("ipv4", "tcp", "192.0.2.1", 80, 5), "give either the mark or the others."),
    (lambda: ServiceKey("ipv6", "tcp", "192.0.2.1", 80), "its address is not of family 'ipv6'."),
    (lambda: Service(WEB, "Round Robin"), "'Round Robin' cannot be the name of a scheduler"),
    (lambda: Service(WEB, "abcdefghijklmnop"), "use up to 15 small letters and digits"),
    (lambda: Service(WEB, engine="../sip"), "cannot be the name of a persistence engine"),
    (
        lambda: Service(WEB, "rr", flags=["sh-port"]),
        "scheduler rr does not have all of the flags sh-port; use flag-1, flag-2, flag-3.",
    ),
    (
        lambda: Service(WEB, persistence=-1),
        "persistence -1 is not a whole number from 0 to 2678400.",
    ),
    (lambda: Service(WEB, mask="255.255"), "'255.255' is no mask for ipv4 clients"),
    (lambda: Service(WEB, mask=33), "'33' is no mask for ipv4 clients"),
    (lambda: Service(WEB6, mask=0), "'0' is no mask for ipv6 clients; use a length from 1 to 128."),
    (
        lambda: ServiceKey.by_address("tcp", "::ffff:192.0.2.1", 80),
        "virtual service tcp [::ffff:192.0.2.1]:80: '::ffff:192.0.2.1' is an IPv4 address in IPv6 "
        "form, which no packet carries; write 192.0.2.1.",
    ),
    (lambda: ServerKey("::FFFF:c633:6401", 80), "which no packet carries; write 198.51.100.1."),
    (lambda: Service(WEB6, mask="ffff::"), "'ffff::' is no mask for ipv6 clients"),
    (
        lambda: Service(WEB, one_packet=True),
        "one-packet scheduling does not work with tcp; use it with udp or a firewall mark only.",
    ),
    (
        lambda: Server(ONE, -1),
        "real server 198.51.100.1:80: weight -1 is not a whole number from 0 to 2147483647.",
    ),
    (lambda: Server(ONE, 1, "route"), "forwarding method 'route' is unknown; use nat, direct"),
    (lambda: Server(ONE, upper=2**31), "upper threshold 2147483648 is not a whole number"),
    (
        lambda: Server(ONE, upper=5, lower=6),
        "the lower threshold 6 is above the upper one 5; "
        "give a lower threshold that is not higher than the upper one.",
    ),
    (
        lambda: Server(ONE, forward="nat", tunnel="gre"),
        "tunnel settings do nothing with forwarding by nat; leave them out.",
    ),
    (lambda: Server(ONE, forward="tunnel", tunnel="vxlan"), "use ipip, gue, gre."),
    (lambda: Server(ONE, forward="tunnel", tunnel="gue"), "a gue tunnel needs a port"),
    (lambda: Server(ONE, forward="tunnel", tunnel_port=5), "an ipip tunnel has no port"),
    (
        lambda: Server(ONE, forward="tunnel", tunnel_checksum="csum"),
        "an ipip tunnel has no checksum",
    ),
    (
        lambda: Table([(Service(WEB6), [Server(ONE, forward=Forward.DIRECT)])]),
        "virtual service tcp [2001:db8::1]:80: real server 198.51.100.1:80 is ipv4 and the service "
        "is ipv6, which forwarding by direct cannot join; "
        "use forwarding by tunnel or an address of the service's family.",
    ),
    (lambda: Table([(Service(WEB), []), (Service(WEB, "rr"), [])]), "it is there twice"),
    (
        lambda: Table([(Service(WEB), [Server(ONE), Server(ONE, 2)])]),
        "real server 198.51.100.1:80 is there twice; keep one of the two.",
    ),
]


@pytest.mark.parametrize(("make", "sentence"), REFUSED)
def test_refusals_are_one_sentence(make: Callable[[], object], sentence: str) -> None:
    with pytest.raises(IpvsError) as caught:
        make()
    text = str(caught.value)
    assert sentence in text
    assert "\n" not in text
    assert text.endswith(".")


def test_families_may_differ_by_tunnel() -> None:
    table = Table([(Service(WEB6), [Server(ONE, forward="tunnel")])])
    assert table.servers(WEB6)[ONE].key.family == "ipv4"
    assert not table.servers(WEB)
