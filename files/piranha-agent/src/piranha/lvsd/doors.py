# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks through the virtual address: makes their sockets, and says which results count.

Joins the helper services (helpers.py) and the router's network (surroundings.py, vantage.py) for
the daemon. A failure counts only if nothing on this router can have brought it about: the helper
service was in the table, the router's network is as it has to be, and the virtual address neither
came nor went meanwhile. Else the result is UNKNOWN and changes no verdict.
"""

from __future__ import annotations

import errno
import socket
import struct
import time
from collections.abc import Callable, Collection, Iterable

from piranha.core.ipvs.errors import IpvsError
from piranha.core.ipvs.model import ServiceKey, Table
from piranha.nanny.outcome import Finding, Outcome, Result, unknown
from piranha.nanny.probe import NetworkCheck, Opener, Socket
from piranha.nanny.spec import Watch

from . import vantage
from .helpers import Helper, Helpers, entry, found_in, helper_of, helpers_of
from .surroundings import Surroundings, Trouble, trouble

Pair = tuple[str, str]
"""A virtual address and a real server's."""

SETTINGS_AGE = 0.5
"""Seconds for which settings of the kernel's are believed; they change without any notice."""

_RESET = struct.pack("@ii", 1, 0)  # struct linger: close at once, with a reset

Look = Callable[[frozenset[str], Collection[str]], Surroundings]


class Doors:
    """What lvsd knows of its checks through the virtual address."""

    def __init__(
        self,
        read: Callable[[Collection[ServiceKey]], Table],
        holds: Callable[[ServiceKey], bool],
        look: Look = vantage.look,
    ) -> None:
        """read: services of the kernel's table, IpvsError. holds: whether lvsd has made one."""
        self._read = read
        self._holds = holds
        self._look = look
        self._helpers = Helpers()
        self._wanted: set[Helper] = set()
        self._pairs: set[Pair] = set()
        self._floating: frozenset[str] = frozenset()
        self._around = Surroundings()
        self._problem: str | None = None
        self._settings_at = float("-inf")
        self._troubles: dict[Pair, Trouble | None] = {}
        self._sources: dict[Pair, str | None] = {}
        self._wrote: dict[ServiceKey, float] = {}
        self._moved: dict[str, float] = {}

    @property
    def used(self) -> bool:
        """Whether any check goes through a virtual address."""
        return bool(self._wanted)

    def configure(self, watches: Iterable[Watch], floating: frozenset[str]) -> None:
        """Take over another configuration's checks."""
        watches = list(watches)
        self._wanted, self._floating = helpers_of(watches), floating
        checks = [one.check for one in watches if isinstance(one.check, NetworkCheck)]
        self._pairs = {(one.address, one.through.server) for one in checks if one.through}
        self.look()

    # -- the table ------------------------------------------------------------------------------

    @property
    def settled(self) -> bool:
        """Whether the helper services are those that the checks need, since `settle`."""
        return self._helpers.serves(self._wanted)

    def settle(self, actual: Table) -> None:
        """Give the helper services their marks. actual: the whole of the kernel's table."""
        self._helpers.settle(self._wanted, actual, time.monotonic())

    def table(self, only: Collection[ServiceKey] | None = None) -> Table:
        """Give the helper services as they shall be, or some of them."""
        return self._helpers.table(only)

    def wrote(self, keys: Iterable[ServiceKey]) -> None:
        """Remember that these services have just been changed in the kernel."""
        if self.used:
            now = time.monotonic()
            self._wrote.update((key, now) for key in keys if key.fwmark)

    # -- this router's network ------------------------------------------------------------------

    def look(self) -> None:
        """Look at this router's network anew."""
        if not self.used:
            self._troubles, self._problem = {}, None
            return
        before = self._around
        now = time.monotonic()
        try:
            self._around = self._look(self._floating, {server for _one, server in self._pairs})
            self._problem = None
        except OSError as error:
            self._problem = f"this router's addresses cannot be read: {error.strerror}"
            return
        self._settings_at = now
        if self._around == before and self._troubles.keys() == self._pairs:
            return
        for virtual in {virtual for virtual, _unused in self._pairs}:
            if before.holders(virtual) != self._around.holders(virtual):
                self._moved[virtual] = now
        self._troubles = {pair: trouble(self._around, *pair) for pair in self._pairs}
        # Kept, since each check needs one and it takes a search.
        self._sources = {pair: self._around.source(*pair) for pair in self._pairs}

    def troubles(self) -> list[Trouble]:
        """Give what stands in the way, each once."""
        if self._problem is not None:
            return [Trouble(self._problem)]
        found = {one.words: one for one in self._troubles.values() if one is not None}
        return [found[words] for words in sorted(found)]

    # -- a check --------------------------------------------------------------------------------

    def open(self, sock: Socket, check: NetworkCheck) -> Outcome | None:
        """Make the socket's packets go to one real server, or give why that cannot be; OSError."""
        helper = helper_of(check)
        key = self._helpers.key(helper) if helper else None
        if helper is None or key is None or not self._holds(key):
            return _unknown("its helper service is not in the table yet")
        pair = check.address, helper[1].server
        standing = self._troubles.get(pair)
        if self._problem or (standing and standing.now):
            return _unknown(self._problem or (standing.words if standing else ""))
        source = self._sources.get(pair)
        if source is None:
            return _unknown("this router has no address of its own to check from")
        bind(sock, key.fwmark, source, self._helpers.port(helper), stream=check.protocol == "tcp")
        return None

    def credible(self, check: NetworkCheck, result: Result, *, matters: bool) -> Result:
        """Give the result, or UNKNOWN in its place where this router may be the reason for it.

        matters: whether a good result would change anything; a bad one always does.
        """
        finding = result.outcome.finding
        if check.through is None or finding is Finding.UNKNOWN:
            return result
        if finding is Finding.GOOD and not matters:
            return result
        words = self._doubt(check, result.at) if finding is Finding.BAD else None
        words = words or self._missing(check, result.at)
        if words is None:
            return result
        return result._replace(outcome=_unknown(words))

    def _doubt(self, check: NetworkCheck, began: float) -> str | None:
        if time.monotonic() - self._settings_at > SETTINGS_AGE:
            self.look()
        if self._moved.get(check.address, float("-inf")) >= began:
            return f"{check.address} came to this router or left it meanwhile"
        if self._problem:
            return self._problem
        server = check.through.server if check.through else ""
        standing = self._troubles.get((check.address, server))
        return standing.words if standing and standing.now else None

    def _missing(self, check: NetworkCheck, began: float) -> str | None:
        helper = helper_of(check)
        key = self._helpers.key(helper) if helper else None
        if helper is None or key is None or self._wrote.get(key, float("-inf")) >= began:
            return "its helper service has just been made"
        try:
            servers = self._read({key}).servers(key)
        except (IpvsError, KeyError):
            servers = {}
        wanted = entry(helper[1])
        if list(servers.values()) != [wanted]:
            return "its helper service was taken out of the table by somebody else"
        return None


def by_hand(
    floating: frozenset[str], read: Callable[[], Table], look: Look = vantage.look
) -> Opener:
    """Give what opens one check made by hand, by the helper service of the lvsd that runs here.

    floating: addresses that move between the routers. read: the kernel's table, IpvsError.
    """

    def opened(sock: Socket, check: NetworkCheck) -> Outcome | None:
        helper = helper_of(check)
        if helper is None:
            return None
        try:
            marks = [mark for mark, found in found_in(read()) if found == helper]
        except IpvsError as error:
            return _unknown(str(error).removesuffix("."))
        if not marks:
            return _unknown("the kernel has no helper service for it; lvsd makes it while it runs")
        server = helper[1].server
        around = look(floating, {server})
        standing = trouble(around, check.address, server)
        source = around.source(check.address, server)
        if source is None or (standing and standing.now):
            return _unknown(standing.words if standing else "this router has no address for it")
        bind(sock, marks[0], source, 0, stream=check.protocol == "tcp")
        return None

    return opened


def _unknown(words: str) -> Outcome:
    return unknown(f"not checked: {words}", quiet=True)


def bind(sock: Socket, mark: int, source: str, port: int, *, stream: bool) -> None:
    """Give a socket its mark and its own end. port: 0, or one that is kept for this check.

    A TCP connection ends with a reset: its end would stay in the kernel's table for two minutes
    otherwise, and its port in this machine's for one.
    """
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, mark)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if stream:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    try:
        sock.bind((source, port))
    except OSError as error:
        if error.errno != errno.EADDRINUSE or not port:
            raise
        sock.bind((source, 0))  # a program of this router's has it; any other will do for once
