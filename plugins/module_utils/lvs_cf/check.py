# Copyright: (c) piranha.lvs founders
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rules between directives: what no single line can tell.

Pure and independent of the machine. Each rule is a function from a configuration to findings;
their cost is linear in the number of servers. Types and ranges are values.py's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from .check_commands import command_rules
from .check_health import health_checks
from .check_ipvs import ipvs_rules
from .check_partner import partner_rules
from .check_pool import pool_rules
from .check_via import through_virtual
from .config import Config, Failover, Section, Server, Virtual, service_ports
from .findings import Finding, finding
from .marks import AUTO
from .values import IPV4_BITS, NO_ADDRESS, is_address, is_ipv6

_FTP = 21


def check(config: Config) -> list[Finding]:
    """Everything that is wrong or doubtful between the directives of a configuration."""
    found: list[Finding] = []
    for rule in _RULES:
        found.extend(rule(config))
    return found


def _label(block: Virtual) -> str:
    kind = "failover service" if isinstance(block, Failover) else "virtual server"
    return f"{kind} `{block.name}`"


def _routers(config: Config) -> Iterator[Finding]:
    settings = config.globals
    primary, backup = settings.text("primary"), settings.text("backup")
    if primary in (None, NO_ADDRESS):
        message = "no primary router is set"
        yield finding("E301", settings.place("primary"), message, "add `primary = ADDRESS`")
    elif primary == backup:
        message = f"primary and backup are both {primary}"
        remedy = "each router needs an address of its own"
        yield finding("E302", settings.place("backup", 0), message, remedy)
    if settings.written.get("backup_active") and backup in (None, NO_ADDRESS):
        message = "backup_active is 1, but no backup router is set; it counts as 0"
        yield finding("W302", settings.place("backup_active"), message, "add `backup = ADDRESS`")
    if settings.given("backup_private") and not settings.given("primary_private"):
        message = "backup_private has no effect without primary_private"
        remedy = "add `primary_private = ADDRESS`"
        yield finding("W310", settings.place("backup_private"), message, remedy)


def _times(config: Config) -> Iterator[Finding]:
    settings = config.globals
    keepalive, deadtime = settings.seconds("keepalive"), settings.seconds("deadtime")
    if settings.written.get("deadtime") == 0 and not settings.flag("backup_active"):
        message = f"deadtime = 0 counts as {deadtime:g}; a router without a partner waits for none"
        yield finding("W307", settings.place("deadtime", 0), message, "remove it")
        return
    if keepalive is None or deadtime is None or deadtime > keepalive:
        return
    place = settings.place("deadtime" if settings.given("deadtime") else "keepalive", 0)
    message = f"deadtime ({deadtime:g} s) is not above keepalive ({keepalive:g} s)"
    remedy = "every heartbeat would come too late; make deadtime at least three times keepalive"
    yield finding("E303" if settings.flag("backup_active") else "W307", place, message, remedy)


def _unused_globals(config: Config) -> Iterator[Finding]:
    settings = config.globals
    if settings.flag("backup_active") and settings.written.get("heartbeat") == 0:
        message = "heartbeat = 0 has no effect; backup_active decides"
        yield finding("A302", settings.place("heartbeat"), message, "remove it")
    nat = any(block.settings["forward"] == "nat" for block in config.active())
    if nat and settings["service"] == "lvs" and settings["nat_router"] is None:
        message = "NAT without nat_router: the real servers' gateway does not move with a takeover"
        remedy = "add `nat_router = ADDRESS DEVICE`"
        yield finding("A303", settings.place("network"), message, remedy)


def _something_active(config: Config) -> Iterator[Finding]:
    if not config.active():
        fos = config.globals["service"] == "fos"
        kind = "failover service" if fos else "virtual server"
        message = f"no {kind} is active, so the routers have nothing to do"
        yield finding("W301", config.globals.place("service"), message, "set `active = 1` in one")


def _names(config: Config) -> Iterator[Finding]:
    seen: set[tuple[str, str]] = set()
    for kind, block in config.blocks():
        if (kind, block.name) in seen:
            message = f"the name of {_label(block)} is used twice"
            yield finding("W304", block.settings.place(), message, "give each its own name")
        seen.add((kind, block.name))
        servers: set[str] = set()
        for server in block.servers:
            if server.name in servers:
                message = f"the name of server `{server.name}` is used twice in {_label(block)}"
                yield finding("W304", server.settings.place(), message, "give each its own name")
            servers.add(server.name)


def _services(config: Config) -> Iterator[Finding]:
    """Each active virtual server has a key of its own in the kernel's table."""
    seen: dict[tuple[object, ...], str] = {}
    whole = _marked_whole(config)
    for block in config.active():
        settings = block.settings
        address, mark = settings.text("address"), settings.number("fwmark")
        if address is None and not mark:
            message = f"{_label(block)} is active and has no address"
            remedy = "add `address = ADDRESS DEVICE`, or set `active = 0`"
            yield finding("E304", settings.place(), message, remedy)
            continue
        twin = False
        for what, where, text in _keys(settings, address, mark):
            # What the mark follows from is enough to say, where that is the same already.
            if what in seen and not (twin and where in ("fwmark", "ports")):
                twin = True
                message = f"{_label(block)} and `{seen[what]}` are both {text}"
                remedy = "change one of them, or set `active = 0`"
                yield finding("E305", settings.place(where, 0), message, remedy)
            seen.setdefault(what, block.name)
        marked = whole.get((address, settings["protocol"]))
        if marked is not None and not mark:
            message = f"{_label(block)} would get no packet: `{marked}` marks all to {address}"
            remedy = f"write `ports` in `{marked}`, or make this one a marked service too"
            yield finding("E305", settings.place("address", 0), message, remedy)
        if settings["port"] == 0 and not mark and not settings.number("persistent"):
            message = f"{_label(block)}: port 0 (every port) works with persistence only"
            yield finding("E309", settings.place("port", 0), message, "add `persistent = 300`")
        yield from _service_advice(block)


def _keys(
    settings: Section, address: str | None, mark: int | None
) -> Iterator[tuple[tuple[object, ...], str, str]]:
    """What the kernel knows a virtual server by: the key, its directive, and in words."""
    protocol = settings["protocol"]
    if mark:
        if settings["marking"] == AUTO:
            # Marked by the agent, so that no other service gets these packets.
            for port in service_ports(settings):
                yield (address, port, protocol), "address", f"{address} port {port} {protocol}"
        family = bool(address and is_ipv6(address))
        where = "fwmark" if settings.given("fwmark") else "ports"
        yield (mark, family), where, f"firewall mark {mark}"
        return
    for port in service_ports(settings):
        yield (address, port, protocol), "address", f"{address} port {port} {protocol}"


def _marked_whole(config: Config) -> dict[tuple[object, ...], str]:
    """Address and protocol of those virtual servers for which packets to every port are marked."""
    return {
        (block.settings.text("address"), block.settings["protocol"]): block.name
        for block in config.active()
        if block.settings.number("fwmark")
        and block.settings["marking"] == AUTO
        and block.settings["port"] == 0
    }


def _service_advice(block: Virtual) -> Iterator[Finding]:
    settings = block.settings
    address = settings.address("address")
    bare = [one for one in address.devices() if ":" not in one] if address else []
    if bare:
        message = f"the virtual address stands on {' and '.join(bare)} itself"
        remedy = f"`{bare[0]}:1` keeps it apart for programs that list aliases"
        yield finding("A301", settings.place("address", 1), message, remedy)
    if settings.given("pmask") and not settings.number("persistent"):
        message = "pmask has no effect without persistent"
        yield finding("A302", settings.place("pmask"), message, "set persistent, or remove it")
    if isinstance(block, Failover):
        for key in ("start_cmd", "stop_cmd"):
            if settings[key] is None:
                message = f"{_label(block)} is active and has no {key}"
                remedy = f'add `{key} = "COMMAND"`'
                yield finding("W309", settings.place(), message, remedy)
    elif _FTP in service_ports(settings) and settings["protocol"] == "tcp":
        kept_together = settings.number("persistent") or settings.number("fwmark")
        if not kept_together:
            place = settings.place("ports" if settings.given("ports") else "port", 0)
            message = f"{_label(block)}: FTP's data connections"
            if settings["forward"] == "nat":  # whether the kernel helps is not in the file
                message += " need the kernel's ip_vs_ftp, or persistent"
                remedy = "`piranha config check --on-this-host` tells whether it is in use"
                yield finding("A305", place, message, remedy)
            else:
                message += " may reach another real server"
                yield finding("W308", place, message, "set persistent, or fwmark with all ports")


def _servers(config: Config) -> Iterator[Finding]:
    routers = _router_addresses(config)
    for block in config.virtual:
        settings = block.settings
        active = settings.flag("active")
        vip = settings.text("address")
        forward, service_port = settings.text("forward"), settings.number("port")
        several = len(service_ports(settings)) > 1
        marked = bool(settings.number("fwmark"))
        seen: set[tuple[object, ...]] = set()
        usable = settings["sorry_server"] is not None
        for server in block.servers:
            values = server.settings
            address = values.text("address")
            on = values.flag("active")
            usable = usable or on
            if address is None:
                if on:
                    message = f"server `{server.name}` has no address"
                    yield finding("E306", values.place(), message, "add `address = ADDRESS`")
                continue
            port = values["port"]
            key = (address, None if forward != "nat" and not marked else port)
            if on and key in seen:
                message = f"server `{server.name}`: {address} stands twice in {_label(block)}"
                remedy = "remove one, or set `active = 0`"
                yield finding("E307", values.place("address", 0), message, remedy)
            if on:
                seen.add(key)
            if address in routers or address == vip:
                yield _router_as_server(
                    server, address, routers.get(address, "the virtual address")
                )
            if port == 0 and service_port != 0 and not marked:
                message = (
                    f"server `{server.name}`: port 0 goes with port 0 of the virtual server only"
                )
                yield finding("E309", values.place("port", 0), message, "remove the line")
            elif (
                (port != service_port or (several and values.given("port")))
                and forward != "nat"
                and not marked
            ):
                yield _foreign_port(server, values, forward, service_port)
            if vip and forward != "tunnel":
                yield from _families(server, address, vip)
        if active and not usable and config.globals["service"] == "lvs":
            message = f"{_label(block)} is active and has no active server"
            yield finding("W303", settings.place(), message, "set `active = 1` in a server")


def _router_as_server(server: Server, address: str, whose: str) -> Finding:
    message = f"server `{server.name}`: {address} is {whose}"
    return finding(
        "W305",
        server.settings.place("address", 0),
        message,
        "a router should not be its own real server",
    )


def _foreign_port(
    server: Server, values: Section, forward: str | None, service_port: int | None
) -> Finding:
    port = values["port"]
    message = f"server `{server.name}`: {forward} forwarding cannot change the port, so requests"
    message += f" go to port {service_port} and only checks to port {port}"
    return finding("W306", values.place("port", 0), message, "use the same port, or NAT")


def _families(server: Server, address: str, vip: str) -> Iterator[Finding]:
    both = is_address(address) and is_address(vip)
    if both and is_ipv6(address) != is_ipv6(vip):
        message = (
            f"server `{server.name}`: {address} and the virtual address {vip} differ in family"
        )
        remedy = "only tunnel forwarding can join IPv4 and IPv6"
        yield finding("E308", server.settings.place("address", 0), message, remedy)


def _router_addresses(config: Config) -> dict[str, str]:
    settings = config.globals
    found: dict[str, str] = {}
    for key in ("primary", "backup", "primary_private", "backup_private", "nat_router"):
        address = settings.text(key)
        if address is not None and address != NO_ADDRESS:
            found.setdefault(address, f"the router's `{key}`")
    return found


def _masks(config: Config) -> Iterator[Finding]:
    sections = [(config.globals, "nat_router", "nat_nmask")]
    for _kind, block in config.blocks():
        sections.append((block.settings, "address", "vip_nmask"))
        sections.append((block.settings, "address", "pmask"))
    for section, key, mask in sections:
        length = section.written.get(mask)
        address = section.text(key)
        ipv6 = address is not None and is_ipv6(address)
        if isinstance(length, int) and length > IPV4_BITS and not ipv6:
            message = f"{mask} of /{length} is too long for an IPv4 address"
            yield finding("E308", section.place(mask, 0), message, "it is at most /32")


def _sync_daemon(config: Config) -> Iterator[Finding]:
    settings = config.globals
    if not settings.flag("syncdaemon"):
        return
    interface = settings.text("syncd_iface")
    if interface == "lo":
        message = "syncdaemon over lo reaches no other machine"
        remedy = "name the interface that leads to the partner"
        yield finding("A302", settings.place("syncd_iface", 0), message, remedy)
    for block in config.active():
        address = block.settings.address("address")
        devices = address.devices() if address else ()
        if any(device.partition(":")[0] == interface for device in devices):
            message = f"syncd_iface {interface} carries the virtual address of {_label(block)}"
            remedy = "anyone there could inject connections; use the private interface"
            yield finding("E310", settings.place("syncd_iface", 0), message, remedy)
            return


_RULES: Iterable[Callable[[Config], Iterator[Finding]]] = (
    _routers,
    _times,
    _unused_globals,
    _something_active,
    _names,
    _services,
    _servers,
    _masks,
    _sync_daemon,
    partner_rules,
    ipvs_rules,
    health_checks,
    pool_rules,
    command_rules,
    through_virtual,
)
