# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which part of a table somebody speaks for, and a table made as the kernel would mean it.

Pure functions from tables to tables; plan.py makes operations of the difference.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple, TypeVar, Union

from .errors import IpvsError
from .model import Forward, Server, Service, ServiceKey, Table
from .normal import HIGHEST_MARK, PROTOCOLS, normal_address, one_of, within

_Given = TypeVar("_Given")
_Made = TypeVar("_Made")
_Network = Union[ipaddress.IPv4Network, ipaddress.IPv6Network]


class Scope:
    """A choice of virtual services: by address, by mark, by protocol. Immutable.

    ``addresses``: addresses, or networks like ``192.0.2.0/24``; ``protocols`` beside them narrow
    them down, alone they take every address. ``fwmarks`` take services by mark, of both families;
    these come in addition, since they have no address and no protocol. None is no restriction by
    this, an empty list takes nothing; with None for all of them the scope is the whole table. So a
    service by mark is out of a scope that names addresses or protocols only.

    Raises IpvsError that names the path of the value (``restrict.addresses[0]``).
    """

    __slots__ = ("_addresses", "_fwmarks", "_protocols")

    def __init__(
        self,
        addresses: Iterable[str] | None = None,
        fwmarks: Iterable[int] | None = None,
        protocols: Iterable[str] | None = None,
        path: str = "restrict",
    ) -> None:
        self._addresses = _each(
            addresses, lambda at, text: _network(f"{path}.addresses[{at}]", text)
        )
        self._fwmarks = _each(
            fwmarks,
            lambda at, mark: within(
                f"{path}.fwmarks[{at}]", "firewall mark", mark, 1, HIGHEST_MARK
            ),
        )
        self._protocols = _each(
            protocols,
            lambda at, name: one_of(f"{path}.protocols[{at}]", "protocol", name, PROTOCOLS),
        )

    @property
    def whole(self) -> bool:
        """Whether it is the whole table."""
        return self._addresses is None and self._fwmarks is None and self._protocols is None

    def __contains__(self, key: ServiceKey) -> bool:
        """Whether a service is in the scope."""
        if self.whole:
            return True
        if key.fwmark:
            return self._fwmarks is not None and key.fwmark in self._fwmarks
        if self._addresses is None and self._protocols is None:
            return False
        if self._protocols is not None and key.protocol not in self._protocols:
            return False
        if self._addresses is None:
            return True
        address = ipaddress.ip_address(key.address)
        return any(address in network for network in self._addresses)

    def of(self, table: Table) -> Table:
        """The part of a table that is in the scope."""
        return table if self.whole else table.only(key for key in table if key in self)


def _each(
    given: Iterable[_Given] | None, made: Callable[[int, _Given], _Made]
) -> tuple[_Made, ...] | None:
    if given is None:
        return None
    return tuple(made(at, value) for at, value in enumerate(given))


def _network(place: str, text: str) -> _Network:
    try:
        if not isinstance(text, str):
            raise ValueError("not text")
        address, slash, length = text.partition("/")
        normal = normal_address(address)[1]
        return ipaddress.ip_network(f"{normal}/{length}" if slash else normal)
    except ValueError:
        raise IpvsError(
            place,
            f"{text!r} is neither an address nor a network",
            "write it like 192.0.2.80, 192.0.2.0/24 or 2001:db8::/64, with no bit set to the right "
            "of the prefix",
        ) from None


class Normal(NamedTuple):
    """A table as the kernel means it, and a sentence about each thing that was not so."""

    table: Table
    warnings: tuple[str, ...]


def normalise(desired: Table, actual: Table | None = None) -> Normal:
    """Give servers that are reached by direct routing or tunnel their service's port.

    The kernel stores another port of such a server and ignores it: packets keep the port that the
    client asked for. With NAT the port is the server's own. A server that ``actual`` holds with the
    very port that is desired is left as it is, since changing it would change nothing but lose its
    connections. IpvsError where two servers become one.
    """
    warnings: list[str] = []
    entries = []
    for key, (service, servers) in desired.items():
        there = actual.servers(key) if actual is not None else {}
        made = []
        for server in servers.values():
            if not _ignored(service, server):
                made.append(server)
                continue
            stays = server.key in there and _ignored(service, there[server.key])
            warnings.append(_warning(service, server, stays))
            port = server.key._replace(port=key.port)
            made.append(server if stays else server._replace(key=port))
        entries.append((service, made))
    return Normal(_joined(entries), tuple(warnings))


def _ignored(service: Service, server: Server) -> bool:
    return (
        server.forward in (Forward.DIRECT, Forward.TUNNEL) and server.key.port != service.key.port
    )


def _warning(service: Service, server: Server, stays: bool) -> str:
    port = f"port {service.key.port}" if service.key.port else "the port that the client asked for"
    return (
        f"virtual service {service.key}, real server {server.key}: forwarding by {server.forward} "
        f"cannot change the port, so the kernel ignores {server.key.port} and packets arrive at "
        f"{port}; {'it is stored so and left' if stays else f'{service.key.port} is used'}."
    )


def _joined(entries: Sequence[tuple[Service, Sequence[Server]]]) -> Table:
    try:
        return Table(entries)
    except IpvsError as error:
        raise IpvsError(
            error.place,
            f"{error.reason} once its port is the service's",
            "forwarding by direct routing or tunnel knows one server an address",
        ) from None
