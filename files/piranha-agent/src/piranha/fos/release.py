# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stops what fos has started, after fos and pulse have died: for `piranha release`.

It needs nothing but fos.json; lvs.cf may be broken by then.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

from piranha.commands.runner import Runner, choose

from . import hands, record
from .board import Entry, Phase

Patience = Callable[[float], None]
"""Told before each service how many seconds its stop may take."""

AROUND = 10.0
"""Seconds beside stop_timeout: what is left is killed, its port looked at, systemd asked."""


def stop_all(
    run_dir: Path, runner: Runner | None = None, patience: Patience = lambda _seconds: None
) -> list[str]:
    """Stop every service that may run, the last one first; gives a sentence for each that did not.

    What has stopped is noted at once, so that whoever comes after does not stop it again.
    """
    entries = [
        Entry(one.service, one.phase, one.since, restarts=one.restarts)
        for one in record.read(run_dir)
    ]
    if all(entry.phase is Phase.STOPPED for entry in entries):
        return []
    return asyncio.run(_stop_all(run_dir, entries, runner or choose(), patience))


async def _stop_all(
    run_dir: Path, entries: list[Entry], runner: Runner, patience: Patience
) -> list[str]:
    problems = []
    for entry in reversed(entries):
        if entry.phase is Phase.STOPPED:
            continue
        patience(2 * entry.service.stop_timeout + AROUND)
        ran = entry.phase is Phase.RUNNING
        result = await hands.stop(runner, entry.service, "stopped", ran=ran)
        entry.phase, entry.since = (Phase.STOPPED if result.ok else Phase.STUCK), time.time()
        if not result.ok:
            problems.append(
                f"failover service {entry.service} could not be stopped: {result.words}"
            )
        record.write(run_dir, entries, 0.0)
    return problems
