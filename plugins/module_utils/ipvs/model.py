# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""The IPVS table as plain values: what a virtual service is, what a real server is.

Everything here is immutable, compares by content and never touches the kernel. Constructors
normalise (addresses by the rules of :mod:`ipaddress`, masks, flag names) and refuse what the
kernel would refuse, in one sentence. Connection counters are no part of a table: see codec.py.

The values are named tuples since they are made by the ten thousand when a table is read: the
constructor validates, ``_make`` takes the kernel's own word and does not.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from enum import Enum
from types import MappingProxyType
from typing import NamedTuple

from .errors import IpvsError
from .normal import (
    CHECKSUMS,
    FAMILIES,
    HIGHEST_INT,
    HIGHEST_MARK,
    HIGHEST_PORT,
    HOST_MASK,
    LONGEST_PERSISTENCE,
    MODULE_NAME,
    PROTOCOLS,
    TUNNELS,
    endpoint,
    known_address,
    normal_flags,
    normal_mask,
    one_of,
    within,
)


class Forward(str, Enum):
    """How packets reach a real server."""

    NAT = "nat"
    DIRECT = "direct"
    TUNNEL = "tunnel"
    # Two more that the kernel knows and ipvsadm cannot set; other programs may have.
    LOCAL = "local"
    BYPASS = "bypass"

    def __str__(self) -> str:
        return self.value


class Value:
    """What the kinds of value share: copies and pickles keep every field."""

    __slots__ = ()

    def __reduce__(self) -> tuple[object, ...]:
        # Copying and pickling must not go through constructors that take other arguments.
        return type(self)._make, (tuple(self),)  # type: ignore[attr-defined, arg-type]


class _ServiceKey(NamedTuple):
    family: str
    protocol: str
    address: str
    port: int
    fwmark: int


class ServiceKey(Value, _ServiceKey):
    """What makes a virtual service the one it is: an address, or a firewall mark and a family.

    ``family`` is ipv4 or ipv6. By address: ``protocol`` is tcp, udp or sctp, ``port`` 0 means
    every port, ``fwmark`` is 0. By mark: protocol and address are empty, port is 0.
    Use :meth:`by_address` and :meth:`by_mark`. Keys sort in the order of their fields.
    """

    __slots__ = ()

    def __new__(
        cls, family: str, protocol: str, address: str, port: int, fwmark: int = 0
    ) -> ServiceKey:
        if fwmark:
            if protocol or address or port:
                raise IpvsError(
                    f"virtual service mark {fwmark}",
                    "a firewall mark stands beside a protocol, an address or a port",
                    "give either the mark or the others",
                )
            key = cls.by_mark(fwmark, family)
        else:
            key = cls.by_address(protocol, address, port)
        if key.family != family:
            raise IpvsError(f"virtual service {key}", f"its address is not of family {family!r}")
        return key

    @classmethod
    def by_address(cls, protocol: str, address: str, port: int) -> ServiceKey:
        """A service that is reached by protocol, address and port (0: every port)."""
        place = f"virtual service {protocol} {endpoint(str(address), port)}"
        one_of(place, "protocol", protocol, PROTOCOLS)
        family, normal = known_address(place, address)
        within(place, "port", port, 0, HIGHEST_PORT)
        return cls._make((family, protocol, normal, port, 0))

    @classmethod
    def by_mark(cls, fwmark: int, family: str = "ipv4") -> ServiceKey:
        """A service for the packets that the firewall gave a mark, of one address family."""
        place = f"virtual service mark {fwmark}"
        one_of(place, "family", family, FAMILIES)
        within(place, "firewall mark", fwmark, 1, HIGHEST_MARK)
        return cls._make((family, "", "", 0, fwmark))

    def __str__(self) -> str:
        if self.fwmark:
            return f"mark {self.fwmark} ({self.family})"
        return f"{self.protocol} {endpoint(self.address, self.port)}"


class _Service(NamedTuple):
    key: ServiceKey
    scheduler: str
    flags: tuple[str, ...]
    persistence: int
    mask: str
    engine: str
    one_packet: bool


class Service(Value, _Service):
    """A virtual service, without its servers.

    ``scheduler``: name as in ``ip_vs_NAME``. ``flags``: the scheduler's flags, named as ipvsadm
    names them. ``persistence``: seconds that a client stays with its server, 0 for not at all.
    ``mask``: which clients persistence takes together; IPv4 ``255.255.255.0`` (or ``24``), IPv6
    the prefix length; empty for each client alone, as it always is without persistence.
    ``engine``: persistence engine (``sip``) or empty. ``one_packet``: every UDP packet is
    scheduled for itself.
    """

    __slots__ = ()

    def __new__(
        cls,
        key: ServiceKey,
        scheduler: str = "wlc",
        *,
        flags: Iterable[str] = (),
        persistence: int = 0,
        mask: str | int = "",
        engine: str = "",
        one_packet: bool = False,
    ) -> Service:
        place = f"virtual service {key}"
        for what, name in (("scheduler", scheduler), ("persistence engine", engine or "sip")):
            if not MODULE_NAME.fullmatch(name):
                raise IpvsError(
                    place,
                    f"{name!r} cannot be the name of a {what}",
                    "use up to 15 small letters and digits, for example "
                    + ("wlc or rr" if what == "scheduler" else "sip"),
                )
        if one_packet and key.protocol not in ("udp", ""):
            raise IpvsError(
                place,
                f"one-packet scheduling does not work with {key.protocol}",
                "use it with udp or a firewall mark only",
            )
        within(place, "persistence", persistence, 0, LONGEST_PERSISTENCE)
        mask = normal_mask(place, key.family, mask)
        return cls._make(
            (
                key,
                scheduler,
                normal_flags(place, scheduler, flags),
                persistence,
                mask if persistence else HOST_MASK[key.family],
                engine,
                bool(one_packet),
            )
        )

    def replace(self, **changes: object) -> Service:
        """Return a copy with some fields changed, validated like a new one."""
        return type(self)(**{**self._asdict(), **changes})


class _ServerKey(NamedTuple):
    family: str
    address: str
    port: int


class ServerKey(Value, _ServerKey):
    """What makes a real server of one virtual service the one it is. Port 0: as in the packet."""

    __slots__ = ()

    def __new__(cls, address: str, port: int) -> ServerKey:
        place = f"real server {endpoint(str(address), port)}"
        family, normal = known_address(place, address)
        return cls._make((family, normal, within(place, "port", port, 0, HIGHEST_PORT)))

    def __str__(self) -> str:
        return endpoint(self.address, self.port)


class _Server(NamedTuple):
    key: ServerKey
    weight: int
    forward: Forward
    upper: int
    lower: int
    tunnel: str
    tunnel_port: int
    tunnel_checksum: str


_METHODS = tuple(method.value for method in Forward)


class Server(Value, _Server):
    """A real server of a virtual service.

    ``weight``: share of new connections, 0 for none. ``upper``: no new connections above this
    many, until fewer than ``lower`` remain; 0 for no threshold. ``tunnel`` (ipip, gue, gre),
    ``tunnel_port`` (gue only) and ``tunnel_checksum`` matter for forwarding by tunnel alone.
    """

    __slots__ = ()

    def __new__(
        cls,
        key: ServerKey,
        weight: int = 1,
        forward: Forward | str = Forward.NAT,
        *,
        upper: int = 0,
        lower: int = 0,
        tunnel: str = "ipip",
        tunnel_port: int = 0,
        tunnel_checksum: str = "nocsum",
    ) -> Server:
        place = f"real server {key}"
        one_of(place, "forwarding method", forward, _METHODS)
        within(place, "weight", weight, 0, HIGHEST_INT)
        within(place, "upper threshold", upper, 0, HIGHEST_INT)
        within(place, "lower threshold", lower, 0, HIGHEST_INT)
        if lower > upper:
            raise IpvsError(
                place,
                f"the lower threshold {lower} is above the upper one {upper}",
                "give a lower threshold that is not higher than the upper one",
            )
        forward = Forward(forward)
        _check_tunnel(place, forward, tunnel, tunnel_port, tunnel_checksum)
        return cls._make((key, weight, forward, upper, lower, tunnel, tunnel_port, tunnel_checksum))

    def replace(self, **changes: object) -> Server:
        """Return a copy with some fields changed, validated like a new one."""
        return type(self)(**{**self._asdict(), **changes})


def _check_tunnel(place: str, forward: Forward, tunnel: str, port: int, checksum: str) -> None:
    one_of(place, "tunnel type", tunnel, TUNNELS)
    one_of(place, "tunnel checksum", checksum, CHECKSUMS)
    within(place, "tunnel port", port, 0, HIGHEST_PORT)
    if forward is not Forward.TUNNEL and (tunnel, port, checksum) != ("ipip", 0, "nocsum"):
        raise IpvsError(
            place, f"tunnel settings do nothing with forwarding by {forward}", "leave them out"
        )
    if (tunnel == "gue") != (port != 0):
        raise IpvsError(
            place,
            "a gue tunnel needs a port" if port == 0 else f"an {tunnel} tunnel has no port",
            "give the UDP port that the server listens on" if port == 0 else "leave it out",
        )
    if tunnel == "ipip" and checksum != "nocsum":
        raise IpvsError(place, "an ipip tunnel has no checksum", "leave it out")


class Entry(NamedTuple):
    """One virtual service with its servers."""

    service: Service
    servers: Mapping[ServerKey, Server]


class Table(Mapping[ServiceKey, Entry]):
    """A whole IPVS table, or a part of one: virtual service -> (service, servers).

    Immutable; two tables are equal if they hold the same, in whatever order. It is made of services
    with their servers, or of entries of other tables; raises IpvsError where they do not go
    together.
    """

    __slots__ = ("_entries",)

    def __init__(
        self,
        entries: Iterable[tuple[Service, Iterable[Server] | Mapping[ServerKey, Server]]] = (),
    ) -> None:
        made: dict[ServiceKey, Entry] = {}
        for service, servers in entries:
            if service.key in made:
                raise IpvsError(
                    f"virtual service {service.key}", "it is there twice", "keep one of the two"
                )
            by_key: dict[ServerKey, Server] = {}
            for server in servers.values() if isinstance(servers, Mapping) else servers:
                check_pair(service, server)
                if server.key in by_key:
                    raise IpvsError(
                        f"virtual service {service.key}",
                        f"real server {server.key} is there twice",
                        "keep one of the two",
                    )
                by_key[server.key] = server
            made[service.key] = Entry(service, MappingProxyType(by_key))
        self._entries = made

    @classmethod
    def of_entries(cls, entries: Mapping[ServiceKey, Entry]) -> Table:
        """Make a table of entries that are known to be consistent (parts of other tables)."""
        table = cls()
        table._entries = dict(entries)
        return table

    def __getitem__(self, key: ServiceKey) -> Entry:
        return self._entries[key]

    def __iter__(self) -> Iterator[ServiceKey]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def __repr__(self) -> str:
        return f"Table({list(self._entries.values())!r})"

    def servers(self, key: ServiceKey) -> Mapping[ServerKey, Server]:
        """The servers of a service; none if the service is not there."""
        entry = self._entries.get(key)
        return entry.servers if entry else MappingProxyType({})

    def only(self, keys: Iterable[ServiceKey]) -> Table:
        """The part of this table with the given services."""
        wanted = set(keys)
        return self.of_entries({k: e for k, e in self._entries.items() if k in wanted})

    def without(self, keys: Iterable[ServiceKey]) -> Table:
        """This table without the given services."""
        unwanted = set(keys)
        return self.of_entries({k: e for k, e in self._entries.items() if k not in unwanted})


def check_pair(service: Service, server: Server) -> None:
    """Refuse what the kernel refuses about a server in a service: families may differ by tunnel."""
    if server.key.family != service.key.family and server.forward is not Forward.TUNNEL:
        raise IpvsError(
            f"virtual service {service.key}",
            f"real server {server.key} is {server.key.family} and the service is "
            f"{service.key.family}, which forwarding by {server.forward} cannot join",
            "use forwarding by tunnel or an address of the service's family",
        )
