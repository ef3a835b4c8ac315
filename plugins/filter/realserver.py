# Copyright: (c) 2026, piranha.lvs founders
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""From the data of a cluster to what one real server has to be for it.

Pure: who forwards to this machine, how, and for which addresses. How a kernel is told so is not
its business; the role piranha_realserver knows that.
"""

from __future__ import annotations

DOCUMENTATION = r"""
name: realserver
short_description: Tell what a cluster needs of one of its real servers
version_added: "0.1.0"
author: piranha.lvs founders (@piranha-lvs)
description:
  - Takes the data of a cluster, as P(piranha.lvs.cluster#filter) gives it, and the name and address of a real server, and tells by
    which forwarding methods packets come to it, for which virtual addresses, through which tunnels, and to which of its ports.
  - A real server in the data is this one if it has its name or its address.
  - Virtual servers that are not active are left out. A real server that is not active counts, so that it may become active
    without another run. A C(sorry_server) counts as a real server.
  - The role P(piranha.lvs.piranha_realserver#role) uses it.
positional: name, address
options:
  _input:
    description: The cluster's data, with the keys C(globals), C(virtual_servers) and C(failover_services).
    type: dict
    required: true
  name:
    description: The name by which the cluster knows the real server, usually its name in the inventory.
    type: str
    required: true
  address:
    description: The address by which the cluster knows the real server.
    type: str
    required: true
seealso:
  - plugin: piranha.lvs.cluster
    plugin_type: filter
"""

EXAMPLES = r"""
- name: Show what web1 has to be
  ansible.builtin.debug:
    msg: "{{ cluster | piranha.lvs.realserver('web1', '192.0.2.21') }}"
  vars:
    cluster:
      globals:
        primary: 203.0.113.11
        network: direct
      virtual_servers:
        - name: http
          active: true
          address: 203.0.113.100 eth1:1
          port: 80
          real_servers:
            - name: web1
              active: true
              address: 192.0.2.21
"""

RETURN = r"""
_value:
  description: What the real server has to be.
  type: dict
  contains:
    methods:
      description: The forwarding methods by which packets come, in alphabetical order.
      type: list
      elements: str
      sample: [direct]
    virtual_addresses:
      description: The addresses that the machine must take packets for, by direct routing and tunneling.
      type: list
      elements: str
      sample: [203.0.113.100]
    tunnels:
      description: The kinds of tunnel that end at the machine.
      type: list
      elements: dict
      contains:
        type:
          description: V(ipip), V(gue) or V(gre).
          type: str
          sample: gue
        port:
          description: The UDP port of a V(gue) tunnel; V(0) for the others.
          type: int
          sample: 6080
        checksum:
          description: Whether its packets carry a checksum of their own.
          type: bool
          sample: false
        address:
          description: The real server's address at which the tunnel ends.
          type: str
          sample: 192.0.2.21
        virtual_addresses:
          description: The virtual addresses whose packets come by it.
          type: list
          elements: str
          sample: [203.0.113.100]
      sample: []
    gateway:
      description: The floating gateway through which answers go back with NAT; V(null) without NAT.
      type: str
      sample: 192.0.2.254
    services:
      description: Address, protocol and port of each service that is reached by NAT. Port V(0) stands for every port.
      type: list
      elements: dict
      sample: [{address: 192.0.2.21, protocol: tcp, port: 80}]
"""

import ipaddress
import typing as t

from ansible.errors import AnsibleFilterError
from ansible_collections.piranha.lvs.plugins.module_utils.lvs_cf.config import (
    Config,
    Section,
    Virtual,
)
from ansible_collections.piranha.lvs.plugins.plugin_utils.described import (
    asked_ports,
    config_of,
    is_address,
    server_ports,
)

NAT = "nat"
TUNNEL = "tunnel"


def same(one: str | None, other: str) -> bool:
    """Tell whether two spellings mean one address; host names are compared as text."""
    if one is None:
        return False
    try:
        return ipaddress.ip_address(one) == ipaddress.ip_address(other)
    except ValueError:
        return one == other


def reached(virtual: Virtual, name: str, address: str) -> list[tuple[str, int]]:
    """Give address and port at which a virtual server reaches this real server.

    The rules about ports are in plugin_utils/described.py.
    """
    settings = virtual.settings
    ports = asked_ports(virtual)
    found: list[tuple[str, int]] = []
    for server in virtual.servers:
        at = server.settings.text("address")
        if server.name != name and not same(at, address):
            continue
        mine = server_ports(ports, server.settings.number("port"))
        found += [(at if at and is_address(at) else address, port) for port in mine]
    if same(settings.text("sorry_server"), address):
        found += [(address, port) for port in ports]
    return found


def plan(config: Config, name: str, address: str) -> dict[str, t.Any]:
    """Give what a cluster needs of the real server `name` at `address` (see RETURN)."""
    methods: set[str] = set()
    virtual_addresses: set[str] = set()
    services: set[tuple[str, str, int]] = set()
    tunnels: dict[tuple[str, int, bool, str], set[str]] = {}
    for virtual in config.virtual:
        settings = virtual.settings
        places = reached(virtual, name, address)
        if not settings.flag("active") or not places:
            continue
        method = settings.text("forward") or NAT
        methods.add(method)
        if method == NAT:
            protocol = settings.text("protocol") or "tcp"
            services.update((at, protocol, port) for at, port in places)
            continue
        carried = settings.text("address")
        if carried is not None:
            virtual_addresses.add(carried)
        if method == TUNNEL:
            for at, _port in places:
                through = tunnels.setdefault((*_tunnel(settings), at), set())
                through.update([carried] if carried else [])
    gateway = config.globals.text("nat_router") if NAT in methods else None
    return {
        "methods": sorted(methods),
        "virtual_addresses": sorted(virtual_addresses, key=_order),
        "tunnels": [
            {
                "type": kind,
                "port": port,
                "checksum": checksum,
                "address": at,
                "virtual_addresses": sorted(through, key=_order),
            }
            for (kind, port, checksum, at), through in sorted(tunnels.items())
        ],
        "gateway": gateway,
        "services": [
            {"address": at, "protocol": protocol, "port": port}
            for at, protocol, port in sorted(services)
            if gateway is not None and _version(at) == _version(gateway)
        ],
    }


def _tunnel(settings: Section) -> tuple[str, int, bool]:
    checksum = settings.text("tunnel_checksum") not in (None, "nocsum")
    return settings.text("tunnel_type") or "ipip", settings.number("tunnel_port") or 0, checksum


def _version(address: str) -> int:
    return ipaddress.ip_address(address).version


def _order(address: str) -> tuple[int, int]:
    value = ipaddress.ip_address(address)
    return value.version, int(value)


def realserver(data: t.Any, name: str, address: str) -> dict[str, t.Any]:
    """Do what plan() does for data; errors in it are told as the module lvs_cf would."""
    config = config_of("realserver", data)
    if not is_address(str(address)):
        raise AnsibleFilterError(
            f"The real server {name} has no address that is one ('{address}'); set piranha_address for it"
        )
    return plan(config, str(name), str(address))


class FilterModule:
    """What Ansible asks a filter file for."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """Give the filters by name."""
        return {"realserver": realserver}
