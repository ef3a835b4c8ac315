#!/usr/bin/python

# Copyright: (c) 2026, piranha.lvs founders
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module ipvs_server: options and documentation. What it does is in _module/ipvs_real_server.py."""

from __future__ import annotations

DOCUMENTATION = r"""
module: ipvs_server
short_description: Add, change, drain or delete one real server of a virtual service
version_added: "0.1.0"
author: piranha.lvs founders (@piranha-lvs)
description:
  - Makes one real server of a virtual service in the kernel's IPVS table what the options say, deletes it, or drains it.
  - A real server that is there is changed in place, so that its connections stay. What is not given stays as it is.
  - Only the one service is read, so that it takes no longer in a large table.
extends_documentation_fragment:
  - piranha.lvs.attributes
  - piranha.lvs.attributes.actiongroup
  - piranha.lvs.ipvs
  - piranha.lvs.ipvs.named_service
  - piranha.lvs.ipvs.server
attributes:
  idempotent:
    support: full
  async:
    description: Supports being used with the C(async) keyword.
    support: full
    details:
      - With C(async) the target waits by itself, and no progress is shown.
options:
  service:
    required: true
  state:
    description:
      - V(present) makes the real server what the options say. Its virtual service must be there.
      - V(absent) deletes it. Its connections break.
      - V(drained) gives it weight 0, so that it gets no new connections, and waits until those it has are gone. A real
        server that is not there, or whose virtual service is not there, is drained already.
      - With V(absent) and V(drained) the options that describe a real server do not matter, only those that name it.
    type: str
    choices: [present, absent, drained]
    default: present
  persistence:
    description:
      - What V(drained) makes of clients that persistence keeps with this real server.
      - V(honour) lets them come back to it, and waits until the kernel has forgotten the last of them. Each new connection
        of such a client begins its time anew. The kernel keeps a client in mind for as long as it remembers one of its
        connections, closed ones for two minutes with C(tcp), and looks once a minute then. So this may last.
      - V(expire) lets them go elsewhere with their next connection, and waits for open connections only. The kernel does
        so where C(net.ipv4.vs.expire_quiescent_template) is V(1); where it is not the module fails before it changes anything.
      - It does not matter where the service has no persistence.
    type: str
    choices: [honour, expire]
    default: honour
  timeout:
    description: For how many seconds V(drained) waits; V(0) looks once.
    type: int
    default: 300
  interval:
    description: How many seconds pass between two looks of V(drained).
    type: int
    default: 2
  on_timeout:
    description:
      - What follows when the time is up and connections are left.
      - V(fail) fails; the weight stays 0.
      - V(proceed) warns and goes on; the weight stays 0.
      - V(restore) gives the real server the weight it had before, and fails.
    type: str
    choices: [fail, proceed, restore]
    default: fail
notes:
  - A connection is waited for while the kernel calls it active. With C(tcp) and C(sctp) that ends as soon as the router has
    seen its end. With O(forward=direct) and O(forward=tunnel) the router sees only what the client sends, so a connection
    that the client does not close counts as active until the timeout of C(tcp), 15 minutes by default, see
    M(piranha.lvs.ipvs_timeouts).
  - The kernel calls no connection of C(udp) active. With C(udp) and with a firewall mark inactive connections are waited for
    as well, until the kernel forgets them, for C(udp) 5 minutes after the last packet by default.
  - While it waits, a line for each look is shown by C(ansible-playbook).
seealso:
  - module: piranha.lvs.ipvs_service
  - module: piranha.lvs.ipvs_table
  - module: piranha.lvs.ipvs_timeouts
  - module: piranha.lvs.piranha_server
"""

EXAMPLES = r"""
# Before
#   -A -t 192.0.2.80:80 -s wlc

- name: Put a real server behind the web service
  piranha.lvs.ipvs_server:
    service: {address: 192.0.2.80, port: 80}
    address: 198.51.100.21
    weight: 3

# Result
#   changed: true
#   before: null
#   after: {address: 198.51.100.21, port: 80, weight: 3, forward: nat, upper: 0, lower: 0, tunnel: ipip, ...}
#   commands: ["ipvsadm -a -t 192.0.2.80:80 -r 198.51.100.21:80 -m -w 3"]
#
# After
#   -A -t 192.0.2.80:80 -s wlc
#   -a -t 192.0.2.80:80 -r 198.51.100.21:80 -m -w 3

# Before
#   -A -t 192.0.2.80:80 -s wlc
#   -a -t 192.0.2.80:80 -r 198.51.100.21:80 -m -w 3

- name: Drain it for at most ten minutes
  piranha.lvs.ipvs_server:
    service: {address: 192.0.2.80, port: 80}
    address: 198.51.100.21
    state: drained
    timeout: 600
  register: drained

# Result, after the last connection has ended
#   changed: true
#   drained: true
#   before: {address: 198.51.100.21, port: 80, weight: 3, ...}
#   after: {address: 198.51.100.21, port: 80, weight: 0, ...}
#   commands: ["ipvsadm -e -t 192.0.2.80:80 -r 198.51.100.21:80 -m -w 0"]
#
# After
#   -A -t 192.0.2.80:80 -s wlc
#   -a -t 192.0.2.80:80 -r 198.51.100.21:80 -m -w 0

- name: Give it the weight that it had
  piranha.lvs.ipvs_server:
    service: {address: 192.0.2.80, port: 80}
    address: 198.51.100.21
    weight: "{{ drained.before.weight }}"

- name: Forward to a real server in another network through a GUE tunnel
  piranha.lvs.ipvs_server:
    service: {protocol: udp, address: 2001:db8::53, port: 53}
    address: 2001:db8:1::53
    forward: tunnel
    tunnel: gue
    tunnel_port: 6080

# Before
#   -A -t 192.0.2.80:80 -s wlc
#   -a -t 192.0.2.80:80 -r 198.51.100.21:80 -m -w 0

- name: Take the real server out
  piranha.lvs.ipvs_server:
    service: {address: 192.0.2.80, port: 80}
    address: 198.51.100.21
    state: absent

# Result
#   changed: true
#   after: null
#   commands: ["ipvsadm -d -t 192.0.2.80:80 -r 198.51.100.21:80"]
#
# After
#   -A -t 192.0.2.80:80 -s wlc
"""

RETURN = r"""
service:
  description: The virtual service.
  returned: success
  type: str
  sample: tcp 192.0.2.80:80
server:
  description: The real server.
  returned: success
  type: str
  sample: 198.51.100.21:80
before:
  description: The real server as it was; V(null) if it was not there.
  returned: success
  type: dict
  sample: &server
    address: 198.51.100.21
    port: 80
    weight: 1
    forward: nat
    upper: 0
    lower: 0
    tunnel: ipip
    tunnel_port: 0
    tunnel_checksum: nocsum
after:
  description: The same, as it is now; under check mode as it would be.
  returned: success
  type: dict
  sample: *server
commands:
  description: What was done, or would be, as C(ipvsadm) commands.
  returned: success
  type: list
  elements: str
  sample: ["ipvsadm -e -t 192.0.2.80:80 -r 198.51.100.21:80 -m -w 1"]
changes:
  description: What was done, or would be, one entry for each command.
  returned: success
  type: list
  elements: dict
  contains:
    operation:
      description: One of V(add server), V(edit server) and V(delete server).
      type: str
      sample: edit server
    service:
      description: The virtual service.
      type: str
      sample: tcp 192.0.2.80:80
    server:
      description: The real server.
      type: str
      sample: 198.51.100.21:80
    before:
      description: What differs, as it was; V(null) for a real server that is new.
      type: dict
      sample: {weight: 0}
    after:
      description: What differs, as it is now; V(null) for a real server that is deleted.
      type: dict
      sample: {weight: 1}
drained:
  description: Whether nothing is left of what O(state=drained) waits for. V(null) under check mode, where nobody waits.
  returned: when O(state=drained)
  type: bool
  sample: true
connections:
  description: The connections that the kernel counted at the last look; V(null) if the real server was not there.
  returned: when O(state=drained)
  type: dict
  sample: {active: 0, inactive: 12, persistent: 0}
waiting_for:
  description: How many connections of which kind are left of those that are waited for.
  returned: when O(state=drained)
  type: dict
  sample: {}
waited:
  description: For how many seconds it was waited.
  returned: when O(state=drained)
  type: float
  sample: 41.3
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.piranha.lvs.plugins.module_utils._module.ipvs_options import (
    server_module_spec,
)
from ansible_collections.piranha.lvs.plugins.module_utils._module.ipvs_real_server import run_server


def main() -> None:
    module = AnsibleModule(argument_spec=server_module_spec(), supports_check_mode=True)
    run_server(module)


if __name__ == "__main__":
    main()
