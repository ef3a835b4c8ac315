# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""What `piranha status` and all others get of fos. Pure."""

from __future__ import annotations

from typing import Any

from .board import Board, Entry
from .watching import watched

OTHER = "elsewhere"
"""The state of a service that runs on the partner, as far as it is known here."""


def snapshot(board: Board, wall: float, now: float) -> dict[str, Any]:
    """Give the whole state. wall: the epoch's time at the clock's zero."""
    checked = {service.name for service in watched(board.entries, board.role_now)}
    return {
        "services": [_service(board, entry, wall, checked) for entry in board.entries],
        "moving": board.moving,
        "released": board.released,
        "problems": board.problems(),
        "word": board.word(now)._asdict(),
    }


def _service(board: Board, entry: Entry, wall: float, checked: set[str]) -> dict[str, Any]:
    service = entry.service
    return {
        "name": service.name,
        "address": service.address,
        "port": service.port,
        "protocol": service.protocol,
        "state": entry.phase.value,
        "since": round(entry.since + wall, 3),
        "reason": entry.reason,
        "restarts": entry.restarts,
        "critical": service.critical,
        "failed": entry.failed,
        "checked_from_here": service.name in checked and service.watch is not None,
    }
