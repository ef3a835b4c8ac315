# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Helper services: how a check that connects to the virtual address reaches one real server.

The check's packets carry a firewall mark of ours, and the kernel's table has a service for that
mark with this one real server. Which mark, and which source port, is decided here. Pure.

The kernel keeps a connection by source, source port, virtual address and port alone, for up to two
minutes, and sends later packets of the same four to the same real server whatever their mark. So
that a check never goes to a server that an earlier one went to, each has a source port of its own,
and one that has become free rests before it is given to another. It also keeps the number of
entries in the kernel's connection table at one a check.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Collection, Iterable, Iterator

from piranha.core.ipvs.model import Forward, Server, ServerKey, Service, ServiceKey, Table
from piranha.core.lvs_cf.check_via import HELPER_MARKS
from piranha.nanny.spec import NoCheck, ProgramCheck, ServiceCheck, SocketCheck, Through, Watch

PORTS = range(61000, 65536)
"""Source ports: above those that the kernel gives out by itself (net.ipv4.ip_local_port_range)."""

REST = 300.0
"""Seconds for which a place that has become free is not given to another: as long as the kernel
keeps an entry of any protocol."""

SCHEDULER = "rr"

Helper = tuple[str, Through]
"""The virtual address's family (ipv4, ipv6), and which real server is reached how."""


def helper_of(check: SocketCheck | ServiceCheck) -> Helper | None:
    """Give the helper service that a check needs."""
    if check.through is None:
        return None
    return "ipv6" if ":" in check.address else "ipv4", check.through


def helpers_of(watches: Iterable[Watch]) -> set[Helper]:
    """Give those that all checks together need."""
    checks = (one.check for one in watches if not isinstance(one.check, NoCheck | ProgramCheck))
    return {helper for check in checks if (helper := helper_of(check)) is not None}


def entry(through: Through) -> Server:
    """Give the one real server of a helper service, as it is in the kernel's table."""
    kind, port, checksum = through.tunnel
    return Server(
        ServerKey(through.server, 0),
        1,
        Forward(through.forward),
        tunnel=kind,
        tunnel_port=port,
        tunnel_checksum=checksum,
    )


def found_in(table: Table) -> Iterator[tuple[int, Helper]]:
    """Give mark and meaning of everything in a table that looks like a helper service."""
    for key in table:
        servers = list(table.servers(key).values()) if key.fwmark in HELPER_MARKS else []
        if len(servers) == 1 and servers[0].weight == 1 and not servers[0].key.port:
            one = servers[0]
            way = (one.tunnel, one.tunnel_port, one.tunnel_checksum)
            yield key.fwmark, (key.family, Through(one.key.address, one.forward.value, way))


class Helpers:
    """The helper services in use. A place is a number; mark and source port follow from it."""

    def __init__(self) -> None:
        """None yet; `settle` brings them."""
        self._places: dict[Helper, int] = {}
        self._resting: dict[int, float] = {}

    def settle(self, wanted: Collection[Helper], actual: Table, now: float) -> None:
        """Give each wanted helper service a place: the one it has, in the kernel's table at least.

        actual: the kernel's table; marks in it that mean something else are left alone.
        """
        if not wanted and not self._places:
            return
        known = {**self._places}
        for mark, helper in found_in(actual):
            known.setdefault(helper, mark - HELPER_MARKS.start)
        taken = {key.fwmark - HELPER_MARKS.start for key in actual if key.fwmark in HELPER_MARKS}
        self._places = {helper: known[helper] for helper in known.keys() & set(wanted)}
        for helper, place in known.items():
            if helper not in self._places:
                self._resting[place] = now
        self._resting = {place: at for place, at in self._resting.items() if now - at < REST}
        busy = taken | self._resting.keys() | set(self._places.values())
        # In an order of their own, so that the same configuration gives the same places.
        for helper in sorted(set(wanted) - self._places.keys()):
            free = _free(helper, busy)
            if free is not None:
                self._places[helper] = free
                busy.add(free)

    def serves(self, wanted: Collection[Helper]) -> bool:
        """Whether exactly the wanted ones have places, so that the table need not change."""
        return self._places.keys() == set(wanted)

    def mark(self, helper: Helper) -> int | None:
        """The mark that leads to a helper service; None where there is none."""
        place = self._places.get(helper)
        return None if place is None else HELPER_MARKS[place]

    def port(self, helper: Helper) -> int:
        """The source port of its checks; 0 lets the kernel choose, where there are too many."""
        place = self._places.get(helper, len(PORTS))
        return PORTS[place] if place < len(PORTS) else 0

    def key(self, helper: Helper) -> ServiceKey | None:
        """By what the kernel's table knows it."""
        mark = self.mark(helper)
        return None if mark is None else ServiceKey.by_mark(mark, helper[0])

    def table(self, only: Collection[ServiceKey] | None = None) -> Table:
        """Give the helper services as they shall be in the kernel's table, or some of them."""
        keys = {helper: self.key(helper) for helper in self._places}
        return Table(
            (Service(key, SCHEDULER), [entry(helper[1])])
            for helper, key in keys.items()
            if key is not None and (only is None or key in only)
        )


def _free(helper: Helper, busy: Collection[int]) -> int | None:
    """The first free place from one on that follows from the helper's name alone."""
    text = repr(helper).encode()
    start = int.from_bytes(hashlib.sha256(text).digest()[:4], "big") % len(PORTS)
    rest = range(len(PORTS), len(HELPER_MARKS))
    turns = itertools.chain(range(start, len(PORTS)), range(start), rest)
    return next((place for place in turns if place not in busy), None)
