# Copyright: (c) piranha.lvs founders
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the kernel's IPVS table would be as virtual servers of an lvs.cf.

Pure, and nothing but names: what a directive may say is not its business, the filter
piranha.lvs.to_lvs_cf and the module piranha.lvs.lvs_cf check what comes out.
"""

from __future__ import annotations

DOCUMENTATION = r"""
name: from_ipvs
short_description: Turn the kernel's IPVS table into virtual servers of an lvs.cf
version_added: "0.1.0"
author: piranha.lvs founders (@piranha-lvs)
description:
  - Takes the C(services) that M(piranha.lvs.ipvs_info) returns, and gives the C(virtual_servers) that M(piranha.lvs.lvs_cf),
    P(piranha.lvs.to_lvs_cf#filter) and the variable C(piranha_virtual_servers) take.
  - So a router that was set up by hand or by scripts comes under Ansible. Checks are not in the kernel's table; those that
    C(lvs.cf) has by default hold until others are written.
  - Every virtual server and real server is active. Names are made of protocol, address and port.
options:
  _input:
    description: The virtual services.
    type: list
    elements: dict
    required: true
seealso:
  - module: piranha.lvs.ipvs_info
  - plugin: piranha.lvs.to_lvs_cf
    plugin_type: filter
"""

EXAMPLES = r"""
- name: Read the kernel's table
  piranha.lvs.ipvs_info:
  register: table

- name: Show it as an lvs.cf
  ansible.builtin.debug:
    msg: "{{ {'virtual_servers': table.services | piranha.lvs.from_ipvs} | piranha.lvs.to_lvs_cf }}"
"""

RETURN = r"""
_value:
  description: The virtual servers.
  type: list
  elements: dict
  sample:
    - name: tcp-203.0.113.100-80
      active: 1
      address: 203.0.113.100
      port: 80
      protocol: tcp
      scheduler: rr
      forward: nat
      real_servers:
        - {name: 192.0.2.21, address: 192.0.2.21, active: 1, weight: 1}
"""

import typing as t
from collections.abc import Mapping

from ansible.errors import AnsibleFilterError

Data = t.Mapping[str, t.Any]
# What the table says of a service, by the directive's name, where it is not the default.
_SAME = {"persistence": "persistent", "engine": "persistence_engine", "one_packet": "ops"}
_TUNNEL = {"tunnel": "tunnel_type", "tunnel_port": "tunnel_port", "tunnel_checksum": "tunnel_checksum"}
_UNSET = (0, "nocsum")
_THRESHOLDS = {"upper": "upper_threshold", "lower": "lower_threshold"}
_SINGLE = {"ipv4": "255.255.255.255", "ipv6": "128"}


def from_ipvs(services: t.Any) -> list[dict[str, t.Any]]:
    """Give the virtual servers. AnsibleFilterError for what an lvs.cf cannot say."""
    if not isinstance(services, list) or not all(isinstance(one, Mapping) for one in services):
        raise AnsibleFilterError("from_ipvs takes the list `services` that the module ipvs_info returns")
    try:
        return [_virtual(service) for service in services]
    except KeyError as missing:
        raise AnsibleFilterError(
            f"from_ipvs: a service lacks {missing}; give it `services` as the module ipvs_info returns it"
        ) from None


def _virtual(service: Data) -> dict[str, t.Any]:
    mark = service["fwmark"]
    name = f"fwmark-{mark}" if mark else f"{service['protocol']}-{service['address']}-{service['port']}"
    found: dict[str, t.Any] = {"name": name.replace(":", "."), "active": 1}
    if mark:
        found["fwmark"] = mark
    else:
        found.update({key: service[key] for key in ("address", "port", "protocol")})
    found["scheduler"] = service["scheduler"]
    if service["flags"]:
        found["scheduler_flags"] = list(service["flags"])
    found.update({directive: service[key] for key, directive in _SAME.items() if service[key]})
    if service["persistence"] and str(service["mask"]) != _SINGLE[service["family"]]:
        found["pmask"] = str(service["mask"])
    found.update(_forwarding(name, service["servers"]))
    found["real_servers"] = [_server(service, server) for server in service["servers"]]
    return found


def _forwarding(name: str, servers: list[Data]) -> dict[str, t.Any]:
    """The forwarding method, which an lvs.cf has once for each virtual server."""
    ways = {server["forward"] for server in servers}
    if len(ways) > 1:
        raise AnsibleFilterError(
            f"from_ipvs: the real servers of {name} are reached in different ways ({', '.join(sorted(ways))}); "
            "an lvs.cf has one for each virtual server, so make them alike first"
        )
    if not ways:
        return {}
    (forward,) = ways
    if forward not in ("nat", "direct", "tunnel"):
        raise AnsibleFilterError(f"from_ipvs: {name} forwards by {forward}, which an lvs.cf cannot say")
    found = {"forward": forward}
    if forward == "tunnel":
        kinds = {tuple(server[key] for key in _TUNNEL) for server in servers}
        if len(kinds) > 1:
            raise AnsibleFilterError(
                f"from_ipvs: the real servers of {name} have tunnels of different kinds; make them alike first"
            )
        (kind,) = kinds
        found.update({name: value for name, value in zip(_TUNNEL.values(), kind) if value not in _UNSET})
    return found


def _server(service: Data, server: Data) -> dict[str, t.Any]:
    alone = [other["address"] for other in service["servers"]].count(server["address"]) == 1
    name = server["address"] if alone else f"{server['address']}.{server['port']}"
    found = {"name": name.replace(":", "."), "address": server["address"], "active": 1, "weight": server["weight"]}
    if server["port"] not in (service["port"], 0):
        found["port"] = server["port"]
    found.update({directive: server[key] for key, directive in _THRESHOLDS.items() if server[key]})
    return found


class FilterModule:
    """What Ansible asks a filter file for."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"from_ipvs": from_ipvs}
