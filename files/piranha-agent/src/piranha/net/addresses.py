# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sets and removes virtual addresses. When that is due is the heart's matter.

Everything here may be done twice: an address that is there already counts as set, one that is
not there as removed.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Collection, Iterable
from dataclasses import asdict, dataclass
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_interface
from typing import Any

from .links import Carriers, DeviceError, device_for, split_alias
from .rtnetlink import Address, Held, Interface, Netlink


@dataclass(frozen=True, slots=True)
class VirtualAddress:
    """An address that moves between the routers. device: None lets the kernel's networks decide."""

    address: str
    prefix: int
    device: str | None = None

    @property
    def ip(self) -> Address:
        """The address as a value that can be compared."""
        return ip_address(self.address)

    def to_json(self) -> dict[str, Any]:
        """Give what `from_json` reads."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: object) -> VirtualAddress:
        """Read one; ValueError where it is none."""
        if not isinstance(data, dict):
            raise ValueError("not an object")
        address, prefix, device = data.get("address"), data.get("prefix"), data.get("device")
        if not isinstance(address, str) or not isinstance(prefix, int):
            raise ValueError("address or prefix is missing")
        if device is not None and not isinstance(device, str):
            raise ValueError("device is no text")
        made = ip_address(address)
        if not 0 <= prefix <= made.max_prefixlen:
            raise ValueError("prefix is out of range")
        return cls(str(made), prefix, device)


@dataclass(frozen=True, slots=True)
class Places:
    """Where addresses go, as the interfaces were when `Addresses.places` looked at them.

    problems: a sentence for each that has no place. lasting: until an interface changes.
    """

    entries: list[tuple[Address, Held]]
    interfaces: dict[int, Interface]
    problems: list[str]
    lasting: bool

    def devices(self) -> list[tuple[Address, Interface]]:
        """Give the interface of each address, for announcements."""
        return [(address, self.interfaces[held.index]) for address, held in self.entries]


class Addresses:
    """The virtual addresses in this machine's kernel.

    Every method that changes something gives one sentence for each address it failed with.
    """

    def __init__(self, netlink: Netlink) -> None:
        self._netlink = netlink

    def acquire(self, wanted: Iterable[VirtualAddress]) -> list[str]:
        """Set addresses."""
        return self.set(self.places(wanted))

    def set(self, places: Places) -> list[str]:
        """Set addresses where they go."""
        results = self._netlink.add([entry for _unused, entry in places.entries])
        return places.problems + _sentences("set", places.entries, results)

    def release(self, unwanted: Iterable[VirtualAddress]) -> list[str]:
        """Remove addresses, whichever netmask they have; others are left alone.

        Where the kernel takes others of the same network with the first of them (its switch
        promote_secondaries is off), these are set again.
        """
        gone = {entry.ip: entry.device for entry in unwanted}
        if not gone:
            return []
        names = {i.index: i.name for i in self._netlink.interfaces()}
        before = held = self._netlink.addresses()
        removed: list[Held] = []
        problems: list[str] = []
        # Twice: deleting the first address of a network may promote the next, with its new role.
        for _unused in range(2):
            entries = [
                entry
                for entry in held
                if entry.address in gone and _on(gone[entry.address], names.get(entry.index))
            ]
            if not entries:
                break
            placed = [(entry.address, entry) for entry in entries]
            problems = _sentences("removed", placed, self._netlink.remove(entries))
            removed += entries
            held = self._netlink.addresses()
        else:
            if problems:
                return problems
        self._netlink.add(_taken_along(removed, before, held))
        return []

    def missing(self, wanted: Iterable[VirtualAddress]) -> list[VirtualAddress]:
        """Give those that the kernel does not hold."""
        held = {entry.address for entry in self._netlink.addresses()}
        return [entry for entry in wanted if entry.ip not in held]

    def devices(self, wanted: Iterable[VirtualAddress]) -> list[tuple[Address, Interface]]:
        """Give the interface of each address that has one now, for announcements."""
        by_index = {i.index: i for i in self._netlink.interfaces()}
        addresses = {entry.ip for entry in wanted}
        return [
            (entry.address, by_index[entry.index])
            for entry in self._netlink.addresses()
            if entry.address in addresses and entry.index in by_index
        ]

    def carriers(self, wanted: Iterable[VirtualAddress]) -> Carriers:
        """Give the interfaces that these addresses are on, or would be, and their links."""
        wanted = list(wanted)
        places = self.places(wanted)
        needed = {interface.name for _unused, interface in places.devices()}
        needed |= {split_alias(entry.device)[0] for entry in wanted if entry.device}
        return Carriers(needed, list(places.interfaces.values()))

    def refresh(self, carriers: Carriers) -> bool:
        """Read the known ones of these interfaces again; gives whether there was news.

        The kernel changes an upper interface together with the lower one that it tells of, and
        tells that only up to a second later.
        """
        found = [self._netlink.interface(index) for index in carriers.indices()]
        return True in [carriers.update(one, True) for one in found if one is not None]

    def linked(self, own: Collection[Address]) -> bool:
        """Whether an interface that has one of these addresses carries traffic.

        Also true where no interface has any of them: then this is no matter of cables.
        """
        running = {i.index: i.running for i in self._netlink.interfaces()}
        found = [running.get(e.index) for e in self._netlink.addresses() if e.address in own]
        return any(found) or not found

    def own(self) -> frozenset[Address]:
        """Give all addresses that the kernel holds."""
        return frozenset(entry.address for entry in self._netlink.addresses())

    def places(self, wanted: Iterable[VirtualAddress]) -> Places:
        """See where addresses go."""
        wanted = list(wanted)
        interfaces = self._netlink.interfaces()
        virtual = frozenset(entry.ip for entry in wanted)
        # Most files name every device; then what else the kernel holds need not be read.
        named = all(entry.device is not None for entry in wanted)
        held = [] if named else self._netlink.addresses()
        placed: list[tuple[Address, Held]] = []
        problems: list[str] = []
        for entry in wanted:
            try:
                interface = device_for(entry.ip, entry.device, interfaces, held, virtual)
            except DeviceError as error:
                problems.append(str(error))
                continue
            label = split_alias(entry.device)[1] if entry.device else None
            placed.append((entry.ip, Held(entry.ip, entry.prefix, interface.index, label)))
        return Places(placed, {i.index: i for i in interfaces}, problems, named and not problems)


def release_all(unwanted: Iterable[VirtualAddress]) -> list[str]:
    """Remove addresses, for whoever has no `Addresses` of its own. Gives a sentence a failure."""
    with contextlib.closing(Netlink()) as netlink:
        return Addresses(netlink).release(unwanted)


def _taken_along(removed: list[Held], before: list[Held], after: list[Held]) -> list[Held]:
    """Give the addresses that have gone with removed ones of their network, and were not meant."""
    vanished = set(before) - set(removed) - set(after)
    if not vanished:
        return []
    networks = {_network(entry) for entry in removed}
    return [entry for entry in before if entry in vanished and _network(entry) in networks]


def _network(entry: Held) -> tuple[int, IPv4Network | IPv6Network]:
    return entry.index, ip_interface((entry.address, entry.prefix)).network


def _on(device: str | None, name: str | None) -> bool:
    return device is None or name is None or split_alias(device)[0] == name


def _sentences(what: str, placed: list[tuple[Address, Held]], results: list[int]) -> list[str]:
    return [
        f"{address} could not be {what}: {_explain(result)}"
        for (address, _unused), result in zip(placed, results, strict=True)
        if result
    ]


def _explain(code: int) -> str:
    if code in (errno.EPERM, errno.EACCES):
        return "not allowed; pulse needs the capability CAP_NET_ADMIN"
    return os.strerror(code)
