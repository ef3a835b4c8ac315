# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""What this router's network has to be like for checks through the virtual address. Pure.

The answer of a real server comes from the virtual address. A router that holds that address itself
takes it for a forgery unless accept_local is on, and with a strict rp_filter it must come in where
packets to that address would go out (Linux, fib_validate_source in net/ipv4/fib_frontend.c). IPv6
has no such rules. The check's own address must be one that stays when the virtual ones move.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from ipaddress import IPv4Interface, IPv6Interface, ip_address, ip_interface

STRICT = 1
"""The value of rp_filter that asks for the way back."""

Network = IPv4Interface | IPv6Interface


@dataclass(frozen=True)
class Holding:
    """An address that a device has."""

    address: str
    network: Network
    device: str


@dataclass(frozen=True)
class Surroundings:
    """A router's own network.

    holdings: all addresses. accept_local, rp_filter: by device, IPv4's, what is in force (`all`
    has been heeded). routed: for addresses in no connected network, the device that leads there.
    floating: addresses that move between the routers.
    """

    holdings: tuple[Holding, ...] = ()
    accept_local: Mapping[str, bool] = field(default_factory=dict)
    rp_filter: Mapping[str, int] = field(default_factory=dict)
    routed: Mapping[str, str | None] = field(default_factory=dict)
    floating: frozenset[str] = frozenset()

    def holders(self, address: str) -> list[str]:
        """The devices that have an address."""
        return [one.device for one in self.holdings if one.address == address]

    def toward(self, address: str) -> str | None:
        """The device by which packets to an address leave; None where no one knows."""
        if address in self.routed:
            return self.routed[address]
        near = _nearest(address, self._own)
        return near.device if near else None

    def source(self, virtual: str, server: str) -> str | None:
        """The address of this router's own from which `server` is checked at `virtual`."""
        version = ip_address(virtual).version
        own = [
            one
            for one in self._own
            if one.network.version == version
            and not (one.network.is_loopback or one.network.is_link_local)
        ]
        near = _nearest(server, own)
        if near is None:
            device = self.toward(server)
            near = next((one for one in own if one.device == device), None)
        near = near or _nearest(virtual, own) or next(iter(own), None)
        return near.address if near else None

    @cached_property
    def _own(self) -> list[Holding]:
        return [one for one in self.holdings if one.address not in self.floating]


def unconnected(targets: Collection[str], holdings: Collection[Holding]) -> list[str]:
    """Give those addresses that are in no network of this machine's, so that a route is needed."""
    return [target for target in targets if _nearest(target, holdings) is None]


@dataclass(frozen=True)
class Trouble:
    """Why a check through the virtual address cannot be made.

    words: a sentence with its remedy. now: false if it will be in the way after a takeover only.
    """

    words: str
    now: bool = True


def trouble(around: Surroundings, virtual: str, server: str) -> Trouble | None:
    """Say what stands in the way of checking `server` at the address `virtual`, if anything."""
    device = around.toward(server)
    if around.source(virtual, server) is None:
        kind = "IPv6" if ":" in virtual else "IPv4"
        words = f"this router has no {kind} address of its own to check {virtual} from"
        return Trouble(f"{words}; give {device or 'it'} one")
    if ":" in virtual or device is None:
        return None
    holders = around.holders(virtual)
    leaves = holders[0] if holders else around.toward(virtual)
    if around.rp_filter.get(device, 0) == STRICT and leaves != device:
        return Trouble(
            f"answers from {virtual} come in by {device} and are dropped, since packets to it leave"
            f" by {leaves or 'no device'}; set net.ipv4.conf.{device}.rp_filter = 2"
        )
    if not around.accept_local.get(device, True):
        when = "are dropped while" if holders else "would be dropped if"
        return Trouble(
            f"answers from {virtual} {when} this router has that address;"
            f" set net.ipv4.conf.{device}.accept_local = 1",
            bool(holders),
        )
    return None


def _nearest(address: str, holdings: Collection[Holding]) -> Holding | None:
    """The holding with the narrowest network that an address is in; none that stands alone."""
    wanted = ip_address(address)
    fitting = [
        one
        for one in holdings
        if one.network.version == wanted.version
        and one.network.network.prefixlen < one.network.max_prefixlen
        and wanted in one.network.network
    ]
    return max(fitting, key=lambda one: one.network.network.prefixlen, default=None)


def holding(address: str, prefix: int, device: str) -> Holding:
    """Make one."""
    return Holding(address, ip_interface(f"{address}/{prefix}"), device)
