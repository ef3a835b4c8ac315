# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a router has to be like for checks through the virtual address."""

from __future__ import annotations

from dataclasses import replace

import pytest
from piranha.lvsd.surroundings import Surroundings, Trouble, holding, trouble, unconnected

VIP, VIP6 = "192.0.2.100", "2001:db8::100"
SERVER, FAR = "192.0.2.21", "198.51.100.21"

STANDBY = Surroundings(
    (
        holding("127.0.0.1", 8, "lo"),
        holding("192.0.2.1", 24, "eth0"),
        holding("2001:db8::1", 64, "eth0"),
        holding("fe80::1", 64, "eth0"),
        holding("10.9.0.1", 24, "eth1"),
    ),
    accept_local={"eth0": True, "eth1": True, "lo": False},
    rp_filter={"eth0": 1, "eth1": 1, "lo": 0},
    routed={FAR: "eth0", "2001:db8:f::1": "eth0"},
    floating=frozenset({VIP, VIP6}),
)
HELD = (*STANDBY.holdings, holding(VIP, 24, "eth0"), holding(VIP6, 128, "eth0"))
ACTIVE = replace(STANDBY, holdings=(holding(VIP, 24, "eth0"), *HELD))


@pytest.mark.parametrize("around", [STANDBY, ACTIVE])
@pytest.mark.parametrize(
    ("virtual", "server", "source"),
    [
        (VIP, SERVER, "192.0.2.1"),
        (VIP, "10.9.0.21", "10.9.0.1"),
        (VIP, FAR, "192.0.2.1"),
        (VIP6, "2001:db8::21", "2001:db8::1"),
        (VIP6, "2001:db8:f::1", "2001:db8::1"),
        (VIP6, SERVER, "2001:db8::1"),  # IPv6 by a tunnel through IPv4
    ],
)
def test_the_source_is_an_own_address_near_the_server(
    around: Surroundings, virtual: str, server: str, source: str
) -> None:
    assert around.source(virtual, server) == source


def test_all_is_well() -> None:
    for around in (STANDBY, ACTIVE):
        assert trouble(around, VIP, SERVER) is None
        assert trouble(around, VIP, FAR) is None
        assert trouble(around, VIP6, "2001:db8::21") is None


def test_accept_local_is_needed_by_whoever_holds_the_address() -> None:
    off = {"eth0": False, "eth1": False}
    assert trouble(replace(ACTIVE, accept_local=off), VIP, SERVER) == Trouble(
        "answers from 192.0.2.100 are dropped while this router has that address;"
        " set net.ipv4.conf.eth0.accept_local = 1"
    )
    assert trouble(replace(STANDBY, accept_local=off), VIP, SERVER) == Trouble(
        "answers from 192.0.2.100 would be dropped if this router has that address;"
        " set net.ipv4.conf.eth0.accept_local = 1",
        now=False,
    )
    assert trouble(replace(ACTIVE, accept_local=off), VIP6, "2001:db8::21") is None


@pytest.mark.parametrize("around", [STANDBY, ACTIVE])
def test_a_strict_rp_filter_drops_what_comes_in_elsewhere(around: Surroundings) -> None:
    found = trouble(around, VIP, "10.9.0.21")
    assert found == Trouble(
        "answers from 192.0.2.100 come in by eth1 and are dropped, since packets to it leave"
        " by eth0; set net.ipv4.conf.eth1.rp_filter = 2"
    )
    for value in (0, 2):
        loose = replace(around, rp_filter={"eth0": 1, "eth1": value})
        assert trouble(loose, VIP, "10.9.0.21") is None


def test_without_an_address_of_its_own() -> None:
    bare = replace(
        ACTIVE, holdings=tuple(one for one in HELD if one.address != "192.0.2.1"), routed={}
    )
    assert bare.source(VIP, SERVER) == "10.9.0.1"  # any of its own will do, if none is near
    bare = replace(bare, holdings=(holding(VIP, 24, "eth0"), holding("127.0.0.1", 8, "lo")))
    found = trouble(bare, VIP, SERVER)
    assert found is not None
    assert found.words == (
        "this router has no IPv4 address of its own to check 192.0.2.100 from; give it one"
    )


def test_what_needs_a_route() -> None:
    assert unconnected([SERVER, FAR, "10.9.0.5"], STANDBY.holdings) == [FAR]
