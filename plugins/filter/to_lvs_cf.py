# Copyright: (c) 2026, piranha.lvs founders
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Data as the text of an lvs.cf. The writing is the library's; this is the filter around it."""

from __future__ import annotations

DOCUMENTATION = r"""
name: to_lvs_cf
short_description: Write data as the text of an lvs.cf
version_added: "0.1.0"
author: piranha.lvs founders (@piranha-lvs)
description:
  - Gives the text of a file C(lvs.cf), as M(piranha.lvs.lvs_cf) writes a new one.
  - Data with errors is refused, with every error and its place. P(piranha.lvs.lvs_cf_findings#filter) lists them instead.
positional: header
options:
  _input:
    description: The configuration, with the keys C(globals), C(virtual_servers) and C(failover_services).
    type: dict
    required: true
  header:
    description: Text for a comment at the top, without C(#); it may have several lines.
    type: str
    default: ""
seealso:
  - plugin: piranha.lvs.from_lvs_cf
    plugin_type: filter
  - module: piranha.lvs.lvs_cf
"""

EXAMPLES = r"""
- name: Show what a cluster's file would say
  ansible.builtin.debug:
    msg: "{{ configuration | piranha.lvs.to_lvs_cf(header='An example') }}"
  vars:
    configuration:
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

# The text:
#
# | # An example
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
_value:
  description: The text.
  type: str
  sample: "primary = 192.0.2.2\n"
"""

import typing as t
from collections.abc import Mapping

from ansible.errors import AnsibleFilterError
from ansible_collections.piranha.lvs.plugins.module_utils.lvs_cf.api import (
    from_data,
    load,
    write,
)


def to_lvs_cf(data: t.Any, header: str = "") -> str:
    """Give the text. AnsibleFilterError for what is no configuration, or one with errors."""
    if not isinstance(data, Mapping):
        kind = type(data).__name__
        raise AnsibleFilterError(
            f"to_lvs_cf takes a mapping with globals, virtual_servers and failover_services, not a value of {kind}"
        )
    built = from_data(data)
    if built.errors:
        reasons = [found.format() for found in built.errors]
        raise AnsibleFilterError("\n".join(["to_lvs_cf: the data has errors:", *reasons]))
    text = write(built.config, str(header).splitlines())
    for found in load(text).errors:  # a header can hold what no line may
        raise AnsibleFilterError(f"to_lvs_cf: {found.format()}")
    return text


class FilterModule:
    """What Ansible asks a filter file for."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"to_lvs_cf": to_lvs_cf}
