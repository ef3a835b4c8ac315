# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""What lvsd tells: events as sentences for an operator, and the snapshot for `status`.

Pure. Levels are those of syslog, as control/protocol.py names them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from piranha.core.ipvs.plan import Operation
from piranha.nanny.verdict import State, Verdict

from .desired import NO_OVERRIDES, Overrides, Verdicts, in_service, needs_sorry, weight_of
from .health import Change
from .layout import Layout, RealServer, VirtualService


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
    if change.unchecked:
        words = verdict.last.outcome.words if verdict.last else verdict.reason
        return event("err", f"{who} {words}; it stays {verdict.state.value}", **about)
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


def snapshot(
    layout: Layout, verdicts: Verdicts, clock: tuple[float, float], overrides: Overrides
) -> list[dict[str, Any]]:
    """Give the state of all virtual services. clock: the monotonic time and the epoch's, now."""
    offset = clock[1] - clock[0]
    return [_virtual(virtual, verdicts, offset, overrides) for virtual in layout.virtual]


def _virtual(
    virtual: VirtualService, verdicts: Verdicts, offset: float, overrides: Overrides
) -> dict[str, Any]:
    key = virtual.key
    sorry = virtual.sorry
    return {
        "name": virtual.name,
        "address": key.address or None,
        "port": key.port,
        "protocol": key.protocol or None,
        "fwmark": key.fwmark or None,
        "scheduler": virtual.service.scheduler,
        "forward": str(virtual.forward),
        "in_service": in_service(virtual, verdicts, overrides),
        "sorry": {"address": sorry.address, "serves": needs_sorry(virtual, verdicts, overrides)}
        if sorry
        else None,
        "servers": [
            _server(virtual, server, verdicts[server.id], offset, overrides)
            for server in virtual.servers
        ],
    }


def _server(
    virtual: VirtualService,
    server: RealServer,
    verdict: Verdict,
    offset: float,
    overrides: Overrides,
) -> dict[str, Any]:
    weight = weight_of(virtual, server, verdict, overrides)
    last = verdict.last
    drained = verdict.state is State.UP and weight == 0
    return {
        "name": server.name,
        "address": server.id.server.address,
        "port": server.id.server.port,
        "state": "DRAIN" if drained else verdict.state.value,
        "weight": weight,
        "configured_weight": server.weight,
        "reason": verdict.reason,
        "since": round(verdict.since + offset, 3),
        "last_check": _check(verdict, offset) if last else None,
    }


def _check(verdict: Verdict, offset: float) -> dict[str, Any] | None:
    if verdict.last is None:
        return None
    return {
        "at": round(verdict.last.at + offset, 3),
        "seconds": round(verdict.last.seconds, 6),
        "result": verdict.last.outcome.finding.value,
        "answer": verdict.last.outcome.words,
    }
