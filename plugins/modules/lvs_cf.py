#!/usr/bin/python

# Copyright: (c) 2026, piranha.lvs founders
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module lvs_cf: its options and documentation. What it does is in _module/lvs_cf_file.py."""

from __future__ import annotations

DOCUMENTATION = r"""
module: lvs_cf
short_description: Write a cluster's lvs.cf from structured data
version_added: "0.1.0"
author: piranha.lvs founders (@piranha-lvs)
description:
  - Writes the whole file C(lvs.cf), which describes a Linux Virtual Server cluster, from data.
  - The data is checked as a whole before anything is written, under check mode too. All mistakes are named in one
    message, each with its place in the data and a remedy, and the file stays as it is.
  - The file is replaced in one step, so that a reader sees either the old or the new one.
extends_documentation_fragment:
  - ansible.builtin.files
  - piranha.lvs.attributes
  - piranha.lvs.attributes.actiongroup
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
options:
  path:
    description:
      - The file to write. Its folder must exist.
      - Where it is a symbolic link, the link stays and the file behind it is replaced.
    type: path
    default: /etc/lvs.cf
  header:
    description: Text for a comment at the top of the file, without C(#); it may have several lines.
    type: str
  globals:
    description:
      - The global directives, by their names in the file, for example C(primary) or C(keepalive).
      - Values are what YAML makes of them or texts as in the file. A switch takes V(true) and V(false) too, a time takes
        seconds or a text such as V(500ms), C(nat_router) takes a text (V(192.0.2.1 eth1:1)) or a mapping with C(address)
        and C(device). V(null) stands for a directive that is not set.
    type: dict
    default: {}
  virtual_servers:
    description:
      - The virtual servers, in the order of the file.
      - Each has a C(name), directives by their names in the file, and C(real_servers), a list of mappings with C(name) and
        the directives of a real server.
      - The virtual address may be given as C(address) and C(device), or both in C(address).
      - Line ends in C(send) and C(expect) are written as escapes.
    type: list
    elements: dict
    default: []
  failover_services:
    description: The failover services, in the order of the file, with the same keys as O(virtual_servers).
    type: list
    elements: dict
    default: []
  backup:
    description: Keep a copy of the file that is replaced, with the time in its name.
    type: bool
    default: false
requirements:
  - Python 3.9 or later on the target.
notes:
  - The file is written whole. Comments that somebody added to it by hand are lost; use O(backup) to keep them.
  - The directives are described in C(docs/directives.md) of the collection's repository.
seealso:
  - module: piranha.lvs.router_info
"""

EXAMPLES = r"""
- name: Describe a cluster with one virtual server and two real servers behind NAT
  piranha.lvs.lvs_cf:
    header: "{{ ansible_managed }}"
    backup: true
    owner: root
    group: root
    mode: "0644"
    globals:
      primary: 192.0.2.2
      backup: 192.0.2.3
      backup_active: true
      keepalive: 500ms
      deadtime: 1.5
      network: nat
      nat_router:
        address: 198.51.100.1
        device: eth1:1
    virtual_servers:
      - name: web
        active: true
        address: 192.0.2.80
        device: eth0:1
        vip_nmask: 255.255.255.0
        port: http
        scheduler: wlc
        send: "GET / HTTP/1.0\r\n\r\n"
        expect: HTTP
        real_servers:
          - name: rs1
            address: 198.51.100.11
            active: true
          - name: rs2
            address: 198.51.100.12
            active: true
            weight: 2

- name: See what would change without writing it
  piranha.lvs.lvs_cf:
    globals: "{{ cluster_globals }}"
    virtual_servers: "{{ cluster_virtual_servers }}"
  check_mode: true
  diff: true
"""

RETURN = r"""
path:
  description: The file, as given in O(path).
  returned: always
  type: str
  sample: /etc/lvs.cf
findings:
  description:
    - What is to be said about the data, which is warnings and advice, and errors where the module fails.
    - Warnings are shown by Ansible too.
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
    path:
      description: The place in the module's options.
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
      path: virtual_servers[0]
      message: virtual server `web` is active and has no active server
      remedy: set `active = 1` in a server
digest:
  description:
    - A digest of what the file means.
    - It is the same for two files that differ only in comments, layout, spelling and written-out defaults.
  returned: success
  type: str
  sample: 60303ae22b998861bce3b28f33eec1be758a213c86c93c076dbe9f558c11c752
backup_file:
  description: The copy of the file that was replaced.
  returned: when O(backup) is set, there was a file and it was replaced
  type: str
  sample: /etc/lvs.cf.2416.2026-11-22@15:40:12~
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.piranha.lvs.plugins.module_utils._module.lvs_cf_file import run_module


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "default": "/etc/lvs.cf"},
            "header": {"type": "str"},
            "globals": {"type": "dict", "default": {}},
            "virtual_servers": {"type": "list", "elements": "dict", "default": []},
            "failover_services": {"type": "list", "elements": "dict", "default": []},
            "backup": {"type": "bool", "default": False},
        },
        add_file_common_args=True,
        supports_check_mode=True,
    )
    run_module(module)


if __name__ == "__main__":
    main()
