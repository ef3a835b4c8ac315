#!/usr/bin/python

# Copyright: (c) 2026, piranha.lvs founders
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module ipvs_service: options and documentation. What it does is in _module/ipvs_work.py."""

from __future__ import annotations

DOCUMENTATION = r"""
module: ipvs_service
short_description: Add, change or delete one virtual service of the kernel's IPVS table
version_added: "0.1.0"
author: piranha.lvs founders (@piranha-lvs)
description:
  - Makes one virtual service what the options say, or deletes it together with its real servers.
  - A service that is there is changed in place, so that connections and counters stay. What is not given stays as it is.
  - The real servers are the business of M(piranha.lvs.ipvs_server), or use M(piranha.lvs.ipvs_table) for both at once.
extends_documentation_fragment:
  - piranha.lvs.attributes
  - piranha.lvs.attributes.actiongroup
  - piranha.lvs.ipvs
  - piranha.lvs.ipvs.service
attributes:
  idempotent:
    support: full
options:
  state:
    description:
      - V(present) makes the service what the options say.
      - V(absent) deletes it and its real servers; only the options that name it matter then.
    type: str
    choices: [present, absent]
    default: present
seealso:
  - module: piranha.lvs.ipvs_server
  - module: piranha.lvs.ipvs_table
  - module: piranha.lvs.ipvs_info
"""

EXAMPLES = r"""
# Before ('ipvsadm -Sn' prints nothing)

- name: Offer a web service
  piranha.lvs.ipvs_service:
    address: 192.0.2.80
    port: 80
    scheduler: wlc

# Result
#   changed: true
#   before: null
#   after: {family: ipv4, protocol: tcp, address: 192.0.2.80, port: 80, scheduler: wlc, ..., servers: []}
#   commands: ["ipvsadm -A -t 192.0.2.80:80 -s wlc"]
#
# After
#   -A -t 192.0.2.80:80 -s wlc

# Before
#   -A -t 192.0.2.80:80 -s wlc
#   -a -t 192.0.2.80:80 -r 198.51.100.21:80 -m -w 1

- name: Let the clients of a network stay with their real server for five minutes
  piranha.lvs.ipvs_service:
    address: 192.0.2.80
    port: 80
    persistence: 300
    mask: "24"

# Result
#   changed: true
#   commands: ["ipvsadm -E -t 192.0.2.80:80 -s wlc -p 300 -M 255.255.255.0"]
#   changes:
#     - operation: edit service
#       service: tcp 192.0.2.80:80
#       server: null
#       before: {mask: 255.255.255.255, persistence: 0}
#       after: {mask: 255.255.255.0, persistence: 300}
#
# After
#   -A -t 192.0.2.80:80 -s wlc -p 300 -M 255.255.255.0
#   -a -t 192.0.2.80:80 -r 198.51.100.21:80 -m -w 1

- name: Balance what the firewall has marked with 5, IPv6, by the client's address and port
  piranha.lvs.ipvs_service:
    fwmark: 5
    family: ipv6
    scheduler: sh
    flags: [sh-port]

- name: Schedule each packet of a name service for itself
  piranha.lvs.ipvs_service:
    protocol: udp
    address: 2001:db8::53
    port: 53
    scheduler: rr
    one_packet: true

# Before
#   -A -t 192.0.2.80:80 -s wlc
#   -a -t 192.0.2.80:80 -r 198.51.100.21:80 -m -w 1

- name: Delete the web service and its real servers
  piranha.lvs.ipvs_service:
    address: 192.0.2.80
    port: 80
    state: absent

# Result
#   changed: true
#   after: null
#   commands: ["ipvsadm -D -t 192.0.2.80:80"]
#
# After ('ipvsadm -Sn' prints nothing)
"""

RETURN = r"""
before:
  description:
    - The service with its real servers as it was, in the shape of RV(piranha.lvs.ipvs_info#module:services); V(null) if it
      was not there.
    - It can be given to M(piranha.lvs.ipvs_table).
  returned: success
  type: dict
  sample: &service
    family: ipv4
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
    servers: []
after:
  description: The same, as it is now; under check mode as it would be.
  returned: success
  type: dict
  sample: *service
commands:
  description: What was done, or would be, as C(ipvsadm) commands.
  returned: success
  type: list
  elements: str
  sample: ["ipvsadm -A -t 192.0.2.80:80 -s wlc"]
changes:
  description: What was done, or would be, one entry for each command.
  returned: success
  type: list
  elements: dict
  contains:
    operation:
      description: One of V(add service), V(edit service) and V(delete service).
      type: str
      sample: edit service
    service:
      description: The virtual service.
      type: str
      sample: tcp 192.0.2.80:80
    server:
      description: Always V(null) here.
      type: str
      sample: null
    before:
      description: What differs, as it was; V(null) for a service that is new.
      type: dict
      sample: {scheduler: rr}
    after:
      description: What differs, as it is now; V(null) for a service that is deleted.
      type: dict
      sample: {scheduler: wlc}
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.piranha.lvs.plugins.module_utils._module.ipvs_options import (
    force_spec,
    key_spec,
    service_spec,
)
from ansible_collections.piranha.lvs.plugins.module_utils._module.ipvs_work import run_service


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **key_spec(),
            **service_spec(),
            **force_spec(),
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        },
        supports_check_mode=True,
    )
    run_service(module)


if __name__ == "__main__":
    main()
