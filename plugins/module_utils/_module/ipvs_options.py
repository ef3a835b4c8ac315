# Copyright: (c) 2026, piranha.lvs founders
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of the modules about the IPVS table: their argument specs, and options as values.

Private to this collection. An option that is not given (None) leaves what is there as it is, and
takes the library's default where nothing is there yet. Pure; nothing here reads the table.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from ..ipvs.data import SERVER_FIELDS, SERVER_TALLIES, SERVICE_FIELDS, SERVICE_TALLIES
from ..ipvs.errors import IpvsError
from ..ipvs.model import Forward, Server, ServerKey, Service, ServiceKey, Table
from ..ipvs.normal import CHECKSUMS, FAMILIES, PROTOCOLS, TUNNELS
from ..ipvs.scope import normalise
from .ipvs_drain import FAIL, HONOUR, ON_TIMEOUT, PERSISTENCE

Options = Mapping[str, Any]
Spec = dict[str, Any]

STATES = ("merged", "replaced", "overridden", "deleted")
USUAL_FORWARD = ("nat", "direct", "tunnel")
ALL_FORWARD = tuple(method.value for method in Forward)


def key_spec() -> Spec:
    """What names a virtual service.

    The protocol has no choices here: Ansible would refuse the null that ipvs_info returns for a
    service by mark, and the library knows the protocols anyway.
    """
    return {
        "family": {"type": "str", "choices": list(FAMILIES)},
        "protocol": {"type": "str"},
        "address": {"type": "str"},
        "port": {"type": "int"},
        "fwmark": {"type": "int"},
    }


def named_service_spec(required: bool) -> Spec:
    """A virtual service named by a dictionary."""
    spec: Spec = {"type": "dict", "options": key_spec()}
    return {**spec, "required": True} if required else spec


def service_spec() -> Spec:
    """What can be said of a virtual service beside its name."""
    return {
        "scheduler": {"type": "str"},
        "flags": {"type": "list", "elements": "str"},
        "persistence": {"type": "int"},
        "mask": {"type": "str"},
        "engine": {"type": "str"},
        "one_packet": {"type": "bool"},
    }


def server_spec(forward: tuple[str, ...] = USUAL_FORWARD) -> Spec:
    """A real server: its name, and what can be said of it."""
    return {
        "address": {"type": "str", "required": True},
        "port": {"type": "int"},
        "weight": {"type": "int"},
        "forward": {"type": "str", "choices": list(forward)},
        "upper": {"type": "int"},
        "lower": {"type": "int"},
        "tunnel": {"type": "str", "choices": list(TUNNELS)},
        "tunnel_port": {"type": "int"},
        "tunnel_checksum": {"type": "str", "choices": list(CHECKSUMS)},
    }


def force_spec() -> Spec:
    """Whether to change what lvsd owns."""
    return {"force": {"type": "bool", "default": False}}


def server_module_spec() -> Spec:
    """The whole spec of ipvs_server; its action plugin reads it too."""
    return {
        "service": named_service_spec(required=True),
        **server_spec(),
        "state": _choice(("present", "absent", "drained"), "present"),
        "persistence": _choice(PERSISTENCE, HONOUR),
        "timeout": {"type": "int", "default": 300},
        "interval": {"type": "int", "default": 2},
        "on_timeout": _choice(ON_TIMEOUT, FAIL),
        **force_spec(),
    }


def table_module_spec() -> Spec:
    """The whole spec of ipvs_table."""
    server = {**server_spec(ALL_FORWARD), **{name: {"type": "dict"} for name in SERVER_TALLIES}}
    service = {
        **key_spec(),
        **service_spec(),
        "servers": {"type": "list", "elements": "dict", "options": server},
        **{name: {"type": "dict"} for name in SERVICE_TALLIES},
    }
    restrict = {
        "addresses": {"type": "list", "elements": "str"},
        "fwmarks": {"type": "list", "elements": "int"},
        "protocols": {"type": "list", "elements": "str", "choices": list(PROTOCOLS)},
    }
    return {
        "state": _choice(STATES, "merged"),
        "services": {"type": "list", "elements": "dict", "options": service},
        "saved": {"type": "str"},
        "restrict": {"type": "dict", "options": restrict},
        "allow_empty": {"type": "bool", "default": False},
        **force_spec(),
    }


def _choice(choices: Sequence[str], default: str) -> Spec:
    return {"type": "str", "choices": list(choices), "default": default}


# From options to values


def server_key(options: Options, service: ServiceKey) -> ServerKey:
    """The real server that the options name in a service. IpvsError."""
    port = options.get("port")
    return ServerKey(options["address"], service.port if port is None else port)


def service_of(options: Options, key: ServiceKey, present: Service | None) -> Service:
    """The service as the options want it, upon what is there (None: a new one). IpvsError."""
    given = _given(options, SERVICE_FIELDS)
    if present is None:
        return Service(key, **given)
    if given.get("scheduler", present.scheduler) != present.scheduler:
        given.setdefault("flags", ())  # flags belong to a scheduler
    return present.replace(**given)


def server_of(options: Options, key: ServerKey, present: Server | None) -> Server:
    """The real server as the options want it, upon what is there (None: a new one). IpvsError."""
    given = _given(options, SERVER_FIELDS)
    if present is None:
        return Server(key, **given)
    # What belongs to a value that goes must not stay behind and be refused.
    if given.get("forward", present.forward) != Forward.TUNNEL:
        given.setdefault("tunnel", "ipip")
    if given.get("tunnel", present.tunnel) != present.tunnel:
        given.setdefault("tunnel_port", 0)
        given.setdefault("tunnel_checksum", "nocsum")
    if given.get("upper") == 0:
        given.setdefault("lower", 0)
    return present.replace(**given)


class Placed(NamedTuple):
    """A real server as it can be in the kernel, and what the user should know of that."""

    server: Server
    warnings: tuple[str, ...]


def placed(
    options: Options, service: Service, key: ServerKey, actual: Table, fresh: bool = False
) -> Placed:
    """The real server as the options want it, with a port that the kernel minds. IpvsError.

    ``fresh``: what is there does not matter, only the options do.
    """
    there = {} if fresh else actual.servers(service.key)
    wanted = server_of(options, key, there.get(key))
    normal = normalise(Table([(service, [wanted])]), actual)
    (server,) = normal.table.servers(service.key).values()
    if server.key != key:  # it may stand there already, under the port that counts
        server = server_of(options, server.key, there.get(server.key))
    return Placed(server, normal.warnings)


def _given(options: Options, names: tuple[str, ...]) -> dict[str, Any]:
    return {name: options[name] for name in names if options.get(name) is not None}


@contextmanager
def at(place: str) -> Iterator[None]:
    """Put the option's place before that of an IpvsError."""
    try:
        yield
    except IpvsError as error:
        raise IpvsError(
            f"{place}: {error.place}", error.reason, error.remedy, error.errno
        ) from None
