# Copyright: (c) 2026, piranha.lvs founders
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wrong with an lvs.cf. The judging is the library's; this is the filter around it."""

from __future__ import annotations

DOCUMENTATION = r"""
name: lvs_cf_findings
short_description: Tell what is wrong with an lvs.cf
version_added: "0.1.0"
author: piranha.lvs founders (@piranha-lvs)
description:
  - Lists the errors, warnings and advice about an C(lvs.cf), given as text or as data. All of them are found in one run.
options:
  _input:
    description:
      - The text of a file, or a mapping with the keys C(globals), C(virtual_servers) and C(failover_services).
    type: raw
    required: true
  classic:
    description: Name each line of a text that Piranha 0.8.6 would refuse too, as an error. Data has no lines.
    type: bool
    default: false
seealso:
  - module: piranha.lvs.lvs_cf_info
  - plugin: piranha.lvs.from_lvs_cf
    plugin_type: filter
"""

EXAMPLES = r"""
- name: Refuse a description that the routers would refuse
  ansible.builtin.assert:
    that: findings | selectattr('severity', 'eq', 'error') | length == 0
    fail_msg: "{{ findings | map(attribute='message') | join('; ') }}"
  vars:
    findings: "{{ {'globals': my_globals, 'virtual_servers': my_virtual_servers} | piranha.lvs.lvs_cf_findings }}"

- name: Show what is doubtful in a file on the controller
  ansible.builtin.debug:
    msg: "{{ lookup('ansible.builtin.file', 'old/lvs.cf') | piranha.lvs.lvs_cf_findings }}"
"""

RETURN = r"""
_value:
  description: The findings, in the order of lines or of the data.
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
      description: The line in the text; V(null) for data, and for what concerns no single line.
      type: int
      sample: 14
    column:
      description: The column in that line, from 1.
      type: int
      sample: 1
    path:
      description: The place in the data; V(null) for a text.
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
"""

import typing as t
from collections.abc import Mapping

from ansible.errors import AnsibleFilterError
from ansible_collections.piranha.lvs.plugins.module_utils._module.lvs_cf_plan import finding_data
from ansible_collections.piranha.lvs.plugins.module_utils.lvs_cf.api import from_data, load
from ansible_collections.piranha.lvs.plugins.module_utils.lvs_cf.directives import (
    CLASSIC,
    EXTENDED,
)


def lvs_cf_findings(value: t.Any, classic: bool = False) -> list[dict[str, t.Any]]:
    """Give the findings (see RETURN above). AnsibleFilterError for what is neither text nor data."""
    if isinstance(value, str):
        loaded = load(value, dialect=CLASSIC if classic else EXTENDED)
        return [finding_data(found) for found in loaded.findings]
    if classic:
        raise AnsibleFilterError("lvs_cf_findings: `classic` judges lines, so that it needs a text")
    if isinstance(value, Mapping):
        return [finding_data(found) for found in from_data(value).findings]
    kind = type(value).__name__
    raise AnsibleFilterError(
        f"lvs_cf_findings takes the text of an lvs.cf or a mapping with its parts, not a value of {kind}"
    )


class FilterModule:
    """What Ansible asks a filter file for."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"lvs_cf_findings": lvs_cf_findings}
