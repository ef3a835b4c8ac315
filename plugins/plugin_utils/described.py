# Copyright: (c) piranha.lvs founders
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""What filters share that take the data of a cluster: data -> Config, or a failure in words.

On the controller only.
"""

from __future__ import annotations

import ipaddress
import typing as t
from collections.abc import Mapping

from ansible.errors import AnsibleFilterError

from ..module_utils.lvs_cf.api import from_data
from ..module_utils.lvs_cf.config import Config, Virtual, service_ports

PARTS = ("globals", "virtual_servers", "failover_services")


def config_of(name: str, data: t.Any) -> Config:
    """Give the configuration that the input of the filter `name` describes; other keys count not.

    AnsibleFilterError, with what the module lvs_cf would say, where it describes none.
    """
    if not isinstance(data, Mapping):
        kind = type(data).__name__
        raise AnsibleFilterError(f"{name} takes the data of a cluster, not a value of {kind}")
    built = from_data({key: data[key] for key in PARTS if key in data})
    if built.errors:
        reasons = [found.format() for found in built.errors]
        raise AnsibleFilterError("\n".join(["The cluster's description has errors:", *reasons]))
    return built.config


def is_address(text: str | None) -> bool:
    """Tell whether a text is an address, not a host name or nothing."""
    try:
        ipaddress.ip_address(text or "")
    except ValueError:
        return False
    return True


def asked_ports(virtual: Virtual) -> list[int]:
    """Give the ports that clients ask for; 0 is any, as with a mark that somebody else sets."""
    settings = virtual.settings
    marked = bool(settings.number("fwmark")) and not settings.words("ports")
    return [0] if marked else list(service_ports(settings))


def server_ports(asked: t.Sequence[int], own: int | None) -> list[int]:
    """Give a real server's ports. A service of several, or of any, keeps what was asked for."""
    return [own or 0] if len(asked) == 1 and list(asked) != [0] else list(asked)
