# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Marking rules as nftables has them: the text for `nft -f`, and what `nft -j list table` tells.

Pure. All is in one table of our own, with a map for each kind of key, so that a packet costs four
look-ups however many services there are. The table is replaced whole in one transaction: no packet
meets half of it, and nothing of anybody else is named in it.
"""

from __future__ import annotations

import hashlib
import ipaddress
import json
from collections.abc import Iterable
from typing import Any

from .rules import EVERY_PORT, Found, Rule

TABLE = "inet piranha_marks"
CHAIN = "prerouting"
LIST = ("-j", "list", "table", *TABLE.split())
LOAD = ("-f", "-")
ABSENT = "No such file or directory"

REMOVAL = f"add table {TABLE}\ndelete table {TABLE}\n"
"""Takes all of ours away, also where nothing is there."""

_NUMBERS = {6: "tcp", 17: "udp", 132: "sctp"}

# Map -> type of its keys, and the packet's fields that are looked up in it. The precise ones last.
_MAPS = {
    "whole4": ("ipv4_addr . inet_proto", "ip daddr . meta l4proto"),
    "whole6": ("ipv6_addr . inet_proto", "ip6 daddr . meta l4proto"),
    "ports4": ("ipv4_addr . inet_proto . inet_service", "ip daddr . meta l4proto . th dport"),
    "ports6": ("ipv6_addr . inet_proto . inet_service", "ip6 daddr . meta l4proto . th dport"),
}


def text(rules: Iterable[Rule]) -> str:
    """Give the whole table as the input of `nft -f -`."""
    elements: dict[str, list[str]] = {name: [] for name in _MAPS}
    for rule in sorted(rules):
        key = [rule.address, rule.protocol]
        if rule.port != EVERY_PORT:
            key.append(str(rule.port))
        elements[_map_of(rule)].append(f"{' . '.join(key)} : {rule.mark:#010x}")
    lines = []
    for name, (key_type, _fields) in _MAPS.items():
        lines.append(f"map {name} {{ type {key_type} : mark;")
        if elements[name]:
            lines.append(f"  elements = {{ {', '.join(elements[name])} }};")
        lines.append("}")
    # Behind those who mark for routing and the like: what IPVS gets to see is the last mark.
    lines.append(f"chain {CHAIN} {{ type filter hook prerouting priority mangle + 5;")
    lines += [f"  meta mark set {fields} map @{name};" for name, (_type, fields) in _MAPS.items()]
    lines.append("}")
    return f"{REMOVAL}table {TABLE} {{\n" + "\n".join(lines) + "\n}\n"


def _map_of(rule: Rule) -> str:
    return ("whole" if rule.port == EVERY_PORT else "ports") + rule.family[-1]


def parse(listing: str) -> Found:
    """Read what `nft -j list table` printed. ValueError where that is not its JSON.

    Rules that cannot be read count as missing, and then the table is not whole.
    """
    rules: set[Rule] = set()
    lookups: list[str] = []
    hooked = dormant = False
    strange = 0
    told = []
    for entry in _entries(listing):
        ((kind, body),) = entry.items()
        if kind == "metainfo":
            continue
        told.append(_without_handle(body))
        if kind == "table":
            dormant = "dormant" in json.dumps(body.get("flags", ""))
        elif kind == "chain":
            hooked = body.get("name") == CHAIN and body.get("hook") == CHAIN
            strange += not hooked
        elif kind == "rule":
            lookups.append(json.dumps(body.get("expr")))
        elif kind == "map" and body.get("name") in _MAPS:
            for element in body.get("elem", ()):
                if (rule := _rule(element)) is None:
                    strange += 1
                else:
                    rules.add(rule)
        else:
            strange += 1
    complete = len(lookups) == len(_MAPS) and all(
        f'"@{name}"' in lookup and '"mangle"' in lookup
        for name, lookup in zip(_MAPS, lookups, strict=True)
    )
    words = json.dumps(told, sort_keys=True)
    whole = hooked and complete and not dormant and not strange
    return Found(frozenset(rules), whole, hashlib.sha256(words.encode()).hexdigest())


def _entries(listing: str) -> list[dict[str, Any]]:
    try:
        entries = list(json.loads(listing)["nftables"])
        sound = all(len(entry) == 1 and all(map(_is_body, entry.values())) for entry in entries)
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError("it lacks what nft's JSON has") from error
    if not sound:
        raise ValueError("it has something else than nft's JSON")
    return entries


def _is_body(value: object) -> bool:
    return isinstance(value, dict)


def _without_handle(body: dict[str, Any]) -> dict[str, Any]:
    """Leave out the number that the kernel gives, and the order of elements, which is its too."""
    kept = {key: value for key, value in body.items() if key != "handle"}
    if isinstance(kept.get("elem"), list):
        kept["elem"] = sorted(kept["elem"], key=json.dumps)
    return kept


def _rule(element: Any) -> Rule | None:
    try:
        key, mark = element
        address, protocol, *port = key["concat"]
        return Rule(
            str(ipaddress.ip_address(address)),
            _NUMBERS.get(protocol, str(protocol)),
            int(port[0]) if port else EVERY_PORT,
            int(mark, 0) if isinstance(mark, str) else int(mark),
        )
    except (ValueError, TypeError, KeyError):
        return None
