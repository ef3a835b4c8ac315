# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""What operators say of real servers at run time: drained, disabled, forced up, another weight.

Pure. A rule is kept by address, not by name, and for all virtual services or for one, so that it
outlives a renamed block and reaches a virtual service that comes later. The more precise rule
wins: one service before all, one port before every port. kept.py has the file, desired.py what
follows for the table.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from piranha.core.ipvs.model import ServiceKey
from piranha.core.ipvs.normal import endpoint

from .layout import ServerId
from .pool import Ordered

ENABLED, DRAINED, DISABLED, FORCED_UP = "enabled", "drained", "disabled", "forced_up"
MODES = {
    ENABLED: "gets connections as its checks and its weight say",
    DRAINED: "keeps its connections and gets no new ones (weight 0)",
    DISABLED: "is not in the table (maintenance), whatever its checks say",
    FORCED_UP: "gets connections as its weight says, whatever its checks say",
}
"""What an operator can make of a real server, and what follows."""

CONFIGURED = "configured"
"""In place of a weight: the one of lvs.cf."""

HEAVIEST = 65535

Value = str | int


class Target(NamedTuple):
    """Whom a rule is about. service None: in every virtual service; port None: at every port."""

    service: ServiceKey | None
    address: str
    port: int | None

    def covers(self, server: ServerId) -> bool:
        """Whether the rule is about this real server of this virtual service."""
        return (
            self.address == server.server.address
            and self.service in (None, server.service)
            and self.port in (None, server.server.port)
        )

    def within(self, wider: Target) -> bool:
        """Whether everything that this is about, `wider` is about too."""
        return (
            self.address == wider.address
            and wider.service in (None, self.service)
            and wider.port in (None, self.port)
        )

    @property
    def precision(self) -> tuple[bool, bool]:
        """Sorts targets from wide to precise."""
        return self.service is not None, self.port is not None

    def __str__(self) -> str:
        where = "every virtual service" if self.service is None else str(self.service)
        who = self.address if self.port is None else endpoint(self.address, self.port)
        return f"{who} in {where}"


class Note(NamedTuple):
    """Who said it, why, and when (seconds since the epoch)."""

    by: str
    reason: str
    at: float


NOBODY = Note("", "", 0.0)


class Entry(NamedTuple):
    """One thing said: a mode or a weight, with its note."""

    value: Value
    note: Note


Entries = Mapping[Target, Entry]


@dataclass(frozen=True)
class Rules:
    """All that operators have said and not taken back."""

    modes: Entries = field(default_factory=dict)
    weights: Entries = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.modes) + len(self.weights)


@dataclass(frozen=True)
class Imposed:
    """What is said of one real server of one virtual service; None: nothing."""

    mode: Entry | None = None
    weight: Entry | None = None

    @property
    def mode_name(self) -> str:
        """Of MODES."""
        return ENABLED if self.mode is None else str(self.mode.value)

    @property
    def ordered(self) -> Ordered:
        """What pool.py has to know."""
        weight = None if self.weight is None else int(self.weight.value)
        return Ordered(
            0 if self.mode_name == DRAINED else weight,
            out=self.mode_name == DISABLED,
            up=self.mode_name == FORCED_UP,
        )

    @property
    def note(self) -> Note | None:
        """The note of what matters most."""
        entry = self.mode or self.weight
        return entry.note if entry else None


@dataclass(frozen=True)
class Order:
    """What an operator wants of one target. None leaves as it is; the note's reason may be ''."""

    mode: str | None = None
    weight: Value | None = None
    note: Note = NOBODY


def impose(rules: Rules, target: Target, order: Order) -> Rules:
    """Give the rules after the order. Orders for a target undo what was said of parts of it."""
    modes, weights = rules.modes, rules.weights
    if order.mode is not None:
        modes = _said(modes, target, Entry(order.mode, order.note), ENABLED)
    if order.weight is not None:
        weights = _said(weights, target, Entry(order.weight, order.note), CONFIGURED)
    return Rules(modes, weights)


def _said(entries: Entries, target: Target, entry: Entry, neutral: Value) -> Entries:
    before = entries.get(target)
    left = {other: said for other, said in entries.items() if not other.within(target)}
    wider = [other for other in left if target.within(other)]
    if entry.value == neutral and not wider:
        return left  # nothing to be said any more
    if before is not None and before.value == entry.value:
        # Said again: who said it first, and when, stays, unless there is another reason.
        reason = entry.note.reason
        entry = before if reason in ("", before.note.reason) else entry
    return {**left, target: entry}


def imposed(rules: Rules, servers: Iterable[ServerId]) -> dict[ServerId, Imposed]:
    """Give what is imposed on each of the servers; those with nothing are left out."""
    if not rules:
        return {}
    found = {}
    for server in servers:
        mode = _rule(rules.modes, server, ENABLED)
        weight = _rule(rules.weights, server, CONFIGURED)
        if mode or weight:
            found[server] = Imposed(mode, weight)
    return found


def _rule(entries: Entries, server: ServerId, neutral: Value) -> Entry | None:
    # Four look-ups instead of a search: there may be thousands of servers and of rules.
    key = server.server
    for target in (
        Target(server.service, key.address, key.port),
        Target(server.service, key.address, None),
        Target(None, key.address, key.port),
        Target(None, key.address, None),
    ):
        entry = entries.get(target)
        if entry is not None:
            return None if entry.value == neutral else entry
    return None


def orders(said: Mapping[ServerId, Imposed]) -> dict[ServerId, Ordered]:
    """Give what pool.py takes."""
    return {
        server: one.ordered
        for server, one in said.items()
        if one.mode is not None or one.weight is not None
    }


def unused(rules: Rules, servers: Iterable[ServerId]) -> list[Target]:
    """Give the targets that none of the servers is, which wait for one to come back."""
    known = list(servers)
    everything = sorted({*rules.modes, *rules.weights}, key=str)
    return [target for target in everything if not any(target.covers(one) for one in known)]


def to_data(rules: Rules) -> dict[str, object]:
    """Give lists and mappings for JSON."""
    return {
        name: [
            {
                "service": target.service._asdict() if target.service else None,
                "address": target.address,
                "port": target.port,
                "value": entry.value,
                **entry.note._asdict(),
            }
            for target, entry in entries.items()
        ]
        for name, entries in (("modes", rules.modes), ("weights", rules.weights))
    }


def from_data(data: object) -> Rules:
    """Read what `to_data` gave; ValueError, KeyError, TypeError or IpvsError where it is not so."""
    if not isinstance(data, dict):
        raise TypeError("it holds no mapping")
    made: dict[str, dict[Target, Entry]] = {"modes": {}, "weights": {}}
    for name, entries in made.items():
        for one in data[name]:
            service = one["service"]
            target = Target(
                ServiceKey(**service) if service else None, str(one["address"]), one["port"]
            )
            value = one["value"]
            valid = value in MODES if name == "modes" else is_weight(value)
            if not isinstance(target.port, int | None):
                raise TypeError(f"{target.port!r} is no port")
            if not valid:
                raise ValueError(f"{value!r} is none of the {name}")
            note = Note(str(one["by"]), str(one["reason"]), float(one["at"]))
            entries[target] = Entry(value, note)
    return Rules(**made)


def is_weight(value: object) -> bool:
    """Whether that can be ordered as a weight."""
    whole = isinstance(value, int) and not isinstance(value, bool)
    return value == CONFIGURED or (whole and 0 <= int(str(value)) <= HEAVIEST)
