# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""The heart's state as `piranha status` and all others get it. Pure but for the wall clock."""

from __future__ import annotations

import time
from typing import Any

from piranha.core.lvs_cf.partner_rows import OF_OLD, SIGNED

from .engine import Engine
from .heart_settings import HeartSettings
from .pathways import Pathways
from .wire import Reason
from .word import to_json


def snapshot(
    engine: Engine, settings: HeartSettings, problems: list[str], reason: str, now: float
) -> dict[str, Any]:
    """Give the whole state; times are seconds since the epoch.

    problems: sentences about the addresses. reason: why the machine is in its state.
    now: of the clock that the engine runs on.
    """
    machine, talk = engine.machine, engine.conversation
    wall = time.time() - now
    partner = settings.routes[0].partner if settings.routes else ""
    return {
        "state": machine.state.value,
        "since": round(machine.since + wall, 3),
        "reason": reason,
        "wins": machine.wins,
        "role": settings.role.name.lower(),
        "peer": _peer(engine, settings, wall),
        "holding": engine.holding,
        "addresses": [
            entry.to_json()
            for member in engine.members
            if member.holding
            for entry in settings.groups.get(member.name, ())
        ],
        **({"groups": _groups(engine, settings, wall)} if settings.fos else {}),
        "keepalive": settings.timing.keepalive,
        "deadtime": settings.timing.deadtime,
        "digest": settings.digest.hex(),
        # Public names of the keys, the one to send with first; compare them with the partner's.
        "keys": [key.id.hex() for key in talk.keys if settings.routes and not engine.classic],
        "heartbeat_format": OF_OLD if engine.classic else SIGNED,
        # The second copy of each heartbeat, from the second path, is late: no news.
        "rejected": {
            why.value: count
            for why, count in talk.rejected.items()
            if count and why is not Reason.LATE
        },
        "problems": problems + engine.problems(partner, str(settings.key_file), now),
    }


def links(paths: Pathways, patience: float, now: float) -> list[dict[str, Any]]:
    """Give each path of the heartbeats; times are seconds since the epoch.

    patience: seconds without a heartbeat after which a path counts as dead.
    """
    wall = time.time() - now
    told = []
    for route in paths.routes:
        heard, failing = paths.heard_at(route), paths.failing(route)
        told.append(
            {
                "own": route.own,
                "partner": route.partner,
                "up": heard is not None and now - heard < patience,
                "heard": None if heard is None else round(heard + wall, 3),
                "sending": failing or "ok",
            }
        )
    return told


def _groups(engine: Engine, settings: HeartSettings, wall: float) -> list[dict[str, Any]]:
    """Give each group of failover services as this router and its partner have it."""
    told = []
    for member in engine.members:
        machine = member.machine
        silent = machine.partner is None
        told.append(
            {
                "name": member.name,
                "state": machine.state.value,
                "since": round(machine.since + wall, 3),
                "wins": machine.wins,
                "holding": member.holding,
                "addresses": [one.to_json() for one in settings.groups.get(member.name, ())],
                "partner": "down" if machine.partner is None else machine.partner.name.lower(),
                # A silent partner's last word is no news.
                "services": to_json(None if silent else member.partner_word),
            }
        )
    return told


def _peer(engine: Engine, settings: HeartSettings, wall: float) -> dict[str, Any] | None:
    if not settings.routes:
        return None
    machine = engine.machine
    digest = engine.partner_digest
    return {
        "address": settings.routes[0].partner,
        "state": "down" if machine.partner is None else machine.partner.name.lower(),
        "heard": None if machine.heard_at is None else round(machine.heard_at + wall, 3),
        "digest": None if digest is None else digest.hex(),
        # A silent partner's last word is no news.
        "services": to_json(None if machine.partner is None else engine.members.main.partner_word),
        **_facts(engine),
    }


def _facts(engine: Engine) -> dict[str, Any]:
    """What the partner says of itself; nothing where it is of before there were facts."""
    facts = engine.partner_facts
    if facts is None or engine.machine.partner is None:
        return {}
    return {
        "version": facts.version,
        "able": facts.able,
        "of": facts.of,
        "connections": facts.connections,
        "wants": facts.wants,
    }
