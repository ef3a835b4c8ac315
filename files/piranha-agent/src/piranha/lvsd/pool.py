# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""The servers of one virtual service together: what each weighs, and what if too few are left.

Pure, and the only place that decides whether a real server gets connections. In this order:

1. Each server for itself.

       STARTING   not in the table (one found there when lvsd started is UP until checked)
       UP         in it with its weight; weight 0 keeps its connections and gets no new ones
       DOWN       not in it; with quiesce_server in it with weight 0

   An operator goes before the checks: a drained server has weight 0 for as long as it would be in
   the table, a disabled one is not in it, one that is forced up is in it whatever its checks say,
   another weight replaces the configured one. Below that a server that asks for a share of its
   weight (check = agent) gets that, one that has just come up what slow_start leaves it, a busy one
   what load_monitor says.

2. All together. In service are those that can take a new connection (weight above 0). `quorum` of
   them are enough. If fewer are left,

       WAITING    servers that are not checked yet could still make it: as SHORT, without alarm
       OPEN       with fail_open: everyone whose checks fail is kept, with its own weight
       SORRY      the sorry server serves; others keep their connections and get no new ones
       SHORT      neither is there: those that are left go on

   OPEN goes before SORRY, since it says that too many failures are a failure of the checks. It
   never keeps a server that an operator drained or disabled, or that asked for nothing itself:
   where no one can be kept, the sorry server serves.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType
from typing import NamedTuple

from piranha.nanny.verdict import State, Verdict

from .layout import RealServer, ServerId, VirtualService


class Ordered(NamedTuple):
    """What an operator wants of one server: a weight (None: its own), out, or up in any case."""

    weight: int | None = None
    out: bool = False
    up: bool = False


Verdicts = Mapping[ServerId, Verdict]
Overrides = Mapping[ServerId, Ordered]
"""What operators want at run time; see overrides.py."""

NO_OVERRIDES: Overrides = MappingProxyType({})
NOTHING = Ordered()
MOST_WEIGHT = 65535
WHOLE = 100


class Standing(Enum):
    """How a pool stands to its quorum; see above."""

    MET = "met"
    WAITING = "waiting"
    OPEN = "open"
    SORRY = "sorry"
    SHORT = "short"


@dataclass(frozen=True)
class Pool:
    """The configured servers that are in the table, with weights, and how the pool stands.

    well: servers that can take new connections as their checks, operators and weights say.
    """

    weights: Mapping[RealServer, int]
    standing: Standing
    well: int

    @property
    def in_service(self) -> int:
        """Servers that can take a new connection, the sorry server not among them."""
        return sum(weight > 0 for weight in self.weights.values())

    @property
    def alarming(self) -> bool:
        """Whether an operator must know."""
        return self.standing not in (Standing.MET, Standing.WAITING)


def shared(weight: int, share: int | None) -> int:
    """Give `share` percent of a weight: 1 at least, but 0 for no share or no weight."""
    if share is None or not weight:
        return weight
    return min(MOST_WEIGHT, max(1, weight * share // WHOLE)) if share else 0


def pool(virtual: VirtualService, verdicts: Verdicts, overrides: Overrides = NO_OVERRIDES) -> Pool:
    """Decide about one virtual service."""
    alone: dict[RealServer, int] = {}
    for server in virtual.servers:
        ordered = overrides.get(server.id, NOTHING)
        weight = _alone(virtual, server, verdicts[server.id], ordered)
        if weight is not None:
            alone[server] = weight
    well = sum(weight > 0 for weight in alone.values())
    if well >= virtual.quorum and well:
        return Pool(alone, Standing.MET, well)
    return _too_few(virtual, verdicts, overrides, alone, well)


def _alone(
    virtual: VirtualService, server: RealServer, verdict: Verdict, ordered: Ordered
) -> int | None:
    """Give the weight of one server as if it were the only one; None: not in the table."""
    if ordered.out:
        return None
    if verdict.state is State.UP or ordered.up:
        return _weight(server, verdict, ordered)
    if verdict.state is State.DOWN and virtual.quiesce:
        return 0
    return None


def _weight(server: RealServer, verdict: Verdict, ordered: Ordered) -> int:
    if ordered.weight is not None:
        return ordered.weight
    if verdict.state is not State.UP:
        return server.weight
    return shared(shared(server.weight, verdict.share), verdict.eased)


def _too_few(
    virtual: VirtualService,
    verdicts: Verdicts,
    overrides: Overrides,
    alone: Mapping[RealServer, int],
    well: int,
) -> Pool:
    kept = {
        server: weight
        for server in virtual.servers
        if (weight := _kept(server, verdicts[server.id], overrides.get(server.id, NOTHING)))
    }
    unknown = sum(
        verdicts[server.id].state is State.STARTING and server not in alone for server in kept
    )
    if unknown and well + unknown >= virtual.quorum:
        standing = Standing.WAITING
    elif virtual.fail_open and kept:
        return Pool({**alone, **kept}, Standing.OPEN, well)
    else:
        standing = Standing.SHORT
    if virtual.sorry is None:
        return Pool(alone, standing, well)
    if standing is Standing.SHORT:
        standing = Standing.SORRY
    # Too few for all clients: they would be overrun by what the sorry server can answer.
    return Pool(dict.fromkeys(alone, 0), standing, well)


def _kept(server: RealServer, verdict: Verdict, ordered: Ordered) -> int:
    """Give the weight that fail_open keeps a server with; 0: it must not be kept."""
    own_wish = verdict.state is State.UP and verdict.share == 0
    if ordered.out or (ordered.weight is None and own_wish):
        return 0
    return server.weight if ordered.weight is None else ordered.weight
