# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Small makers that the tests of lvsd share."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable

from piranha.core.ipvs.codec import ServerRow
from piranha.core.ipvs.errors import IpvsError
from piranha.core.ipvs.kernel import Snapshot
from piranha.core.ipvs.model import ServerKey, ServiceKey, Table
from piranha.core.ipvs.outcome import Outcome, Report
from piranha.core.ipvs.plan import Operation, apply_to
from piranha.core.lvs_cf import api
from piranha.lvsd.layout import Layout, ServerId, layout
from piranha.nanny.outcome import Result, bad, good
from piranha.nanny.verdict import State, Verdict

GLOBALS = """\
service = lvs
primary = 192.0.2.1
network = nat
"""

WEB = """\
virtual web {
    active = 1
    address = 203.0.113.100 eth0:1
    port = 80
    timeout = 2
    reentry = 6
    server one {
        address = 192.0.2.21
        active = 1
    }
    server two {
        address = 192.0.2.22
        active = 1
        weight = 3
    }
}
"""


def made(text: str, addresses: dict[str, str] | None = None) -> Layout:
    """Lay out a configuration that must have no errors."""
    loaded = api.load(text, "lvs.cf")
    errors = [found for found in loaded.findings if found.severity == "error"]
    assert not errors, errors
    return layout(loaded.config, addresses)


def server_id(laid: Layout, virtual: int = 0, server: int = 0) -> ServerId:
    """The identity of a server by its place."""
    return laid.virtual[virtual].servers[server].id


def verdict(state: State, since: float = 0.0, reason: str = "told by the test") -> Verdict:
    """A verdict out of nothing."""
    return Verdict(state, since, reason)


def verdicts(laid: Layout, states: str) -> dict[ServerId, Verdict]:
    """Verdicts for all servers in order, one letter each: S, U or D."""
    letters: dict[str, State] = {"S": State.STARTING, "U": State.UP, "D": State.DOWN}
    ids = [server.id for _unused, server in laid.servers()]
    assert len(ids) == len(states)
    return {key: verdict(letters[letter]) for key, letter in zip(ids, states, strict=True)}


RESULTS: dict[str, Callable[[float], Result]] = {
    "good": lambda at: Result(good("connected"), at, 0.01),
    "bad": lambda at: Result(bad("connection refused"), at, 0.01),
}


class ModelKernel:
    """The ipvs library's Kernel, with a Table for a kernel.

    refusal: raised by every call while set. refused: services whose operations fail.
    """

    def __init__(self, table: Table) -> None:
        self.table = table
        self.refusal: IpvsError | None = None
        self.refused: set[ServiceKey] = set()
        self.connections: dict[ServerKey, tuple[int, int, int]] = {}

    def read(self, only: Collection[ServiceKey] | None = None) -> Table:
        return self.table if only is None else self.table.only(only)

    def snapshot(
        self, counters: bool = True, only: Collection[ServiceKey] | None = None
    ) -> Snapshot:
        """Every server with the connections that the test says, or none."""
        table = self.read(only)
        servers = {}
        for key in table:
            for server in table.servers(key).values():
                counts = self.connections.get(server.key, (0, 0, 0))
                servers[key, server.key] = ServerRow(server, *counts, None)
        return Snapshot(table, {}, servers)

    def apply(self, operations: Iterable[Operation]) -> Report:
        if self.refusal is not None:
            raise self.refusal
        outcomes = []
        for operation in operations:
            if operation.service in self.refused:
                outcomes.append(Outcome(operation, IpvsError("there", "refused by the test")))
                continue
            self.table = apply_to(self.table, [operation])
            outcomes.append(Outcome(operation, None))
        return Report(tuple(outcomes))
