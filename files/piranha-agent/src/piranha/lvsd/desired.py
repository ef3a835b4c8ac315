# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""The table as it shall be: configuration, health and overrides in, an IPVS Table out.

Pure, and the only place that decides whether a real server gets connections:

    STARTING   not in the table (a server found there when lvsd started is UP until checked)
    UP         in the table with its weight; weight 0 keeps its connections and gets no new ones
    DOWN       not in the table; with quiesce_server in it with weight 0

What an operator says goes before that: a drained server has weight 0 for as long as it would be
in the table, a disabled one is not in it, another weight replaces the configured one.

A server that asks for a share of its weight itself (check = agent) gets that, unless an operator
said otherwise.

The sorry server is in the table, with weight 1, while no other can take a new connection.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from types import MappingProxyType

from piranha.core.ipvs.model import Server, ServiceKey, Table
from piranha.nanny.verdict import State, Verdict

from .layout import Layout, RealServer, ServerId, VirtualService

Verdicts = Mapping[ServerId, Verdict]
Overrides = Mapping[ServerId, int | None]
"""Weights that an operator set at run time in place of the configured ones; 0 drains, None takes
the server out (see overrides.py)."""

NO_OVERRIDES: Overrides = MappingProxyType({})
SORRY_WEIGHT = 1
MOST_WEIGHT = 65535


def shared(weight: int, share: int | None) -> int:
    """Give the weight that a server asks for: `share` percent of `weight`, but 0 for 0 only."""
    if share is None or not weight:
        return weight
    return min(MOST_WEIGHT, max(1, weight * share // 100)) if share else 0


def weight_of(
    virtual: VirtualService, server: RealServer, verdict: Verdict, overrides: Overrides
) -> int | None:
    """Give the weight that a server has in the table, or None where it is not in it."""
    ordered = overrides.get(server.id, shared(server.weight, verdict.share))
    if ordered is None:
        return None
    if verdict.state is State.UP:
        return ordered
    if verdict.state is State.DOWN and virtual.quiesce:
        return 0
    return None


def servers_of(
    virtual: VirtualService, verdicts: Verdicts, overrides: Overrides = NO_OVERRIDES
) -> dict[RealServer, int]:
    """Give the configured servers of a virtual service that are in the table, with weights."""
    weights = {
        server: weight_of(virtual, server, verdicts[server.id], overrides)
        for server in virtual.servers
    }
    return {server: weight for server, weight in weights.items() if weight is not None}


def in_service(
    virtual: VirtualService, verdicts: Verdicts, overrides: Overrides = NO_OVERRIDES
) -> int:
    """Count the servers that can take a new connection, the sorry server not among them."""
    return sum(weight > 0 for weight in servers_of(virtual, verdicts, overrides).values())


def needs_sorry(
    virtual: VirtualService, verdicts: Verdicts, overrides: Overrides = NO_OVERRIDES
) -> bool:
    """Tell whether the sorry server, if there is one, has to serve."""
    return in_service(virtual, verdicts, overrides) == 0


def desired(
    layout: Layout,
    verdicts: Verdicts,
    overrides: Overrides = NO_OVERRIDES,
    only: Container[ServiceKey] | None = None,
) -> Table:
    """Give the part of the kernel's table that is ours, or some services of it."""
    return Table(
        (virtual.service, _entries(virtual, verdicts, overrides))
        for virtual in layout.virtual
        if only is None or virtual.key in only
    )


def _entries(virtual: VirtualService, verdicts: Verdicts, overrides: Overrides) -> list[Server]:
    weights = {
        server.id.server: weight
        for server, weight in servers_of(virtual, verdicts, overrides).items()
    }
    if virtual.sorry is not None and needs_sorry(virtual, verdicts, overrides):
        # It may be one of the real servers, in the table with weight 0.
        weights[virtual.sorry] = SORRY_WEIGHT
    return [virtual.entry(key, weight) for key, weight in weights.items()]
