#!/usr/bin/python

# Copyright: (c) 2026, piranha.lvs founders
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module lvs_cf_real_server: its options and documentation. What it does is in _module/lvs_cf_plan.py."""

from __future__ import annotations

DOCUMENTATION = r"""
module: lvs_cf_real_server
short_description: Manage a real server of a cluster's lvs.cf
version_added: "0.1.0"
author: piranha.lvs founders (@piranha-lvs)
description:
  - Adds, changes or removes one real server of one virtual server of a file C(lvs.cf) that people may also edit by hand.
extends_documentation_fragment:
  - ansible.builtin.files
  - piranha.lvs.attributes
  - piranha.lvs.attributes.actiongroup
  - piranha.lvs.lvs_cf
  - piranha.lvs.lvs_cf.object
  - piranha.lvs.lvs_cf.copy
  - piranha.lvs.lvs_cf.real_server
options:
  name:
    description: The name of the real server in its virtual server, by which it is known.
    type: str
    required: true
  virtual_server:
    description: The name of the virtual server, which must be there.
    type: str
    required: true
seealso:
  - module: piranha.lvs.lvs_cf
  - module: piranha.lvs.lvs_cf_virtual_server
  - module: piranha.lvs.lvs_cf_info
"""

EXAMPLES = r"""
# Before:
#
# | primary = 192.0.2.2
# | keepalive = 2      # seconds
# | deadtime = 6
# |
# | # The shop; ask Ada before you touch it.
# | virtual web {
# |         active = 1
# |         address = 192.0.2.80 eth0:1
# |         port = http
# |
# |         server rs1 {
# |                 address = 198.51.100.11
# |                 active = 1
# |         }
# |         server rs2 {
# |                 address = 198.51.100.12
# |                 active = 1
# |                 weight = 2
# |         }
# | }

- name: Present - add a real server
  piranha.lvs.lvs_cf_real_server:
    virtual_server: web
    name: rs3
    address: 198.51.100.13
    active: true

# Result:
#
# | changes:
# |   - {where: 'virtual server web, real server rs3', directive: '', before: null, after: {name: rs3,
# |      address: 198.51.100.13, active: 1}}
#
# After:
#
# | primary = 192.0.2.2
# | keepalive = 2      # seconds
# | deadtime = 6
# |
# | # The shop; ask Ada before you touch it.
# | virtual web {
# |         active = 1
# |         address = 192.0.2.80 eth0:1
# |         port = http
# |
# |         server rs1 {
# |                 address = 198.51.100.11
# |                 active = 1
# |         }
# |         server rs2 {
# |                 address = 198.51.100.12
# |                 active = 1
# |                 weight = 2
# |         }
# |         server rs3 {
# |                 address = 198.51.100.13
# |                 active = 1
# |         }
# | }

# Before:
#
# | primary = 192.0.2.2
# | keepalive = 2      # seconds
# | deadtime = 6
# |
# | # The shop; ask Ada before you touch it.
# | virtual web {
# |         active = 1
# |         address = 192.0.2.80 eth0:1
# |         port = http
# |
# |         server rs1 {
# |                 address = 198.51.100.11
# |                 active = 1
# |         }
# |         server rs2 {
# |                 address = 198.51.100.12
# |                 active = 1
# |                 weight = 2
# |         }
# | }

- name: Present - send no new connections to a real server
  piranha.lvs.lvs_cf_real_server:
    virtual_server: web
    name: rs2
    weight: 0

# Result:
#
# | changes:
# |   - {where: 'virtual server web, real server rs2', directive: weight, before: 2, after: 0}
#
# After:
#
# | primary = 192.0.2.2
# | keepalive = 2      # seconds
# | deadtime = 6
# |
# | # The shop; ask Ada before you touch it.
# | virtual web {
# |         active = 1
# |         address = 192.0.2.80 eth0:1
# |         port = http
# |
# |         server rs1 {
# |                 address = 198.51.100.11
# |                 active = 1
# |         }
# |         server rs2 {
# |                 address = 198.51.100.12
# |                 active = 1
# |                 weight = 0
# |         }
# | }

# Before:
#
# | primary = 192.0.2.2
# | keepalive = 2      # seconds
# | deadtime = 6
# |
# | # The shop; ask Ada before you touch it.
# | virtual web {
# |         active = 1
# |         address = 192.0.2.80 eth0:1
# |         port = http
# |
# |         server rs1 {
# |                 address = 198.51.100.11
# |                 active = 1
# |         }
# |         server rs2 {
# |                 address = 198.51.100.12
# |                 active = 1
# |                 weight = 2
# |         }
# | }

- name: Absent - remove a real server
  piranha.lvs.lvs_cf_real_server:
    virtual_server: web
    name: rs1
    state: absent

# Result:
#
# | changes:
# |   - {where: 'virtual server web, real server rs1', directive: '', before: {name: rs1, address: 198.51.100.11,
# |      active: 1}, after: null}
#
# After:
#
# | primary = 192.0.2.2
# | keepalive = 2      # seconds
# | deadtime = 6
# |
# | # The shop; ask Ada before you touch it.
# | virtual web {
# |         active = 1
# |         address = 192.0.2.80 eth0:1
# |         port = http
# |
# |         server rs2 {
# |                 address = 198.51.100.12
# |                 active = 1
# |                 weight = 2
# |         }
# | }
"""

RETURN = r"""
path:
  description: The file, as given in O(path).
  returned: always
  type: str
  sample: /etc/lvs.cf
before:
  description: The real server as it was written in the file, without directives that are not; V(null) where there was none.
  returned: success
  type: dict
  sample: {name: rs2, address: 198.51.100.12, active: 1, weight: 2}
after:
  description: The real server as it is written in the file after the task; V(null) where there is none.
  returned: success
  type: dict
  sample: {name: rs2, address: 198.51.100.12, active: 1, weight: 0}
changes:
  description: Every difference in what is written in the file, in its order.
  returned: success
  type: list
  elements: dict
  contains:
    where:
      description: The part of the file.
      type: str
      sample: virtual server web, real server rs1
    directive:
      description: The directive; empty where a whole block came or went.
      type: str
      sample: weight
    before:
      description: Its value before, as data; V(null) where it was not written.
      type: raw
      sample: 1
    after:
      description: Its value after the task; V(null) where it is not written any more.
      type: raw
      sample: 0
  sample: [{where: "virtual server web, real server rs2", directive: weight, before: 2, after: 0}]
findings:
  description:
    - What is to be said about the file as it is after the task, and about the options; errors where the module fails.
    - Ansible shows warnings too, those that were there before the task aside.
  returned: always
  type: list
  elements: dict
  contains:
    code:
      description: A code that never changes its meaning.
      type: str
      sample: W303
    severity:
      description: One of V(error), V(warning) and V(advice).
      type: str
      sample: warning
    line:
      description: The line in the file; V(null) for what concerns no single line, or an option.
      type: int
      sample: 14
    column:
      description: The column in that line, from 1.
      type: int
      sample: 1
    path:
      description: The place in the module's options; V(null) for a line of the file.
      type: str
      sample: virtual_servers[0]
    message:
      description: What is wrong or doubtful.
      type: str
      sample: virtual server `web` is active and has no active server
    remedy:
      description: What to do about it; may be empty.
      type: str
      sample: set `active = 1` in a server
  sample:
    - code: W303
      severity: warning
      line: 14
      column: 1
      path: null
      message: virtual server `web` is active and has no active server
      remedy: set `active = 1` in a server
digest:
  description:
    - A digest of what the file means after the task; V(null) where there is no file.
    - It is the same for two files that differ only in comments, layout, spelling and written-out defaults.
  returned: success
  type: str
  sample: 60303ae22b998861bce3b28f33eec1be758a213c86c93c076dbe9f558c11c752
backup_file:
  description: The copy of the file that was replaced or removed.
  returned: when O(backup) is set, there was a file and it was changed
  type: str
  sample: /etc/lvs.cf.2416.2026-11-22@15:40:12~
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.piranha.lvs.plugins.module_utils._module.lvs_cf_file import run_module
from ansible_collections.piranha.lvs.plugins.module_utils._module.lvs_cf_options import (
    file_spec,
    object_spec,
)
from ansible_collections.piranha.lvs.plugins.module_utils._module.lvs_cf_plan import plan_object
from ansible_collections.piranha.lvs.plugins.module_utils.lvs_cf.directives import SERVER


def main() -> None:
    module = AnsibleModule(
        argument_spec={**file_spec(), **object_spec(SERVER)},
        add_file_common_args=True,
        supports_check_mode=True,
    )
    run_module(module, lambda options, present: plan_object(options, present, SERVER))


if __name__ == "__main__":
    main()
