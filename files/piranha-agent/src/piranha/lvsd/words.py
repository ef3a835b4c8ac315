# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""What lvsd tells: events as sentences for an operator (the snapshot is in snapshot.py).

Pure. Levels are those of syslog, as control/protocol.py names them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from piranha.core.ipvs.plan import Operation
from piranha.nanny.verdict import State

from .desired import NO_OVERRIDES, Overrides, Verdicts, in_service, weight_of
from .health import Change


def count(number: int, thing: str) -> str:
    """`1 real server`, `2 real servers`."""
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


LISTED = 5
"""Changes of the table that one sentence names; of more it gives the number."""

Event = dict[str, Any]


def event(level: str, text: str, **more: object) -> Event:
    """An event; pulse adds the time."""
    return {"level": level, "text": text, **more}


def change_event(
    change: Change, verdicts: Verdicts, overrides: Overrides = NO_OVERRIDES, *, written: bool = True
) -> Event:
    """Tell which server of which service changed, why, and what follows.

    verdicts: those after the change. written: whether the kernel's table followed.
    """
    virtual, server, verdict = change.virtual, change.server, change.verdict
    about = {"virtual": virtual.name, "server": server.name, "state": verdict.state.value}
    who = f"real server {server} of {virtual}"
    if change.note:
        level = "warning" if verdict.last and verdict.last.outcome.warning else "notice"
        return event(level, f"{who} {change.note}", **about)
    if change.unchecked:
        words = verdict.last.outcome.words if verdict.last else verdict.reason
        return event("err", f"{who} {words}; it stays {verdict.state.value}", **about)
    if server.id in overrides and overrides[server.id] is None:
        # Whoever disabled it knows; that it went down and came back is what maintenance is.
        state = f"{who} is {verdict.state.value}: {verdict.reason}"
        return event("info", f"{state}; it is disabled and stays out", **about)
    left = in_service(virtual, verdicts, overrides)
    effect = _effect(change, weight_of(virtual, server, verdict, overrides))
    parts = [
        effect if written else f"not {effect}, since the table cannot be changed",
        f"{left} of {len(virtual.servers)} servers in service",
    ]
    level = "notice" if verdict.state is State.UP else "warning"
    if left == 0:
        level = "crit"
        if virtual.sorry is not None:
            level = "err"
            parts.append(f"the sorry server {virtual.sorry.address} serves")
    if not written:
        parts = parts[:1]
    text = f"{who} is {verdict.state.value}: {verdict.reason}; {', '.join(parts)}"
    return event(level, text, **about)


def _effect(change: Change, weight: int | None) -> str:
    if change.verdict.state is State.UP:
        return f"admitted with weight {weight}" if weight else "admitted with weight 0 (drained)"
    if weight == 0:
        return "set to weight 0"
    return "removed" if change.before is State.UP else "kept out"


def operations(changes: Sequence[Operation]) -> str:
    """Name a few changes of the table, or count many."""
    if len(changes) <= LISTED:
        return ", ".join(str(change) for change in changes)
    return f"{len(changes)} changes, the first: {changes[0]}"


def drift_event(changes: Sequence[Operation]) -> Event:
    """Somebody else changed our part of the table. `changes`: what puts it right again."""
    return event(
        "warning",
        f"the table was changed by somebody else; putting it right: {operations(changes)}",
        drift=len(changes),
    )
