#!/usr/bin/python

# Copyright: (c) 2026, piranha.lvs founders
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module ipvs_timeouts: options and documentation. What it does is in _module/ipvs_work.py."""

from __future__ import annotations

DOCUMENTATION = r"""
module: ipvs_timeouts
short_description: Set how long the kernel's IPVS remembers idle connections
version_added: "0.1.0"
author: piranha.lvs founders (@piranha-lvs)
description:
  - Sets the timeouts of IPVS connections. What is not given stays as it is.
  - They hold for connections that change their state from then on, in the whole network namespace.
extends_documentation_fragment:
  - piranha.lvs.attributes
  - piranha.lvs.attributes.actiongroup
  - piranha.lvs.ipvs.settings
attributes:
  idempotent:
    support: full
options:
  tcp:
    description: Seconds for an established TCP connection. The kernel begins with 900.
    type: int
  tcp_fin:
    description: Seconds for a TCP connection after the first FIN. The kernel begins with 120.
    type: int
  udp:
    description: Seconds after the last UDP packet. The kernel begins with 300.
    type: int
seealso:
  - module: piranha.lvs.ipvs_info
"""

EXAMPLES = r"""
# Before ('ipvsadm -L --timeout')
#   Timeout (tcp tcpfin udp): 900 120 300

- name: Forget connections of name servers soon
  piranha.lvs.ipvs_timeouts:
    udp: 30

# Result
#   changed: true
#   before: {tcp: 900, tcp_fin: 120, udp: 300}
#   after: {tcp: 900, tcp_fin: 120, udp: 30}
#   commands: ["ipvsadm --set 0 0 30"]
#
# After
#   Timeout (tcp tcpfin udp): 900 120 30
"""

RETURN = r"""
before:
  description: The timeouts as they were, in seconds.
  returned: success
  type: dict
  sample: {tcp: 900, tcp_fin: 120, udp: 300}
after:
  description: The timeouts as they are now; under check mode as they would be.
  returned: success
  type: dict
  sample: {tcp: 900, tcp_fin: 120, udp: 30}
commands:
  description: What was done, or would be, as an C(ipvsadm) command; V(0) leaves a timeout as it is.
  returned: success
  type: list
  elements: str
  sample: ["ipvsadm --set 0 0 30"]
changes:
  description: What was done, or would be.
  returned: success
  type: list
  elements: dict
  contains:
    operation:
      description: Always V(set timeouts).
      type: str
      sample: set timeouts
    before:
      description: What differs, as it was.
      type: dict
      sample: {udp: 300}
    after:
      description: What differs, as it is now.
      type: dict
      sample: {udp: 30}
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.piranha.lvs.plugins.module_utils._module.ipvs_settings import run_timeouts


def main() -> None:
    module = AnsibleModule(
        argument_spec={name: {"type": "int"} for name in ("tcp", "tcp_fin", "udp")},
        required_one_of=[("tcp", "tcp_fin", "udp")],
        supports_check_mode=True,
    )
    run_timeouts(module)


if __name__ == "__main__":
    main()
