# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the router's helper would tell firewalld. tests/checks tries it on a firewalld."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree

import pytest

from roles.piranha_router.files import piranha_firewall
from roles.piranha_router.files import piranha_firewalld as helper

IN, THROUGH = helper.ENDS


def opening(**more: Any) -> dict[str, Any]:
    whole = {"hook": "input", "why": "", "protocol": "tcp", "from": [], "to": None, "port": 80}
    return {**whole, **more}


def plan(*openings: dict[str, Any], masquerade: tuple[str, ...] = ()) -> dict[str, Any]:
    return {"openings": list(openings), "masquerade": list(masquerade)}


WEB = opening(to="203.0.113.100")


@pytest.mark.parametrize(
    ("one", "expected"),
    [
        (
            WEB,
            [
                'rule family="ipv4" destination address="203.0.113.100" '
                'port port="80" protocol="tcp" accept'
            ],
        ),
        (
            opening(port=0, to="2001:db8::1"),
            ['rule family="ipv6" destination address="2001:db8::1" protocol value="tcp" accept'],
        ),
        (
            opening(protocol="udp", port=539, **{"from": ["192.0.2.1", "2001:db8::1"]}),
            [
                'rule family="ipv4" source address="192.0.2.1" '
                'port port="539" protocol="udp" accept',
                'rule family="ipv6" source address="2001:db8::1" '
                'port port="539" protocol="udp" accept',
            ],
        ),
        (
            opening(hook="forward", **{"from": ["192.0.2.21"]}),
            [
                'rule family="ipv4" source address="192.0.2.21" '
                'source-port port="80" protocol="tcp" accept'
            ],
        ),
        (
            opening(),
            [
                'rule family="ipv4" port port="80" protocol="tcp" accept',
                'rule family="ipv6" port port="80" protocol="tcp" accept',
            ],
        ),
    ],
)
def test_an_opening_is_a_rule_for_each_address_or_family(
    one: dict[str, Any], expected: list[str]
) -> None:
    assert [str(rule) for rule in helper.of_opening(one)] == expected


def test_the_file_says_what_the_rules_say() -> None:
    rules = helper.policies(plan(WEB, masquerade=("192.0.2.0/24",)))
    root = ElementTree.fromstring(helper.text_of(THROUGH, rules[THROUGH]))  # noqa: S314 - our own
    assert [element.tag for element in root[4]] == ["source", "destination", "masquerade"]
    assert root[4][1].attrib == {"invert": "True", "address": "192.0.2.0/24"}
    assert [zone.attrib["name"] for zone in root if zone.tag.endswith("zone")] == ["ANY", "ANY"]
    assert str(rules[THROUGH][0]).endswith('destination NOT address="192.0.2.0/24" masquerade')


def test_a_policy_that_is_new_or_goes_takes_a_reload_and_a_rule_none() -> None:
    wanted = helper.policies(plan(WEB))
    text = helper.text_of(IN, wanted[IN])
    rule = str(wanted[IN][0])
    bare = helper.steps(wanted, {IN: None, THROUGH: None}, {IN: None, THROUGH: None})
    assert (list(bare.write), bare.reload, bare.calls) == ([IN], True, [])
    right = helper.steps(wanted, {IN: text, THROUGH: None}, {IN: [rule], THROUGH: None})
    assert right.said() == []
    other = helper.steps(wanted, {IN: "old", THROUGH: None}, {IN: ["old rule"], THROUGH: None})
    assert not other.reload
    assert other.calls == [
        [f"--policy={IN}", "--remove-rich-rule=old rule"],
        [f"--policy={IN}", f"--add-rich-rule={rule}"],
    ]
    gone = helper.steps({}, {IN: text, THROUGH: None}, {IN: [rule], THROUGH: None})
    assert (gone.remove, gone.reload) == ([IN], True)


def test_what_firewalld_does_and_what_it_will_do_are_both_put_right() -> None:
    wanted = helper.policies(plan(WEB))
    text, rule = helper.text_of(IN, wanted[IN]), str(wanted[IN][0])
    only_now = helper.steps(wanted, {IN: None, THROUGH: None}, {IN: [rule], THROUGH: None})
    assert (list(only_now.write), only_now.reload, only_now.calls) == ([IN], False, [])
    only_later = helper.steps(wanted, {IN: text, THROUGH: None}, {IN: None, THROUGH: None})
    assert (only_later.write, only_later.reload) == ({}, True)


def test_services_are_kept_out_of_tracking_and_nobody_else() -> None:
    chains = {"input": "inet filter input", "forward": "inet filter forward"}
    beside = {
        "chains": chains,
        "openings": [],
        "masquerade": [],
        "untracked": [
            WEB,
            opening(hook="forward", **{"from": ["192.0.2.21"]}),
            opening(port=0),
            opening(port=0, hook="forward", **{"from": ["192.0.2.21"]}),
        ],
    }
    found = piranha_firewall.Found(dict.fromkeys(chains.values()), None)
    mark = piranha_firewall.comment(beside)
    assert piranha_firewall.untracked(beside) == [
        "ip daddr { 203.0.113.100 } tcp dport 80 notrack",
        "ip saddr { 192.0.2.21 } tcp sport 80 notrack",
    ]
    assert "hook prerouting priority raw" in piranha_firewall.script(beside, found)
    assert not piranha_firewall.is_right(beside, found)
    assert piranha_firewall.is_right(beside, found._replace(table=[mark, mark]))
    assert piranha_firewall.is_right({**beside, "untracked": []}, found)
