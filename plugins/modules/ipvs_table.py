#!/usr/bin/python

# Copyright: (c) 2026, piranha.lvs founders
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module ipvs_table: options and documentation. What its states mean is in _module/ipvs_states.py."""

from __future__ import annotations

DOCUMENTATION = r"""
module: ipvs_table
short_description: Make the kernel's IPVS table, or a part of it, what a description says
version_added: "0.1.0"
author: piranha.lvs founders (@piranha-lvs)
description:
  - Brings many virtual services with their real servers to the state that is described, in as few changes as there can be.
    What is there already is changed in place, so that connections and counters stay.
  - Where the kernel refuses one change, those made before are undone, and the module fails with the reason. Packets may
    have met what stood there meanwhile.
  - Services that the description does not name are not touched, except with O(state=overridden).
extends_documentation_fragment:
  - piranha.lvs.attributes
  - piranha.lvs.attributes.actiongroup
  - piranha.lvs.ipvs
attributes:
  idempotent:
    support: full
options:
  state:
    description:
      - V(merged) adds what is missing and changes what is said otherwise. What is not said stays, real servers included.
      - V(replaced) makes each service that is named exactly what is said of it. What is not said gets its default, and
        real servers that are not named are deleted.
      - V(overridden) does the same, and deletes every service that is not named, whoever put it there. Use O(restrict) to
        own a part of the table only.
      - V(deleted) deletes the services that are named, with all their real servers, whatever else is said of them.
    type: str
    choices: [merged, replaced, overridden, deleted]
    default: merged
  services:
    description:
      - The virtual services, in the shape that M(piranha.lvs.ipvs_info) returns. V(null) stands for an option not given.
      - Either this or O(saved) is needed.
    type: list
    elements: dict
    suboptions:
      family:
        description:
          - The address family, V(ipv4) or V(ipv6).
          - Needed only with O(services[].fwmark), where the default is V(ipv4); an address tells it by itself.
        type: str
        choices: [ipv4, ipv6]
      protocol:
        description: The protocol of a service by address, V(tcp), V(udp) or V(sctp). The default is V(tcp).
        type: str
      address:
        description: The virtual address, IPv4 or IPv6.
        type: str
      port:
        description: The port; V(0) stands for every port. Required with O(services[].address).
        type: int
      fwmark:
        description: The firewall mark of the service's packets, instead of an address.
        type: int
      scheduler:
        description:
          - The scheduler's name, as in the kernel module C(ip_vs_NAME), for example V(rr), V(wlc), V(sh) or V(mh).
          - The default of a new service is V(wlc).
        type: str
      flags:
        description:
          - The scheduler's flags. V(sh-fallback) and V(sh-port) for the scheduler V(sh), V(mh-fallback) and V(mh-port) for V(mh),
            V(flag-1), V(flag-2) and V(flag-3) for any.
          - The default of a new service is none; another scheduler takes the flags away unless they are given.
        type: list
        elements: str
      persistence:
        description:
          - For how many seconds a client stays with its real server; V(0) for not at all.
          - The default of a new service is V(0).
        type: int
      mask:
        description:
          - Which clients persistence takes together. A netmask or the length of a prefix for IPv4, such as V(255.255.255.0) or
            V(24), the length of a prefix for IPv6.
          - It matters with O(services[].persistence) only. The default of a new service is each client for itself.
        type: str
      engine:
        description:
          - The persistence engine, for example V(sip); an empty text for none.
          - The default of a new service is none.
        type: str
      one_packet:
        description:
          - Whether each UDP packet is scheduled for itself.
          - The default of a new service is V(false).
        type: bool
      servers:
        description:
          - The real servers. Without it the real servers of the service are left as they are, in every state but V(deleted).
          - An empty list is refused where it would delete real servers, see O(allow_empty).
        type: list
        elements: dict
        suboptions:
          address:
            description: The real server's address, IPv4 or IPv6.
            type: str
            required: true
          port:
            description:
              - The real server's port. The default is the port of the virtual service, V(0) with a firewall mark.
              - With forwarding by V(direct) or V(tunnel) the kernel forwards to the port of the packet. Another port is
                replaced by the service's port then, and a warning tells both.
            type: int
          weight:
            description:
              - Its share of new connections; V(0) for none.
              - The default of a new real server is V(1).
            type: int
          forward:
            description:
              - How packets reach it.
              - V(nat) rewrites the address, and answers must pass this router. V(direct) only replaces the link layer's address,
                and V(tunnel) sends the packet inside another one; with both answers may take another way.
              - The default of a new real server is V(nat).
              - V(local) and V(bypass) are there so that what other programs have set can be given back.
            type: str
            choices: [nat, direct, tunnel, local, bypass]
          upper:
            description:
              - The real server gets no new connections above this many; V(0) for no threshold, which takes
                O(services[].servers[].lower) away as well.
              - The default of a new real server is V(0).
            type: int
          lower:
            description:
              - After it has reached O(services[].servers[].upper) the real server gets new connections again below this many.
              - The default of a new real server is V(0).
            type: int
          tunnel:
            description:
              - The kind of tunnel. It matters with O(services[].servers[].forward=tunnel) only, as
                O(services[].servers[].tunnel_port) and O(services[].servers[].tunnel_checksum) do.
              - The default of a new real server is V(ipip).
            type: str
            choices: [ipip, gue, gre]
          tunnel_port:
            description: The UDP port of a V(gue) tunnel, which needs one.
            type: int
          tunnel_checksum:
            description:
              - The checksum in a V(gue) or V(gre) tunnel.
              - The default of a new real server is V(nocsum).
            type: str
            choices: [nocsum, csum, remcsum]
          connections:
            description: What M(piranha.lvs.ipvs_info) returns with its counters; it is accepted and not a thing to be set.
            type: dict
          counters:
            description: What M(piranha.lvs.ipvs_info) returns with its counters; it is accepted and not a thing to be set.
            type: dict
      counters:
        description: What M(piranha.lvs.ipvs_info) returns with its counters; it is accepted and not a thing to be set.
        type: dict
  saved:
    description:
      - The services as C(ipvsadm -Sn) prints them, instead of O(services). Lines may begin with C(ipvsadm); empty lines and
        lines that begin with C(#) are passed over.
      - That program does not print thresholds (C(-x) and C(-y)); RV(piranha.lvs.ipvs_info#module:commands) has them.
    type: str
  restrict:
    description:
      - Which part of the table the task may touch. Services outside of it are not read as missing, not deleted, and may not be
        named.
      - A service by address is within if its address is one of O(restrict.addresses) and its protocol one of
        O(restrict.protocols), where these are given. A service by firewall mark is within if its mark is one of
        O(restrict.fwmarks).
    type: dict
    suboptions:
      addresses:
        description: Virtual addresses, or networks of them such as V(192.0.2.0/24).
        type: list
        elements: str
      fwmarks:
        description: Firewall marks.
        type: list
        elements: int
      protocols:
        description: Protocols.
        type: list
        elements: str
        choices: [tcp, udp, sctp]
  allow_empty:
    description:
      - Let an empty list delete what is there. That is O(services) with O(state=overridden), and O(services[].servers) with
        O(state=replaced) or O(state=overridden).
      - Without it the module fails where an empty list would delete something, since such a list is mostly the result of a
        template or a group that turned out to be empty.
    type: bool
    default: false
seealso:
  - module: piranha.lvs.ipvs_info
  - module: piranha.lvs.ipvs_service
  - module: piranha.lvs.ipvs_server
  - module: piranha.lvs.lvs_cf
"""

EXAMPLES = r"""
# Using merged
#
# Before
#   -A -t 192.0.2.80:80 -s rr
#   -a -t 192.0.2.80:80 -r 198.51.100.21:80 -m -w 1

- name: Add a real server to the web service, and another service
  piranha.lvs.ipvs_table:
    services:
      - address: 192.0.2.80
        port: 80
        servers:
          - {address: 198.51.100.22, weight: 2}
      - protocol: udp
        address: 192.0.2.53
        port: 53
        scheduler: rr

# Result
#   changed: true
#   commands:
#     - ipvsadm -a -t 192.0.2.80:80 -r 198.51.100.22:80 -m -w 2
#     - ipvsadm -A -u 192.0.2.53:53 -s rr
#
# After
#   -A -t 192.0.2.80:80 -s rr
#   -a -t 192.0.2.80:80 -r 198.51.100.21:80 -m -w 1
#   -a -t 192.0.2.80:80 -r 198.51.100.22:80 -m -w 2
#   -A -u 192.0.2.53:53 -s rr

# Using replaced
#
# Before
#   -A -t 192.0.2.80:80 -s rr
#   -a -t 192.0.2.80:80 -r 198.51.100.21:80 -m -w 1
#   -a -t 192.0.2.80:80 -r 198.51.100.22:80 -m -w 2
#   -A -u 192.0.2.53:53 -s rr

- name: Give the web service exactly these real servers, and the defaults for what is not said
  piranha.lvs.ipvs_table:
    state: replaced
    services:
      - address: 192.0.2.80
        port: 80
        servers:
          - {address: 198.51.100.22, weight: 1}

# Result
#   changed: true
#   commands:
#     - ipvsadm -E -t 192.0.2.80:80 -s wlc
#     - ipvsadm -e -t 192.0.2.80:80 -r 198.51.100.22:80 -m -w 1
#     - ipvsadm -d -t 192.0.2.80:80 -r 198.51.100.21:80
#
# After
#   -A -t 192.0.2.80:80 -s wlc
#   -a -t 192.0.2.80:80 -r 198.51.100.22:80 -m -w 1
#   -A -u 192.0.2.53:53 -s rr

# Using overridden
#
# Before
#   -A -t 192.0.2.80:80 -s wlc
#   -a -t 192.0.2.80:80 -r 198.51.100.22:80 -m -w 1
#   -A -t 192.0.2.81:80 -s wlc
#   -A -u 192.0.2.53:53 -s rr

- name: Own everything at two addresses, and nothing else
  piranha.lvs.ipvs_table:
    state: overridden
    restrict:
      addresses: [192.0.2.80, 192.0.2.81]
    services:
      - address: 192.0.2.80
        port: 80

# Result
#   changed: true
#   commands: ["ipvsadm -D -t 192.0.2.81:80"]
#
# After
#   -A -t 192.0.2.80:80 -s wlc
#   -a -t 192.0.2.80:80 -r 198.51.100.22:80 -m -w 1
#   -A -u 192.0.2.53:53 -s rr

# Using deleted
#
# Before
#   -A -t 192.0.2.80:80 -s wlc
#   -a -t 192.0.2.80:80 -r 198.51.100.22:80 -m -w 1
#   -A -u 192.0.2.53:53 -s rr

- name: Delete the name service
  piranha.lvs.ipvs_table:
    state: deleted
    services:
      - {protocol: udp, address: 192.0.2.53, port: 53}

# Result
#   changed: true
#   commands: ["ipvsadm -D -u 192.0.2.53:53"]
#
# After
#   -A -t 192.0.2.80:80 -s wlc
#   -a -t 192.0.2.80:80 -r 198.51.100.22:80 -m -w 1

- name: Remember the table of this router
  piranha.lvs.ipvs_info:
  register: table

- name: Bring it back
  piranha.lvs.ipvs_table:
    state: overridden
    services: "{{ table.services }}"

- name: Load what 'ipvsadm -Sn' has saved
  piranha.lvs.ipvs_table:
    state: overridden
    saved: "{{ lookup('ansible.builtin.file', 'ipvsadm.rules') }}"

- name: Empty the table on purpose
  piranha.lvs.ipvs_table:
    state: overridden
    services: []
    allow_empty: true
"""

RETURN = r"""
before:
  description:
    - The services that the task is about, as they were, sorted, in the shape of
      RV(piranha.lvs.ipvs_info#module:services). With O(state=overridden) these are all within O(restrict).
    - It can be given back to this module.
  returned: success
  type: list
  elements: dict
  sample: []
after:
  description: The same, as they are now; under check mode as they would be.
  returned: success
  type: list
  elements: dict
  sample:
    - family: ipv4
      protocol: tcp
      address: 192.0.2.80
      port: 80
      fwmark: null
      scheduler: wlc
      flags: []
      persistence: 0
      mask: 255.255.255.255
      engine: null
      one_packet: false
      servers:
        - address: 198.51.100.21
          port: 80
          weight: 1
          forward: nat
          upper: 0
          lower: 0
          tunnel: ipip
          tunnel_port: 0
          tunnel_checksum: nocsum
commands:
  description: What was done, or would be, as C(ipvsadm) commands, in their order.
  returned: success
  type: list
  elements: str
  sample:
    - ipvsadm -A -t 192.0.2.80:80 -s wlc
    - ipvsadm -a -t 192.0.2.80:80 -r 198.51.100.21:80 -m -w 1
changes:
  description: What was done, or would be, one entry for each command.
  returned: success
  type: list
  elements: dict
  contains:
    operation:
      description: One of V(add service), V(edit service), V(delete service), V(add server), V(edit server), V(delete server).
      type: str
      sample: edit server
    service:
      description: The virtual service.
      type: str
      sample: tcp 192.0.2.80:80
    server:
      description: The real server; V(null) where it is about the service itself.
      type: str
      sample: 198.51.100.21:80
    before:
      description: What differs, as it was; V(null) for what is new.
      type: dict
      sample: {weight: 1}
    after:
      description: What differs, as it is now; V(null) for what is deleted.
      type: dict
      sample: {weight: 2}
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.piranha.lvs.plugins.module_utils._module.ipvs_options import (
    table_module_spec,
)
from ansible_collections.piranha.lvs.plugins.module_utils._module.ipvs_work import run_table


def main() -> None:
    module = AnsibleModule(
        argument_spec=table_module_spec(),
        required_one_of=[("services", "saved")],
        mutually_exclusive=[("services", "saved")],
        supports_check_mode=True,
    )
    run_table(module)


if __name__ == "__main__":
    main()
