# Copyright: (c) 2026, piranha.lvs founders
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""From the description of a cluster in the inventory to the data of its lvs.cf.

Pure: a mapping, the inventory's groups and its host variables go in, plain data comes out.
It finds out who is who and which address belongs to whom. What a directive may say is not
its business; the module piranha.lvs.lvs_cf knows that.
"""

from __future__ import annotations

DOCUMENTATION = r"""
name: cluster
short_description: Turn the description of a cluster into the data of its lvs.cf
version_added: "0.1.0"
author: piranha.lvs founders (@piranha-lvs)
description:
  - Takes the variables that describe a cluster, the inventory's groups and its host variables, and gives
    what M(piranha.lvs.lvs_cf) takes, together with who is primary and which addresses float.
  - The role P(piranha.lvs.piranha_router#role) uses it; whoever wants the cluster's data elsewhere can too.
positional: groups, hostvars
options:
  _input:
    description:
      - The description of the cluster. A value of V(null) stands for the default.
    type: dict
    required: true
    suboptions:
      name:
        description: The cluster's name, as in C(piranha_cluster_name).
        type: str
        default: piranha
      router_group:
        description: The inventory group of the routers, one or two hosts, as in C(piranha_router_group).
        type: str
        default: piranha_routers
      primary:
        description: The primary router, as in C(piranha_primary). The first host of the group if not given.
        type: str
      globals:
        description:
          - Global directives, as in C(piranha_globals).
          - The directives C(primary), C(backup), C(primary_private) and C(backup_private) may not stand here, for they
            follow from the hosts' own C(piranha_address) and C(piranha_private_address).
        type: dict
        default: {}
      virtual_servers:
        description:
          - Virtual servers, as in C(piranha_virtual_servers).
          - Each has a C(name), the directives' own names, and either C(real_servers), a list, or
            C(real_server_group), a group of the inventory. One that does not say C(active) is active.
        type: list
        elements: dict
        default: []
      failover_services:
        description: Failover services, as in C(piranha_failover_services).
        type: list
        elements: dict
        default: []
  groups:
    description: The inventory's groups, the variable C(groups).
    type: dict
    required: true
  hostvars:
    description:
      - The variables of all hosts, the variable C(hostvars).
      - Of a host C(piranha_address) is read (without it C(ansible_host) or the host's name, if that is an address),
        C(piranha_private_address) of a router, and C(piranha_weight) of a real server.
    type: dict
    required: true
seealso:
  - module: piranha.lvs.lvs_cf
"""

EXAMPLES = r"""
- name: Show the virtual servers with their real servers filled in from the group
  ansible.builtin.debug:
    msg: "{{ (description | piranha.lvs.cluster(groups, hostvars)).virtual_servers }}"
  vars:
    description:
      router_group: routers
      globals:
        network: nat
        nat_router: 192.0.2.254 eth2:1
      virtual_servers:
        - name: http
          address: 203.0.113.100 eth1:1
          port: 80
          real_server_group: web
"""

RETURN = r"""
_value:
  description: The cluster, ready to be written and looked up.
  type: dict
  contains:
    name:
      description: The cluster's name.
      type: str
      sample: piranha
    routers:
      description: Its routers, the primary first.
      type: list
      elements: str
      sample: [lvs1, lvs2]
    primary:
      description: The primary router.
      type: str
      sample: lvs1
    backup:
      description: The backup router; V(null) where there is one router only.
      type: str
      sample: lvs2
    floating:
      description: The addresses that belong to whichever router is active.
      type: list
      elements: str
      sample: [192.0.2.254, 203.0.113.100]
    marks:
      description: Whether the agent has to set firewall marks for one of the virtual servers.
      type: bool
      sample: false
    globals:
      description: Global directives.
      type: dict
      sample: {primary: 203.0.113.11, backup: 203.0.113.12, backup_active: 1, heartbeat: 1}
    virtual_servers:
      description: Virtual servers with their real servers.
      type: list
      elements: dict
      sample: [{name: http, active: 1, address: 203.0.113.100 eth1:1, port: 80, real_servers: [{name: web1, active: 1, address: 192.0.2.21}]}]
    failover_services:
      description: Failover services.
      type: list
      elements: dict
      sample: []
"""

import typing as t
from collections.abc import Mapping

from ansible.errors import AnsibleFilterError
from ansible_collections.piranha.lvs.plugins.module_utils.lvs_cf.api import from_data
from ansible_collections.piranha.lvs.plugins.module_utils.lvs_cf.config import marked
from ansible_collections.piranha.lvs.plugins.plugin_utils.described import is_address

DEFAULTS: dict[str, t.Any] = {
    "name": "piranha",
    "router_group": "piranha_routers",
    "primary": None,
    "globals": {},
    "virtual_servers": [],
    "failover_services": [],
}

# The variable a person wrote, for the sentences of errors.
VARIABLES = {
    "name": "piranha_cluster_name",
    "router_group": "piranha_router_group",
    "primary": "piranha_primary",
    "globals": "piranha_globals",
    "virtual_servers": "piranha_virtual_servers",
    "failover_services": "piranha_failover_services",
}

DERIVED = ("primary", "backup", "primary_private", "backup_private")
ROUTERS_AT_MOST = 2
_KINDS: dict[type, tuple[type, str]] = {
    dict: (Mapping, "a mapping of directives"),
    list: (list, "a list"),
}


class DescriptionError(ValueError):
    """What is wrong with a description: one sentence that names the variable."""


def describe(
    description: Mapping[str, t.Any],
    groups: Mapping[str, t.Sequence[str]],
    hostvars: Mapping[str, Mapping[str, t.Any]],
) -> dict[str, t.Any]:
    """Give the cluster's data (see RETURN above). Raises DescriptionError."""
    wanted = _with_defaults(description)
    group = wanted["router_group"]
    routers = _members(groups, group, VARIABLES["router_group"])
    if not 1 <= len(routers) <= ROUTERS_AT_MOST:
        raise DescriptionError(
            f"piranha_router_group: the group '{group}' has {len(routers)} hosts, a cluster has one or two routers"
        )
    primary = wanted["primary"] or routers[0]
    if primary not in routers:
        raise DescriptionError(
            f"piranha_primary: '{primary}' is not in the group '{group}' ({', '.join(routers)})"
        )
    backup = next((router for router in routers if router != primary), None)
    virtual = [
        _virtual_server(entry, f"piranha_virtual_servers[{index}]", groups, hostvars)
        for index, entry in enumerate(wanted["virtual_servers"])
    ]
    failover = [
        {"active": 1, **_named(entry, f"piranha_failover_services[{index}]")}
        for index, entry in enumerate(wanted["failover_services"])
    ]
    _refuse_twins(virtual, VARIABLES["virtual_servers"])
    _refuse_twins(failover, VARIABLES["failover_services"])
    settings = _globals(wanted["globals"], primary, backup, hostvars)
    if failover and not virtual:
        settings.setdefault("service", "fos")
    return {
        "name": wanted["name"],
        "routers": [primary] + ([backup] if backup else []),
        "primary": primary,
        "backup": backup,
        "floating": _floating(settings, virtual + failover),
        "marks": bool(marked(from_data({"globals": settings, "virtual_servers": virtual}).config)),
        "globals": settings,
        "virtual_servers": virtual,
        "failover_services": failover,
    }


def _with_defaults(description: t.Any) -> dict[str, t.Any]:
    if not isinstance(description, Mapping):
        raise DescriptionError(
            "the description of a cluster is a mapping (see the documentation of this filter)"
        )
    unknown = sorted(set(description) - set(DEFAULTS))
    if unknown:
        raise DescriptionError(f"a description has no '{unknown[0]}'; it has {', '.join(DEFAULTS)}")
    wanted = {
        key: default if description.get(key) is None else description[key]
        for key, default in DEFAULTS.items()
    }
    for key, default in DEFAULTS.items():
        kind, word = _KINDS.get(type(default), (str, "a word"))
        if wanted[key] is not None and not isinstance(wanted[key], kind):
            raise DescriptionError(f"{VARIABLES[key]} must be {word}, not {wanted[key]!r}")
    return wanted


def _members(groups: Mapping[str, t.Sequence[str]], group: str, where: str) -> list[str]:
    if group not in groups:
        raise DescriptionError(f"{where}: the inventory has no group '{group}'")
    return list(groups[group])


def _globals(
    given: Mapping[str, t.Any],
    primary: str,
    backup: str | None,
    hostvars: Mapping[str, Mapping[str, t.Any]],
) -> dict[str, t.Any]:
    for directive in DERIVED:
        if directive in given:
            variable = (
                "piranha_private_address" if directive.endswith("_private") else "piranha_address"
            )
            raise DescriptionError(
                f"piranha_globals: '{directive}' follows from the router's own {variable}; "
                f"set that (and piranha_primary), and leave '{directive}' out"
            )
    settings: dict[str, t.Any] = {"primary": _address(primary, hostvars)}
    if backup:
        settings["backup"] = _address(backup, hostvars)
    private = {
        role: hostvars[host].get("piranha_private_address")
        for role, host in (("primary", primary), ("backup", backup))
        if host
    }
    missing = [
        host
        for role, host in (("primary", primary), ("backup", backup))
        if host and not private[role]
    ]
    if len(missing) == 1 and len(private) == ROUTERS_AT_MOST:
        raise DescriptionError(
            f"piranha_private_address is set for one router and not for '{missing[0]}'; both need it, or neither"
        )
    if not missing:
        settings.update((f"{role}_private", address) for role, address in private.items())
    settings["backup_active"] = int(bool(backup))
    settings["heartbeat"] = int(bool(backup))
    settings.update(given)
    return settings


def _address(host: str, hostvars: Mapping[str, Mapping[str, t.Any]]) -> str:
    """Give the address by which the cluster knows a host."""
    variables = hostvars[host]
    explicit = variables.get("piranha_address")
    if explicit:
        return str(explicit)
    for fallback in (variables.get("ansible_host"), host):
        if fallback and is_address(str(fallback)):
            return str(fallback)
    raise DescriptionError(
        f"piranha_address is not set for the host '{host}', and neither its ansible_host nor its name "
        "is an address; set piranha_address to the one the other machines of the cluster reach it by"
    )


def _named(entry: t.Any, where: str) -> dict[str, t.Any]:
    if not isinstance(entry, Mapping):
        raise DescriptionError(
            f"{where} must be a mapping of directives with a name, not {entry!r}"
        )
    if not entry.get("name"):
        raise DescriptionError(f"{where} has no name; every block of lvs.cf has one")
    return dict(entry)


def _refuse_twins(blocks: t.Sequence[Mapping[str, t.Any]], where: str) -> None:
    seen: dict[str, int] = {}
    for index, block in enumerate(blocks):
        first = seen.setdefault(str(block["name"]), index)
        if first != index:
            raise DescriptionError(
                f"{where}: the name '{block['name']}' stands twice, in [{first}] and [{index}]"
            )


def _virtual_server(
    entry: t.Any,
    where: str,
    groups: Mapping[str, t.Sequence[str]],
    hostvars: Mapping[str, Mapping[str, t.Any]],
) -> dict[str, t.Any]:
    block = _named(entry, where)
    group = block.pop("real_server_group", None)
    listed = block.pop("real_servers", None)
    if group is not None and listed is not None:
        raise DescriptionError(
            f"{where} has both real_servers and real_server_group; give one of them"
        )
    if group is not None:
        hosts = _members(groups, str(group), f"{where}.real_server_group")
        servers = [_from_inventory(host, hostvars) for host in hosts]
    else:
        if not isinstance(listed or [], list):
            raise DescriptionError(f"{where}.real_servers must be a list, not {listed!r}")
        servers = [
            _listed_server(server, f"{where}.real_servers[{index}]", hostvars)
            for index, server in enumerate(listed or [])
        ]
    _refuse_twins(servers, f"{where}.real_servers")
    return {"active": 1, **block, "real_servers": servers}


def _from_inventory(host: str, hostvars: Mapping[str, Mapping[str, t.Any]]) -> dict[str, t.Any]:
    server: dict[str, t.Any] = {"name": host, "active": 1, "address": _address(host, hostvars)}
    weight = hostvars[host].get("piranha_weight")
    if weight is not None:
        server["weight"] = weight
    return server


def _listed_server(
    entry: t.Any, where: str, hostvars: Mapping[str, Mapping[str, t.Any]]
) -> dict[str, t.Any]:
    server = _named(entry, where)
    if not server.get("address"):
        if server["name"] not in hostvars:
            raise DescriptionError(
                f"{where} ('{server['name']}') has no address and is no host of the inventory"
            )
        return {**_from_inventory(server["name"], hostvars), **server}
    return {"active": 1, **server}


def _floating(settings: Mapping[str, t.Any], blocks: t.Sequence[Mapping[str, t.Any]]) -> list[str]:
    """Give the addresses only the active router holds: the gateway's and those of active blocks."""
    found = []
    if settings.get("network", "nat") == "nat":
        found.append(settings.get("nat_router"))
    found.extend(block.get("address") for block in blocks if _is_on(block["active"]))
    return list(dict.fromkeys(_plain(entry) for entry in found if entry and _plain(entry)))


def _is_on(switch: t.Any) -> bool:
    return str(switch).lower() not in ("0", "false", "no", "off")


def _plain(entry: t.Any) -> str:
    """Give the address alone of `ADDRESS[/LENGTH] [DEVICE]` or of a mapping with `address`."""
    text = str(entry.get("address") or "") if isinstance(entry, Mapping) else str(entry)
    return text.split()[0].split("/")[0] if text.split() else ""


def cluster(
    description: Mapping[str, t.Any],
    groups: Mapping[str, t.Sequence[str]],
    hostvars: Mapping[str, Mapping[str, t.Any]],
) -> dict[str, t.Any]:
    """Do what describe() does, with errors in Ansible's own type."""
    try:
        return describe(description, groups, hostvars)
    except DescriptionError as error:
        raise AnsibleFilterError(str(error)) from error


class FilterModule:
    """What Ansible asks a filter file for."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """Give the filters by name."""
        return {"cluster": cluster}
