# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which services move together. Pure.

Services with the same `failover_group` do; those without one are a group of their own, the first.
Where there are no names at all, that one has everything: all or nothing, as in the original.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from piranha.pulse.word import from_json

from .board import Board, Role
from .settings import Service


def grouped(services: Iterable[Service]) -> list[tuple[str, tuple[Service, ...]]]:
    """Give the groups by name, each with its services in the order of the file.

    The order is that of the heart (heart_settings.py): the one without a name comes first.
    """
    found: dict[str, list[Service]] = {}
    for one in services:
        found.setdefault(one.group, []).append(one)
    names = sorted(found, key=bool) or [""]
    return [(name, tuple(found.get(name, ()))) for name in names]


def roles(said: Mapping[str, Any]) -> dict[str, Role]:
    """Read what pulse hands on of the heart (pairing.py): a role for each group."""
    listed = said.get("groups")
    partnered = said.get("partnered") is True
    return {
        str(name): _role(one, partnered)
        for name, one in (listed.items() if isinstance(listed, dict) else ())
        if isinstance(one, dict)
    }


def _role(said: Mapping[str, Any], partnered: bool) -> Role:
    partner = said.get("partner")
    return Role(
        holding=said.get("holding") is True,
        partnered=partnered,
        partner=partner if isinstance(partner, str) and partner != "down" else None,
        word=from_json(said.get("word")),
    )


def torn(wanted: Mapping[str, Iterable[Service]], boards: Mapping[str, Board]) -> str:
    """Say why services cannot be grouped like this now; empty where they can.

    Whoever moves from a group that is here to one that is not would be started there before it
    has stopped here.
    """
    at = {e.service.name: name for name, board in boards.items() for e in board.entries}
    for name, listed in wanted.items():
        sources = {at[one.name] for one in listed if one.name in at}
        if name in boards and boards[name].entries:
            sources.add(name)
        here = sorted(one for one in sources if boards[one].role_now.holding)
        there = sorted(sources - set(here))
        if here and there:
            return (
                f"{_label(here[0])} and {_label(there[0])} are on different routers, so their"
                f" services cannot change into one group; let them be on one router first"
                f" (piranha switchover GROUP)"
            )
    return ""


def _label(name: str) -> str:
    return f"group {name}" if name else "the group without a name"
