# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the real server's helper would tell the kernel, in which order, and back again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from roles.piranha_realserver.files import piranha_realserver as helper

DIRECT: dict[str, Any] = {
    "virtual_addresses": ["203.0.113.100", "2001:db8::100"],
    "tunnels": [],
    "gateway": None,
    "route": "default",
    "services": [],
}
NAT: dict[str, Any] = {
    "virtual_addresses": [],
    "tunnels": [],
    "gateway": "192.0.2.254",
    "route": "default",
    "services": [{"address": "192.0.2.21", "protocol": "tcp", "port": 80}],
}
IGNORE, ANNOUNCE = "net/ipv4/conf/all/arp_ignore", "net/ipv4/conf/all/arp_announce"
BARE = {("sysctl", IGNORE, "0"), ("sysctl", ANNOUNCE, "0")}
FORMER = {IGNORE: "0", ANNOUNCE: "0"}


def tunnel(kind: str, address: str = "192.0.2.21", **more: Any) -> dict[str, Any]:
    whole = {"type": kind, "port": 0, "checksum": False, "address": address}
    return {**whole, "virtual_addresses": ["203.0.113.100"], **more}


def words(
    plan: dict[str, Any] | None, part: str = "addresses", before: Any = None, state: Any = None
) -> list[str]:
    """Give the steps from a state (or from what `before` has made) to a plan."""
    items = helper.items_of(plan, part) if plan else []
    made = helper.items_of(before, part) if before else []
    there = state if state is not None else {item.fact for item in made}
    return [str(step) for step in helper.steps(items, made, there, FORMER)]


def test_silence_comes_before_the_addresses() -> None:
    assert words(DIRECT, state=BARE) == [
        f"{IGNORE} = 1",
        f"{ANNOUNCE} = 2",
        "ip -4 address add 203.0.113.100/32 dev lo scope host",
        "ip -6 address add 2001:db8::100/128 dev lo preferred_lft 0",
    ]


def test_the_addresses_go_before_the_silence() -> None:
    assert words(None, before=DIRECT) == [
        "ip -6 address del 2001:db8::100/128 dev lo",
        "ip -4 address del 203.0.113.100/32 dev lo",
        f"{ANNOUNCE} = 0",
        f"{IGNORE} = 0",
    ]


def test_what_is_there_is_left_alone() -> None:
    assert words(DIRECT, before=DIRECT) == []
    there = {*BARE, ("address", "203.0.113.100", "lo")}
    assert "203.0.113.100" not in " ".join(words(DIRECT, state=there))


def test_a_changed_plan_touches_what_differs_only() -> None:
    other = {**DIRECT, "virtual_addresses": ["203.0.113.101", "2001:db8::100"]}
    assert words(other, before=DIRECT) == [
        "ip -4 address del 203.0.113.100/32 dev lo",
        "ip -4 address add 203.0.113.101/32 dev lo scope host",
    ]


def test_an_address_that_is_not_ours_stays() -> None:
    there = {*BARE, ("address", "198.51.100.7", "eth0")}
    assert "198.51.100.7" not in " ".join(words(DIRECT, state=there))
    assert words(None, state=there) == []


def test_a_parameter_that_others_have_changed_meanwhile_is_theirs() -> None:
    there = {("sysctl", IGNORE, "8"), ("sysctl", ANNOUNCE, "2")}
    assert words(None, before=DIRECT, state=there) == [f"{ANNOUNCE} = 0"]


def test_ipv6_alone_needs_no_parameter() -> None:
    assert words({**DIRECT, "virtual_addresses": ["2001:db8::100"]}, state=set()) == [
        "ip -6 address add 2001:db8::100/128 dev lo preferred_lft 0"
    ]


@pytest.mark.parametrize(
    ("ends", "expected"),
    [
        (
            [tunnel("ipip")],
            ["ip link add name lvs-ipip type ipip local 192.0.2.21"],
        ),
        (
            [tunnel("ipip", virtual_addresses=["2001:db8::100"])],
            ["ip link add name lvs-sit type sit local 192.0.2.21"],
        ),
        (
            [tunnel("ipip", "2001:db8::21")],
            ["ip link add name lvs-ip6tnl type ip6tnl mode any local 2001:db8::21"],
        ),
        (
            [tunnel("gue", port=6080)],
            [
                "ip fou add port 6080 gue",
                "ip link add name lvs-ipip type ipip local 192.0.2.21",
            ],
        ),
        (
            [tunnel("gre")],
            ["ip link add name lvs-gre type gre local 192.0.2.21"],
        ),
        (
            [tunnel("gre", checksum=True)],
            ["ip link add name lvs-grec type gre icsum local 192.0.2.21"],
        ),
        (
            [tunnel("gre", "2001:db8::21")],
            ["ip link add name lvs-ip6gre type ip6gre local 2001:db8::21"],
        ),
        (
            # Two kinds share a device, and a second address gets its own.
            [tunnel("gue", port=6080), tunnel("ipip"), tunnel("ipip", "192.0.2.22")],
            [
                "ip fou add port 6080 gue",
                "ip link add name lvs-ipip type ipip local 192.0.2.21",
                "ip link add name lvs-ipip2 type ipip local 192.0.2.22",
            ],
        ),
    ],
)
def test_tunnels_end_before_the_addresses_come(ends: list[Any], expected: list[str]) -> None:
    plan = {**DIRECT, "tunnels": ends}
    steps = words(plan, state=BARE)
    made = [step for step in steps if " add port " in step or " link add " in step]
    assert ("modprobe fou" in steps) == any(end["type"] == "gue" for end in ends)
    assert made == expected
    device = expected[-1].split()[4]
    assert f"net/ipv4/conf/{device}/rp_filter = 2" in steps
    assert steps.index(f"ip link set {device} up") < steps.index(
        "ip -4 address add 203.0.113.100/32 dev lo scope host"
    )
    # The filter of ways back lets nothing in by a device without an address.
    if "sit" not in device:
        place = f"ip -4 address add 203.0.113.100/32 dev {device} scope host"
        assert steps.index(f"ip link set {device} up") < steps.index(place)
    away = words(None, before=plan)
    assert away.index("ip -4 address del 203.0.113.100/32 dev lo") < away.index(
        f"ip link del {device}"
    )
    assert len([step for step in away if "link del" in step or "fou del" in step]) == len(made)


def test_every_device_name_fits_the_kernel() -> None:
    kinds = [
        tunnel(kind, address, checksum=checksum)
        for kind in ("ipip", "gre")
        for address in ("192.0.2.1", "192.0.2.2", "2001:db8::1", "2001:db8::2")
        for checksum in (True, False)
    ]
    items = helper.address_items({**DIRECT, "tunnels": kinds})
    names = [item.fact[1] for item in items if item.fact[0] == "link"]
    assert len(names) == len(set(names))
    assert max(map(len, names)) <= 15


def test_more_parameters_come_before_the_addresses() -> None:
    plan = {**DIRECT, "sysctls": {"net.ipv4.conf.all.rp_filter": 2}}
    assert words(plan, state=BARE)[2] == "net/ipv4/conf/all/rp_filter = 2"


def test_the_default_route_comes_and_goes() -> None:
    assert words(NAT, "routes") == ["ip -4 route replace default via 192.0.2.254"]
    assert words(None, "routes", NAT) == ["ip -4 route del default via 192.0.2.254"]
    assert words(NAT, "addresses") == []


def test_a_policy_sends_answers_of_services_alone() -> None:
    policy = {**NAT, "route": "policy"}
    rule = "priority 539 from 192.0.2.21 ipproto tcp sport 80 lookup 539"
    assert words(policy, "routes") == [
        "ip -4 route replace default via 192.0.2.254 table 539",
        f"ip -4 rule add {rule}",
    ]
    # From one way to the other: the default route goes first.
    assert words(policy, "routes", NAT)[0] == "ip -4 route del default via 192.0.2.254"
    assert words(None, "routes", policy) == [
        f"ip -4 rule del {rule}",
        "ip -4 route del default via 192.0.2.254 table 539",
    ]


def test_an_interruption_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a step fails, what was made before it is still known, and is removed later."""
    monkeypatch.setattr(helper, "RUN", str(tmp_path))
    monkeypatch.setattr(helper, "sysctl", lambda name: "0")
    monkeypatch.setattr(helper, "SYSCTLS", str(tmp_path))
    (tmp_path / "net/ipv4/conf/all").mkdir(parents=True)
    there: list[str] = []

    def run(argv: tuple[str, ...]) -> str:
        if "-json" in argv:
            entries = [{"local": address} for address in there]
            found = [{"ifname": "lo", "addr_info": entries}]
            return json.dumps(found if "address" in argv else [])
        if "2001:db8::100/128" in argv and "add" in argv:
            raise helper.Trouble("no more addresses")
        address = argv[4].split("/")[0]
        (there.append if "add" in argv else there.remove)(address)
        return ""

    monkeypatch.setattr(helper, "run", run)
    with pytest.raises(helper.Trouble):
        helper.carry_out("addresses", DIRECT)
    assert there == ["203.0.113.100"]
    helper.carry_out("addresses", None)
    assert there == []
    assert not (tmp_path / "addresses.json").exists()


def tunnelled(mtu: int, *tunnels: dict[str, Any]) -> dict[str, Any]:
    return {**DIRECT, "tunnels": list(tunnels), "mtu": mtu}


@pytest.mark.parametrize(
    ("one", "size"),
    [
        (tunnel("ipip"), 1440),
        (tunnel("gre"), 1436),
        (tunnel("gre", checksum=True), 1432),
        (tunnel("gue", port=6080), 1428),
        (tunnel("gue", port=6080, checksum=True), 1420),
        (tunnel("ipip", "2001:db8:2::21"), 1420),
        (tunnel("ipip", virtual_addresses=["2001:db8::100"]), 1420),
    ],
)
def test_a_segment_fits_with_all_that_a_tunnel_adds(one: dict[str, Any], size: int) -> None:
    assert list(helper.segment_sizes(tunnelled(1500, one)).values()) == [size]


def test_answers_tell_what_fits_for_tunnelled_addresses_alone_and_only_on_request() -> None:
    plan = tunnelled(1500, tunnel("ipip"), tunnel("gre"))
    (step,) = words(plan, "mss", state=set())
    assert "ip saddr 203.0.113.100 tcp flags & (syn | rst) == syn" in step
    assert "maxseg size set 1436" in step, "the longest of its tunnels counts"
    assert "2001:db8::100" not in step, "that one is reached by direct routing"
    assert words({**plan, "mtu": 0}, "mss", state=set()) == []
    assert words({**DIRECT, "mtu": 1500}, "mss", state=set()) == []
    assert words(plan, "mss", before=plan) == []
    other = {**plan, "mtu": 1400}
    removed, added = words(other, "mss", before=plan)
    assert removed == "nft delete table inet piranha_realserver"
    assert "maxseg size set 1336" in added
    assert words(None, "mss", before=plan) == [removed]


def test_a_plan_of_an_earlier_release_has_no_such_answers() -> None:
    assert helper.items_of({**DIRECT, "tunnels": [tunnel("ipip")]}, "mss") == []
