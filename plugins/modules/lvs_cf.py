#!/usr/bin/python

# Copyright: (c) 2026, piranha.lvs founders
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module lvs_cf: its options and documentation. What it does is in _module/lvs_cf_plan.py."""

from __future__ import annotations

DOCUMENTATION = r"""
module: lvs_cf
short_description: Manage a cluster's lvs.cf from structured data
version_added: "0.1.0"
author: piranha.lvs founders (@piranha-lvs)
description:
  - Manages the file C(lvs.cf), which describes a Linux Virtual Server cluster, from data, as a whole or in parts.
  - An existing file is edited. Comments, blank lines, order, spelling and quotes of all that is not changed stay, and what is
    added follows the file's own style.
  - For one object at a time there are M(piranha.lvs.lvs_cf_global), M(piranha.lvs.lvs_cf_virtual_server),
    M(piranha.lvs.lvs_cf_real_server) and M(piranha.lvs.lvs_cf_failover_service).
extends_documentation_fragment:
  - ansible.builtin.files
  - piranha.lvs.attributes
  - piranha.lvs.attributes.actiongroup
  - piranha.lvs.lvs_cf
  - piranha.lvs.lvs_cf.copy
options:
  state:
    description:
      - What becomes of the file. Blocks are known by their names.
      - V(merged) adds what is given and changes what is there. All else stays. A directive given as V(null) is removed.
      - V(replaced) replaces each block that is given, real servers included, and the global directives where O(globals) is
        given. All else stays.
      - V(overridden) leaves nothing but what is given. A part that is not given is empty afterwards.
      - V(absent) removes the blocks that are named in O(virtual_servers) and O(failover_services) and the directives that are
        keys of O(globals). Their values do not matter. The file itself is removed with O(whole_file) only.
    type: str
    choices: [merged, replaced, overridden, absent]
    default: overridden
  globals:
    description:
      - The global directives, by their names in the file, for example C(primary) or C(keepalive).
      - Values are what YAML makes of them or texts as in the file. A switch takes V(true) and V(false) too, a time takes
        seconds or a text such as V(500ms), C(nat_router) takes a text (V(192.0.2.1 eth1:1)) or a mapping with C(address)
        and C(device). V(null) stands for a directive that is not set.
    type: dict
  virtual_servers:
    description:
      - The virtual servers, in the order of the file.
      - Each has a C(name), directives by their names in the file, and C(real_servers), a list of mappings with C(name) and
        the directives of a real server.
      - The virtual address may be given as C(address) and C(device), or both in C(address).
      - Line ends in C(send) and C(expect) are written as escapes.
    type: list
    elements: dict
  failover_services:
    description: The failover services, in the order of the file, with the same keys as O(virtual_servers).
    type: list
    elements: dict
  rewrite:
    description:
      - Write the file whole, in a layout of its own, instead of editing what is there. Comments that somebody wrote, and lines
        that nobody can read, are lost; O(backup) keeps them.
      - For files that are Ansible's alone. Only with O(state=overridden).
    type: bool
    default: false
  header:
    description:
      - Text for a comment at the top of a file that is written whole, which is one that was not there, or any with O(rewrite).
      - It is given without C(#) and may have several lines.
    type: str
  whole_file:
    description: Remove the file. Only with O(state=absent), and with none of the three parts.
    type: bool
    default: false
notes:
  - A file that has an error already can be mended by a task whose result is right, or with O(rewrite).
seealso:
  - module: piranha.lvs.lvs_cf_info
  - module: piranha.lvs.lvs_cf_global
  - module: piranha.lvs.lvs_cf_virtual_server
  - module: piranha.lvs.lvs_cf_real_server
  - module: piranha.lvs.lvs_cf_failover_service
  - plugin: piranha.lvs.to_lvs_cf
    plugin_type: filter
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

- name: Merge - change two values, and add a virtual server with its real server
  piranha.lvs.lvs_cf:
    state: merged
    globals:
      keepalive: 500ms
    virtual_servers:
      - name: web
        real_servers:
          - name: rs2
            weight: 1
      - name: mail
        active: true
        address: 192.0.2.25
        device: eth0:2
        port: smtp
        real_servers:
          - name: rs1
            address: 198.51.100.11
            active: true

# Result:
#
# | changes:
# |   - {where: globals, directive: keepalive, before: 2, after: 0.5}
# |   - {where: 'virtual server web, real server rs2', directive: weight, before: 2, after: 1}
# |   - {where: virtual server mail, directive: '', before: null, after: {name: mail, active: 1,
# |      address: 192.0.2.25, device: 'eth0:2', port: 25, real_servers: [{name: rs1, address: 198.51.100.11,
# |      active: 1}]}}
#
# After:
#
# | primary = 192.0.2.2
# | keepalive = 0.5      # seconds
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
# |                 weight = 1
# |         }
# | }
# |
# | virtual mail {
# |         active = 1
# |         address = 192.0.2.25 eth0:2
# |         port = 25
# |
# |         server rs1 {
# |                 address = 198.51.100.11
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

- name: Replace - the virtual server `web` is what is given here and nothing else
  piranha.lvs.lvs_cf:
    state: replaced
    virtual_servers:
      - name: web
        active: true
        address: 192.0.2.80 eth0:1
        port: 80
        scheduler: wrr
        real_servers:
          - name: rs2
            address: 198.51.100.12
            active: true

# Result:
#
# | changes:
# |   - {where: virtual server web, directive: scheduler, before: null, after: wrr}
# |   - {where: 'virtual server web, real server rs1', directive: '', before: {name: rs1, address: 198.51.100.11,
# |      active: 1}, after: null}
# |   - {where: 'virtual server web, real server rs2', directive: weight, before: 2, after: null}
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
# |         scheduler = wrr
# |
# |         server rs2 {
# |                 address = 198.51.100.12
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

- name: Override - the file says what is given here and nothing else
  piranha.lvs.lvs_cf:
    state: overridden
    backup: true
    globals:
      primary: 192.0.2.2
      keepalive: 2
      deadtime: 6
    virtual_servers:
      - name: web
        active: true
        address: 192.0.2.80 eth0:1
        real_servers:
          - name: rs1
            address: 198.51.100.11
            active: true
          - name: rs3
            address: 198.51.100.13
            active: true

# Result:
#
# | changes:
# |   - {where: virtual server web, directive: port, before: 80, after: null}
# |   - {where: 'virtual server web, real server rs2', directive: '', before: {name: rs2, address: 198.51.100.12,
# |      active: 1, weight: 2}, after: null}
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
# |
# |         server rs1 {
# |                 address = 198.51.100.11
# |                 active = 1
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
# |
# | virtual mail {
# |         port = 25
# | }

- name: Absent - remove a virtual server and a directive
  piranha.lvs.lvs_cf:
    state: absent
    globals:
      deadtime:
    virtual_servers:
      - name: mail

# Result:
#
# | changes:
# |   - {where: globals, directive: deadtime, before: 6, after: null}
# |   - {where: virtual server mail, directive: '', before: {name: mail, port: 25, real_servers: []}, after: null}
#
# After:
#
# | primary = 192.0.2.2
# | keepalive = 2      # seconds
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

# Before:
#
# | primary = 192.0.2.2

- name: Absent - remove the file
  piranha.lvs.lvs_cf:
    state: absent
    whole_file: true

# Result:
#
# | changes:
# |   - {where: globals, directive: primary, before: 192.0.2.2, after: null}
#
# After there is no file.

# Before there is no file.

- name: Write a file that is Ansible's alone
  piranha.lvs.lvs_cf:
    header: "Written by Ansible. Changes made here are lost."
    rewrite: true
    owner: root
    group: root
    mode: "0644"
    globals:
      primary: 192.0.2.2
    virtual_servers:
      - name: web
        active: true
        address: 192.0.2.80 eth0:1
        real_servers:
          - name: rs1
            address: 198.51.100.11
            active: true

# Result:
#
# | changes:
# |   - {where: globals, directive: primary, before: null, after: 192.0.2.2}
# |   - {where: virtual server web, directive: '', before: null, after: {name: web, active: 1, address: 192.0.2.80,
# |      device: 'eth0:1', real_servers: [{name: rs1, address: 198.51.100.11, active: 1}]}}
#
# After:
#
# | # Written by Ansible. Changes made here are lost.
# |
# | primary = 192.0.2.2
# |
# | virtual web {
# |     active = 1
# |     address = 192.0.2.80 eth0:1
# |
# |     server rs1 {
# |         address = 198.51.100.11
# |         active = 1
# |     }
# | }
"""

RETURN = r"""
path:
  description: The file, as given in O(path).
  returned: always
  type: str
  sample: /etc/lvs.cf
before:
  description: What was written in the file, as the options of this module take it; V(null) where there was no file.
  returned: success
  type: dict
  sample: {globals: {primary: 192.0.2.2, keepalive: 2}, virtual_servers: [], failover_services: []}
after:
  description: What is written in the file after the task; V(null) where there is no file.
  returned: success
  type: dict
  sample: {globals: {primary: 192.0.2.2, keepalive: 1}, virtual_servers: [], failover_services: []}
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
  sample: [{where: globals, directive: keepalive, before: 2, after: 1}]
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
    cluster_spec,
    file_spec,
)
from ansible_collections.piranha.lvs.plugins.module_utils._module.lvs_cf_plan import plan_file


def main() -> None:
    module = AnsibleModule(
        argument_spec={**file_spec(), **cluster_spec()},
        add_file_common_args=True,
        supports_check_mode=True,
    )
    run_module(module, plan_file)


if __name__ == "__main__":
    main()
