#!/usr/bin/python

# Copyright: (c) 2026, piranha.lvs founders
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module ipvs_sync_daemon: options and documentation. What it does is in _module/ipvs_settings.py."""

from __future__ import annotations

DOCUMENTATION = r"""
module: ipvs_sync_daemon
short_description: Start, change or stop an IPVS sync daemon of the kernel
version_added: "0.1.0"
author: piranha.lvs founders (@piranha-lvs)
description:
  - A sync daemon tells another router of this router's connections, or learns of them, so that they outlive a takeover.
  - The kernel runs one of each role at most. It cannot change one that runs, so that a change stops and starts it.
extends_documentation_fragment:
  - piranha.lvs.attributes
  - piranha.lvs.attributes.actiongroup
  - piranha.lvs.ipvs.settings
attributes:
  idempotent:
    support: full
options:
  role:
    description: V(master) sends what it knows of connections, V(backup) takes it.
    type: str
    choices: [master, backup]
    required: true
  state:
    description: Whether it runs.
    type: str
    choices: [present, absent]
    default: present
  interface:
    description:
      - The network interface for its messages, which must be up.
      - Required to start one. One that runs keeps its own where this is not given; the same holds for the options below.
    type: str
  syncid:
    description:
      - A number from 0 to 255. A backup takes only messages of its own id; with V(0) it takes those of every id.
      - The default of a new one is V(0).
    type: int
  maxlen:
    description:
      - How many bytes a message has at most.
      - V(0), the default of a new one, lets the kernel choose what fits the interface.
    type: int
  group:
    description:
      - The multicast group, IPv4 or IPv6.
      - The default of a new one is V(224.0.0.81).
    type: str
  port:
    description:
      - The UDP port.
      - The default of a new one is V(8848).
    type: int
  ttl:
    description:
      - How many hops far its messages go.
      - The default of a new one is V(1).
    type: int
notes:
  - The messages are neither signed nor encrypted. Keep them on an interface that no stranger can reach.
  - While a sync daemon runs the kernel takes no IPv4 real server for an IPv6 service, nor the reverse.
seealso:
  - module: piranha.lvs.ipvs_info
"""

EXAMPLES = r"""
# Before ('ipvsadm -L --daemon' prints nothing)

- name: Tell the other router of our connections
  piranha.lvs.ipvs_sync_daemon:
    role: master
    interface: eth2
    syncid: 7

# Result
#   changed: true
#   before: null
#   after: {role: master, interface: eth2, syncid: 7, maxlen: 1472, group: 224.0.0.81, port: 8848, ttl: 1}
#   commands: ["ipvsadm --start-daemon master --mcast-interface eth2 --syncid 7 --sync-maxlen 1472"]
#
# After
#   master sync daemon (mcast=eth2, syncid=7, maxlen=1472, group=224.0.0.81, port=8848, ttl=1)

- name: Learn of the other router's connections by a group of our own
  piranha.lvs.ipvs_sync_daemon:
    role: backup
    interface: eth2
    syncid: 7
    group: ff02::81

- name: Stop telling
  piranha.lvs.ipvs_sync_daemon:
    role: master
    state: absent
"""

RETURN = r"""
before:
  description: The daemon of this role as it was; V(null) if none ran.
  returned: success
  type: dict
  sample: &daemon
    role: master
    interface: eth2
    syncid: 7
    maxlen: 1472
    group: 224.0.0.81
    port: 8848
    ttl: 1
after:
  description: The same, as it is now; under check mode as it would be.
  returned: success
  type: dict
  sample: *daemon
commands:
  description: What was done, or would be, as C(ipvsadm) commands.
  returned: success
  type: list
  elements: str
  sample: ["ipvsadm --start-daemon master --mcast-interface eth2 --syncid 7 --sync-maxlen 1472"]
changes:
  description: What was done, or would be, one entry for each command.
  returned: success
  type: list
  elements: dict
  contains:
    operation:
      description: V(start sync daemon) or V(stop sync daemon).
      type: str
      sample: start sync daemon
    before:
      description: The daemon that is stopped, or V(null).
      type: dict
      sample: null
    after:
      description: The daemon that is started, or V(null).
      type: dict
      sample: *daemon
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.piranha.lvs.plugins.module_utils._module.ipvs_settings import (
    daemon_spec,
    run_daemon,
)


def main() -> None:
    module = AnsibleModule(argument_spec=daemon_spec(), supports_check_mode=True)
    run_daemon(module)


if __name__ == "__main__":
    main()
