# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""What `status` shows of virtual services and real servers, as mappings for JSON.

Pure. Every time in it is in seconds since the epoch, so that whoever reads it knows how old each
value is: `at` of the last check, `since` of the state, `counted_at` of the connections.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from piranha.core.ipvs.codec import Counters, ServerRow
from piranha.nanny.verdict import State, Verdict

from . import overrides as orders
from .desired import Overrides, Verdicts, in_service, needs_sorry, weight_of
from .layout import RealServer, ServerId, VirtualService
from .overrides import Imposed

MAINT, DRAIN = "MAINT", "DRAIN"


@dataclass(frozen=True)
class Load:
    """What the kernel counted of one real server, and when (epoch)."""

    row: ServerRow
    at: float


@dataclass(frozen=True)
class View:
    """All that is shown of one moment.

    offset: seconds from the monotonic clock's time to the epoch's. loads: what was counted.
    """

    verdicts: Verdicts
    imposed: Mapping[ServerId, Imposed]
    offset: float
    loads: Mapping[ServerId, Load] = field(default_factory=dict)

    @property
    def overrides(self) -> Overrides:
        """As desired.py takes them."""
        return orders.weights(self.imposed)


def summary(services: Iterable[VirtualService], view: View) -> dict[str, Any]:
    """Give the numbers that are told every second, however large the table."""
    table = view.overrides
    states: Counter[str] = Counter()
    empty = []
    number = 0
    for virtual in services:
        number += 1
        left = 0
        for server in virtual.servers:
            verdict = view.verdicts[server.id]
            weight = weight_of(virtual, server, verdict, table)
            states[_state(verdict, weight, view.imposed.get(server.id))] += 1
            left += bool(weight)
        if left == 0 and virtual.servers:
            empty.append(virtual.name)
    return {"services": number, "servers": dict(states), "without_server": empty}


def services(wanted: Iterable[VirtualService], view: View) -> list[dict[str, Any]]:
    """Give everything about some virtual services."""
    table = view.overrides
    return [_virtual(virtual, view, table) for virtual in wanted]


def _virtual(virtual: VirtualService, view: View, table: Overrides) -> dict[str, Any]:
    key = virtual.key
    sorry = virtual.sorry
    serves = sorry is not None and needs_sorry(virtual, view.verdicts, table)
    return {
        "name": virtual.name,
        "address": key.address or None,
        "port": key.port,
        "protocol": key.protocol or None,
        "fwmark": key.fwmark or None,
        "scheduler": virtual.service.scheduler,
        "forward": str(virtual.forward),
        "in_service": in_service(virtual, view.verdicts, table),
        "sorry": {"address": sorry.address, "serves": serves} if sorry else None,
        "servers": [server_state(virtual, server, view, table) for server in virtual.servers],
    }


def server_state(
    virtual: VirtualService, server: RealServer, view: View, table: Overrides
) -> dict[str, Any]:
    """Give everything about one real server of one virtual service."""
    verdict = view.verdicts[server.id]
    weight = weight_of(virtual, server, verdict, table)
    imposed = view.imposed.get(server.id)
    state = _state(verdict, weight, imposed)
    note = imposed.note if imposed else None
    ordered = imposed is not None and imposed.mode is not None and note is not None
    return {
        "name": server.name,
        "address": server.id.server.address,
        "port": server.id.server.port,
        "state": state,
        "health": verdict.state.value,
        "weight": weight,
        "configured_weight": server.weight,
        "reason": _reason(verdict, imposed),
        "since": note.at if ordered and note else round(verdict.since + view.offset, 3),
        "override": {
            "mode": imposed.mode_name,
            "weight": imposed.weight.value if imposed.weight else None,
            **note._asdict(),
        }
        if imposed and note
        else None,
        "last_check": _check(verdict, view.offset),
        "load": _load(view.loads.get(server.id)),
    }


def _state(verdict: Verdict, weight: int | None, imposed: Imposed | None) -> str:
    mode = imposed.mode_name if imposed else orders.ENABLED
    if mode == orders.DISABLED:
        return MAINT
    if verdict.state is State.UP and weight == 0:
        return DRAIN
    return verdict.state.value


def _reason(verdict: Verdict, imposed: Imposed | None) -> str:
    note = imposed.note if imposed else None
    if imposed is None or note is None:
        return verdict.reason
    if imposed.mode is not None:
        said = f"{imposed.mode_name} by {note.by}"
    else:
        said = f"weight ordered by {note.by}"
    because = f" ({note.reason})" if note.reason else ""
    return f"{said}{because}; {verdict.reason}"


def _check(verdict: Verdict, offset: float) -> dict[str, Any] | None:
    if verdict.last is None:
        return None
    return {
        "at": round(verdict.last.at + offset, 3),
        "seconds": round(verdict.last.seconds, 6),
        "result": verdict.last.outcome.finding.value,
        "answer": verdict.last.outcome.words,
    }


def _load(load: Load | None) -> dict[str, Any] | None:
    if load is None:
        return None
    row = load.row
    return {
        "counted_at": round(load.at, 3),
        "active": row.active,
        "inactive": row.inactive,
        "persistent": row.persistent,
        **(row.counters._asdict() if isinstance(row.counters, Counters) else {}),
    }
