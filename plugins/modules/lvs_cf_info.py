#!/usr/bin/python

# Copyright: (c) 2026, piranha.lvs founders
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module lvs_cf_info: its options and documentation. What it does is in _module/lvs_cf_file.py."""

from __future__ import annotations

DOCUMENTATION = r"""
module: lvs_cf_info
short_description: Read a cluster's lvs.cf as structured data
version_added: "0.1.0"
author: piranha.lvs founders (@piranha-lvs)
description:
  - Reads a file C(lvs.cf) and gives what is written in it, what it means, and what is wrong with it.
  - A file that is not there, or that has errors, is no failure.
extends_documentation_fragment:
  - piranha.lvs.attributes
  - piranha.lvs.attributes.info_module
  - piranha.lvs.attributes.actiongroup
options:
  path:
    description: The file.
    type: path
    default: /etc/lvs.cf
  classic:
    description: Name each line that Piranha 0.8.6 would refuse too, as an error.
    type: bool
    default: false
requirements:
  - Python 3.9 or later on the target.
seealso:
  - module: piranha.lvs.lvs_cf
  - plugin: piranha.lvs.from_lvs_cf
    plugin_type: filter
"""

EXAMPLES = r"""
- name: Read the file of an old cluster
  piranha.lvs.lvs_cf_info:
    path: /etc/sysconfig/ha/lvs.cf
  register: old

- name: Show what is wrong with it
  ansible.builtin.debug:
    msg: "{{ old.report }}"

- name: Show which virtual servers are in service
  ansible.builtin.debug:
    msg: "{{ old.effective.virtual_servers | selectattr('active') | map(attribute='name') }}"

- name: Write the same configuration where the agent looks for it
  piranha.lvs.lvs_cf:
    globals: "{{ old.config.globals }}"
    virtual_servers: "{{ old.config.virtual_servers }}"
    failover_services: "{{ old.config.failover_services }}"
  when: old.valid
"""

RETURN = r"""
path:
  description: The file, as given in O(path).
  returned: always
  type: str
  sample: /etc/lvs.cf
exists:
  description: Whether the file is there.
  returned: success
  type: bool
  sample: true
valid:
  description: Whether the file is there and has no error, so that the agent would take it.
  returned: success
  type: bool
  sample: true
config:
  description:
    - What is written in the file, with the keys that M(piranha.lvs.lvs_cf) takes; V(null) without a file.
    - A value that cannot be read is left out; it is in RV(findings).
  returned: success
  type: dict
  sample: {globals: {primary: 192.0.2.2}, virtual_servers: [], failover_services: []}
effective:
  description: Every directive with its effective value, under the same keys; unset is V(null). V(null) without a file.
  returned: success
  type: dict
  sample: {globals: {primary: 192.0.2.2, keepalive: 2, backup: null}, virtual_servers: [], failover_services: []}
findings:
  description: What is wrong with the file or doubtful in it, in the order of its lines.
  returned: success
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
      description: The line in the file; V(null) for what concerns no single line.
      type: int
      sample: 14
    column:
      description: The column in that line, from 1.
      type: int
      sample: 1
    path:
      description: Always V(null); other modules name an option here.
      type: str
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
report:
  description: The findings as the command C(piranha config check) prints them, one text each.
  returned: success
  type: list
  elements: str
  sample:
    - "/etc/lvs.cf:14:1: warning: virtual server `web` is active and has no active server; set `active = 1` in a server [W303]"
digest:
  description:
    - A digest of what the file means; V(null) without a file.
    - It is the same for two files that differ only in comments, layout, spelling and written-out defaults.
  returned: success
  type: str
  sample: 60303ae22b998861bce3b28f33eec1be758a213c86c93c076dbe9f558c11c752
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.piranha.lvs.plugins.module_utils._module.lvs_cf_file import run_info
from ansible_collections.piranha.lvs.plugins.module_utils._module.lvs_cf_options import path_spec


def main() -> None:
    run_info(AnsibleModule(argument_spec=path_spec(), supports_check_mode=True))


if __name__ == "__main__":
    main()
