# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads what this router's network is like, for surroundings.py, which judges it."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Collection, Iterable
from pathlib import Path

from piranha.net.rtnetlink import Netlink

from .surroundings import Holding, Surroundings, holding, unconnected

CONF = Path("/proc/sys/net/ipv4/conf")
_DISCARD = 9


def look(floating: frozenset[str], targets: Collection[str]) -> Surroundings:
    """Read all of it; OSError. targets: addresses to which the way has to be known."""
    holdings = addresses()
    fixed = [one for one in holdings if one.address not in floating]
    routed = {one: _routed(one, holdings) for one in unconnected(targets, fixed)}
    devices = {one.device for one in holdings}
    return Surroundings(
        holdings,
        {name: bool(setting(name, "accept_local")) for name in devices},
        {name: setting(name, "rp_filter") for name in devices},
        routed,
        floating,
    )


def settings(devices: Iterable[str]) -> tuple[dict[str, bool], dict[str, int]]:
    """Read accept_local and rp_filter of some devices again, which change without any notice."""
    names = list(devices)
    local = {name: bool(setting(name, "accept_local")) for name in names}
    return local, {name: setting(name, "rp_filter") for name in names}


def addresses() -> tuple[Holding, ...]:
    """Read all addresses of this machine; OSError."""
    with contextlib.closing(Netlink()) as netlink:
        names = {one.index: one.name for one in netlink.interfaces()}
        held = netlink.addresses()
    return tuple(
        holding(str(one.address), one.prefix, names[one.index])
        for one in held
        if one.index in names
    )


def setting(device: str, name: str) -> int:
    """One of the kernel's IPv4 settings of a device: the higher of the device's and `all`'s."""
    return max(_number(CONF / device / name), _number(CONF / "all" / name))


def _number(path: Path) -> int:
    try:
        return int(path.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return 0


def _routed(target: str, holdings: Iterable[Holding]) -> str | None:
    """The device by which packets to an address leave: the one whose address they would have."""
    family = socket.AF_INET6 if ":" in target else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as asking:
        try:
            asking.connect((target, _DISCARD))  # sends nothing
        except OSError:
            return None
        source = asking.getsockname()[0]
    return next((one.device for one in holdings if one.address == source), None)
