# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which interface carries a virtual address, and which have a link. Pure: told what there is."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from ipaddress import ip_interface

from .rtnetlink import Address, Held, Interface

MAX_LABEL = 15
"""Characters in an address label (IFNAMSIZ without its final NUL)."""


class DeviceError(Exception):
    """No interface fits; the text is one sentence."""


def split_alias(device: str) -> tuple[str, str | None]:
    """Give interface and label of a device as lvs.cf names it.

    `eth0:1`, an interface of its own in the days of ifconfig, is an address of eth0 that has
    this label; a plain `eth0` gives no label.
    """
    base, colon, _number = device.partition(":")
    return base, device[:MAX_LABEL] if colon else None


def device_for(
    address: Address,
    device: str | None,
    interfaces: Iterable[Interface],
    held: Iterable[Held],
    virtual: frozenset[Address],
) -> Interface:
    """Give the interface that is to carry `address`.

    device: what lvs.cf says, or None: then it is the interface with the smallest network that
    the address is in. virtual: all virtual addresses, which make no network.
    Raises DeviceError.
    """
    if device is not None:
        base, _label = split_alias(device)
        found = next((i for i in interfaces if i.name == base), None)
        if found is None:
            names = ", ".join(i.name for i in interfaces) or "none"
            raise DeviceError(
                f"there is no interface {base} for {address}; correct its device in lvs.cf"
                f" (interfaces here: {names})"
            )
        return found
    by_index = {interface.index: interface for interface in interfaces}
    fitting = [
        (entry.prefix, -entry.index)
        for entry in held
        if entry.index in by_index
        and entry.address not in virtual
        and entry.address.version == address.version
        and address in ip_interface((entry.address, entry.prefix)).network
    ]
    if not fitting:
        raise DeviceError(
            f"no interface here is in the network of {address}; write its device behind it"
            f" in lvs.cf, as in 'address = {address} eth0:1'"
        )
    return by_index[-max(fitting)[1]]


class Carriers:
    """Some interfaces, by name, and whether they are there and have their link.

    A bond has one while one of its members has, a bridge while one of its ports has, a VLAN while
    what it lies on has: the kernel says so of the upper interface itself.
    """

    def __init__(self, names: Collection[str], interfaces: Iterable[Interface]) -> None:
        self._names = frozenset(names)
        self._known: dict[str, Interface] = {}
        for interface in interfaces:
            self.update(interface, True)

    def update(self, interface: Interface, there: bool) -> bool:
        """Note how an interface is now; gives whether its link or its hardware address is new."""
        for old in [e for e in self._known.values() if e.index == interface.index]:
            if old.name != interface.name:  # it was renamed
                del self._known[old.name]
        before = self._known.get(interface.name)
        if interface.name not in self._names:
            return False
        if not there:
            return self._known.pop(interface.name, None) is not None
        self._known[interface.name] = interface
        if before is None:
            return True
        return (before.running, before.mac) != (interface.running, interface.mac)

    def indices(self) -> tuple[int, ...]:
        """Give the numbers of those that are there."""
        return tuple(interface.index for interface in self._known.values())

    def without(self) -> tuple[str, ...]:
        """Give the names of those that have no link, or are not there."""
        return tuple(
            name
            for name in sorted(self._names)
            if name not in self._known or not self._known[name].running
        )
