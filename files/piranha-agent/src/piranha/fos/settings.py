# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""From the directives of `failover` blocks to what fos works with. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from piranha.commands.command import split
from piranha.core.lvs_cf.config import Config, Section, Virtual
from piranha.core.lvs_cf.values import is_address
from piranha.nanny.settings import check_settings
from piranha.nanny.spec import NoCheck, Watch, watch_for

QUICK = 0.5
"""Seconds between two checks of a service that is just starting, or failing."""

SPARE = 5.0
"""Seconds beside the services' own that a stop of all may take."""


@dataclass(frozen=True)
class Service:
    """One active failover block; times in seconds.

    start, stop: argument lists. watch: how it is checked; None where no check is possible.
    fall: failed checks in a row that count as a failure. max_restarts, restart_interval: how often
    within which time it is started again here. critical: whether its failure moves its group.
    group: services of one group move together; "" is one like others.
    """

    name: str
    address: str
    port: int
    protocol: str = "tcp"
    start: tuple[str, ...] = ()
    stop: tuple[str, ...] = ()
    start_timeout: float = 60.0
    stop_timeout: float = 30.0
    max_restarts: int = 1
    restart_interval: float = 60.0
    critical: bool = True
    fall: int = 1
    watch: Watch | None = None
    group: str = ""

    def __str__(self) -> str:
        return self.name


def services(config: Config, addresses: Mapping[str, str] | None = None) -> tuple[Service, ...]:
    """Give the active failover services in the order of the file.

    addresses: what host names in checks resolve to.
    """
    if config.globals.text("service") != "fos":
        return ()
    blocks = [block for block in config.failover if block.settings.flag("active")]
    return tuple(_service(block, addresses or {}) for block in blocks)


def stop_limit(config: Config) -> float:
    """Give the seconds that stopping all services may take: they stop one after the other."""
    return sum(one.stop_timeout for one in services(config)) + SPARE


def _service(block: Virtual, addresses: Mapping[str, str]) -> Service:
    section = block.settings
    given = section.address("address")
    address = given.address if given else ""
    port = section.number("port") or 0
    return Service(
        name=block.name,
        address=address,
        port=port,
        protocol=section.text("protocol") or "tcp",
        start=split(section.text("start_cmd")),
        stop=split(section.text("stop_cmd")),
        start_timeout=_seconds(section, "start_timeout"),
        stop_timeout=_seconds(section, "stop_timeout"),
        max_restarts=section.number("max_restarts") or 0,
        restart_interval=_seconds(section, "restart_interval"),
        critical=section.flag("critical"),
        fall=section.number("fall") or 1,
        watch=_watch(section, address, port, addresses),
        group=section.text("failover_group") or "",
    )


def _watch(section: Section, address: str, port: int, addresses: Mapping[str, str]) -> Watch | None:
    settings = check_settings(section, lambda name: _resolved(name, addresses))
    watch = watch_for(settings, address, port)
    if isinstance(watch.check, NoCheck):
        return None
    fast = watch.fast if watch.fast is not None else min(watch.interval, QUICK)
    return replace(watch, fast=fast)


def _resolved(name: str | None, addresses: Mapping[str, str]) -> str | None:
    if name is None or is_address(name):
        return name
    return addresses.get(name)


def _seconds(section: Section, key: str) -> float:
    value = section.seconds(key)
    if value is None:
        raise TypeError(f"{key} has a default and so always a value")
    return float(value)
