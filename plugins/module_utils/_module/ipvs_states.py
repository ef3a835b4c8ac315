# Copyright: (c) 2026, piranha.lvs founders
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the states of the module ipvs_table mean: the task's services and the table that is, made
into the table that shall be.

Private to this collection. Pure; every refusal is an IpvsError that names the place in the options.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from ..ipvs.data import key_from_data
from ..ipvs.errors import IpvsError
from ..ipvs.model import Server, ServerKey, Service, ServiceKey, Table
from ..ipvs.plan import Operation, plan
from ..ipvs.scope import Scope
from .ipvs_options import Options, at, placed, server_key, service_of

ALLOW = "set allow_empty: true if that is what you want"


class WishedServer(NamedTuple):
    """A real server as the task gives it."""

    place: str
    key: ServerKey
    options: Options


class Wish(NamedTuple):
    """A virtual service as the task gives it; ``servers`` is None where it says nothing of them."""

    place: str
    key: ServiceKey
    options: Options
    servers: Mapping[ServerKey, WishedServer] | None


def wishes(services: Sequence[Options]) -> dict[ServiceKey, Wish]:
    """The services of the task, by their keys."""
    found: dict[ServiceKey, Wish] = {}
    for number, options in enumerate(services):
        place = f"services[{number}]"
        key = key_from_data(options, place)
        if key in found:
            raise _twice(found[key].place, place, f"virtual service {key}")
        found[key] = Wish(place, key, options, _servers(place, key, options.get("servers")))
    return found


def _servers(
    place: str, service: ServiceKey, servers: Sequence[Options] | None
) -> dict[ServerKey, WishedServer] | None:
    if servers is None:
        return None
    found: dict[ServerKey, WishedServer] = {}
    for number, options in enumerate(servers):
        here = f"{place}.servers[{number}]"
        with at(here):
            key = server_key(options, service)
        if key in found:
            raise _twice(found[key].place, here, f"real server {key}")
        found[key] = WishedServer(here, key, options)
    return found


def _twice(first: str, second: str, what: str) -> IpvsError:
    return IpvsError(f"{first} and {second}", f"both are {what}", "keep one of the two")


def scope_of(options: Options | None) -> Scope:
    """The scope that the option ``restrict`` gives. IpvsError."""
    if options is None:
        return Scope()
    scope = Scope(**options)
    if scope.whole:
        raise IpvsError(
            "restrict",
            "it names nothing, which could be taken for the whole table",
            "name addresses, fwmarks or protocols, or leave it out to mean every service",
        )
    return scope


class Goal(NamedTuple):
    """What shall be done: the services that it is about, the operations, and sentences."""

    about: frozenset[ServiceKey]
    operations: tuple[Operation, ...]
    warnings: tuple[str, ...] = ()


def goal(
    state: str,
    wanted: Mapping[ServiceKey, Wish],
    actual: Table,
    scope: Scope,
    allow_empty: bool = False,
) -> Goal:
    """What a state demands of the table ``actual``. IpvsError.

    ``actual`` must hold the services that are wanted, if they are there, and for overridden all.
    """
    for wish in wanted.values():
        if wish.key not in scope:
            raise IpvsError(
                wish.place,
                f"virtual service {wish.key} is outside of what restrict names",
                "take it out or widen restrict",
            )
    about = frozenset(wanted)
    if state == "deleted":
        return Goal(about, plan(Table(), actual, about))
    if state == "overridden":
        about |= set(scope.of(actual))
    warnings: list[str] = []
    desired = Table(
        _entry(wish, actual, state != "merged", allow_empty, warnings) for wish in wanted.values()
    )
    operations = plan(desired, actual, about if state == "overridden" else ())
    if not wanted and operations and not allow_empty:
        raise IpvsError(
            "services",
            f"the list is empty, which would delete {_count(len(operations), 'virtual service')}",
            ALLOW,
        )
    return Goal(about, operations, tuple(warnings))


def _entry(
    wish: Wish, actual: Table, fresh: bool, allow_empty: bool, warnings: list[str]
) -> tuple[Service, list[Server]]:
    present = actual.get(wish.key)
    there = actual.servers(wish.key)
    with at(wish.place):
        service = service_of(
            wish.options, wish.key, present.service if present and not fresh else None
        )
    if wish.servers is None:
        return service, list(there.values())
    if fresh and not wish.servers and there and not allow_empty:
        raise IpvsError(
            f"{wish.place}.servers",
            f"the list is empty, which would delete {_count(len(there), 'real server')} "
            f"of {wish.key}",
            ALLOW,
        )
    servers = {} if fresh else dict(there)
    origin: dict[ServerKey, str] = {}
    for key, one in wish.servers.items():
        with at(one.place):
            server, said = placed(one.options, service, key, actual, fresh)
        if server.key in origin:
            raise _twice(origin[server.key], one.place, f"real server {server.key}")
        origin[server.key] = one.place
        servers[server.key] = server
        warnings += said
    return service, list(servers.values())


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
