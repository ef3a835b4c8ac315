# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""fos.json in the run folder: what runs here, for the next fos and whoever lets go in its place.

A service that was started outlives fos and pulse. This file is how it is found again: written
before each command and after, whole or not at all. It counts for this boot only.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from piranha.files import replace

from .board import Entry, Phase
from .settings import Service

FILE = "fos.json"
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")

_KNOWN = {"stopped": Phase.STOPPED, "running": Phase.RUNNING}
"""Whoever finds another phase finds a command that nobody waited for: unknown."""


@dataclass(frozen=True)
class Recorded:
    """One service as it was noted. since: seconds since the epoch. service: how to stop it."""

    service: Service
    phase: Phase
    since: float
    restarts: int = 0


def write(run_dir: Path, entries: Iterable[Entry], wall: float) -> None:
    """Note all services; OSError where that fails. wall: the epoch's time at the clock's zero."""
    content = {
        "boot": _boot(),
        "services": [
            {
                "name": entry.service.name,
                "phase": entry.phase.value,
                "since": entry.since + wall,
                "restarts": entry.restarts,
                "stop": list(entry.service.stop),
                "stop_timeout": entry.service.stop_timeout,
                "address": entry.service.address,
                "port": entry.service.port,
                "protocol": entry.service.protocol,
                "group": entry.service.group,
            }
            for entry in entries
        ],
    }
    replace(run_dir / FILE, json.dumps(content))


def read(run_dir: Path) -> list[Recorded]:
    """Give what was noted since this machine booted; what makes no sense counts as absent."""
    try:
        content = json.loads((run_dir / FILE).read_bytes())
        if content["boot"] != _boot():
            return []
        return [_recorded(one) for one in content["services"]]
    except (OSError, ValueError, KeyError, TypeError):
        return []


def may_run(run_dir: Path) -> bool:
    """Tell whether a failover service may run on this machine."""
    return any(one.phase is not Phase.STOPPED for one in read(run_dir))


def _recorded(data: dict[str, Any]) -> Recorded:
    service = Service(
        name=str(data["name"]),
        address=str(data["address"]),
        port=int(data["port"]),
        protocol=str(data["protocol"]),
        stop=tuple(str(word) for word in data["stop"]),
        stop_timeout=float(data["stop_timeout"]),
        group=str(data.get("group", "")),
    )
    phase = _KNOWN.get(str(data["phase"]), Phase.UNKNOWN)
    return Recorded(service, phase, float(data["since"]), int(data["restarts"]))


def _boot() -> str:
    try:
        return BOOT_ID.read_text(encoding="ascii").strip()
    except OSError:
        return ""
