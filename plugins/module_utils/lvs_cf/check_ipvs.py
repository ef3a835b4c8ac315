# Copyright: (c) piranha.lvs founders
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rules about what IPVS can do beyond the original's ways, and about further heartbeat paths.

Pure. What the kernel would refuse, or take and not heed, is said here, before it is asked. Which
words there are is ipvs_rows.py's.
"""

from __future__ import annotations

from collections.abc import Iterator

from .config import Config, Section, Virtual
from .findings import Finding, finding
from .marks import NONE

_TUNNEL = ("tunnel_type", "tunnel_port", "tunnel_checksum")
_OWN_FLAGS = ("sh", "mh")  # schedulers whose flags have names of their own


def ipvs_rules(config: Config) -> Iterator[Finding]:
    """The rules for every active virtual server, and for the links between the routers."""
    yield from _links(config.globals)
    if config.globals["service"] != "lvs":
        return
    for block in config.virtual:
        written = block.settings.written
        if not block.settings.flag("active"):
            continue
        if not written.keys().isdisjoint(_CONCERNED):
            yield from _ports(block.settings)
            yield from _marking(block.settings)
            yield from _one_packet(block.settings)
            yield from _engine(block.settings)
            yield from _flags(block.settings)
            yield from _tunnel(block.settings)
            yield from _sctp(block.settings)
        yield from _thresholds(block)


_CONCERNED = (
    "ports",
    "marking",
    "ops",
    "persistence_engine",
    "scheduler_flags",
    "protocol",
    *_TUNNEL,
)


def _links(settings: Section) -> Iterator[Finding]:
    primary, backup = settings.words("primary_links"), settings.words("backup_links")
    if len(primary) != len(backup):
        key = "primary_links" if primary else "backup_links"
        message = f"primary_links has {len(primary)} addresses and backup_links {len(backup)}"
        remedy = "name two addresses for each path, in the same order"
        yield finding("E318", settings.place(key, 0), message, remedy)
    for whose in ("primary", "backup"):
        known = {settings.text(whose), settings.text(f"{whose}_private")}
        for address in settings.words(f"{whose}_links"):
            if address in known:
                message = f"{address} of {whose}_links carries heartbeats already"
                place = settings.place(f"{whose}_links", 0)
                yield finding("E318", place, message, "name the address of another network")


def _ports(settings: Section) -> Iterator[Finding]:
    if not settings.given("ports"):
        return
    if settings.given("port"):
        message = "`port` and `ports` are both written"
        yield finding("E313", settings.place("ports"), message, "keep one of them")


def _marking(settings: Section) -> Iterator[Finding]:
    """Who marks the packets must go with where the mark comes from."""
    if not settings.given("marking"):
        return
    place = settings.place("marking", 0)
    written = settings.given("fwmark") and settings.written["fwmark"]
    if settings["marking"] == NONE:
        if settings.number("fwmark") and not written:
            message = "marking = none, but the mark follows from ports and only the agent knows it"
            remedy = "remove it, or set `fwmark` to the mark that your own rules set"
            yield finding("E320", place, message, remedy)
    elif not settings.number("fwmark"):
        message = "marking has no effect on a service without a firewall mark"
        yield finding("A302", place, message, "add `fwmark = 1`, or remove it")
    elif settings["address"] is None:
        message = "marking = auto needs to know which packets to mark"
        yield finding("E320", place, message, "add `address = ADDRESS DEVICE`")


def _one_packet(settings: Section) -> Iterator[Finding]:
    if settings.flag("ops") and settings["protocol"] != "udp" and not settings.number("fwmark"):
        message = f"one-packet scheduling does not work with {settings['protocol']}"
        yield finding("E314", settings.place("ops", 0), message, "remove it, or use udp")


def _engine(settings: Section) -> Iterator[Finding]:
    if settings["persistence_engine"] is None:
        return
    place = settings.place("persistence_engine", 0)
    if not settings.number("persistent"):
        message = "persistence_engine has no effect without persistent"
        yield finding("A302", place, message, "add `persistent = 300`, or remove it")
    elif settings["protocol"] != "udp" and not settings.number("fwmark"):
        message = f"the engine sip reads UDP packets, not {settings['protocol']}"
        yield finding("A302", place, message, "remove it, or use udp")


def _flags(settings: Section) -> Iterator[Finding]:
    scheduler = settings.text("scheduler")
    for index, flag in enumerate(settings.words("scheduler_flags")):
        owner = str(flag).partition("-")[0]
        if owner in _OWN_FLAGS and owner != scheduler:
            message = f"the scheduler {scheduler} does not have the flag {flag}"
            remedy = f"remove it, or set `scheduler = {owner}`"
            yield finding("E317", settings.place("scheduler_flags", index), message, remedy)


def _tunnel(settings: Section) -> Iterator[Finding]:
    given = [key for key in _TUNNEL if settings.given(key)]
    if not given:
        return
    if settings["forward"] != "tunnel":
        message = f"{given[0]} has no effect with {settings['forward']} forwarding"
        place = settings.place(given[0])
        yield finding("A302", place, message, "set `forward = tunnel`, or remove it")
        return
    kind, port = settings["tunnel_type"], settings["tunnel_port"]
    if kind == "gue" and port is None:
        message = "a gue tunnel needs a port"
        place = settings.place("tunnel_type", 0)
        yield finding("E315", place, message, "add `tunnel_port = 6080`, or whichever it is")
    elif kind != "gue" and port is not None:
        message = f"an {kind} tunnel has no port"
        yield finding("E315", settings.place("tunnel_port", 0), message, "remove it")
    checksum = settings["tunnel_checksum"]
    if (kind == "ipip" and checksum != "nocsum") or (kind == "gre" and checksum == "remcsum"):
        message = f"an {kind} tunnel cannot have the checksum {checksum}"
        remedy = "remove it, or use gue"
        yield finding("E315", settings.place("tunnel_checksum", 0), message, remedy)


def _sctp(settings: Section) -> Iterator[Finding]:
    checked = settings["check"] is not None or settings["send_program"] is not None
    if settings["protocol"] == "sctp" and not checked:
        message = "there is no check that speaks sctp, so its servers would stay out of service"
        remedy = "add `check = icmp`, or `send_program` with a program that checks"
        yield finding("E319", settings.place("protocol", 0), message, remedy)


def _thresholds(block: Virtual) -> Iterator[Finding]:
    for server in block.servers:
        written = server.settings.written
        lower = written.get("lower_threshold")
        if not isinstance(lower, int) or lower == 0:
            continue
        upper = server.settings.number("upper_threshold") or 0
        if lower > upper:
            message = f"server `{server.name}`: lower_threshold {lower} is above"
            message += f" upper_threshold {upper}" if upper else " upper_threshold, which is unset"
            place = server.settings.place("lower_threshold", 0)
            yield finding("E316", place, message, "make it lower than upper_threshold")
