#!/usr/bin/python

# Copyright: (c) 2026, piranha.lvs founders
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module ipvs_info: options and documentation. What it does is in _module/ipvs_settings.py."""

from __future__ import annotations

DOCUMENTATION = r"""
module: ipvs_info
short_description: Read the kernel's IPVS table
version_added: "0.1.0"
author: piranha.lvs founders (@piranha-lvs)
description:
  - Returns the virtual services of the kernel's IPVS table with their real servers, IPv4 and IPv6, whoever put them there,
    and the timeouts and sync daemons beside it.
  - What it returns can be given to M(piranha.lvs.ipvs_table), which then changes nothing.
  - Asks the kernel itself, by netlink. The program C(ipvsadm) is not needed.
extends_documentation_fragment:
  - piranha.lvs.attributes
  - piranha.lvs.attributes.actiongroup
  - piranha.lvs.attributes.info_module
  - piranha.lvs.ipvs.named_service
options:
  service:
    description: The only virtual service to read. Without it all are read.
  counters:
    description: Return connections and counters too.
    type: bool
    default: false
requirements:
  - Python 3.9 or later on the target.
  - A kernel with IPVS, and root or the capability CAP_NET_ADMIN.
notes:
  - The kernel is asked service by service, and again where a list may have changed meanwhile. While somebody else changes the
    table, the answer may still mix before and after.
  - The kernel sums up counters every two seconds; connections are those of the moment.
  - Each network namespace has a table of its own; the one of the module's process is read.
seealso:
  - module: piranha.lvs.ipvs_table
  - module: piranha.lvs.router_info
"""

EXAMPLES = r"""
- name: Read the table
  piranha.lvs.ipvs_info:
  register: table

- name: Show it as ipvsadm would save it
  ansible.builtin.debug:
    var: table.commands

- name: Insist that the web service has a server that takes new connections
  ansible.builtin.assert:
    that: web.servers | selectattr('weight', 'gt', 0) | length > 0
  vars:
    web: >-
      {{ table.services | selectattr('protocol', 'eq', 'tcp') | selectattr('address', 'eq', '192.0.2.80')
         | selectattr('port', 'eq', 80) | first }}

- name: Read one service only
  piranha.lvs.ipvs_info:
    service: {address: 192.0.2.80, port: 80}

- name: Read the table with connections and counters
  piranha.lvs.ipvs_info:
    counters: true
  register: table

- name: Count the active connections of all servers
  ansible.builtin.debug:
    msg: "{{ table.services | map(attribute='servers') | flatten | map(attribute='connections.active') | sum }}"
"""

RETURN = r"""
services:
  description: The virtual services, sorted by family, protocol, address, port and mark.
  returned: success
  type: list
  elements: dict
  contains:
    family:
      description: V(ipv4) or V(ipv6).
      type: str
      sample: ipv4
    protocol:
      description: V(tcp), V(udp) or V(sctp); V(null) for a service by firewall mark.
      type: str
      sample: tcp
    address:
      description: The virtual address; V(null) for a service by firewall mark.
      type: str
      sample: 192.0.2.80
    port:
      description: The port, V(0) for all ports; V(null) for a service by firewall mark.
      type: int
      sample: 80
    fwmark:
      description: The firewall mark; V(null) for a service by address.
      type: int
      sample: 5
    scheduler:
      description: The scheduler's name.
      type: str
      sample: wlc
    flags:
      description: The scheduler's flags, named as C(ipvsadm -b) names them.
      type: list
      elements: str
      sample: [sh-port]
    persistence:
      description: For how many seconds a client stays with its server; V(0) for not at all.
      type: int
      sample: 300
    mask:
      description: Which clients persistence takes together. A netmask for IPv4, the length of a prefix for IPv6.
      type: str
      sample: 255.255.255.255
    engine:
      description: The persistence engine; V(null) for none.
      type: str
      sample: sip
    one_packet:
      description: Whether each UDP packet is scheduled for itself.
      type: bool
      sample: false
    counters:
      description: What went through the service since it was zeroed; V(null) where the kernel has no 64-bit counters.
      returned: when O(counters) is V(true)
      type: dict
      sample: &counters
        connections: 1024
        packets_in: 8192
        packets_out: 6144
        bytes_in: 1048576
        bytes_out: 8388608
        connection_rate: 12
        packet_rate_in: 96
        packet_rate_out: 72
        byte_rate_in: 12288
        byte_rate_out: 98304
    servers:
      description: The real servers, sorted by family, address and port.
      type: list
      elements: dict
      contains:
        address:
          description: The real server's address.
          type: str
          sample: 198.51.100.21
        port:
          description: The real server's port.
          type: int
          sample: 80
        weight:
          description: Its share of new connections; V(0) for none.
          type: int
          sample: 1
        forward:
          description: How packets reach it, V(nat), V(direct) or V(tunnel); V(local) and V(bypass) only where others set them.
          type: str
          sample: nat
        upper:
          description: It gets no new connections above this many; V(0) for no threshold.
          type: int
          sample: 0
        lower:
          description: It gets new connections again below this many.
          type: int
          sample: 0
        tunnel:
          description: The kind of tunnel, V(ipip), V(gue) or V(gre); matters for forwarding by tunnel.
          type: str
          sample: ipip
        tunnel_port:
          description: The UDP port of a C(gue) tunnel.
          type: int
          sample: 0
        tunnel_checksum:
          description: The checksum in the tunnel, V(nocsum), V(csum) or V(remcsum).
          type: str
          sample: nocsum
        connections:
          description: The connections at the moment, by their state.
          returned: when O(counters) is V(true)
          type: dict
          sample: {active: 3, inactive: 40, persistent: 0}
        counters:
          description: As for the service.
          returned: when O(counters) is V(true)
          type: dict
          sample: *counters
commands:
  description: The table as C(ipvsadm -Sn) prints it, sorted, with thresholds.
  returned: success
  type: list
  elements: str
  sample:
    - -A -t 192.0.2.80:80 -s wlc
    - -a -t 192.0.2.80:80 -r 198.51.100.21:80 -m -w 1
timeouts:
  description: How long idle connections are remembered, in seconds. See M(piranha.lvs.ipvs_timeouts).
  returned: success
  type: dict
  sample: {tcp: 900, tcp_fin: 120, udp: 300}
sync_daemons:
  description: The sync daemons that run. See M(piranha.lvs.ipvs_sync_daemon).
  returned: success
  type: list
  elements: dict
  sample:
    - {role: master, interface: eth2, syncid: 7, maxlen: 1472, group: 224.0.0.81, port: 8848, ttl: 1}
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.piranha.lvs.plugins.module_utils._module.ipvs_options import (
    named_service_spec,
)
from ansible_collections.piranha.lvs.plugins.module_utils._module.ipvs_settings import run_info


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "service": named_service_spec(required=False),
            "counters": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    run_info(module)


if __name__ == "__main__":
    main()
