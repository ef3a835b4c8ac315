# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a router does its work after a change: pure decisions about a status.

This is less than "all is well": a partner that is away, or has another lvs.cf because its turn
comes later, says nothing of what was changed here. And it is more: what was found before the change
counts for nothing.
"""

from __future__ import annotations

from typing import Any

from piranha.lvsd.overrides import ENABLED, FORCED_UP
from piranha.nanny.verdict import State

from .render import parts, runs_fos, services

ROLES = ("active", "standby")
"""States of the heart in which a router is of use."""
AT_REST = ("running", "stopped")
"""States of a failover service in which nothing is to be waited for."""


def missing(found: dict[str, Any], since: float) -> list[str]:
    """Give what a router still lacks, a sentence each; empty when it does its work.

    found: a status. since: seconds since the epoch; checks that began before it count for nothing.
    """
    told = parts(found)
    state = (found.get("heart") or {}).get("state")
    if not told and state not in ROLES:
        told.append(f"the router is {state or 'neither active nor standby'}")
    if runs_fos(found):
        return told + _unrest(found.get("fos") or {})
    every = (_unserved(service, since) for service in services(found))
    return told + [sentence for sentence in every if sentence]


def _unrest(fos: dict[str, Any]) -> list[str]:
    told = []
    for service in fos.get("services") or ():
        state = "failed" if service.get("failed") else service.get("state")
        if state not in AT_REST:
            because = f": {service['reason']}" if service.get("reason") else ""
            told.append(f"failover service {service.get('name')} is {state}{because}")
    return told


def _unserved(service: dict[str, Any], since: float) -> str:
    """Give a sentence where a virtual service has servers that ought to serve, and none does."""
    meant = [server for server in service.get("servers") or () if _is_meant(server)]
    if not meant or any(_serves(server, since) for server in meant):
        return ""
    each = "; ".join(f"{server.get('name')}: {_words(server, since)}" for server in meant)
    return f"virtual service {service.get('name')} has no real server in service ({each})"


def _is_meant(server: dict[str, Any]) -> bool:
    """Whether file and people want it to serve."""
    override = server.get("override") or {}
    weight = override.get("weight")
    wanted = server.get("configured_weight") if weight is None else weight
    return bool(wanted) and _mode(server) in (ENABLED, FORCED_UP)


def _mode(server: dict[str, Any]) -> str:
    return str((server.get("override") or {}).get("mode", ENABLED))


def _serves(server: dict[str, Any], since: float) -> bool:
    if server.get("state") != State.UP.value or not server.get("weight"):
        return False
    check = server.get("last_check")
    return (
        check is None
        or _mode(server) == FORCED_UP
        or (check["at"] >= since and check.get("result") == "good")
    )


def _words(server: dict[str, Any], since: float) -> str:
    check = server.get("last_check")
    if check is None:
        return str(server.get("reason") or "not checked yet")
    if check["at"] < since:
        return "not checked again yet"
    return str(check.get("answer") or server.get("reason"))
