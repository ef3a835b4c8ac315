# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Marking rules as text for nft, and what its JSON tells; tests/checks has a real kernel."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given
from piranha.marks import nft
from piranha.marks.rules import Rule, Rules, marked

from .strategies import rules

SHOP = marked(0x50ABCDEF, "192.0.2.100", "tcp", (80, 443))

_FIELDS = {
    "ip daddr": {"payload": {"protocol": "ip", "field": "daddr"}},
    "ip6 daddr": {"payload": {"protocol": "ip6", "field": "daddr"}},
    "meta l4proto": {"meta": {"key": "l4proto"}},
    "th dport": {"payload": {"protocol": "th", "field": "dport"}},
}


def listing(text: str) -> list[dict[str, Any]]:
    """What nft 1.0.6 lists after it has loaded such a text, as seen on a machine."""
    own = {"family": "inet", "table": "piranha_marks"}
    told: list[dict[str, Any]] = [{"metainfo": {"version": "1.0.6", "json_schema_version": 1}}]
    told.append({"table": {"family": "inet", "name": "piranha_marks", "handle": 2}})
    for name, types, elements in re.findall(
        r"map (\w+) { type ([^:]+) : mark;\n(?:  elements = { ([^}]+) };\n)?}", text
    ):
        body = {**own, "name": name, "type": types.split(" . "), "handle": 9, "map": "mark"}
        if elements:
            body["elem"] = []
            for element in elements.split(", "):
                key, mark = element.split(" : ")
                parts: list[object] = list(key.split(" . "))
                if len(parts) == 3:
                    parts[2] = int(str(parts[2]))
                body["elem"].append([{"concat": parts}, int(mark, 16)])
        told.append({"map": body})
    (chain,) = re.findall(r"chain (\w+) ", text)
    hook = {"type": "filter", "hook": "prerouting", "prio": -145, "policy": "accept"}
    told.append({"chain": {**own, "name": chain, "handle": 1, **hook}})
    for fields, name in re.findall(r"meta mark set (.+) map @(\w+);", text):
        key = {"concat": [_FIELDS[field] for field in fields.split(" . ")]}
        value = {"map": {"key": key, "data": f"@{name}"}}
        mangle = {"mangle": {"key": {"meta": {"key": "mark"}}, "value": value}}
        told.append({"rule": {**own, "chain": chain, "handle": 6, "expr": [mangle]}})
    return told


def parsed(told: list[dict[str, Any]]) -> nft.Found:
    return nft.parse(json.dumps({"nftables": told}))


def test_the_text_is_one_transaction_about_our_table_alone() -> None:
    text = nft.text(SHOP | {Rule("2001:db8::1", "udp", 0, 7)})
    lines = text.splitlines()
    assert lines[:3] == [
        "add table inet piranha_marks",
        "delete table inet piranha_marks",
        "table inet piranha_marks {",
    ]
    shop = [f"192.0.2.100 . tcp . {port} : 0x50abcdef" for port in (80, 443)]
    assert f"  elements = {{ {shop[0]}, {shop[1]} }};" in lines
    assert "  elements = { 2001:db8::1 . udp : 0x00000007 };" in lines
    # The precise keys last, since the last mark counts.
    assert [line.split("@")[1] for line in lines if "meta mark set" in line] == [
        "whole4;",
        "whole6;",
        "ports4;",
        "ports6;",
    ]
    assert set(re.findall(r"table (\S+ \S+)", text)) == {"inet piranha_marks"}


@given(rules)
def test_what_is_written_is_what_is_read(wanted: Rules) -> None:
    found = parsed(listing(nft.text(wanted)))
    assert (found.rules, found.whole) == (wanted, True)


def test_handles_and_order_are_the_kernels_and_no_difference() -> None:
    told = listing(nft.text(SHOP))
    seal = parsed(told).seal
    for entry in told:
        ((kind, body),) = entry.items()
        if kind == "map" and "elem" in body:
            body["elem"].reverse()
        if "handle" in body:
            body["handle"] += 100
    assert parsed(told).seal == seal != ""


def change(what: str, told: list[dict[str, Any]]) -> None:
    """Do something to a listing that others could do to the table."""
    own = {"family": "inet", "table": "piranha_marks"}
    rule = next(n for n, entry in enumerate(told) if "rule" in entry)
    chain = next(entry["chain"] for entry in told if "chain" in entry)
    if what == "a rule less":
        del told[rule]
    elif what == "another order":
        told[rule], told[rule + 2] = told[rule + 2], told[rule]
    elif what == "a rule more":
        told.append({"rule": {**own, "chain": "prerouting", "expr": [{"accept": None}]}})
    elif what == "another verdict":
        told[rule]["rule"]["expr"] = [{"match": {"right": "@whole4"}}, {"drop": None}]
    elif what == "another hook":
        chain["hook"] = "postrouting"
    elif what == "no hook":
        del chain["hook"]
    elif what == "another chain":
        told.append({"chain": {**own, "name": "mine"}})
    elif what == "asleep":
        told[1]["table"]["flags"] = ["dormant"]
    elif what == "a set":
        told.append({"set": {**own, "name": "mine", "type": "mark"}})
    elif what == "an element that cannot be read":
        ports = next(e["map"] for e in told if e.get("map", {}).get("name") == "ports4")
        ports["elem"].append([{"concat": ["192.0.2.1", "tcp", {"range": [1, 2]}]}, 5])


@pytest.mark.parametrize(
    "what",
    [
        "a rule less",
        "another order",
        "a rule more",
        "another verdict",
        "another hook",
        "no hook",
        "another chain",
        "asleep",
        "a set",
        "an element that cannot be read",
    ],
)
def test_a_table_that_somebody_changed_is_not_whole(what: str) -> None:
    told = listing(nft.text(SHOP))
    before = parsed(told)
    change(what, told)
    after = parsed(told)
    assert (after.rules, after.whole) == (SHOP, False)
    assert after.seal != before.seal


def test_numbers_and_words_of_other_versions_mean_the_same() -> None:
    told = listing(nft.text(SHOP))
    ports = next(e["map"] for e in told if e.get("map", {}).get("name") == "ports4")
    ports["elem"] = [[{"concat": ["192.0.2.100", 6, "80"]}, "0x50abcdef"]]
    assert parsed(told).rules == {Rule("192.0.2.100", "tcp", 80, 0x50ABCDEF)}


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "null", '{"nftables": 1}', '{"nftables": [1]}', '{"nftables": [{"a": 1}]}'],
)
def test_what_is_no_listing_is_told(text: str) -> None:
    with pytest.raises(ValueError, match=r"nft's JSON|Expecting"):
        nft.parse(text)
