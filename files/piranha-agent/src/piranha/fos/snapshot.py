# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""What `piranha status` and all others get of fos. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from .board import Board, Entry
from .watching import watched


def snapshot(boards: Iterable[Board], wall: float, now: float) -> dict[str, Any]:
    """Give the whole state. boards: of all groups. wall: the epoch's time at the clock's zero."""
    boards = list(boards)
    return {
        "services": [one for board in boards for one in _services(board, wall)],
        "groups": [_group(board, now) for board in boards],
        "problems": [problem for board in boards for problem in board.problems()],
    }


def _group(board: Board, now: float) -> dict[str, Any]:
    return {
        "name": board.group,
        "holding": board.role_now.holding,
        "moving": board.moving,
        "released": board.released,
        "asked": board.asked,
        "word": board.word(now)._asdict(),
    }


def _services(board: Board, wall: float) -> list[dict[str, Any]]:
    checked = {service.name for service in watched(board.entries, board.role_now)}
    return [_service(board.group, entry, wall, checked) for entry in board.entries]


def _service(group: str, entry: Entry, wall: float, checked: set[str]) -> dict[str, Any]:
    service = entry.service
    return {
        "name": service.name,
        "group": group,
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
