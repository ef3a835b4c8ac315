# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""A table as plain lists and mappings, for JSON and for playbooks, and back.

What to_data() tells can be given to from_data(): the same table comes of it. The names of the
values stand in FIELDS once, and both directions use them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple, TypeVar

from .codec import Counters, ServerRow, ServiceRow
from .errors import IpvsError
from .kernel import Snapshot
from .model import Server, ServerKey, Service, ServiceKey, Table, check_pair
from .settings import Daemon, Timeouts

_Made = TypeVar("_Made")

SERVICE_KEY_FIELDS = ("family", "protocol", "address", "port", "fwmark")
SERVICE_FIELDS = ("scheduler", "flags", "persistence", "mask", "engine", "one_packet")
SERVER_KEY_FIELDS = ("address", "port")
SERVER_FIELDS = (
    "weight",
    "forward",
    "upper",
    "lower",
    "tunnel",
    "tunnel_port",
    "tunnel_checksum",
)
# Told on request, and passed over when given back.
SERVICE_TALLIES = ("counters",)
SERVER_TALLIES = ("connections", "counters")


# From values to data


def to_data(source: Snapshot | Table, counters: bool = False) -> list[dict[str, Any]]:
    """The services of a table or a snapshot, sorted, each with its sorted servers.

    What does not apply is None: protocol, address and port of a service by firewall mark, the mark
    of others. ``counters`` (of a snapshot only) adds ``connections`` of servers and ``counters`` of
    both; these are None where the kernel counts in 32 bits only.
    """
    table = source if isinstance(source, Table) else source.table
    told = []
    for key in sorted(table):
        entry = table[key]
        service = service_data(entry.service)
        servers = [server_data(entry.servers[name]) for name in sorted(entry.servers)]
        if counters and isinstance(source, Snapshot):
            service.update(_service_tallies(source.services[key]))
            for name, server in zip(sorted(entry.servers), servers):
                server.update(_server_tallies(source.servers[key, name]))
        told.append({**service, "servers": servers})
    return told


def service_data(service: Service) -> dict[str, Any]:
    """One service, without servers."""
    key = service.key
    by_mark = bool(key.fwmark)
    return {
        "family": key.family,
        "protocol": None if by_mark else key.protocol,
        "address": None if by_mark else key.address,
        "port": None if by_mark else key.port,
        "fwmark": key.fwmark if by_mark else None,
        **{name: getattr(service, name) for name in SERVICE_FIELDS},
        "flags": list(service.flags),
        "engine": service.engine or None,
    }


def server_data(server: Server) -> dict[str, Any]:
    """One server."""
    return {
        **{name: getattr(server.key, name) for name in SERVER_KEY_FIELDS},
        **{name: getattr(server, name) for name in SERVER_FIELDS},
        "forward": server.forward.value,
    }


def timeouts_data(timeouts: Timeouts) -> dict[str, int]:
    """The three timeouts by their names."""
    return timeouts._asdict()


def daemon_data(daemon: Daemon) -> dict[str, Any]:
    """One sync daemon."""
    return {**daemon._asdict(), "role": daemon.role.value}


def _service_tallies(row: ServiceRow) -> dict[str, Any]:
    return {"counters": _counters(row.counters)}


def _server_tallies(row: ServerRow) -> dict[str, Any]:
    connections = {"active": row.active, "inactive": row.inactive, "persistent": row.persistent}
    return {"connections": connections, "counters": _counters(row.counters)}


def _counters(counters: Counters | None) -> dict[str, int] | None:
    return None if counters is None else counters._asdict()


# From data to values


class Place(NamedTuple):
    """Where in the data a value stands, as a path: ``services[0].servers[2]``."""

    path: str

    def at(self, name: str | int) -> Place:
        """The place of one part."""
        if isinstance(name, int):
            return Place(f"{self.path}[{name}]")
        return Place(f"{self.path}.{name}" if self.path else name)


def from_data(services: Sequence[Mapping[str, Any]], path: str = "services") -> Table:
    """Make a table of what to_data() tells, or of the same written by hand.

    Of a service ``address`` and ``port`` must be given, or ``fwmark``; of a server ``address``. The
    rest has a default: ``protocol`` tcp, ``family`` that of the address (ipv4 for a mark), a
    server's ``port`` that of the service, all else as Service and Server have it. None is the same
    as not given. Servers whose port the kernel would ignore are not touched: see scope.normalise().

    Args:
        services: a list of mappings, each with ``servers``, a list of mappings.
        path: what the list is called, for the sentences.

    Raises:
        IpvsError: the place says the path of the value, for example
            ``services[0].servers[2].weight``.
    """
    place = Place(path)
    entries = []
    seen: dict[ServiceKey, str] = {}
    for number, given in enumerate(_listed(place, services)):
        here = place.at(number)
        service = service_from_data(given, here.path, more=("servers",))
        if service.key in seen:
            raise IpvsError(
                here.path,
                f"virtual service {service.key} is there twice, here and at {seen[service.key]}",
                "keep one of the two",
            )
        seen[service.key] = here.path
        there = here.at("servers")
        servers = [
            server_from_data(one, service, there.at(at).path)
            for at, one in enumerate(_listed(there, given.get("servers")))
        ]
        entries.append((service, servers))
        _joined(there, service, servers)
    return Table(entries)


def _joined(place: Place, service: Service, servers: Sequence[Server]) -> None:
    """Say at which server it is that a service and its servers do not fit together."""
    seen: dict[ServerKey, Place] = {}
    for number, server in enumerate(servers):
        here = place.at(number)
        _located(here, partial(check_pair, service, server))
        if server.key in seen:
            raise IpvsError(
                here.path,
                f"real server {server.key} is there twice, here and at {seen[server.key].path}",
                "keep one of the two",
            )
        seen[server.key] = here


def key_from_data(given: Mapping[str, Any], path: str = "") -> ServiceKey:
    """What names a service: address, port and protocol, or a firewall mark and a family."""
    place = Place(path)
    values = _given(place, given)
    family = values.get("family")
    if "fwmark" in values:
        for name in ("protocol", "address", "port"):
            # An empty one comes from a template that fills in nothing.
            if values.get(name) not in (None, "", 0):
                raise IpvsError(
                    place.at(name).path,
                    "it stands beside a firewall mark, which takes its place",
                    "give either fwmark or address, port and protocol",
                )
        mark = whole(place.at("fwmark"), values["fwmark"])
        return _located(place, lambda: ServiceKey.by_mark(mark, family or "ipv4"))
    for name in ("address", "port"):
        if name not in values:
            raise IpvsError(
                place.at(name).path,
                "it is missing",
                "give address and port of the virtual service, or fwmark",
            )
    port = whole(place.at("port"), values["port"])
    protocol = values.get("protocol", "tcp")
    key = _located(place, lambda: ServiceKey.by_address(protocol, values["address"], port))
    if family not in (None, key.family):
        raise IpvsError(
            place.at("family").path,
            f"{family!r} is not the family of {key.address}",
            f"write {key.family} or leave it out",
        )
    return key


def service_from_data(
    given: Mapping[str, Any], path: str = "", more: Sequence[str] = ()
) -> Service:
    """One service; ``more`` are names that it may have besides. IpvsError names the value."""
    place = Place(path)
    key = key_from_data(given, path)
    allowed = (*SERVICE_KEY_FIELDS, *SERVICE_FIELDS, *SERVICE_TALLIES, *more)
    values = _attributes(place, given, SERVICE_FIELDS, allowed)
    return _located(place, lambda: Service(key, **values))


def server_from_data(given: Mapping[str, Any], service: Service, path: str = "") -> Server:
    """One server of a service, whose port it has if it names none. IpvsError names the value."""
    place = Place(path)
    allowed = (*SERVER_KEY_FIELDS, *SERVER_FIELDS, *SERVER_TALLIES)
    values = _attributes(place, given, SERVER_FIELDS, allowed)
    if given.get("address") is None:
        raise IpvsError(place.at("address").path, "it is missing", "give the server's address")
    port = service.key.port
    if given.get("port") is not None:
        port = whole(place.at("port"), given["port"])
    key = _located(place, lambda: ServerKey(given["address"], port))
    return _located(place, lambda: Server(key, **values))


def timeouts_from_data(given: Mapping[str, Any], path: str = "timeouts") -> Timeouts:
    """What timeouts_data() tells, or a part of it. IpvsError names the value."""
    place = Place(path)
    values = _attributes(place, given, Timeouts._fields, Timeouts._fields)
    return _located(place, lambda: Timeouts(**values))


def daemon_from_data(given: Mapping[str, Any], path: str = "daemon") -> Daemon:
    """What daemon_data() tells, or a part of it with role and interface. IpvsError."""
    place = Place(path)
    values = _attributes(place, given, Daemon._fields, Daemon._fields)
    for name in ("role", "interface"):
        if name not in values:
            raise IpvsError(place.at(name).path, "it is missing", f"give the daemon's {name}")
    return _located(place, lambda: Daemon(**values))


_WHOLE = {
    *("persistence", "weight", "upper", "lower", "tunnel_port"),
    *("tcp", "tcp_fin", "udp", "syncid", "maxlen", "port", "ttl"),
}
_TEXT = {
    "scheduler",
    "engine",
    "forward",
    "tunnel",
    "tunnel_checksum",
    "role",
    "interface",
    "group",
}


def _attributes(
    place: Place, given: Mapping[str, Any], wanted: Sequence[str], allowed: Sequence[str]
) -> dict[str, Any]:
    """The wanted values, each of its type; a name that is not allowed is refused."""
    found = _given(place, given)
    for name in given:
        if name not in allowed:
            raise IpvsError(
                place.at(str(name)).path,
                "there is no such value",
                f"use {', '.join(allowed)}",
            )
    values = {name: found[name] for name in wanted if name in found}
    for name, value in values.items():
        here = place.at(name)
        if name in _WHOLE:
            values[name] = whole(here, value)
        elif name in _TEXT and not isinstance(value, str):
            raise IpvsError(here.path, f"{value!r} is no text", "write a word")
        elif name == "one_packet" and not isinstance(value, bool):
            raise IpvsError(
                here.path, f"{value!r} is neither true nor false", "write true or false"
            )
        elif name == "flags":
            values[name] = [value] if isinstance(value, str) else _listed(here, value)
    return values


def _given(place: Place, given: Any) -> dict[str, Any]:
    if not isinstance(given, Mapping):
        raise IpvsError(
            place.path or "the value", f"{given!r} is no mapping", "write names with values"
        )
    return {name: value for name, value in given.items() if value is not None}


def _listed(place: Place, given: Any) -> list[Any]:
    if given is None:
        return []
    if isinstance(given, (str, bytes, Mapping)) or not isinstance(given, Sequence):
        raise IpvsError(place.path, f"{given!r} is no list", "write a list")
    return list(given)


def whole(place: Place, value: object) -> int:
    """A whole number, also one that is written as text, as templates give it. IpvsError."""
    if isinstance(value, str) and value.strip().isdecimal() and value.strip().isascii():
        return int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise IpvsError(place.path, f"{value!r} is no whole number", "write digits only")
    return value


def _located(place: Place, make: Callable[[], _Made]) -> _Made:
    """Let a refusal of the model say where in the data it is."""
    try:
        return make()
    except IpvsError as error:
        where = f"{place.path}, {error.place}" if place.path else error.place
        raise IpvsError(where, error.reason, error.remedy) from None
