# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""What lvsd tells: events as sentences for an operator (the snapshot is in snapshot.py).

Pure. Levels are those of syslog, as control/protocol.py names them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from piranha.core.ipvs.model import ServiceKey
from piranha.core.ipvs.plan import Operation
from piranha.nanny.verdict import State

from .health import Change
from .layout import VirtualService
from .pool import NO_OVERRIDES, NOTHING, Overrides, Pool, Standing, Verdicts, pool


def count(number: int, thing: str) -> str:
    """`1 real server`, `2 real servers`."""
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


LISTED = 5
"""Changes of the table that one sentence names; of more it gives the number."""

Event = dict[str, Any]


def event(level: str, text: str, **more: object) -> Event:
    """An event; pulse adds the time."""
    return {"level": level, "text": text, **more}


def change_events(
    changes: Iterable[Change], verdicts: Verdicts, overrides: Overrides, *, written: bool
) -> Iterator[Event]:
    """Tell several changes; see `change_event`. Each service is decided about once."""
    known: dict[ServiceKey, Pool] = {}
    for change in changes:
        virtual = change.virtual
        if virtual.key not in known:
            known[virtual.key] = pool(virtual, verdicts, overrides)
        yield change_event(change, verdicts, overrides, known[virtual.key], written=written)


def change_event(
    change: Change,
    verdicts: Verdicts,
    overrides: Overrides = NO_OVERRIDES,
    decided: Pool | None = None,
    *,
    written: bool = True,
) -> Event:
    """Tell which server of which service changed, why, and what follows.

    verdicts: those after the change. decided: what follows for its service, if that is known.
    written: whether the kernel's table followed.
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
    ordered = overrides.get(server.id, NOTHING)
    if ordered.out or ordered.up:
        # Whoever ordered it knows; that it goes down and comes back is what maintenance is.
        state = f"{who} is {verdict.state.value}: {verdict.reason}"
        stays = "disabled and stays out" if ordered.out else "forced up and stays in service"
        return event("info", f"{state}; it is {stays}", **about)
    if decided is None:
        decided = pool(virtual, verdicts, overrides)
    left = decided.in_service
    effect = _effect(change, decided.weights.get(server), decided)
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


def pool_event(virtual: VirtualService, decided: Pool) -> Event:
    """Tell that a pool has fallen below its quorum, what follows, or that it is well again."""
    servers = f"{decided.well} of the {virtual.quorum} servers that its quorum asks for"
    about = {"virtual": virtual.name, "pool": decided.standing.value}
    if decided.standing is Standing.MET:
        text = f"virtual service {virtual} has its quorum again: {count(decided.well, 'server')}"
        return event("notice", text, **about)
    follows = {
        Standing.OPEN: "fail_open keeps those whose checks fail in service with their weights",
        Standing.SORRY: "the sorry server serves",
        Standing.SHORT: "those go on alone" if decided.well else "nobody serves",
    }[decided.standing]
    text = f"virtual service {virtual} has only {servers}: {follows}"
    return event("crit", text, **about)


def _effect(change: Change, weight: int | None, decided: Pool) -> str:
    if change.verdict.state is not State.UP and weight:
        return f"kept in service with weight {weight} by fail_open"
    if decided.standing is Standing.SORRY and weight == 0:
        return "set to weight 0, since the sorry server serves"
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
