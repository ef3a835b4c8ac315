# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""The sockets that heartbeats go through: one for each path, bound to our own address on it."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Collection, Iterator

from .heart_settings import Route
from .wire import MAX_SIZE

MOST = 512
"""Datagrams taken from one socket at a time; its default buffer holds about half of that."""
_EXPEDITED = 0xC0
"""Traffic class CS6, network control, which switches that sort traffic let pass first."""


class Pathways:
    """Sockets and where they lead. Made with `opened`."""

    def __init__(self, routes: tuple[Route, ...], port: int) -> None:
        self.routes, self.port = routes, port
        self.sockets: list[socket.socket] = []
        self._failing: dict[Route, str] = {}
        self._heard: dict[Route, float] = {}
        self.anywhere = False
        """Whether what comes from any address of the partner counts on each path.

        Nobody knows any more which of its sockets a router of old sends from."""

    @classmethod
    def opened(cls, routes: tuple[Route, ...], port: int, old: Pathways | None = None) -> Pathways:
        """Bind a socket for each route.

        old: what is open now: kept where it is the same, else closed once the new ones are open.
        Raises OSError with the address and port as its file name; then `old` is untouched.
        """
        if old is not None and (old.routes, old.port) == (routes, port):
            return old
        made = cls(routes, port)
        if old is not None:
            made._heard = {one: when for one, when in old._heard.items() if one in routes}
        taken = {} if old is None or old.port != port else old.by_address()
        fresh: list[socket.socket] = []
        try:
            for route in routes:
                if (kept := taken.get(route.own)) is None:
                    fresh.append(kept := _bound(route.own, port))
                made.sockets.append(kept)
        except OSError:
            for one in fresh:
                one.close()
            raise
        for one in old.sockets if old is not None else ():
            if one not in made.sockets:
                one.close()
        return made

    def by_address(self) -> dict[str, socket.socket]:
        """Give each socket by our address on it."""
        return {route.own: one for route, one in zip(self.routes, self.sockets, strict=True)}

    def send(self, data: bytes) -> None:
        """Send over every path. What cannot be sent is lost, as on any network, and remembered."""
        for route, one in zip(self.routes, self.sockets, strict=True):
            try:
                one.sendto(data, (route.partner, self.port))
            except OSError as error:
                self._failing[route] = error.strerror or str(error)
            else:
                if self._failing:
                    self._failing.pop(route, None)

    def receive(self, ready: Collection[int]) -> Iterator[tuple[Route, bytes]]:
        """Give what waits in the sockets that are ready and comes from the partner's address."""
        known = {route.partner: route for route in self.routes} if self.anywhere else {}
        for route, one in zip(self.routes, self.sockets, strict=True):
            if one.fileno() not in ready:
                continue
            with contextlib.suppress(BlockingIOError, InterruptedError):
                for _unused in range(MOST):
                    data, source = one.recvfrom(MAX_SIZE + 1)
                    if source[0] == route.partner:
                        yield route, data
                    elif source[0] in known:
                        yield known[source[0]], data

    def heard(self, route: Route, now: float) -> None:
        """Note that a heartbeat of the partner came over a path, first copy or not."""
        self._heard[route] = now

    def heard_at(self, route: Route) -> float | None:
        """Give when the partner was heard last over a path."""
        return self._heard.get(route)

    def failing(self, route: Route) -> str | None:
        """Give why nothing can be sent over a path, or None."""
        return self._failing.get(route)

    def problems(self, now: float, patience: float) -> list[str]:
        """Say for each path that does not carry heartbeats why, while another one does.

        patience: seconds without any that make a path count as dead.
        """
        said = []
        alive = [one for one in self.routes if now - self._heard.get(one, -patience) < patience]
        for route in self.routes:
            between = f"the link {route.own} - {route.partner}"
            if (why := self._failing.get(route)) is not None:
                said.append(f"heartbeats over {between} cannot be sent: {why}")
            elif alive and route not in alive:
                said.append(f"no heartbeats come over {between}, but over others; check its cables")
        return said


def _bound(address: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    kind = socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
    made = socket.socket(family, kind)
    try:
        if family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_TCLASS, _EXPEDITED)
        else:
            made.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, _EXPEDITED)
        made.bind((address, port))
    except OSError as error:
        made.close()
        raise OSError(error.errno, error.strerror, f"{address} port {port}") from None
    return made
