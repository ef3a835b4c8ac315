# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the router's helper would tell nftables. tests/checks tries it on a kernel."""

from __future__ import annotations

from typing import Any

import pytest

from roles.piranha_router.files import piranha_firewall as helper

CHAINS = {"input": "inet filter input", "forward": "inet filter forward"}


def plan(*openings: dict[str, Any], masquerade: tuple[str, ...] = ()) -> dict[str, Any]:
    return {"chains": CHAINS, "openings": list(openings), "masquerade": list(masquerade)}


def opening(**more: Any) -> dict[str, Any]:
    whole = {"hook": "input", "why": "", "protocol": "tcp", "from": [], "to": None, "port": 80}
    return {**whole, **more}


def bare(**more: Any) -> helper.Found:
    return helper.Found({**{chain: [] for chain in CHAINS.values()}, **more}, None)


@pytest.mark.parametrize(
    ("one", "expected"),
    [
        (opening(to="203.0.113.100"), ["ip daddr { 203.0.113.100 } tcp dport 80 accept"]),
        (opening(to="2001:db8::1"), ["ip6 daddr { 2001:db8::1 } tcp dport 80 accept"]),
        (opening(port=0), ["meta l4proto tcp accept"]),
        (
            opening(protocol="udp", port=539, **{"from": ["192.0.2.1", "2001:db8::1"]}),
            [
                "ip saddr { 192.0.2.1 } udp dport 539 accept",
                "ip6 saddr { 2001:db8::1 } udp dport 539 accept",
            ],
        ),
        (
            opening(hook="forward", **{"from": ["192.0.2.21", "192.0.2.22"]}),
            ["ip saddr { 192.0.2.21, 192.0.2.22 } tcp sport 80 accept"],
        ),
    ],
)
def test_an_opening_is_a_rule_for_each_family(one: dict[str, Any], expected: list[str]) -> None:
    assert list(helper.rules(one)) == expected


def test_old_rules_go_and_new_ones_come_in_one_transaction_in_their_order() -> None:
    wanted = plan(opening(port=1), opening(port=2))
    mark = helper.comment(wanted)
    there = helper.Found({"inet filter input": [(7, "piranha:old")], "inet filter forward": []}, [])
    assert helper.script(wanted, there).splitlines() == [
        "delete rule inet filter input handle 7",
        "delete table inet piranha_router",
        f'insert rule inet filter input tcp dport 2 accept comment "{mark}"',
        f'insert rule inet filter input tcp dport 1 accept comment "{mark}"',
    ]


def test_a_chain_that_does_not_exist_is_left_out() -> None:
    found = helper.Found({"inet filter input": [], "inet filter forward": None}, None)
    assert "forward" not in helper.script(plan(opening(hook="forward")), found)
    assert helper.is_right(plan(opening(hook="forward")), found)


def test_what_is_right_is_told_by_comments_and_their_number() -> None:
    wanted = plan(opening(), masquerade=("192.0.2.0/24",))
    mark = helper.comment(wanted)
    rows = {"inet filter input": [(4, mark)], "inet filter forward": []}
    assert helper.is_right(wanted, helper.Found(rows, [mark]))
    assert not helper.is_right(wanted, helper.Found(rows, None))
    assert not helper.is_right(wanted, bare())
    twice = {**rows, "inet filter input": [(4, mark), (5, mark)]}
    assert not helper.is_right(wanted, helper.Found(twice, [mark]))
    assert helper.is_right(None, bare())
    assert not helper.is_right(None, helper.Found(rows, None))


def test_another_plan_has_another_comment() -> None:
    one, two = plan(opening()), plan(opening(), masquerade=("192.0.2.0/24",))
    assert helper.comment(one) == helper.comment(plan(opening()))
    assert helper.comment(one) != helper.comment(two)
