# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the heart needs to know, taken out of a configuration. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

from piranha.core.lvs_cf.config import MASK_OF, Config, Section, written
from piranha.core.lvs_cf.partner_rows import GATEWAY, OF_OLD
from piranha.net.addresses import VirtualAddress
from piranha.net.rtnetlink import Address

from .handover import Services
from .machine import Timing
from .members import MAIN
from .syncing import SyncSettings
from .wire import DIGEST_SIZE, Role


class SettingsError(Exception):
    """This router cannot run with the configuration; the text is one sentence."""


@dataclass(frozen=True, slots=True)
class Route:
    """One way for heartbeats: our address and the partner's."""

    own: str
    partner: str


@dataclass(frozen=True, slots=True)
class HeartSettings:
    """One router's view of the configuration."""

    timing: Timing
    routes: tuple[Route, ...]
    """Public first; empty where there is no partner."""
    port: int
    key_file: Path
    groups: Mapping[str, tuple[VirtualAddress, ...]]
    """The virtual addresses of each group, the main one first; one without a name is all there is
    but for failover services."""
    monitor_links: bool
    """Whether an interface of the addresses without a link makes this router stand back."""
    sync: SyncSettings | None
    """The kernel's sync daemon; None: none is wanted."""
    services: Services
    digest: bytes
    """Of the configuration's meaning: comments and spacing do not count."""
    fos: bool = False
    """The addresses are those of failover services."""
    witnesses: tuple[str, ...] = ()
    """Who is asked whether this router is the one that is cut off: addresses, or `gateway`."""

    @property
    def addresses(self) -> tuple[VirtualAddress, ...]:
        """All of them."""
        return tuple(one for wanted in self.groups.values() for one in wanted)

    @property
    def role(self) -> Role:
        """Primary or backup."""
        return self.timing.role


@dataclass(frozen=True, slots=True)
class Outline:
    """What takes time to find in a large configuration; the same for whoever has it.

    groups: by role, see HeartSettings.
    """

    groups: Mapping[Role, Mapping[str, tuple[VirtualAddress, ...]]]
    services: Services
    digest: bytes


def outline(config: Config) -> Outline:
    """Give what `extract` need not find again; SettingsError."""
    digest = hashlib.sha256()
    for portion in written(config):
        digest.update(portion.encode())
    return Outline(
        groups={role: _virtual_addresses(config, role) for role in Role},
        services=Services(config),
        digest=digest.digest()[:DIGEST_SIZE],
    )


def extract(config: Config, own: frozenset[Address], known: Outline | None = None) -> HeartSettings:
    """Give the settings of the router that has the addresses `own`. known: the config's outline.

    Raises SettingsError where it is neither the primary nor the backup.
    """
    section = config.globals
    primary = _address(section, "primary")
    backup = _address(section, "backup")
    if backup is not None and int(backup) == 0:
        backup = None
    role = _role(primary, backup, own)
    partnered = section.flag("backup_active") and backup is not None and primary is not None
    keepalive = _positive(section, "keepalive")
    deadtime = _positive(section, "deadtime")
    if partnered and deadtime <= keepalive:
        raise SettingsError(
            f"deadtime ({deadtime:g} s) must be above keepalive ({keepalive:g} s);"
            f" three times keepalive is usual"
        )
    witnesses = _witnesses(section) if partnered else ()
    timing = Timing(
        role=role,
        partnered=partnered,
        keepalive=keepalive,
        deadtime=deadtime,
        start_delay=section.seconds("start_delay") or 0.0,
        preempt=section.flag("preempt"),
        preempt_delay=section.seconds("preempt_delay") or 0.0,
        on_health=section.text("failover_on") == "health",
        witness=bool(witnesses),
        classic=partnered and section.text("heartbeat_format") == OF_OLD,
    )
    known = known or outline(config)
    return HeartSettings(
        timing=timing,
        routes=_routes(section, role, primary, backup, timing.classic) if partnered else (),
        port=section.number("heartbeat_port") or 539,
        key_file=Path(section.text("heartbeat_key_file") or "/etc/piranha/heartbeat.key"),
        groups=known.groups[role],
        monitor_links=bool(section.number("monitor_links")),
        sync=_sync(section),
        services=known.services,
        digest=known.digest,
        fos=section.text("service") == "fos",
        witnesses=witnesses,
    )


def _sync(section: Section) -> SyncSettings | None:
    if not section.flag("syncdaemon"):
        return None
    return SyncSettings(section.text("syncd_iface") or "eth0", section.number("syncd_id") or 0)


def _address(section: Section, key: str) -> Address | None:
    text = section.text(key)
    if text is None:
        return None
    try:
        return ip_address(text)
    except ValueError:
        raise SettingsError(
            f"{key} = {text} is a name; write its address, since a router must be able to"
            f" start while no name server answers"
        ) from None


def _positive(section: Section, key: str) -> float:
    value = section.seconds(key)
    if value is None or value <= 0:
        raise SettingsError(f"{key} must be above 0 seconds; correct it in lvs.cf")
    return float(value)


def _role(primary: Address | None, backup: Address | None, own: frozenset[Address]) -> Role:
    if primary is None:
        raise SettingsError(
            "primary is not set; write 'primary = ADDRESS' with the primary router's own address"
        )
    if primary in own and backup in own:
        raise SettingsError(
            f"primary {primary} and backup {backup} are both addresses of this machine;"
            f" give each router its own"
        )
    if primary in own:
        return Role.PRIMARY
    if backup in own:
        return Role.BACKUP
    raise SettingsError(
        f"neither primary {primary} nor backup {backup or '(not set)'} is an address of this"
        f" machine; correct lvs.cf, or bring up the network first"
    )


def _routes(
    section: Section,
    role: Role,
    primary: Address | None,
    backup: Address | None,
    classic: bool,
) -> tuple[Route, ...]:
    pairs = [(primary, backup)]
    # A private address that is not given is the public one, and then there is no second path.
    first, second = _address(section, "primary_private"), _address(section, "backup_private")
    if first not in (None, primary) and second not in (None, backup):
        pairs.append((first, second))
    links = (_links(section, "primary_links"), _links(section, "backup_links"))
    if len(links[0]) != len(links[1]):
        raise SettingsError(
            "primary_links and backup_links differ in length; name two addresses for each path"
        )
    if not classic:  # one of old listens at its public and its private address only
        pairs.extend(zip(*links, strict=True))
    routes = []
    for one, other in pairs:
        own, partner = (one, other) if role is Role.PRIMARY else (other, one)
        routes.append(Route(str(own), str(partner)))
    return tuple(routes)


def _links(section: Section, key: str) -> list[Address]:
    try:
        return [ip_address(str(text)) for text in section.words(key)]
    except ValueError as error:
        raise SettingsError(f"{key}: {error}; write addresses, not names") from None


def _witnesses(section: Section) -> tuple[str, ...]:
    words = tuple(map(str, section.words("witness")))
    for word in words:
        if word == GATEWAY:
            continue
        try:
            ip_address(word)
        except ValueError:
            raise SettingsError(
                f"witness = {word} is a name; write its address, or `{GATEWAY}`"
            ) from None
    return words


def _virtual_addresses(config: Config, role: Role) -> dict[str, tuple[VirtualAddress, ...]]:
    found: dict[str, dict[Address, VirtualAddress]] = {}
    fos = config.globals.text("service") == "fos"
    for block in config.in_use():
        if block.settings.flag("active"):
            kind = "failover" if fos else "virtual"
            group = (block.settings.text("failover_group") if fos else None) or MAIN
            listed = found.setdefault(group, {})
            _collect(listed, block.settings, "address", role, f"{kind} {block.name}")
    if config.globals.text("network") == "nat" and not fos:
        _collect(found.setdefault(MAIN, {}), config.globals, "nat_router", role, "nat_router")
    if not found:
        return {MAIN: ()}
    # Services without a group come first, wherever they stand: theirs is the main group.
    names = sorted(found, key=lambda name: name != MAIN)
    return {name: tuple(found[name].values()) for name in names}


def _collect(
    found: dict[Address, VirtualAddress], section: Section, key: str, role: Role, where: str
) -> None:
    """Note an address; of several blocks with the same one the first decides its device."""
    given = section.address(key)
    if given is None:
        return
    try:
        address = ip_address(given.address)
    except ValueError:
        raise SettingsError(
            f"{where}: {given.address} is a name; a virtual address must be written as one"
        ) from None
    prefix = section.prefix(MASK_OF[key]) or address.max_prefixlen
    device = given.on(role.name.lower())
    found.setdefault(address, VirtualAddress(str(address), prefix, device))
