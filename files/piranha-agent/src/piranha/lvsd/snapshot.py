# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""What `status` shows of virtual services and real servers, as mappings for JSON.

Pure. Every time in it is in seconds since the epoch, so that whoever reads it knows how old each
value is: `at` of the last check, `since` of the state, `counted_at` of the connections.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from piranha.core.ipvs.codec import Counters, ServerRow
from piranha.core.ipvs.model import ServiceKey
from piranha.nanny.outcome import Result
from piranha.nanny.verdict import State, Verdict

from . import overrides as orders
from .desired import sorry_serves
from .layout import RealServer, ServerId, VirtualService
from .overrides import Imposed
from .pool import Overrides, Pool, Standing, Verdicts, pool

MAINT, DRAIN = "MAINT", "DRAIN"


@dataclass(frozen=True)
class Load:
    """What the kernel counted of one real server, and when (epoch)."""

    row: ServerRow
    at: float


@dataclass(frozen=True)
class View:
    """All that is shown of one moment.

    offset: seconds from the monotonic clock's time to the epoch's. last: gives the last result of
    a server's check. loads: what was counted. busy: gives what load_monitor knows of a server.
    """

    verdicts: Verdicts
    imposed: Mapping[ServerId, Imposed]
    offset: float
    last: Callable[[RealServer], Result | None]
    loads: Mapping[ServerId, Load] = field(default_factory=dict)
    busy: Callable[[RealServer, float], dict[str, Any] | None] = lambda _server, _offset: None

    @property
    def overrides(self) -> Overrides:
        """As pool.py takes them."""
        return orders.orders(self.imposed)


class Counted(NamedTuple):
    """What `summary` counts of one virtual service: states of its servers, and what is amiss."""

    states: Mapping[str, int]
    empty: bool
    opened: bool


class Tally:
    """The numbers that are told every second; only services that changed are counted again."""

    def __init__(self) -> None:
        """Nothing is counted yet."""
        self._known: dict[ServiceKey, Counted] = {}

    def forget(self, keys: Iterable[ServiceKey] | None = None) -> None:
        """Something about these services has changed, or about anything."""
        if keys is None:
            self._known.clear()
        else:
            for key in keys:
                self._known.pop(key, None)

    def summary(self, services: Iterable[VirtualService], view: View) -> dict[str, Any]:
        """Give the numbers, however large the table."""
        table = view.overrides
        states: Counter[str] = Counter()
        empty: list[str] = []
        opened: list[str] = []
        number = 0
        for virtual in services:
            number += 1
            counted = self._known.get(virtual.key)
            if counted is None:
                counted = self._known[virtual.key] = _count(virtual, view, table)
            for state, servers in counted.states.items():
                states[state] += servers
            if counted.empty:
                empty.append(virtual.name)
            if counted.opened:
                opened.append(virtual.name)
        return {
            "services": number,
            "servers": dict(states),
            "without_server": empty,
            "kept_open": opened,
        }


def _count(virtual: VirtualService, view: View, table: Overrides) -> Counted:
    decided = pool(virtual, view.verdicts, table)
    states = Counter(
        _state(view.verdicts[server.id], decided.weights.get(server), view.imposed.get(server.id))
        for server in virtual.servers
    )
    empty = decided.in_service == 0 and bool(virtual.servers)
    return Counted(states, empty, decided.standing is Standing.OPEN)


def services(wanted: Iterable[VirtualService], view: View) -> list[dict[str, Any]]:
    """Give everything about some virtual services."""
    table = view.overrides
    return [_virtual(virtual, view, table) for virtual in wanted]


def _virtual(virtual: VirtualService, view: View, table: Overrides) -> dict[str, Any]:
    key = virtual.key
    sorry = virtual.sorry
    decided = pool(virtual, view.verdicts, table)
    serves = sorry_serves(virtual, decided)
    return {
        "name": virtual.name,
        "address": key.address or None,
        "port": key.port,
        "protocol": key.protocol or None,
        "fwmark": key.fwmark or None,
        "marks": [rule._asdict() for rule in sorted(virtual.marks)],
        "scheduler": virtual.service.scheduler,
        "forward": str(virtual.forward),
        "in_service": decided.in_service,
        "well": decided.well,
        "quorum": virtual.quorum,
        "pool": decided.standing.value,
        "sorry": {"address": sorry.address, "serves": serves} if sorry else None,
        "servers": [server_state(server, view, decided) for server in virtual.servers],
    }


def server_state(server: RealServer, view: View, decided: Pool) -> dict[str, Any]:
    """Give everything about one real server of the virtual service that was decided about."""
    verdict = view.verdicts[server.id]
    weight = decided.weights.get(server)
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
        "reason": _reason(verdict, imposed, decided, weight),
        "since": note.at if ordered and note else round(verdict.since + view.offset, 3),
        "override": {
            "mode": imposed.mode_name,
            "weight": imposed.weight.value if imposed.weight else None,
            **note._asdict(),
        }
        if imposed and note
        else None,
        "last_check": _check(view.last(server), view.offset),
        "load": _load(view.loads.get(server.id)),
        "busy": view.busy(server, view.offset),
    }


def _state(verdict: Verdict, weight: int | None, imposed: Imposed | None) -> str:
    mode = imposed.mode_name if imposed else orders.ENABLED
    if mode == orders.DISABLED:
        return MAINT
    if mode == orders.FORCED_UP:
        return DRAIN if weight == 0 else State.UP.value
    if verdict.state is State.UP and weight == 0:
        return DRAIN
    return verdict.state.value


def _reason(verdict: Verdict, imposed: Imposed | None, decided: Pool, weight: int | None) -> str:
    parts = []
    note = imposed.note if imposed else None
    if imposed is not None and note is not None:
        mode = imposed.mode_name.replace("_", " ")
        said = mode if imposed.mode is not None else "weight ordered"
        because = f" ({note.reason})" if note.reason else ""
        parts.append(f"{said} by {note.by}{because}")
    if decided.standing is Standing.OPEN and weight and verdict.state is not State.UP:
        parts.append("kept by fail_open")
    if verdict.state is State.UP and weight == 0 and decided.standing is Standing.SORRY:
        parts.append("below its quorum, the sorry server serves")
    return "; ".join([*parts, *verdict.easing, verdict.reason])


def _check(last: Result | None, offset: float) -> dict[str, Any] | None:
    if last is None:
        return None
    return {
        "at": round(last.at + offset, 3),
        "seconds": round(last.seconds, 6),
        "result": last.outcome.finding.value,
        "answer": last.outcome.words,
        "warning": last.outcome.warning,
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
