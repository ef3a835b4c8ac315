# Copyright: (c) piranha.lvs founders
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rules about checks through the virtual address (`check_via = virtual`).

Pure. Such a check reaches one real server by a firewall mark that the agent gives its own packets,
and by a helper service for that mark in the kernel's table. What the machine has to be like for it
is the agent's matter.
"""

from __future__ import annotations

from collections.abc import Iterator

from .checks import CHECK_KINDS, ICMP, PROGRAM, VIA_VIRTUAL
from .config import Config, Virtual
from .findings import Finding, finding

HELPER_MARKS = range(0x51000000, 0x51010000)
"""Firewall marks of helper services, one for each real server and way to it."""


def through_virtual(config: Config) -> Iterator[Finding]:
    """The rules for every active virtual server."""
    if config.globals["service"] != "lvs":
        return
    active = [block for block in config.virtual if block.settings.flag("active")]
    checked = [block for block in active if block.settings["check_via"] == VIA_VIRTUAL]
    for block in checked:
        yield from _possible(block)
        yield from _addresses(block)
    for block in active if checked else ():
        mark = block.settings.number("fwmark")
        if mark in HELPER_MARKS:
            message = f"firewall mark {mark} is one of those that checks through the virtual"
            message += f" address use ({HELPER_MARKS[0]:#x} to {HELPER_MARKS[-1]:#x})"
            place = block.settings.place("fwmark", 0)
            yield finding("E322", place, message, "use another mark")


def _possible(block: Virtual) -> Iterator[Finding]:
    settings = block.settings
    place = settings.place("check_via", 0)
    kind = settings.text("check")
    transport = CHECK_KINDS[kind].transport if kind else None
    if settings["forward"] == "nat":
        message = "with NAT no real server has the virtual address, so none can be checked by it"
        remedy = "remove check_via, or set `forward = direct` or `forward = tunnel`"
        yield finding("E321", place, message, remedy)
    elif settings["address"] is None:
        message = "a check through the virtual address needs that address, not the mark alone"
        yield finding("E321", place, message, "add `address = ADDRESS DEVICE`, or remove check_via")
    elif transport == ICMP:
        message = "the kernel does not send echo requests by way of a real server"
        yield finding("E321", place, message, "use another check, or remove check_via")
    elif transport == PROGRAM or (kind is None and settings["send_program"] is not None):
        message = "a program cannot mark its packets, so it would reach any real server"
        yield finding("E321", place, message, "use another check, or remove check_via")
    elif not settings["port"] and settings["check_port"] is None:
        message = "a check through the virtual address needs a port, and that of the service is 0"
        yield finding("E321", place, message, "add `check_port = PORT`")


def _addresses(block: Virtual) -> Iterator[Finding]:
    for settings in (block.settings, *(server.settings for server in block.servers)):
        if settings.given("check_address"):
            message = "`check_address` names another address than check_via = virtual checks"
            place = settings.place("check_address", 0)
            yield finding("E321", place, message, "remove one of the two")
