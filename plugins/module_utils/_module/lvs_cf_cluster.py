# Copyright: (c) 2026, piranha.lvs founders
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""From a configuration to the description of a cluster: the way back from filter/cluster.py.

Private to this collection. Pure. What that filter would add by itself is left out or contradicted,
so that both together give a configuration that means the same.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ..lvs_cf.config import Config, Server, Virtual
from ..lvs_cf.directives import FAILOVER, GLOBAL, SERVER, SERVER_TABLE, VIRTUAL
from ..lvs_cf.merge import LABELS, PARTS, written_data
from ..lvs_cf.values import NO_ADDRESS

# Directives that follow from the routers' own variables.
_DERIVED = ("primary", "backup", "primary_private", "backup_private")
# What the inventory can say of a real server that is in a group.
_GROUPED = ("address", "active", "weight")
_ROUTERS = ("primary", "backup")
_GROUPS = 3


class CannotDescribe(Exception):
    """One sentence: what a file says that the description of a cluster cannot."""


class Names(NamedTuple):
    """How the inventory shall call things; `hosts` are names by address."""

    cluster: str
    cluster_group: str
    router_group: str
    real_server_group: str
    virtual_group: Callable[[str], str]
    hosts: Mapping[str, str]


@dataclass
class Cluster:
    """Hosts with their variables, groups with their members (hosts or groups), and the variables
    of the whole.
    """

    hosts: dict[str, dict[str, Any]] = field(default_factory=dict)
    groups: dict[str, list[str]] = field(default_factory=dict)
    variables: dict[str, Any] = field(default_factory=dict)


class _Machine(NamedTuple):
    """A real server as the inventory knows it; `alike` if every virtual server gives one weight."""

    host: str
    alike: bool


def describe(config: Config, names: Names) -> Cluster:
    """The description of a configuration without errors. Raises CannotDescribe."""
    _refuse_twins(config)
    cluster = Cluster()
    routers = _routers(config, names, cluster)
    if config.globals.text("primary") not in routers:
        raise CannotDescribe("it names no primary router; give it `primary`")
    machines = _real_servers(config, names, routers, cluster)
    everyone: list[str] = []
    cluster.groups = {
        names.cluster_group: [names.router_group, names.real_server_group],
        names.router_group: list(routers.values()),
        names.real_server_group: everyone,
    }
    if len({names.cluster_group, names.router_group, names.real_server_group}) < _GROUPS:
        raise CannotDescribe("the cluster, its routers and its real servers need three group names")
    data: dict[str, Any] = written_data(config)
    for block, item in zip(config.virtual, data[PARTS[VIRTUAL]]):
        members = _members(block, machines)
        group = names.virtual_group(block.name)
        if members and group not in cluster.groups:
            cluster.groups[group] = members
            everyone.append(group)
            del item[PARTS[SERVER]]
            item["real_server_group"] = group
    _active_or_not(data)
    grouped = {host for group in everyone for host in cluster.groups[group]}
    others = [machine.host for machine in machines.values() if machine.host not in grouped]
    everyone.extend(host for host in others if host not in routers.values())
    for host in cluster.hosts:
        if host in cluster.groups:
            raise CannotDescribe(f"{host} is the name of a host and of a group; see `host_names`")
    cluster.variables = {
        "piranha_cluster_name": names.cluster,
        "piranha_router_group": names.router_group,
        "piranha_primary": next(iter(routers.values())),
        "piranha_globals": _globals(config, data[PARTS[GLOBAL]]),
        "piranha_virtual_servers": data[PARTS[VIRTUAL]],
        "piranha_failover_services": data[PARTS[FAILOVER]],
    }
    return cluster


def _refuse_twins(config: Config) -> None:
    """A description knows blocks by their names."""
    for kind, blocks in ((VIRTUAL, config.virtual), (FAILOVER, list[Virtual](config.failover))):
        _refuse_twice([block.name for block in blocks], f"{LABELS[kind]}s")
        for block in blocks:
            servers = [server.name for server in block.servers]
            _refuse_twice(servers, f"{LABELS[SERVER]}s of {LABELS[kind]} {block.name}")


def _refuse_twice(names: list[str], what: str) -> None:
    for name, count in Counter(names).items():
        if count > 1:
            raise CannotDescribe(f"{count} {what} are called {name}; give each its own name")


def _active_or_not(data: Mapping[str, Any]) -> None:
    """What does not say whether it is active is not; the filter takes it for active."""
    for kind in (VIRTUAL, FAILOVER):
        for item in data[PARTS[kind]]:
            for block in (item, *item.get(PARTS[SERVER], ())):
                block.setdefault("active", 0)


def _routers(config: Config, names: Names, cluster: Cluster) -> dict[str, str]:
    """The routers' names by their addresses, the primary first."""
    settings = config.globals
    routers: dict[str, str] = {}
    for role in _ROUTERS:
        address = settings.text(role)
        if address is None or address == NO_ADDRESS:
            continue
        host = names.hosts.get(address, address)
        routers[address] = host
        variables = _host(host, address)
        if settings.given("primary_private"):
            variables["piranha_private_address"] = settings.text(f"{role}_private")
        if host in cluster.hosts:
            raise CannotDescribe(f"`host_names` calls both routers {host}; give each its own name")
        cluster.hosts[host] = variables
    return routers


def _host(host: str, address: str) -> dict[str, Any]:
    variables = {"piranha_address": address}
    return variables if host == address else {"ansible_host": address, **variables}


def _real_servers(
    config: Config, names: Names, routers: Mapping[str, str], cluster: Cluster
) -> dict[str, _Machine]:
    """The real servers by their addresses; fills in their hosts."""
    called: dict[str, set[str]] = {}  # address -> its names in the file
    weights: dict[str, set[int | None]] = {}
    for block in config.virtual:
        for server in block.servers:
            address = _address(block, server)
            called.setdefault(address, set()).add(server.name)
            weights.setdefault(address, set()).add(server.settings.number("weight"))
    uses = Counter(name for every in called.values() for name in every)
    taken = {*cluster.hosts, *routers, *called}
    found: dict[str, _Machine] = {}
    for address, every in called.items():
        name = min(every)
        its_own = len(every) == 1 and uses[name] == 1 and name not in taken
        host = names.hosts.get(address, name if its_own else address)
        host = routers.get(address, host)
        if address not in routers and host in cluster.hosts:
            raise CannotDescribe(f"two machines would be called {host}; see `host_names`")
        variables = cluster.hosts.setdefault(host, _host(host, address))
        found[address] = _Machine(host, len(weights[address]) == 1)
        (weight, *others) = weights[address]
        if not others and weight != SERVER_TABLE.defaults["weight"]:
            variables["piranha_weight"] = weight
    return found


def _address(block: Virtual, server: Server) -> str:
    address = server.settings.text("address")
    if address is None:
        raise CannotDescribe(
            f"the {LABELS[SERVER]} {server.name} of {LABELS[VIRTUAL]} {block.name} has no address; "
            "give it one, or remove it"
        )
    return address


def _members(block: Virtual, machines: Mapping[str, _Machine]) -> list[str] | None:
    """The hosts of a virtual server, if being in a group says all about them; else None."""
    members: list[str] = []
    for server in block.servers:
        machine = machines[_address(block, server)]
        extra = any(key not in _GROUPED for key in server.settings.written)
        active = server.settings.flag("active")
        if machine.host != server.name or not machine.alike or extra or not active:
            return None
        members.append(machine.host)
    return members


def _globals(config: Config, written: dict[str, Any]) -> dict[str, Any]:
    """The global directives, with those that the filter would set otherwise."""
    settings = config.globals
    result = {key: value for key, value in written.items() if key not in _DERIVED}
    partner = int(settings["backup"] not in (None, NO_ADDRESS))
    for key in ("backup_active", "heartbeat"):
        result.pop(key, None)
        if settings.number(key) != partner:
            result[key] = settings.number(key)
    if config.failover and not config.virtual:
        result["service"] = settings.text("service")
    return result
