# Copyright: (c) piranha.lvs founders
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which firewall mark a virtual server gets where nobody wrote one, and who marks its packets.

Pure. The kernel keeps a client on one server for several ports only if they are one service, and
several ports are one service only by a firewall mark. Rules that mark packets are the agent's.
"""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Iterable

AUTO, NONE = "auto", "none"
MARKINGS = (AUTO, NONE)

OWN_MARKS = 0x50000000
_OWN_BYTES = 3


def own_mark(address: str, protocol: str, ports: Iterable[int]) -> int:
    """The mark of a service of several ports: 0x50 and 24 bits that follow from what it serves.

    So it is the same on both routers, and stays when other blocks come and go. Only the lowest
    port counts, so that it also stays when a port is added.
    """
    try:
        address = str(ipaddress.ip_address(address))
    except ValueError:
        address = address.lower()  # a name
    text = f"{address} {protocol} {min(ports)}"
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
    return OWN_MARKS | int.from_bytes(digest[:_OWN_BYTES], "big")
