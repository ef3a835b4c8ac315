#!/usr/bin/python

# Copyright: (c) 2026, piranha.lvs founders
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module ipvs_zero: options and documentation. What it does is in _module/ipvs_settings.py."""

from __future__ import annotations

DOCUMENTATION = r"""
module: ipvs_zero
short_description: Set the counters of the kernel's IPVS table to zero
version_added: "0.1.0"
author: piranha.lvs founders (@piranha-lvs)
description:
  - Sets the counters of one virtual service and its real servers to zero, or those of the whole table.
  - Connections, and the numbers of connections that schedulers go by, are not touched.
extends_documentation_fragment:
  - piranha.lvs.attributes
  - piranha.lvs.attributes.actiongroup
  - piranha.lvs.ipvs.settings
  - piranha.lvs.ipvs.named_service
attributes:
  idempotent:
    support: full
    details:
      - Nothing is done where every counter is zero already. Traffic in between makes a difference.
options:
  service:
    description: The virtual service. Without it the counters of all are set to zero.
seealso:
  - module: piranha.lvs.ipvs_info
"""

EXAMPLES = r"""
# Before ('ipvsadm -Ln --stats --exact')
#   Prot LocalAddress:Port               Conns   InPkts  OutPkts  InBytes OutBytes
#   TCP  192.0.2.80:80                      12       96       72     9600   115200

- name: Begin counting anew
  piranha.lvs.ipvs_zero:
    service: {address: 192.0.2.80, port: 80}

# Result
#   changed: true
#   commands: ["ipvsadm -Z -t 192.0.2.80:80"]
#
# After
#   Prot LocalAddress:Port               Conns   InPkts  OutPkts  InBytes OutBytes
#   TCP  192.0.2.80:80                       0        0        0        0        0

- name: Begin counting anew everywhere
  piranha.lvs.ipvs_zero:
"""

RETURN = r"""
before:
  description:
    - The counters that were not zero, one entry for each virtual service or real server, sorted.
    - The rates among them are left out; they are of the moment and not a thing to be set.
  returned: success
  type: list
  elements: dict
  contains:
    service:
      description: The virtual service.
      type: str
      sample: tcp 192.0.2.80:80
    server:
      description: The real server; V(null) where it is about the service itself.
      type: str
      sample: null
    counters:
      description: The counters.
      type: dict
      sample: {connections: 12, packets_in: 96, packets_out: 72, bytes_in: 9600, bytes_out: 115200}
after:
  description:
    - The same, right after they were set; what has been counted meanwhile is there.
    - Under check mode an empty list.
  returned: success
  type: list
  elements: dict
  sample: []
commands:
  description: What was done, or would be, as an C(ipvsadm) command.
  returned: success
  type: list
  elements: str
  sample: ["ipvsadm -Z -t 192.0.2.80:80"]
changes:
  description: What was done, or would be.
  returned: success
  type: list
  elements: dict
  contains:
    operation:
      description: Always V(zero).
      type: str
      sample: zero
    service:
      description: The virtual service; V(null) for all.
      type: str
      sample: tcp 192.0.2.80:80
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.piranha.lvs.plugins.module_utils._module.ipvs_options import (
    named_service_spec,
)
from ansible_collections.piranha.lvs.plugins.module_utils._module.ipvs_settings import run_zero


def main() -> None:
    module = AnsibleModule(
        argument_spec={"service": named_service_spec(required=False)},
        supports_check_mode=True,
    )
    run_zero(module)


if __name__ == "__main__":
    main()
