# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""The failover services of a status as rows for people; pure. render.py puts them in a table."""

from __future__ import annotations

from typing import Any

HEADS = ("failover service", "address", "state", "restarts", "checked", "why")


def rows(fos: dict[str, Any], ago: dict[str, str]) -> list[tuple[str, ...]]:
    """Give a row for each service. ago: since when each has its state, in words, by its name."""
    return [
        (
            str(one.get("name", "?")),
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
    """Say that all is on its way to the partner, where it is."""
    why = fos.get("moving")
    return [f"going to the partner: {why}", ""] if why else []


def _place(one: dict[str, Any]) -> str:
    address = str(one.get("address", "?"))
    shown = f"[{address}]" if ":" in address else address
    return f"{one.get('protocol') or 'tcp'} {shown}:{one.get('port', '?')}"


def _state(one: dict[str, Any]) -> str:
    state = str(one.get("state", "?")).upper()
    return f"{state} (failed)" if one.get("failed") else state
