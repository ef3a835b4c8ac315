# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""The table as it shall be: configuration, health and overrides in, an IPVS Table out.

Pure. Who gets connections, and with what weight, is decided in pool.py; here it becomes entries of
the kernel's table. The sorry server is in it, with weight 1, while its pool leaves it to serve.
"""

from __future__ import annotations

from collections.abc import Container

from piranha.core.ipvs.model import Server, ServiceKey, Table

from .layout import Layout, VirtualService
from .pool import NO_OVERRIDES, Overrides, Pool, Verdicts, pool

SORRY_WEIGHT = 1


def sorry_serves(virtual: VirtualService, decided: Pool) -> bool:
    """Tell whether the sorry server, if there is one, has to serve."""
    return virtual.sorry is not None and decided.in_service == 0


def desired(
    layout: Layout,
    verdicts: Verdicts,
    overrides: Overrides = NO_OVERRIDES,
    only: Container[ServiceKey] | None = None,
) -> Table:
    """Give the part of the kernel's table that is ours, or some services of it."""
    return Table(
        (virtual.service, _entries(virtual, pool(virtual, verdicts, overrides)))
        for virtual in layout.virtual
        if only is None or virtual.key in only
    )


def _entries(virtual: VirtualService, decided: Pool) -> list[Server]:
    weights = {server.id.server: weight for server, weight in decided.weights.items()}
    if virtual.sorry is not None and sorry_serves(virtual, decided):
        # It may be one of the real servers, in the table with weight 0.
        weights[virtual.sorry] = SORRY_WEIGHT
    return [virtual.entry(key, weight) for key, weight in weights.items()]
