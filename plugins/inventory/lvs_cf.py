# Copyright: (c) 2026, piranha.lvs founders
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""An inventory out of an lvs.cf: hosts, groups, and the variables that describe the cluster.

describe() is pure and is the way back from the filter piranha.lvs.cluster: what it gives, that
filter and the module lvs_cf make into a file that means the same.
"""

from __future__ import annotations

DOCUMENTATION = r"""
name: lvs_cf
short_description: Make an inventory out of an existing lvs.cf
version_added: "0.1.0"
author: piranha.lvs founders (@piranha-lvs)
description:
  - Reads a file C(lvs.cf) on the controller and makes hosts of its routers and real servers, groups, and the variables with
    which the roles of this collection describe a cluster. So an old cluster comes under Ansible.
  - What it gives, fed into the role P(piranha.lvs.piranha_router#role), gives a file that means the same.
  - All variables are set for a group with the cluster's name, which holds the group of the routers and the groups of the real
    servers.
  - A virtual server gets a group of its real servers (C(real_server_group)) where a group can say what the file says, which
    is so if its real servers are active, have no port of their own, and each host has one weight. Else its real servers are
    listed. The role P(piranha.lvs.piranha_router#role) takes both. The playbook C(piranha.lvs.site) finds real servers by their groups.
  - The source is a YAML file whose name ends with C(lvs_cf.yml) or C(lvs_cf.yaml). A file whose name ends with C(.cf) may be
    given directly; all options have their defaults then.
extends_documentation_fragment:
  - ansible.builtin.constructed
options:
  plugin:
    description: Marks the source as one for this plugin.
    type: str
    required: true
    choices: [piranha.lvs.lvs_cf]
  path:
    description: The file C(lvs.cf), relative to the inventory source. Not needed where the source is the file itself.
    type: str
  cluster_name:
    description: The cluster's name, C(piranha_cluster_name), and the name of the group that holds it all.
    type: str
    default: piranha
  router_group:
    description: The group of the routers, C(piranha_router_group).
    type: str
    default: piranha_routers
  real_server_group:
    description: The group of all real servers.
    type: str
    default: piranha_real_servers
  virtual_server_group_prefix:
    description: What stands in front of a virtual server's name in the name of the group of its real servers.
    type: str
    default: piranha_virtual_
  host_names:
    description:
      - Names of hosts by their addresses in the file.
      - A router without a name here is called by its address. A real server is called as in the file if it is always called
        so there and nothing else is, else by its address.
    type: dict
    default: {}
seealso:
  - plugin: piranha.lvs.cluster
    plugin_type: filter
  - module: piranha.lvs.lvs_cf
"""

EXAMPLES = r"""
# The file old/lvs.cf:
#
# | primary = 203.0.113.11
# | backup = 203.0.113.12
# | backup_active = 1
# | heartbeat = 1
# | nat_router = 192.0.2.254 eth2:1
# |
# | virtual http {
# |     active = 1
# |     address = 203.0.113.100 eth1:1
# |     port = 80
# |     server web1 {
# |         address = 192.0.2.21
# |         active = 1
# |     }
# |     server web2 {
# |         address = 192.0.2.22
# |         active = 1
# |         weight = 2
# |     }
# | }

# The source old.lvs_cf.yml:
plugin: piranha.lvs.lvs_cf
path: old/lvs.cf
cluster_name: shop
host_names:
  203.0.113.11: lvs1
  203.0.113.12: lvs2

# The inventory, as `ansible-inventory -i old.lvs_cf.yml --list --yaml --export` shows it:
#
# | all:
# |   children:
# |     shop:
# |       children:
# |         piranha_real_servers:
# |           children:
# |             piranha_virtual_http:
# |               hosts:
# |                 web1:
# |                   ansible_host: 192.0.2.21
# |                   piranha_address: 192.0.2.21
# |                 web2:
# |                   ansible_host: 192.0.2.22
# |                   piranha_address: 192.0.2.22
# |                   piranha_weight: 2
# |         piranha_routers:
# |           hosts:
# |             lvs1:
# |               ansible_host: 203.0.113.11
# |               piranha_address: 203.0.113.11
# |             lvs2:
# |               ansible_host: 203.0.113.12
# |               piranha_address: 203.0.113.12
# |       vars:
# |         piranha_cluster_name: shop
# |         piranha_failover_services: []
# |         piranha_globals:
# |           nat_router:
# |             address: 192.0.2.254
# |             device: eth2:1
# |         piranha_primary: lvs1
# |         piranha_router_group: piranha_routers
# |         piranha_virtual_servers:
# |         - active: 1
# |           address: 203.0.113.100
# |           device: eth1:1
# |           name: http
# |           port: 80
# |           real_server_group: piranha_virtual_http
"""

import typing as t
from pathlib import Path

from ansible.errors import AnsibleParserError
from ansible.plugins.inventory import BaseInventoryPlugin, Constructable
from ansible.utils.unsafe_proxy import wrap_var
from ansible_collections.piranha.lvs.plugins.module_utils._module.lvs_cf_cluster import (
    CannotDescribe,
    Names,
    describe,
)
from ansible_collections.piranha.lvs.plugins.module_utils.lvs_cf.api import decode, load

ENDINGS = ("lvs_cf.yml", "lvs_cf.yaml")
DIRECTLY = ".cf"


# Ansible ships no types, so that mypy takes its classes for Any.
class InventoryModule(BaseInventoryPlugin, Constructable):  # type: ignore[misc]
    """What Ansible asks an inventory plugin for."""

    NAME = "piranha.lvs.lvs_cf"

    def verify_file(self, path: str) -> bool:
        """Whether this source is one for us."""
        return bool(super().verify_file(path)) and path.endswith((*ENDINGS, DIRECTLY))

    def parse(self, inventory: t.Any, loader: t.Any, path: str, cache: bool = True) -> None:
        """Fill the inventory. AnsibleParserError with one sentence, or the file's errors."""
        super().parse(inventory, loader, path, cache)
        if path.endswith(DIRECTLY):
            self.set_options(direct={"plugin": self.NAME})
            source = Path(path)
        else:
            self._read_config_data(path)
            if not self.get_option("path"):
                raise AnsibleParserError(f"{path}: `path` is missing; it names the lvs.cf to read")
            source = Path(path).parent / self.get_option("path")
        try:
            text = decode(source.read_bytes())
        except OSError as error:
            raise AnsibleParserError(
                f"cannot read {source}: {error.strerror or error}; check path and rights"
            ) from error
        loaded = load(text, str(source))
        if loaded.errors:
            reasons = [found.format(loaded.name) for found in loaded.errors]
            raise AnsibleParserError("\n".join([f"{source} has errors:", *reasons]))
        try:
            self._fill(loaded.config)
        except CannotDescribe as error:
            raise AnsibleParserError(f"{source}: {error}") from error

    def _fill(self, config: t.Any) -> None:
        prefix = self.get_option("virtual_server_group_prefix")
        names = Names(
            self.get_option("cluster_name"),
            self._safe(self.get_option("cluster_name")),
            self._safe(self.get_option("router_group")),
            self._safe(self.get_option("real_server_group")),
            lambda name: self._safe(f"{prefix}{name}"),
            {str(key): str(name) for key, name in self.get_option("host_names").items()},
        )
        cluster = describe(config, names)
        for group in cluster.groups:
            self.inventory.add_group(group)
        for host, variables in cluster.hosts.items():
            self.inventory.add_host(host)
            for key, value in variables.items():
                self.inventory.set_variable(host, key, wrap_var(value))
        for group, children in cluster.groups.items():
            for child in children:
                self.inventory.add_child(group, child)
        for key, value in cluster.variables.items():
            # Whoever wrote the file must not run templates on the controller.
            self.inventory.set_variable(names.cluster_group, key, wrap_var(value))
        strict = self.get_option("strict")
        for host in cluster.hosts:
            variables = self.inventory.get_host(host).get_vars()
            self._set_composite_vars(self.get_option("compose"), variables, host, strict)
            variables = self.inventory.get_host(host).get_vars()
            self._add_host_to_composed_groups(
                self.get_option("groups"), variables, host, strict, fetch_hostvars=False
            )
            self._add_host_to_keyed_groups(
                self.get_option("keyed_groups"), variables, host, strict, fetch_hostvars=False
            )

    def _safe(self, name: str) -> str:
        return str(self._sanitize_group_name(name))
