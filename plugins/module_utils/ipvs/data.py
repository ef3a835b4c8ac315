# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""A table as plain lists and mappings, for JSON and for playbooks. Only makes them."""

from __future__ import annotations

from typing import Any

from .codec import Counters, ServerRow, ServiceRow
from .kernel import Snapshot
from .model import Server, Service


def to_data(snapshot: Snapshot, counters: bool = False) -> list[dict[str, Any]]:
    """The services of a snapshot, sorted, each with its sorted servers.

    What does not apply is None: protocol, address and port of a service by firewall mark, the mark
    of others. ``counters`` adds ``connections`` of servers and ``counters`` of both; these are None
    where the kernel counts in 32 bits only.
    """
    return [
        {
            **_service(snapshot.services[key], counters),
            "servers": [
                _server(snapshot.servers[key, name], counters)
                for name in sorted(snapshot.table.servers(key))
            ],
        }
        for key in sorted(snapshot.table)
    ]


def _service(row: ServiceRow, counters: bool) -> dict[str, Any]:
    service: Service = row.service
    by_mark = bool(service.key.fwmark)
    told = {
        "family": service.key.family,
        "protocol": None if by_mark else service.key.protocol,
        "address": None if by_mark else service.key.address,
        "port": None if by_mark else service.key.port,
        "fwmark": service.key.fwmark if by_mark else None,
        "scheduler": service.scheduler,
        "flags": list(service.flags),
        "persistence": service.persistence,
        "mask": service.mask,
        "engine": service.engine or None,
        "one_packet": service.one_packet,
    }
    return {**told, "counters": _counters(row.counters)} if counters else told


def _server(row: ServerRow, counters: bool) -> dict[str, Any]:
    server: Server = row.server
    told = {
        "address": server.key.address,
        "port": server.key.port,
        "weight": server.weight,
        "forward": server.forward.value,
        "upper": server.upper,
        "lower": server.lower,
        "tunnel": server.tunnel,
        "tunnel_port": server.tunnel_port,
        "tunnel_checksum": server.tunnel_checksum,
    }
    if not counters:
        return told
    connections = {"active": row.active, "inactive": row.inactive, "persistent": row.persistent}
    return {**told, "connections": connections, "counters": _counters(row.counters)}


def _counters(counters: Counters | None) -> dict[str, int] | None:
    return None if counters is None else counters._asdict()
