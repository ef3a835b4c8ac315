# Copyright: (c) 2026, piranha.lvs founders
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""The text of an lvs.cf as data. The reading is the library's; this is the filter around it."""

from __future__ import annotations

DOCUMENTATION = r"""
name: from_lvs_cf
short_description: Read the text of an lvs.cf as data
version_added: "0.1.0"
author: piranha.lvs founders (@piranha-lvs)
description:
  - Gives what is written in the text of a file C(lvs.cf), with the keys that M(piranha.lvs.lvs_cf) and the filter
    P(piranha.lvs.to_lvs_cf#filter) take.
  - A text with errors is refused, with every error and its line. P(piranha.lvs.lvs_cf_findings#filter) lists them instead.
options:
  _input:
    description: The text.
    type: str
    required: true
  effective:
    description:
      - Give every directive with its effective value, not only those that are written. Unset is V(null).
    type: bool
    default: false
seealso:
  - plugin: piranha.lvs.to_lvs_cf
    plugin_type: filter
  - module: piranha.lvs.lvs_cf_info
"""

EXAMPLES = r"""
- name: Take over the virtual servers of a file on the controller
  ansible.builtin.set_fact:
    old: "{{ lookup('ansible.builtin.file', 'old/lvs.cf') | piranha.lvs.from_lvs_cf }}"

- name: Show which scheduler each virtual server uses, written or not
  ansible.builtin.debug:
    msg: "{{ dict(servers | map(attribute='name') | zip(servers | map(attribute='scheduler'))) }}"
  vars:
    text: "{{ lookup('ansible.builtin.file', 'old/lvs.cf') }}"
    servers: "{{ (text | piranha.lvs.from_lvs_cf(effective=true)).virtual_servers }}"
"""

RETURN = r"""
_value:
  description: The configuration.
  type: dict
  contains:
    globals:
      description: Global directives.
      type: dict
      sample: {primary: 192.0.2.2, keepalive: 2}
    virtual_servers:
      description: Virtual servers with their real servers.
      type: list
      elements: dict
      sample: [{name: web, active: 1, address: 192.0.2.80, device: "eth0:1", real_servers: [{name: rs1, address: 198.51.100.11}]}]
    failover_services:
      description: Failover services.
      type: list
      elements: dict
      sample: []
"""

import typing as t

from ansible.errors import AnsibleFilterError
from ansible_collections.piranha.lvs.plugins.module_utils.lvs_cf.api import load
from ansible_collections.piranha.lvs.plugins.module_utils.lvs_cf.merge import (
    effective_data,
    written_data,
)


def from_lvs_cf(text: t.Any, effective: bool = False) -> dict[str, t.Any]:
    """Give the data (see RETURN above). AnsibleFilterError for what is no text, or has errors."""
    if not isinstance(text, str):
        kind = type(text).__name__
        raise AnsibleFilterError(f"from_lvs_cf takes the text of an lvs.cf, not a value of {kind}")
    loaded = load(text)
    if loaded.errors:
        reasons = [found.format(loaded.name) for found in loaded.errors]
        raise AnsibleFilterError("\n".join(["from_lvs_cf: the text has errors:", *reasons]))
    return effective_data(loaded.config) if effective else written_data(loaded.config)


class FilterModule:
    """What Ansible asks a filter file for."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"from_lvs_cf": from_lvs_cf}
