# Copyright: (c) 2026, piranha.lvs founders
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""From the data of a cluster to what a firewall on its routers has to let pass.

Pure: which packets, from whom. How a firewall is told is not its business.
"""

from __future__ import annotations

DOCUMENTATION = r"""
name: openings
short_description: Tell what a firewall on a cluster's routers has to let pass
version_added: "0.1.0"
author: piranha.lvs founders (@piranha-lvs)
description:
  - Takes the data of a cluster, as P(piranha.lvs.cluster#filter) gives it, and tells which packets its routers take and forward,
    that is heartbeats and connection synchronisation from the other router, clients' packets to virtual services, and answers of
    real servers by NAT.
  - The role P(piranha.lvs.piranha_router#role) uses it for C(piranha_router_firewall). It serves for any other firewall too.
options:
  _input:
    description: The cluster's data, with the keys C(globals), C(virtual_servers) and C(failover_services).
    type: dict
    required: true
seealso:
  - plugin: piranha.lvs.cluster
    plugin_type: filter
"""

EXAMPLES = r"""
- name: Show what has to pass
  ansible.builtin.debug:
    msg: "{{ cluster | piranha.lvs.openings }}"
  vars:
    cluster:
      globals:
        primary: 203.0.113.11
        backup: 203.0.113.12
        backup_active: true
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
  description: What has to pass, one entry for each kind of packet.
  type: list
  elements: dict
  contains:
    hook:
      description: V(input) for packets to the router itself, virtual addresses included, V(forward) for answers that pass it.
      type: str
      sample: input
    why:
      description: V(heartbeat), V(sync), the virtual server's name, or V(answers of) it.
      type: str
      sample: heartbeat
    protocol:
      description: V(tcp), V(udp) or V(sctp).
      type: str
      sample: udp
    from:
      description: Addresses from which the packets come. Empty for any.
      type: list
      elements: str
      sample: [203.0.113.11, 203.0.113.12]
    to:
      description: The address to which they go. V(null) for any.
      type: str
      sample: 203.0.113.100
    port:
      description: The port to which they go, or with the hook V(forward) from which they come. V(0) for any.
      type: int
      sample: 539
"""

import typing as t

from ansible_collections.piranha.lvs.plugins.module_utils.lvs_cf.config import (
    Config,
    Virtual,
)
from ansible_collections.piranha.lvs.plugins.plugin_utils.described import (
    asked_ports,
    config_of,
    is_address,
    server_ports,
)

SYNC_PORT = 8848
"""The kernel's own for its connection synchronisation daemon (net/netfilter/ipvs/ip_vs_sync.c)."""

ROUTERS = ("primary", "backup", "primary_private", "backup_private")


def routers(config: Config) -> list[str]:
    """Give the addresses of both routers, each once."""
    found = [config.globals.text(key) for key in ROUTERS]
    return list(dict.fromkeys(text for text in found if text and text != "0.0.0.0"))  # noqa: S104


def entry(hook: str, why: str, protocol: str, port: int, **more: t.Any) -> dict[str, t.Any]:
    """Give one entry (see RETURN)."""
    return {"hook": hook, "why": why, "protocol": protocol, "from": [], "to": None, "port": port, **more}


def of_virtual(virtual: Virtual) -> t.Iterator[dict[str, t.Any]]:
    """Give what one virtual server needs: its clients' packets, and by NAT the answers."""
    settings = virtual.settings
    protocol = settings.text("protocol") or "tcp"
    ports = asked_ports(virtual)
    for port in ports:
        yield entry("input", virtual.name, protocol, port, to=settings.text("address"))
    if (settings.text("forward") or "nat") != "nat":
        return
    servers: dict[int, list[str]] = {}
    for server in virtual.servers:
        address = server.settings.text("address")
        if address is None or not is_address(address):
            continue
        for port in server_ports(ports, server.settings.number("port")):
            servers.setdefault(port, []).append(address)
    for port, addresses in sorted(servers.items()):
        why = f"answers of {virtual.name}"
        yield entry("forward", why, protocol, port, **{"from": addresses})


def openings(data: t.Any) -> list[dict[str, t.Any]]:
    """Give what has to pass. AnsibleFilterError for data that is no configuration."""
    config = config_of("openings", data)
    known = routers(config)
    found = []
    if len(known) > 1:
        port = config.globals.number("heartbeat_port") or 0
        found.append(entry("input", "heartbeat", "udp", port, **{"from": known}))
        if config.globals.flag("syncdaemon"):
            found.append(entry("input", "sync", "udp", SYNC_PORT, **{"from": known}))
    for virtual in config.in_use():
        if virtual.settings.flag("active"):
            found += of_virtual(virtual)
    return found


class FilterModule:
    """What Ansible asks a filter file for."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """Give the filters by name."""
        return {"openings": openings}
