# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""The failover services of a status as rows for people; pure. render.py puts them in a table."""

from __future__ import annotations

from typing import Any

HEADS = ("failover service", "address", "state", "restarts", "checked", "why")


def heads(fos: dict[str, Any]) -> tuple[str, ...]:
    """Give the heads of the columns; groups are told where there are any."""
    return (HEADS[0], "group", *HEADS[1:]) if _grouped(fos) else HEADS


def rows(fos: dict[str, Any], ago: dict[str, str]) -> list[tuple[str, ...]]:
    """Give a row for each service. ago: since when each has its state, in words, by its name."""
    grouped = _grouped(fos)
    return [
        (
            str(one.get("name", "?")),
            *((str(one.get("group") or "-"),) if grouped else ()),
            _place(one),
            _state(one),
            str(one.get("restarts", "?")),
            "yes" if one.get("checked_from_here") else "no",
            f"{one.get('reason') or ''}{ago.get(str(one.get('name')), '')}",
        )
        for one in listed(fos)
    ]


def listed(fos: dict[str, Any]) -> list[dict[str, Any]]:
    """Give the services of fos' part of a status."""
    found = fos.get("services")
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def moving(fos: dict[str, Any]) -> list[str]:
    """Say what is on its way to the partner, where something is."""
    told = []
    for one in _groups(fos):
        if why := one.get("moving"):
            label = f"group {one['name']} is " if one.get("name") else ""
            told += [f"{label}going to the partner: {why}", ""]
    return told


def places(heart: dict[str, Any], fos: dict[str, Any]) -> list[tuple[str, ...]]:
    """Give a row for each group: its state here, and what the partner is for it."""
    if not _grouped(fos):
        return []
    return [
        (
            str(one.get("name") or "(none)"),
            str(one.get("state", "?")).upper(),
            str(one.get("partner", "?")).upper(),
            ", ".join(str(a.get("address", "?")) for a in one.get("addresses") or ()),
        )
        for one in _groups(heart)
    ]


PLACES = ("group", "here", "partner", "addresses")


def _grouped(fos: dict[str, Any]) -> bool:
    return any(one.get("name") for one in _groups(fos))


def _groups(state: dict[str, Any]) -> list[dict[str, Any]]:
    found = state.get("groups")
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def _place(one: dict[str, Any]) -> str:
    address = str(one.get("address", "?"))
    shown = f"[{address}]" if ":" in address else address
    return f"{one.get('protocol') or 'tcp'} {shown}:{one.get('port', '?')}"


def _state(one: dict[str, Any]) -> str:
    state = str(one.get("state", "?")).upper()
    return f"{state} (failed)" if one.get("failed") else state
