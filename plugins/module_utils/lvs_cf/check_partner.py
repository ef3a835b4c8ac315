# Copyright: (c) piranha.lvs founders
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rules about the partner: what decides of a takeover, and what means nothing without it.

Whether a witness can be reached depends on the machine; host.py looks at that.
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address

from .config import Config, Section
from .findings import Finding, finding
from .partner_rows import GATEWAY, OF_OLD, PARTNER_ROWS
from .values import NO_ADDRESS, is_address

_LINKS = ("primary_links", "backup_links")
_SIGNED_ONLY = (*_LINKS, "heartbeat_key_file", "preempt", "preempt_delay", "failover_on")
_OWN = ("primary", "backup", "primary_private", "backup_private")


def partner_rules(config: Config) -> Iterator[Finding]:
    """Everything wrong or doubtful about what goes on between the routers."""
    yield from _alone(config.globals)
    yield from _preempt(config.globals)
    yield from _format(config.globals)
    yield from _witness(config)


def _says_something(settings: Section, key: str) -> bool:
    """Whether it is written, and not as it would be anyway."""
    return settings.given(key) and settings[key] != settings.table.defaults[key]


def _alone(settings: Section) -> Iterator[Finding]:
    """Without a partner most of these directives mean nothing."""
    if settings.flag("backup_active"):
        return
    for key in (*_LINKS, *(row.name for row in PARTNER_ROWS)):
        if _says_something(settings, key):
            message = f"{key} has no effect without an active backup router"
            remedy = "set `backup_active = 1`, or remove it"
            yield finding("A302", settings.place(key), message, remedy)


def _preempt(settings: Section) -> Iterator[Finding]:
    if not settings.flag("backup_active"):
        return
    classic = settings["heartbeat_format"] == OF_OLD  # then all of it has no effect
    if _says_something(settings, "preempt_delay") and not (settings.flag("preempt") or classic):
        message = "preempt_delay has no effect without preempt"
        remedy = "set `preempt = 1`, or remove it"
        yield finding("A302", settings.place("preempt_delay"), message, remedy)
    if settings["service"] != "fos":
        return
    for key in ("preempt", "failover_on"):
        if _says_something(settings, key):
            message = f"{key} has no effect with failover services; these move by themselves"
            yield finding("A302", settings.place(key), message, "remove it")


def _format(settings: Section) -> Iterator[Finding]:
    """What heartbeats of old cost, and what they cannot do."""
    if settings["heartbeat_format"] != OF_OLD or not settings.flag("backup_active"):
        return
    place = settings.place("heartbeat_format", 0)
    if settings["service"] == "fos":
        message = "heartbeats of the original's format cannot keep a service from running twice"
        yield finding("E326", place, message, "replace both routers at once")
        return
    for key in _OWN:
        if ":" in (settings.text(key) or ""):
            message = f"{key} is an IPv6 address, and no router of old has one"
            yield finding("E326", settings.place(key, 0), message, "write IPv4 addresses")
            return
    message = "whoever can send from the partner's address can stop or start this router; nothing"
    message += " is told of health, configuration and connections"
    remedy = "write it beside a router that still runs Piranha 0.8.6 only, and remove it with that"
    yield finding("W323", place, message, remedy)
    for key in _SIGNED_ONLY:
        if _says_something(settings, key):
            message = f"{key} has no effect with `heartbeat_format = {OF_OLD}`"
            yield finding("A302", settings.place(key), message, "keep it for later, or remove it")


def _witness(config: Config) -> Iterator[Finding]:
    settings = config.globals
    for index, word in enumerate(settings.words("witness")):
        trouble = _no_witness(config, str(word))
        if trouble:
            remedy = "name a third machine of the clients' network, or `gateway`"
            yield finding("E323", settings.place("witness", index), trouble, remedy)


def _no_witness(config: Config, word: str) -> str:
    """Why somebody is no witness, as a sentence without its end; empty where he is one."""
    if word == GATEWAY:
        return ""
    if not is_address(word):
        return f"the witness {word} is a name, and no name server may answer when it counts"
    if word in _own(config.globals):
        return f"the witness {word} is an address of the routers themselves"
    if word in _floating(config):
        return f"the witness {word} is a virtual address, which the routers hold themselves"
    address = ip_address(word)
    if address.is_loopback or address.is_multicast or address.is_unspecified:
        return f"the witness {word} is no address of another machine"
    if address.is_link_local and ":" in word:
        return f"the witness {word} cannot be told from others without its device"
    return ""


def _own(settings: Section) -> set[str]:
    known = {settings.text(key) for key in _OWN}
    for key in _LINKS:
        known.update(map(str, settings.words(key)))
    return {address for address in known if address not in (None, NO_ADDRESS)}


def _floating(config: Config) -> set[str]:
    sections = [block.settings for block in config.in_use()]
    found = {section.text("address") for section in sections if section.flag("active")}
    return {address for address in (*found, config.globals.text("nat_router")) if address}
