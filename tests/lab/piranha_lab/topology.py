# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""A topology: machines, networks and addresses, read from plain data and checked.

Pure: knows neither files nor how machines are made.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from .errors import LabError

KINDS = ("router", "realserver", "client")
KERNELS = ("own", "shared")
MANAGEMENT = "mgmt"
# Interfaces outside are called MACHINE-DEVICE and br-NETWORK; the kernel takes 15 characters.
MACHINE_NAME = re.compile(r"[a-z][a-z0-9]{0,9}")
NETWORK_NAME = re.compile(r"[a-z][a-z0-9]{0,11}")
DEVICE_NAME = re.compile(r"eth[0-9]")


def mac_of(address: ipaddress.IPv4Address) -> str:
    """A hardware address that stays the same over power cycles: made from the IP address."""
    return "02:00:" + ":".join(f"{byte:02x}" for byte in address.packed)


@dataclass(frozen=True)
class Network:
    """One isolated network; the device name is the same on every machine that is in it."""

    name: str
    subnet: ipaddress.IPv4Network
    device: str
    subnet6: ipaddress.IPv6Network | None = None

    @property
    def bridge(self) -> str:
        """The bridge that is this network."""
        return f"br-{self.name}"

    @property
    def mac(self) -> str:
        """The controller's hardware address in it."""
        return mac_of(self.controller.ip)

    @property
    def controller(self) -> ipaddress.IPv4Interface:
        """The controller's own address: the first of the network."""
        return ipaddress.IPv4Interface((self.subnet[1], self.subnet.prefixlen))

    def interface6(self, address: ipaddress.IPv4Address) -> ipaddress.IPv6Interface | None:
        """The IPv6 address beside an IPv4 one: 192.0.2.21 and 2001:db8:2::21 read alike."""
        if self.subnet6 is None:
            return None
        number = int(address) - int(self.subnet.network_address)
        return ipaddress.IPv6Interface((self.subnet6[int(str(number), 16)], self.subnet6.prefixlen))

    def interfaces(self, address: ipaddress.IPv4Address) -> list[str]:
        """What `ip address add` takes for an address and for the IPv6 one beside it."""
        plain = ipaddress.IPv4Interface((address, self.subnet.prefixlen))
        beside = self.interface6(address)
        # No waiting for duplicates: nobody else is in these networks.
        return [str(plain)] + ([f"{beside} nodad"] if beside else [])


@dataclass(frozen=True)
class Card:
    """One network card of a machine."""

    machine: str
    network: Network
    address: ipaddress.IPv4Address

    @property
    def outside(self) -> str:
        """The name of the other end, in the lab's namespace."""
        return f"{self.machine}-{self.network.device}"

    @property
    def interfaces(self) -> list[str]:
        """Its addresses as `ip address add` takes them."""
        return self.network.interfaces(self.address)

    @property
    def mac(self) -> str:
        """Its hardware address."""
        return mac_of(self.address)


@dataclass(frozen=True)
class Machine:
    """One machine, with its cards in the order of the topology's networks."""

    name: str
    kind: str
    cards: tuple[Card, ...]
    own_kernel: bool = False
    """Whether it needs a kernel of its own where this host's lacks what it does."""
    gateway: Network | None = None
    """The network in which the controller is its way to all others."""

    @property
    def management(self) -> ipaddress.IPv4Address:
        """The address at which the controller reaches it."""
        return next(c.address for c in self.cards if c.network.name == MANAGEMENT)

    def card(self, network: str) -> Card:
        """Its card in a network; LabError where it has none."""
        for card in self.cards:
            if card.network.name == network:
                return card
        has = ", ".join(c.network.name for c in self.cards)
        raise LabError(f"{self.name} is not in a network {network!r}; it is in: {has}.")


@dataclass(frozen=True)
class Topology:
    """Everything a topology file says."""

    networks: tuple[Network, ...]
    machines: tuple[Machine, ...]
    floating: Mapping[str, ipaddress.IPv4Address]

    def machine(self, name: str) -> Machine:
        """The machine of that name; LabError naming all where there is none."""
        for machine in self.machines:
            if machine.name == name:
                return machine
        names = ", ".join(m.name for m in self.machines)
        raise LabError(f"there is no machine {name!r} in this lab; there are: {names}.")


class _Reader:
    """Collects what is wrong, so that one run shows all of it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.mistakes: list[str] = []

    def say(self, place: str, sentence: str) -> None:
        """Note a mistake at a place such as machines.lvs1.kind."""
        self.mistakes.append(f"{self.name}: {place}: {sentence}")

    def mapping(self, value: object, place: str, keys: tuple[str, ...] = (),
                optional: tuple[str, ...] = ()) -> dict[str, Any]:
        """The value as a mapping with text keys, exactly those in keys where given."""
        if not isinstance(value, dict):
            self.say(place, f"must be a mapping, not {_kind_of(value)}.")
            return {}
        for key in value:
            if keys and key not in (*keys, *optional):
                self.say(f"{place}.{key}", "is not known; known here: "
                         + ", ".join((*keys, *optional)) + ".")
        for key in keys:
            if key not in value:
                self.say(place, f"{key} is missing.")
        return {str(key): item for key, item in value.items()}

    def name_of(self, name: str, pattern: re.Pattern[str], place: str) -> None:
        """Complain where a name is not of the pattern."""
        if not pattern.fullmatch(name):
            self.say(place, f"{name!r} is no name for this; it must match {pattern.pattern}.")

    def value(self, text: object, place: str, make: Callable[[str], Any], what: str) -> Any:
        """The text made into something by make; None with a mistake noted where it is not one."""
        try:
            return make(str(text))
        except ValueError:
            self.say(place, f"{text!r} is not {what}.")
            return None


def _kind_of(value: object) -> str:
    return "nothing" if value is None else f"the {type(value).__name__} {value!r}"


def read(data: object, name: str) -> Topology:
    """The topology that the plain data of a file says.

    name is the file's, for messages. Raises LabError with one sentence a mistake, all of them.
    """
    reader = _Reader(name)
    top = reader.mapping(data, "topology", ("networks", "machines"), ("floating",))
    networks = _networks(reader, top.get("networks", {}))
    taken: dict[ipaddress.IPv4Address, str] = {
        n.controller.ip: f"the controller in {n.name}" for n in networks.values()
    }
    floating = {}
    for label, text in reader.mapping(top.get("floating", {}), "floating").items():
        address = _address(reader, text, f"floating.{label}", taken, f"floating.{label}")
        if address is not None:
            floating[label] = address
    machines = tuple(
        machine
        for label, item in reader.mapping(top.get("machines", {}), "machines").items()
        if (machine := _machine(reader, label, item, networks, taken))
    )
    if not reader.mistakes and not machines:
        reader.say("machines", "there are none; name at least one.")
    if reader.mistakes:
        raise LabError("\n".join(reader.mistakes))
    return Topology(tuple(networks.values()), machines, floating)


def _networks(reader: _Reader, data: object) -> dict[str, Network]:
    networks: dict[str, Network] = {}
    for label, item in reader.mapping(data, "networks").items():
        place = f"networks.{label}"
        reader.name_of(label, NETWORK_NAME, place)
        row = reader.mapping(item, place, ("subnet", "device"), ("subnet6",))
        device = str(row.get("device", "eth0"))
        reader.name_of(device, DEVICE_NAME, f"{place}.device")
        subnet = reader.value(row.get("subnet", "192.0.2.0/24"), f"{place}.subnet",
                              ipaddress.IPv4Network, "an IPv4 network such as 192.0.2.0/24")
        subnet6 = None
        if "subnet6" in row:
            subnet6 = reader.value(row["subnet6"], f"{place}.subnet6", ipaddress.IPv6Network,
                                   "an IPv6 network such as 2001:db8:2::/64")
        if subnet is None:
            continue
        for other in networks.values():
            if other.device == device:
                reader.say(f"{place}.device", f"{device} is already that of {other.name}.")
            if other.subnet.overlaps(subnet):
                reader.say(f"{place}.subnet", f"{subnet} overlaps {other.name}'s {other.subnet}.")
        networks[label] = Network(label, subnet, device, subnet6)
    if MANAGEMENT not in networks:
        reader.say("networks", f"{MANAGEMENT} is missing; the controller reaches machines by it.")
    return networks


def _address(reader: _Reader, text: object, place: str,
             taken: dict[ipaddress.IPv4Address, str], holder: str) -> ipaddress.IPv4Address | None:
    address: ipaddress.IPv4Address | None = reader.value(
        text, place, ipaddress.IPv4Address, "an IPv4 address such as 192.0.2.11"
    )
    if address is None:
        return None
    if address in taken:
        reader.say(place, f"{address} is already taken by {taken[address]}.")
    taken.setdefault(address, holder)
    return address


def _machine(reader: _Reader, label: str, data: object, networks: Mapping[str, Network],
             taken: dict[ipaddress.IPv4Address, str]) -> Machine | None:
    place = f"machines.{label}"
    reader.name_of(label, MACHINE_NAME, place)
    row = reader.mapping(data, place, ("kind", "addresses"), ("kernel", "gateway"))
    kind = row.get("kind")
    if kind not in KINDS and "kind" in row:
        reader.say(f"{place}.kind", f"{kind!r} is not known; known: {', '.join(KINDS)}.")
    if row.get("kernel", "own") not in KERNELS:
        reader.say(f"{place}.kernel",
                   f"{row['kernel']!r} is not known; known: {', '.join(KERNELS)}.")
    addresses = reader.mapping(row.get("addresses", {}), f"{place}.addresses")
    gateway = row.get("gateway")
    if gateway is not None and gateway not in addresses:
        reader.say(f"{place}.gateway", f"{gateway!r} is no network that it has an address in.")
    for wanted in addresses:
        if wanted not in networks:
            reader.say(f"{place}.addresses.{wanted}",
                       f"there is no such network; there are: {', '.join(networks)}.")
    if MANAGEMENT not in addresses:
        reader.say(f"{place}.addresses", f"{MANAGEMENT} is missing; it cannot be reached without.")
    cards = []
    for network in networks.values():
        if network.name not in addresses:
            continue
        where = f"{place}.addresses.{network.name}"
        address = _address(reader, addresses[network.name], where, taken, label)
        if address is None:
            continue
        if address not in set(network.subnet.hosts()):
            reader.say(where, f"{address} is no host address of {network.subnet}.")
        cards.append(Card(label, network, address))
    if MANAGEMENT not in addresses:
        return None
    # A router needs IPVS.
    own = kind == "router" or row.get("kernel") == "own"
    return Machine(label, str(kind), tuple(cards), own, networks.get(str(gateway)))
