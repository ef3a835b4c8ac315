# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""An operator's order, from the words of a request to new rules and an answer.

Pure: arguments, layout and rules in; rules, what changed and sentences out. Which servers a name
stands for is decided here, and what cannot be meant is refused in one sentence.
"""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from piranha.core.ipvs.errors import IpvsError
from piranha.core.ipvs.model import ServerKey

from . import overrides
from .layout import Layout, RealServer, ServerId, VirtualService
from .overrides import CONFIGURED, HEAVIEST, MODES, Imposed, Note, Order, Rules, Target
from .pool import Overrides, Standing, Verdicts, pool
from .snapshot import Load

LONGEST = 400
"""Characters of a reason or a name."""

LISTED = 5
"""Services that a sentence names; of more it gives the number."""

Place = tuple[VirtualService, RealServer]


class Refused(ValueError):
    """The order makes no sense here; the text is one sentence."""


@dataclass(frozen=True)
class Wanted:
    """A request's arguments, read. virtual None: every virtual service that has the server."""

    server: str
    virtual: str | None
    order: Order
    dry_run: bool = False


def read(arguments: Mapping[str, Any], now: float, asker: str) -> Wanted:
    """Read an order; Refused. asker: who it is if the request names nobody. now: epoch."""
    known = {"server", "virtual", "mode", "weight", "reason", "by", "dry_run"}
    for name in arguments:
        if name not in known:
            raise Refused(f"there is no argument {name[:40]!r}; known: {', '.join(sorted(known))}")
    server, virtual = whom(arguments)
    mode, weight = arguments.get("mode"), arguments.get("weight")
    if mode is None and weight is None:
        raise Refused(f"nothing is ordered; give a mode ({', '.join(MODES)}) or a weight")
    if mode is not None and mode not in MODES:
        raise Refused(f"{mode!r} is no mode; known: {', '.join(MODES)}")
    if weight is not None and not overrides.is_weight(weight):
        raise Refused(f"{weight!r} is no weight; give 0 to {HEAVIEST}, or {CONFIGURED}")
    reason = _text(arguments, "reason") or ""
    note = Note(_text(arguments, "by") or asker, reason, round(now, 3))
    return Wanted(server, virtual, Order(mode, weight, note), arguments.get("dry_run") is True)


def whom(arguments: Mapping[str, Any]) -> tuple[str, str | None]:
    """Read which real server a request is about; Refused."""
    server = _text(arguments, "server")
    if not server:
        raise Refused("no real server is named; give its name, its address or address:port")
    return server, _text(arguments, "virtual")


def _text(arguments: Mapping[str, Any], name: str) -> str | None:
    value = arguments.get(name)
    if value is None:
        return None
    if not isinstance(value, str) or len(value) > LONGEST or not value.isprintable():
        raise Refused(f"{name} must be one line of text of at most {LONGEST} characters")
    return value.strip()


def places(layout: Layout, server: str, virtual: str | None) -> list[Place]:
    """Give every real server that is meant; Refused where it is none, or more than one machine."""
    services = [one for one in layout.virtual if virtual in (None, one.name)]
    if not services and virtual is not None:
        names = [one.name for one in layout.virtual]
        raise Refused(f"there is no virtual service {virtual} in force{_meant(virtual, names)}")
    every = [(one, real) for one in services for real in one.servers]
    found = [place for place in every if server in _names(place[1])]
    if not found:
        where = f"virtual service {virtual} has no" if virtual else "there is no"
        known = {name for _one, real in every for name in _names(real)}
        raise Refused(f"{where} real server {server} in force{_meant(server, sorted(known))}")
    machines = sorted({real.id.server.address for _one, real in found})
    if len(machines) > 1:
        raise Refused(
            f"the name {server} stands for {' and '.join(machines)}; "
            "give the address, or the virtual service"
        )
    return found


def _names(server: RealServer) -> tuple[str, str, str]:
    return server.name, server.id.server.address, str(server)


def _meant(word: str, names: list[str]) -> str:
    close = difflib.get_close_matches(word, names, n=1)
    if close:
        return f"; did you mean {close[0]}?"
    return "; see piranha status" if names else "; lvs.cf in force has none"


def targets(layout: Layout, rules: Rules, wanted: Wanted) -> tuple[list[Target], list[Place]]:
    """Give what rules are to be about, and the servers of now that this covers; Refused.

    What has left lvs.cf can still be named by its address, so that an old order can be taken back.
    """
    try:
        found = places(layout, wanted.server, wanted.virtual)
    except Refused:
        left = _gone(rules, wanted)
        if not left:
            raise
        return left, []
    if wanted.virtual is not None:
        return [Target(one.key, *_end(real)) for one, real in found], found
    address = found[0][1].id.server.address
    there = [place for place in _all(layout) if place[1].id.server.address == address]
    if wanted.server == address or len(there) == len(found):
        # The machine is meant, in services that come later too.
        return [Target(None, address, None)], there
    ports = sorted({real.id.server.port for _one, real in found})
    aims = [Target(None, address, port) for port in ports]
    return aims, [place for place in there if place[1].id.server.port in ports]


def _gone(rules: Rules, wanted: Wanted) -> list[Target]:
    """Targets of old rules that the address given is about."""
    if wanted.virtual is not None or wanted.order.mode not in (None, overrides.ENABLED):
        return []
    try:
        address = ServerKey(wanted.server, 0).address
    except IpvsError:
        return []
    known = any(target.address == address for target in (*rules.modes, *rules.weights))
    return [Target(None, address, None)] if known else []


def _end(server: RealServer) -> tuple[str, int]:
    return server.id.server.address, server.id.server.port


def _all(layout: Layout) -> list[Place]:
    return [(one, real) for one in layout.virtual for real in one.servers]


@dataclass(frozen=True)
class Outcome:
    """What an order comes to. The servers that it covers, with what is imposed on each."""

    rules: Rules
    places: list[Place]
    before: Mapping[ServerId, Imposed]
    after: Mapping[ServerId, Imposed]
    changed: bool


def decide(layout: Layout, rules: Rules, wanted: Wanted) -> Outcome:
    """Carry the order out on `rules`; Refused."""
    aims, covered = targets(layout, rules, wanted)
    after = rules
    for target in aims:
        after = overrides.impose(after, target, wanted.order)
    ids = [real.id for _one, real in covered]
    return Outcome(
        after,
        covered,
        overrides.imposed(rules, ids),
        overrides.imposed(after, ids),
        after != rules,
    )


def answer(outcome: Outcome, verdicts: Verdicts, table: Overrides) -> dict[str, Any]:
    """Give the result of the request. table: every override after the order, for pool.py."""
    return {
        "changed": outcome.changed,
        "servers": [
            {
                "virtual": one.name,
                "server": real.name,
                "address": real.id.server.address,
                "port": real.id.server.port,
                "before": said(real, outcome.before.get(real.id)),
                "after": said(real, outcome.after.get(real.id)),
            }
            for one, real in outcome.places
        ],
        "warnings": warnings(outcome, verdicts, table),
    }


def left(loads: Iterable[tuple[str, Load]], *, templates_count: bool) -> dict[str, int]:
    """Give how many connections of which kind keep servers from being drained; empty: none.

    loads: with the protocol of the service. The kernel knows active connections of tcp and sctp
    alone; those of udp and of marks count as inactive for as long as it remembers them.
    templates_count: persistent clients come back to a drained server.
    """
    found: Counter[str] = Counter()
    for protocol, load in loads:
        found["active"] += load.row.active
        if protocol not in ("tcp", "sctp"):
            found["inactive"] += load.row.inactive
        if templates_count:
            found["persistent"] += load.row.persistent
    return {kind: number for kind, number in found.items() if number}


def said(server: RealServer, imposed: Imposed | None) -> dict[str, Any]:
    """Give what operators say of a server, for JSON."""
    note = imposed.note if imposed else None
    weight = imposed.weight if imposed else None
    return {
        "mode": imposed.mode_name if imposed else overrides.ENABLED,
        "weight": server.weight if weight is None else weight.value,
        "weight_is": "configured" if weight is None else "ordered",
        "by": note.by if note else None,
        "reason": note.reason if note else None,
        "at": note.at if note else None,
    }


def warnings(outcome: Outcome, verdicts: Verdicts, table: Overrides) -> list[str]:
    """Say which virtual services have too few servers left."""
    told = []
    for one in dict.fromkeys(one for one, _real in outcome.places):
        decided = pool(one, verdicts, table)
        rest = "; its sorry server serves" if one.sorry and not decided.in_service else ""
        if decided.standing is Standing.OPEN:
            rest = "; fail_open keeps those whose checks fail"
        if one.quorum > 1 and decided.standing is not Standing.MET:
            told.append(
                f"virtual service {one} has {decided.well} real servers of the {one.quorum} "
                f"that its quorum asks for{rest}"
            )
        elif decided.well == 0:
            told.append(f"virtual service {one} has no real server in service{rest}")
    return told


def sentence(outcome: Outcome, wanted: Wanted) -> str:
    """Say in one line who ordered what, why, and where."""
    order = wanted.order
    what = [order.mode.replace("_", " ")] if order.mode is not None else []
    if order.weight == CONFIGURED:
        what.append("given its configured weight")
    elif order.weight is not None:
        what.append(f"given weight {order.weight}")
    names = [one.name for one, _real in outcome.places]
    where = ", ".join(names) if len(names) <= LISTED else f"{len(names)} virtual services"
    because = f": {order.note.reason}" if order.note.reason else ""
    who = f"real server {wanted.server} of {where or 'no virtual service'}"
    return f"{who} is {' and '.join(what)} by {order.note.by}{because}"
